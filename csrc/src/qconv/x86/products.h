/* Products of a few rows of bytes with a block of output channels: what all kernels here do their work in.
 *
 * A row has bytes, or int16 with AVX2 where pairs of their products do not fit 16 bits: a step takes 4 bytes of it.
 * Weights of a block: [run][4 bytes of a row][vector of output channels][lane][4], int8, or [2], int16. */
#ifndef MGK_QCONV_X86_PRODUCTS_H
#define MGK_QCONV_X86_PRODUCTS_H

#include "qconv/x86/vector.h"

enum { MOST_ROWS = 6, QUAD = 4, FEWEST_QUADS = 2 };

/* A block of BLOCK_CHANNELS output channels, or the last ones in fewer vectors. */
typedef struct products {
    const uint8_t *weights;
    const int32_t *start;   /* a sum to start from for each output channel */
    size_t runs, quads;     /* bytes of a row that are read: `runs` times 4 `quads` */
    const size_t *run_from; /* where each run begins, from the row's address on */
    size_t flush;           /* quads that fit 16 bits; 0: rows of int16; of no account with VNNI */
    size_t pitch;           /* int32 from the sums of a row to those of the next one */
} products;

/* 1 to MOST_ROWS rows, 1 to BLOCK_VECTORS vectors. */
void X86(products)(const products *job, size_t rows, size_t vectors, const uint8_t *const *row, int32_t *sums);

/* How many rows are best taken now of those left: all the same, up to MOST_ROWS. */
INLINE size_t next_rows(size_t left)
{
    const size_t times = (left + MOST_ROWS - 1) / MOST_ROWS;
    return (left + times - 1) / times;
}

INLINE size_t block_vectors(size_t channels)
{
    return channels >= BLOCK_CHANNELS ? BLOCK_VECTORS : (channels + LANES - 1) / LANES;
}

/* What a weight and an activation may be for products of this kind, in size: with VNNI any int8 times any byte.
 * AVX2 adds two products in 16 bits, which saturate: 2 a w <= 32767. */
INLINE int32_t largest_weight(int32_t activation)
{
    int32_t most = 127;
    if (X86_PATH == MGK_AVX2 && INT16_MAX / (2 * activation) < most) {
        most = INT16_MAX / (2 * activation);
    }
    return most;
}

/* Quads that may be added up in 16 bits: each adds two products to a lane. */
INLINE size_t quads_to_flush(int32_t activation, int32_t weight)
{
    return (size_t)(INT16_MAX / (2 * activation * weight));
}

/* Bytes that are flushed after so few quads take longer than int16. */
INLINE int flush_often(size_t flush)
{
    return flush < FEWEST_QUADS;
}

#endif
