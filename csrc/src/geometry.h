/* What follows from the shape of a convolution. */
#ifndef MGK_GEOMETRY_H
#define MGK_GEOMETRY_H

#include "minigrad_kernels.h"

typedef struct mgk_geometry {
    size_t out_height, out_width;
    size_t padded_height, padded_width;
    size_t image_size, padded_size; /* elements of one image, without and with its border */
    size_t out_pixels, out_size;    /* of one image */
    size_t row_length;              /* kernel_height * kernel_width * in_channels, the terms of one output */
} mgk_geometry;

/* MGK_BAD_SHAPE for a zero size, no output, or a whole array (int32 outputs) that overflows size_t. */
mgk_status mgk_find_geometry(const mgk_conv2d *conv, mgk_geometry *geometry);

#endif
