/* Direct convolution by 8-bit multiply-add where two products fit in a signed byte, so that three instructions make 32
 * products: MUL, MLA, SADALP. With weights w' in [-8, 7] and values a' in [-7, 8], 4 bits each, products lie in
 * [-64, 56]: two are at least -128 and at most 112. A 16-bit sum holds 512 of them (512 * -64 = -2^15); longer patches are
 * taken in chunks, whose sums are added in 32 bits. Where the raw sum fits in 16 bits its parts need not. */
#include "neon.h"

#if MGK_HAS_NEON
#include "qconv/neon/pairs_block.h"

enum { UNIT = 4, LANES = 8 };

MGK_INLINE void add_steps(const int vectors, const int8_t *weights, const int16_t *patches, size_t steps,
                          mgk_pairs_sums sums)
{
    int16x8_t sum[MGK_PATCHES][MGK_BLOCK_VECTORS];
    for (int p = 0; p < MGK_PATCHES; p++) {
        for (int v = 0; v < vectors; v++) {
            sum[p][v] = vdupq_n_s16(0);
        }
    }
    for (; steps > 0; steps--) {
        for (int p = 0; p < MGK_PATCHES; p++) {
            const int8x16_t a0 = vreinterpretq_s8_s16(vld1q_dup_s16(patches++));
            const int8x16_t a1 = vreinterpretq_s8_s16(vld1q_dup_s16(patches++));
            for (int v = 0; v < vectors; v++) {
                const int8x16_t first = vmulq_s8(vld1q_s8(weights + 16 * v), a0);
                sum[p][v] = vpadalq_s8(sum[p][v], vmlaq_s8(first, vld1q_s8(weights + 16 * (vectors + v)), a1));
            }
        }
        weights += 2 * 16 * vectors;
    }
    for (int p = 0; p < MGK_PATCHES; p++) {
        for (int v = 0; v < vectors; v++) {
            vst1q_s16(sums[p][v], sum[p][v]);
        }
    }
}

MGK_INLINE void run_tile(const mgk_tiles *t, const int vectors, size_t pixel, const int16_t *patches)
{
    const int8_t *weights = (const int8_t *)t->weights;
    const size_t steps = t->steps / 2; /* of two pairs each */
    mgk_pairs_sums sums;
    for (size_t done = 0, n; done < steps; done += n) {
        n = steps - done < t->chunk ? steps - done : t->chunk;
        if (vectors == MGK_BLOCK_VECTORS) {
            mgk_pairs_block(weights, patches, n, sums);
        } else {
            add_steps(vectors, weights, patches, n, sums);
        }
        weights += n * 2 * 16 * (size_t)vectors;
        patches += n * 2 * MGK_PATCHES;
        for (size_t p = 0; p < MGK_PATCHES; p++) {
            const int32_t bias = t->bias[pixel + p];
            for (int v = 0; v < vectors; v++) {
                if (t->raw_bits == 16) {
                    mgk_store_16(t, pixel + p, (size_t)v, vdupq_n_s16((int16_t)bias), vld1q_s16(sums[p][v]));
                } else {
                    mgk_store_32(t, pixel + p, (size_t)v, done == 0, bias, vld1q_s16(sums[p][v]));
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
        default: run_tile(t, MGK_BLOCK_VECTORS, MGK_PATCHES * i, patches); break;
        }
    }
}

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
    direct->raw_bits = mgk_direct_raw(layer, &direct->form, &low, &high);
    direct->chunk = direct->raw_bits == 16 ? SIZE_MAX : mgk_most_products(&direct->form, 16) / UNIT;
    return direct->raw_bits != 0 && mgk_most_products(&direct->form, 8) >= 2;
}

MGK_DIRECT_KERNEL(mgk_qconv_neon_pairs, "neon-pairs", MGK_NEON);
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
