/* The largest code of each window. */
#include <string.h>

#include "checked.h"
#include "geometry.h"
#include "overlap.h"

static mgk_status check(const mgk_conv2d *window, const uint8_t *codes, const uint8_t *out, mgk_geometry *geometry)
{
    if (window == NULL || codes == NULL || out == NULL) {
        return MGK_NULL_POINTER;
    }
    const mgk_conv2d *w = window;
    const mgk_status status = mgk_find_geometry(w, geometry);
    if (status != MGK_OK) {
        return status;
    }
    /* a border smaller than the kernel: every window has a pixel of the image */
    if (w->out_channels != w->in_channels || w->dilation_y != 1 || w->dilation_x != 1 ||
        w->pad_top >= w->kernel_height || w->pad_bottom >= w->kernel_height || w->pad_left >= w->kernel_width ||
        w->pad_right >= w->kernel_width) {
        return MGK_BAD_SHAPE;
    }
    return mgk_overlap(out, w->images * geometry->out_size, codes, w->images * geometry->image_size) ? MGK_OVERLAP
                                                                                                     : MGK_OK;
}

/* The part of a window along one axis that is in the image. */
static void clip(size_t position, size_t stride, size_t before, size_t kernel, size_t size, size_t *begin, size_t *end)
{
    const size_t first = position * stride;
    *begin = first < before ? 0 : first - before;
    *end = first + kernel - before < size ? first + kernel - before : size;
}

/* One output pixel. */
static void pool_window(const mgk_conv2d *w, const uint8_t *codes, size_t y, size_t x, uint8_t *out)
{
    size_t top, bottom, left, right;
    clip(y, w->stride_y, w->pad_top, w->kernel_height, w->height, &top, &bottom);
    clip(x, w->stride_x, w->pad_left, w->kernel_width, w->width, &left, &right);
    memset(out, 0, w->in_channels);
    for (size_t row = top; row < bottom; row++) {
        for (size_t column = left; column < right; column++) {
            const uint8_t *pixel = codes + (row * w->width + column) * w->in_channels;
            for (size_t c = 0; c < w->in_channels; c++) {
                out[c] = pixel[c] > out[c] ? pixel[c] : out[c];
            }
        }
    }
}

mgk_status mgk_max_pool(const mgk_conv2d *window, const uint8_t *codes, uint8_t *out)
{
    mgk_geometry g;
    const mgk_status status = check(window, codes, out, &g);
    if (status != MGK_OK) {
        return status;
    }
    for (size_t image = 0; image < window->images; image++) {
        for (size_t y = 0; y < g.out_height; y++) {
            for (size_t x = 0; x < g.out_width; x++) {
                pool_window(window, codes, y, x, out);
                out += window->in_channels;
            }
        }
        codes += g.image_size;
    }
    return MGK_OK;
}
