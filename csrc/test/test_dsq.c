/* DSQ on every path: all paths give the bits of the scalar one, ranges are kept to, NaN is seen. */
#include <string.h>

#include "check.h"

enum { COUNT = 9000 };

static float x[COUNT], gy[COUNT], y[2][COUNT], sums[2][9];

static void test_paths(void)
{
    const mgk_dsq q = {-1.0, 1.0, (double)(2.0f / 3.0f), (double)0.2f, (double)2.1972246f, 3, 1};
    for (int e = 0; e < COUNT; e++) {
        x[e] = (float)((int)random_below(3001) - 1500) / 1000.0f;
        gy[e] = (float)((int)random_below(2001) - 1000) / 997.0f;
    }
    /* Buffers of their own size, so that the sanitizer sees a step beyond the end. */
    float *in = malloc(sizeof x), *out = malloc(sizeof x);
    memcpy(in, x, sizeof x);
    for (int path = MGK_SCALAR; path <= MGK_AVX512; path++) {
        if (!mgk_has_path((mgk_path)path)) {
            CHECK_STATUS(MGK_BAD_PATH, mgk_dsq_f32_soft((mgk_path)path, &q, in, COUNT, out, 0, COUNT));
            continue;
        }
        const int row = path != MGK_SCALAR;
        for (int function = 0; function < 3; function++) {
            for (size_t begin = 0; begin < 3; begin++) { /* three parts: a range must not touch the others */
                const size_t from = begin * 3000, to = from + 3000;
                if (function == 0) {
                    CHECK_STATUS(MGK_OK, mgk_dsq_f32_soft((mgk_path)path, &q, in, COUNT, out, from, to));
                } else if (function == 1) {
                    CHECK_STATUS(MGK_OK, mgk_dsq_f32_hard((mgk_path)path, &q, in, COUNT, out, from, to));
                } else {
                    CHECK_STATUS(MGK_OK,
                                 mgk_dsq_f32_vjp((mgk_path)path, &q, gy, in, COUNT, out, sums[row], begin, begin + 1));
                }
            }
            memcpy(y[row], out, sizeof x);
            if (row) {
                float again[COUNT];
                if (function == 0) {
                    CHECK_STATUS(MGK_OK, mgk_dsq_f32_soft(MGK_SCALAR, &q, in, COUNT, again, 0, COUNT));
                } else if (function == 1) {
                    CHECK_STATUS(MGK_OK, mgk_dsq_f32_hard(MGK_SCALAR, &q, in, COUNT, again, 0, COUNT));
                } else {
                    CHECK_STATUS(MGK_OK, mgk_dsq_f32_vjp(MGK_SCALAR, &q, gy, in, COUNT, again, sums[0], 0, 3));
                    CHECK_EQUAL(0, memcmp(sums[0], sums[1], sizeof sums[0]));
                }
                CHECK_EQUAL(0, memcmp(again, out, sizeof x));
            }
        }
    }
    release(in);
    release(out);
}

static void test_values(void)
{
    const mgk_dsq q = {-1.0, 1.0, 2.0 / 3.0, 0.2, 2.1972245773362196, 3, 0};
    const double points[5] = {-1.2, 0.0, 0.25, 1.0, 1.3};
    const double hard[5] = {-1.0, -1.0 + 2 * (2.0 / 3.0), -1.0 + 2 * (2.0 / 3.0), 1.0, 1.0};
    const double soft[5] = {-1.0, 0.0, 0.282174601836, 1.0, 1.0};
    double out[5];
    CHECK_STATUS(MGK_OK, mgk_dsq_f64_hard(MGK_SCALAR, &q, points, 5, out, 0, 5));
    for (int n = 0; n < 5; n++) {
        CHECK(out[n] == hard[n]);
    }
    CHECK_STATUS(MGK_OK, mgk_dsq_f64_soft(MGK_SCALAR, &q, points, 5, out, 0, 5));
    for (int n = 0; n < 5; n++) {
        CHECK(out[n] - soft[n] < 1e-12 && soft[n] - out[n] < 1e-12);
    }
}

static void test_nan(void)
{
    const mgk_dsq good = {-1.0, 1.0, 2.0 / 3.0, 0.2, 2.2, 3, 0};
    const double zero = 0.0;
    const float nan = (float)(zero / zero);
    float in[100] = {0}, out[100];
    for (int path = MGK_SCALAR; path <= MGK_AVX512; path++) {
        for (size_t at = 0; at < 100 && mgk_has_path((mgk_path)path); at++) {
            memset(out, 0x77, sizeof out);
            in[at] = nan;
            CHECK_STATUS(MGK_BAD_VALUE, mgk_dsq_f32_hard((mgk_path)path, &good, in, 100, out, at / 2, at + 1));
            for (size_t n = 0; n < sizeof out; n++) {
                CHECK_EQUAL(0x77, ((const uint8_t *)out)[n]);
            }
            CHECK_STATUS(MGK_OK, mgk_dsq_f32_hard((mgk_path)path, &good, in, 100, out, at + 1, 100));
            CHECK_STATUS(MGK_OK, mgk_dsq_f32_hard((mgk_path)path, &good, in, 100, out, 0, at));
            CHECK_STATUS(MGK_OK, mgk_dsq_f32_soft((mgk_path)path, &good, in, 100, out, 0, 100));
            CHECK(out[at] != out[at]);
            in[at] = 0;
        }
    }
    mgk_dsq bad = good;
    bad.alpha = (double)nan;
    CHECK_STATUS(MGK_BAD_VALUE, mgk_dsq_f32_soft(MGK_SCALAR, &bad, in, 1, out, 0, 1));
}

int main(void)
{
    test_paths();
    test_values();
    test_nan();
    return check_result("test_dsq");
}
