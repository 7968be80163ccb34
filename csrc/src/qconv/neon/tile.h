/* Ends of tiles of 4 pixels by 8 output channels a vector: 16-bit sums become raw sums.
 *
 * Tiles are written as loops over constant bounds, which are unrolled: arrays of vectors live in registers. */
#ifndef MGK_QCONV_NEON_TILE_H
#define MGK_QCONV_NEON_TILE_H

#include "neon.h"
#include "qconv/neon/direct.h"

#define MGK_INLINE static inline __attribute__((always_inline))

/* raw = scale * sum + bias of the pixel, modulo 2^16: raw is known to fit, whether or not sum does. */
MGK_INLINE void mgk_store_16(const mgk_tiles *t, size_t pixel, size_t vector, int16x8_t bias, int16x8_t sum)
{
    int16_t *raw = (int16_t *)t->raw + pixel * t->pitch + 8 * vector;
    vst1q_s16(raw, vmlaq_s16(bias, sum, vdupq_n_s16((int16_t)t->scale)));
}

/* The same in 32 bits, for the first of several chunks (with the bias) or a later one. */
MGK_INLINE void mgk_store_32(const mgk_tiles *t, size_t pixel, size_t vector, int first, int32_t bias, int16x8_t sum)
{
    int32_t *raw = (int32_t *)t->raw + pixel * t->pitch + 8 * vector;
    const int32x4_t shift = vdupq_n_s32(t->scale - 1); /* scale is 1 or 2 */
    const int32x4_t low = vshlq_s32(vmovl_s16(vget_low_s16(sum)), shift);
    const int32x4_t high = vshlq_s32(vmovl_high_s16(sum), shift);
    vst1q_s32(raw, vaddq_s32(first ? vdupq_n_s32(bias) : vld1q_s32(raw), low));
    vst1q_s32(raw + 4, vaddq_s32(first ? vdupq_n_s32(bias) : vld1q_s32(raw + 4), high));
}

#endif
