/* The arguments of an integer convolution: each is looked at before anything is computed. */
#include "qconv/layer.h"

#include <string.h>

#include "overlap.h"
#include "qconv/epilogue.h"
#include "thresholds.h"

/* Largest size of a sum: one less than int32 holds, so that a threshold above it has a value. */
enum { SUM_MAX = INT32_MAX - 1, MOST_SHIFT = 62 };

/* ---------------------------------------------------------------- operands */

static mgk_status check_shape(const mgk_qconv2d *a, mgk_qconv *layer)
{
    layer->conv = a->conv;
    layer->groups = a->groups;
    const mgk_status status = mgk_find_geometry(&layer->conv, &layer->geometry);
    if (status != MGK_OK) {
        return status;
    }
    if (a->groups == 0 || a->conv.in_channels % a->groups != 0 || a->conv.out_channels % a->groups != 0) {
        return MGK_BAD_SHAPE;
    }
    layer->geometry.row_length /= a->groups;
    return MGK_OK;
}

static mgk_status check_activations(const mgk_qconv2d *a, mgk_qconv *layer)
{
    if (!mgk_is_activation_width(a->activation_bits) || (a->bipolar == 1 && a->activation_bits != 1)) {
        return MGK_BAD_BITS;
    }
    if ((a->bipolar != 0 && a->bipolar != 1) || (a->bipolar == 1 && a->zero != NULL)) {
        return MGK_BAD_VALUE;
    }
    if (a->zero != NULL && !mgk_codes_fit(a->zero, a->conv.in_channels, a->activation_bits)) {
        return MGK_BAD_CODE;
    }
    layer->activation_bits = a->activation_bits;
    layer->bipolar = a->bipolar;
    layer->has_zero = a->zero != NULL;
    layer->activation_high = mgk_top_code(a->activation_bits);
    layer->activation_low = a->bipolar ? -1 : a->zero != NULL ? -layer->activation_high : 0;
    return MGK_OK;
}

static mgk_status check_encoding(const mgk_qconv2d *a, mgk_qconv *layer)
{
    const unsigned bits = a->weight_bits;
    if (!mgk_is_weight_width(bits) || (a->encoding == MGK_CODEBOOK && (bits == 1 || bits == 8))) {
        return MGK_BAD_BITS;
    }
    const int32_t top = mgk_top_code(bits);
    switch (a->encoding) {
    case MGK_ODD:
        layer->weight_low = -top;
        layer->weight_high = top;
        break;
    case MGK_OFFSET:
        if (a->weight_zero > top) {
            return MGK_BAD_CODE;
        }
        layer->weight_zero = a->weight_zero;
        layer->weight_low = -layer->weight_zero;
        layer->weight_high = top - layer->weight_zero;
        break;
    case MGK_CODEBOOK:
        if (a->codebook == NULL) {
            return MGK_NULL_POINTER;
        }
        memcpy(layer->codebook, a->codebook, (size_t)top + 1);
        layer->weight_low = layer->weight_high = layer->codebook[0];
        for (int32_t j = 1; j <= top; j++) {
            const int32_t level = layer->codebook[j];
            layer->weight_low = level < layer->weight_low ? level : layer->weight_low;
            layer->weight_high = level > layer->weight_high ? level : layer->weight_high;
        }
        break;
    default: return MGK_BAD_VALUE;
    }
    layer->weight_bits = bits;
    layer->encoding = a->encoding;
    return MGK_OK;
}

/* Bounds of all sums of some of the terms. Operands are at most 255 in size, so a product fits easily. */
static mgk_status find_sums(mgk_qconv *layer)
{
    const int32_t weights[2] = {layer->weight_low, layer->weight_high};
    const int32_t activations[2] = {layer->activation_low, layer->activation_high};
    int32_t low = 0;
    int32_t high = 0;
    for (int w = 0; w < 2; w++) {
        for (int a = 0; a < 2; a++) {
            const int32_t product = weights[w] * activations[a];
            low = product < low ? product : low;
            high = product > high ? product : high;
        }
    }
    const int32_t largest = -low > high ? -low : high;
    const size_t terms = layer->geometry.row_length;
    if (largest > 0 && terms > (size_t)(SUM_MAX / largest)) {
        return MGK_OVERFLOW;
    }
    layer->sum_low = largest > 0 ? low * (int32_t)terms : 0;
    layer->sum_high = largest > 0 ? high * (int32_t)terms : 0;
    return MGK_OK;
}

/* ---------------------------------------------------------------- epilogue */

static mgk_status check_codes(const mgk_epilogue *e, size_t channels)
{
    if (!mgk_is_activation_width(e->bits)) {
        return MGK_BAD_BITS;
    }
    if (e->thresholds == NULL || e->direction == NULL) {
        return MGK_NULL_POINTER;
    }
    if (!mgk_is_aligned(e->thresholds, sizeof(int32_t))) {
        return MGK_MISALIGNED;
    }
    const size_t levels = (size_t)mgk_top_code(e->bits);
    size_t table = levels * sizeof(int32_t);
    if (!mgk_multiply(&table, channels)) {
        return MGK_BAD_SHAPE;
    }
    return mgk_thresholds_ascend(e->thresholds, channels, levels) && mgk_are_directions(e->direction, channels)
               ? MGK_OK
               : MGK_BAD_CODE;
}

/* accumulator + bias stays in int32. */
static int biases_fit(const mgk_qconv *layer, const int32_t *bias)
{
    for (size_t o = 0; o < layer->conv.out_channels; o++) {
        if ((int64_t)layer->sum_low + bias[o] < INT32_MIN || (int64_t)layer->sum_high + bias[o] > INT32_MAX) {
            return 0;
        }
    }
    return 1;
}

mgk_status mgk_check_requantization(const mgk_epilogue *e, size_t channels, mgk_qconv *layer)
{
    const int is_byte = e->output == MGK_REQUANTIZE_U8;
    if (e->multiplier == NULL || e->shift == NULL) {
        return MGK_NULL_POINTER;
    }
    if (!mgk_is_aligned(e->multiplier, sizeof(int32_t)) || !mgk_is_aligned(e->bias, sizeof(int32_t))) {
        return MGK_MISALIGNED;
    }
    if ((e->rounding != MGK_HALF_UP && e->rounding != MGK_HALF_AWAY && e->rounding != MGK_HALF_EVEN) ||
        e->low > e->high || e->low < (is_byte ? 0 : INT16_MIN) || e->high > (is_byte ? UINT8_MAX : INT16_MAX)) {
        return MGK_BAD_VALUE;
    }
    for (size_t c = 0; c < channels; c++) {
        if (e->shift[c] > MOST_SHIFT) {
            return MGK_BAD_VALUE;
        }
    }
    layer->rounding = e->rounding;
    layer->out_zero = e->zero;
    layer->out_low = e->low;
    layer->out_high = e->high;
    return MGK_OK;
}

static mgk_status check_epilogue(const mgk_epilogue *e, mgk_qconv *layer)
{
    mgk_status status = MGK_OK;
    switch (e->output) {
    case MGK_ACCUMULATORS: break;
    case MGK_CODES:
        status = check_codes(e, layer->conv.out_channels);
        layer->out_bits = e->bits;
        break;
    case MGK_REQUANTIZE_U8:
    case MGK_REQUANTIZE_I16:
        status = mgk_check_requantization(e, layer->conv.out_channels, layer);
        if (status == MGK_OK && e->bias != NULL && !biases_fit(layer, e->bias)) {
            status = MGK_OVERFLOW;
        }
        break;
    default: return MGK_BAD_VALUE;
    }
    layer->output = e->output;
    return status;
}

mgk_status mgk_check_layer(const mgk_qconv2d *arguments, mgk_qconv *layer)
{
    if (arguments == NULL) {
        return MGK_NULL_POINTER;
    }
    memset(layer, 0, sizeof *layer);
    mgk_status status = check_shape(arguments, layer);
    if (status == MGK_OK) {
        status = check_activations(arguments, layer);
    }
    if (status == MGK_OK) {
        status = check_encoding(arguments, layer);
    }
    if (status == MGK_OK) {
        status = find_sums(layer);
    }
    if (status == MGK_OK) {
        status = check_epilogue(&arguments->epilogue, layer);
    }
    if (status == MGK_OK && arguments->flush_from_weights != 0 && arguments->flush_from_weights != 1) {
        status = MGK_BAD_VALUE;
    }
    layer->flush_from_weights = arguments->flush_from_weights;
    return status;
}
