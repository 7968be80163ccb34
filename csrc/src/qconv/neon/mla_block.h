/* The inner loop of the multiply-add tile: 4 pixels by 4 vectors of weights, 4 * groups steps, groups >= 1.
 *
 * Lanes of bytes gain w[step][v] * a[step][p] each step; after a period of groups, pairs of them are added to 16-bit
 * sums in memory (first: these are not there yet). At the end out = sums * 2^shift + bias of the pixel, modulo 2^16, in
 * rows that are pitch apart; out may be the sums.
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
#define MGK_MLA_LOOP                                                                     \
    MGK_MLA_STEP("mul")                                                                  \
    MGK_MLA_STEP("mla")                                                                  \
    MGK_MLA_STEP("mla")                                                                  \
    MGK_MLA_STEP("mla")                                                                  \
    "tbz %[left], #0, 1f\n\t" MGK_MLA_GROUP "1: lsr %[left], %[left], #1\n\t"            \
    "cbz %[left], 3f\n\t"                                                                \
    "2: sub %[left], %[left], #1\n\t" MGK_MLA_GROUP MGK_MLA_GROUP "cbnz %[left], 2b\n\t" \
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
#define MGK_MLA_STORE "st1 {v0.8h-v3.8h}, [%[to]], #64\n\t"
#define MGK_MLA_OUT "st1 {v0.8h-v3.8h}, [%[out]], %[stride]\n\t"
/* The lower half of an int32 comes first: MGK_ASM is for little endian. */
#define MGK_MLA_FINISH             \
    "ld1r {v4.8h}, [%[bias]]\n\t"  \
    "add %[bias], %[bias], #4\n\t" \
    "sshl v0.8h, v0.8h, v6.8h\n\t" \
    "sshl v1.8h, v1.8h, v6.8h\n\t" \
    "sshl v2.8h, v2.8h, v6.8h\n\t" \
    "sshl v3.8h, v3.8h, v6.8h\n\t" \
    "add v0.8h, v0.8h, v4.8h\n\t"  \
    "add v1.8h, v1.8h, v4.8h\n\t"  \
    "add v2.8h, v2.8h, v4.8h\n\t"  \
    "add v3.8h, v3.8h, v4.8h\n\t"
#define MGK_MLA_FOUR(load, pairs, finish, store)                                                                \
    load pairs("v16", "v17", "v18", "v19") finish store load pairs("v20", "v21", "v22", "v23")                  \
        finish store load pairs("v24", "v25", "v26", "v27") finish store load pairs("v28", "v29", "v30", "v31") \
            finish store

/* All periods of a tile; finish is what becomes of the last sums before they are stored. */
#define MGK_MLA_TILE(prologue, finish)                                                                            \
    "6: cmp %[groups], %[period]\n\t"                                                                             \
    "csel %[left], %[groups], %[period], lo\n\t"                                                                  \
    "sub %[groups], %[groups], %[left]\n\t"                                                                       \
    "sub %[left], %[left], #1\n\t" MGK_MLA_LOOP "mov %[from], %[sums]\n\t"                                        \
    "cbz %[groups], 7f\n\t"                                                                                       \
    "mov %[to], %[sums]\n\t"                                                                                      \
    "cbnz %[first], 4f\n\t" MGK_MLA_FOUR(                                                                         \
        MGK_MLA_LOAD, MGK_MLA_PAIRS, "",                                                                          \
        MGK_MLA_STORE) "b 6b\n\t"                                                                                 \
                       "4: mov %[first], #0\n\t" MGK_MLA_FOUR(                                                    \
                           "", MGK_MLA_FIRST_PAIRS, "",                                                           \
                           MGK_MLA_STORE) "b 6b\n\t"                                                              \
                                          "7:\n\t" prologue "cbnz %[first], 8f\n\t" MGK_MLA_FOUR(                 \
                                              MGK_MLA_LOAD, MGK_MLA_PAIRS, finish,                                \
                                              MGK_MLA_OUT) "b 9f\n\t"                                             \
                                                           "8:\n\t" MGK_MLA_FOUR("", MGK_MLA_FIRST_PAIRS, finish, \
                                                                                 MGK_MLA_OUT) "9:\n\t"
#define MGK_MLA_CLOBBERED                                                                                          \
    "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", \
        "v25", "v26", "v27", "v28", "v29", "v30", "v31", "memory", "cc"

MGK_INLINE void mgk_mla_block(const int8_t *weights, const int16_t *patches, size_t groups, size_t period, int first,
                              mgk_mla_sums sums, int shift, const int32_t *bias, int16_t *out, size_t pitch)
{
    int16_t *to;
    const int16_t *from;
    size_t left;
    size_t starts = (size_t)first;
    __asm__ volatile(MGK_MLA_TILE("dup v6.8h, %w[shift]\n\t", MGK_MLA_FINISH)
                     : [w] "+r"(weights), [a] "+r"(patches), [groups] "+r"(groups), [left] "=&r"(left),
                       [from] "=&r"(from), [to] "=&r"(to), [out] "+r"(out), [bias] "+r"(bias), [first] "+r"(starts)
                     : [sums] "r"(sums), [stride] "r"(pitch * sizeof *out), [shift] "r"(shift), [period] "r"(period)
                     : MGK_MLA_CLOBBERED);
}

/* out = the products alone. */
MGK_INLINE void mgk_mla_products(const int8_t *weights, const int16_t *patches, size_t groups, size_t period,
                                 mgk_mla_sums sums, int16_t *out)
{
    int16_t *to;
    const int16_t *from;
    size_t left;
    size_t starts = 1;
    __asm__ volatile(MGK_MLA_TILE("", "")
                     : [w] "+r"(weights), [a] "+r"(patches), [groups] "+r"(groups), [left] "=&r"(left),
                       [from] "=&r"(from), [to] "=&r"(to), [out] "+r"(out), [first] "+r"(starts)
                     : [sums] "r"(sums), [stride] "r"(sizeof sums[0]), [period] "r"(period)
                     : MGK_MLA_CLOBBERED);
}
#else
MGK_INLINE void mgk_mla_block(const int8_t *weights, const int16_t *patches, size_t groups, size_t period, int first,
                              mgk_mla_sums sums, int shift, const int32_t *bias, int16_t *out, size_t pitch)
{
    while (groups > 0) {
        const size_t n = groups < period ? groups : period;
        int8x16_t sum[MGK_PATCHES][MGK_BLOCK_VECTORS];
        groups -= n;
        for (int p = 0; p < MGK_PATCHES; p++) {
            for (int v = 0; v < MGK_BLOCK_VECTORS; v++) {
                sum[p][v] = vdupq_n_s8(0);
            }
        }
        for (size_t steps = 4 * n; steps > 0; steps--) {
            const int8x16x4_t w = vld1q_s8_x4(weights);
            const int16x8x4_t a = vld4q_dup_s16(patches);
            weights += 16 * MGK_BLOCK_VECTORS;
            patches += MGK_PATCHES;
            for (int p = 0; p < MGK_PATCHES; p++) {
                for (int v = 0; v < MGK_BLOCK_VECTORS; v++) {
                    sum[p][v] = vmlaq_s8(sum[p][v], w.val[v], vreinterpretq_s8_s16(a.val[p]));
                }
            }
        }
        for (int p = 0; p < MGK_PATCHES; p++) {
            for (int v = 0; v < MGK_BLOCK_VECTORS; v++) {
                const int16x8_t before = first ? vdupq_n_s16(0) : vld1q_s16(sums[p][v]);
                vst1q_s16(sums[p][v], vpadalq_s8(before, sum[p][v]));
            }
        }
        first = 0;
    }
    for (size_t p = 0; p < MGK_PATCHES; p++) {
        for (int v = 0; v < MGK_BLOCK_VECTORS; v++) {
            const int16x8_t total = vshlq_s16(vld1q_s16(sums[p][v]), vdupq_n_s16((int16_t)shift));
            vst1q_s16(out + p * pitch + 8 * v, vaddq_s16(total, vdupq_n_s16((int16_t)bias[p])));
        }
    }
}

MGK_INLINE void mgk_mla_products(const int8_t *weights, const int16_t *patches, size_t groups, size_t period,
                                 mgk_mla_sums sums, int16_t *out)
{
    static const int32_t zeros[MGK_PATCHES] = {0};
    mgk_mla_block(weights, patches, groups, period, 1, sums, 0, zeros, out, sizeof sums[0] / sizeof *out);
}
#endif

#endif
