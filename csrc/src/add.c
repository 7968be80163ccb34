/* The residual stream: sums of int16 that are refused rather than saturated. */
#include "checked.h"
#include "overlap.h"

mgk_status mgk_add_i16(const int16_t *a, const int16_t *b, size_t count, int16_t *sums)
{
    if (a == NULL || b == NULL || sums == NULL) {
        return MGK_NULL_POINTER;
    }
    size_t size = sizeof *a;
    if (count == 0 || !mgk_multiply(&size, count)) {
        return MGK_BAD_SHAPE;
    }
    if (!mgk_is_aligned(a, sizeof *a) || !mgk_is_aligned(b, sizeof *b) || !mgk_is_aligned(sums, sizeof *sums)) {
        return MGK_MISALIGNED;
    }
    if (mgk_overlap(sums, size, a, size) || mgk_overlap(sums, size, b, size)) {
        return MGK_OVERLAP;
    }
    int32_t low = 0;
    int32_t high = 0;
    for (size_t i = 0; i < count; i++) {
        const int32_t sum = a[i] + b[i];
        low = sum < low ? sum : low;
        high = sum > high ? sum : high;
    }
    if (low < INT16_MIN || high > INT16_MAX) {
        return MGK_OVERFLOW;
    }
    for (size_t i = 0; i < count; i++) {
        sums[i] = (int16_t)(a[i] + b[i]);
    }
    return MGK_OK;
}
