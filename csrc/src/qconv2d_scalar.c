/* The integer convolution in plain C: the reference of all other paths. */
#include <string.h>

#include "qconv2d.h"

#if defined(__clang__)
#define MGK_ALONE __attribute__((noinline)) /* inlined, clang keeps some of the 16 sums in single registers */
#else
#define MGK_ALONE
#endif

/* sums += weight * (code - zero) over the input channels of one tap. */
MGK_ALONE static void add_tap(int32_t *restrict sums, const uint8_t *restrict weights, const uint8_t *restrict codes,
                              const uint8_t *restrict zero, size_t in_channels)
{
#if defined(__clang__)
#pragma clang loop vectorize(disable) /* lanes are output channels; clang would gather input channels instead */
#endif
    for (size_t i = 0; i < in_channels; i++) {
        const int32_t difference = codes[i] - zero[i];
        int32_t row[MGK_BLOCK];
        memcpy(row, weights + i * sizeof row, sizeof row);
        for (int o = 0; o < MGK_BLOCK; o++) {
            sums[o] += row[o] * difference;
        }
    }
}

/* One output pixel, whose first tap reads the codes at corner. */
static void run_pixel(const mgk_qconv2d_image *image, const uint8_t *corner, int32_t *accumulators)
{
    const mgk_conv2d *c = image->conv;
    const uint8_t *weights = image->weights;
    for (size_t block = 0; block < c->out_channels; block += MGK_BLOCK) {
        int32_t sums[MGK_BLOCK] = {0};
        for (size_t ky = 0; ky < c->kernel_height; ky++) {
            const uint8_t *row = corner + ky * c->dilation_y * image->geometry->padded_width * c->in_channels;
            for (size_t kx = 0; kx < c->kernel_width; kx++) {
                add_tap(sums, weights, row + kx * c->dilation_x * c->in_channels, image->zero, c->in_channels);
                weights += c->in_channels * MGK_BLOCK * sizeof(int32_t);
            }
        }
        const size_t left = c->out_channels - block;
        for (size_t o = 0; o < MGK_BLOCK && o < left; o++) {
            accumulators[block + o] = sums[o];
        }
    }
}

void mgk_qconv2d_scalar(const mgk_qconv2d_image *image)
{
    const mgk_conv2d *c = image->conv;
    const mgk_geometry *g = image->geometry;
    int32_t *accumulators = image->accumulators;
    for (size_t y = 0; y < g->out_height; y++) {
        const uint8_t *row = image->padded + y * c->stride_y * g->padded_width * c->in_channels;
        for (size_t x = 0; x < g->out_width; x++) {
            run_pixel(image, row + x * c->stride_x * c->in_channels, accumulators);
            accumulators += c->out_channels;
        }
    }
}
