/* Float convolutions on every path the processor has: each bit against loops in the header's order, and statuses. */
#include <math.h>
#include <string.h>

#include "check.h"

enum { MOST = 1 << 14 };

static float x[MOST], w[MOST], y[MOST], got[MOST], sums[MGK_CHUNKS * MOST];
static double x64[MOST], w64[MOST], y64[MOST], got64[MOST], sums64[MGK_CHUNKS * MOST];

static float small(void)
{
    return (float)((int)random_below(2001) - 1000) / 128.0f;
}

/* The element of x a tap meets at an output pixel, or -1 in the padding. */
static long source(const mgk_conv2d *c, size_t n, size_t row, size_t column, size_t tap)
{
    const size_t r = row * c->stride_y + tap / c->kernel_width * c->dilation_y;
    const size_t k = column * c->stride_x + tap % c->kernel_width * c->dilation_x;
    if (r < c->pad_top || r - c->pad_top >= c->height || k < c->pad_left || k - c->pad_left >= c->width) {
        return -1;
    }
    return (long)(((n * c->height + r - c->pad_top) * c->width + k - c->pad_left) * c->in_channels);
}

static void forward_by_definition(const mgk_conv2d *c, size_t oh, size_t ow)
{
    const size_t taps = c->kernel_height * c->kernel_width, ic = c->in_channels, oc = c->out_channels;
    for (size_t p = 0; p < c->images * oh * ow; p++) {
        for (size_t o = 0; o < oc; o++) {
            float sum = 0;
            double sum64 = 0;
            for (size_t first = 0; first < ic; first += 64) {
                for (size_t tap = 0; tap < taps; tap++) {
                    const long at = source(c, p / (oh * ow), p / ow % oh, p % ow, tap);
                    for (size_t i = first; i < ic && i < first + 64; i++) {
                        const size_t k = (tap * ic + i) * oc + o;
                        sum = fmaf(at < 0 ? 0.0f : x[(size_t)at + i], w[k], sum);
                        sum64 = sum64 + (at < 0 ? 0.0 : x64[(size_t)at + i]) * w64[k];
                    }
                }
            }
            y[p * oc + o] = sum;
            y64[p * oc + o] = sum64;
        }
    }
}

static void compare(const char *what, int path, size_t count)
{
    for (size_t e = 0; e < count; e++) {
        if (memcmp(&y[e], &got[e], sizeof *y) != 0 || memcmp(&y64[e], &got64[e], sizeof *y64) != 0) {
            printf("%s, path %d, element %zu: expected %a %a, got %a %a\n", what, path, e, (double)y[e], y64[e],
                   (double)got[e], got64[e]);
            check_failures++;
            return;
        }
    }
}

/* Gradients, in any order but exactly: integers small enough that every order gives the same sum. */
static void gradients_by_definition(const mgk_conv2d *c, size_t oh, size_t ow, const float *dy, float *dx, float *dw)
{
    const size_t taps = c->kernel_height * c->kernel_width, ic = c->in_channels, oc = c->out_channels;
    for (size_t p = 0; p < c->images * oh * ow; p++) {
        for (size_t tap = 0; tap < taps; tap++) {
            const long at = source(c, p / (oh * ow), p / ow % oh, p % ow, tap);
            for (size_t i = 0; at >= 0 && i < ic; i++) {
                for (size_t o = 0; o < oc; o++) {
                    dx[(size_t)at + i] += dy[p * oc + o] * w[(tap * ic + i) * oc + o];
                    dw[(tap * ic + i) * oc + o] += dy[p * oc + o] * x[(size_t)at + i];
                }
            }
        }
    }
}

static mgk_conv2d random_shape(void)
{
    static const size_t channels[] = {1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 65};
    mgk_conv2d c;
    size_t oh, ow;
    do {
        c = (mgk_conv2d){1 + random_below(3),
                         1 + random_below(7),
                         1 + random_below(7),
                         channels[random_below(11)],
                         1 + random_below(3),
                         1 + random_below(3),
                         channels[random_below(11)],
                         1 + random_below(3),
                         1 + random_below(3),
                         random_below(3),
                         random_below(3),
                         random_below(3),
                         random_below(3),
                         1 + random_below(2),
                         1 + random_below(2)};
    } while (mgk_conv2d_output(&c, &oh, &ow) != MGK_OK || c.images * oh * ow * c.out_channels > MOST ||
             c.images * c.height * c.width * c.in_channels > MOST ||
             c.kernel_height * c.kernel_width * c.in_channels * c.out_channels > MOST);
    return c;
}

static void fill(int integers)
{
    for (size_t e = 0; e < MOST; e++) {
        x[e] = integers ? (float)((int)random_below(7) - 3) : small();
        w[e] = integers ? (float)((int)random_below(7) - 3) : small() * 0.37f;
        x64[e] = x[e];
        w64[e] = w[e];
    }
}

static void test_paths(void)
{
    for (int round = 0; round < 60; round++) {
        const mgk_conv2d c = random_shape();
        size_t oh, ow;
        CHECK_STATUS(MGK_OK, mgk_conv2d_output(&c, &oh, &ow));
        const size_t in = c.images * c.height * c.width * c.in_channels, out = c.images * oh * ow * c.out_channels;
        const size_t weights = c.kernel_height * c.kernel_width * c.in_channels * c.out_channels;
        const size_t size = mgk_conv2d_float_workspace(&c, sizeof(double));
        void *workspace = malloc(size);
        for (int path = MGK_SCALAR; path <= MGK_AVX512; path++) {
            if (!mgk_has_path((mgk_path)path)) {
                CHECK_STATUS(MGK_BAD_PATH,
                             mgk_conv2d_f32_forward((mgk_path)path, &c, x, w, got, 0, c.images, workspace, size));
                continue;
            }
            fill(0);
            forward_by_definition(&c, oh, ow);
            CHECK_STATUS(MGK_OK, mgk_conv2d_f32_forward((mgk_path)path, &c, x, w, got, 0, c.images, workspace, size));
            CHECK_STATUS(MGK_OK,
                         mgk_conv2d_f64_forward((mgk_path)path, &c, x64, w64, got64, 0, c.images, workspace, size));
            compare("forward", path, out);

            fill(1);
            memset(y, 0, sizeof y);
            memset(y64, 0, sizeof y64);
            static float dw[MOST], dy[MOST];
            static double dy64[MOST];
            memset(dw, 0, sizeof dw);
            for (size_t e = 0; e < out; e++) {
                dy[e] = (float)((int)random_below(5) - 2);
                dy64[e] = dy[e];
            }
            gradients_by_definition(&c, oh, ow, dy, y, dw);
            for (size_t e = 0; e < in; e++) {
                y64[e] = y[e];
            }
            CHECK_STATUS(MGK_OK,
                         mgk_conv2d_f32_grad_input((mgk_path)path, &c, dy, w, got, 0, c.images, workspace, size));
            CHECK_STATUS(MGK_OK,
                         mgk_conv2d_f64_grad_input((mgk_path)path, &c, dy64, w64, got64, 0, c.images, workspace, size));
            for (size_t e = 0; e < in; e++) {
                CHECK(got[e] == y[e] && got64[e] == y64[e]);
            }
            CHECK_STATUS(MGK_OK,
                         mgk_conv2d_f32_grad_weight((mgk_path)path, &c, x, dy, sums, 0, MGK_CHUNKS, workspace, size));
            CHECK_STATUS(MGK_OK, mgk_conv2d_f64_grad_weight((mgk_path)path, &c, x64, dy64, sums64, 0, MGK_CHUNKS,
                                                            workspace, size));
            CHECK_STATUS(MGK_OK, mgk_conv2d_f32_join(&c, sums, got));
            CHECK_STATUS(MGK_OK, mgk_conv2d_f64_join(&c, sums64, got64));
            for (size_t e = 0; e < weights; e++) {
                CHECK(got[e] == dw[e] && got64[e] == (double)dw[e]);
            }
        }
        free(workspace);
    }
}

/* Any stride beyond the padded image gives the one row of outputs that the image's own size gives. */
static void test_long_strides(void)
{
    const mgk_conv2d shape = {1, 4, 3, 4, 2, 2, 39, 7, 1, 1, 2, 0, 1, 3, 1};
    static const size_t strides[] = {8, SIZE_MAX / 2, SIZE_MAX - 1, SIZE_MAX};
    static float dx[MOST];
    const size_t inputs = 4 * 3 * 4;
    fill(1);
    for (int path = 0; path < 4; path++) {
        if (!mgk_has_path((mgk_path)path)) {
            continue;
        }
        const size_t size = mgk_conv2d_float_workspace(&shape, sizeof(float));
        void *workspace = malloc(size);
        CHECK_STATUS(MGK_OK, mgk_conv2d_f32_grad_input((mgk_path)path, &shape, x, w, dx, 0, 1, workspace, size));
        for (size_t n = 0; n < sizeof strides / sizeof *strides; n++) {
            mgk_conv2d longer = shape;
            longer.stride_y = strides[n];
            CHECK_EQUAL(size, mgk_conv2d_float_workspace(&longer, sizeof(float)));
            memset(got, 0x77, sizeof got);
            CHECK_STATUS(MGK_OK, mgk_conv2d_f32_grad_input((mgk_path)path, &longer, x, w, got, 0, 1, workspace, size));
            CHECK(memcmp(got, dx, inputs * sizeof *dx) == 0);
        }
        free(workspace);
    }
}

static void test_statuses(void)
{
    const mgk_conv2d good = {2, 5, 5, 3, 3, 3, 4, 1, 1, 1, 1, 1, 1, 1, 1};
    const size_t size = mgk_conv2d_float_workspace(&good, sizeof(float));
    void *workspace = malloc(size);
    CHECK(size > 0);
    CHECK_EQUAL(0, mgk_conv2d_float_workspace(&good, 2));
    CHECK_EQUAL(0, mgk_conv2d_float_workspace(NULL, sizeof(float)));
    CHECK_STATUS(MGK_NULL_POINTER, mgk_conv2d_f32_forward(MGK_SCALAR, NULL, x, w, got, 0, 2, workspace, size));
    CHECK_STATUS(MGK_NULL_POINTER, mgk_conv2d_f32_forward(MGK_SCALAR, &good, NULL, w, got, 0, 2, workspace, size));
    CHECK_STATUS(MGK_NULL_POINTER, mgk_conv2d_f32_forward(MGK_SCALAR, &good, x, NULL, got, 0, 2, workspace, size));
    CHECK_STATUS(MGK_NULL_POINTER, mgk_conv2d_f32_forward(MGK_SCALAR, &good, x, w, NULL, 0, 2, workspace, size));
    CHECK_STATUS(MGK_NULL_POINTER, mgk_conv2d_f32_forward(MGK_SCALAR, &good, x, w, got, 0, 2, NULL, size));
    CHECK_STATUS(MGK_BAD_RANGE, mgk_conv2d_f32_forward(MGK_SCALAR, &good, x, w, got, 2, 1, workspace, size));
    CHECK_STATUS(MGK_BAD_RANGE, mgk_conv2d_f32_forward(MGK_SCALAR, &good, x, w, got, 0, 3, workspace, size));
    CHECK_STATUS(MGK_BAD_RANGE, mgk_conv2d_f32_grad_weight(MGK_SCALAR, &good, x, w, sums, 0, 9, workspace, size));
    CHECK_STATUS(MGK_BUFFER_TOO_SMALL, mgk_conv2d_f32_forward(MGK_SCALAR, &good, x, w, got, 0, 2, workspace, size - 1));
    CHECK_STATUS(MGK_BAD_PATH, mgk_conv2d_f32_forward((mgk_path)99, &good, x, w, got, 0, 2, workspace, size));
    CHECK_STATUS(MGK_NULL_POINTER, mgk_conv2d_f64_join(&good, NULL, got64));
    for (size_t field = 0; field < sizeof good / sizeof(size_t); field++) {
        static const size_t huge[] = {SIZE_MAX, SIZE_MAX / 2, SIZE_MAX / 8, (size_t)1 << (sizeof(size_t) * 4)};
        mgk_conv2d bad = good;
        size_t *const value = (size_t *)&bad + field;
        for (size_t n = 0; n < sizeof huge / sizeof *huge; n++) {
            *value = huge[n];
            /* A huge stride means one output row, and 2^32 images may exist; everything else is refused. */
            const mgk_status status = mgk_conv2d_f32_forward(MGK_SCALAR, &bad, x, w, got, 0, 2, workspace, size);
            CHECK(status != MGK_OK || field == 7 || field == 8 || (field == 0 && n == 3));
        }
        if (field < 9 || field > 12) { /* paddings may be 0 */
            *value = 0;
            CHECK_STATUS(MGK_BAD_SHAPE, mgk_conv2d_f32_forward(MGK_SCALAR, &bad, x, w, got, 0, 0, workspace, size));
        }
    }
    free(workspace);
}

int main(void)
{
    test_paths();
    test_long_strides();
    test_statuses();
    return check_result("test_conv2d_float");
}
