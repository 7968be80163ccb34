/* The two transforms around the products. */
#ifndef MGK_WINOGRAD_TRANSFORM_H
#define MGK_WINOGRAD_TRANSFORM_H

#include "qconv/neon/winograd.h"

/* A tile: its row from the block's first row of tiles on, and its column. */
typedef struct winograd_tile {
    uint32_t y, x;
} winograd_tile;

/* The codes under some rows of tiles, zeros around the image and in channels beyond the last. */
size_t mgk_winograd_strip_size(const winograd *plan); /* 0: overflow */
void mgk_winograd_pad(const mgk_qconv_run *run, const winograd *plan, size_t first_row, size_t rows, uint8_t *strip);

/* Transformed activations of a group of 1 to 3 tiles: v[position][depth channels][tile][depth], and for each tile the
 * channels' sums of its four corners (row by row): 0 where the weights are not halved. */
void mgk_winograd_input(const winograd *plan, const uint8_t *strip, const winograd_tile *tiles, size_t count, int8_t *v,
                        int32_t (*corners)[4]);

/* Raw sums of a block of output channels of some rows of tiles, [pixel][lanes] in the order of the image, int16 or int32
 * as the plan says. */
typedef struct winograd_raw {
    void *raw;
    size_t rows, width, lanes; /* pixels */
    size_t chunk;              /* 0 sets the sums, others add */
    void *nowhere;             /* LANES sums, for outputs beyond the image */
} winograd_raw;

/* m: sums of products, [tile][position][LANES], int16, or int32 where the plan is wide. */
void mgk_winograd_output(const winograd *plan, const void *m, const winograd_tile *tiles, size_t count,
                         int32_t (*corners)[4], const winograd_raw *to);

#endif
