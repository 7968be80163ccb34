/* What direct kernels by dot products and by products of matrices share: sums of 32 bits, 4 pixels by 4 output channels a
 * vector, and weights as they are where these are bytes.
 *
 * Nothing overflows: sums are taken modulo 2^32, and mgk_direct_raw has proven that raw = scale * sum + bias fits. */
#ifndef MGK_QCONV_NEON_WORDS_H
#define MGK_QCONV_NEON_WORDS_H

#include "qconv/neon/tile.h"

enum { MGK_WORD_LANES = 4 };

/* What makes the assembler take an extension: gcc writes .arch itself, which clears others. */
#if defined(__clang__)
#define MGK_EXTENSION(name) ".arch_extension " name "\n\t"
#else
#define MGK_EXTENSION(name)
#endif

/* The layer and its plan, for a kernel that takes `neighbours` bytes of a patch for each output channel. */
static inline int mgk_find_words(const mgk_qconv *layer, size_t neighbours, mgk_run_tiles *tiles, mgk_direct *direct)
{
    int32_t low, high;
    *direct = (mgk_direct){.unit = neighbours,
                           .lanes = MGK_WORD_LANES,
                           .neighbours = neighbours,
                           .vectors = MGK_BLOCK_VECTORS,
                           .convert = mgk_centre,
                           .tiles = tiles};
    mgk_find_plain_form(layer, &direct->form);
    if (!mgk_takes_groups(layer, &direct->form) ||
        !mgk_find_patches(layer, layer->conv.in_channels, neighbours, &direct->patches)) {
        return 0;
    }
    direct->raw_bits = mgk_direct_raw(layer, &direct->form, &low, &high);
    return direct->raw_bits != 0;
}

/* Raw sums of one pixel. */
MGK_INLINE void mgk_store_word_row(const mgk_tiles *t, const int vectors, const int plain, const int bits, size_t pixel,
                                   const int32x4_t sum[MGK_BLOCK_VECTORS])
{
    int32x4_t raw[MGK_BLOCK_VECTORS];
    for (int v = 0; v < vectors; v++) {
        raw[v] = plain ? sum[v] : vmlaq_n_s32(vdupq_n_s32(t->bias[pixel]), sum[v], t->scale);
    }
    if (bits == 32) {
        int32_t *to = (int32_t *)t->raw + pixel * t->pitch;
        for (int v = 0; v < vectors; v++) {
            vst1q_s32(to + 4 * v, raw[v]);
        }
        return;
    }
    int16_t *to = (int16_t *)t->raw + pixel * t->pitch;
    for (int v = 0; v < vectors; v += 2) {
        const int32x4_t next = v + 1 < vectors ? raw[v + 1] : raw[v]; /* rows are whole vectors of 8 */
        vst1q_s16(to + 4 * v, vuzp1q_s16(vreinterpretq_s16_s32(raw[v]), vreinterpretq_s16_s32(next)));
    }
}

/* Of one tile: no loop, so that sums stay in registers. */
MGK_INLINE void mgk_store_words(const mgk_tiles *t, const int vectors, const int plain, const int bits, size_t pixel,
                                const int32x4_t sum[MGK_PATCHES][MGK_BLOCK_VECTORS])
{
    mgk_store_word_row(t, vectors, plain, bits, pixel, sum[0]);
    mgk_store_word_row(t, vectors, plain, bits, pixel + 1, sum[1]);
    mgk_store_word_row(t, vectors, plain, bits, pixel + 2, sum[2]);
    mgk_store_word_row(t, vectors, plain, bits, pixel + 3, sum[3]);
}

/* Tiles as `run_tile` makes them of constants: the number of vectors, whether raw sums are the sums, and their bits. */
#define MGK_WORD_TILES(run_tile)                                                    \
    static void run_tiles(const mgk_tiles *all)                                     \
    {                                                                               \
        const mgk_tiles t = *all; /* a copy, as assembly may write anything else */ \
        const int8_t *patches = (const int8_t *)t.patches;                          \
        const int bits = t.raw_bits;                                                \
        for (size_t i = 0; i < t.fours; i++, patches += t.four_size) {              \
            const size_t pixel = MGK_PATCHES * i;                                   \
            if (t.vectors == 1) {                                                   \
                run_tile(&t, 1, t.plain, bits, pixel, patches);                     \
            } else if (t.vectors == 2) {                                            \
                run_tile(&t, 2, t.plain, bits, pixel, patches);                     \
            } else if (t.vectors == 3) {                                            \
                run_tile(&t, 3, t.plain, bits, pixel, patches);                     \
            } else if (t.plain && bits == 16) {                                     \
                run_tile(&t, MGK_BLOCK_VECTORS, 1, 16, pixel, patches);             \
            } else if (bits == 16) {                                                \
                run_tile(&t, MGK_BLOCK_VECTORS, 0, 16, pixel, patches);             \
            } else if (t.plain) {                                                   \
                run_tile(&t, MGK_BLOCK_VECTORS, 1, 32, pixel, patches);             \
            } else {                                                                \
                run_tile(&t, MGK_BLOCK_VECTORS, 0, 32, pixel, patches);             \
            }                                                                       \
        }                                                                           \
    }

#endif
