/* Every bad argument of the float functions, on every path. */
#include "arguments.h"

/* Two images of 4x5 pixels, 3 channels to 6, 3x3 with a border of 1. */
static const mgk_conv2d shape = {2, 4, 5, 3, 3, 3, 6, 1, 1, 1, 1, 1, 1, 1, 1};
static const mgk_dsq dsq = {-1, 1, 2.0 / 3, 0.2, 2.2, 3, 0};
enum { X = 2 * 4 * 5 * 3, Y = 2 * 4 * 5 * 6, W = 3 * 3 * 3 * 6, W_DEPTHWISE = 3 * 3 * 6, ELEMENTS = 20 };

/* ---------------------------------------------------------------- convolutions */

#define DEFINE_CONV(name)                                                                              \
    static size_t call_##name(const argument *a)                                                       \
    {                                                                                                  \
        return name((mgk_path)a[0].n, a[1].p, a[2].p, a[3].p, a[4].p, a[5].n, a[6].n, a[7].p, a[8].n); \
    }

#define DEFINE_FAMILY(family, bits)                 \
    DEFINE_CONV(mgk_##family##_##bits##_forward)    \
    DEFINE_CONV(mgk_##family##_##bits##_grad_input) \
    DEFINE_CONV(mgk_##family##_##bits##_grad_weight)

DEFINE_FAMILY(conv2d, f32)
DEFINE_FAMILY(conv2d, f64)
DEFINE_FAMILY(depthwise, f32)
DEFINE_FAMILY(depthwise, f64)

/* a, b and out: elements. The size of the workspace is filled in. */
#define CONV_CALL(name, type, a, b, out, limit)                                                                   \
    {                                                                                                             \
        FUNCTION(name),                                                                                           \
        {                                                                                                         \
            {PATH, MGK_SCALAR, 0, NULL}, {CONV, sizeof shape, 0, &shape},                                         \
                {INPUT, (a) * sizeof(type), sizeof(type), NULL}, {INPUT, (b) * sizeof(type), sizeof(type), NULL}, \
                {OUTPUT, (out) * sizeof(type), sizeof(type), NULL}, {BEGIN, 0, 0, NULL}, {END, limit, 0, NULL},   \
                {OUTPUT, 0, 0, NULL},                                                                             \
            {                                                                                                     \
                BYTES, 0, 0, NULL                                                                                 \
            }                                                                                                     \
        }                                                                                                         \
    }

static const function convolutions[] = {
    CONV_CALL(mgk_conv2d_f32_forward, float, X, W, Y, 2),
    CONV_CALL(mgk_conv2d_f32_grad_input, float, Y, W, X, 2),
    CONV_CALL(mgk_conv2d_f32_grad_weight, float, X, Y, MGK_CHUNKS *W, MGK_CHUNKS),
    CONV_CALL(mgk_conv2d_f64_forward, double, X, W, Y, 2),
    CONV_CALL(mgk_conv2d_f64_grad_input, double, Y, W, X, 2),
    CONV_CALL(mgk_conv2d_f64_grad_weight, double, X, Y, MGK_CHUNKS *W, MGK_CHUNKS),
    CONV_CALL(mgk_depthwise_f32_forward, float, X, W_DEPTHWISE, Y, 2),
    CONV_CALL(mgk_depthwise_f32_grad_input, float, Y, W_DEPTHWISE, X, 2),
    CONV_CALL(mgk_depthwise_f32_grad_weight, float, X, Y, MGK_CHUNKS *W_DEPTHWISE, MGK_CHUNKS),
    CONV_CALL(mgk_depthwise_f64_forward, double, X, W_DEPTHWISE, Y, 2),
    CONV_CALL(mgk_depthwise_f64_grad_input, double, Y, W_DEPTHWISE, X, 2),
    CONV_CALL(mgk_depthwise_f64_grad_weight, double, X, Y, MGK_CHUNKS *W_DEPTHWISE, MGK_CHUNKS),
};

static void test_convolutions(void)
{
    for (size_t i = 0; i < sizeof convolutions / sizeof *convolutions; i++) {
        function f = convolutions[i];
        const size_t element = f.parameters[2].alignment;
        const size_t size = strstr(f.name, "depthwise") != NULL ? mgk_depthwise_float_workspace(&shape, element)
                                                                : mgk_conv2d_float_workspace(&shape, element);
        f.parameters[7].n = f.parameters[8].n = size;
        try_paths(&f);
    }
}

/* ---------------------------------------------------------------- sizes and sums */

static size_t call_mgk_conv2d_float_workspace(const argument *a)
{
    return mgk_conv2d_float_workspace(a[0].p, a[1].n);
}

static size_t call_mgk_depthwise_float_workspace(const argument *a)
{
    return mgk_depthwise_float_workspace(a[0].p, a[1].n);
}

static size_t call_mgk_conv2d_f32_join(const argument *a)
{
    return mgk_conv2d_f32_join(a[0].p, a[1].p, a[2].p);
}

static size_t call_mgk_conv2d_f64_join(const argument *a)
{
    return mgk_conv2d_f64_join(a[0].p, a[1].p, a[2].p);
}

/* ---------------------------------------------------------------- DSQ */

#define DEFINE_DSQ(bits)                                                                                               \
    static size_t call_mgk_dsq_##bits##_soft(const argument *a)                                                        \
    {                                                                                                                  \
        return mgk_dsq_##bits##_soft((mgk_path)a[0].n, a[1].p, a[2].p, a[3].n, a[4].p, a[5].n, a[6].n);                \
    }                                                                                                                  \
    static size_t call_mgk_dsq_##bits##_hard(const argument *a)                                                        \
    {                                                                                                                  \
        return mgk_dsq_##bits##_hard((mgk_path)a[0].n, a[1].p, a[2].p, a[3].n, a[4].p, a[5].n, a[6].n);                \
    }                                                                                                                  \
    static size_t call_mgk_dsq_##bits##_vjp(const argument *a)                                                         \
    {                                                                                                                  \
        return mgk_dsq_##bits##_vjp((mgk_path)a[0].n, a[1].p, a[2].p, a[3].p, a[4].n, a[5].p, a[6].p, a[7].n, a[8].n); \
    }

DEFINE_DSQ(f32)
DEFINE_DSQ(f64)

#define ARRAY(kind, type, count) {kind, (count) * sizeof(type), sizeof(type), NULL}
#define DSQ_CALL(name, type)                                                                         \
    {                                                                                                \
        FUNCTION(name),                                                                              \
        {                                                                                            \
            {PATH, MGK_SCALAR, 0, NULL}, {INPUT, sizeof dsq, 0, &dsq}, ARRAY(INPUT, type, ELEMENTS), \
                {COUNT, ELEMENTS, 0, NULL}, ARRAY(OUTPUT, type, ELEMENTS), {BEGIN, 0, 0, NULL},      \
            {                                                                                        \
                END, ELEMENTS, 0, NULL                                                               \
            }                                                                                        \
        }                                                                                            \
    }
#define VJP_CALL(name, type)                                                                             \
    {                                                                                                    \
        FUNCTION(name),                                                                                  \
        {                                                                                                \
            {PATH, MGK_SCALAR, 0, NULL}, {INPUT, sizeof dsq, 0, &dsq}, ARRAY(INPUT, type, ELEMENTS),     \
                ARRAY(INPUT, type, ELEMENTS), {COUNT, ELEMENTS, 0, NULL}, ARRAY(OUTPUT, type, ELEMENTS), \
                ARRAY(OUTPUT, type, 3), {BEGIN, 0, 0, NULL},                                             \
            {                                                                                            \
                END, 1, 0, NULL                                                                          \
            }                                                                                            \
        }                                                                                                \
    }
#define SHAPE {CONV, sizeof shape, 0, &shape}

static const function others[] = {
    {SIZE_FUNCTION(mgk_conv2d_float_workspace), {SHAPE, {NUMBER, sizeof(float), 0, NULL}}},
    {SIZE_FUNCTION(mgk_depthwise_float_workspace), {SHAPE, {NUMBER, sizeof(double), 0, NULL}}},
    {FUNCTION(mgk_conv2d_f32_join), {SHAPE, ARRAY(INPUT, float, MGK_CHUNKS *W), ARRAY(OUTPUT, float, W)}},
    {FUNCTION(mgk_conv2d_f64_join), {SHAPE, ARRAY(INPUT, double, MGK_CHUNKS *W), ARRAY(OUTPUT, double, W)}},
    DSQ_CALL(mgk_dsq_f32_soft, float),
    DSQ_CALL(mgk_dsq_f64_soft, double),
    DSQ_CALL(mgk_dsq_f32_hard, float),
    DSQ_CALL(mgk_dsq_f64_hard, double),
    VJP_CALL(mgk_dsq_f32_vjp, float),
    VJP_CALL(mgk_dsq_f64_vjp, double),
};

static void test_values(void)
{
    mgk_dsq bad[] = {dsq, dsq, dsq, dsq, dsq};
    const mgk_status expected[] = {MGK_BAD_BITS, MGK_BAD_BITS, MGK_BAD_VALUE, MGK_BAD_VALUE, MGK_BAD_VALUE};
    const float x[2] = {0};
    float y[2] = {7, 7};
    bad[0].top = 0;
    bad[1].top = 256;
    bad[2].u = bad[2].l;
    bad[3].step = 0;
    bad[4].alpha = 1;
    for (int i = 0; i < 5; i++) {
        CHECK_STATUS(expected[i], mgk_dsq_f32_soft(MGK_SCALAR, &bad[i], x, 2, y, 0, 2));
        CHECK_STATUS(expected[i], mgk_dsq_f32_hard(MGK_SCALAR, &bad[i], x, 2, y, 0, 2));
        CHECK(y[0] == 7 && y[1] == 7);
    }
    const size_t elements[] = {0, 1, 2, 3, 16, SIZE_MAX};
    for (int i = 0; i < 6; i++) {
        CHECK_EQUAL(0, mgk_conv2d_float_workspace(&shape, elements[i]));
        CHECK_EQUAL(0, mgk_depthwise_float_workspace(&shape, elements[i]));
    }
}

int main(void)
{
    test_convolutions();
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        try_paths(&others[i]);
    }
    test_values();
    return check_result("arguments_float");
}
