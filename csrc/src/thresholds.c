/* Accumulators to codes: how many thresholds of its channel each one reaches. */
#include "thresholds.h"

#include "checked.h"
#include "overlap.h"

/* direction * x; the largest int32 reaches the same thresholds as the 2^31 that does not fit. */
static int32_t orient(int32_t x, int direction)
{
    if (direction >= 0) {
        return direction > 0 ? x : 0;
    }
    return x == INT32_MIN ? INT32_MAX : -x;
}

/* How many of the ascending thresholds are at most x. */
static size_t count_reached(const int32_t *thresholds, size_t levels, int32_t x)
{
    size_t low = 0; /* thresholds before low are reached, from high on they are not */
    size_t high = levels;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (x >= thresholds[middle]) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

void mgk_thresholds_scalar(const int32_t *accumulators, size_t pixels, size_t channels, size_t channel_begin,
                           size_t channel_end, size_t levels, const int32_t *thresholds, const int8_t *direction,
                           uint8_t *codes)
{
    for (size_t pixel = 0; pixel < pixels; pixel++) {
        for (size_t c = channel_begin; c < channel_end; c++) {
            const int32_t x = orient(accumulators[c], direction[c]);
            codes[c] = (uint8_t)count_reached(thresholds + c * levels, levels, x);
        }
        accumulators += channels;
        codes += channels;
    }
}

int mgk_thresholds_ascend(const int32_t *thresholds, size_t channels, size_t levels)
{
    for (size_t c = 0; c < channels; c++) {
        for (size_t k = 1; k < levels; k++) {
            if (thresholds[c * levels + k] < thresholds[c * levels + k - 1]) {
                return 0;
            }
        }
    }
    return 1;
}

int mgk_are_directions(const int8_t *direction, size_t channels)
{
    for (size_t c = 0; c < channels; c++) {
        if (direction[c] < -1 || direction[c] > 1) {
            return 0;
        }
    }
    return 1;
}

mgk_status mgk_thresholds(mgk_path path, const int32_t *accumulators, size_t pixels, size_t channels, unsigned bits,
                          const int32_t *thresholds, const int8_t *direction, uint8_t *codes)
{
    if (accumulators == NULL || thresholds == NULL || direction == NULL || codes == NULL) {
        return MGK_NULL_POINTER;
    }
    if (!mgk_has_path(path)) {
        return MGK_BAD_PATH;
    }
    if (!mgk_is_activation_width(bits)) {
        return MGK_BAD_BITS;
    }
    const size_t levels = (size_t)mgk_top_code(bits);
    size_t inputs = sizeof(int32_t);
    size_t table = sizeof(int32_t) * levels;
    if (pixels == 0 || channels == 0 || !mgk_multiply(&inputs, pixels) || !mgk_multiply(&inputs, channels) ||
        !mgk_multiply(&table, channels)) {
        return MGK_BAD_SHAPE;
    }
    if (!mgk_is_aligned(accumulators, sizeof *accumulators) || !mgk_is_aligned(thresholds, sizeof *thresholds)) {
        return MGK_MISALIGNED;
    }
    const size_t outputs = inputs / sizeof *accumulators;
    if (mgk_overlap(codes, outputs, accumulators, inputs) || mgk_overlap(codes, outputs, thresholds, table) ||
        mgk_overlap(codes, outputs, direction, channels)) {
        return MGK_OVERLAP;
    }
    if (!mgk_thresholds_ascend(thresholds, channels, levels) || !mgk_are_directions(direction, channels)) {
        return MGK_BAD_CODE;
    }
#if MGK_HAS_NEON
    if (path != MGK_SCALAR) {
        mgk_thresholds_neon(accumulators, pixels, channels, levels, thresholds, direction, codes);
        return MGK_OK;
    }
#endif
    mgk_thresholds_scalar(accumulators, pixels, channels, 0, channels, levels, thresholds, direction, codes);
    return MGK_OK;
}
