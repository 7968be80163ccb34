/* The end of a network: sum pool, linear layer, argmax. */
#include <string.h>

#include "check.h"

static void test_sum_pool(void)
{
    const uint8_t codes[12] = {1, 255, 2, 255, 3, 255, 4, 0, 5, 0, 6, 0};
    int32_t sums[4] = {9, 9, 9, 9};
    CHECK_STATUS(MGK_OK, mgk_sum_pool(codes, 2, 3, 2, sums));
    CHECK(sums[0] == 6 && sums[1] == 765 && sums[2] == 15 && sums[3] == 0);
    CHECK_STATUS(MGK_NULL_POINTER, mgk_sum_pool(NULL, 2, 3, 2, sums));
    CHECK_STATUS(MGK_NULL_POINTER, mgk_sum_pool(codes, 2, 3, 2, NULL));
    CHECK_STATUS(MGK_BAD_SHAPE, mgk_sum_pool(codes, 0, 3, 2, sums));
    CHECK_STATUS(MGK_BAD_SHAPE, mgk_sum_pool(codes, 2, 0, 2, sums));
    CHECK_STATUS(MGK_BAD_SHAPE, mgk_sum_pool(codes, 2, 3, 0, sums));
    CHECK_STATUS(MGK_BAD_SHAPE, mgk_sum_pool(codes, SIZE_MAX / 2, 3, 2, sums));
    CHECK_STATUS(MGK_OVERFLOW, mgk_sum_pool(codes, 1, INT32_MAX / 255 + 1, 1, sums));
}

static void test_linear(unsigned bits)
{
    enum { IMAGES = 3, IN = 37, OUT = 5, X_MAX = 1000 };
    int32_t x[IMAGES * IN], bias[OUT], logits[IMAGES * OUT];
    uint8_t codes[OUT * IN];
    fill_codes(codes, sizeof codes, bits);
    for (size_t i = 0; i < IMAGES * IN; i++) {
        x[i] = (int32_t)random_below(X_MAX + 1);
    }
    for (size_t o = 0; o < OUT; o++) {
        bias[o] = (int32_t)random_below(2000001) - 1000000;
    }
    CHECK_STATUS(MGK_OK, mgk_qlinear(x, X_MAX, IMAGES, IN, OUT, bits, codes, bias, logits));
    for (size_t n = 0; n < IMAGES; n++) {
        for (size_t o = 0; o < OUT; o++) {
            int64_t sum = bias[o];
            for (size_t i = 0; i < IN; i++) {
                sum += (2 * (int64_t)codes[o * IN + i] - (((int64_t)1 << bits) - 1)) * x[n * IN + i];
            }
            CHECK_EQUAL(sum, logits[n * OUT + o]);
        }
    }
}

static void test_linear_arguments(void)
{
    int32_t x[2] = {0, 5};
    uint8_t codes[2] = {0, 3};
    int32_t bias[1] = {0};
    int32_t logits[1] = {7};
    CHECK_STATUS(MGK_NULL_POINTER, mgk_qlinear(NULL, 5, 1, 2, 1, 2, codes, bias, logits));
    CHECK_STATUS(MGK_NULL_POINTER, mgk_qlinear(x, 5, 1, 2, 1, 2, NULL, bias, logits));
    CHECK_STATUS(MGK_NULL_POINTER, mgk_qlinear(x, 5, 1, 2, 1, 2, codes, NULL, logits));
    CHECK_STATUS(MGK_NULL_POINTER, mgk_qlinear(x, 5, 1, 2, 1, 2, codes, bias, NULL));
    CHECK_STATUS(MGK_BAD_SHAPE, mgk_qlinear(x, 5, 0, 2, 1, 2, codes, bias, logits));
    CHECK_STATUS(MGK_BAD_SHAPE, mgk_qlinear(x, 5, 1, 0, 1, 2, codes, bias, logits));
    CHECK_STATUS(MGK_BAD_SHAPE, mgk_qlinear(x, 5, 1, 2, 0, 2, codes, bias, logits));
    CHECK_STATUS(MGK_BAD_SHAPE, mgk_qlinear(x, 5, SIZE_MAX, 2, 1, 2, codes, bias, logits));
    CHECK_STATUS(MGK_BAD_BITS, mgk_qlinear(x, 5, 1, 2, 1, 0, codes, bias, logits));
    CHECK_STATUS(MGK_BAD_BITS, mgk_qlinear(x, 5, 1, 2, 1, 9, codes, bias, logits));
    CHECK_STATUS(MGK_BAD_CODE, mgk_qlinear(x, 5, 1, 2, 1, 1, codes, bias, logits));
    CHECK_STATUS(MGK_BAD_CODE, mgk_qlinear(x, 4, 1, 2, 1, 2, codes, bias, logits));
    CHECK_STATUS(MGK_BAD_CODE, mgk_qlinear(x, -1, 1, 2, 1, 2, codes, bias, logits));
    x[0] = -1;
    CHECK_STATUS(MGK_BAD_CODE, mgk_qlinear(x, 5, 1, 2, 1, 2, codes, bias, logits));
    x[0] = 0;
    bias[0] = INT32_MIN;
    CHECK_STATUS(MGK_OVERFLOW, mgk_qlinear(x, 5, 1, 2, 1, 2, codes, bias, logits));
    bias[0] = INT32_MAX - 2 * 3 * 5 + 1;
    CHECK_STATUS(MGK_OVERFLOW, mgk_qlinear(x, 5, 1, 2, 1, 2, codes, bias, logits));
    CHECK_EQUAL(7, logits[0]);
    bias[0] = INT32_MAX - 2 * 3 * 5;
    CHECK_STATUS(MGK_OK, mgk_qlinear(x, 5, 1, 2, 1, 2, codes, bias, logits));
    CHECK_EQUAL((int64_t)bias[0] + 15, logits[0]);
}

static void test_linear_of_bytes(void)
{
    enum { IMAGES = 2, IN = 41, OUT = 3 };
    uint8_t bytes[IMAGES * IN];
    int16_t words[IMAGES * IN];
    int8_t weights[OUT * IN];
    int32_t bias[OUT], of_bytes[IMAGES * OUT], of_words[IMAGES * OUT];
    for (size_t i = 0; i < IMAGES * IN; i++) {
        bytes[i] = (uint8_t)random_below(256);
        words[i] = (int16_t)((int32_t)random_below(65536) - 32768);
    }
    for (size_t i = 0; i < OUT * IN; i++) {
        weights[i] = (int8_t)((int)random_below(256) - 128);
    }
    for (size_t o = 0; o < OUT; o++) {
        bias[o] = (int32_t)random_below(2000001) - 1000000;
    }
    CHECK_STATUS(MGK_OK, mgk_linear_u8(bytes, IMAGES, IN, OUT, weights, bias, of_bytes));
    CHECK_STATUS(MGK_OK, mgk_linear_i16(words, IMAGES, IN, OUT, weights, bias, of_words));
    for (size_t n = 0; n < IMAGES; n++) {
        for (size_t o = 0; o < OUT; o++) {
            int64_t expected_bytes = bias[o], expected_words = bias[o];
            for (size_t i = 0; i < IN; i++) {
                expected_bytes += (int64_t)weights[o * IN + i] * bytes[n * IN + i];
                expected_words += (int64_t)weights[o * IN + i] * words[n * IN + i];
            }
            CHECK_EQUAL(expected_bytes, of_bytes[n * OUT + o]);
            CHECK_EQUAL(expected_words, of_words[n * OUT + o]);
        }
    }
}

static void test_linear_of_bytes_arguments(void)
{
    const int16_t words[4] = {INT16_MIN, INT16_MAX, 1, 2};
    const uint8_t bytes[4] = {255, 0, 1, 2};
    int8_t weights[2] = {-128, 127};
    int32_t bias[1] = {0};
    int32_t logits[2] = {7, 7};
    CHECK_STATUS(MGK_NULL_POINTER, mgk_linear_u8(NULL, 1, 2, 1, weights, bias, logits));
    CHECK_STATUS(MGK_NULL_POINTER, mgk_linear_i16(words, 1, 2, 1, NULL, bias, logits));
    CHECK_STATUS(MGK_NULL_POINTER, mgk_linear_i16(words, 1, 2, 1, weights, NULL, logits));
    CHECK_STATUS(MGK_NULL_POINTER, mgk_linear_u8(bytes, 1, 2, 1, weights, bias, NULL));
    CHECK_STATUS(MGK_BAD_SHAPE, mgk_linear_u8(bytes, 0, 2, 1, weights, bias, logits));
    CHECK_STATUS(MGK_BAD_SHAPE, mgk_linear_u8(bytes, 1, 0, 1, weights, bias, logits));
    CHECK_STATUS(MGK_BAD_SHAPE, mgk_linear_i16(words, 1, 2, 0, weights, bias, logits));
    CHECK_STATUS(MGK_BAD_SHAPE, mgk_linear_i16(words, SIZE_MAX / 2, 2, 1, weights, bias, logits));
    CHECK_STATUS(MGK_BAD_SHAPE, mgk_linear_u8(bytes, 1, SIZE_MAX / 2, 3, weights, bias, logits));
    const int16_t *odd = (const int16_t *)(const void *)((const uint8_t *)words + 1);
    CHECK_STATUS(MGK_MISALIGNED, mgk_linear_i16(odd, 1, 1, 1, weights, bias, logits));
    CHECK_STATUS(MGK_OVERLAP, mgk_linear_u8((const uint8_t *)logits, 1, 2, 1, weights, bias, logits));
    CHECK_STATUS(MGK_OVERLAP, mgk_linear_u8(bytes, 1, 2, 1, weights, bias, bias));
    bias[0] = INT32_MAX - 255 * 255; /* what these two weights still leave */
    CHECK_STATUS(MGK_OK, mgk_linear_u8(bytes, 1, 2, 1, weights, bias, logits));
    CHECK_EQUAL((int64_t)bias[0] - 255 * 128, logits[0]);
    logits[0] = 7;
    bias[0]++;
    CHECK_STATUS(MGK_OVERFLOW, mgk_linear_u8(bytes, 1, 2, 1, weights, bias, logits));
    bias[0] = -(INT32_MAX - 255 * 32768) - 1;
    CHECK_STATUS(MGK_OVERFLOW, mgk_linear_i16(words, 1, 2, 1, weights, bias, logits));
    CHECK_EQUAL(7, logits[0]);
    bias[0]++;
    CHECK_STATUS(MGK_OK, mgk_linear_i16(words, 1, 2, 1, weights, bias, logits));
    CHECK_EQUAL(bias[0] + (int64_t)128 * 32768 + 127 * 32767, logits[0]);
}

static void test_add(void)
{
    const int16_t a[5] = {1, -2, INT16_MAX, INT16_MIN, 100};
    const int16_t b[5] = {5, -7, 0, 0, -30};
    int16_t sums[5] = {9, 9, 9, 9, 9};
    CHECK_STATUS(MGK_OK, mgk_add_i16(a, b, 5, sums));
    CHECK(sums[0] == 6 && sums[1] == -9 && sums[2] == INT16_MAX && sums[3] == INT16_MIN && sums[4] == 70);
    const int16_t one[4] = {0, 0, 1, 0}, minus_one[4] = {0, 0, 0, -1};
    int16_t kept[4] = {9, 9, 9, 9};
    CHECK_STATUS(MGK_OVERFLOW, mgk_add_i16(a, one, 4, kept));
    CHECK_STATUS(MGK_OVERFLOW, mgk_add_i16(minus_one, a, 4, kept));
    CHECK(kept[0] == 9 && kept[1] == 9 && kept[2] == 9 && kept[3] == 9);
    CHECK_STATUS(MGK_NULL_POINTER, mgk_add_i16(NULL, b, 5, sums));
    CHECK_STATUS(MGK_NULL_POINTER, mgk_add_i16(a, NULL, 5, sums));
    CHECK_STATUS(MGK_NULL_POINTER, mgk_add_i16(a, b, 5, NULL));
    CHECK_STATUS(MGK_BAD_SHAPE, mgk_add_i16(a, b, 0, sums));
    CHECK_STATUS(MGK_BAD_SHAPE, mgk_add_i16(a, b, SIZE_MAX / 2 + 1, sums));
    CHECK_STATUS(MGK_OVERLAP, mgk_add_i16(sums, b, 5, sums));
    CHECK_STATUS(MGK_OVERLAP, mgk_add_i16(a, sums + 1, 4, sums));
    CHECK_STATUS(MGK_MISALIGNED, mgk_add_i16(a, b, 2, (int16_t *)(void *)((uint8_t *)sums + 1)));
}

static void test_max_pool(void)
{
    const mgk_conv2d window = {.images = 2,
                               .height = 5,
                               .width = 4,
                               .in_channels = 3,
                               .kernel_height = 3,
                               .kernel_width = 2,
                               .out_channels = 3,
                               .stride_y = 2,
                               .stride_x = 1,
                               .pad_top = 1,
                               .pad_bottom = 2,
                               .pad_left = 1,
                               .dilation_y = 1,
                               .dilation_x = 1};
    enum { HEIGHT = 3, WIDTH = 4 }; /* (5 + 3 - 3) / 2 + 1, 4 + 1 - 2 + 1 */
    uint8_t codes[2 * 5 * 4 * 3], out[2 * HEIGHT * WIDTH * 3];
    fill_codes(codes, sizeof codes, 8);
    CHECK_STATUS(MGK_OK, mgk_max_pool(&window, codes, out));
    const uint8_t *got = out;
    for (size_t n = 0; n < 2; n++) {
        for (size_t y = 0; y < HEIGHT; y++) {
            for (size_t x = 0; x < WIDTH; x++) {
                for (size_t c = 0; c < 3; c++) {
                    int largest = -1;
                    for (int row = 2 * (int)y - 1; row < 2 * (int)y + 2; row++) {
                        for (int column = (int)x - 1; column < (int)x + 1; column++) {
                            if (row >= 0 && row < 5 && column >= 0 && column < 4) {
                                const int code = codes[((n * 5 + (size_t)row) * 4 + (size_t)column) * 3 + c];
                                largest = code > largest ? code : largest;
                            }
                        }
                    }
                    CHECK_EQUAL(largest, *got);
                    got++;
                }
            }
        }
    }
    mgk_conv2d bad = window;
    memset(out, 0xaa, sizeof out);
    CHECK_STATUS(MGK_NULL_POINTER, mgk_max_pool(NULL, codes, out));
    CHECK_STATUS(MGK_NULL_POINTER, mgk_max_pool(&window, NULL, out));
    CHECK_STATUS(MGK_NULL_POINTER, mgk_max_pool(&window, codes, NULL));
    CHECK_STATUS(MGK_OVERLAP, mgk_max_pool(&window, codes, codes));
    bad.out_channels = 4;
    CHECK_STATUS(MGK_BAD_SHAPE, mgk_max_pool(&bad, codes, out));
    bad = window;
    bad.dilation_x = 2;
    CHECK_STATUS(MGK_BAD_SHAPE, mgk_max_pool(&bad, codes, out));
    bad = window;
    bad.pad_bottom = 3;
    CHECK_STATUS(MGK_BAD_SHAPE, mgk_max_pool(&bad, codes, out));
    bad = window;
    bad.pad_left = 2;
    CHECK_STATUS(MGK_BAD_SHAPE, mgk_max_pool(&bad, codes, out));
    bad = window;
    bad.pad_right = 2;
    CHECK_STATUS(MGK_BAD_SHAPE, mgk_max_pool(&bad, codes, out));
    bad = window;
    bad.pad_top = 3;
    CHECK_STATUS(MGK_BAD_SHAPE, mgk_max_pool(&bad, codes, out));
    bad = window;
    bad.in_channels = bad.out_channels = 0;
    CHECK_STATUS(MGK_BAD_SHAPE, mgk_max_pool(&bad, codes, out));
    for (size_t i = 0; i < sizeof out; i++) {
        CHECK_EQUAL(0xaa, out[i]);
    }
}

static void test_overlap_and_alignment(void)
{
    int32_t x[8] = {0};
    uint8_t *bytes = (uint8_t *)x;
    const uint8_t codes[4] = {0};
    const int32_t table[3] = {0};
    const int8_t direction[1] = {1};
    int32_t *odd = (int32_t *)(void *)(bytes + 2);
    CHECK_STATUS(MGK_OVERLAP, mgk_argmax(x, 1, 4, x + 3));
    CHECK_STATUS(MGK_MISALIGNED, mgk_argmax(odd, 1, 1, x + 4));
    CHECK_STATUS(MGK_MISALIGNED, mgk_argmax(x + 4, 1, 1, odd));
    CHECK_STATUS(MGK_OVERLAP, mgk_sum_pool(bytes + 3, 1, 1, 1, x));
    CHECK_STATUS(MGK_MISALIGNED, mgk_sum_pool(codes, 1, 1, 1, odd));
    CHECK_STATUS(MGK_OVERLAP, mgk_qlinear(x, 0, 1, 4, 1, 2, codes, table, x + 3));
    CHECK_STATUS(MGK_OVERLAP, mgk_qlinear(x, 0, 1, 4, 1, 2, bytes + 16, table, x + 4));
    CHECK_STATUS(MGK_OVERLAP, mgk_qlinear(x, 0, 1, 4, 1, 2, codes, x + 4, x + 4));
    CHECK_STATUS(MGK_MISALIGNED, mgk_qlinear(odd, 0, 1, 1, 1, 2, codes, table, x + 4));
    CHECK_STATUS(MGK_OVERLAP, mgk_thresholds(MGK_SCALAR, x, 4, 1, 2, table, direction, bytes + 15));
    CHECK_STATUS(MGK_OVERLAP, mgk_thresholds(MGK_SCALAR, table, 1, 1, 2, x, direction, bytes + 3));
    CHECK_STATUS(MGK_OVERLAP, mgk_thresholds(MGK_SCALAR, table, 1, 1, 2, table, (const int8_t *)bytes, bytes));
    CHECK_STATUS(MGK_MISALIGNED, mgk_thresholds(MGK_SCALAR, odd, 1, 1, 2, table, direction, bytes + 16));
    CHECK_STATUS(MGK_OVERLAP, mgk_pack(bytes, 1, 8, 2, bytes + 7, 2));
    CHECK_STATUS(MGK_OVERLAP, mgk_unpack(bytes, 2, 1, 8, 2, bytes + 1));
}

static void test_argmax(void)
{
    const int32_t logits[12] = {1, 3, 3, 2, INT32_MIN, INT32_MIN, INT32_MIN, INT32_MIN, 0, INT32_MIN, 1, INT32_MAX};
    int32_t classes[3];
    CHECK_STATUS(MGK_OK, mgk_argmax(logits, 3, 4, classes));
    CHECK(classes[0] == 1 && classes[1] == 0 && classes[2] == 3);
    CHECK_STATUS(MGK_NULL_POINTER, mgk_argmax(NULL, 3, 4, classes));
    CHECK_STATUS(MGK_NULL_POINTER, mgk_argmax(logits, 3, 4, NULL));
    CHECK_STATUS(MGK_BAD_SHAPE, mgk_argmax(logits, 0, 4, classes));
    CHECK_STATUS(MGK_BAD_SHAPE, mgk_argmax(logits, 3, 0, classes));
    CHECK_STATUS(MGK_BAD_SHAPE, mgk_argmax(logits, SIZE_MAX / 4, 4, classes));
}

int main(void)
{
    test_sum_pool();
    const unsigned widths[] = {1, 2, 3, 4, 8};
    for (size_t i = 0; i < 5; i++) {
        test_linear(widths[i]);
    }
    test_linear_arguments();
    test_argmax();
    test_linear_of_bytes();
    test_linear_of_bytes_arguments();
    test_add();
    test_max_pool();
    test_overlap_and_alignment();
    return check_result("tail");
}
