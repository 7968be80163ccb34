/* The shape of a convolution's output, with every size checked. */
#include "geometry.h"

#include "checked.h"
#include "overlap.h"

/* Output positions along one axis, and the axis's length with its border; 0 if there are none or a size overflows. */
static size_t count_positions(size_t size, size_t before, size_t after, size_t kernel, size_t stride, size_t dilation,
                              size_t *padded)
{
    size_t reach = kernel - 1;
    *padded = size;
    if (!mgk_add(padded, before) || !mgk_add(padded, after) || !mgk_multiply(&reach, dilation) || reach >= *padded) {
        return 0;
    }
    return (*padded - reach - 1) / stride + 1;
}

static int has_zero(const mgk_conv2d *c)
{
    return c->images == 0 || c->height == 0 || c->width == 0 || c->in_channels == 0 || c->kernel_height == 0 ||
           c->kernel_width == 0 || c->out_channels == 0 || c->stride_y == 0 || c->stride_x == 0 || c->dilation_y == 0 ||
           c->dilation_x == 0;
}

mgk_status mgk_find_geometry(const mgk_conv2d *c, mgk_geometry *g)
{
    if (has_zero(c)) {
        return MGK_BAD_SHAPE;
    }
    g->out_height = count_positions(c->height, c->pad_top, c->pad_bottom, c->kernel_height, c->stride_y, c->dilation_y,
                                    &g->padded_height);
    g->out_width = count_positions(c->width, c->pad_left, c->pad_right, c->kernel_width, c->stride_x, c->dilation_x,
                                   &g->padded_width);
    if (g->out_height == 0 || g->out_width == 0) {
        return MGK_BAD_SHAPE;
    }

    g->padded_size = g->padded_height;
    g->out_pixels = g->out_height;
    g->row_length = c->kernel_height;
    if (!mgk_multiply(&g->padded_size, g->padded_width) || !mgk_multiply(&g->padded_size, c->in_channels) ||
        !mgk_multiply(&g->out_pixels, g->out_width) || !mgk_multiply(&g->row_length, c->kernel_width) ||
        !mgk_multiply(&g->row_length, c->in_channels)) {
        return MGK_BAD_SHAPE;
    }
    g->image_size = c->height * c->width * c->in_channels; /* at most padded_size */
    g->out_size = g->out_pixels;

    size_t weights = g->row_length;
    size_t all_inputs = g->image_size;
    size_t all_outputs = sizeof(int32_t);
    if (!mgk_multiply(&g->out_size, c->out_channels) || !mgk_multiply(&weights, c->out_channels) ||
        !mgk_multiply(&all_inputs, c->images) || !mgk_multiply(&all_outputs, g->out_size) ||
        !mgk_multiply(&all_outputs, c->images)) {
        return MGK_BAD_SHAPE;
    }
    return MGK_OK;
}

mgk_status mgk_conv2d_output(const mgk_conv2d *conv, size_t *height, size_t *width)
{
    if (conv == NULL || height == NULL || width == NULL) {
        return MGK_NULL_POINTER;
    }
    const mgk_array arrays[] = {{height, sizeof *height}, {width, sizeof *width}, {conv, sizeof *conv}};
    if (!mgk_are_apart(arrays, 3, 2)) {
        return MGK_OVERLAP;
    }
    mgk_geometry geometry;
    const mgk_status status = mgk_find_geometry(conv, &geometry);
    if (status == MGK_OK) {
        *height = geometry.out_height;
        *width = geometry.out_width;
    }
    return status;
}
