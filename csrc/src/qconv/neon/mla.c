/* Direct convolution by 8-bit multiply-add: operands so narrow that several products fit in a signed byte.
 *
 * Lanes are 8 output channels by 2 neighbouring elements of a patch, so that a pairwise SADALP leaves 8 sums of 16
 * bits, one an output channel. Lane bounds, with weights w' = j - 2^(b-1) and values a' = code - (2^(b-1) - 1):
 *     1 bit:  w' in [-1, 0], a' in [0, 1]:  products in [-1, 0],   128 of them are -128
 *     2 bits: w' in [-2, 1], a' in [-1, 2]: products in [-4, 2],   32 of them are -128 and 64
 *     3 bits: w' in [-4, 3], a' in [-3, 4]: products in [-16, 12], 8 of them are -128 and 96
 * mgk_most_products finds the count for any widths from the bounds; a chunk is so long that 16 bits hold its sum (a flush
 * adds two lanes). */
#if defined(__aarch64__)
#include "qconv/neon/mla_block.h"

enum { UNIT = 2, LANES = 8, LEAST_FLUSH = 3 };

MGK_INLINE void load_step(const int vectors, const int8_t **weights, const int16_t **patches, int8x16_t *w,
                          int8x16_t *a)
{
    const int16x8x4_t x = vld4q_dup_s16(*patches);
    for (int p = 0; p < MGK_PATCHES; p++) {
        a[p] = vreinterpretq_s8_s16(x.val[p]);
    }
    *patches += MGK_PATCHES;
    if (vectors == 4) {
        const int8x16x4_t y = vld1q_s8_x4(*weights);
        w[0] = y.val[0], w[1] = y.val[1], w[2] = y.val[2], w[3] = y.val[3];
    } else {
        for (int v = 0; v < vectors; v++) {
            w[v] = vld1q_s8(*weights + 16 * v);
        }
    }
    *weights += 16 * vectors;
}

MGK_INLINE void multiply_step(const int vectors, const int8_t **weights, const int16_t **patches,
                              int8x16_t sum[MGK_PATCHES][MGK_BLOCK_VECTORS])
{
    int8x16_t w[MGK_BLOCK_VECTORS], a[MGK_PATCHES];
    load_step(vectors, weights, patches, w, a);
    for (int p = 0; p < MGK_PATCHES; p++) {
        for (int v = 0; v < vectors; v++) {
            sum[p][v] = vmulq_s8(w[v], a[p]);
        }
    }
}

MGK_INLINE void add_step(const int vectors, const int8_t **weights, const int16_t **patches,
                         int8x16_t sum[MGK_PATCHES][MGK_BLOCK_VECTORS])
{
    int8x16_t w[MGK_BLOCK_VECTORS], a[MGK_PATCHES];
    load_step(vectors, weights, patches, w, a);
    for (int p = 0; p < MGK_PATCHES; p++) {
        for (int v = 0; v < vectors; v++) {
            sum[p][v] = vmlaq_s8(sum[p][v], w[v], a[p]);
        }
    }
}

/* One tile. The 16-bit sums wait in memory: with them in registers the tile would have to be smaller, and loads more. */
MGK_INLINE void run_tile(const mgk_tiles *t, const int vectors, size_t pixel, const int16_t *patches)
{
    const int8_t *weights = (const int8_t *)t->weights;
    int16_t sums[MGK_PATCHES][MGK_BLOCK_VECTORS][LANES];
    for (size_t done = 0; done < t->steps; done += t->chunk) {
        size_t left = t->steps - done < t->chunk ? t->steps - done : t->chunk;
        for (int first = 1; left > 0; first = 0) {
            const size_t n = left < t->flush ? left : t->flush;
            left -= n;
            int8x16_t sum[MGK_PATCHES][MGK_BLOCK_VECTORS];
            size_t rest = n;
            if (vectors == MGK_BLOCK_VECTORS && n >= 4) {
                mgk_mla_block(&weights, &patches, n / 4, sum);
                rest = n % 4;
            } else {
                multiply_step(vectors, &weights, &patches, sum);
                rest--;
            }
            for (; rest > 0; rest--) {
                add_step(vectors, &weights, &patches, sum);
            }
            if (first && left > 0) {
                for (int p = 0; p < MGK_PATCHES; p++) {
                    for (int v = 0; v < vectors; v++) {
                        vst1q_s16(sums[p][v], vpaddlq_s8(sum[p][v]));
                    }
                }
            } else if (left > 0) {
                for (int p = 0; p < MGK_PATCHES; p++) {
                    for (int v = 0; v < vectors; v++) {
                        vst1q_s16(sums[p][v], vpadalq_s8(vld1q_s16(sums[p][v]), sum[p][v]));
                    }
                }
            } else {
                for (int p = 0; p < MGK_PATCHES; p++) {
                    const int32_t bias = t->bias[pixel + (size_t)p];
                    const int16x8_t bias_16 = vdupq_n_s16((int16_t)bias);
                    for (int v = 0; v < vectors; v++) {
                        const int16x8_t total =
                            first ? vpaddlq_s8(sum[p][v]) : vpadalq_s8(vld1q_s16(sums[p][v]), sum[p][v]);
                        if (t->raw_bits == 16) {
                            mgk_store_16(t, pixel + (size_t)p, (size_t)v, bias_16, total);
                        } else {
                            mgk_store_32(t, pixel + (size_t)p, (size_t)v, done == 0, bias, total);
                        }
                    }
                }
            }
        }
    }
}

static void run_tiles(const mgk_tiles *t)
{
    for (size_t i = 0; i < t->fours; i++) {
        const int16_t *patches = (const int16_t *)(const void *)(t->patches + i * t->four_size);
        switch (t->vectors) {
        case 1: run_tile(t, 1, MGK_PATCHES * i, patches); break;
        case 2: run_tile(t, 2, MGK_PATCHES * i, patches); break;
        case 3: run_tile(t, 3, MGK_PATCHES * i, patches); break;
        default: run_tile(t, 4, MGK_PATCHES * i, patches); break;
        }
    }
}

/* ---------------------------------------------------------------- the kernel */

static int find(const mgk_qconv *layer, mgk_direct *direct)
{
    int32_t low, high;
    *direct = (mgk_direct){.unit = UNIT, .lanes = LANES, .convert = mgk_centre, .tiles = run_tiles};
    if (layer->groups != 1 || !mgk_find_byte_form(layer, &direct->form) ||
        !mgk_find_patches(layer, layer->conv.in_channels, UNIT, &direct->patches)) {
        return 0;
    }
    direct->flush = mgk_most_products(&direct->form, 8);
    if (direct->flush > 4) {
        direct->flush = direct->flush / 4 * 4; /* the inner loop takes four steps at a time */
    }
    direct->chunk = mgk_most_products(&direct->form, 16) / UNIT;
    direct->raw_bits = mgk_direct_raw(layer, &direct->form, &low, &high);
    if (direct->raw_bits == 16) { /* only the raw sums have to fit */
        direct->chunk = SIZE_MAX;
    }
    return direct->flush >= LEAST_FLUSH && direct->raw_bits != 0;
}

static int takes(const mgk_qconv *layer)
{
    mgk_direct direct;
    return find(layer, &direct);
}

static size_t weights_size(const mgk_qconv *layer)
{
    mgk_direct direct;
    return find(layer, &direct) ? mgk_direct_weights_size(layer, &direct) : 0;
}

static size_t workspace_size(const mgk_qconv *layer)
{
    mgk_direct direct;
    return find(layer, &direct) ? mgk_direct_workspace_size(layer, &direct) : 0;
}

static void prepare(const mgk_qconv_weights *weights, uint8_t *section, mgk_raw *raw)
{
    mgk_direct direct;
    if (find(weights->layer, &direct)) {
        mgk_direct_prepare_bytes(weights, &direct, section, raw);
    }
}

static void run(const mgk_qconv_run *image)
{
    mgk_direct direct;
    if (find(image->layer, &direct)) {
        mgk_direct_run(image, &direct);
    }
}

const mgk_qconv_kernel mgk_qconv_neon_mla = {"neon-mla", MGK_NEON, takes, weights_size, prepare, workspace_size, run};
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
