/* Depthwise convolution: an output channel for each input channel, lanes are 16 channels.
 *
 * Weights are taken as they are; values are code - centre, so that accumulator = sum of weight * value + offset. Sums are
 * kept in the narrowest lanes that hold the sum of all taps: of 8 bits (MLA; 3x3 at 2 bits: 9 * 3 * 2 = 54), 16 bits
 * (SMLAL of bytes; 3x3 at 4 bits: 9 * 15 * 8 = 1,080) or 32 bits (SMLAL of 16-bit operands). */
#include "neon.h"

#if MGK_HAS_NEON
#include <string.h>

#include "qconv/neon/tile.h"

enum { LANES = 16, ROW = 64 };

typedef struct depthwise {
    mgk_direct_form form;
    mgk_patches patches;
    int lane_bits, raw_bits;
    size_t channels; /* in whole vectors */
    size_t taps;
    size_t outside, image, sums, raw, size; /* offsets in the workspace */
} depthwise;

/* ---------------------------------------------------------------- four pixels */

/* Where the taps of four pixels read, for 16 channels. */
typedef struct window {
    const int8_t *first[MGK_PATCHES];
    size_t kernel_height, kernel_width, step_y, step_x; /* bytes between taps */
} window;

MGK_INLINE void run_8(const window *w, const int8_t *weights, size_t channels, int8x16_t sum[MGK_PATCHES])
{
    for (int p = 0; p < MGK_PATCHES; p++) {
        sum[p] = vdupq_n_s8(0);
    }
    for (size_t ky = 0; ky < w->kernel_height; ky++) {
        for (size_t kx = 0; kx < w->kernel_width; kx++) {
            const int8x16_t weight = vld1q_s8(weights);
            const size_t at = ky * w->step_y + kx * w->step_x;
            for (int p = 0; p < MGK_PATCHES; p++) {
                sum[p] = vmlaq_s8(sum[p], vld1q_s8(w->first[p] + at), weight);
            }
            weights += channels;
        }
    }
}

MGK_INLINE void run_16(const window *w, const int8_t *weights, size_t channels, int16x8_t sum[MGK_PATCHES][2])
{
    for (int p = 0; p < MGK_PATCHES; p++) {
        sum[p][0] = sum[p][1] = vdupq_n_s16(0);
    }
    for (size_t ky = 0; ky < w->kernel_height; ky++) {
        for (size_t kx = 0; kx < w->kernel_width; kx++) {
            const int8x16_t weight = vld1q_s8(weights);
            const size_t at = ky * w->step_y + kx * w->step_x;
            for (int p = 0; p < MGK_PATCHES; p++) {
                const int8x16_t value = vld1q_s8(w->first[p] + at);
                sum[p][0] = vmlal_s8(sum[p][0], vget_low_s8(value), vget_low_s8(weight));
                sum[p][1] = vmlal_high_s8(sum[p][1], value, weight);
            }
            weights += channels;
        }
    }
}

MGK_INLINE void run_32(const window *w, const int16_t *weights, size_t channels, int32x4_t sum[MGK_PATCHES][4])
{
    for (int p = 0; p < MGK_PATCHES; p++) {
        sum[p][0] = sum[p][1] = sum[p][2] = sum[p][3] = vdupq_n_s32(0);
    }
    for (size_t ky = 0; ky < w->kernel_height; ky++) {
        for (size_t kx = 0; kx < w->kernel_width; kx++) {
            const int16x8_t low = vld1q_s16(weights);
            const int16x8_t high = vld1q_s16(weights + 8);
            const size_t at = ky * w->step_y + kx * w->step_x;
            for (int p = 0; p < MGK_PATCHES; p++) {
                const int8x16_t value = vld1q_s8(w->first[p] + at);
                const int16x8_t value_low = vmovl_s8(vget_low_s8(value));
                const int16x8_t value_high = vmovl_high_s8(value);
                sum[p][0] = vmlal_s16(sum[p][0], vget_low_s16(value_low), vget_low_s16(low));
                sum[p][1] = vmlal_high_s16(sum[p][1], value_low, low);
                sum[p][2] = vmlal_s16(sum[p][2], vget_low_s16(value_high), vget_low_s16(high));
                sum[p][3] = vmlal_high_s16(sum[p][3], value_high, high);
            }
            weights += channels;
        }
    }
}

/* 16 channels of four pixels to rows of raw. */
MGK_INLINE void run_four(const depthwise *d, const window *w, const uint8_t *weights, size_t c, uint8_t *raw)
{
    int16_t *raw_16 = (int16_t *)(void *)raw + c;
    int32_t *raw_32 = (int32_t *)(void *)raw + c;
    if (d->lane_bits == 8) {
        int8x16_t sum[MGK_PATCHES];
        run_8(w, (const int8_t *)weights + c, d->channels, sum);
        for (size_t p = 0; p < MGK_PATCHES; p++) {
            vst1q_s16(raw_16 + p * d->channels, vmovl_s8(vget_low_s8(sum[p])));
            vst1q_s16(raw_16 + p * d->channels + 8, vmovl_high_s8(sum[p]));
        }
    } else if (d->lane_bits == 16) {
        int16x8_t sum[MGK_PATCHES][2];
        run_16(w, (const int8_t *)weights + c, d->channels, sum);
        for (size_t p = 0; p < MGK_PATCHES; p++) {
            vst1q_s16(raw_16 + p * d->channels, sum[p][0]);
            vst1q_s16(raw_16 + p * d->channels + 8, sum[p][1]);
        }
    } else {
        int32x4_t sum[MGK_PATCHES][4];
        run_32(w, (const int16_t *)(const void *)weights + c, d->channels, sum);
        for (size_t p = 0; p < MGK_PATCHES; p++) {
            for (size_t i = 0; i < 4; i++) {
                vst1q_s32(raw_32 + p * d->channels + 4 * i, sum[p][i]);
            }
        }
    }
}

/* ---------------------------------------------------------------- the kernel */

static int find(const mgk_qconv *layer, depthwise *d)
{
    const mgk_conv2d *c = &layer->conv;
    int32_t low, high;
    memset(d, 0, sizeof *d);
    mgk_find_byte_form(layer, &d->form);
    if (layer->groups != c->in_channels || c->out_channels != c->in_channels ||
        !mgk_find_patches(layer, c->in_channels, 1, &d->patches)) {
        return 0;
    }
    d->taps = layer->geometry.row_length;
    d->raw_bits = mgk_direct_raw(layer, &d->form, &low, &high);
    if (d->raw_bits == 0) {
        return 0;
    }
    const int narrow = layer->weight_low >= INT8_MIN && layer->weight_high <= INT8_MAX && d->raw_bits == 16;
    d->lane_bits = !narrow ? 32 : low >= INT8_MIN && high <= INT8_MAX ? 8 : 16;
    d->raw_bits = narrow ? 16 : 32;
    d->channels = mgk_round_up(c->in_channels, LANES);
    size_t pitch = d->channels;
    return pitch != 0 && mgk_multiply(&pitch, (size_t)d->raw_bits / 8) &&
           mgk_take(&d->size, d->patches.pixel, 1, &d->outside) &&
           mgk_take(&d->size, mgk_image_size(&d->patches), 1, &d->image) &&
           mgk_take(&d->size, d->patches.height * d->patches.width, sizeof(int32_t), &d->sums) &&
           mgk_take(&d->size, pitch, ROW, &d->raw);
}

static int takes(const mgk_qconv *layer)
{
    depthwise d;
    return find(layer, &d);
}

static size_t weights_size(const mgk_qconv *layer)
{
    depthwise d;
    if (!find(layer, &d)) {
        return 0;
    }
    size_t size = d.channels;
    return mgk_multiply(&size, d.taps) && mgk_multiply(&size, sizeof(int16_t)) ? size : 0;
}

static size_t workspace_size(const mgk_qconv *layer)
{
    depthwise d;
    return find(layer, &d) ? d.size : 0;
}

static void prepare(const mgk_qconv_weights *weights, uint8_t *section, mgk_raw *raw)
{
    const mgk_qconv *layer = weights->layer;
    depthwise d;
    if (!find(layer, &d)) {
        return; /* not reached: the kernel took the layer */
    }
    for (size_t c = 0; c < layer->conv.out_channels; c++) {
        for (size_t tap = 0; tap < d.taps; tap++) {
            const int32_t weight = mgk_weight(weights, c, tap);
            const int16_t wide = (int16_t)weight;
            if (d.lane_bits == 32) {
                memcpy(section + (tap * d.channels + c) * sizeof wide, &wide, sizeof wide);
            } else {
                section[tap * d.channels + c] = (uint8_t)weight;
            }
            raw->offset[c] += weight * (d.form.centre - (layer->has_zero ? weights->zero[c] : 0));
        }
    }
    mgk_direct_raw(layer, &d.form, &raw->low, &raw->high);
    raw->bits = d.raw_bits;
}

static void run_row(const mgk_qconv_run *run, const depthwise *d, size_t y, size_t x, size_t pixels)
{
    const mgk_conv2d *c = &run->layer->conv;
    const mgk_patches *p = &d->patches;
    const int8_t *row = (const int8_t *)run->workspace + d->image + y * p->step_y * p->width * p->pixel;
    uint8_t *raw = run->workspace + d->raw;
    for (size_t i = 0; i < pixels; i += MGK_PATCHES) {
        window w = {.kernel_height = c->kernel_height,
                    .kernel_width = c->kernel_width,
                    .step_y = c->dilation_y * p->width * p->pixel,
                    .step_x = c->dilation_x * p->pixel};
        for (size_t j = 0; j < MGK_PATCHES; j++) { /* beyond the row: its last pixel again */
            w.first[j] = row + (x + (i + j < pixels ? i + j : pixels - 1)) * p->step_x * p->pixel;
        }
        for (size_t channel = 0; channel < d->channels; channel += LANES) {
            run_four(d, &w, run->weights, channel, raw + i * d->channels * (size_t)d->raw_bits / 8);
            for (size_t j = 0; j < MGK_PATCHES; j++) {
                w.first[j] += LANES;
            }
        }
    }
    const size_t pixel = y * run->layer->geometry.out_width + x;
    if (d->raw_bits == 16) {
        mgk_epilogue_i16(run, (const int16_t *)(const void *)raw, d->channels, pixel, pixels, 0, c->out_channels);
    } else {
        mgk_epilogue_i32(run, (const int32_t *)(const void *)raw, d->channels, pixel, pixels, 0, c->out_channels);
    }
}

static void run(const mgk_qconv_run *image)
{
    const mgk_qconv *layer = image->layer;
    depthwise d;
    if (!find(layer, &d)) {
        return; /* not reached: the kernel took the layer */
    }
    uint8_t *outside = image->workspace + d.outside;
    int32_t *sums = (int32_t *)(void *)(image->workspace + d.sums);
    int32_t outside_sum = 0;
    if (layer->bipolar) {
        memset(outside, 0, d.patches.pixel);
    } else {
        mgk_centre(layer, &d.patches, &d.form, image->zero, 1, outside, &outside_sum);
    }
    mgk_make_image(image, &d.patches, mgk_centre, &d.form, outside, outside_sum, image->workspace + d.image, sums);
    for (size_t y = 0; y < layer->geometry.out_height; y++) {
        for (size_t x = 0; x < layer->geometry.out_width; x += ROW) {
            const size_t left = layer->geometry.out_width - x;
            run_row(image, &d, y, x, left < ROW ? left : ROW);
        }
    }
}

const mgk_qconv_kernel mgk_qconv_neon_depthwise = {"neon-depthwise", MGK_NEON,       takes, weights_size,
                                                   prepare,          workspace_size, run};
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
