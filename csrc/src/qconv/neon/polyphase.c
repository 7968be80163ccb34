/* 3x3 convolution with stride 2 in 25 products for 36: polyphase F(2, 2), exact in 8-bit lanes.
 *
 * Along one axis two neighbouring outputs read five inputs e0 o0 e1 o1 e2 with the taps g0 g1 g2: even inputs meet g0 and
 * g2, a convolution of stride 1, odd ones g1.
 *     y0 = e0 g0 + e1 g2 + o0 g1 = (e0 - e1) g0 + e1 (g0 + g2) + o0 g1
 *     y1 = e1 g0 + e2 g2 + o1 g1 = e1 (g0 + g2) + (e2 - e1) g2 + o1 g1
 * Five products instead of six; in two dimensions 25 instead of 36 for a tile of 2 by 2 outputs. Position (i, j) of the 25
 * is a product of matrices over the input channels, made by the inner loop of mla.c on four tiles at a time.
 *
 * Bounds at 2 bits for any weights, with values in [-1, 2] and stored weights in [-2, 1]: a difference doubles the width
 * of a value, to [-3, 3], along both axes to [-6, 6]; a sum of taps doubles a weight, to [-4, 2] and [-8, 4]. Products
 * are then at most 4 (32 of them fit in a byte), 6 (21), 8 (16), 12 (10) and 16 (8) in size. With flush_from_weights
 * polyphase_weights.c finds how many of the products of a block of output channels fit. The sums of 16 bits are taken
 * modulo 2^16: only the raw sum has to fit. */
#include "neon.h"

#if MGK_HAS_NEON
#include <string.h>

#include "qconv/neon/mla_block.h"
#include "qconv/neon/polyphase.h"

/* Which positions of an axis only the second output needs. */
static const int second_only[AXIS] = {0, 0, 1, 0, 1};

static int find(const mgk_qconv *layer, polyphase *d)
{
    const mgk_conv2d *c = &layer->conv;
    int32_t low, high;
    memset(d, 0, sizeof *d);
    mgk_find_byte_form(layer, &d->form);
    if (layer->groups != 1 || c->kernel_height != 3 || c->kernel_width != 3 || c->stride_y != 2 || c->stride_x != 2 ||
        c->dilation_y != 1 || c->dilation_x != 1 || c->in_channels % VECTOR != 0 || layer->bipolar ||
        mgk_direct_raw(layer, &d->form, &low, &high) != 16 ||
        !mgk_find_patches(layer, c->in_channels, 2, &d->patches)) {
        return 0;
    }
    for (size_t position = 0; position < POSITIONS; position++) {
        d->period[position] = mgk_polyphase_period(&d->form, position);
        if (d->period[position] == 0) {
            return 0;
        }
    }
    const mgk_geometry *g = &layer->geometry;
    const mgk_patches *p = &d->patches;
    d->tiles_y = g->out_height / 2 + g->out_height % 2;
    d->tiles_x = g->out_width / 2 + g->out_width % 2;
    d->pitch = mgk_round_up(c->out_channels, BLOCK);
    return d->pitch != 0 && mgk_take(&d->size, p->pixel, 1, &d->outside) &&
           mgk_take(&d->size, mgk_image_size(p), 1, &d->image) &&
           mgk_take(&d->size, p->height * p->width, sizeof(int32_t), &d->sums) &&
           mgk_take(&d->size, p->width, sizeof(int32_t), &d->columns) &&
           mgk_take(&d->size, g->out_pixels, sizeof(int32_t), &d->patch_sums) &&
           mgk_take(&d->size, c->in_channels, FOURS * POSITIONS * MGK_PATCHES, &d->inputs) &&
           mgk_take(&d->size, FOURS * POSITIONS, sizeof(mgk_mla_sums), &d->products) &&
           mgk_take(&d->size, d->pitch * sizeof(int16_t), g->out_pixels, &d->raw);
}

static size_t weights_size(const mgk_qconv *layer)
{
    polyphase d;
    return find(layer, &d) ? mgk_polyphase_weights_size(layer, &d) : 0;
}

static void prepare(const mgk_qconv_weights *weights, uint8_t *section, mgk_raw *raw)
{
    polyphase d;
    if (find(weights->layer, &d)) {
        mgk_polyphase_prepare(weights, &d, section, raw);
    }
}

/* ---------------------------------------------------------------- products and outputs */

/* Raw sums of 8 channels of a tile, from products that are `step` sums apart. */
MGK_INLINE void transform_products(const int16_t *products, size_t step, int16x8_t y[2][2])
{
    int16x8_t part[AXIS][2];
    for (size_t i = 0; i < AXIS; i++) {
        int16x8_t m[AXIS];
        for (size_t j = 0; j < AXIS; j++) {
            m[j] = vld1q_s16(products + (i * AXIS + j) * step);
        }
        part[i][0] = vaddq_s16(vaddq_s16(m[0], m[1]), m[3]);
        part[i][1] = vaddq_s16(vaddq_s16(m[1], m[2]), m[4]);
    }
    for (int x = 0; x < 2; x++) {
        y[0][x] = vaddq_s16(vaddq_s16(part[0][x], part[1][x]), part[3][x]);
        y[1][x] = vaddq_s16(vaddq_s16(part[1][x], part[2][x]), part[4][x]);
    }
}

static void store_tile(const mgk_qconv *layer, const polyphase *d, const int32_t *patch_sums, size_t tile,
                       const int16_t *products, size_t step, int16_t *raw)
{
    const mgk_geometry *g = &layer->geometry;
    int16_t *to[4];
    int16x8_t bias[4];
    int wanted[4];
    const int16x8_t shift = vdupq_n_s16((int16_t)(d->form.scale - 1));
    for (size_t k = 0; k < 4; k++) {
        const size_t row = tile / d->tiles_x * 2 + k / 2;
        const size_t column = tile % d->tiles_x * 2 + k % 2;
        wanted[k] = row < g->out_height && column < g->out_width;
        const size_t pixel = wanted[k] ? row * g->out_width + column : 0;
        to[k] = raw + pixel * d->pitch;
        bias[k] = vdupq_n_s16((int16_t)patch_sums[pixel]);
    }
    for (size_t v = 0; v < BLOCK; v += LANES) {
        int16x8_t y[2][2];
        transform_products(products + v, step, y);
        for (size_t k = 0; k < 4; k++) {
            if (wanted[k]) {
                vst1q_s16(to[k] + v, vaddq_s16(vshlq_s16(y[k / 2][k % 2], shift), bias[k]));
            }
        }
    }
}

/* One block of output channels of some fours of tiles. */
static void run_block(const mgk_qconv_run *run, const polyphase *d, size_t block, size_t tile, size_t fours)
{
    const size_t channels = run->layer->conv.in_channels;
    const size_t tiles = d->tiles_y * d->tiles_x;
    const int8_t *weights =
        (const int8_t *)run->weights + mgk_polyphase_periods_size(d) + block * TAPS * TAPS * channels * BLOCK;
    const uint8_t *periods = run->weights + block * POSITIONS;
    const int16_t *inputs = (const int16_t *)(const void *)(run->workspace + d->inputs);
    int16_t *products = (int16_t *)(void *)(run->workspace + d->products);
    const size_t product = sizeof(mgk_mla_sums) / sizeof(int16_t);
    mgk_mla_sums sums;
    for (size_t i = 0; i < AXIS; i++) {
        for (size_t j = 0; j < AXIS; j++) {
            const size_t position = i * AXIS + j;
            const int8_t *w = weights + (mgk_polyphase_tap[i] * TAPS + mgk_polyphase_tap[j]) * channels * BLOCK;
            for (size_t f = 0; f < fours; f++) {
                /* The last row of tiles may have no second row of outputs. */
                if (second_only[i] && run->layer->geometry.out_height % 2 == 1 &&
                    tile + f * MGK_PATCHES >= tiles - d->tiles_x) {
                    continue;
                }
                mgk_mla_products(w, inputs + (f * POSITIONS + position) * channels * MGK_PATCHES / 2, channels / 8,
                                 periods[position], sums, products + (f * POSITIONS + position) * product);
            }
        }
    }
    int16_t *raw = (int16_t *)(void *)(run->workspace + d->raw) + block * BLOCK;
    for (size_t k = 0; k < fours * MGK_PATCHES && tile + k < tiles; k++) {
        store_tile(run->layer, d, (const int32_t *)(const void *)(run->workspace + d->patch_sums), tile + k,
                   products + k / MGK_PATCHES * POSITIONS * product + k % MGK_PATCHES * BLOCK, product, raw);
    }
}

static void run(const mgk_qconv_run *image)
{
    const mgk_qconv *layer = image->layer;
    polyphase d;
    if (!find(layer, &d)) {
        return; /* not reached: the kernel took the layer */
    }
    uint8_t *workspace = image->workspace;
    int32_t *sums = (int32_t *)(void *)(workspace + d.sums);
    int32_t outside_sum;
    mgk_centre(layer, &d.patches, &d.form, image->zero, 1, workspace + d.outside, &outside_sum);
    mgk_make_image(image, &d.patches, mgk_centre, &d.form, workspace + d.outside, outside_sum, workspace + d.image,
                   sums);
    mgk_sum_patches(layer, &d.patches, sums, d.form.base, (int32_t *)(void *)(workspace + d.columns),
                    (int32_t *)(void *)(workspace + d.patch_sums));
    const size_t tiles = d.tiles_y * d.tiles_x;
    for (size_t tile = 0; tile < tiles; tile += FOURS * MGK_PATCHES) {
        const size_t left = (tiles - tile + MGK_PATCHES - 1) / MGK_PATCHES;
        const size_t fours = left < FOURS ? left : FOURS;
        for (size_t f = 0; f < fours; f++) {
            mgk_polyphase_inputs(layer, &d, (const int8_t *)workspace + d.image, tile + f * MGK_PATCHES,
                                 workspace + d.inputs + f * POSITIONS * MGK_PATCHES * layer->conv.in_channels);
        }
        for (size_t block = 0; block * BLOCK < d.pitch; block++) {
            run_block(image, &d, block, tile, fours);
        }
    }
    mgk_epilogue_i16(image, (const int16_t *)(const void *)(workspace + d.raw), d.pitch, 0, layer->geometry.out_pixels,
                     0, layer->conv.out_channels);
}

static int takes(const mgk_qconv *layer)
{
    polyphase d;
    return find(layer, &d);
}

static size_t workspace_size(const mgk_qconv *layer)
{
    polyphase d;
    return find(layer, &d) ? d.size : 0;
}

const mgk_qconv_kernel mgk_qconv_neon_polyphase = {"neon-polyphase", MGK_NEON,       takes, weights_size,
                                                   prepare,          workspace_size, run};
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
