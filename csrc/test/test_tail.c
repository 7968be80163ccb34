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
    return check_result("tail");
}
