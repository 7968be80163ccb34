/* Products of one transformed position: tiles times output channels, summed over the channels of a chunk. */
#ifndef MGK_WINOGRAD_MULTIPLY_H
#define MGK_WINOGRAD_MULTIPLY_H

#include "qconv/neon/winograd.h"

/* Groups of `tiles` tiles. v: [pair of channels][tile][2] of the first group, `stride` bytes from group to group;
 * w: [pair][output channel][2]; m: sums, [group][tile][output channel], WINOGRAD_TILE from tile to tile. */
typedef struct winograd_product {
    const int8_t *v;
    size_t stride;
    const int8_t *w;
    void *m;
    size_t pairs; /* a multiple of 8 */
    size_t groups;
    size_t tiles; /* 1 to 3 */
    size_t lanes; /* 16 or 32 output channels */
} winograd_product;

/* m is int16: the sums modulo 2^16. 8-bit lanes are flushed as the schedule says; its runs must be proven. */
void mgk_winograd_multiply_bytes(const winograd_product *product, unsigned schedule);

/* m is int16: the sums modulo 2^16, from lanes of 16 bits. */
void mgk_winograd_multiply_halves(const winograd_product *product);

/* m is int32: the sums. Lanes of 16 bits are flushed every `run` pairs. */
void mgk_winograd_multiply_words(const winograd_product *product, size_t run);

/* By dot products, on processors that have them. v: [4 channels][tile][4], w: [4 channels][output channel][4]; m is int16,
 * the sums modulo 2^16, or int32 where wide. */
void mgk_winograd_multiply_dot(const winograd_product *product, int wide);

#endif
