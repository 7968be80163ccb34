/* Sums of windows: the definition, the whole image as one window, arguments. */
#include <string.h>

#include "check.h"

enum { IMAGES = 2, HEIGHT = 5, WIDTH = 4, CHANNELS = 3, ROWS = 3, COLUMNS = 4 };

static const mgk_conv2d window = {.images = IMAGES,
                                  .height = HEIGHT,
                                  .width = WIDTH,
                                  .in_channels = CHANNELS,
                                  .kernel_height = 3,
                                  .kernel_width = 2,
                                  .out_channels = CHANNELS,
                                  .stride_y = 2,
                                  .stride_x = 1,
                                  .pad_top = 1,
                                  .pad_bottom = 2,
                                  .pad_left = 1,
                                  .dilation_y = 1,
                                  .dilation_x = 1};

static uint8_t codes[IMAGES * HEIGHT * WIDTH * CHANNELS];
static uint8_t large[INT32_MAX / 255 + 1];
static int32_t sums[IMAGES * ROWS * COLUMNS * CHANNELS + 1];

static void test_definition(void)
{
    fill_codes(codes, sizeof codes, 8);
    CHECK_STATUS(MGK_OK, mgk_sum_windows(&window, codes, sums));
    const int32_t *got = sums;
    for (size_t n = 0; n < IMAGES; n++) {
        for (int y = 0; y < ROWS; y++) {
            for (int x = 0; x < COLUMNS; x++) {
                for (size_t c = 0; c < CHANNELS; c++) {
                    int sum = 0;
                    for (int row = 2 * y - 1; row < 2 * y + 2; row++) {
                        for (int column = x - 1; column < x + 1; column++) {
                            if (row >= 0 && row < HEIGHT && column >= 0 && column < WIDTH) {
                                sum += codes[((n * HEIGHT + (size_t)row) * WIDTH + (size_t)column) * CHANNELS + c];
                            }
                        }
                    }
                    CHECK_EQUAL(sum, *got);
                    got++;
                }
            }
        }
    }
}

static void test_whole_image(void)
{
    mgk_conv2d whole = window;
    int32_t expected[IMAGES * CHANNELS];
    whole.kernel_height = HEIGHT;
    whole.kernel_width = WIDTH;
    whole.pad_top = whole.pad_bottom = whole.pad_left = 0;
    CHECK_STATUS(MGK_OK, mgk_sum_windows(&whole, codes, sums));
    CHECK_STATUS(MGK_OK, mgk_sum_pool(codes, IMAGES, HEIGHT * WIDTH, CHANNELS, expected));
    CHECK_EQUAL(0, memcmp(sums, expected, sizeof expected));
}

static void test_arguments(void)
{
    memset(sums, 0xaa, sizeof sums);
    CHECK_STATUS(MGK_NULL_POINTER, mgk_sum_windows(NULL, codes, sums));
    CHECK_STATUS(MGK_NULL_POINTER, mgk_sum_windows(&window, NULL, sums));
    CHECK_STATUS(MGK_NULL_POINTER, mgk_sum_windows(&window, codes, NULL));
    CHECK_STATUS(MGK_OVERLAP, mgk_sum_windows(&window, (const uint8_t *)sums + 9, sums));
    CHECK_STATUS(MGK_MISALIGNED, mgk_sum_windows(&window, codes, (int32_t *)(void *)((uint8_t *)sums + 1)));
    mgk_conv2d bad = window;
    bad.out_channels = 4;
    CHECK_STATUS(MGK_BAD_SHAPE, mgk_sum_windows(&bad, codes, sums));
    bad = window;
    bad.dilation_y = 2;
    CHECK_STATUS(MGK_BAD_SHAPE, mgk_sum_windows(&bad, codes, sums));
    bad = window;
    bad.pad_bottom = 3;
    CHECK_STATUS(MGK_BAD_SHAPE, mgk_sum_windows(&bad, codes, sums));
    bad = window;
    bad.images = SIZE_MAX / 4;
    CHECK_STATUS(MGK_BAD_SHAPE, mgk_sum_windows(&bad, codes, sums));
    bad = window;
    bad.height = bad.kernel_height = INT32_MAX / 255 + 1;
    bad.width = bad.kernel_width = bad.images = 1;
    bad.pad_left = bad.pad_top = bad.pad_bottom = 0;
    bad.in_channels = bad.out_channels = 1;
    CHECK_STATUS(MGK_OVERFLOW, mgk_sum_windows(&bad, large, sums));
    for (size_t i = 0; i < sizeof sums; i++) {
        CHECK_EQUAL(0xaa, ((const uint8_t *)sums)[i]);
    }
}

int main(void)
{
    test_definition();
    test_whole_image();
    test_arguments();
    return check_result("sum windows");
}
