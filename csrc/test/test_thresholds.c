/* Thresholds at ties and extremes, every direction, every width and tail of channels; arguments. */
#include <string.h>

#include "check.h"

/* The definition, in int64. */
static int64_t count_reached(int32_t accumulator, const int32_t *thresholds, size_t levels, int8_t direction)
{
    int64_t count = 0;
    for (size_t k = 0; k < levels; k++) {
        count += (int64_t)direction * accumulator >= thresholds[k];
    }
    return count;
}

static int compare(const void *a, const void *b)
{
    const int32_t x = *(const int32_t *)a;
    const int32_t y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* Small numbers, so that ties are common, with a few extremes. */
static int32_t draw(void)
{
    switch (random_below(12)) {
    case 0: return INT32_MIN;
    case 1: return INT32_MAX;
    case 2: return INT32_MIN + 1;
    default: return (int32_t)random_below(41) - 20;
    }
}

static void test_random(mgk_path path, size_t pixels, size_t channels, unsigned bits)
{
    const size_t levels = ((size_t)1 << bits) - 1;
    int32_t *accumulators = allocate(pixels * channels * sizeof *accumulators);
    int32_t *thresholds = allocate(channels * levels * sizeof *thresholds);
    int8_t *direction = allocate(channels);
    uint8_t *codes = allocate(pixels * channels);
    for (size_t i = 0; i < pixels * channels; i++) {
        accumulators[i] = draw();
    }
    for (size_t c = 0; c < channels; c++) {
        direction[c] = (int8_t)(1 - (int)random_below(3));
        for (size_t k = 0; k < levels; k++) {
            thresholds[c * levels + k] = draw();
        }
        qsort(thresholds + c * levels, levels, sizeof *thresholds, compare);
    }
    CHECK_STATUS(MGK_OK, mgk_thresholds(path, accumulators, pixels, channels, bits, thresholds, direction, codes));
    for (size_t i = 0; i < pixels * channels; i++) {
        const size_t c = i % channels;
        CHECK_EQUAL(count_reached(accumulators[i], thresholds + c * levels, levels, direction[c]), codes[i]);
    }
    release(codes);
    release(direction);
    release(thresholds);
    release(accumulators);
}

static void test_arguments(mgk_path path)
{
    const int32_t accumulators[2] = {0, 1};
    int32_t thresholds[6] = {-1, 0, 1, 2, 2, 2};
    int8_t direction[2] = {1, -1};
    uint8_t codes[2] = {0xaa, 0xaa};
    direction[1] = 2;
    CHECK_STATUS(MGK_BAD_CODE, mgk_thresholds(path, accumulators, 1, 2, 2, thresholds, direction, codes));
    direction[1] = -1;
    thresholds[5] = 1;
    CHECK_STATUS(MGK_BAD_CODE, mgk_thresholds(path, accumulators, 1, 2, 2, thresholds, direction, codes));
    thresholds[5] = 2;
    CHECK(codes[0] == 0xaa && codes[1] == 0xaa);
    CHECK_STATUS(MGK_OK, mgk_thresholds(path, accumulators, 1, 2, 2, thresholds, direction, codes));
    CHECK(codes[0] == 2 && codes[1] == 0);
}

int main(void)
{
    const mgk_path paths[] = {MGK_SCALAR, MGK_NEON};
    for (size_t i = 0; i < 2; i++) {
        if (!mgk_has_path(paths[i])) {
            continue;
        }
        for (unsigned bits = 1; bits <= 8; bits++) {
            for (size_t channels = 1; channels <= 26; channels++) {
                test_random(paths[i], 7, channels, bits);
            }
        }
        test_arguments(paths[i]);
    }
    return check_result("thresholds");
}
