/* Every kernel of the table against the definition in int64. Kernels this processor has not are skipped, and said so. */
#include "conv_case.h"

static const mgk_qconv2d plain = {.conv = {.images = 1,
                                           .height = 5,
                                           .width = 4,
                                           .in_channels = 3,
                                           .kernel_height = 3,
                                           .kernel_width = 3,
                                           .out_channels = 5,
                                           .stride_y = 1,
                                           .stride_x = 1,
                                           .pad_top = 1,
                                           .pad_bottom = 1,
                                           .pad_left = 1,
                                           .pad_right = 1,
                                           .dilation_y = 1,
                                           .dilation_x = 1},
                                  .groups = 1,
                                  .activation_bits = 2,
                                  .weight_bits = 2};

/* Runs a layer on a kernel if it takes it; returns whether it does. */
static int test_layer(unsigned kernel, mgk_qconv2d layer, int with_zero)
{
    const mgk_path path = mgk_qconv2d_kernel_path(kernel);
    layer.kernel = kernel;
    conv_case k = make_case(path, layer, with_zero);
    const int taken = k.prepared_size > 0;
    if (taken) {
        prepare_case(path, &k);
        CHECK_EQUAL(kernel, mgk_qconv2d_kernel_of(k.prepared, k.prepared_size));
        CHECK_STATUS(MGK_OK, run_case(&k));
        check_outputs(&k);
    } else {
        CHECK_STATUS(MGK_BAD_PATH, mgk_qconv2d_prepare(path, &k.layer, k.packed, k.packed_size, k.codes, SIZE_MAX));
    }
    free_case(&k);
    return taken;
}

/* All operands at an end of their range, over this many terms: where a lane would overflow. 65 channels fill a block and
 * begin another. */
static void test_extreme(unsigned kernel, mgk_qconv2d layer, size_t terms, size_t channels, uint8_t weight_code,
                         uint8_t code)
{
    const mgk_path path = mgk_qconv2d_kernel_path(kernel);
    layer.conv = (mgk_conv2d){.images = 1,
                              .height = 1,
                              .width = 3,
                              .in_channels = terms,
                              .kernel_height = 1,
                              .kernel_width = 1,
                              .out_channels = channels,
                              .stride_y = 1,
                              .stride_x = 1,
                              .dilation_y = 1,
                              .dilation_x = 1};
    layer.kernel = kernel;
    conv_case k = make_case(path, layer, 0);
    if (k.prepared_size > 0) {
        memset(k.weight_codes, weight_code, channels * terms);
        memset(k.codes, code, k.inputs);
        prepare_case(path, &k);
        CHECK_STATUS(MGK_OK, run_case(&k));
        check_outputs(&k);
    }
    free_case(&k);
}

static void test_extremes(unsigned kernel)
{
    /* around the periods and chunks of the kernels: 16, 64, 256 (flushes of 3, 2 and 1 bit), 512 (a chunk of 4 bits),
     * 224 and 248 (counts of bits in a byte), 3,640 and its kin (outer products of 2 bits) */
    static const size_t terms[] = {1,   2,   13,  14,   15,   16,   17,   28,   29,   63,   64,
                                   65,  66,  223, 224,  225,  248,  249,  256,  257,  258,  511,
                                   512, 513, 514, 1025, 3639, 3640, 3641, 3654, 3655, 4096, 7281};
    for (unsigned bits = 1; bits <= 5; bits++) {
        mgk_qconv2d layer = plain;
        layer.activation_bits = layer.weight_bits = bits <= 4 ? bits : 8;
        layer.epilogue.bits = 2;
        const uint8_t top = (uint8_t)((1u << layer.weight_bits) - 1);
        for (size_t i = 0; i < sizeof terms / sizeof *terms; i++) {
            const size_t channels = i % 2 == 0 || terms[i] > 1025 ? 17 : 65;
            test_extreme(kernel, layer, terms[i], channels, 0, top);
            test_extreme(kernel, layer, terms[i], channels, top, top);
            layer.epilogue.output = MGK_CODES;
            test_extreme(kernel, layer, terms[i], channels, top, top);
            test_extreme(kernel, layer, terms[i], channels, 0, top);
            layer.epilogue.output = MGK_ACCUMULATORS;
            test_extreme(kernel, layer, terms[i], channels, top, 0);
            test_extreme(kernel, layer, terms[i], 82 - channels, 0, 0);
        }
    }
}

/* Every pixel and every tap at an end of its range in all channels, in patterns at random: what transformations of tiles
 * make of neighbours becomes as large as it can. */
static void test_patterns(unsigned kernel)
{
    const mgk_path path = mgk_qconv2d_kernel_path(kernel);
    for (int i = 0; i < 120; i++) {
        mgk_qconv2d layer = plain;
        layer.kernel = kernel;
        layer.activation_bits = layer.weight_bits = 1 + random_below(4);
        layer.conv.height = 4 + random_below(4);
        layer.conv.width = 4 + random_below(4);
        layer.conv.in_channels = 16 * (1 + random_below(9));
        layer.conv.out_channels = 1 + random_below(40);
        layer.conv.stride_y = layer.conv.stride_x = 1 + random_below(2);
        layer.epilogue.output = random_below(2) == 0 ? MGK_CODES : MGK_ACCUMULATORS;
        layer.epilogue.bits = 1 + random_below(4);
        conv_case k = make_case(path, layer, 0);
        if (k.prepared_size > 0) {
            const uint8_t top[2] = {(uint8_t)((1u << layer.activation_bits) - 1),
                                    (uint8_t)((1u << layer.weight_bits) - 1)};
            const size_t channels = layer.conv.in_channels;
            for (size_t p = 0; p < k.inputs / channels; p++) {
                memset(k.codes + p * channels, random_below(2) == 0 ? 0 : top[0], channels);
            }
            for (size_t t = 0; t < layer.conv.out_channels * 9; t++) {
                memset(k.weight_codes + t * channels, random_below(2) == 0 ? 0 : top[1], channels);
            }
            prepare_case(path, &k);
            CHECK_STATUS(MGK_OK, run_case(&k));
            check_outputs(&k);
        }
        free_case(&k);
    }
}

/* Images in three calls, in another order, are the images of one call; a prepared layer may be moved. */
static void test_ranges(unsigned kernel)
{
    const mgk_path path = mgk_qconv2d_kernel_path(kernel);
    mgk_qconv2d layer = plain;
    layer.conv.images = 3;
    layer.kernel = kernel;
    conv_case k = make_case(path, layer, 0);
    if (k.prepared_size == 0) {
        free_case(&k);
        return;
    }
    prepare_case(path, &k);
    uint8_t *moved = allocate(k.prepared_size);
    memcpy(moved, k.prepared, k.prepared_size);
    memset(k.prepared, 0xee, k.prepared_size);
    const size_t ranges[][2] = {{1, 3}, {2, 2}, {0, 1}};
    for (size_t r = 0; r < 3; r++) {
        CHECK_STATUS(MGK_OK, mgk_qconv2d_run(moved, k.prepared_size, k.codes, k.inputs, k.out, k.outputs * k.element,
                                             ranges[r][0], ranges[r][1], k.workspace, k.workspace_size));
    }
    check_outputs(&k);
    release(moved);
    free_case(&k);
}

/* ---------------------------------------------------------------- layers at random */

static mgk_conv2d random_conv(size_t groups)
{
    mgk_conv2d c = {.images = 1 + random_below(2),
                    .kernel_height = 1 + random_below(4),
                    .kernel_width = 1 + random_below(4),
                    .in_channels = groups * (1 + random_below(20)),
                    .out_channels = groups * (1 + random_below(35)),
                    .stride_y = 1 + random_below(3),
                    .stride_x = 1 + random_below(3),
                    .pad_top = random_below(3),
                    .pad_bottom = random_below(3),
                    .pad_left = random_below(3),
                    .pad_right = random_below(3),
                    .dilation_y = 1 + random_below(3),
                    .dilation_x = 1 + random_below(3)};
    if (random_below(2) == 0) { /* the usual one, which fast kernels are made for */
        c.kernel_height = c.kernel_width = random_below(3) == 0 ? 1 : 3;
        c.dilation_y = c.dilation_x = 1;
        c.stride_y = c.stride_x = 1 + random_below(2);
        c.pad_top = c.pad_bottom = c.pad_left = c.pad_right = c.kernel_height / 2;
        if (random_below(2) == 0) { /* whole vectors of channels */
            c.in_channels = groups * 16 * (1 + random_below(4));
        }
    }
    c.height = (c.kernel_height - 1) * c.dilation_y + 1 + random_below(5);
    c.width = (c.kernel_width - 1) * c.dilation_x + 1 + random_below(12);
    return c;
}

static mgk_qconv2d random_layer(void)
{
    const unsigned widths[] = {1, 2, 3, 4, 8};
    mgk_qconv2d layer = plain;
    layer.groups = random_below(3) == 0 ? 1 + random_below(4) : 1;
    layer.conv = random_conv(layer.groups);
    if (random_below(8) == 0) { /* depthwise */
        layer.groups = layer.conv.in_channels;
        layer.conv.out_channels = layer.groups * (1 + random_below(2));
    }
    layer.weight_bits = widths[random_below(5)];
    layer.activation_bits = 1 + random_below(8);
    if (random_below(2) == 0) {
        layer.weight_bits = layer.activation_bits = 1 + random_below(4);
    }
    layer.bipolar = layer.activation_bits == 1 && random_below(2) == 0;
    layer.encoding = (mgk_encoding)random_below(3);
    layer.weight_zero = (uint8_t)random_below(1u << layer.weight_bits);
    if (layer.encoding == MGK_CODEBOOK && (layer.weight_bits == 1 || layer.weight_bits == 8)) {
        layer.encoding = MGK_ODD;
    }
    mgk_epilogue *e = &layer.epilogue;
    e->output = (mgk_output)random_below(4);
    e->bits = 1 + random_below(random_below(4) == 0 ? 8 : 4);
    e->rounding = (mgk_rounding)random_below(3);
    e->low = e->output == MGK_REQUANTIZE_I16 ? -30000 + (int32_t)random_below(100) : (int32_t)random_below(20);
    e->high = e->output == MGK_REQUANTIZE_I16 ? 32767 : 255;
    e->zero = (int32_t)random_below(100) - 50;
    return layer;
}

static void test_kernel(unsigned kernel)
{
    int taken = 0;
    for (int i = 0; i < 2000 && taken < 150; i++) {
        const mgk_qconv2d layer = random_layer();
        taken += test_layer(kernel, layer, !layer.bipolar && random_below(4) == 0);
    }
    CHECK(taken > 20);
    printf("qconv2d: %d random layers on %s\n", taken, mgk_qconv2d_kernel_name(kernel));
    test_extremes(kernel);
    test_patterns(kernel);
    test_ranges(kernel);
}

int main(void)
{
    for (unsigned kernel = 1; kernel <= mgk_qconv2d_kernels(); kernel++) {
        if (mgk_has_path(mgk_qconv2d_kernel_path(kernel))) {
            test_kernel(kernel);
        } else {
            printf("qconv2d: this processor has no path for %s\n", mgk_qconv2d_kernel_name(kernel));
        }
    }
    return check_result("qconv2d");
}
