/* The two transforms around the products. */
#ifndef MGK_WINOGRAD_TRANSFORM_H
#define MGK_WINOGRAD_TRANSFORM_H

#include "qconv/neon/winograd.h"

/* Bytes for the codes of the tiles of a group that reach over the border of the image. */
size_t mgk_winograd_patch_size(const winograd *plan);

/* Transformed activations of a group of 1 to 3 tiles: v[position][pair of channels][tile][2], and for each tile the
 * channels' sums of its four corners (row by row): 0 where the weights are not halved. */
void mgk_winograd_input(const mgk_qconv_run *run, const winograd *plan, const winograd_tile *tiles, size_t count,
                        int8_t *v, int32_t (*corners)[4], uint8_t *patch);

/* Sums of products, [position][SUB_BLOCK tiles x LANES]: of a position, [tile][lanes] without gaps. */
enum { WINOGRAD_STRIDE = WINOGRAD_SUB_BLOCK * WINOGRAD_LANES };

/* Raw sums of a block of output channels of a range of rows of tiles: [pixel][lanes] in the order of the image, int16 or
 * int32 as the plan says. first_row is the first row of pixels; chunk 0 sets the sums, others add. */
typedef struct winograd_raw {
    void *raw;
    size_t first_row, lanes, chunk;
} winograd_raw;

/* m: int16, or int32 where the plan is wide. */
void mgk_winograd_output(const mgk_qconv_run *run, const winograd *plan, const void *m, const winograd_tile *tiles,
                         size_t count, int32_t (*corners)[4], const winograd_raw *to);

#endif
