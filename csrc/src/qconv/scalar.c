/* The integer convolution in plain C, for every layer: the reference of all other kernels.
 *
 * Prepared weights: [group][block of up to 16 output channels][ky][kx][input channel][channels of the block] int16.
 * Workspace: the raw sums of one pixel (int32, padded), then the image as int16 differences code - zero with a border
 * of zeros, so that no inner loop asks where the image ends. */
#include "qconv/kernel.h"

enum { BLOCK = MGK_CHANNEL_BLOCK };

static int takes(const mgk_qconv *layer)
{
    (void)layer;
    return 1;
}

static size_t find_weights_size(const mgk_qconv *layer)
{
    size_t size = sizeof(int16_t);
    return mgk_multiply(&size, layer->conv.out_channels) && mgk_multiply(&size, layer->geometry.row_length) ? size : 0;
}

static size_t find_workspace_size(const mgk_qconv *layer)
{
    size_t sums = mgk_round_up(layer->conv.out_channels, BLOCK);
    size_t size = sizeof(int16_t);
    if (sums == 0 || !mgk_multiply(&sums, sizeof(int32_t)) || !mgk_multiply(&size, layer->geometry.padded_size) ||
        !mgk_add(&size, sums)) {
        return 0;
    }
    return size;
}

static void prepare(const mgk_qconv_weights *weights, uint8_t *section, mgk_raw *raw)
{
    const mgk_qconv *layer = weights->layer;
    const size_t of_group = layer->conv.out_channels / layer->groups;
    const size_t terms = layer->geometry.row_length;
    int16_t *to = (int16_t *)(void *)section;
    for (size_t first = 0; first < layer->conv.out_channels; first += of_group) {
        for (size_t block = 0; block < of_group; block += BLOCK) {
            const size_t lanes = of_group - block < BLOCK ? of_group - block : BLOCK;
            for (size_t e = 0; e < terms; e++) {
                for (size_t lane = 0; lane < lanes; lane++) {
                    *to++ = (int16_t)mgk_weight(weights, first + block + lane, e);
                }
            }
        }
    }
    raw->bits = 32;
    raw->low = layer->sum_low;
    raw->high = layer->sum_high;
}

/* The image as differences. The border keeps the zeros that are there before. */
static void pad_image(const mgk_qconv_run *run, int16_t *padded)
{
    const mgk_conv2d *c = &run->layer->conv;
    const mgk_geometry *g = &run->layer->geometry;
    const uint8_t *codes = run->codes;
    for (size_t i = 0; i < g->padded_size; i++) {
        padded[i] = 0;
    }
    for (size_t y = 0; y < c->height; y++) {
        int16_t *row = padded + ((c->pad_top + y) * g->padded_width + c->pad_left) * c->in_channels;
        for (size_t x = 0; x < c->width; x++) {
            for (size_t i = 0; i < c->in_channels; i++) {
                const int code = *codes++;
                *row++ = (int16_t)(run->layer->bipolar ? 2 * code - 1 : code - run->zero[i]);
            }
        }
    }
}

/* sums += weight * difference over the input channels of one tap; lanes are output channels. */
static inline void add_tap(int32_t *restrict sums, const int16_t *restrict weights, const int16_t *restrict differences,
                           size_t in_channels, size_t lanes)
{
#if defined(__clang__)
#pragma clang loop vectorize(disable) /* else clang gathers input channels */
#endif
    for (size_t i = 0; i < in_channels; i++) {
        for (size_t lane = 0; lane < lanes; lane++) {
            sums[lane] += weights[i * lanes + lane] * differences[i];
        }
    }
}

/* One block of output channels of one pixel, whose first tap reads the differences at corner. */
static void run_block(const mgk_qconv *layer, const int16_t *weights, const int16_t *corner, size_t lanes,
                      int32_t *restrict sums)
{
    const mgk_conv2d *c = &layer->conv;
    const size_t in_channels = c->in_channels / layer->groups;
    int32_t local[BLOCK] = {0};
    for (size_t ky = 0; ky < c->kernel_height; ky++) {
        const int16_t *row = corner + ky * c->dilation_y * layer->geometry.padded_width * c->in_channels;
        for (size_t kx = 0; kx < c->kernel_width; kx++) {
            const int16_t *tap = row + kx * c->dilation_x * c->in_channels;
            if (lanes == BLOCK) { /* a constant the compiler makes vectors of */
                add_tap(local, weights, tap, in_channels, BLOCK);
            } else {
                add_tap(local, weights, tap, in_channels, lanes);
            }
            weights += in_channels * lanes;
        }
    }
    for (size_t lane = 0; lane < lanes; lane++) {
        sums[lane] = local[lane];
    }
}

static void run_pixel(const mgk_qconv *layer, const int16_t *weights, const int16_t *corner, int32_t *sums)
{
    const size_t in_channels = layer->conv.in_channels / layer->groups;
    const size_t of_group = layer->conv.out_channels / layer->groups;
    for (size_t group = 0; group < layer->groups; group++) {
        for (size_t block = 0; block < of_group; block += BLOCK) {
            const size_t lanes = of_group - block < BLOCK ? of_group - block : BLOCK;
            run_block(layer, weights, corner, lanes, sums);
            weights += layer->geometry.row_length * lanes;
            sums += lanes;
        }
        corner += in_channels;
    }
}

static void run(const mgk_qconv_run *run)
{
    const mgk_conv2d *c = &run->layer->conv;
    const mgk_geometry *g = &run->layer->geometry;
    int32_t *sums = (int32_t *)(void *)run->workspace;
    int16_t *padded = (int16_t *)(void *)(sums + mgk_round_up(c->out_channels, BLOCK));
    pad_image(run, padded);
    for (size_t y = 0; y < g->out_height; y++) {
        const int16_t *row = padded + y * c->stride_y * g->padded_width * c->in_channels;
        for (size_t x = 0; x < g->out_width; x++) {
            run_pixel(run->layer, (const int16_t *)(const void *)run->weights, row + x * c->stride_x * c->in_channels,
                      sums);
            mgk_epilogue_scalar_i32(run, sums, c->out_channels, y * g->out_width + x, 1, 0, c->out_channels);
        }
    }
}

const mgk_qconv_kernel mgk_qconv_scalar = {
    "scalar", MGK_SCALAR, takes, find_weights_size, prepare, find_workspace_size, run,
};
