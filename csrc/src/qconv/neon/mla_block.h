/* The inner loop of the multiply-add tile: 4 pixels by 4 vectors of weights, one flush period.
 *
 * sum[p][v] = the sum of w[step][v] * a[step][p] over 4 * groups steps, groups >= 1. Compilers keep the 24 registers but
 * not the addresses: they spend an addition on most loads. MGK_ASM 0 is the same with intrinsics. */
#ifndef MGK_QCONV_NEON_MLA_BLOCK_H
#define MGK_QCONV_NEON_MLA_BLOCK_H

#include "qconv/neon/tile.h"

#if MGK_ASM
#define MGK_MLA_PIXEL(op, p, a)                                                                            \
    op " %[s" #p "0].16b, v0.16b, " a ".16b\n\t" op " %[s" #p "1].16b, v1.16b, " a ".16b\n\t" op " %[s" #p \
       "2].16b, v2.16b, " a ".16b\n\t" op " %[s" #p "3].16b, v3.16b, " a ".16b\n\t"
#define MGK_MLA_STEP(op)                                                                         \
    "ld4r {v4.8h-v7.8h}, [%[a]], #8\n\t"                                                         \
    "ld1 {v0.16b-v3.16b}, [%[w]], #64\n\t" MGK_MLA_PIXEL(op, 0, "v4") MGK_MLA_PIXEL(op, 1, "v5") \
        MGK_MLA_PIXEL(op, 2, "v6") MGK_MLA_PIXEL(op, 3, "v7")
#define MGK_MLA_GROUP MGK_MLA_STEP("mla") MGK_MLA_STEP("mla") MGK_MLA_STEP("mla") MGK_MLA_STEP("mla")
#define MGK_MLA_OUT(p) \
    [s##p##0] "=&w"(sum[p][0]), [s##p##1] "=&w"(sum[p][1]), [s##p##2] "=&w"(sum[p][2]), [s##p##3] "=&w"(sum[p][3])

MGK_INLINE void mgk_mla_block(const int8_t **weights, const int16_t **patches, size_t groups,
                              int8x16_t sum[MGK_PATCHES][MGK_BLOCK_VECTORS])
{
    const int8_t *w = *weights;
    const int16_t *a = *patches;
    size_t left = groups - 1;
    __asm__ volatile(
        MGK_MLA_STEP("mul") MGK_MLA_STEP("mla") MGK_MLA_STEP("mla")
            MGK_MLA_STEP("mla") "tbz %[left], #0, 1f\n\t" MGK_MLA_GROUP "1: lsr %[left], %[left], #1\n\t"
                                "cbz %[left], 3f\n\t"
                                "2: sub %[left], %[left], #1\n\t" MGK_MLA_GROUP MGK_MLA_GROUP "cbnz %[left], 2b\n\t"
                                "3:\n\t"
        : [w] "+r"(w), [a] "+r"(a), [left] "+r"(left), MGK_MLA_OUT(0), MGK_MLA_OUT(1), MGK_MLA_OUT(2), MGK_MLA_OUT(3)
        :
        : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "memory");
    *weights = w;
    *patches = a;
}
#else
MGK_INLINE void mgk_mla_block(const int8_t **weights, const int16_t **patches, size_t groups,
                              int8x16_t sum[MGK_PATCHES][MGK_BLOCK_VECTORS])
{
    for (int p = 0; p < MGK_PATCHES; p++) {
        for (int v = 0; v < MGK_BLOCK_VECTORS; v++) {
            sum[p][v] = vdupq_n_s8(0);
        }
    }
    for (size_t steps = 4 * groups; steps > 0; steps--) {
        const int8x16x4_t w = vld1q_s8_x4(*weights);
        const int16x8x4_t a = vld4q_dup_s16(*patches);
        *weights += 16 * MGK_BLOCK_VECTORS;
        *patches += MGK_PATCHES;
        for (int p = 0; p < MGK_PATCHES; p++) {
            for (int v = 0; v < MGK_BLOCK_VECTORS; v++) {
                sum[p][v] = vmlaq_s8(sum[p][v], w.val[v], vreinterpretq_s8_s16(a.val[p]));
            }
        }
    }
}
#endif

#endif
