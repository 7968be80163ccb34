/* The form of a direct kernel, and the bounds that follow from it. */
#include "neon.h"

#if MGK_HAS_NEON
#include "qconv/neon/direct.h"

static int32_t smaller(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

static int32_t larger(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

/* Of products of a number in [a_low, a_high] and one in [b_low, b_high]. */
static void multiply_ranges(int32_t a_low, int32_t a_high, int32_t b_low, int32_t b_high, int32_t *low, int32_t *high)
{
    *low = smaller(smaller(a_low * b_low, a_low * b_high), smaller(a_high * b_low, a_high * b_high));
    *high = larger(larger(a_low * b_low, a_low * b_high), larger(a_high * b_low, a_high * b_high));
}

size_t mgk_most_products(const mgk_direct_form *form, int bits)
{
    const int32_t half = (int32_t)1 << (bits - 1);
    size_t most = SIZE_MAX;
    if (form->product_low < 0) {
        most = (size_t)(half / -form->product_low);
    }
    if (form->product_high > 0 && (size_t)((half - 1) / form->product_high) < most) {
        most = (size_t)((half - 1) / form->product_high);
    }
    return most;
}

static void set_centre(const mgk_qconv *layer, int32_t centre, mgk_direct_form *form)
{
    form->centre = layer->bipolar ? 0 : centre;
    form->value_low = layer->bipolar ? -1 : -centre;
    form->value_high = layer->bipolar ? 1 : mgk_top_code(layer->activation_bits) - centre;
    multiply_ranges(form->stored_low, form->stored_high, form->value_low, form->value_high, &form->product_low,
                    &form->product_high);
    multiply_ranges(layer->weight_low, layer->weight_high, form->value_low, form->value_high, &form->term_low,
                    &form->term_high);
}

void mgk_find_byte_form(const mgk_qconv *layer, mgk_direct_form *form)
{
    const int32_t half = (int32_t)1 << (layer->weight_bits - 1);
    form->stored_low = -half;
    form->stored_high = half - 1;
    switch (layer->encoding) {
    case MGK_ODD: /* 2 j - (2 half - 1) = 2 (j - half) + 1 */
        form->scale = 2;
        form->base = 1;
        break;
    case MGK_OFFSET: /* j - zero = (j - half) + (half - zero) */
        form->scale = 1;
        form->base = half - layer->weight_zero;
        break;
    default:
        form->scale = 1;
        form->base = 0;
        form->stored_low = layer->weight_low;
        form->stored_high = layer->weight_high;
        break;
    }
    /* Of the two centres of 2^b codes the one that more products fit with in a byte. */
    const int32_t upper = (int32_t)1 << (layer->activation_bits - 1);
    set_centre(layer, upper - 1, form);
    const size_t most = mgk_most_products(form, 8);
    if (form->value_high > INT8_MAX) {
        set_centre(layer, upper, form);
    } else if (!layer->bipolar) {
        mgk_direct_form other = *form;
        set_centre(layer, upper, &other);
        if (mgk_most_products(&other, 8) > most) {
            *form = other;
        }
    }
}

void mgk_find_plain_form(const mgk_qconv *layer, mgk_direct_form *form)
{
    mgk_find_byte_form(layer, form);
    if (layer->weight_low >= INT8_MIN && layer->weight_high <= INT8_MAX) {
        form->scale = 1;
        form->base = 0;
        form->stored_low = layer->weight_low;
        form->stored_high = layer->weight_high;
        set_centre(layer, form->centre, form);
    }
}

int mgk_direct_raw(const mgk_qconv *layer, const mgk_direct_form *form, int32_t *low, int32_t *high)
{
    const int64_t terms = (int64_t)layer->geometry.row_length;
    const int64_t most =
        INT32_MAX - 2; /* the terms of weight * value are no more than those of weight * code by much */
    if (layer->geometry.row_length > INT32_MAX / 65536) {
        return 0;
    }
    int64_t sum_low = terms * form->term_low;
    int64_t sum_high = terms * form->term_high;
    if (form->complement) {
        /* Some of the terms have it, from none on: weights of one sign only must not move the other bound. */
        sum_low += form->stored_low < 0 ? terms * form->scale * form->stored_low : 0;
        sum_high += form->stored_high > 0 ? terms * form->scale * form->stored_high : 0;
    }
    if (sum_low < -most || sum_high > most) {
        return 0;
    }
    *low = (int32_t)(sum_low < 0 ? sum_low : 0);
    *high = (int32_t)(sum_high > 0 ? sum_high : 0);
    return *low >= -INT16_MAX && *high <= INT16_MAX - 1 ? 16 : 32;
}
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
