/* The public depthwise convolutions: workspace laid out, path chosen. The arithmetic is in wide/. */
#include "conv2d_float.h"
#include "dispatch.h"

static mgk_status lay_out_depthwise(const mgk_conv2d *conv, size_t element, mgk_workspace *parts)
{
    size_t oh, ow;
    const mgk_status status = mgk_conv2d_output(conv, &oh, &ow);
    if (status != MGK_OK) {
        return status;
    }
    const size_t oc = conv->out_channels;
    if (oc % conv->in_channels != 0 || oc > SIZE_MAX / 2) {
        return MGK_BAD_SHAPE;
    }
    const mgk_border input = mgk_input_border(conv), gradient = mgk_gradient_border(conv, oh, ow);
    const size_t lanes = mgk_pad_lanes(oc), terms = oc / conv->in_channels, strip = mgk_strip_rows(ow);
    if (!mgk_fits(conv->images, input.height, input.width, lanes, element) ||
        !mgk_fits(conv->images, gradient.height, gradient.width, lanes, element) ||
        !mgk_fits(conv->images, oh, ow, lanes, element) || !mgk_fits(strip, ow, lanes, 1, element) ||
        !mgk_fits(conv->kernel_height, conv->kernel_width, lanes, 1, element) ||
        !mgk_fits(conv->kernel_height, conv->kernel_width, terms, 1, sizeof(mgk_term))) {
        return MGK_BAD_SHAPE;
    }
    const size_t taps = conv->kernel_height * conv->kernel_width;
    const size_t pixels = input.height * input.width, gradients = gradient.height * gradient.width;
    parts->x = conv->images * conv->height * conv->width * conv->in_channels * element;
    parts->w = taps * oc * element;
    parts->y = conv->images * oh * ow * oc * element;
    if (parts->w > SIZE_MAX / MGK_CHUNKS) {
        return MGK_BAD_SHAPE;
    }
    parts->taps = mgk_align(taps * terms * sizeof(mgk_term));
    /* Vectors read up to MGK_MAX_LANES elements beyond the last one. */
    parts->weights = mgk_align((taps * lanes + MGK_MAX_LANES) * element);
    parts->image = mgk_align(((pixels > gradients ? pixels : gradients) * oc + MGK_MAX_LANES) * element);
    parts->row = mgk_align(strip * ow * lanes * element);
    parts->total = parts->taps + parts->weights + parts->image + parts->row + MGK_FLOAT_ALIGNMENT;
    return MGK_OK;
}

size_t mgk_depthwise_float_workspace(const mgk_conv2d *conv, size_t element_size)
{
    return mgk_workspace_size(lay_out_depthwise, conv, element_size);
}

MGK_DEFINE_KERNELS(depthwise, float, f32, lay_out_depthwise)
MGK_DEFINE_KERNELS(depthwise, double, f64, lay_out_depthwise)
