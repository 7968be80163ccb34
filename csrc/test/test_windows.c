/* Windows: the largest code and the sum of each, the whole image as one window, shapes that are none. */
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

static uint8_t codes[IMAGES * HEIGHT * WIDTH * CHANNELS], largest[IMAGES * ROWS * COLUMNS * CHANNELS];
static int32_t sums[IMAGES * ROWS * COLUMNS * CHANNELS];

static void test_definition(void)
{
    fill_codes(codes, sizeof codes, 8);
    CHECK_STATUS(MGK_OK, mgk_sum_windows(&window, codes, sums));
    CHECK_STATUS(MGK_OK, mgk_max_pool(&window, codes, largest));
    size_t element = 0;
    for (size_t n = 0; n < IMAGES; n++) {
        for (int y = 0; y < ROWS; y++) {
            for (int x = 0; x < COLUMNS; x++) {
                for (size_t c = 0; c < CHANNELS; c++) {
                    int sum = 0, most = 0;
                    for (int row = 2 * y - 1; row < 2 * y + 2; row++) {
                        for (int column = x - 1; column < x + 1; column++) {
                            if (row >= 0 && row < HEIGHT && column >= 0 && column < WIDTH) {
                                const int code =
                                    codes[((n * HEIGHT + (size_t)row) * WIDTH + (size_t)column) * CHANNELS + c];
                                sum += code;
                                most = code > most ? code : most;
                            }
                        }
                    }
                    CHECK_EQUAL(sum, sums[element]);
                    CHECK_EQUAL(most, largest[element]);
                    element++;
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

static void expect(mgk_status status, const mgk_conv2d *bad, const uint8_t *image)
{
    memset(sums, 0xaa, sizeof sums);
    memset(largest, 0xaa, sizeof largest);
    CHECK_STATUS(status, mgk_sum_windows(bad, image, sums));
    for (size_t i = 0; i < sizeof sums; i++) {
        CHECK_EQUAL(0xaa, ((const uint8_t *)sums)[i]);
    }
    if (status == MGK_BAD_SHAPE) {
        CHECK_STATUS(status, mgk_max_pool(bad, image, largest));
        for (size_t i = 0; i < sizeof largest; i++) {
            CHECK_EQUAL(0xaa, largest[i]);
        }
    }
}

#define EXPECT_WITH(field, value)           \
    do {                                    \
        mgk_conv2d bad = window;            \
        bad.field = (value);                \
        expect(MGK_BAD_SHAPE, &bad, codes); \
    } while (0)

static void test_no_windows(void)
{
    EXPECT_WITH(out_channels, 4);
    EXPECT_WITH(dilation_y, 2);
    EXPECT_WITH(dilation_x, 2);
    EXPECT_WITH(pad_top, 3); /* as large as the kernel: a window outside of the image */
    EXPECT_WITH(pad_bottom, 3);
    EXPECT_WITH(pad_left, 2);
    EXPECT_WITH(pad_right, 2);
    EXPECT_WITH(images, SIZE_MAX / 4);
}

/* A window of one code more than an int32 holds. */
static void test_overflow(void)
{
    static uint8_t large[INT32_MAX / 255 + 1];
    mgk_conv2d column = window;
    column.height = column.kernel_height = sizeof large;
    column.width = column.kernel_width = column.images = 1;
    column.pad_left = column.pad_top = column.pad_bottom = 0;
    column.in_channels = column.out_channels = 1;
    expect(MGK_OVERFLOW, &column, large);
    column.height = column.kernel_height = sizeof large - 1;
    memset(large, 255, sizeof large);
    CHECK_STATUS(MGK_OK, mgk_sum_windows(&column, large, sums));
    CHECK_EQUAL(INT32_MAX / 255 * 255, sums[0]);
}

int main(void)
{
    test_definition();
    test_whole_image();
    test_no_windows();
    test_overflow();
    return check_result("windows");
}
