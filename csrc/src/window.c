/* Pooling windows. */
#include "window.h"

#include "overlap.h"

mgk_status mgk_check_window(const mgk_conv2d *window, const uint8_t *codes, const void *out, size_t out_element,
                            mgk_geometry *geometry)
{
    if (window == NULL || codes == NULL || out == NULL) {
        return MGK_NULL_POINTER;
    }
    const mgk_conv2d *w = window;
    const mgk_status status = mgk_find_geometry(w, geometry);
    if (status != MGK_OK) {
        return status;
    }
    if (w->out_channels != w->in_channels || w->dilation_y != 1 || w->dilation_x != 1 ||
        w->pad_top >= w->kernel_height || w->pad_bottom >= w->kernel_height || w->pad_left >= w->kernel_width ||
        w->pad_right >= w->kernel_width) {
        return MGK_BAD_SHAPE;
    }
    if (!mgk_is_aligned(out, out_element)) {
        return MGK_MISALIGNED;
    }
    const size_t outputs = w->images * geometry->out_size * out_element; /* fits: elements are at most int32 */
    return mgk_overlap(out, outputs, codes, w->images * geometry->image_size) || mgk_overlap(out, outputs, w, sizeof *w)
               ? MGK_OVERLAP
               : MGK_OK;
}

/* Along one axis. */
static void clip(size_t position, size_t stride, size_t before, size_t kernel, size_t size, size_t *begin, size_t *end)
{
    const size_t first = position * stride;
    *begin = first < before ? 0 : first - before;
    *end = first + kernel - before < size ? first + kernel - before : size;
}

mgk_window mgk_find_window(const mgk_conv2d *w, size_t y, size_t x)
{
    mgk_window found;
    clip(y, w->stride_y, w->pad_top, w->kernel_height, w->height, &found.top, &found.bottom);
    clip(x, w->stride_x, w->pad_left, w->kernel_width, w->width, &found.left, &found.right);
    return found;
}
