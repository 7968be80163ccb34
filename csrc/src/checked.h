/* Sizes that cannot overflow, and the checks of arguments that several kernels share. */
#ifndef MGK_CHECKED_H
#define MGK_CHECKED_H

#include "minigrad_kernels.h"

/* a += b and a *= b; 0 where the result does not fit. */
static inline int mgk_add(size_t *a, size_t b)
{
    if (b > SIZE_MAX - *a) {
        return 0;
    }
    *a += b;
    return 1;
}

static inline int mgk_multiply(size_t *a, size_t b)
{
    if (b != 0 && *a > SIZE_MAX / b) {
        return 0;
    }
    *a *= b;
    return 1;
}

/* Largest code of b bits; 2 j - it is the weight of code j. */
static inline int32_t mgk_top_code(unsigned bits)
{
    return (int32_t)((1u << bits) - 1u);
}

/* Widths a weight may have: those of the packed layout. */
static inline int mgk_is_weight_width(unsigned bits)
{
    return bits == 1 || bits == 2 || bits == 3 || bits == 4 || bits == 8;
}

static inline int mgk_is_activation_width(unsigned bits)
{
    return bits >= 1 && bits <= 8;
}

/* 1 if every code is below 2^bits. */
static inline int mgk_codes_fit(const uint8_t *codes, size_t count, unsigned bits)
{
    uint8_t seen = 0;
    for (size_t i = 0; i < count; i++) {
        seen = (uint8_t)(seen | codes[i]);
    }
    return seen <= mgk_top_code(bits);
}

/* 1 if terms products, each at most weight times activation in size, and a start of at most |start| stay in int32. */
static inline int mgk_sum_fits(size_t terms, int32_t weight, int32_t activation, int64_t start)
{
    const int64_t product = (int64_t)weight * activation;
    if (start > INT32_MAX) {
        return 0;
    }
    return product == 0 || terms <= (uint64_t)((INT32_MAX - start) / product);
}

#endif
