/* Bit-serial convolution: activations and weights of one bit, 128 products in an AND, a bit count and an addition.
 *
 * A pixel of the image is a row of bytes, as bits_image.c packs it. Lanes are 16 output channels, a byte of a patch is broadcast;
 * a lane gains at most 8 a step, so that 31 steps fit in a byte (248), of which 28 are taken, four at a time.
 *
 * With stored weights j, weight = scale * j + base:
 *     unsigned: accumulator = scale * count(j & a) + base * count(a)
 *     bipolar:  a = 2 b - 1, 0 outside of the image: twice the same of b, minus the sum of the weights of the taps inside.
 *               The sum of all weights is the offset; at a border, those of the taps outside are added again. */
#include "neon.h"

#if MGK_HAS_NEON
#include <string.h>

#include "qconv/neon/bits_block.h"

enum { LANES = 16, FLUSH = 28, MOST_TERMS = 16383 /* twice as many fit in int16 */ };

/* ---------------------------------------------------------------- the tile */

/* Any number of vectors and steps, as mgk_bits_block. */
MGK_INLINE void add_steps(const int vectors, const uint8_t **weights, const uint8_t **patches, size_t steps, int first,
                          const int32_t *bias, int scale, const int16_t *from, int16_t *to, size_t pitch)
{
    uint8x16_t sum[MGK_PATCHES][MGK_BLOCK_VECTORS];
    for (int p = 0; p < MGK_PATCHES; p++) {
        for (int v = 0; v < vectors; v++) {
            sum[p][v] = vdupq_n_u8(0);
        }
    }
    for (; steps > 0; steps--) {
        const uint8x16x4_t a = vld4q_dup_u8(*patches);
        for (int v = 0; v < vectors; v++) {
            const uint8x16_t w = vld1q_u8(*weights + LANES * v);
            for (int p = 0; p < MGK_PATCHES; p++) {
                sum[p][v] = vaddq_u8(sum[p][v], vcntq_u8(vandq_u8(w, a.val[p])));
            }
        }
        *weights += LANES * vectors;
        *patches += MGK_PATCHES;
    }
    for (size_t p = 0; p < MGK_PATCHES; p++) {
        for (size_t v = 0; v < (size_t)vectors; v++) {
            mgk_add_counts(first, bias[p], scale, from + (p * MGK_BLOCK_VECTORS + v) * LANES, sum[p][v],
                           to + p * pitch + v * LANES);
        }
    }
}

/* The last flush goes where raw sums are wanted, those before it to sums in memory. */
MGK_INLINE void run_tile(const mgk_tiles *t, const int vectors, size_t pixel, const uint8_t *patches)
{
    enum { ROW = MGK_BLOCK_VECTORS * LANES };
    const uint8_t *weights = t->weights;
    const int32_t *bias = t->bias + pixel;
    int16_t sums[MGK_PATCHES * ROW];
    int16_t *const raw = (int16_t *)t->raw + pixel * t->pitch;
    size_t left = t->steps;
    int first = 1;
    if (vectors == MGK_BLOCK_VECTORS) {
        if (left % 4 != 0) {
            const size_t rest = left % 4;
            left -= rest;
            add_steps(vectors, &weights, &patches, rest, 1, bias, t->scale, sums, left > 0 ? sums : raw,
                      left > 0 ? ROW : t->pitch);
            first = 0;
        }
        for (; left > FLUSH; left -= FLUSH) {
            mgk_bits_block(&weights, &patches, FLUSH / 4, first, bias, t->scale, sums, sums, ROW);
            first = 0;
        }
        if (left > 0) {
            mgk_bits_block(&weights, &patches, left / 4, first, bias, t->scale, sums, raw, t->pitch);
        }
        return;
    }
    for (; left > FLUSH; left -= FLUSH) {
        add_steps(vectors, &weights, &patches, FLUSH, first, bias, t->scale, sums, sums, ROW);
        first = 0;
    }
    add_steps(vectors, &weights, &patches, left, first, bias, t->scale, sums, raw, t->pitch);
}

static void run_tiles(const mgk_tiles *t)
{
    for (size_t i = 0; i < t->fours; i++) {
        const uint8_t *patches = t->patches + i * t->four_size;
        switch (t->vectors) {
        case 1: run_tile(t, 1, MGK_PATCHES * i, patches); break;
        case 2: run_tile(t, 2, MGK_PATCHES * i, patches); break;
        case 3: run_tile(t, 3, MGK_PATCHES * i, patches); break;
        default: run_tile(t, 4, MGK_PATCHES * i, patches); break;
        }
    }
}

/* ---------------------------------------------------------------- borders of bipolar layers */

static const int16_t *tap_sums(const mgk_qconv_run *run, const mgk_direct *direct)
{
    return (const int16_t *)(const void *)(run->weights + mgk_direct_weights_size(run->layer, direct));
}

static void add_row(const int16_t *sums, size_t channels, int16_t *raw)
{
    for (size_t c = 0; c < channels; c += 8) {
        vst1q_s16(raw + c, vaddq_s16(vld1q_s16(raw + c), vld1q_s16(sums + c)));
    }
}

/* Adds the sums of weights of the taps that lie outside of the image. */
static void correct(const mgk_qconv_run *run, const mgk_direct *direct, const mgk_tiles *tiles, size_t begin,
                    size_t pixels)
{
    const mgk_conv2d *c = &run->layer->conv;
    const size_t out_width = run->layer->geometry.out_width;
    const size_t reach_y = (c->kernel_height - 1) * c->dilation_y;
    const size_t reach_x = (c->kernel_width - 1) * c->dilation_x;
    const size_t channels = mgk_round_up(c->out_channels, LANES);
    for (size_t i = 0; i < pixels; i++) {
        const size_t y = (begin + i) / out_width * c->stride_y;
        const size_t x = (begin + i) % out_width * c->stride_x;
        if (y >= c->pad_top && y + reach_y < c->pad_top + c->height && x >= c->pad_left &&
            x + reach_x < c->pad_left + c->width) {
            continue;
        }
        const int16_t *sums = tap_sums(run, direct);
        int16_t *raw = (int16_t *)tiles->raw + i * tiles->pitch;
        for (size_t ky = 0; ky < c->kernel_height; ky++) {
            const int row_inside = y + ky * c->dilation_y - c->pad_top < c->height; /* wraps where it is negative */
            for (size_t kx = 0; kx < c->kernel_width; kx++) {
                if (!row_inside || x + kx * c->dilation_x - c->pad_left >= c->width) {
                    add_row(sums, channels, raw);
                }
                sums += channels;
            }
        }
    }
}

/* ---------------------------------------------------------------- the kernel */

static int find(const mgk_qconv *layer, mgk_direct *direct)
{
    const size_t channels = layer->conv.in_channels;
    *direct = (mgk_direct){.unit = 1,
                           .lanes = LANES,
                           .neighbours = 1,
                           .vectors = MGK_BLOCK_VECTORS,
                           .convert = mgk_pack_bits,
                           .tiles = run_tiles,
                           .raw_bits = 16};
    direct->form.scale = layer->encoding == MGK_ODD ? 2 : 1;
    direct->form.base = layer->encoding == MGK_ODD ? -1 : -layer->weight_zero;
    if (layer->bipolar) {
        direct->form.scale *= 2;
        direct->form.base *= 2;
        direct->correct = correct;
    }
    return layer->activation_bits == 1 && layer->weight_bits == 1 && layer->groups == 1 &&
           layer->geometry.row_length <= MOST_TERMS &&
           mgk_find_patches(layer, channels / 8 + (channels % 8 != 0), 1, &direct->patches);
}

static int takes(const mgk_qconv *layer)
{
    mgk_direct direct;
    return find(layer, &direct);
}

static size_t weights_size(const mgk_qconv *layer)
{
    mgk_direct direct;
    if (!find(layer, &direct)) {
        return 0;
    }
    size_t taps = mgk_round_up(layer->conv.out_channels, LANES);
    size_t size = mgk_direct_weights_size(layer, &direct);
    return size != 0 && mgk_multiply(&taps, sizeof(int16_t)) && mgk_multiply(&taps, layer->conv.kernel_height) &&
                   mgk_multiply(&taps, layer->conv.kernel_width) && mgk_add(&size, taps)
               ? size
               : 0;
}

static size_t workspace_size(const mgk_qconv *layer)
{
    mgk_direct direct;
    return find(layer, &direct) ? mgk_direct_workspace_size(layer, &direct) : 0;
}

static void prepare(const mgk_qconv_weights *weights, uint8_t *section, mgk_raw *raw)
{
    const mgk_qconv *layer = weights->layer;
    const mgk_conv2d *c = &layer->conv;
    const size_t taps = c->kernel_height * c->kernel_width;
    const size_t channels = mgk_round_up(c->out_channels, LANES);
    mgk_direct direct;
    if (!find(layer, &direct)) {
        return; /* not reached: the kernel took the layer */
    }
    const size_t pixel = direct.patches.pixel;
    uint8_t *sums = section + mgk_direct_weights_size(layer, &direct);
    for (size_t out = 0; out < c->out_channels; out++) {
        for (size_t tap = 0; tap < taps; tap++) {
            const size_t first = mgk_patch_tap(&direct.patches, layer, tap / c->kernel_width, tap % c->kernel_width);
            int16_t sum = 0;
            for (size_t i = 0; i < c->in_channels; i++) {
                const int32_t weight = mgk_weight(weights, out, tap * c->in_channels + i);
                const unsigned stored = weight == layer->weight_high;
                uint8_t *byte = section + mgk_direct_find_weight(layer, &direct, out, first + i % pixel);
                *byte = (uint8_t)(*byte | stored << i / pixel);
                sum = (int16_t)(sum + weight);
                if (layer->has_zero) {
                    raw->offset[out] -= weight * weights->zero[i];
                }
            }
            if (layer->bipolar) {
                raw->offset[out] -= sum;
                memcpy(sums + (tap * channels + out) * sizeof sum, &sum, sizeof sum);
            }
        }
    }
    const int32_t most = (int32_t)layer->geometry.row_length * (layer->bipolar ? 2 : 1);
    raw->bits = 16;
    raw->low = -most;
    raw->high = most;
}

static void run(const mgk_qconv_run *image)
{
    mgk_direct direct;
    if (find(image->layer, &direct)) {
        mgk_direct_run(image, &direct);
    }
}

const mgk_qconv_kernel mgk_qconv_neon_bits = {"neon-bits", MGK_NEON, takes, weights_size, prepare, workspace_size, run};
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
