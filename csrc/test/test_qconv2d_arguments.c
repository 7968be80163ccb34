/* Every bad argument of the integer convolution has its status, and nothing is written. */
#include "conv_case.h"

#define EXPECT(status, ...) CHECK_STATUS(status, mgk_qconv2d(__VA_ARGS__))

static const mgk_conv2d good = {.images = 2,
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
                                .dilation_x = 1};

static void expect_bad_shape(mgk_conv2d conv)
{
    size_t height = 77, width = 77;
    uint8_t some[1] = {0};
    int32_t sums[1] = {0};
    CHECK_STATUS(MGK_BAD_SHAPE, mgk_conv2d_output(&conv, &height, &width));
    CHECK(height == 77 && width == 77);
    CHECK_EQUAL(0, mgk_qconv2d_prepared_size(MGK_SCALAR, &conv, 2));
    CHECK_EQUAL(0, mgk_qconv2d_workspace(MGK_SCALAR, &conv));
    CHECK_STATUS(MGK_BAD_SHAPE, mgk_qconv2d_prepare(MGK_SCALAR, &conv, 2, some, SIZE_MAX, some, SIZE_MAX));
    EXPECT(MGK_BAD_SHAPE, MGK_SCALAR, &conv, 2, some, SIZE_MAX, 2, some, NULL, sums, 0, 1, some, SIZE_MAX);
}

static void test_shapes(void)
{
    /* each size of the shape zero in turn; the paddings may be */
    const size_t fields = sizeof good / sizeof(size_t);
    const size_t first_pad = offsetof(mgk_conv2d, pad_top) / sizeof(size_t);
    for (size_t f = 0; f < fields; f++) {
        mgk_conv2d conv = good;
        size_t values[sizeof good / sizeof(size_t)];
        memcpy(values, &conv, sizeof conv);
        values[f] = 0;
        memcpy(&conv, values, sizeof conv);
        if (f < first_pad || f >= first_pad + 4) {
            expect_bad_shape(conv);
        }
        values[f] = SIZE_MAX; /* too large for the others, or no output; as a stride it is fine */
        memcpy(&conv, values, sizeof conv);
        if (f != offsetof(mgk_conv2d, stride_y) / sizeof(size_t) &&
            f != offsetof(mgk_conv2d, stride_x) / sizeof(size_t)) {
            expect_bad_shape(conv);
        }
    }
    mgk_conv2d conv = good;
    conv.kernel_height = 7; /* 4 + 2 rows */
    expect_bad_shape(conv);
    conv.stride_y = SIZE_MAX;
    expect_bad_shape(conv);
    conv.stride_y = 1;
    conv.kernel_height = 6;
    size_t height, width;
    CHECK_STATUS(MGK_OK, mgk_conv2d_output(&conv, &height, &width));
    CHECK(height == 1 && width == 5);
    conv = good;
    conv.stride_x = 2;
    conv.dilation_x = 3; /* (5 + 2 - 6 - 1) / 2 + 1 */
    CHECK_STATUS(MGK_OK, mgk_conv2d_output(&conv, &height, &width));
    CHECK(height == 4 && width == 1);
    conv = good;
    conv.images = SIZE_MAX / 100; /* times 60 bytes of input fit, times 320 of output do not */
    expect_bad_shape(conv);
    CHECK_STATUS(MGK_NULL_POINTER, mgk_conv2d_output(NULL, &height, &width));
    CHECK_STATUS(MGK_NULL_POINTER, mgk_conv2d_output(&conv, NULL, &width));
    CHECK_STATUS(MGK_NULL_POINTER, mgk_conv2d_output(&conv, &height, NULL));
}

static void test_prepare(mgk_path path, conv_case *k)
{
    const size_t packed = k->packed_size;
    const size_t size = k->prepared_size;
    CHECK_STATUS(MGK_NULL_POINTER, mgk_qconv2d_prepare(path, NULL, 2, k->packed, packed, k->prepared, size));
    CHECK_STATUS(MGK_NULL_POINTER, mgk_qconv2d_prepare(path, &good, 2, NULL, packed, k->prepared, size));
    CHECK_STATUS(MGK_NULL_POINTER, mgk_qconv2d_prepare(path, &good, 2, k->packed, packed, NULL, size));
    CHECK_STATUS(MGK_BUFFER_TOO_SMALL, mgk_qconv2d_prepare(path, &good, 2, k->packed, packed - 1, k->prepared, size));
    CHECK_STATUS(MGK_BUFFER_TOO_SMALL, mgk_qconv2d_prepare(path, &good, 2, k->packed, packed, k->prepared, size - 1));
    CHECK_STATUS(MGK_BAD_BITS, mgk_qconv2d_prepare(path, &good, 0, k->packed, packed, k->prepared, size));
    CHECK_STATUS(MGK_BAD_BITS, mgk_qconv2d_prepare(path, &good, 9, k->packed, packed, k->prepared, size));
    CHECK_STATUS(MGK_BAD_PATH, mgk_qconv2d_prepare(MGK_AVX2, &good, 2, k->packed, packed, k->prepared, size));
    CHECK_EQUAL(0, mgk_qconv2d_prepared_size(path, &good, 9));
    CHECK_EQUAL(0, mgk_qconv2d_prepared_size(MGK_AVX2, &good, 2));
    CHECK_EQUAL(0, mgk_qconv2d_prepared_size(path, NULL, 2));
    CHECK_EQUAL(0, mgk_qconv2d_workspace(MGK_AVX2, &good));
    CHECK_EQUAL(0, mgk_qconv2d_workspace(path, NULL));
}

static void test_run(mgk_path path, conv_case *k)
{
    void *work = k->workspace;
    const void *ready = k->prepared;
    const size_t p = k->prepared_size;
    const size_t w = k->workspace_size;
    int32_t *out = k->accumulators;
    EXPECT(MGK_NULL_POINTER, path, NULL, 2, ready, p, 2, k->codes, NULL, out, 0, 2, work, w);
    EXPECT(MGK_NULL_POINTER, path, &good, 2, NULL, p, 2, k->codes, NULL, out, 0, 2, work, w);
    EXPECT(MGK_NULL_POINTER, path, &good, 2, ready, p, 2, NULL, NULL, out, 0, 2, work, w);
    EXPECT(MGK_NULL_POINTER, path, &good, 2, ready, p, 2, k->codes, NULL, NULL, 0, 2, work, w);
    EXPECT(MGK_NULL_POINTER, path, &good, 2, ready, p, 2, k->codes, NULL, out, 0, 2, NULL, w);
    EXPECT(MGK_BAD_PATH, MGK_AVX2, &good, 2, ready, p, 2, k->codes, NULL, out, 0, 2, work, w);
    EXPECT(MGK_BAD_PATH, (mgk_path)99, &good, 2, ready, p, 2, k->codes, NULL, out, 0, 2, work, w);
    EXPECT(MGK_BAD_BITS, path, &good, 0, ready, p, 2, k->codes, NULL, out, 0, 2, work, w);
    EXPECT(MGK_BAD_BITS, path, &good, 9, ready, p, 2, k->codes, NULL, out, 0, 2, work, w);
    EXPECT(MGK_BAD_BITS, path, &good, 2, ready, p, 0, k->codes, NULL, out, 0, 2, work, w);
    EXPECT(MGK_BAD_BITS, path, &good, 2, ready, p, 9, k->codes, NULL, out, 0, 2, work, w);
    EXPECT(MGK_BAD_RANGE, path, &good, 2, ready, p, 2, k->codes, NULL, out, 2, 1, work, w);
    EXPECT(MGK_BAD_RANGE, path, &good, 2, ready, p, 2, k->codes, NULL, out, 0, 3, work, w);
    EXPECT(MGK_BUFFER_TOO_SMALL, path, &good, 2, ready, p - 1, 2, k->codes, NULL, out, 0, 2, work, w);
    EXPECT(MGK_BUFFER_TOO_SMALL, path, &good, 2, ready, p, 2, k->codes, NULL, out, 0, 2, work, w - 1);

    k->codes[k->inputs - 1] = 4; /* in the last image */
    CHECK_STATUS(MGK_BAD_CODE, run_case(path, k, NULL));
    k->codes[k->inputs - 1] = 3;
    if (path == MGK_NEON) {
        CHECK_STATUS(MGK_BAD_PATH, run_case(path, k, k->zero));
        EXPECT(MGK_BAD_BITS, path, &good, 2, ready, p, 3, k->codes, NULL, out, 0, 2, work, w);
    } else {
        k->zero[2] = 4;
        CHECK_STATUS(MGK_BAD_CODE, run_case(path, k, k->zero));
        k->zero[2] = 3;
    }

    mgk_conv2d other = good;
    other.in_channels = 4; /* 4 x 3 outputs take as many prepared bytes as 3 x 4 */
    other.out_channels = 3;
    EXPECT(MGK_BAD_SHAPE, path, &other, 2, ready, SIZE_MAX, 2, k->codes, NULL, out, 0, 1, work, SIZE_MAX);
    if (path == MGK_SCALAR) { /* weights of 2 bits, run as if of 1 */
        EXPECT(MGK_BAD_SHAPE, path, &good, 1, ready, p, 2, k->codes, NULL, out, 0, 2, work, w);
    }
    for (size_t i = 0; i < k->outputs; i++) {
        CHECK_EQUAL(0x55555555, out[i]);
    }
    CHECK_STATUS(MGK_OK, run_case(path, k, NULL));
}

/* 255 * 255 * 33,025 terms is the last that fits an int32. */
static void test_overflow(void)
{
    mgk_conv2d conv = good;
    uint8_t some[4] = {0};
    int32_t sums[1] = {0};
    conv.kernel_height = conv.kernel_width = 1;
    conv.in_channels = 33026;
    EXPECT(MGK_OVERFLOW, MGK_SCALAR, &conv, 8, some, SIZE_MAX, 8, some, NULL, sums, 0, 1, some, SIZE_MAX);
    conv.images = conv.height = conv.width = conv.out_channels = 1;
    conv.in_channels = 33025;
    conv.pad_top = conv.pad_bottom = conv.pad_left = conv.pad_right = 0;
    conv_case k = make_case(MGK_SCALAR, conv, 8, 8);
    memset(k.weight_codes, 0, k.row_length);
    memset(k.codes, 255, k.inputs);
    prepare_case(MGK_SCALAR, &k);
    CHECK_STATUS(MGK_OK, run_case(MGK_SCALAR, &k, NULL));
    CHECK_EQUAL(-(int64_t)255 * 255 * 33025, k.accumulators[0]);
    free_case(&k);
}

int main(void)
{
    test_shapes();
    test_overflow();
    const mgk_path paths[] = {MGK_SCALAR, MGK_NEON};
    for (size_t i = 0; i < 2; i++) {
        if (mgk_has_path(paths[i])) {
            conv_case k = make_case(paths[i], good, 2, 2);
            test_prepare(paths[i], &k);
            prepare_case(paths[i], &k);
            test_run(paths[i], &k);
            free_case(&k);
        }
    }
    if (!mgk_has_path(MGK_NEON)) {
        uint8_t some[1] = {0};
        CHECK_STATUS(MGK_BAD_PATH, mgk_qconv2d_prepare(MGK_NEON, &good, 2, some, SIZE_MAX, some, SIZE_MAX));
    }
    return check_result("qconv2d_arguments");
}
