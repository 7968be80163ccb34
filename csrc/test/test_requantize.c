/* Requantization: ties of every rounding, the ends of every type, arguments. */
#include <string.h>

#include "check.h"

static int32_t requantize(int32_t x, int32_t multiplier, uint8_t shift, mgk_rounding rounding, int32_t zero)
{
    const mgk_epilogue e = {.output = MGK_REQUANTIZE_I16,
                            .multiplier = &multiplier,
                            .shift = &shift,
                            .rounding = rounding,
                            .zero = zero,
                            .low = INT16_MIN,
                            .high = INT16_MAX};
    int16_t out = 77;
    CHECK_STATUS(MGK_OK, mgk_requantize(&x, 1, 1, &e, &out));
    return out;
}

static void test_ties(void)
{
    /* x / 4 for x = -6 ... 6 */
    static const int32_t up[] = {-1, -1, -1, -1, 0, 0, 0, 0, 1, 1, 1, 1, 2};
    static const int32_t away[] = {-2, -1, -1, -1, -1, 0, 0, 0, 1, 1, 1, 1, 2};
    static const int32_t even[] = {-2, -1, -1, -1, 0, 0, 0, 0, 0, 1, 1, 1, 2};
    for (int32_t x = -6; x <= 6; x++) {
        CHECK_EQUAL(up[x + 6], requantize(x, 1, 2, MGK_HALF_UP, 0));
        CHECK_EQUAL(away[x + 6], requantize(x, 1, 2, MGK_HALF_AWAY, 0));
        CHECK_EQUAL(even[x + 6], requantize(x, 1, 2, MGK_HALF_EVEN, 0));
        CHECK_EQUAL(up[6 - x] + 10, requantize(x, -1, 2, MGK_HALF_UP, 10));
        CHECK_EQUAL(x, requantize(x, 1, 0, MGK_HALF_EVEN, 0));
    }
}

static void test_ends(void)
{
    const mgk_rounding roundings[] = {MGK_HALF_UP, MGK_HALF_AWAY, MGK_HALF_EVEN};
    for (size_t r = 0; r < 3; r++) {
        CHECK_EQUAL(1, requantize(INT32_MIN, INT32_MIN, 62, roundings[r], 0)); /* 2^62 / 2^62 */
        CHECK_EQUAL(-1, requantize(INT32_MAX, INT32_MIN, 62, roundings[r], 0));
        CHECK_EQUAL(INT16_MAX, requantize(INT32_MIN, INT32_MIN, 0, roundings[r], INT32_MAX));
        CHECK_EQUAL(INT16_MIN, requantize(INT32_MIN, INT32_MAX, 0, roundings[r], INT32_MIN));
    }
}

static void test_arguments(void)
{
    const int32_t x[4] = {1, 2, 3, INT32_MAX};
    int32_t bias[2] = {0, 0};
    const int32_t multiplier[2] = {1, 1};
    const uint8_t shift[2] = {0, 1}, too_far[2] = {0, 63};
    uint8_t out[4] = {9, 9, 9, 9};
    const mgk_epilogue good = {
        .output = MGK_REQUANTIZE_U8, .bias = bias, .multiplier = multiplier, .shift = shift, .high = 200};
    mgk_epilogue e = good;
    e.output = MGK_CODES;
    CHECK_STATUS(MGK_BAD_VALUE, mgk_requantize(x, 2, 2, &e, out));
    e.output = MGK_REQUANTIZE_I16;
    CHECK_STATUS(MGK_MISALIGNED, mgk_requantize(x, 1, 1, &e, out + ((uintptr_t)out % 2 == 0)));
    e = good;
    e.shift = too_far;
    CHECK_STATUS(MGK_BAD_VALUE, mgk_requantize(x, 2, 2, &e, out));
    e = good;
    e.multiplier = NULL;
    CHECK_STATUS(MGK_NULL_POINTER, mgk_requantize(x, 2, 2, &e, out));
    bias[1] = 1;
    CHECK_STATUS(MGK_OVERFLOW, mgk_requantize(x, 2, 2, &good, out));
    CHECK(out[0] == 9 && out[1] == 9 && out[2] == 9 && out[3] == 9);
    bias[1] = 0;
    CHECK_STATUS(MGK_OK, mgk_requantize(x, 2, 2, &good, out));
    CHECK(out[0] == 1 && out[1] == 1 && out[2] == 3 && out[3] == 200);
}

int main(void)
{
    test_ties();
    test_ends();
    test_arguments();
    return check_result("requantize");
}
