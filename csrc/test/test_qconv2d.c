/* The integer convolution against a plain loop in int64. Paths this processor has not are skipped, and said so. */
#include "conv_case.h"

/* One output of the definition: taps outside of the image contribute nothing. */
static int64_t define_output(const conv_case *k, const uint8_t *zero, size_t image, size_t y, size_t x, size_t o)
{
    const mgk_conv2d *c = &k->conv;
    const int64_t top = ((int64_t)1 << k->weight_bits) - 1;
    int64_t sum = 0;
    for (size_t ky = 0; ky < c->kernel_height; ky++) {
        for (size_t kx = 0; kx < c->kernel_width; kx++) {
            const int64_t row = (int64_t)(y * c->stride_y + ky * c->dilation_y) - (int64_t)c->pad_top;
            const int64_t column = (int64_t)(x * c->stride_x + kx * c->dilation_x) - (int64_t)c->pad_left;
            if (row < 0 || row >= (int64_t)c->height || column < 0 || column >= (int64_t)c->width) {
                continue;
            }
            const size_t pixel = (image * c->height + (size_t)row) * c->width + (size_t)column;
            for (size_t i = 0; i < c->in_channels; i++) {
                const size_t w = ((o * c->kernel_height + ky) * c->kernel_width + kx) * c->in_channels + i;
                const int64_t weight = 2 * (int64_t)k->weight_codes[w] - top;
                sum += weight * (k->codes[pixel * c->in_channels + i] - (zero != NULL ? zero[i] : 0));
            }
        }
    }
    return sum;
}

static void check_outputs(const conv_case *k, const uint8_t *zero)
{
    const int32_t *got = k->accumulators;
    for (size_t image = 0; image < k->conv.images; image++) {
        for (size_t y = 0; y < k->out_height; y++) {
            for (size_t x = 0; x < k->out_width; x++) {
                for (size_t o = 0; o < k->conv.out_channels; o++) {
                    CHECK_EQUAL(define_output(k, zero, image, y, x, o), *got);
                    got++;
                }
            }
        }
    }
}

static void test_random(mgk_path path, mgk_conv2d conv, unsigned weight_bits, unsigned activation_bits)
{
    conv_case k = make_case(path, conv, weight_bits, activation_bits);
    prepare_case(path, &k);
    CHECK_STATUS(MGK_OK, run_case(path, &k, NULL));
    check_outputs(&k, NULL);
    if (path == MGK_SCALAR) {
        CHECK_STATUS(MGK_OK, run_case(path, &k, k.zero));
        check_outputs(&k, k.zero);
    }
    free_case(&k);
}

/* All products of one sign and as large as they can be, over this many terms: where a lane would overflow. */
static void test_extreme(mgk_path path, size_t terms, uint8_t weight_code)
{
    const mgk_conv2d conv = {.images = 1,
                             .height = 1,
                             .width = 3,
                             .in_channels = terms,
                             .kernel_height = 1,
                             .kernel_width = 1,
                             .out_channels = 17,
                             .stride_y = 1,
                             .stride_x = 1,
                             .dilation_y = 1,
                             .dilation_x = 1};
    conv_case k = make_case(path, conv, 2, 2);
    memset(k.weight_codes, weight_code, 17 * terms);
    memset(k.codes, 3, k.inputs);
    prepare_case(path, &k);
    CHECK_STATUS(MGK_OK, run_case(path, &k, NULL));
    for (size_t i = 0; i < k.outputs; i++) {
        CHECK_EQUAL((weight_code == 3 ? 9 : -9) * (int64_t)terms, k.accumulators[i]);
    }
    free_case(&k);
}

/* Images in two calls, the second range first, are the images of one call. */
static void test_ranges(mgk_path path)
{
    const mgk_conv2d conv = {.images = 3,
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
                             .dilation_x = 1};
    conv_case k = make_case(path, conv, 2, 2);
    prepare_case(path, &k);
    const size_t ranges[][2] = {{1, 3}, {2, 2}, {0, 1}};
    for (size_t r = 0; r < 3; r++) {
        CHECK_STATUS(MGK_OK, mgk_qconv2d(path, &k.conv, 2, k.prepared, k.prepared_size, 2, k.codes, NULL,
                                         k.accumulators, ranges[r][0], ranges[r][1], k.workspace, k.workspace_size));
    }
    check_outputs(&k, NULL);
    free_case(&k);
}

static mgk_conv2d random_conv(void)
{
    mgk_conv2d c = {.images = 1 + random_below(2),
                    .kernel_height = 1 + random_below(4),
                    .kernel_width = 1 + random_below(4),
                    .in_channels = 1 + random_below(20),
                    .out_channels = 1 + random_below(35),
                    .stride_y = 1 + random_below(3),
                    .stride_x = 1 + random_below(3),
                    .pad_top = random_below(3),
                    .pad_bottom = random_below(3),
                    .pad_left = random_below(3),
                    .pad_right = random_below(3),
                    .dilation_y = 1 + random_below(3),
                    .dilation_x = 1 + random_below(3)};
    c.height = (c.kernel_height - 1) * c.dilation_y + 1 + random_below(5);
    c.width = (c.kernel_width - 1) * c.dilation_x + 1 + random_below(12);
    return c;
}

int main(void)
{
    const unsigned widths[] = {1, 2, 3, 4, 8};
    for (int i = 0; i < 100; i++) {
        test_random(MGK_SCALAR, random_conv(), widths[random_below(5)], 1 + random_below(8));
    }
    test_ranges(MGK_SCALAR);
    if (mgk_has_path(MGK_NEON)) {
        for (int i = 0; i < 100; i++) {
            test_random(MGK_NEON, random_conv(), 2, 1 + random_below(2));
        }
        const size_t bounds[] = {13, 14, 15, 28, 29, 3639, 3640, 3641, 3654, 3655, 7281};
        for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
            test_extreme(MGK_NEON, bounds[i], 0);
            test_extreme(MGK_NEON, bounds[i], 3);
        }
        test_ranges(MGK_NEON);
    } else {
        printf("qconv2d: no NEON here, only the scalar path is tested\n");
    }
    test_extreme(MGK_SCALAR, 3641, 0);
    return check_result("qconv2d");
}
