/* The exact Winograd convolution F(4x4, 3x3) in 16 bits. What its files share.
 *
 * For one input channel, a tile d of 6 x 6 codes and weights g of 3 x 3 give 4 x 4 outputs y by
 *     V = B^T d B,   U = G g G^T,   4 y = A^T (U V) A      (U V: position by position)
 *           [2 -5  0  5 -2  0]               [9 0 0]
 *           [0 -2  3  3 -2  0]               [9 9 9]               [1 1  1 1 8 0]
 *     B^T = [0 -2  7 -7  2  0]   G = 1 / 9 * [1 -1 1]        A^T = [0 1 -1 2 4 0]
 *           [0  1 -2 -1  2  0]               [1 2 4]               [0 1  1 4 2 0]
 *           [0  2 -1 -2  1  0]               [4 2 1]               [0 1 -1 8 1 1]
 *           [0 -2  5  0 -5  2]               [0 0 9]
 * Along an axis these are the points 0, 1, -1, 2, 1/2 and infinity, two of each kind modulo 2: that is why one factor of
 * two an axis is all that even numbers cost, and 9 is odd. So everything is computed modulo 2^16, where 9 has an
 * inverse: transformed values, products and sums may wrap around as often as they do, without a flush, as 4 y modulo
 * 2^16 comes out all the same. Only y has to be so small that this determines it; that is what chunks of channels are for.
 *
 * Odd weights g of up to W in size, N the largest code: with w = (g - 1) / 2 instead of g, and S the sum of the codes
 * under the weights,
 *     4 sum of w a = sum of (g - 1) 2 a,   2 raw = 4 sum of w a + 2 S - 2 N sum of w - 9 N channels = sum of g (2 a - N)
 * is at most 9 N W a channel in size, and raw = (2 raw) / 2 rounded down.
 * Other weights are stored as they are, and with c = (N + 1) / 2
 *     4 raw = 4 sum of g a - 4 c sum of g = 4 sum of g (a - c)
 * is at most 36 W c a channel. Both corrections that depend on the output channel alone are one `bias`, added at position
 * (1,1), which all outputs take as it is.
 *
 * A tile has 4 outputs along an axis, or 3: then its last position is not needed. Tiles of 4 come first. */
#ifndef MGK_MODULAR_H
#define MGK_MODULAR_H

#include "qconv/kernel.h"

enum {
    MODULAR_SIDE = 6,
    MODULAR_POSITIONS = MODULAR_SIDE * MODULAR_SIDE,
    MODULAR_OUTPUTS = 16,
    MODULAR_GROUP = 4,  /* tiles that are multiplied at once */
    MODULAR_LANES = 32, /* output channels that are multiplied at once; the last block may have 16 */
    MODULAR_TILE = MODULAR_POSITIONS * MODULAR_LANES, /* sums of products of a tile: [position][LANES] */
    MODULAR_SUB_BLOCK = 24,        /* tiles whose products wait for the output transform; a multiple of MODULAR_GROUP */
    MODULAR_BLOCK_BYTES = 1 << 18, /* of transformed activations; a block has at least one row of tiles */
    MODULAR_UNIT = 16              /* channels are padded to */
};

/* Tiles of an axis: the first `full` have 4 outputs, the others 3. */
typedef struct modular_axis {
    size_t tiles, full;
} modular_axis;

static inline size_t mgk_modular_start(const modular_axis *axis, size_t tile)
{
    return 3 * tile + (tile < axis->full ? tile : axis->full);
}

/* Everything that follows from the layer. */
typedef struct modular {
    modular_axis y, x;
    size_t rows_per_block; /* of tiles */
    size_t channels;       /* in_channels padded to UNIT */
    size_t out_channels;   /* padded to UNIT */
    size_t chunk, chunks;  /* channels whose sums 16 bits determine; the last chunk may have fewer */
    int halved;            /* odd weights, w */
    int raw_bits;
    int32_t raw_bound;
} modular;

/* 0: the layer is none of ours. */
int mgk_modular_plan(const mgk_qconv *layer, modular *plan);

static inline size_t mgk_modular_chunk(const modular *plan, size_t chunk)
{
    const size_t left = plan->channels - chunk * plan->chunk;
    return left < plan->chunk ? left : plan->chunk;
}

static inline size_t mgk_modular_lanes(const modular *plan, size_t block)
{
    const size_t left = plan->out_channels - block;
    return left < MODULAR_LANES ? left : MODULAR_LANES;
}

/* Prepared weights: [block of 32 output channels][chunk][output channel] biases, padded to 64 bytes, then
 * [block][chunk][position][channel][output channel]; all int16. */
size_t mgk_modular_biases_size(const modular *plan);
size_t mgk_modular_weights_size(const modular *plan);
void mgk_modular_prepare(const mgk_qconv_weights *weights, const modular *plan, uint8_t *section, mgk_raw *raw);

/* Some rows of tiles: their codes, zeros around the image and in channels beyond the last. */
typedef struct modular_strip {
    uint8_t *codes;
    uint16_t *sums; /* of the channels of each chunk: [chunk][row][column], 8 more than there are */
    size_t rows, width;
} modular_strip;

size_t mgk_modular_strip_rows(const modular *plan); /* at most */
size_t mgk_modular_strip_width(const modular *plan);
void mgk_modular_pad(const mgk_qconv_run *run, const modular *plan, size_t first_row, size_t rows,
                     modular_strip *strip);

/* A tile: where its codes begin in the strip, which is where its outputs begin among those of its block. */
typedef struct modular_tile {
    uint32_t y, x;
    uint32_t tall, wide; /* 1: 4 rows or columns of outputs, 0: 3 */
} modular_tile;

/* Transformed activations of a group of 1 to 4 tiles: v[position][channel][GROUP]. */
void mgk_modular_input(const modular *plan, int bits, const modular_strip *strip, const modular_tile *tiles,
                       size_t count, int16_t *v);

/* 2 S of each output of a tile and chunk. */
void mgk_modular_sums(const modular_strip *strip, const modular_tile *tile, size_t chunk, int16_t *sums);

/* Products of some positions that follow each other: groups of 1 to 4 tiles times output channels, summed over the
 * channels of a chunk, modulo 2^16. v: [channel][GROUP] of the first group, `stride` from group to group, `step` from
 * position to position; w: [position][channel][output channel]; m: sums, [group][tile][output channel], MODULAR_TILE
 * from tile to tile, MODULAR_LANES from position to position. */
typedef struct modular_product {
    const int16_t *v;
    size_t stride, step;
    const int16_t *w;
    int16_t *m;
    size_t positions;
    size_t channels; /* a multiple of UNIT */
    size_t groups;
    size_t tiles; /* 1 to 4 */
    size_t lanes; /* 16 or 32 output channels */
} modular_product;

void mgk_modular_multiply(const modular_product *product);

/* Raw sums of a block of output channels of some rows of tiles, [pixel][lanes] in the order of the image, int16 or int32
 * as the plan says. */
typedef struct modular_raw {
    void *raw;
    size_t width, lanes; /* pixels */
    size_t chunk;        /* 0 sets the sums, others add */
    const int16_t *bias; /* of the chunk */
    void *nowhere;       /* 4 pixels, for outputs a tile does not have */
} modular_raw;

/* m: sums of products, [tile][position][LANES]; sums: 2 S of its outputs, `pitch` from tile to tile. */
void mgk_modular_output(const modular *plan, const int16_t *m, const modular_tile *tiles, size_t count,
                        const int16_t *sums, size_t pitch, const modular_raw *to);

#endif
