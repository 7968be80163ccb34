/* The last layer: integer features to int32 logits. */
#include "checked.h"
#include "overlap.h"

/* Largest |bias|, exact also for INT32_MIN. */
static int64_t find_largest_size(const int32_t *values, size_t count)
{
    int64_t largest = 0;
    for (size_t i = 0; i < count; i++) {
        const int64_t size = values[i] < 0 ? -(int64_t)values[i] : values[i];
        if (size > largest) {
            largest = size;
        }
    }
    return largest;
}

static int all_within(const int32_t *x, size_t count, int32_t x_max)
{
    for (size_t i = 0; i < count; i++) {
        if (x[i] < 0 || x[i] > x_max) {
            return 0;
        }
    }
    return 1;
}

static mgk_status check_shape(size_t images, size_t in_features, size_t out_features)
{
    size_t inputs = sizeof(int32_t);
    size_t outputs = sizeof(int32_t);
    size_t weights = in_features;
    if (images == 0 || in_features == 0 || out_features == 0 || !mgk_multiply(&inputs, images) ||
        !mgk_multiply(&inputs, in_features) || !mgk_multiply(&outputs, images) ||
        !mgk_multiply(&outputs, out_features) || !mgk_multiply(&weights, out_features)) {
        return MGK_BAD_SHAPE;
    }
    return MGK_OK;
}

mgk_status mgk_qlinear(const int32_t *x, int32_t x_max, size_t images, size_t in_features, size_t out_features,
                       unsigned weight_bits, const uint8_t *weight_codes, const int32_t *bias, int32_t *logits)
{
    if (x == NULL || weight_codes == NULL || bias == NULL || logits == NULL) {
        return MGK_NULL_POINTER;
    }
    const mgk_status status = check_shape(images, in_features, out_features);
    if (status != MGK_OK) {
        return status;
    }
    if (!mgk_is_weight_width(weight_bits)) {
        return MGK_BAD_BITS;
    }
    if (!mgk_is_aligned(x, sizeof *x) || !mgk_is_aligned(bias, sizeof *bias) ||
        !mgk_is_aligned(logits, sizeof *logits)) {
        return MGK_MISALIGNED;
    }
    const size_t outputs = images * out_features * sizeof *logits;
    if (mgk_overlap(logits, outputs, x, images * in_features * sizeof *x) ||
        mgk_overlap(logits, outputs, weight_codes, in_features * out_features) ||
        mgk_overlap(logits, outputs, bias, out_features * sizeof *bias)) {
        return MGK_OVERLAP;
    }
    if (x_max < 0 || !mgk_codes_fit(weight_codes, in_features * out_features, weight_bits) ||
        !all_within(x, images * in_features, x_max)) {
        return MGK_BAD_CODE;
    }
    const int32_t top = mgk_top_code(weight_bits);
    if (!mgk_sum_fits(in_features, top, x_max, find_largest_size(bias, out_features))) {
        return MGK_OVERFLOW;
    }
    for (size_t image = 0; image < images; image++) {
        const uint8_t *codes = weight_codes;
        for (size_t o = 0; o < out_features; o++) {
            int32_t sum = bias[o];
            for (size_t i = 0; i < in_features; i++) {
                sum += (2 * (int32_t)codes[i] - top) * x[i];
            }
            logits[o] = sum;
            codes += in_features;
        }
        x += in_features;
        logits += out_features;
    }
    return MGK_OK;
}
