/* What the float convolutions, dense and depthwise, share: workspace, checks, the entry points of each vector width. */
#ifndef MGK_CONV2D_FLOAT_H
#define MGK_CONV2D_FLOAT_H

#include "minigrad_kernels.h"
#include "overlap.h"

/* Channels that are summed over come in blocks of this many (part of the definition of the bits). */
enum { MGK_CHANNEL_BLOCK = 64 };
/* Output channels are padded to a multiple of the widest vector in elements; workspaces start on its boundary. */
enum { MGK_MAX_LANES = 16, MGK_FLOAT_ALIGNMENT = 64 };
/* Bytes of the caller's arrays, and of a workspace's parts. */
typedef struct mgk_workspace {
    size_t x, w, y;
    size_t taps;    /* two size_t a tap; depthwise: the terms of an output */
    size_t weights; /* packed weights, or the sums of one chunk */
    size_t image;   /* one padded image */
    size_t row;     /* one image's output gradient with padded channels; depthwise: a strip of it */
    size_t total;
} mgk_workspace;

typedef struct mgk_border {
    size_t top, left, height, width; /* of the padded image */
} mgk_border;

/* A term of a depthwise output: offsets of its two factors in elements, and the class of outputs it belongs to. */
typedef struct mgk_term {
    size_t source, weights, class;
} mgk_term;

static inline size_t mgk_ceil_div(size_t a, size_t b)
{
    return (a + b - 1) / b;
}

static inline size_t mgk_align(size_t bytes)
{
    return (bytes + MGK_FLOAT_ALIGNMENT - 1) & ~(size_t)(MGK_FLOAT_ALIGNMENT - 1);
}

static inline size_t mgk_pad_lanes(size_t channels)
{
    return (channels + MGK_MAX_LANES - 1) & ~(size_t)(MGK_MAX_LANES - 1);
}

/* Rows of an output whose gradient the depthwise kernels take at a time: about 64 pixels, for the nearest cache. */
static inline size_t mgk_strip_rows(size_t out_width)
{
    return mgk_ceil_div(64, out_width);
}

static inline mgk_border mgk_input_border(const mgk_conv2d *conv)
{
    const mgk_border border = {conv->pad_top, conv->pad_left, conv->height + conv->pad_top + conv->pad_bottom,
                               conv->width + conv->pad_left + conv->pad_right};
    return border;
}

/* The zero border that the gradient of the input needs around the output's gradient. */
mgk_border mgk_gradient_border(const mgk_conv2d *conv, size_t out_height, size_t out_width);

/* 1 where the product of four factors and `bytes` stays below a quarter of the address space. */
int mgk_fits(size_t a, size_t b, size_t c, size_t d, size_t bytes);

/* The parts of the workspace for elements of a size, or MGK_BAD_SHAPE. */
typedef mgk_status mgk_layout(const mgk_conv2d *conv, size_t element, mgk_workspace *parts);

size_t mgk_workspace_size(mgk_layout *lay_out, const mgk_conv2d *conv, size_t element);

/* Checks the arguments of a kernel but for overlaps; the workspace's parts, and its first aligned byte. */
mgk_status mgk_prepare(mgk_layout *lay_out, mgk_path path, const mgk_conv2d *conv, const void *a, const void *b,
                       const void *c, size_t begin, size_t end, size_t limit, void *workspace, size_t workspace_size,
                       size_t element, mgk_workspace *parts, char **aligned);

/* The same convolution with no stride longer than the padded image, which gives one output as any longer one does: so
 * that no product with a stride overflows. */
mgk_conv2d mgk_with_short_strides(const mgk_conv2d *conv);

/* The three public kernels of a family (conv2d, depthwise) for one type; which arrays a kernel takes. */
#define MGK_DEFINE_KERNELS(family, type, name, lay_out)                                                            \
    MGK_DEFINE_KERNEL(family, type, name, lay_out, forward, conv ? conv->images : 0, parts.x, parts.w, parts.y)    \
    MGK_DEFINE_KERNEL(family, type, name, lay_out, grad_input, conv ? conv->images : 0, parts.y, parts.w, parts.x) \
    MGK_DEFINE_KERNEL(family, type, name, lay_out, grad_weight, MGK_CHUNKS, parts.x, parts.y, MGK_CHUNKS *parts.w)

#define MGK_DEFINE_KERNEL(family, type, name, lay_out, kernel, limit, a_size, b_size, out_size)                      \
    mgk_status mgk_##family##_##name##_##kernel(mgk_path path, const mgk_conv2d *conv, const type *a, const type *b, \
                                                type *out, size_t begin, size_t end, void *workspace,                \
                                                size_t workspace_size)                                               \
    {                                                                                                                \
        mgk_workspace parts;                                                                                         \
        char *aligned;                                                                                               \
        const mgk_status status = mgk_prepare(lay_out, path, conv, a, b, out, begin, end, limit, workspace,          \
                                              workspace_size, sizeof(type), &parts, &aligned);                       \
        if (status != MGK_OK)                                                                                        \
            return status;                                                                                           \
        const mgk_array arrays[] = {                                                                                 \
            {out, out_size}, {workspace, parts.total}, {a, a_size}, {b, b_size}, {conv, sizeof *conv}};              \
        if (!mgk_are_apart(arrays, 5, 2))                                                                            \
            return MGK_OVERLAP;                                                                                      \
        const mgk_conv2d steps = mgk_with_short_strides(conv);                                                       \
        MGK_DISPATCH(path, mgk_##family##_##name##_##kernel, (&steps, a, b, out, begin, end, aligned, parts))        \
        return MGK_OK;                                                                                               \
    }

#define MGK_DECLARE_KERNEL(family, type, name, kernel, wide)                                                        \
    void mgk_##family##_##name##_##kernel##_##wide(const mgk_conv2d *conv, const type *a, const type *b, type *out, \
                                                   size_t begin, size_t end, char *workspace, mgk_workspace parts);

#define MGK_DECLARE_FAMILY(family, type, name, wide)         \
    MGK_DECLARE_KERNEL(family, type, name, forward, wide)    \
    MGK_DECLARE_KERNEL(family, type, name, grad_input, wide) \
    MGK_DECLARE_KERNEL(family, type, name, grad_weight, wide)

#define MGK_DECLARE_WIDE(wide)                      \
    MGK_DECLARE_FAMILY(conv2d, float, f32, wide)    \
    MGK_DECLARE_FAMILY(conv2d, double, f64, wide)   \
    MGK_DECLARE_FAMILY(depthwise, float, f32, wide) \
    MGK_DECLARE_FAMILY(depthwise, double, f64, wide)

MGK_DECLARE_WIDE(0)
#if defined(__aarch64__)
MGK_DECLARE_WIDE(1)
#elif defined(__x86_64__)
MGK_DECLARE_WIDE(2)
MGK_DECLARE_WIDE(3)
#endif

#endif
