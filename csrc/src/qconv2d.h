/* What the paths of the integer convolution share. Arguments are checked by qconv2d.c.
 *
 * Prepared weights: a header, then [block of 16 output channels][kernel row][kernel column][input channel][16] odd
 * integers, int32 for the scalar path and int8 for NEON. Lanes beyond the last output channel are 0.
 * The header says what the buffer was made for, so that a call with another shape is refused.
 *
 * Workspace: one code an input channel (zero, or zeros), the padded image, then what the path adds.
 * Neither buffer needs an alignment: they are read byte by byte or through memcpy.
 */
#ifndef MGK_QCONV2D_H
#define MGK_QCONV2D_H

#include "geometry.h"

enum { MGK_BLOCK = 16, MGK_PREPARED_HEADER = 64 };

/* One image. */
typedef struct mgk_qconv2d_image {
    const mgk_conv2d *conv;
    const mgk_geometry *geometry;
    const uint8_t *weights; /* behind the header */
    const uint8_t *zero;    /* one code an input channel */
    const uint8_t *padded;  /* the image with its border of zero codes */
    uint8_t *scratch;       /* of the path's own size */
    int32_t *accumulators;
} mgk_qconv2d_image;

void mgk_qconv2d_scalar(const mgk_qconv2d_image *image);

#if defined(__aarch64__)
void mgk_qconv2d_neon(const mgk_qconv2d_image *image);
#endif

/* NEON's scratch: the codes of a tile of pixels, one after another for each term. */
enum { MGK_NEON_TILE = 8 };

#endif
