/* 3x3 convolution with stride 2 in 25 products for 36: polyphase F(2, 2), exact in 8-bit lanes.
 *
 * Along one axis two neighbouring outputs read five inputs e0 o0 e1 o1 e2 with the taps g0 g1 g2: even inputs meet g0 and
 * g2, a convolution of stride 1, odd ones g1.
 *     y0 = e0 g0 + e1 g2 + o0 g1 = (e0 - e1) g0 + e1 (g0 + g2) + o0 g1
 *     y1 = e1 g0 + e2 g2 + o1 g1 = e1 (g0 + g2) + (e2 - e1) g2 + o1 g1
 * Five products instead of six; in two dimensions 25 instead of 36 for a tile of 2 by 2 outputs. Position (i, j) of the 25
 * is a product of matrices over the input channels, made by the inner loop of mla.c on four tiles at a time.
 *
 * Bounds at 2 bits, with values in [-1, 2] and stored weights in [-2, 1]: a difference doubles the width of a value, to
 * [-3, 3], along both axes to [-6, 6]; a sum of taps doubles a weight, to [-4, 2] and [-8, 4]. Products are then at most
 * 4 (32 of them fit in a byte), 6 (21), 8 (16), 12 (10) and 16 (8) in size. The sums of 16 bits are taken modulo 2^16:
 * only the raw sum has to fit. */
#include "neon.h"

#if MGK_HAS_NEON
#include <string.h>

#include "qconv/neon/mla_block.h"
#include "qconv/neon/polyphase.h"

static const size_t tap_of[AXIS] = {0, 1, 2, 3, 3};
/* Which positions of an axis only the second output needs. */
static const int second_only[AXIS] = {0, 0, 1, 0, 1};

static size_t find_period(const mgk_direct_form *form, size_t i, size_t j)
{
    mgk_direct_form position = *form;
    const size_t axes[2] = {i, j};
    int32_t low = form->value_low, high = form->value_high, weight = 1;
    for (int k = 0; k < 2; k++) {
        if (axes[k] == 0 || axes[k] == 2) {
            const int32_t width = high - low;
            low = -width;
            high = width;
        } else if (axes[k] == 1) {
            weight *= 2;
        }
    }
    const int32_t corners[4] = {low * weight * form->stored_low, low * weight * form->stored_high,
                                high * weight * form->stored_low, high * weight * form->stored_high};
    position.product_low = position.product_high = 0;
    for (int k = 0; k < 4; k++) {
        position.product_low = corners[k] < position.product_low ? corners[k] : position.product_low;
        position.product_high = corners[k] > position.product_high ? corners[k] : position.product_high;
    }
    return mgk_most_products(&position, 8) / 4;
}

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
    for (size_t i = 0; i < AXIS; i++) {
        for (size_t j = 0; j < AXIS; j++) {
            d->period[i * AXIS + j] = find_period(&d->form, i, j);
            if (d->period[i * AXIS + j] == 0) {
                return 0;
            }
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

/* ---------------------------------------------------------------- weights */

static size_t weights_size(const mgk_qconv *layer)
{
    polyphase d;
    if (!find(layer, &d)) {
        return 0;
    }
    size_t size = d.pitch;
    return mgk_multiply(&size, TAPS * TAPS) && mgk_multiply(&size, layer->conv.in_channels) ? size : 0;
}

/* [block of output channels][kind of weight][pair of input channels][output channel][2] */
static size_t find_weight(size_t in_channels, size_t out, size_t kind, size_t in)
{
    return ((out / BLOCK * TAPS * TAPS + kind) * in_channels + in / 2 * 2) * BLOCK + out % BLOCK * 2 + in % 2;
}

static void transform_weights(const int32_t g[3][3], int32_t u[TAPS][TAPS])
{
    int32_t rows[TAPS][3];
    for (int x = 0; x < 3; x++) {
        rows[0][x] = g[0][x];
        rows[1][x] = g[0][x] + g[2][x];
        rows[2][x] = g[2][x];
        rows[3][x] = g[1][x];
    }
    for (int i = 0; i < TAPS; i++) {
        u[i][0] = rows[i][0];
        u[i][1] = rows[i][0] + rows[i][2];
        u[i][2] = rows[i][2];
        u[i][3] = rows[i][1];
    }
}

static void prepare(const mgk_qconv_weights *weights, uint8_t *section, mgk_raw *raw)
{
    const mgk_qconv *layer = weights->layer;
    const size_t channels = layer->conv.in_channels;
    polyphase d;
    if (!find(layer, &d)) {
        return; /* not reached: the kernel took the layer */
    }
    for (size_t out = 0; out < layer->conv.out_channels; out++) {
        for (size_t in = 0; in < channels; in++) {
            int32_t g[3][3], u[TAPS][TAPS];
            for (size_t tap = 0; tap < 9; tap++) {
                const int32_t weight = mgk_weight(weights, out, tap * channels + in);
                g[tap / 3][tap % 3] = (weight - d.form.base) / d.form.scale;
                raw->offset[out] += weight * (d.form.centre - (layer->has_zero ? weights->zero[in] : 0));
            }
            transform_weights((const int32_t (*)[3])g, u);
            for (size_t kind = 0; kind < TAPS * TAPS; kind++) {
                section[find_weight(channels, out, kind, in)] = (uint8_t)u[kind / TAPS][kind % TAPS];
            }
        }
    }
    raw->bits = mgk_direct_raw(layer, &d.form, &raw->low, &raw->high);
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
    const int8_t *weights = (const int8_t *)run->weights + block * TAPS * TAPS * channels * BLOCK;
    const int16_t *inputs = (const int16_t *)(const void *)(run->workspace + d->inputs);
    int16_t *products = (int16_t *)(void *)(run->workspace + d->products);
    const size_t product = sizeof(mgk_mla_sums) / sizeof(int16_t);
    mgk_mla_sums sums;
    for (size_t i = 0; i < AXIS; i++) {
        for (size_t j = 0; j < AXIS; j++) {
            const size_t position = i * AXIS + j;
            const int8_t *w = weights + (tap_of[i] * TAPS + tap_of[j]) * channels * BLOCK;
            for (size_t f = 0; f < fours; f++) {
                /* The last row of tiles may have no second row of outputs. */
                if (second_only[i] && run->layer->geometry.out_height % 2 == 1 &&
                    tile + f * MGK_PATCHES >= tiles - d->tiles_x) {
                    continue;
                }
                mgk_mla_products(w, inputs + (f * POSITIONS + position) * channels * MGK_PATCHES / 2, channels / 8,
                                 d->period[position], sums, products + (f * POSITIONS + position) * product);
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
