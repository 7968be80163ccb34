/* What the kernels of the products have in common: loads of a pair of channels. All numbers of tiles and of vectors of
 * 8 output channels are constants of the caller, so that loops over them unroll. */
#ifndef MGK_WINOGRAD_PRODUCTS_H
#define MGK_WINOGRAD_PRODUCTS_H

#include "neon.h"
#include "qconv/neon/winograd_multiply.h"

#define WINOGRAD_INLINE static inline __attribute__((always_inline))

enum { MOST_TILES = WINOGRAD_GROUP, MOST_VECTORS = WINOGRAD_LANES / 8 };

/* The two codes of each tile in all output channels. */
WINOGRAD_INLINE void load_activations(const int8_t *v, const int tiles, int8x16_t a[MOST_TILES])
{
    const int16_t *pairs = (const int16_t *)(const void *)v;
    if (tiles == 3) {
        const int16x8x3_t three = vld3q_dup_s16(pairs);
        a[0] = vreinterpretq_s8_s16(three.val[0]);
        a[1] = vreinterpretq_s8_s16(three.val[1]);
        a[2] = vreinterpretq_s8_s16(three.val[2]);
    } else if (tiles == 2) {
        const int16x8x2_t two = vld2q_dup_s16(pairs);
        a[0] = vreinterpretq_s8_s16(two.val[0]);
        a[1] = vreinterpretq_s8_s16(two.val[1]);
    } else {
        a[0] = vreinterpretq_s8_s16(vld1q_dup_s16(pairs));
    }
}

WINOGRAD_INLINE void load_weights(const int8_t *weights, const int vectors, int8x16_t w[MOST_VECTORS])
{
    for (int b = 0; b < vectors; b++) {
        w[b] = vld1q_s8(weights + 16 * b);
    }
}

#endif
