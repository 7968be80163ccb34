/* The exact Winograd convolution F(2x2, 3x3) of low-bit codes. What its files share.
 *
 * For one input channel, a tile d of 4 x 4 codes and weights g of 3 x 3 give 2 x 2 outputs y with
 *     V = B^T d B,   U = G g G^T,   4 y = A^T (U V) A      (U V: position by position)
 *     B^T = [1 0 -1 0; 0 1 1 0; 0 -1 1 0; 0 1 0 -1]   G = [1 0 0; 1 1 1; 1 -1 1; 0 0 1]   A^T = [2 1 1 0; 0 1 -1 -2]
 * Everything is an integer: the middle rows of G are not halved, A^T makes up for it, and 4 y is divided at the end.
 *
 * Activations are codes a of 0 to N. All V lie in +-2N but for position (1,1), the sum of four codes, from which 2N is
 * subtracted; A^T carries that to each of the four outputs once: 4 y loses 2N times the channels' sum of U(1,1).
 *
 * Odd weights make U odd at all 16 positions (sums of 1, 3 or 9 odd terms). So U' = (U - 1) / 2 is stored, half as
 * large. A^T applied to V alone is A^T V A = 4 d(corner), the code of the tile in the corner of the output (0,0), (0,3),
 * (3,0), (3,3). With X = A^T (sum of U' V) A and S = the channels' sum of the codes at that corner:
 *     4 y = 2 X + 2 (2N) sum U'(1,1) + 4 S,   raw = X / 2 + S,   y = raw + N sum U'(1,1).
 * X is even: it is 2 y - 2N sum U' - 2 S.
 * Other weights are stored as they are, with 4 c, c = (N + 1) / 2, subtracted at (1,1):
 *     4 y = X + 4 c sum U(1,1),               raw = X / 4,       y = raw + c sum U(1,1).
 *
 * A position is an edge (1 weight in U), mixed (3) or in the middle (9): PARTS of that many terms. */
#ifndef MGK_WINOGRAD_H
#define MGK_WINOGRAD_H

#include "qconv/kernel.h"

enum {
    WINOGRAD_POSITIONS = 16,
    WINOGRAD_GROUP = 3,  /* tiles that are multiplied at once */
    WINOGRAD_LANES = 32, /* output channels that are multiplied at once; the last block may have 16 */
    WINOGRAD_TILE = WINOGRAD_POSITIONS * WINOGRAD_LANES, /* sums of products of a tile: [position][LANES] */
    WINOGRAD_SUB_BLOCK = 24, /* tiles whose products wait for the output transform; a multiple of WINOGRAD_GROUP */
    WINOGRAD_BLOCK_BYTES = 1 << 18 /* of transformed activations; a block has at least one row of tiles */
};

typedef enum winograd_class { WINOGRAD_EDGE = 0, WINOGRAD_MIXED = 1, WINOGRAD_MIDDLE = 2 } winograd_class;

/* Everything that follows from the layer. */
typedef struct winograd {
    size_t tiles_y, tiles_x, rows_per_block;
    size_t channels;        /* in_channels padded to 16 */
    size_t out_channels;    /* padded to 16 */
    size_t chunk, chunks;   /* channels of a chunk, whose X fits int16 (narrow); the last chunk may have fewer */
    int depth;              /* input channels that a lane takes at once: 2, or 4 by dot products */
    int halved;             /* odd weights, U' */
    int wide;               /* sums of products in int32 instead, one chunk */
    int raw_bits;           /* of raw */
    int32_t center;         /* subtracted at (1,1) */
    int32_t v_bound;        /* |V| */
    int32_t u_bound[3];     /* |U'| or |U| by class */
    int32_t x_bound;        /* |X| a channel */
    int32_t raw_bound;      /* |raw|, all channels */
    unsigned products[3];   /* products that fit a lane of 8 bits, by class; 0: none */
    unsigned safe[3];       /* the schedule that is safe for any weights and there for any tile */
    unsigned wide_pairs[3]; /* wide: pairs of channels that fit a lane of 16 bits */
} winograd;

/* 0: the layer is none of ours. */
int mgk_winograd_plan(const mgk_qconv *layer, int depth, winograd *plan);

static inline winograd_class mgk_winograd_class(size_t position)
{
    const size_t row = position / 4;
    const size_t column = position % 4;
    return (winograd_class)((row == 1 || row == 2) + (column == 1 || column == 2));
}

static inline size_t mgk_winograd_chunk(const winograd *plan, size_t chunk)
{
    const size_t left = plan->channels - chunk * plan->chunk;
    return left < plan->chunk ? left : plan->chunk;
}

static inline size_t mgk_winograd_lanes(const winograd *plan, size_t block)
{
    const size_t left = plan->out_channels - block;
    return left < WINOGRAD_LANES ? left : WINOGRAD_LANES;
}

/* Prepared weights: [block of 32 output channels][chunk][16] schedules (bytes), padded to 64, then
 * [block][chunk][position][depth input channels][channels of the block][depth] int8. */
size_t mgk_winograd_schedules_size(const winograd *plan);
size_t mgk_winograd_weights_size(const winograd *plan);
void mgk_winograd_prepare(const mgk_qconv_weights *weights, const winograd *plan, uint8_t *section, mgk_raw *raw);

/* How often 8-bit lanes are flushed: runs[] products each, again and again; pairs is their sum. 0, 0, 0: lanes of 16. */
typedef struct winograd_schedule {
    unsigned char pairs;
    unsigned char runs[3];
} winograd_schedule;

enum {
    WINOGRAD_WIDE_SCHEDULE = 0,
    WINOGRAD_RUNS_OF_16 = 1,
    WINOGRAD_RUNS_11_11_10 = 2,
    WINOGRAD_RUNS_OF_8 = 3,
    WINOGRAD_RUNS_6_5_5 = 4,
    WINOGRAD_RUNS_OF_4 = 5,
    WINOGRAD_RUNS_3_3_2 = 6,
    WINOGRAD_RUNS_OF_2 = 7,
    WINOGRAD_RUNS_OF_1 = 8,
    WINOGRAD_SCHEDULES = 9
};
extern const winograd_schedule mgk_winograd_schedules[WINOGRAD_SCHEDULES];

#endif
