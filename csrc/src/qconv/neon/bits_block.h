/* The inner loop of the bit-serial tile: 4 pixels by 4 vectors of 16 output channels, 8 bits of a patch a step.
 *
 * sum[p][v] = the sum of the bit counts of w[step][v] & a[step][p] over 4 * groups steps, groups >= 1. */
#ifndef MGK_QCONV_NEON_BITS_BLOCK_H
#define MGK_QCONV_NEON_BITS_BLOCK_H

#include "qconv/neon/tile.h"

#if MGK_ASM
#define MGK_BITS_AND(a)                  \
    "and v8.16b, v0.16b, " a ".16b\n\t"  \
    "and v9.16b, v1.16b, " a ".16b\n\t"  \
    "and v10.16b, v2.16b, " a ".16b\n\t" \
    "and v11.16b, v3.16b, " a ".16b\n\t"
#define MGK_BITS_COUNT(p, a)           \
    MGK_BITS_AND(a)                    \
    "cnt %[s" #p "0].16b, v8.16b\n\t"  \
    "cnt %[s" #p "1].16b, v9.16b\n\t"  \
    "cnt %[s" #p "2].16b, v10.16b\n\t" \
    "cnt %[s" #p "3].16b, v11.16b\n\t"
#define MGK_BITS_ADD(p, a)                              \
    MGK_BITS_AND(a)                                     \
    "cnt v8.16b, v8.16b\n\t"                            \
    "cnt v9.16b, v9.16b\n\t"                            \
    "cnt v10.16b, v10.16b\n\t"                          \
    "cnt v11.16b, v11.16b\n\t"                          \
    "add %[s" #p "0].16b, %[s" #p "0].16b, v8.16b\n\t"  \
    "add %[s" #p "1].16b, %[s" #p "1].16b, v9.16b\n\t"  \
    "add %[s" #p "2].16b, %[s" #p "2].16b, v10.16b\n\t" \
    "add %[s" #p "3].16b, %[s" #p "3].16b, v11.16b\n\t"
#define MGK_BITS_STEP(op)                  \
    "ld4r {v4.16b-v7.16b}, [%[a]], #4\n\t" \
    "ld1 {v0.16b-v3.16b}, [%[w]], #64\n\t" op(0, "v4") op(1, "v5") op(2, "v6") op(3, "v7")
#define MGK_BITS_GROUP \
    MGK_BITS_STEP(MGK_BITS_ADD) MGK_BITS_STEP(MGK_BITS_ADD) MGK_BITS_STEP(MGK_BITS_ADD) MGK_BITS_STEP(MGK_BITS_ADD)
#define MGK_BITS_OUT(p) \
    [s##p##0] "=&w"(sum[p][0]), [s##p##1] "=&w"(sum[p][1]), [s##p##2] "=&w"(sum[p][2]), [s##p##3] "=&w"(sum[p][3])

MGK_INLINE void mgk_bits_block(const uint8_t **weights, const uint8_t **patches, size_t groups,
                               uint8x16_t sum[MGK_PATCHES][MGK_BLOCK_VECTORS])
{
    const uint8_t *w = *weights;
    const uint8_t *a = *patches;
    size_t left = groups - 1;
    __asm__ volatile(MGK_BITS_STEP(MGK_BITS_COUNT) MGK_BITS_STEP(MGK_BITS_ADD) MGK_BITS_STEP(MGK_BITS_ADD)
                         MGK_BITS_STEP(MGK_BITS_ADD) "cbz %[left], 2f\n\t"
                                                     "1: sub %[left], %[left], #1\n\t" MGK_BITS_GROUP
                                                     "cbnz %[left], 1b\n\t"
                                                     "2:\n\t"
                     : [w] "+r"(w), [a] "+r"(a), [left] "+r"(left), MGK_BITS_OUT(0), MGK_BITS_OUT(1), MGK_BITS_OUT(2),
                       MGK_BITS_OUT(3)
                     :
                     : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "memory");
    *weights = w;
    *patches = a;
}
#else
MGK_INLINE void mgk_bits_block(const uint8_t **weights, const uint8_t **patches, size_t groups,
                               uint8x16_t sum[MGK_PATCHES][MGK_BLOCK_VECTORS])
{
    for (int p = 0; p < MGK_PATCHES; p++) {
        for (int v = 0; v < MGK_BLOCK_VECTORS; v++) {
            sum[p][v] = vdupq_n_u8(0);
        }
    }
    for (size_t steps = 4 * groups; steps > 0; steps--) {
        const uint8x16x4_t w = vld1q_u8_x4(*weights);
        const uint8x16x4_t a = vld4q_dup_u8(*patches);
        *weights += 16 * MGK_BLOCK_VECTORS;
        *patches += MGK_PATCHES;
        for (int p = 0; p < MGK_PATCHES; p++) {
            for (int v = 0; v < MGK_BLOCK_VECTORS; v++) {
                sum[p][v] = vaddq_u8(sum[p][v], vcntq_u8(vandq_u8(w.val[v], a.val[p])));
            }
        }
    }
}
#endif

#endif
