/* The direct kernels' common part: their form, weights of bytes, and the walk over pixels and output channels. */
#if defined(__aarch64__)
#include "qconv/neon/direct.h"

#include <arm_neon.h>
#include <string.h>

enum { VECTOR = 16, PATCH_BYTES = 32768, MOST_FOURS = 32 };

/* ---------------------------------------------------------------- the form and its bounds */

static int32_t smaller(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

static int32_t larger(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

/* Of products of a number in [a_low, a_high] and one in [b_low, b_high]. */
static void multiply_ranges(int32_t a_low, int32_t a_high, int32_t b_low, int32_t b_high, int32_t *low, int32_t *high)
{
    *low = smaller(smaller(a_low * b_low, a_low * b_high), smaller(a_high * b_low, a_high * b_high));
    *high = larger(larger(a_low * b_low, a_low * b_high), larger(a_high * b_low, a_high * b_high));
}

size_t mgk_most_products(const mgk_direct_form *form, int bits)
{
    const int32_t half = (int32_t)1 << (bits - 1);
    size_t most = SIZE_MAX;
    if (form->product_low < 0) {
        most = (size_t)(half / -form->product_low);
    }
    if (form->product_high > 0 && (size_t)((half - 1) / form->product_high) < most) {
        most = (size_t)((half - 1) / form->product_high);
    }
    return most;
}

static void set_centre(const mgk_qconv *layer, int32_t centre, mgk_direct_form *form)
{
    form->centre = layer->bipolar ? 0 : centre;
    form->value_low = layer->bipolar ? -1 : -centre;
    form->value_high = layer->bipolar ? 1 : mgk_top_code(layer->activation_bits) - centre;
    multiply_ranges(form->stored_low, form->stored_high, form->value_low, form->value_high, &form->product_low,
                    &form->product_high);
    multiply_ranges(layer->weight_low, layer->weight_high, form->value_low, form->value_high, &form->term_low,
                    &form->term_high);
}

int mgk_find_byte_form(const mgk_qconv *layer, mgk_direct_form *form)
{
    const int32_t half = (int32_t)1 << (layer->weight_bits - 1);
    form->stored_low = -half;
    form->stored_high = half - 1;
    switch (layer->encoding) {
    case MGK_ODD: /* 2 j - (2 half - 1) = 2 (j - half) + 1 */
        form->scale = 2;
        form->base = 1;
        break;
    case MGK_OFFSET: /* j - zero = (j - half) + (half - zero) */
        form->scale = 1;
        form->base = half - layer->weight_zero;
        break;
    default:
        form->scale = 1;
        form->base = 0;
        form->stored_low = layer->weight_low;
        form->stored_high = layer->weight_high;
        break;
    }
    /* Of the two centres of 2^b codes the one that more products fit with in a byte. */
    const int32_t upper = (int32_t)1 << (layer->activation_bits - 1);
    set_centre(layer, upper - 1, form);
    const size_t most = mgk_most_products(form, 8);
    if (form->value_high > INT8_MAX) {
        set_centre(layer, upper, form);
    } else if (!layer->bipolar) {
        mgk_direct_form other = *form;
        set_centre(layer, upper, &other);
        if (mgk_most_products(&other, 8) > most) {
            *form = other;
        }
    }
    return 1;
}

int mgk_direct_raw(const mgk_qconv *layer, const mgk_direct_form *form, int32_t *low, int32_t *high)
{
    const int64_t terms = (int64_t)layer->geometry.row_length;
    const int64_t most =
        INT32_MAX - 2; /* the terms of weight * value are no more than those of weight * code by much */
    if (layer->geometry.row_length > INT32_MAX / 65536) {
        return 0;
    }
    const int64_t sum_low = terms * form->term_low;
    const int64_t sum_high = terms * form->term_high;
    if (sum_low < -most || sum_high > most) {
        return 0;
    }
    *low = (int32_t)(sum_low < 0 ? sum_low : 0);
    *high = (int32_t)(sum_high > 0 ? sum_high : 0);
    return *low >= -INT16_MAX && *high <= INT16_MAX - 1 ? 16 : 32;
}

/* ---------------------------------------------------------------- weights */

size_t mgk_direct_weights_size(const mgk_qconv *layer, const mgk_direct *direct)
{
    size_t size = mgk_round_up(layer->conv.out_channels, direct->lanes);
    return size != 0 && mgk_multiply(&size, direct->patches.size) ? size : 0;
}

size_t mgk_direct_find_weight(const mgk_qconv *layer, const mgk_direct *direct, size_t out, size_t byte)
{
    const size_t block = direct->vectors * direct->lanes;
    const size_t neighbours = VECTOR / direct->lanes;
    const size_t first = out / block * block;
    const size_t left = mgk_round_up(layer->conv.out_channels, direct->lanes) - first;
    const size_t width = left < block ? left : block;
    return first * direct->patches.size + (byte / neighbours * width + (out - first)) * neighbours + byte % neighbours;
}

void mgk_direct_prepare_bytes(const mgk_qconv_weights *weights, const mgk_direct *direct, uint8_t *section,
                              mgk_raw *raw)
{
    const mgk_qconv *layer = weights->layer;
    const mgk_conv2d *c = &layer->conv;
    const mgk_direct_form *form = &direct->form;
    mgk_direct_raw(layer, form, &raw->low, &raw->high);
    raw->bits = direct->raw_bits;
    for (size_t out = 0; out < c->out_channels; out++) {
        size_t element = 0;
        int32_t offset = 0;
        for (size_t ky = 0; ky < c->kernel_height; ky++) {
            for (size_t kx = 0; kx < c->kernel_width; kx++) {
                const size_t tap = mgk_patch_tap(&direct->patches, layer, ky, kx);
                for (size_t i = 0; i < c->in_channels; i++) {
                    const int32_t weight = mgk_weight(weights, out, element++);
                    const int32_t stored = (weight - form->base) / form->scale;
                    section[mgk_direct_find_weight(layer, direct, out, tap + i)] = (uint8_t)stored;
                    offset += weight * (form->centre - (layer->has_zero ? weights->zero[i] : 0));
                }
            }
        }
        raw->offset[out] = offset;
    }
}

/* ---------------------------------------------------------------- the image */

/* value = code - centre, or 2 code - 1, and the sum of the values. */
static int32_t centre_bytes(const uint8_t *codes, size_t size, int bipolar, int8_t centre, int8_t *image)
{
    const int8x16_t less = vdupq_n_s8(bipolar ? 1 : centre);
    int32x4_t sum = vdupq_n_s32(0);
    size_t i = 0;
    if (!bipolar) {
        for (; size - i >= 64; i += 64) {
            const int8x16_t a = vsubq_s8(vreinterpretq_s8_u8(vld1q_u8(codes + i)), less);
            const int8x16_t b = vsubq_s8(vreinterpretq_s8_u8(vld1q_u8(codes + i + 16)), less);
            const int8x16_t c = vsubq_s8(vreinterpretq_s8_u8(vld1q_u8(codes + i + 32)), less);
            const int8x16_t d = vsubq_s8(vreinterpretq_s8_u8(vld1q_u8(codes + i + 48)), less);
            vst1q_s8(image + i, a);
            vst1q_s8(image + i + 16, b);
            vst1q_s8(image + i + 32, c);
            vst1q_s8(image + i + 48, d);
            /* eight bytes of at most 2^7 in a lane */
            const int16x8_t pairs = vpadalq_s8(vpadalq_s8(vpadalq_s8(vpaddlq_s8(a), b), c), d);
            sum = vpadalq_s16(sum, pairs);
        }
    }
    for (; size - i >= 16; i += 16) {
        const int8x16_t code = vreinterpretq_s8_u8(vld1q_u8(codes + i));
        const int8x16_t value = vsubq_s8(bipolar ? vaddq_s8(code, code) : code, less);
        vst1q_s8(image + i, value);
        sum = vpadalq_s16(sum, vpaddlq_s8(value));
    }
    int32_t total = vaddvq_s32(sum);
    for (; i < size; i++) {
        image[i] = (int8_t)(bipolar ? 2 * codes[i] - 1 : codes[i] - centre);
        total += image[i];
    }
    return total;
}

void mgk_centre(const mgk_qconv *layer, const mgk_patches *patches, const mgk_direct_form *form, const uint8_t *codes,
                size_t pixels, uint8_t *image, int32_t *sums)
{
    const size_t channels = patches->pixel;
    for (size_t i = 0; i < pixels; i++) {
        sums[i] = centre_bytes(codes + i * channels, channels, layer->bipolar, (int8_t)form->centre,
                               (int8_t *)image + i * channels);
    }
}

/* ---------------------------------------------------------------- the run */

typedef struct workspace {
    uint8_t *outside, *image, *patches, *raw;
    int32_t *sums, *columns, *patch_sums;
    size_t size, fours;
} workspace;

static int lay_out(const mgk_qconv *layer, const mgk_direct *direct, uint8_t *base, workspace *w)
{
    const mgk_patches *p = &direct->patches;
    const size_t four = mgk_four_patches_size(p);
    size_t outside, image, sums, columns, patch_sums, patches, raw;
    size_t pitch = mgk_round_up(layer->conv.out_channels, MGK_CHANNEL_BLOCK);
    w->fours = PATCH_BYTES / four;
    w->fours = w->fours < 1 ? 1 : w->fours > MOST_FOURS ? MOST_FOURS : w->fours;
    w->size = 0;
    if (pitch == 0 || !mgk_multiply(&pitch, (size_t)direct->raw_bits / 8) ||
        !mgk_take(&w->size, p->pixel, 1, &outside) || !mgk_take(&w->size, mgk_image_size(p), 1, &image) ||
        !mgk_take(&w->size, p->height * p->width, 4, &sums) || !mgk_take(&w->size, p->width, 4, &columns) ||
        !mgk_take(&w->size, layer->geometry.out_pixels + MGK_PATCHES, 4, &patch_sums) ||
        !mgk_take(&w->size, four, w->fours, &patches) || !mgk_take(&w->size, pitch, w->fours * MGK_PATCHES, &raw)) {
        return 0;
    }
    if (base != NULL) {
        w->outside = base + outside;
        w->image = base + image;
        w->sums = (int32_t *)(void *)(base + sums);
        w->columns = (int32_t *)(void *)(base + columns);
        w->patch_sums = (int32_t *)(void *)(base + patch_sums);
        w->patches = base + patches;
        w->raw = base + raw;
    }
    return 1;
}

size_t mgk_direct_workspace_size(const mgk_qconv *layer, const mgk_direct *direct)
{
    workspace w;
    return lay_out(layer, direct, NULL, &w) ? w.size : 0;
}

static void run_blocks(const mgk_qconv_run *run, const mgk_direct *direct, mgk_tiles *tiles)
{
    const size_t block = direct->vectors * direct->lanes;
    const size_t channels = mgk_round_up(run->layer->conv.out_channels, direct->lanes);
    uint8_t *const raw = tiles->raw;
    tiles->weights = run->weights;
    for (size_t c = 0; c < channels; c += block) {
        tiles->vectors = (channels - c < block ? channels - c : block) / direct->lanes;
        tiles->raw = raw + c * (size_t)(direct->raw_bits / 8);
        direct->tiles(tiles);
        tiles->weights += tiles->vectors * direct->lanes * direct->patches.size;
    }
    tiles->raw = raw;
}

/* The image, and what the patches' sums add to raw sums. */
static void make_image(const mgk_qconv_run *run, const mgk_direct *direct, const workspace *w)
{
    const mgk_qconv *layer = run->layer;
    const mgk_patches *p = &direct->patches;
    const size_t pixels = layer->geometry.out_pixels;
    int32_t outside_sum;
    if (layer->bipolar) {
        memset(w->outside, 0, p->pixel);
        outside_sum = 0;
    } else {
        direct->convert(layer, p, &direct->form, run->zero, 1, w->outside, &outside_sum);
    }
    mgk_make_image(run, p, direct->convert, &direct->form, w->outside, outside_sum, w->image, w->sums);
    if (direct->form.base != 0) {
        mgk_sum_patches(layer, p, w->sums, direct->form.base, w->columns, w->patch_sums);
    } else {
        memset(w->patch_sums, 0, pixels * sizeof *w->patch_sums);
    }
    memset(w->patch_sums + pixels, 0, MGK_PATCHES * sizeof *w->patch_sums);
}

void mgk_direct_run(const mgk_qconv_run *run, const mgk_direct *direct)
{
    const mgk_qconv *layer = run->layer;
    const mgk_patches *p = &direct->patches;
    const size_t pixels = layer->geometry.out_pixels;
    workspace w;
    if (!lay_out(layer, direct, run->workspace, &w)) {
        return; /* not reached: the same sizes were found before */
    }
    const int pointwise = mgk_is_pointwise(layer, direct);
    if (!pointwise) {
        make_image(run, direct, &w);
    }
    mgk_tiles tiles = {.patches = w.patches,
                       .four_size = mgk_four_patches_size(p),
                       .steps = p->size / (VECTOR / direct->lanes),
                       .flush = direct->flush,
                       .chunk = direct->chunk,
                       .scale = direct->form.scale,
                       .raw = w.raw,
                       .pitch = mgk_round_up(layer->conv.out_channels, MGK_CHANNEL_BLOCK),
                       .raw_bits = direct->raw_bits};
    for (size_t begin = 0; begin < pixels; begin += w.fours * MGK_PATCHES) {
        const size_t left = pixels - begin < w.fours * MGK_PATCHES ? pixels - begin : w.fours * MGK_PATCHES;
        tiles.fours = (left + MGK_PATCHES - 1) / MGK_PATCHES;
        tiles.bias = w.patch_sums + begin;
        for (size_t i = 0; i < tiles.fours; i++) {
            const size_t pixel = begin + i * MGK_PATCHES;
            uint8_t *four = w.patches + i * tiles.four_size;
            if (pointwise) {
                mgk_four_points(run, direct, pixel, four, w.patch_sums + pixel);
            } else {
                mgk_four_patches(layer, p, w.image, pixel, four);
            }
        }
        run_blocks(run, direct, &tiles);
        if (direct->correct != NULL) {
            direct->correct(run, direct, &tiles, begin, left);
        }
        if (direct->raw_bits == 16) {
            mgk_epilogue_i16(run, (const int16_t *)tiles.raw, tiles.pitch, begin, left, 0, layer->conv.out_channels);
        } else {
            mgk_epilogue_i32(run, (const int32_t *)tiles.raw, tiles.pitch, begin, left, 0, layer->conv.out_channels);
        }
    }
}
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
