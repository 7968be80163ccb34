/* From raw sums to what is stored, in plain C. */
#include "qconv/epilogue.h"

/* Quotient and remainder by 2^shift, rounded down; right shifts of negative numbers are no portable C. */
static int64_t divide_down(int64_t x, unsigned shift)
{
    return x >= 0 ? x >> shift : ~(~x >> shift);
}

static int64_t round_shift(int64_t x, unsigned shift, mgk_rounding rounding)
{
    if (shift == 0) {
        return x;
    }
    const int64_t half = (int64_t)1 << (shift - 1);
    const int64_t up = divide_down(x + half, shift);
    const int is_tie = (x & (2 * half - 1)) == half;
    switch (rounding) {
    case MGK_HALF_AWAY: return up - (is_tie && x < 0);
    case MGK_HALF_EVEN: return up - (is_tie && (up & 1) != 0);
    default: return up;
    }
}

int32_t mgk_requantize_one(const mgk_qconv *layer, int32_t x, int32_t multiplier, unsigned shift)
{
    const int64_t rounded = layer->out_zero + round_shift((int64_t)x * multiplier, shift, layer->rounding);
    return (int32_t)(rounded < layer->out_low ? layer->out_low : rounded > layer->out_high ? layer->out_high : rounded);
}

/* How many thresholds of a channel x reaches: they ascend, so a search by halves finds it. */
static uint8_t count_i16(const mgk_prepared_epilogue *e, size_t channel, int16_t x)
{
    const int16_t *t = (const int16_t *)e->thresholds + channel / 8 * e->levels * 8 + channel % 8;
    size_t low = 0;
    size_t high = e->levels;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (x >= t[middle * 8]) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return (uint8_t)low;
}

static uint8_t count_i32(const mgk_prepared_epilogue *e, size_t channel, int32_t x)
{
    const int32_t *t = (const int32_t *)e->thresholds + channel / 4 * e->levels * 4 + channel % 4;
    size_t low = 0;
    size_t high = e->levels;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (x >= t[middle * 4]) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return (uint8_t)low;
}

static int32_t requantize(const mgk_qconv_run *run, size_t channel, int32_t x)
{
    const mgk_prepared_epilogue *e = run->epilogue;
    const unsigned shift = e->shift[channel] % 64u; /* defined for a damaged layer too */
    return mgk_requantize_one(run->layer, x, e->multiplier[channel], shift);
}

/* Stores one output that is no code. */
static void store(const mgk_qconv_run *run, size_t channel, size_t index, int32_t raw)
{
    const mgk_prepared_epilogue *e = run->epilogue;
    /* modulo 2^32, as raw + addend may pass int32 on the way to a sum that fits */
    const int32_t x = (int32_t)((uint32_t)raw + (uint32_t)e->addend[channel]);
    switch (run->layer->output) {
    case MGK_REQUANTIZE_U8: ((uint8_t *)run->out)[index] = (uint8_t)requantize(run, channel, x); break;
    case MGK_REQUANTIZE_I16: ((int16_t *)run->out)[index] = (int16_t)requantize(run, channel, x); break;
    default: ((int32_t *)run->out)[index] = x;
    }
}

void mgk_epilogue_scalar_i16(const mgk_qconv_run *run, const int16_t *raw, size_t pitch, size_t pixel_begin,
                             size_t pixels, size_t c, size_t channels)
{
    const int16_t *flip = run->epilogue->flip;
    const size_t out_channels = run->layer->conv.out_channels;
    for (size_t p = 0; p < pixels; p++) {
        const size_t index = (pixel_begin + p) * out_channels + c;
        for (size_t i = 0; i < channels; i++) {
            if (run->layer->output == MGK_CODES) {
                const int16_t x = (int16_t)(raw[p * pitch + i] ^ flip[c + i]);
                ((uint8_t *)run->out)[index + i] = count_i16(run->epilogue, c + i, x);
            } else {
                store(run, c + i, index + i, raw[p * pitch + i]);
            }
        }
    }
}

void mgk_epilogue_scalar_i32(const mgk_qconv_run *run, const int32_t *raw, size_t pitch, size_t pixel_begin,
                             size_t pixels, size_t c, size_t channels)
{
    const int32_t *flip = run->epilogue->flip;
    const size_t out_channels = run->layer->conv.out_channels;
    for (size_t p = 0; p < pixels; p++) {
        const size_t index = (pixel_begin + p) * out_channels + c;
        for (size_t i = 0; i < channels; i++) {
            if (run->layer->output == MGK_CODES) {
                const int32_t x = raw[p * pitch + i] ^ flip[c + i];
                ((uint8_t *)run->out)[index + i] = count_i32(run->epilogue, c + i, x);
            } else {
                store(run, c + i, index + i, raw[p * pitch + i]);
            }
        }
    }
}
