/* Sizes that cannot overflow, and the checks of arguments that several kernels share. */
#ifndef MGK_CHECKED_H
#define MGK_CHECKED_H

#include "codes.h"
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

/* Widths a weight may have: those of the packed layout. */
static inline int mgk_is_weight_width(unsigned bits)
{
    return bits == 1 || bits == 2 || bits == 3 || bits == 4 || bits == 8;
}

static inline int mgk_is_activation_width(unsigned bits)
{
    return bits >= 1 && bits <= 8;
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
