/* The padded image the depthwise kernels read; for one type and one vector width, as the files that include it. */
#ifndef MGK_DEPTHWISE_IMAGE_H
#define MGK_DEPTHWISE_IMAGE_H

#include "conv2d_float.h"
#include "vector.h"

/* Copies an image into a larger one whose border is already zero; every output channel gets the input it reads. */
static void place_input(const mgk_conv2d *conv, const REAL *image, REAL *padded)
{
    const mgk_border border = mgk_input_border(conv);
    const size_t ic = conv->in_channels, oc = conv->out_channels, outputs = oc / ic;
    for (size_t y = 0; y < conv->height; y++) {
        REAL *to = padded + ((y + border.top) * border.width + border.left) * oc;
        const REAL *from = image + y * conv->width * ic;
        if (outputs == 1) {
            memcpy(to, from, conv->width * ic * sizeof(REAL));
            continue;
        }
        for (size_t n = 0; n < conv->width * ic; n++) {
            for (size_t k = 0; k < outputs; k++) {
                *to++ = from[n];
            }
        }
    }
}

#endif
