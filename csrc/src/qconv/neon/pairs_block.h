/* The inner loop of the tile for products of which two fit in a byte: 4 pixels by 4 vectors of weights.
 *
 * A step is two neighbouring pairs of a patch: MUL, MLA, and SADALP into 16-bit sums that stay in registers. */
#ifndef MGK_QCONV_NEON_PAIRS_BLOCK_H
#define MGK_QCONV_NEON_PAIRS_BLOCK_H

#include "qconv/neon/tile.h"

typedef int16_t mgk_pairs_sums[MGK_PATCHES][MGK_BLOCK_VECTORS][8];

#if MGK_ASM
#define MGK_PAIRS_PIXEL(op, a0, a1, s0, s1, s2, s3)                                                           \
    "mul v12.16b, v0.16b, " a0 ".16b\n\t"                                                                     \
    "mul v13.16b, v1.16b, " a0 ".16b\n\t"                                                                     \
    "mul v14.16b, v2.16b, " a0 ".16b\n\t"                                                                     \
    "mul v15.16b, v3.16b, " a0 ".16b\n\t"                                                                     \
    "mla v12.16b, v4.16b, " a1 ".16b\n\t"                                                                     \
    "mla v13.16b, v5.16b, " a1 ".16b\n\t"                                                                     \
    "mla v14.16b, v6.16b, " a1 ".16b\n\t"                                                                     \
    "mla v15.16b, v7.16b, " a1 ".16b\n\t" op " " s0 ".8h, v12.16b\n\t" op " " s1 ".8h, v13.16b\n\t" op " " s2 \
    ".8h, v14.16b\n\t" op " " s3 ".8h, v15.16b\n\t"
#define MGK_PAIRS_STEP(op)                                                                                         \
    "ld1 {v0.16b-v3.16b}, [%[w]], #64\n\t"                                                                         \
    "ld4r {v8.8h-v11.8h}, [%[a]], #8\n\t"                                                                          \
    "ld1 {v4.16b-v7.16b}, [%[w]], #64\n\t" MGK_PAIRS_PIXEL(op, "v8", "v9", "v16", "v17", "v18", "v19")             \
        MGK_PAIRS_PIXEL(op, "v10", "v11", "v20", "v21", "v22",                                                     \
                        "v23") "ld4r {v8.8h-v11.8h}, [%[a]], #8\n\t" MGK_PAIRS_PIXEL(op, "v8", "v9", "v24", "v25", \
                                                                                     "v26", "v27")                 \
            MGK_PAIRS_PIXEL(op, "v10", "v11", "v28", "v29", "v30", "v31")
#define MGK_PAIRS_STORE(s0, s1, s2, s3) "st1 {" s0 ".8h-" s3 ".8h}, [%[to]], #64\n\t"

/* sums = the products of 2 * steps pairs, steps >= 1 */
MGK_INLINE void mgk_pairs_block(const int8_t *weights, const int16_t *patches, size_t steps, mgk_pairs_sums sums)
{
    int16_t *to = sums[0][0];
    size_t left = steps - 1;
    __asm__ volatile(MGK_PAIRS_STEP("saddlp") "tbz %[left], #0, 1f\n\t" MGK_PAIRS_STEP(
                         "sadalp") "1: lsr %[left], %[left], #1\n\t"
                                   "cbz %[left], 3f\n\t"
                                   "2: sub %[left], %[left], #1\n\t" MGK_PAIRS_STEP("sadalp")
                                       MGK_PAIRS_STEP("sadalp") "cbnz %[left], 2b\n\t"
                                                                "3:\n\t" MGK_PAIRS_STORE("v16", "v17", "v18", "v19")
                                                                    MGK_PAIRS_STORE("v20", "v21", "v22", "v23")
                                                                        MGK_PAIRS_STORE("v24", "v25", "v26", "v27")
                                                                            MGK_PAIRS_STORE("v28", "v29", "v30", "v31")
                     : [w] "+r"(weights), [a] "+r"(patches), [left] "+r"(left), [to] "+r"(to)
                     :
                     : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14",
                       "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28",
                       "v29", "v30", "v31", "memory", "cc");
}
#else
MGK_INLINE void mgk_pairs_block(const int8_t *weights, const int16_t *patches, size_t steps, mgk_pairs_sums sums)
{
    int16x8_t sum[MGK_PATCHES][MGK_BLOCK_VECTORS];
    for (int p = 0; p < MGK_PATCHES; p++) {
        for (int v = 0; v < MGK_BLOCK_VECTORS; v++) {
            sum[p][v] = vdupq_n_s16(0);
        }
    }
    for (; steps > 0; steps--) {
        const int8x16x4_t w0 = vld1q_s8_x4(weights);
        const int8x16x4_t w1 = vld1q_s8_x4(weights + 64);
        weights += 128;
        for (int p = 0; p < MGK_PATCHES; p++) {
            const int8x16_t a0 = vreinterpretq_s8_s16(vld1q_dup_s16(patches++));
            const int8x16_t a1 = vreinterpretq_s8_s16(vld1q_dup_s16(patches++));
            for (int v = 0; v < MGK_BLOCK_VECTORS; v++) {
                const int8x16_t two = vmlaq_s8(vmulq_s8(w0.val[v], a0), w1.val[v], a1);
                sum[p][v] = vpadalq_s8(sum[p][v], two);
            }
        }
    }
    for (int p = 0; p < MGK_PATCHES; p++) {
        for (int v = 0; v < MGK_BLOCK_VECTORS; v++) {
            vst1q_s16(sums[p][v], sum[p][v]);
        }
    }
}
#endif

#endif
