/* A row of codes as the Winograd kernels read it: with zeros around it, and in channels beyond the last. */
#ifndef MGK_PAD_ROW_H
#define MGK_PAD_ROW_H

#include <string.h>

#include "minigrad_kernels.h"

/* One row of the image with its border, `width` pixels of `channels`. */
static inline void mgk_pad_row(const mgk_conv2d *c, const uint8_t *codes, size_t width, size_t channels, uint8_t *to)
{
    const size_t left = c->pad_left < width ? c->pad_left : width;
    const size_t inside = c->width < width - left ? c->width : width - left;
    memset(to, 0, left * channels);
    to += left * channels;
    if (channels == c->in_channels) {
        memcpy(to, codes, inside * channels);
    } else {
        for (size_t x = 0; x < inside; x++) {
            memcpy(to + x * channels, codes + x * c->in_channels, c->in_channels);
            memset(to + x * channels + c->in_channels, 0, channels - c->in_channels);
        }
    }
    memset(to + inside * channels, 0, (width - left - inside) * channels);
}

#endif
