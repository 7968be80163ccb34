/* Requantization of accumulators that are there already. */
#include "checked.h"
#include "overlap.h"
#include "qconv/epilogue.h"

static mgk_status check_buffers(const int32_t *accumulators, size_t pixels, size_t channels, const mgk_epilogue *e,
                                const void *out)
{
    const size_t element = e->output == MGK_REQUANTIZE_U8 ? sizeof(uint8_t) : sizeof(int16_t);
    const size_t words = channels * sizeof(int32_t);
    const size_t inputs = words * pixels;
    if (!mgk_is_aligned(accumulators, sizeof *accumulators) || !mgk_is_aligned(out, element)) {
        return MGK_MISALIGNED;
    }
    const size_t outputs = pixels * channels * element;
    if (mgk_overlap(out, outputs, accumulators, inputs) || mgk_overlap(out, outputs, e, sizeof *e) ||
        mgk_overlap(out, outputs, e->bias, words) || mgk_overlap(out, outputs, e->multiplier, words) ||
        mgk_overlap(out, outputs, e->shift, channels)) {
        return MGK_OVERLAP;
    }
    return MGK_OK;
}

static int64_t add_bias(const mgk_epilogue *e, size_t channel, int32_t accumulator)
{
    return (int64_t)accumulator + (e->bias != NULL ? e->bias[channel] : 0);
}

static int sums_fit(const int32_t *accumulators, size_t pixels, size_t channels, const mgk_epilogue *e)
{
    for (size_t p = 0; p < pixels; p++) {
        for (size_t c = 0; c < channels; c++) {
            const int64_t sum = add_bias(e, c, accumulators[p * channels + c]);
            if (sum < INT32_MIN || sum > INT32_MAX) {
                return 0;
            }
        }
    }
    return 1;
}

mgk_status mgk_requantize(const int32_t *accumulators, size_t pixels, size_t channels, const mgk_epilogue *epilogue,
                          void *out)
{
    if (accumulators == NULL || epilogue == NULL || out == NULL) {
        return MGK_NULL_POINTER;
    }
    size_t inputs = sizeof(int32_t);
    if (pixels == 0 || channels == 0 || !mgk_multiply(&inputs, channels) || !mgk_multiply(&inputs, pixels)) {
        return MGK_BAD_SHAPE;
    }
    if (epilogue->output != MGK_REQUANTIZE_U8 && epilogue->output != MGK_REQUANTIZE_I16) {
        return MGK_BAD_VALUE;
    }
    mgk_qconv layer = {.output = epilogue->output};
    mgk_status status = mgk_check_requantization(epilogue, channels, &layer);
    if (status == MGK_OK) {
        status = check_buffers(accumulators, pixels, channels, epilogue, out);
    }
    if (status != MGK_OK) {
        return status;
    }
    if (!sums_fit(accumulators, pixels, channels, epilogue)) {
        return MGK_OVERFLOW;
    }
    for (size_t p = 0; p < pixels; p++) {
        for (size_t c = 0; c < channels; c++) {
            const size_t i = p * channels + c;
            const int32_t sum = (int32_t)add_bias(epilogue, c, accumulators[i]);
            const int32_t value = mgk_requantize_one(&layer, sum, epilogue->multiplier[c], epilogue->shift[c]);
            if (layer.output == MGK_REQUANTIZE_U8) {
                ((uint8_t *)out)[i] = (uint8_t)value;
            } else {
                ((int16_t *)out)[i] = (int16_t)value;
            }
        }
    }
    return MGK_OK;
}
