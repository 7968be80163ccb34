/* The padded image of the direct kernel: codes of a pixel after the other, with zero codes around them. */
#include "qconv/x86/direct.h"

/* Codes as they are stored. Returns where they end. */
static uint8_t *append(const mgk_qconv_run *run, const direct *plan, const uint8_t *codes, size_t count, uint8_t *to)
{
    if (plan->code_size == sizeof(int16_t)) {
        int16_t *words = (int16_t *)(void *)to;
        for (size_t i = 0; i < count; i++) {
            words[i] = codes[i];
        }
    } else if (run->layer->bipolar) {
        for (size_t i = 0; i < count; i++) {
            to[i] = (uint8_t)(2 * codes[i]);
        }
    } else {
        memcpy(to, codes, count);
    }
    return to + count * plan->code_size;
}

/* Some pixels of zero codes. */
static uint8_t *fill(const mgk_qconv_run *run, const direct *plan, size_t pixels, uint8_t *to)
{
    const size_t channels = run->layer->conv.in_channels;
    for (size_t p = 0; p < pixels; p++) {
        if (run->layer->bipolar) {
            memset(to, 1, channels);
            to += channels;
        } else {
            to = append(run, plan, run->zero, channels, to);
        }
    }
    return to;
}

void X86(direct_image)(const mgk_qconv_run *run, const direct *plan, uint8_t *to)
{
    const mgk_conv2d *c = &run->layer->conv;
    const size_t row = c->width * c->in_channels;
    const size_t padded_width = run->layer->geometry.padded_width;
    to = fill(run, plan, c->pad_top * padded_width, to);
    for (size_t y = 0; y < c->height; y++) {
        to = fill(run, plan, c->pad_left, to);
        to = append(run, plan, run->codes + y * row, row, to);
        to = fill(run, plan, c->pad_right, to);
    }
    to = fill(run, plan, c->pad_bottom * padded_width, to);
    memset(to, 0, QUAD - 1);
}
