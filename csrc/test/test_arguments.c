/* Every bad argument of the integer operations but the convolution, and of what only answers questions. */
#include "arguments.h"

/* ---------------------------------------------------------------- calls with unpacked arguments */

static size_t call_mgk_conv2d_output(const argument *a)
{
    return mgk_conv2d_output(a[0].p, a[1].p, a[2].p);
}

static size_t call_mgk_packed_size(const argument *a)
{
    return mgk_packed_size(a[0].n, a[1].n, (unsigned)a[2].n);
}

static size_t call_mgk_pack(const argument *a)
{
    return mgk_pack(a[0].p, a[1].n, a[2].n, (unsigned)a[3].n, a[4].p, a[5].n);
}

static size_t call_mgk_unpack(const argument *a)
{
    return mgk_unpack(a[0].p, a[1].n, a[2].n, a[3].n, (unsigned)a[4].n, a[5].p);
}

static size_t call_mgk_thresholds(const argument *a)
{
    return mgk_thresholds((mgk_path)a[0].n, a[1].p, a[2].n, a[3].n, (unsigned)a[4].n, a[5].p, a[6].p, a[7].p);
}

/* The epilogue's arrays are arguments too; the last number is its output. */
static size_t call_mgk_requantize(const argument *a)
{
    const mgk_epilogue e = {
        .output = (mgk_output)a[7].n, .bias = a[3].p, .multiplier = a[4].p, .shift = a[5].p, .high = 100};
    return mgk_requantize(a[0].p, a[1].n, a[2].n, &e, a[6].p);
}

static size_t call_mgk_sum_pool(const argument *a)
{
    return mgk_sum_pool(a[0].p, a[1].n, a[2].n, a[3].n, a[4].p);
}

static size_t call_mgk_max_pool(const argument *a)
{
    return mgk_max_pool(a[0].p, a[1].p, a[2].p);
}

static size_t call_mgk_sum_windows(const argument *a)
{
    return mgk_sum_windows(a[0].p, a[1].p, a[2].p);
}

static size_t call_mgk_add_i16(const argument *a)
{
    return mgk_add_i16(a[0].p, a[1].p, a[2].n, a[3].p);
}

static size_t call_mgk_linear_u8(const argument *a)
{
    return mgk_linear_u8(a[0].p, a[1].n, a[2].n, a[3].n, a[4].p, a[5].p, a[6].p);
}

static size_t call_mgk_linear_i16(const argument *a)
{
    return mgk_linear_i16(a[0].p, a[1].n, a[2].n, a[3].n, a[4].p, a[5].p, a[6].p);
}

static size_t call_mgk_qlinear(const argument *a)
{
    return mgk_qlinear(a[0].p, 3, a[1].n, a[2].n, a[3].n, (unsigned)a[4].n, a[5].p, a[6].p, a[7].p);
}

static size_t call_mgk_argmax(const argument *a)
{
    return mgk_argmax(a[0].p, a[1].n, a[2].n, a[3].p);
}

/* ---------------------------------------------------------------- valid arguments */

/* Two images of 4x5 pixels and 3 channels, windows of 3x3 and a border of 1. */
static const mgk_conv2d window = {2, 4, 5, 3, 3, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1};
enum { I16 = sizeof(int16_t), I32 = sizeof(int32_t), WORD = sizeof(size_t), PIXELS = 40, CHANNELS = 3 };
#define WINDOW {CONV, sizeof window, 0, &window}

static const function functions[] = {
    {FUNCTION(mgk_conv2d_output), {WINDOW, {OUTPUT, WORD, 0, NULL}, {OUTPUT, WORD, 0, NULL}}},
    {SIZE_FUNCTION(mgk_packed_size), {{SIZE, 5, 0, NULL}, {SIZE, 9, 0, NULL}, {BITS, 8, 0, NULL}}},
    {FUNCTION(mgk_pack),
     {{INPUT, 45, 0, NULL},
      {SIZE, 5, 0, NULL},
      {SIZE, 9, 0, NULL},
      {BITS, 2, 0, NULL},
      {OUTPUT, 15, 0, NULL},
      {BYTES, 15, 0, NULL}}},
    {FUNCTION(mgk_unpack),
     {{INPUT, 15, 0, NULL},
      {BYTES, 15, 0, NULL},
      {SIZE, 5, 0, NULL},
      {SIZE, 9, 0, NULL},
      {BITS, 2, 0, NULL},
      {OUTPUT, 45, 0, NULL}}},
    {FUNCTION(mgk_thresholds),
     {{PATH, MGK_SCALAR, 0, NULL},
      {INPUT, PIXELS * CHANNELS * I32, I32, NULL},
      {SIZE, PIXELS, 0, NULL},
      {SIZE, CHANNELS, 0, NULL},
      {BITS, 2, 0, NULL},
      {INPUT, CHANNELS * 3 * I32, I32, NULL},
      {INPUT, CHANNELS, 0, NULL},
      {OUTPUT, PIXELS * CHANNELS, 0, NULL}}},
#define REQUANTIZE(output, size)                                                                                       \
    {                                                                                                                  \
        FUNCTION(mgk_requantize),                                                                                      \
        {                                                                                                              \
            {INPUT, PIXELS * CHANNELS * I32, I32, NULL}, {SIZE, PIXELS, 0, NULL}, {SIZE, CHANNELS, 0, NULL},           \
                {OPTIONAL, CHANNELS * I32, I32, NULL}, {INPUT, CHANNELS * I32, I32, NULL}, {INPUT, CHANNELS, 0, NULL}, \
                {OUTPUT, PIXELS * CHANNELS * (size), size, NULL},                                                      \
            {                                                                                                          \
                NUMBER, output, 0, NULL                                                                                \
            }                                                                                                          \
        }                                                                                                              \
    }
    REQUANTIZE(MGK_REQUANTIZE_U8, 1),
    REQUANTIZE(MGK_REQUANTIZE_I16, I16),
    {FUNCTION(mgk_sum_pool),
     {{INPUT, PIXELS * CHANNELS, 0, NULL},
      {SIZE, 2, 0, NULL},
      {SIZE, PIXELS / 2, 0, NULL},
      {SIZE, CHANNELS, 0, NULL},
      {OUTPUT, 2 * CHANNELS * I32, I32, NULL}}},
    {FUNCTION(mgk_max_pool), {WINDOW, {INPUT, PIXELS * CHANNELS, 0, NULL}, {OUTPUT, PIXELS * CHANNELS, 0, NULL}}},
    {FUNCTION(mgk_sum_windows),
     {WINDOW, {INPUT, PIXELS * CHANNELS, 0, NULL}, {OUTPUT, PIXELS * CHANNELS * I32, I32, NULL}}},
    {FUNCTION(mgk_add_i16),
     {{INPUT, 9 * I16, I16, NULL}, {INPUT, 9 * I16, I16, NULL}, {SIZE, 9, 0, NULL}, {OUTPUT, 9 * I16, I16, NULL}}},
#define LINEAR(name, size)                                                                                   \
    {                                                                                                        \
        FUNCTION(name),                                                                                      \
        {                                                                                                    \
            {INPUT, 2 * 7 * (size), size, NULL}, {SIZE, 2, 0, NULL}, {SIZE, 7, 0, NULL}, {SIZE, 5, 0, NULL}, \
                {INPUT, 7 * 5, 0, NULL}, {INPUT, 5 * I32, I32, NULL},                                        \
            {                                                                                                \
                OUTPUT, 2 * 5 * I32, I32, NULL                                                               \
            }                                                                                                \
        }                                                                                                    \
    }
    LINEAR(mgk_linear_u8, 1),
    LINEAR(mgk_linear_i16, I16),
    {FUNCTION(mgk_qlinear),
     {{INPUT, 2 * 7 * I32, I32, NULL},
      {SIZE, 2, 0, NULL},
      {SIZE, 7, 0, NULL},
      {SIZE, 5, 0, NULL},
      {BITS, 2, 0, NULL},
      {INPUT, 7 * 5, 0, NULL},
      {INPUT, 5 * I32, I32, NULL},
      {OUTPUT, 2 * 5 * I32, I32, NULL}}},
    {FUNCTION(mgk_argmax),
     {{INPUT, 2 * 7 * I32, I32, NULL}, {SIZE, 2, 0, NULL}, {SIZE, 7, 0, NULL}, {OUTPUT, 2 * I32, I32, NULL}}},
};

/* ---------------------------------------------------------------- what takes a number and fails in no way */

static void test_questions(void)
{
    const unsigned kernels = mgk_qconv2d_kernels();
    CHECK(kernels > 0 && strlen(mgk_header_digest()) == 64);
    const unsigned beyond[] = {0, kernels + 1, UINT32_MAX};
    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(0, strcmp("unknown", mgk_qconv2d_kernel_name(beyond[i])));
        CHECK_EQUAL(MGK_SCALAR, mgk_qconv2d_kernel_path(beyond[i]));
    }
    const int numbers[] = {-1, 99, INT32_MIN, INT32_MAX};
    for (int i = 0; i < 4; i++) {
        CHECK_EQUAL(0, mgk_has_path((mgk_path)numbers[i]));
        CHECK_EQUAL(0, strcmp("unknown", mgk_status_name((mgk_status)numbers[i])));
    }
}

int main(void)
{
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        try_paths(&functions[i]);
    }
    CHECK_STATUS(MGK_NULL_POINTER, mgk_requantize(NULL, 1, 1, NULL, NULL));
    test_questions();
    return check_result("arguments");
}
