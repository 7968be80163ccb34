/* An integer convolution with its buffers, each of exactly the size the library asks for, and its definition. */
#ifndef MGK_TEST_CONV_CASE_H
#define MGK_TEST_CONV_CASE_H

#include <string.h>

#include "check.h"

typedef struct conv_case {
    mgk_qconv2d layer;
    size_t out_height, out_width, row_length, inputs, outputs, element;
    uint8_t *weight_codes, *packed, *prepared, *codes, *zero, *workspace, *out, *shift;
    int8_t *codebook, *direction;
    int32_t *thresholds, *bias, *multiplier;
    size_t packed_size, prepared_size, workspace_size;
} conv_case;

static inline int64_t weight_of(const conv_case *k, uint8_t code)
{
    switch (k->layer.encoding) {
    case MGK_ODD: return 2 * (int64_t)code - (((int64_t)1 << k->layer.weight_bits) - 1);
    case MGK_OFFSET: return (int64_t)code - k->layer.weight_zero;
    default: return k->codebook[code];
    }
}

/* ---------------------------------------------------------------- making one */

static inline size_t levels_of(const conv_case *k)
{
    return ((size_t)1 << k->layer.epilogue.bits) - 1;
}

/* Ascending thresholds about as large as the sums are, every direction. */
static inline void fill_thresholds(conv_case *k)
{
    const size_t levels = levels_of(k);
    const uint32_t spread = (uint32_t)(k->row_length << (k->layer.weight_bits + k->layer.activation_bits)) / 4 + 2;
    for (size_t o = 0; o < k->layer.conv.out_channels; o++) {
        int64_t t = -(int64_t)random_below(spread);
        for (size_t i = 0; i < levels; i++) {
            k->thresholds[o * levels + i] = random_below(20) == 0 && i + 1 == levels ? INT32_MAX : (int32_t)t;
            t += random_below(3 * spread / (uint32_t)levels + 1);
        }
        if (random_below(20) == 0) {
            k->thresholds[o * levels] = INT32_MIN;
        }
        k->direction[o] = (int8_t)(1 - (int)random_below(3));
    }
}

static inline void fill_requantization(conv_case *k)
{
    const int large = random_below(2) == 0;
    for (size_t o = 0; o < k->layer.conv.out_channels; o++) {
        k->bias[o] = (int32_t)random_below(2001) - 1000;
        k->multiplier[o] = (int32_t)random_below(1u << 12) - (1 << 11);
        k->shift[o] = (uint8_t)random_below(random_below(10) == 0 ? 63 : 16);
        if (large) { /* the same quotients, by shifts of 32 and more */
            k->multiplier[o] *= 1 << 20;
            k->shift[o] = (uint8_t)(32 + random_below(10));
        }
    }
}

/* The layer's sizes, bits and kinds are given; arrays are made and filled at random. with_zero: zero codes too. */
static inline conv_case make_case(mgk_path path, mgk_qconv2d layer, int with_zero)
{
    conv_case k = {.layer = layer};
    const mgk_conv2d *conv = &layer.conv;
    const size_t channels = conv->out_channels;
    mgk_epilogue *e = &k.layer.epilogue;
    CHECK_STATUS(MGK_OK, mgk_conv2d_output(conv, &k.out_height, &k.out_width));
    k.row_length = conv->kernel_height * conv->kernel_width * conv->in_channels / layer.groups;
    k.inputs = conv->images * conv->height * conv->width * conv->in_channels;
    k.outputs = conv->images * k.out_height * k.out_width * channels;
    k.element = e->output == MGK_ACCUMULATORS ? 4 : e->output == MGK_REQUANTIZE_I16 ? 2 : 1;
    k.packed_size = mgk_packed_size(channels, k.row_length, layer.weight_bits);
    k.weight_codes = allocate(channels * k.row_length);
    k.packed = allocate(k.packed_size);
    k.codes = allocate(k.inputs);
    k.zero = allocate(conv->in_channels);
    k.codebook = allocate((size_t)1 << layer.weight_bits);
    k.thresholds = allocate(channels * (levels_of(&k) + 1) * sizeof(int32_t));
    k.direction = allocate(channels);
    k.bias = allocate(channels * sizeof(int32_t));
    k.multiplier = allocate(channels * sizeof(int32_t));
    k.shift = allocate(channels);
    k.out = allocate(k.outputs * k.element);
    fill_codes(k.weight_codes, channels * k.row_length, layer.weight_bits);
    fill_codes(k.codes, k.inputs, layer.activation_bits);
    fill_codes(k.zero, conv->in_channels, layer.activation_bits);
    for (size_t j = 0; j < (size_t)1 << layer.weight_bits; j++) {
        k.codebook[j] = (int8_t)((int)random_below(256) - 128);
    }
    if (e->output == MGK_CODES) {
        fill_thresholds(&k);
    }
    fill_requantization(&k);
    memset(k.out, 0x55, k.outputs * k.element);
    k.layer.zero = with_zero ? k.zero : NULL;
    k.layer.codebook = k.codebook;
    e->thresholds = k.thresholds;
    e->direction = k.direction;
    e->bias = k.bias;
    e->multiplier = k.multiplier;
    e->shift = k.shift;
    k.prepared_size = mgk_qconv2d_prepared_size(path, &k.layer);
    k.prepared = k.prepared_size > 0 ? allocate(k.prepared_size) : NULL;
    return k;
}

static inline void free_case(conv_case *k)
{
    void *const all[] = {k->weight_codes, k->packed,    k->prepared, k->codes,      k->zero,  k->workspace, k->out,
                         k->codebook,     k->direction, k->bias,     k->multiplier, k->shift, k->thresholds};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        release(all[i]);
    }
}

static inline void prepare_case(mgk_path path, conv_case *k)
{
    CHECK(k->prepared_size > 0);
    CHECK_STATUS(MGK_OK, mgk_pack(k->weight_codes, k->layer.conv.out_channels, k->row_length, k->layer.weight_bits,
                                  k->packed, k->packed_size));
    CHECK_STATUS(MGK_OK,
                 mgk_qconv2d_prepare(path, &k->layer, k->packed, k->packed_size, k->prepared, k->prepared_size));
    k->workspace_size = mgk_qconv2d_workspace_size(k->prepared, k->prepared_size);
    CHECK(k->workspace_size > 0);
    release(k->workspace);
    k->workspace = allocate(k->workspace_size);
    memset(k->workspace, 0xaa, k->workspace_size);
}

static inline mgk_status run_case(const conv_case *k)
{
    return mgk_qconv2d_run(k->prepared, k->prepared_size, k->codes, k->inputs, k->out, k->outputs * k->element, 0,
                           k->layer.conv.images, k->workspace, k->workspace_size);
}

/* ---------------------------------------------------------------- what it means */

static inline int64_t define_accumulator(const conv_case *k, size_t image, size_t y, size_t x, size_t o)
{
    const mgk_conv2d *c = &k->layer.conv;
    const size_t in_channels = c->in_channels / k->layer.groups;
    const size_t first = o / (c->out_channels / k->layer.groups) * in_channels;
    int64_t sum = 0;
    for (size_t ky = 0; ky < c->kernel_height; ky++) {
        for (size_t kx = 0; kx < c->kernel_width; kx++) {
            const int64_t row = (int64_t)(y * c->stride_y + ky * c->dilation_y) - (int64_t)c->pad_top;
            const int64_t column = (int64_t)(x * c->stride_x + kx * c->dilation_x) - (int64_t)c->pad_left;
            if (row < 0 || row >= (int64_t)c->height || column < 0 || column >= (int64_t)c->width) {
                continue;
            }
            const size_t pixel = (image * c->height + (size_t)row) * c->width + (size_t)column;
            for (size_t i = 0; i < in_channels; i++) {
                const size_t w = ((o * c->kernel_height + ky) * c->kernel_width + kx) * in_channels + i;
                const int64_t code = k->codes[pixel * c->in_channels + first + i];
                const int64_t zero = k->layer.zero != NULL ? k->layer.zero[first + i] : 0;
                sum += weight_of(k, k->weight_codes[w]) * (k->layer.bipolar ? 2 * code - 1 : code - zero);
            }
        }
    }
    return sum;
}

/* round(x / 2^shift) by quotient and remainder of the sizes. */
static inline int64_t define_rounding(int64_t x, unsigned shift, mgk_rounding rounding)
{
    const int64_t unit = (int64_t)1 << shift;
    const int64_t size = x < 0 ? -x : x;
    int64_t quotient = size / unit;
    const int64_t rest = size % unit;
    const int tie = shift > 0 && rest == unit / 2;
    if (rest > unit - rest) {
        quotient++;
    } else if (tie && (rounding == MGK_HALF_AWAY || (rounding == MGK_HALF_UP && x > 0) ||
                       (rounding == MGK_HALF_EVEN && quotient % 2 == 1))) {
        quotient++;
    }
    return x < 0 ? -quotient : quotient;
}

static inline int64_t define_output(const conv_case *k, size_t o, int64_t accumulator)
{
    const mgk_epilogue *e = &k->layer.epilogue;
    int64_t result = 0;
    switch (e->output) {
    case MGK_ACCUMULATORS: return accumulator;
    case MGK_CODES:
        for (size_t t = 0; t < levels_of(k); t++) {
            result += e->direction[o] * accumulator >= e->thresholds[o * levels_of(k) + t];
        }
        return result;
    default:
        result = e->zero + define_rounding((accumulator + (e->bias != NULL ? e->bias[o] : 0)) * e->multiplier[o],
                                           e->shift[o], e->rounding);
        return result < e->low ? e->low : result > e->high ? e->high : result;
    }
}

static inline int64_t stored(const conv_case *k, size_t index)
{
    switch (k->layer.epilogue.output) {
    case MGK_ACCUMULATORS: return ((const int32_t *)(const void *)k->out)[index];
    case MGK_REQUANTIZE_I16: return ((const int16_t *)(const void *)k->out)[index];
    default: return k->out[index];
    }
}

static inline void check_outputs(const conv_case *k)
{
    size_t index = 0;
    for (size_t image = 0; image < k->layer.conv.images; image++) {
        for (size_t y = 0; y < k->out_height; y++) {
            for (size_t x = 0; x < k->out_width; x++) {
                for (size_t o = 0; o < k->layer.conv.out_channels; o++, index++) {
                    const int64_t expected = define_output(k, o, define_accumulator(k, image, y, x, o));
                    if (expected != stored(k, index)) {
                        printf("kernel %s, output %d, image %d, pixel (%d, %d), channel %d: ",
                               mgk_qconv2d_kernel_name(mgk_qconv2d_kernel_of(k->prepared, k->prepared_size)),
                               (int)k->layer.epilogue.output, (int)image, (int)y, (int)x, (int)o);
                    }
                    CHECK_EQUAL(expected, stored(k, index));
                }
            }
        }
    }
}

#endif
