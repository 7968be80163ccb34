/* Depthwise convolutions on every path the processor has: each bit against loops in the header's order, and statuses.
 * Arrays have exactly the size they need, so that the address sanitizer sees one element beyond. */
#include <math.h>
#include <string.h>

#include "check.h"

/* The arrays of one shape, each in both types. */
typedef struct arrays {
    float *x, *w, *dy, *y, *dx, *dw, *sums;
    double *x64, *w64, *dy64, *y64, *dx64, *dw64, *sums64;
    size_t inputs, weights, outputs, height, width;
} arrays;

static void make(size_t count, float **narrow, double **wide)
{
    *narrow = allocate(count * sizeof(float));
    *wide = allocate(count * sizeof(double));
    for (size_t e = 0; e < count; e++) {
        (*narrow)[e] = (float)((int)random_below(2001) - 1000) / 128.0f * 0.37f;
        (*wide)[e] = (*narrow)[e];
    }
}

static arrays make_arrays(const mgk_conv2d *c)
{
    arrays a;
    CHECK_STATUS(MGK_OK, mgk_conv2d_output(c, &a.height, &a.width));
    a.inputs = c->images * c->height * c->width * c->in_channels;
    a.weights = c->kernel_height * c->kernel_width * c->out_channels;
    a.outputs = c->images * a.height * a.width * c->out_channels;
    make(a.inputs, &a.x, &a.x64);
    make(a.inputs, &a.dx, &a.dx64);
    make(a.weights, &a.w, &a.w64);
    make(a.weights, &a.dw, &a.dw64);
    make(a.weights * MGK_CHUNKS, &a.sums, &a.sums64);
    make(a.outputs, &a.y, &a.y64);
    make(a.outputs, &a.dy, &a.dy64);
    return a;
}

static void free_arrays(arrays *a)
{
    float *narrow[] = {a->x, a->w, a->dy, a->y, a->dx, a->dw, a->sums};
    double *wide[] = {a->x64, a->w64, a->dy64, a->y64, a->dx64, a->dw64, a->sums64};
    for (size_t n = 0; n < sizeof narrow / sizeof *narrow; n++) {
        free(narrow[n]);
        free(wide[n]);
    }
}

/* Where a tap of output (row, column) lies in its image: pixel, or -1 in the padding. */
static long source(const mgk_conv2d *c, size_t row, size_t column, size_t tap)
{
    const size_t r = row * c->stride_y + tap / c->kernel_width * c->dilation_y;
    const size_t k = column * c->stride_x + tap % c->kernel_width * c->dilation_x;
    if (r < c->pad_top || r - c->pad_top >= c->height || k < c->pad_left || k - c->pad_left >= c->width) {
        return -1;
    }
    return (long)((r - c->pad_top) * c->width + k - c->pad_left);
}

/* The output pixel that meets an input pixel by a tap, -1 if none is at the stride, -2 if it is outside of the output. */
static long target(const mgk_conv2d *c, const arrays *a, size_t row, size_t column, size_t tap)
{
    const long y = (long)(row + c->pad_top) - (long)(tap / c->kernel_width * c->dilation_y);
    const long x = (long)(column + c->pad_left) - (long)(tap % c->kernel_width * c->dilation_x);
    if (y % (long)c->stride_y != 0 || x % (long)c->stride_x != 0) {
        return -1;
    }
    const long oy = y / (long)c->stride_y, ox = x / (long)c->stride_x;
    return y < 0 || x < 0 || oy >= (long)a->height || ox >= (long)a->width ? -2 : oy * (long)a->width + ox;
}

static void compare(const char *what, int path, float expected, double expected64, float got, double got64)
{
    if (memcmp(&expected, &got, sizeof got) != 0 || memcmp(&expected64, &got64, sizeof got64) != 0) {
        if (check_failures++ < 20) {
            printf("%s, path %d: expected %a %a, got %a %a\n", what, path, (double)expected, expected64, (double)got,
                   got64);
        }
    }
}

static void check_forward(const mgk_conv2d *c, const arrays *a, int path)
{
    const size_t oc = c->out_channels, ic = c->in_channels, pixels = a->height * a->width;
    for (size_t e = 0; e < a->outputs; e++) {
        const size_t o = e % oc, p = e / oc % pixels, image = e / oc / pixels;
        float sum = 0;
        double sum64 = 0;
        for (size_t tap = 0; tap < c->kernel_height * c->kernel_width; tap++) {
            const long at = source(c, p / a->width, p % a->width, tap);
            const size_t from = (image * c->height * c->width + (size_t)(at < 0 ? 0 : at)) * ic + o / (oc / ic);
            sum = fmaf(at < 0 ? 0 : a->x[from], a->w[tap * oc + o], sum);
            sum64 = sum64 + (at < 0 ? 0 : a->x64[from]) * a->w64[tap * oc + o];
        }
        compare("forward", path, sum, sum64, a->y[e], a->y64[e]);
    }
}

static void check_grad_input(const mgk_conv2d *c, const arrays *a, int path)
{
    const size_t oc = c->out_channels, ic = c->in_channels, each = oc / ic, pixels = c->height * c->width;
    for (size_t e = 0; e < a->inputs; e++) {
        const size_t p = e / ic % pixels, image = e / ic / pixels;
        float sum = 0;
        double sum64 = 0;
        for (size_t first = 0; first < each; first += 64) {
            for (size_t tap = c->kernel_height * c->kernel_width; tap-- > 0;) {
                const long at = target(c, a, p / c->width, p % c->width, tap);
                for (size_t k = first; at != -1 && k < each && k < first + 64; k++) {
                    const size_t o = e % ic * each + k;
                    const size_t from = (image * a->height * a->width + (size_t)(at < 0 ? 0 : at)) * oc + o;
                    sum = fmaf(at < 0 ? 0 : a->dy[from], a->w[tap * oc + o], sum);
                    sum64 = sum64 + (at < 0 ? 0 : a->dy64[from]) * a->w64[tap * oc + o];
                }
            }
        }
        compare("grad_input", path, sum, sum64, a->dx[e], a->dx64[e]);
    }
}

static void check_grad_weight(const mgk_conv2d *c, const arrays *a, int path)
{
    const size_t oc = c->out_channels, ic = c->in_channels, rows = c->images * a->height;
    for (size_t e = 0; e < a->weights; e++) {
        const size_t o = e % oc;
        float sums[MGK_CHUNKS];
        double sums64[MGK_CHUNKS];
        for (size_t chunk = 0; chunk < MGK_CHUNKS; chunk++) {
            sums[chunk] = 0;
            sums64[chunk] = 0;
            for (size_t p = chunk * rows / MGK_CHUNKS * a->width; p < (chunk + 1) * rows / MGK_CHUNKS * a->width; p++) {
                const long at = source(c, p / a->width % a->height, p % a->width, e / oc);
                const size_t image = p / a->width / a->height;
                const size_t from = (image * c->height * c->width + (size_t)(at < 0 ? 0 : at)) * ic + o / (oc / ic);
                sums[chunk] = fmaf(at < 0 ? 0 : a->x[from], a->dy[p * oc + o], sums[chunk]);
                sums64[chunk] = sums64[chunk] + (at < 0 ? 0 : a->x64[from]) * a->dy64[p * oc + o];
            }
        }
        compare("grad_weight", path,
                ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7])),
                ((sums64[0] + sums64[1]) + (sums64[2] + sums64[3])) +
                    ((sums64[4] + sums64[5]) + (sums64[6] + sums64[7])),
                a->dw[e], a->dw64[e]);
    }
}

/* All six kernels on the ranges before and from `middle`, the second first. */
static void run(const mgk_conv2d *c, arrays *a, mgk_path path, size_t middle)
{
    const size_t size = mgk_depthwise_float_workspace(c, 4), size64 = mgk_depthwise_float_workspace(c, 8);
    const size_t images[] = {middle, c->images, 0, middle}, chunks[] = {3, MGK_CHUNKS, 0, 3};
    void *const space = allocate(size), *const space64 = allocate(size64);
    mgk_conv2d joined = *c;
    joined.in_channels = 1;
    memset(space, 0x7f, size);
    memset(space64, 0x7f, size64);
    for (size_t n = 0; n < 4; n += 2) {
        const size_t i = images[n], j = images[n + 1], k = chunks[n], m = chunks[n + 1];
        CHECK_STATUS(MGK_OK, mgk_depthwise_f32_forward(path, c, a->x, a->w, a->y, i, j, space, size));
        CHECK_STATUS(MGK_OK, mgk_depthwise_f64_forward(path, c, a->x64, a->w64, a->y64, i, j, space64, size64));
        CHECK_STATUS(MGK_OK, mgk_depthwise_f32_grad_input(path, c, a->dy, a->w, a->dx, i, j, space, size));
        CHECK_STATUS(MGK_OK, mgk_depthwise_f64_grad_input(path, c, a->dy64, a->w64, a->dx64, i, j, space64, size64));
        CHECK_STATUS(MGK_OK, mgk_depthwise_f32_grad_weight(path, c, a->x, a->dy, a->sums, k, m, space, size));
        CHECK_STATUS(MGK_OK, mgk_depthwise_f64_grad_weight(path, c, a->x64, a->dy64, a->sums64, k, m, space64, size64));
    }
    CHECK_STATUS(MGK_OK, mgk_conv2d_f32_join(&joined, a->sums, a->dw));
    CHECK_STATUS(MGK_OK, mgk_conv2d_f64_join(&joined, a->sums64, a->dw64));
    free(space);
    free(space64);
}

static mgk_conv2d random_shape(void)
{
    static const size_t channels[] = {1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 33, 65, 257},
                        outputs[] = {1, 1, 1, 2, 3, 66};
    mgk_conv2d c;
    size_t oh, ow;
    do {
        c = (mgk_conv2d){1 + random_below(3),
                         1 + random_below(7),
                         1 + random_below(13),
                         channels[random_below(14)],
                         1 + random_below(4),
                         1 + random_below(5),
                         0,
                         1 + random_below(3),
                         1 + random_below(3),
                         random_below(3),
                         random_below(3),
                         random_below(3),
                         random_below(3),
                         1 + random_below(2),
                         1 + random_below(2)};
        c.out_channels = c.in_channels * outputs[random_below(6)];
    } while (c.out_channels > 300 || mgk_conv2d_output(&c, &oh, &ow) != MGK_OK);
    return c;
}

static void test_paths(void)
{
    for (int round = 0; round < 80; round++) {
        /* The first: chunks of more pixels than the kernels take at a time. */
        const mgk_conv2d large = {1, 40, 50, 3, 3, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1};
        const mgk_conv2d c = round == 0 ? large : random_shape();
        arrays a = make_arrays(&c);
        for (int path = MGK_SCALAR; path <= MGK_AVX512; path++) {
            if (mgk_has_path((mgk_path)path)) {
                run(&c, &a, (mgk_path)path, random_below((uint32_t)c.images + 1));
                check_forward(&c, &a, path);
                check_grad_input(&c, &a, path);
                check_grad_weight(&c, &a, path);
            }
        }
        free_arrays(&a);
    }
}

static mgk_status forward(mgk_path path, const mgk_conv2d *c, arrays *a, size_t begin, size_t end, void *space,
                          size_t size)
{
    return mgk_depthwise_f32_forward(path, c, a->x, a->w, a->y, begin, end, space, size);
}

static void test_statuses(void)
{
    const mgk_conv2d good = {2, 5, 5, 3, 3, 3, 6, 1, 1, 1, 1, 1, 1, 1, 1};
    arrays a = make_arrays(&good);
    const size_t size = mgk_depthwise_float_workspace(&good, sizeof(float));
    void *const space = allocate(size);
    CHECK(size > 0);
    CHECK_EQUAL(0, mgk_depthwise_float_workspace(&good, 2));
    CHECK_EQUAL(0, mgk_depthwise_float_workspace(NULL, sizeof(float)));
    CHECK_STATUS(MGK_NULL_POINTER, forward(MGK_SCALAR, NULL, &a, 0, 2, space, size));
    CHECK_STATUS(MGK_NULL_POINTER, forward(MGK_SCALAR, &good, &a, 0, 2, NULL, size));
    CHECK_STATUS(MGK_NULL_POINTER, mgk_depthwise_f32_forward(MGK_SCALAR, &good, NULL, a.w, a.y, 0, 2, space, size));
    CHECK_STATUS(MGK_NULL_POINTER,
                 mgk_depthwise_f32_grad_input(MGK_SCALAR, &good, a.dy, NULL, a.dx, 0, 2, space, size));
    CHECK_STATUS(MGK_NULL_POINTER,
                 mgk_depthwise_f64_grad_weight(MGK_SCALAR, &good, a.x64, a.dy64, NULL, 0, 2, space, size));
    CHECK_STATUS(MGK_BAD_RANGE, forward(MGK_SCALAR, &good, &a, 2, 1, space, size));
    CHECK_STATUS(MGK_BAD_RANGE, forward(MGK_SCALAR, &good, &a, 0, 3, space, size));
    CHECK_STATUS(MGK_BAD_RANGE, mgk_depthwise_f32_grad_weight(MGK_SCALAR, &good, a.x, a.dy, a.sums, 0, 9, space, size));
    CHECK_STATUS(MGK_BUFFER_TOO_SMALL, forward(MGK_SCALAR, &good, &a, 0, 2, space, size - 1));
    CHECK_STATUS(MGK_BUFFER_TOO_SMALL,
                 mgk_depthwise_f64_forward(MGK_SCALAR, &good, a.x64, a.w64, a.y64, 0, 2, space, size));
    CHECK_STATUS(MGK_BAD_PATH, forward((mgk_path)99, &good, &a, 0, 2, space, size));
    for (size_t outputs = 1; outputs < 9; outputs++) {
        mgk_conv2d bad = good;
        bad.out_channels = outputs;
        CHECK_EQUAL(outputs % 3 == 0, mgk_depthwise_float_workspace(&bad, sizeof(float)) > 0);
        if (outputs % 3 != 0) {
            CHECK_STATUS(MGK_BAD_SHAPE, forward(MGK_SCALAR, &bad, &a, 0, 2, space, size));
        }
    }
    for (size_t field = 0; field < sizeof good / sizeof(size_t); field++) {
        static const size_t huge[] = {SIZE_MAX, SIZE_MAX / 2, SIZE_MAX / 8, (size_t)1 << (sizeof(size_t) * 4)};
        mgk_conv2d bad = good;
        size_t *const value = (size_t *)&bad + field;
        for (size_t n = 0; n < sizeof huge / sizeof *huge; n++) {
            *value = huge[n];
            /* A huge stride means one output row, and 2^32 images may exist; everything else is refused. */
            const mgk_status status = forward(MGK_SCALAR, &bad, &a, 0, 2, space, size);
            CHECK(status != MGK_OK || field == 7 || field == 8 || (field == 0 && n == 3));
            *value = huge[n] / 3 * 3; /* a whole number of outputs for three channels */
            CHECK(field != 6 || forward(MGK_SCALAR, &bad, &a, 0, 2, space, size) != MGK_OK);
        }
        if (field < 9 || field > 12) { /* paddings may be 0 */
            *value = 0;
            CHECK_STATUS(MGK_BAD_SHAPE, forward(MGK_SCALAR, &bad, &a, 0, 0, space, size));
        }
    }
    free(space);
    free_arrays(&a);
}

int main(void)
{
    test_paths();
    test_statuses();
    return check_result("test_depthwise");
}
