/* The inner loop of the multiply-add tile: 4 pixels by 4 vectors of weights, one flush period of 4 * groups steps.
 *
 * Lanes of bytes gain w[step][v] * a[step][p] each step; at the end pairs of them are added to 16-bit sums in memory.
 * Compilers know neither how to keep the 16 sums in registers across the flush nor how to do without an addition for most
 * loads; MGK_ASM 0 is the same in intrinsics. */
#ifndef MGK_QCONV_NEON_MLA_BLOCK_H
#define MGK_QCONV_NEON_MLA_BLOCK_H

#include "qconv/neon/tile.h"

typedef int16_t mgk_mla_sums[MGK_PATCHES][MGK_BLOCK_VECTORS][8];

#if MGK_ASM
#define MGK_MLA_PIXEL(op, a, s0, s1, s2, s3)                                                                     \
    op " " s0 ".16b, v0.16b, " a ".16b\n\t" op " " s1 ".16b, v1.16b, " a ".16b\n\t" op " " s2 ".16b, v2.16b, " a \
       ".16b\n\t" op " " s3 ".16b, v3.16b, " a ".16b\n\t"
#define MGK_MLA_STEP(op)                                                                                        \
    "ld4r {v4.8h-v7.8h}, [%[a]], #8\n\t"                                                                        \
    "ld1 {v0.16b-v3.16b}, [%[w]], #64\n\t" MGK_MLA_PIXEL(op, "v4", "v16", "v17", "v18", "v19")                  \
        MGK_MLA_PIXEL(op, "v5", "v20", "v21", "v22", "v23") MGK_MLA_PIXEL(op, "v6", "v24", "v25", "v26", "v27") \
            MGK_MLA_PIXEL(op, "v7", "v28", "v29", "v30", "v31")
#define MGK_MLA_GROUP MGK_MLA_STEP("mla") MGK_MLA_STEP("mla") MGK_MLA_STEP("mla") MGK_MLA_STEP("mla")
/* The first step multiplies, so that lanes need not be cleared. */
#define MGK_MLA_LOOP                                                                                                  \
    MGK_MLA_STEP("mul")                                                                                               \
    MGK_MLA_STEP("mla")                                                                                               \
    MGK_MLA_STEP("mla") MGK_MLA_STEP("mla") "tbz %[left], #0, 1f\n\t" MGK_MLA_GROUP "1: lsr %[left], %[left], #1\n\t" \
                                            "cbz %[left], 3f\n\t"                                                     \
                                            "2: sub %[left], %[left], #1\n\t" MGK_MLA_GROUP MGK_MLA_GROUP             \
                                            "cbnz %[left], 2b\n\t"                                                    \
                                            "3:\n\t"
#define MGK_MLA_PAIRS(s0, s1, s2, s3) \
    "sadalp v0.8h, " s0 ".16b\n\t"    \
    "sadalp v1.8h, " s1 ".16b\n\t"    \
    "sadalp v2.8h, " s2 ".16b\n\t"    \
    "sadalp v3.8h, " s3 ".16b\n\t"
#define MGK_MLA_FIRST_PAIRS(s0, s1, s2, s3) \
    "saddlp v0.8h, " s0 ".16b\n\t"          \
    "saddlp v1.8h, " s1 ".16b\n\t"          \
    "saddlp v2.8h, " s2 ".16b\n\t"          \
    "saddlp v3.8h, " s3 ".16b\n\t"
#define MGK_MLA_LOAD "ld1 {v0.8h-v3.8h}, [%[from]], #64\n\t"
#define MGK_MLA_STORE "st1 {v0.8h-v3.8h}, [%[to]], %[stride]\n\t"
#define MGK_MLA_FINISH                \
    "ld1r {v5.4s}, [%[bias]], #4\n\t" \
    "xtn v4.4h, v5.4s\n\t"            \
    "xtn2 v4.8h, v5.4s\n\t"           \
    "sshl v0.8h, v0.8h, v6.8h\n\t"    \
    "sshl v1.8h, v1.8h, v6.8h\n\t"    \
    "sshl v2.8h, v2.8h, v6.8h\n\t"    \
    "sshl v3.8h, v3.8h, v6.8h\n\t"    \
    "add v0.8h, v0.8h, v4.8h\n\t"     \
    "add v1.8h, v1.8h, v4.8h\n\t"     \
    "add v2.8h, v2.8h, v4.8h\n\t"     \
    "add v3.8h, v3.8h, v4.8h\n\t"
#define MGK_MLA_FOUR(load, pairs, finish)                                                              \
    load pairs("v16", "v17", "v18", "v19") finish MGK_MLA_STORE load pairs("v20", "v21", "v22", "v23") \
        finish MGK_MLA_STORE load pairs("v24", "v25", "v26", "v27")                                    \
            finish MGK_MLA_STORE load pairs("v28", "v29", "v30", "v31") finish MGK_MLA_STORE
#define MGK_MLA_CLOBBERED                                                                                          \
    "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", \
        "v25", "v26", "v27", "v28", "v29", "v30", "v31", "memory", "cc"

/* sums (first: = , else +=) the products of the period. */
MGK_INLINE void mgk_mla_block(const int8_t **weights, const int16_t **patches, size_t groups, int first,
                              mgk_mla_sums sums)
{
    const int8_t *w = *weights;
    const int16_t *a = *patches;
    const int16_t *from = sums[0][0];
    int16_t *to = sums[0][0];
    size_t left = groups - 1;
    __asm__ volatile(MGK_MLA_LOOP "cbnz %[first], 4f\n\t" MGK_MLA_FOUR(
                         MGK_MLA_LOAD, MGK_MLA_PAIRS, "") "b 5f\n\t"
                                                          "4:\n\t" MGK_MLA_FOUR("", MGK_MLA_FIRST_PAIRS, "") "5:\n\t"
                     : [w] "+r"(w), [a] "+r"(a), [left] "+r"(left), [from] "+r"(from), [to] "+r"(to)
                     : [first] "r"((size_t)first), [stride] "r"(sizeof sums[0])
                     : MGK_MLA_CLOBBERED);
    *weights = w;
    *patches = a;
}

/* The last period: raw = (sums + products) * 2^shift + bias of the pixel, modulo 2^16; rows of raw are pitch apart. */
MGK_INLINE void mgk_mla_last_block(const int8_t *weights, const int16_t *patches, size_t groups, int first,
                                   mgk_mla_sums sums, int shift, const int32_t *bias, int16_t *raw, size_t pitch)
{
    const int16_t *from = sums[0][0];
    size_t left = groups - 1;
    __asm__ volatile(
        MGK_MLA_LOOP "dup v6.8h, %w[shift]\n\t"
                     "cbnz %[first], 4f\n\t" MGK_MLA_FOUR(MGK_MLA_LOAD, MGK_MLA_PAIRS,
                                                          MGK_MLA_FINISH) "b 5f\n\t"
                                                                          "4:\n\t" MGK_MLA_FOUR("", MGK_MLA_FIRST_PAIRS,
                                                                                                MGK_MLA_FINISH) "5:\n\t"
        : [w] "+r"(weights), [a] "+r"(patches), [left] "+r"(left), [from] "+r"(from), [to] "+r"(raw), [bias] "+r"(bias)
        : [first] "r"((size_t)first), [stride] "r"(pitch * sizeof *raw), [shift] "r"(shift)
        : MGK_MLA_CLOBBERED);
}
#else
MGK_INLINE void mgk_mla_period(const int8_t **weights, const int16_t **patches, size_t groups,
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

MGK_INLINE void mgk_mla_block(const int8_t **weights, const int16_t **patches, size_t groups, int first,
                              mgk_mla_sums sums)
{
    int8x16_t sum[MGK_PATCHES][MGK_BLOCK_VECTORS];
    mgk_mla_period(weights, patches, groups, sum);
    for (int p = 0; p < MGK_PATCHES; p++) {
        for (int v = 0; v < MGK_BLOCK_VECTORS; v++) {
            const int16x8_t before = first ? vdupq_n_s16(0) : vld1q_s16(sums[p][v]);
            vst1q_s16(sums[p][v], vpadalq_s8(before, sum[p][v]));
        }
    }
}

MGK_INLINE void mgk_mla_last_block(const int8_t *weights, const int16_t *patches, size_t groups, int first,
                                   mgk_mla_sums sums, int shift, const int32_t *bias, int16_t *raw, size_t pitch)
{
    int8x16_t sum[MGK_PATCHES][MGK_BLOCK_VECTORS];
    mgk_mla_period(&weights, &patches, groups, sum);
    for (size_t p = 0; p < MGK_PATCHES; p++) {
        for (int v = 0; v < MGK_BLOCK_VECTORS; v++) {
            const int16x8_t before = first ? vdupq_n_s16(0) : vld1q_s16(sums[p][v]);
            const int16x8_t total = vshlq_s16(vpadalq_s8(before, sum[p][v]), vdupq_n_s16((int16_t)shift));
            vst1q_s16(raw + p * pitch + 8 * v, vaddq_s16(total, vdupq_n_s16((int16_t)bias[p])));
        }
    }
}
#endif

#endif
