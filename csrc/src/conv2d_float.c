/* The public float convolutions: arguments checked, workspace laid out, path chosen. The arithmetic is in wide/. */
#include "conv2d_float.h"

#include "dispatch.h"

static int multiply(size_t a, size_t b, size_t *product)
{
    if (b != 0 && a > SIZE_MAX / b) {
        return 0;
    }
    *product = a * b;
    return 1;
}

int mgk_fits(size_t a, size_t b, size_t c, size_t d, size_t bytes)
{
    size_t n = bytes;
    return multiply(n, a, &n) && multiply(n, b, &n) && multiply(n, c, &n) && multiply(n, d, &n) && n <= SIZE_MAX / 4;
}

mgk_conv2d mgk_with_short_strides(const mgk_conv2d *conv)
{
    const size_t height = conv->height + conv->pad_top + conv->pad_bottom;
    const size_t width = conv->width + conv->pad_left + conv->pad_right;
    mgk_conv2d steps = *conv;
    steps.stride_y = conv->stride_y < height ? conv->stride_y : height;
    steps.stride_x = conv->stride_x < width ? conv->stride_x : width;
    return steps;
}

mgk_border mgk_gradient_border(const mgk_conv2d *conv, size_t out_height, size_t out_width)
{
    const mgk_conv2d steps = mgk_with_short_strides(conv);
    const size_t reach_y = (conv->kernel_height - 1) * conv->dilation_y;
    const size_t reach_x = (conv->kernel_width - 1) * conv->dilation_x;
    const size_t last_y = (conv->height - 1 + conv->pad_top) / steps.stride_y;
    const size_t last_x = (conv->width - 1 + conv->pad_left) / steps.stride_x;
    mgk_border border;
    border.top = reach_y > conv->pad_top ? mgk_ceil_div(reach_y - conv->pad_top, steps.stride_y) : 0;
    border.left = reach_x > conv->pad_left ? mgk_ceil_div(reach_x - conv->pad_left, steps.stride_x) : 0;
    border.height = border.top + (last_y + 1 > out_height ? last_y + 1 : out_height);
    border.width = border.left + (last_x + 1 > out_width ? last_x + 1 : out_width);
    return border;
}

static mgk_status lay_out_dense(const mgk_conv2d *conv, size_t element, mgk_workspace *parts)
{
    size_t oh, ow;
    const mgk_status status = mgk_conv2d_output(conv, &oh, &ow);
    if (status != MGK_OK) {
        return status;
    }
    const size_t height = conv->height + conv->pad_top + conv->pad_bottom;
    const size_t width = conv->width + conv->pad_left + conv->pad_right;
    const mgk_border border = mgk_gradient_border(conv, oh, ow);
    const size_t widest = conv->in_channels > conv->out_channels ? conv->in_channels : conv->out_channels;
    if (widest > SIZE_MAX / 2 || !mgk_fits(conv->images, height, width, widest, element) ||
        !mgk_fits(conv->images, border.height, border.width, mgk_pad_lanes(widest), element) ||
        !mgk_fits(conv->kernel_height, conv->kernel_width, mgk_pad_lanes(widest), mgk_pad_lanes(widest), element) ||
        !mgk_fits(conv->images, oh, ow, mgk_pad_lanes(widest), element)) {
        return MGK_BAD_SHAPE;
    }
    const size_t taps = conv->kernel_height * conv->kernel_width;
    parts->x = conv->images * conv->height * conv->width * conv->in_channels * element;
    parts->w = taps * conv->in_channels * conv->out_channels * element;
    parts->y = conv->images * oh * ow * conv->out_channels * element;
    if (parts->w > SIZE_MAX / MGK_CHUNKS) {
        return MGK_BAD_SHAPE;
    }
    const size_t forward = taps * conv->in_channels * mgk_pad_lanes(conv->out_channels);
    const size_t backward = taps * conv->out_channels * mgk_pad_lanes(conv->in_channels);
    const size_t image = height * width * conv->in_channels;
    const size_t gradient = border.height * border.width * conv->out_channels;
    parts->taps = mgk_align(2 * taps * sizeof(size_t));
    parts->weights = mgk_align((forward > backward ? forward : backward) * element);
    parts->image = mgk_align((image > gradient ? image : gradient) * element);
    parts->row = mgk_align(oh * ow * mgk_pad_lanes(conv->out_channels) * element);
    parts->total = parts->taps + parts->weights + parts->image + parts->row + MGK_FLOAT_ALIGNMENT;
    return MGK_OK;
}

size_t mgk_workspace_size(mgk_layout *lay_out, const mgk_conv2d *conv, size_t element)
{
    mgk_workspace parts;
    if (element != sizeof(float) && element != sizeof(double)) {
        return 0;
    }
    return lay_out(conv, element, &parts) == MGK_OK ? parts.total : 0;
}

size_t mgk_conv2d_float_workspace(const mgk_conv2d *conv, size_t element_size)
{
    return mgk_workspace_size(lay_out_dense, conv, element_size);
}

mgk_status mgk_prepare(mgk_layout *lay_out, mgk_path path, const mgk_conv2d *conv, const void *a, const void *b,
                       const void *c, size_t begin, size_t end, size_t limit, void *workspace, size_t workspace_size,
                       size_t element, mgk_workspace *parts, char **aligned)
{
    if (!conv || !a || !b || !c || !workspace) {
        return MGK_NULL_POINTER;
    }
    const mgk_status status = lay_out(conv, element, parts);
    if (status != MGK_OK) {
        return status;
    }
    if (begin > end || end > limit) {
        return MGK_BAD_RANGE;
    }
    if (workspace_size < parts->total) {
        return MGK_BUFFER_TOO_SMALL;
    }
    if (!mgk_has_path(path)) {
        return MGK_BAD_PATH;
    }
    if (!mgk_is_aligned(a, element) || !mgk_is_aligned(b, element) || !mgk_is_aligned(c, element)) {
        return MGK_MISALIGNED;
    }
    *aligned =
        (char *)workspace + (MGK_FLOAT_ALIGNMENT - (uintptr_t)workspace % MGK_FLOAT_ALIGNMENT) % MGK_FLOAT_ALIGNMENT;
    return MGK_OK;
}

MGK_DEFINE_KERNELS(conv2d, float, f32, lay_out_dense)
MGK_DEFINE_KERNELS(conv2d, double, f64, lay_out_dense)

#define DEFINE_JOIN(type, name)                                                                             \
    mgk_status mgk_conv2d_##name##_join(const mgk_conv2d *conv, const type *sums, type *dw)                 \
    {                                                                                                       \
        mgk_workspace parts;                                                                                \
        if (!conv || !sums || !dw)                                                                          \
            return MGK_NULL_POINTER;                                                                        \
        const mgk_status status = lay_out_dense(conv, sizeof(type), &parts);                                \
        if (status != MGK_OK)                                                                               \
            return status;                                                                                  \
        if (!mgk_is_aligned(sums, sizeof *sums) || !mgk_is_aligned(dw, sizeof *dw))                         \
            return MGK_MISALIGNED;                                                                          \
        const mgk_array arrays[] = {{dw, parts.w}, {sums, MGK_CHUNKS * parts.w}, {conv, sizeof *conv}};     \
        if (!mgk_are_apart(arrays, 3, 1))                                                                   \
            return MGK_OVERLAP;                                                                             \
        const size_t n = conv->kernel_height * conv->kernel_width * conv->in_channels * conv->out_channels; \
        for (size_t e = 0; e < n; e++) {                                                                    \
            const type low = (sums[e] + sums[n + e]) + (sums[2 * n + e] + sums[3 * n + e]);                 \
            const type high = (sums[4 * n + e] + sums[5 * n + e]) + (sums[6 * n + e] + sums[7 * n + e]);    \
            dw[e] = low + high;                                                                             \
        }                                                                                                   \
        return MGK_OK;                                                                                      \
    }

DEFINE_JOIN(float, f32)
DEFINE_JOIN(double, f64)
