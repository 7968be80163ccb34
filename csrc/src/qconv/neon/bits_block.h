/* The inner loop of the bit-serial tile: 4 pixels by 4 vectors of 16 output channels, 8 bits of a patch a step.. */
#ifndef MGK_QCONV_NEON_BITS_BLOCK_H
#define MGK_QCONV_NEON_BITS_BLOCK_H

#include "qconv/neon/tile.h"

/* to = scale * counts + (first: bias, else from), 16 of each, modulo 2^16 */
MGK_INLINE void mgk_add_counts(int first, int32_t bias, int scale, const int16_t *from, uint8x16_t counts, int16_t *to)
{
    const uint16x8_t start = vdupq_n_u16((uint16_t)bias);
    const uint16x8_t low = first ? start : vreinterpretq_u16_s16(vld1q_s16(from));
    const uint16x8_t high = first ? start : vreinterpretq_u16_s16(vld1q_s16(from + 8));
    const uint8x16_t times = vdupq_n_u8((uint8_t)scale);
    vst1q_s16(to, vreinterpretq_s16_u16(vmlal_u8(low, vget_low_u8(counts), vget_low_u8(times))));
    vst1q_s16(to + 8, vreinterpretq_s16_u16(vmlal_high_u8(high, counts, times)));
}

/* One flush period of 4 * groups steps, groups >= 1: rows of `to`, pitch apart,
 * = scale * the bit counts of w[step][v] & a[step][p] + (first: the pixel's bias, else the 64 sums of it in `from`). */
#if MGK_ASM
#define MGK_BITS_AND(a)                  \
    "and v8.16b, v0.16b, " a ".16b\n\t"  \
    "and v9.16b, v1.16b, " a ".16b\n\t"  \
    "and v10.16b, v2.16b, " a ".16b\n\t" \
    "and v11.16b, v3.16b, " a ".16b\n\t"
#define MGK_BITS_COUNT(a, s0, s1, s2, s3) \
    MGK_BITS_AND(a)                       \
    "cnt " s0 ".16b, v8.16b\n\t"          \
    "cnt " s1 ".16b, v9.16b\n\t"          \
    "cnt " s2 ".16b, v10.16b\n\t"         \
    "cnt " s3 ".16b, v11.16b\n\t"
#define MGK_BITS_ADD(a, s0, s1, s2, s3)       \
    MGK_BITS_AND(a)                           \
    "cnt v8.16b, v8.16b\n\t"                  \
    "cnt v9.16b, v9.16b\n\t"                  \
    "cnt v10.16b, v10.16b\n\t"                \
    "cnt v11.16b, v11.16b\n\t"                \
    "add " s0 ".16b, " s0 ".16b, v8.16b\n\t"  \
    "add " s1 ".16b, " s1 ".16b, v9.16b\n\t"  \
    "add " s2 ".16b, " s2 ".16b, v10.16b\n\t" \
    "add " s3 ".16b, " s3 ".16b, v11.16b\n\t"
#define MGK_BITS_STEP(op)                                                                                            \
    "ld4r {v4.16b-v7.16b}, [%[a]], #4\n\t"                                                                           \
    "ld1 {v0.16b-v3.16b}, [%[w]], #64\n\t" op("v4", "v16", "v17", "v18", "v19") op("v5", "v20", "v21", "v22", "v23") \
        op("v6", "v24", "v25", "v26", "v27") op("v7", "v28", "v29", "v30", "v31")
#define MGK_BITS_GROUP \
    MGK_BITS_STEP(MGK_BITS_ADD) MGK_BITS_STEP(MGK_BITS_ADD) MGK_BITS_STEP(MGK_BITS_ADD) MGK_BITS_STEP(MGK_BITS_ADD)
/* 32 sums += scale * 32 lanes of bytes */
#define MGK_BITS_HALF(s0, s1)               \
    "umlal v0.8h, " s0 ".8b, v12.8b\n\t"    \
    "umlal2 v1.8h, " s0 ".16b, v12.16b\n\t" \
    "umlal v2.8h, " s1 ".8b, v12.8b\n\t"    \
    "umlal2 v3.8h, " s1 ".16b, v12.16b\n\t"
#define MGK_BITS_SUMS "ld1 {v0.8h-v3.8h}, [%[from]], #64\n\t"
#define MGK_BITS_FIRST_SUMS  \
    "mov v0.16b, v4.16b\n\t" \
    "mov v1.16b, v4.16b\n\t" \
    "mov v2.16b, v4.16b\n\t" \
    "mov v3.16b, v4.16b\n\t"
#define MGK_BITS_BIAS           \
    "ldr w9, [%[bias]], #4\n\t" \
    "dup v4.8h, w9\n\t"
#define MGK_BITS_PIXEL(before, load, s0, s1, s2, s3)                                            \
    before load MGK_BITS_HALF(s0, s1) "st1 {v0.8h-v3.8h}, [%[to]], #64\n\t" load MGK_BITS_HALF( \
        s2, s3) "st1 {v0.8h-v3.8h}, [%[to]], %[stride]\n\t"
#define MGK_BITS_FLUSH(before, load)                         \
    MGK_BITS_PIXEL(before, load, "v16", "v17", "v18", "v19") \
    MGK_BITS_PIXEL(before, load, "v20", "v21", "v22", "v23") \
    MGK_BITS_PIXEL(before, load, "v24", "v25", "v26", "v27") \
    MGK_BITS_PIXEL(before, load, "v28", "v29", "v30", "v31")

MGK_INLINE void mgk_bits_block(const uint8_t **weights, const uint8_t **patches, size_t groups, int first,
                               const int32_t *bias, int scale, int16_t *from, int16_t *to, size_t pitch)
{
    const uint8_t *w = *weights;
    const uint8_t *a = *patches;
    size_t left = groups - 1;
    __asm__ volatile(
        MGK_BITS_STEP(MGK_BITS_COUNT) MGK_BITS_STEP(MGK_BITS_ADD) MGK_BITS_STEP(MGK_BITS_ADD) MGK_BITS_STEP(
            MGK_BITS_ADD) "cbz %[left], 2f\n\t"
                          "1: sub %[left], %[left], #1\n\t" MGK_BITS_GROUP "cbnz %[left], 1b\n\t"
                          "2: dup v12.16b, %w[scale]\n\t"
                          "cbnz %[first], 3f\n\t" MGK_BITS_FLUSH(
                              "", MGK_BITS_SUMS) "b 4f\n\t"
                                                 "3:\n\t" MGK_BITS_FLUSH(MGK_BITS_BIAS, MGK_BITS_FIRST_SUMS) "4:\n\t"
        : [w] "+r"(w), [a] "+r"(a), [left] "+r"(left), [from] "+r"(from), [to] "+r"(to), [bias] "+r"(bias)
        : [first] "r"((size_t)first), [scale] "r"(scale), [stride] "r"(pitch * sizeof *to - 64)
        : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v16", "v17", "v18", "v19",
          "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31", "x9", "memory", "cc");
    *weights = w;
    *patches = a;
}
#else
MGK_INLINE void mgk_bits_block(const uint8_t **weights, const uint8_t **patches, size_t groups, int first,
                               const int32_t *bias, int scale, const int16_t *from, int16_t *to, size_t pitch)
{
    uint8x16_t sum[MGK_PATCHES][MGK_BLOCK_VECTORS];
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
    for (size_t p = 0; p < MGK_PATCHES; p++) {
        for (size_t v = 0; v < MGK_BLOCK_VECTORS; v++) {
            mgk_add_counts(first, bias[p], scale, from + (p * MGK_BLOCK_VECTORS + v) * 16, sum[p][v],
                           to + p * pitch + v * 16);
        }
    }
}
#endif

#endif
