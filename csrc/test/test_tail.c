/* The end of a network, its values: sum pool, linear layers, addition, argmax. Bad arguments are in test_arguments.c. */
#include <string.h>

#include "check.h"

static void test_sum_pool(void)
{
    const uint8_t codes[12] = {1, 255, 2, 255, 3, 255, 4, 0, 5, 0, 6, 0};
    int32_t sums[4] = {9, 9, 9, 9};
    CHECK_STATUS(MGK_OK, mgk_sum_pool(codes, 2, 3, 2, sums));
    CHECK(sums[0] == 6 && sums[1] == 765 && sums[2] == 15 && sums[3] == 0);
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
}

static void test_argmax(void)
{
    const int32_t logits[12] = {1, 3, 3, 2, INT32_MIN, INT32_MIN, INT32_MIN, INT32_MIN, 0, INT32_MIN, 1, INT32_MAX};
    int32_t classes[3];
    CHECK_STATUS(MGK_OK, mgk_argmax(logits, 3, 4, classes));
    CHECK(classes[0] == 1 && classes[1] == 0 && classes[2] == 3);
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
    return check_result("tail");
}
