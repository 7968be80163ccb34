/* Layers whose numbers are bad: a status, and nothing written. Bad pointers and sizes are in test_arguments_qconv2d.c. */
#include "conv_case.h"

static const mgk_qconv2d good = {.conv = {.images = 2,
                                          .height = 4,
                                          .width = 5,
                                          .in_channels = 3,
                                          .kernel_height = 3,
                                          .kernel_width = 3,
                                          .out_channels = 4,
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
                                 .weight_bits = 2,
                                 .epilogue = {.output = MGK_CODES, .bits = 2}};

/* Prepares a layer that is bad: the status, no size, and nothing written. */
static void expect(mgk_status status, const mgk_qconv2d *layer)
{
    static uint64_t buffer[64];
    static const uint8_t packed[1];
    memset(buffer, 0x77, sizeof buffer);
    CHECK_EQUAL(0, mgk_qconv2d_prepared_size(MGK_SCALAR, layer));
    CHECK_STATUS(status, mgk_qconv2d_prepare(MGK_SCALAR, layer, packed, SIZE_MAX, buffer, SIZE_MAX));
    for (size_t i = 0; i < sizeof buffer; i++) {
        CHECK_EQUAL(0x77, ((const uint8_t *)buffer)[i]);
    }
}

/* ---------------------------------------------------------------- shapes */

static void expect_bad_shape(const mgk_qconv2d *layer)
{
    size_t height = 77, width = 77;
    CHECK_STATUS(MGK_BAD_SHAPE, mgk_conv2d_output(&layer->conv, &height, &width));
    CHECK(height == 77 && width == 77);
    expect(MGK_BAD_SHAPE, layer);
}

static void test_shapes(const mgk_qconv2d *valid)
{
    mgk_qconv2d layer = *valid;
    layer.conv.kernel_height = 7; /* 4 + 2 rows */
    expect_bad_shape(&layer);
    layer.conv.stride_y = SIZE_MAX;
    expect_bad_shape(&layer);
    layer = *valid;
    layer.conv.images = SIZE_MAX / 100; /* times 60 bytes of input fit, times 320 of output do not */
    expect_bad_shape(&layer);
    layer = *valid;
    layer.groups = 0;
    expect(MGK_BAD_SHAPE, &layer);
    layer.groups = 3; /* not of 4 output channels */
    expect(MGK_BAD_SHAPE, &layer);
    layer.groups = 4; /* not of 3 input channels */
    expect(MGK_BAD_SHAPE, &layer);
    layer = *valid;
    layer.conv.height = layer.conv.width = 1;
    layer.conv.pad_left = layer.conv.pad_top = (size_t)1 << 30; /* a border that no memory holds, but few outputs */
    layer.conv.stride_y = layer.conv.stride_x = (size_t)1 << 31;
    layer.conv.in_channels = 8; /* 2^63 codes fit a size_t, as int16 they do not */
    layer.zero = NULL;
    expect(MGK_BAD_SHAPE, &layer);
}

static void test_outputs(void)
{
    mgk_conv2d conv = good.conv;
    size_t height, width;
    conv.kernel_height = 6;
    CHECK_STATUS(MGK_OK, mgk_conv2d_output(&conv, &height, &width));
    CHECK(height == 1 && width == 5);
    conv = good.conv;
    conv.stride_x = 2;
    conv.dilation_x = 3; /* (5 + 2 - 6 - 1) / 2 + 1 */
    CHECK_STATUS(MGK_OK, mgk_conv2d_output(&conv, &height, &width));
    CHECK(height == 4 && width == 1);
}

/* ---------------------------------------------------------------- operands and epilogues */

/* Expects a status of a layer that differs from the valid one in one field. */
#define EXPECT_WITH(status, field, value) \
    do {                                  \
        mgk_qconv2d changed = *valid;     \
        changed.field = (value);          \
        expect(status, &changed);         \
    } while (0)

static void test_operands(const mgk_qconv2d *valid)
{
    const uint8_t too_large[] = {0, 3, 4};
    EXPECT_WITH(MGK_BAD_BITS, bipolar, 1); /* of 2 bits */
    EXPECT_WITH(MGK_BAD_VALUE, bipolar, 2);
    EXPECT_WITH(MGK_BAD_CODE, zero, too_large);
    const unsigned widths[] = {5, 6, 7, 32};
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        EXPECT_WITH(MGK_BAD_BITS, weight_bits, widths[i]);
    }
    EXPECT_WITH(MGK_BAD_VALUE, encoding, (mgk_encoding)3);
    EXPECT_WITH(MGK_BAD_VALUE, flush_from_weights, 2);
    EXPECT_WITH(MGK_BAD_PATH, kernel, mgk_qconv2d_kernels() + 1);
    EXPECT_WITH(MGK_BAD_PATH, kernel, UINT32_MAX);

    mgk_qconv2d layer = *valid;
    layer.activation_bits = 1;
    layer.bipolar = 1;
    layer.zero = too_large;
    expect(MGK_BAD_VALUE, &layer);
    layer = *valid;
    layer.encoding = MGK_OFFSET;
    layer.weight_zero = 4;
    expect(MGK_BAD_CODE, &layer);
    layer.encoding = MGK_CODEBOOK;
    layer.codebook = NULL;
    expect(MGK_NULL_POINTER, &layer);
    layer.weight_bits = 1;
    expect(MGK_BAD_BITS, &layer);
    layer.weight_bits = 8;
    expect(MGK_BAD_BITS, &layer);
}

static void test_epilogues(const mgk_qconv2d *valid)
{
    EXPECT_WITH(MGK_BAD_VALUE, epilogue.output, (mgk_output)4);
    EXPECT_WITH(MGK_BAD_BITS, epilogue.bits, 0);
    EXPECT_WITH(MGK_BAD_BITS, epilogue.bits, 9);
    int32_t descending[12] = {0};
    descending[10] = 1;
    EXPECT_WITH(MGK_BAD_CODE, epilogue.thresholds, descending);
    const int8_t directions[2][4] = {{1, -1, 0, 2}, {-2, 1, 1, 1}};
    EXPECT_WITH(MGK_BAD_CODE, epilogue.direction, directions[0]);
    EXPECT_WITH(MGK_BAD_CODE, epilogue.direction, directions[1]);
}

static void test_requantization(mgk_qconv2d layer)
{
    layer.epilogue.output = MGK_REQUANTIZE_U8;
    layer.epilogue.high = 255;
    const mgk_qconv2d *valid = &layer;
    CHECK(mgk_qconv2d_prepared_size(MGK_SCALAR, valid) > 0);
    const uint8_t shifts[4] = {0, 62, 5, 63};
    EXPECT_WITH(MGK_BAD_VALUE, epilogue.shift, shifts);
    EXPECT_WITH(MGK_BAD_VALUE, epilogue.rounding, (mgk_rounding)3);
    EXPECT_WITH(MGK_BAD_VALUE, epilogue.low, -1);
    EXPECT_WITH(MGK_BAD_VALUE, epilogue.low, 256);
    EXPECT_WITH(MGK_BAD_VALUE, epilogue.high, 256);
    EXPECT_WITH(MGK_BAD_VALUE, epilogue.high, -1);
    /* 27 terms of at most 9 */
    const int32_t biases[4][4] = {
        {0, 0, 0, INT32_MAX - 243}, {0, 0, 0, INT32_MAX - 242}, {INT32_MIN + 243, 0, 0, 0}, {INT32_MIN + 242, 0, 0, 0}};
    layer.epilogue.bias = biases[0];
    CHECK(mgk_qconv2d_prepared_size(MGK_SCALAR, valid) > 0);
    layer.epilogue.bias = biases[2];
    CHECK(mgk_qconv2d_prepared_size(MGK_SCALAR, valid) > 0);
    EXPECT_WITH(MGK_OVERFLOW, epilogue.bias, biases[1]);
    EXPECT_WITH(MGK_OVERFLOW, epilogue.bias, biases[3]);
    layer.epilogue.bias = NULL;
    layer.epilogue.output = MGK_REQUANTIZE_I16;
    EXPECT_WITH(MGK_BAD_VALUE, epilogue.low, INT16_MIN - 1);
    EXPECT_WITH(MGK_BAD_VALUE, epilogue.high, INT16_MAX + 1);
    EXPECT_WITH(MGK_BAD_VALUE, epilogue.high, INT32_MIN);
}

/* 255 * 255 * 33,025 terms is the last that fits an int32. */
static void test_overflow(void)
{
    mgk_qconv2d layer = good;
    layer.epilogue.output = MGK_ACCUMULATORS;
    layer.activation_bits = layer.weight_bits = 8;
    layer.conv.kernel_height = layer.conv.kernel_width = 1;
    layer.conv.in_channels = 33026;
    expect(MGK_OVERFLOW, &layer);
    layer.conv.images = layer.conv.height = layer.conv.width = layer.conv.out_channels = 1;
    layer.conv.pad_top = layer.conv.pad_bottom = layer.conv.pad_left = layer.conv.pad_right = 0;
    expect(MGK_OVERFLOW, &layer);
    layer.conv.in_channels = 33025;
    conv_case k = make_case(MGK_SCALAR, layer, 0);
    memset(k.weight_codes, 0, k.row_length);
    memset(k.codes, 255, k.inputs);
    prepare_case(MGK_SCALAR, &k);
    CHECK_STATUS(MGK_OK, run_case(&k));
    CHECK_EQUAL(-(int64_t)255 * 255 * 33025, stored(&k, 0));
    free_case(&k);
}

/* ---------------------------------------------------------------- buffers */

#define RUN(status, ...) CHECK_STATUS(status, mgk_qconv2d_run(__VA_ARGS__))

static void test_paths(const mgk_qconv2d *layer)
{
    for (int path = -1; path <= MGK_VNNI + 1; path++) {
        CHECK_EQUAL(mgk_has_path((mgk_path)path), mgk_qconv2d_prepared_size((mgk_path)path, layer) > 0);
    }
}

static void test_prepared(conv_case *k)
{
    const size_t p = k->prepared_size;
    for (size_t i = 0; i < 200; i += 8) { /* a bit of its beginning flipped */
        k->prepared[i] ^= 4;
        CHECK_EQUAL(0, mgk_qconv2d_workspace_size(k->prepared, p));
        CHECK_STATUS(MGK_BAD_VALUE, run_case(k));
        k->prepared[i] ^= 4;
    }
}

/* Codes are looked at, those of the images that are asked for. */
static void test_codes(conv_case *k)
{
    const size_t c = k->inputs, o = k->outputs * k->element;
    k->codes[c - 1] = 4; /* in the last image */
    CHECK_STATUS(MGK_BAD_CODE, run_case(k));
    RUN(MGK_OK, k->prepared, k->prepared_size, k->codes, c, k->out, o, 0, 0, k->workspace, k->workspace_size);
    k->codes[c - 1] = 3;
    for (size_t i = 0; i < o; i++) {
        CHECK_EQUAL(0x55, k->out[i]);
    }
    CHECK_STATUS(MGK_OK, run_case(k));
    check_outputs(k);
}

/* uint8 arrays may begin anywhere. */
static void test_odd_addresses(const conv_case *k)
{
    const size_t o = k->outputs * k->element;
    uint8_t *codes = allocate(k->inputs + 1);
    uint8_t *packed = allocate(k->packed_size + 1);
    uint8_t *out = allocate(o + 1);
    memcpy(codes + 1, k->codes, k->inputs);
    memcpy(packed + 1, k->packed, k->packed_size);
    CHECK_STATUS(MGK_OK,
                 mgk_qconv2d_prepare(MGK_SCALAR, &k->layer, packed + 1, k->packed_size, k->prepared, k->prepared_size));
    if (k->element == 1) {
        RUN(MGK_OK, k->prepared, k->prepared_size, codes + 1, k->inputs, out + 1, o, 0, 2, k->workspace,
            k->workspace_size);
        CHECK_EQUAL(0, memcmp(out + 1, k->out, o));
    }
    release(codes);
    release(packed);
    release(out);
}

int main(void)
{
    test_outputs();
    test_overflow();
    for (int output = MGK_ACCUMULATORS; output <= MGK_REQUANTIZE_I16; output++) {
        mgk_qconv2d layer = good;
        layer.epilogue.output = (mgk_output)output;
        layer.epilogue.high = 100;
        conv_case k = make_case(MGK_SCALAR, layer, output != MGK_ACCUMULATORS);
        test_shapes(&k.layer);
        test_operands(&k.layer);
        if (output == MGK_CODES) {
            test_epilogues(&k.layer);
            test_requantization(k.layer);
        }
        test_paths(&k.layer);
        prepare_case(MGK_SCALAR, &k);
        test_prepared(&k);
        test_codes(&k);
        test_odd_addresses(&k);
        free_case(&k);
    }
    return check_result("qconv2d_values");
}
