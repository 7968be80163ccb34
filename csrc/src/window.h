/* Pooling windows: what their arguments must be, and which part of one is in the image. */
#ifndef MGK_WINDOW_H
#define MGK_WINDOW_H

#include "geometry.h"

/* One channel out for each channel in, no dilation, and borders smaller than the kernel: every window has a pixel. */
mgk_status mgk_check_window(const mgk_conv2d *window, const uint8_t *codes, const void *out, size_t out_element,
                            mgk_geometry *geometry);

/* Rows and columns of the image: from top to bottom - 1, from left to right - 1. */
typedef struct mgk_window {
    size_t top, bottom, left, right;
} mgk_window;

mgk_window mgk_find_window(const mgk_conv2d *window, size_t y, size_t x);

#endif
