/* Direct convolution by 8-bit multiply-add: operands so narrow that several products fit in a signed byte.
 *
 * Lanes are 8 output channels by 2 neighbouring elements of a patch, so that a pairwise SADALP leaves 8 sums of 16
 * bits, one an output channel. Lane bounds, with weights w' = j - 2^(b-1) and values a' = code - (2^(b-1) - 1):
 *     1 bit:  w' in [-1, 0], a' in [0, 1]:  products in [-1, 0],   128 of them are -128
 *     2 bits: w' in [-2, 1], a' in [-1, 2]: products in [-4, 2],   32 of them are -128 and 64
 *     3 bits: w' in [-4, 3], a' in [-3, 4]: products in [-16, 12], 8 of them are -128 and 96
 * mgk_most_products finds the count for any widths from the bounds; a chunk is so long that 16 bits hold its sum (a flush
 * adds two lanes). */
#include "neon.h"

#if MGK_HAS_NEON
#include "qconv/neon/mla_block.h"

enum { UNIT = 2, LANES = 8, LEAST_FLUSH = 4 };

/* Any number of vectors and steps: sums (first: =, else +=) the products. */
MGK_INLINE void add_steps(const int vectors, const int8_t **weights, const int16_t **patches, size_t steps,
                          size_t flush, int first, mgk_mla_sums sums)
{
    while (steps > 0) {
        int8x16_t sum[MGK_PATCHES][MGK_BLOCK_VECTORS];
        for (int p = 0; p < MGK_PATCHES; p++) {
            for (int v = 0; v < vectors; v++) {
                sum[p][v] = vdupq_n_s8(0);
            }
        }
        const size_t n = steps < flush ? steps : flush;
        for (size_t i = 0; i < n; i++) {
            const int16x8x4_t a = vld4q_dup_s16(*patches);
            for (int v = 0; v < vectors; v++) {
                const int8x16_t w = vld1q_s8(*weights + 16 * v);
                for (int p = 0; p < MGK_PATCHES; p++) {
                    sum[p][v] = vmlaq_s8(sum[p][v], w, vreinterpretq_s8_s16(a.val[p]));
                }
            }
            *patches += MGK_PATCHES;
            *weights += 16 * vectors;
        }
        for (int p = 0; p < MGK_PATCHES; p++) {
            for (int v = 0; v < vectors; v++) {
                const int16x8_t before = first ? vdupq_n_s16(0) : vld1q_s16(sums[p][v]);
                vst1q_s16(sums[p][v], vpadalq_s8(before, sum[p][v]));
            }
        }
        first = 0;
        steps -= n;
    }
}

/* From 16-bit sums in memory to raw ones. */
MGK_INLINE void store_sums(const mgk_tiles *t, const int vectors, size_t pixel, int first, mgk_mla_sums sums)
{
    for (size_t p = 0; p < MGK_PATCHES; p++) {
        const int32_t bias = t->bias[pixel + p];
        for (int v = 0; v < vectors; v++) {
            if (t->raw_bits == 16) {
                mgk_store_16(t, pixel + p, (size_t)v, vdupq_n_s16((int16_t)bias), vld1q_s16(sums[p][v]));
            } else {
                mgk_store_32(t, pixel + p, (size_t)v, first, bias, vld1q_s16(sums[p][v]));
            }
        }
    }
}

/* A whole block of output channels. Steps that are no four go first. */
MGK_INLINE void run_full_tile(const mgk_tiles *t, size_t pixel, const int16_t *patches)
{
    static const int32_t zeros[MGK_PATCHES] = {0};
    const int8_t *weights = (const int8_t *)t->weights;
    mgk_mla_sums sums;
    for (size_t done = 0; done < t->steps; done += t->chunk) {
        const size_t chunk = t->steps - done < t->chunk ? t->steps - done : t->chunk;
        const size_t rest = chunk % 4;
        if (rest > 0) {
            add_steps(MGK_BLOCK_VECTORS, &weights, &patches, rest, t->flush, 1, sums);
        }
        if (chunk >= 4 && t->raw_bits == 16) {
            mgk_mla_block(weights, patches, chunk / 4, t->flush / 4, rest == 0, sums, t->scale - 1, t->bias + pixel,
                          (int16_t *)t->raw + pixel * t->pitch, t->pitch);
            return;
        }
        if (chunk >= 4) {
            mgk_mla_block(weights, patches, chunk / 4, t->flush / 4, rest == 0, sums, 0, zeros, sums[0][0],
                          sizeof sums[0] / sizeof sums[0][0][0]);
            weights += chunk / 4 * 4 * 16 * MGK_BLOCK_VECTORS;
            patches += chunk / 4 * 4 * MGK_PATCHES;
        }
        store_sums(t, MGK_BLOCK_VECTORS, pixel, done == 0, sums);
    }
}

MGK_INLINE void run_tile(const mgk_tiles *t, const int vectors, size_t pixel, const int16_t *patches)
{
    const int8_t *weights = (const int8_t *)t->weights;
    mgk_mla_sums sums;
    for (size_t done = 0; done < t->steps; done += t->chunk) {
        const size_t chunk = t->steps - done < t->chunk ? t->steps - done : t->chunk;
        add_steps(vectors, &weights, &patches, chunk, t->flush, 1, sums);
        store_sums(t, vectors, pixel, done == 0, sums);
    }
}

/* The common case, with what it needs in registers: a copy, as assembly may write anything else. */
static void run_narrow_tiles(const mgk_tiles *all)
{
    const mgk_tiles t = *all;
    const size_t groups = t.steps / 4;
    const int16_t *patches = (const int16_t *)(const void *)t.patches;
    const int32_t *bias = t.bias;
    int16_t *raw = t.raw;
    mgk_mla_sums sums;
    for (size_t i = 0; i < t.fours; i++) {
        mgk_mla_block((const int8_t *)t.weights, patches, groups, t.flush / 4, 1, sums, t.scale - 1, bias, raw,
                      t.pitch);
        patches += t.four_size / sizeof *patches;
        bias += MGK_PATCHES;
        raw += MGK_PATCHES * t.pitch;
    }
}

static void run_tiles(const mgk_tiles *t)
{
    if (t->vectors == MGK_BLOCK_VECTORS && t->raw_bits == 16 && t->steps % 4 == 0) {
        run_narrow_tiles(t);
        return;
    }
    for (size_t i = 0; i < t->fours; i++) {
        const int16_t *patches = (const int16_t *)(const void *)(t->patches + i * t->four_size);
        switch (t->vectors) {
        case 1: run_tile(t, 1, MGK_PATCHES * i, patches); break;
        case 2: run_tile(t, 2, MGK_PATCHES * i, patches); break;
        case 3: run_tile(t, 3, MGK_PATCHES * i, patches); break;
        default: run_full_tile(t, MGK_PATCHES * i, patches); break;
        }
    }
}

/* ---------------------------------------------------------------- the kernel */

static int find(const mgk_qconv *layer, mgk_direct *direct)
{
    int32_t low, high;
    *direct = (mgk_direct){.unit = UNIT,
                           .lanes = LANES,
                           .neighbours = 16 / LANES,
                           .vectors = MGK_BLOCK_VECTORS,
                           .convert = mgk_centre,
                           .tiles = run_tiles};
    mgk_find_byte_form(layer, &direct->form);
    if (layer->groups != 1 || !mgk_find_patches(layer, layer->conv.in_channels, UNIT, &direct->patches)) {
        return 0;
    }
    direct->flush = mgk_most_products(&direct->form, 8);
    if (direct->flush >= LEAST_FLUSH) {
        direct->flush = direct->flush / 4 * 4; /* the inner loop takes four steps at a time */
    }
    direct->chunk = mgk_most_products(&direct->form, 16) / UNIT;
    direct->raw_bits = mgk_direct_raw(layer, &direct->form, &low, &high);
    if (direct->raw_bits == 16) { /* only the raw sums have to fit */
        direct->chunk = SIZE_MAX;
    }
    return direct->flush >= LEAST_FLUSH && direct->raw_bits != 0;
}

MGK_DIRECT_KERNEL(mgk_qconv_neon_mla, "neon-mla", MGK_NEON);
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
