/* What the float convolutions share: the entry points of each vector width, and the workspace. */
#ifndef MGK_CONV2D_FLOAT_H
#define MGK_CONV2D_FLOAT_H

#include "minigrad_kernels.h"

/* Channels that are summed over come in blocks of this many (part of the definition of the bits). */
enum { MGK_CHANNEL_BLOCK = 64 };
/* Output channels are padded to a multiple of the widest vector in elements; workspaces start on its boundary. */
enum { MGK_MAX_LANES = 16, MGK_ALIGNMENT = 64 };

/* A workspace in parts, sizes in bytes. */
typedef struct mgk_workspace {
    size_t taps;    /* two size_t a tap */
    size_t weights; /* packed weights, or the sums of one chunk */
    size_t image;   /* one padded image */
    size_t row;     /* one image's output gradient with padded channels */
    size_t total;
} mgk_workspace;

typedef struct mgk_border {
    size_t top, left, height, width; /* of the padded image */
} mgk_border;

static inline size_t mgk_ceil_div(size_t a, size_t b)
{
    return (a + b - 1) / b;
}

static inline size_t mgk_align(size_t bytes)
{
    return (bytes + MGK_ALIGNMENT - 1) & ~(size_t)(MGK_ALIGNMENT - 1);
}

static inline size_t mgk_pad_lanes(size_t channels)
{
    return (channels + MGK_MAX_LANES - 1) & ~(size_t)(MGK_MAX_LANES - 1);
}

/* The zero border that the gradient of the input needs around the output's gradient. */
mgk_border mgk_gradient_border(const mgk_conv2d *conv, size_t out_height, size_t out_width);

#define MGK_DECLARE_WIDE(type, name, wide)                                                                           \
    void mgk_##name##_forward_##wide(const mgk_conv2d *conv, const type *x, const type *w, type *y,                  \
                                     size_t image_begin, size_t image_end, char *workspace, mgk_workspace parts);    \
    void mgk_##name##_grad_input_##wide(const mgk_conv2d *conv, const type *dy, const type *w, type *dx,             \
                                        size_t image_begin, size_t image_end, char *workspace, mgk_workspace parts); \
    void mgk_##name##_grad_weight_##wide(const mgk_conv2d *conv, const type *x, const type *dy, type *sums,          \
                                         size_t chunk_begin, size_t chunk_end, char *workspace, mgk_workspace parts);

MGK_DECLARE_WIDE(float, f32, 0)
MGK_DECLARE_WIDE(double, f64, 0)
#if defined(__aarch64__)
MGK_DECLARE_WIDE(float, f32, 1)
MGK_DECLARE_WIDE(double, f64, 1)
#elif defined(__x86_64__)
MGK_DECLARE_WIDE(float, f32, 2)
MGK_DECLARE_WIDE(double, f64, 2)
MGK_DECLARE_WIDE(float, f32, 3)
MGK_DECLARE_WIDE(double, f64, 3)
#endif

#endif
