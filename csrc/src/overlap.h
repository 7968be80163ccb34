/* Where arrays are: alignment, and whether one touches another. */
#ifndef MGK_OVERLAP_H
#define MGK_OVERLAP_H

#include "minigrad_kernels.h"

/* NULL is aligned. */
static inline int mgk_is_aligned(const void *array, size_t alignment)
{
    return (uintptr_t)array % alignment == 0;
}

/* 1 if the arrays have a byte in common. Differences wrap, so that no end of an array is computed: a is in
 * [b, b + b_size) or b is in [a, a + a_size). */
static inline int mgk_overlap(const void *a, size_t a_size, const void *b, size_t b_size)
{
    return a != NULL && b != NULL && a_size != 0 && b_size != 0 &&
           ((uintptr_t)a - (uintptr_t)b < b_size || (uintptr_t)b - (uintptr_t)a < a_size);
}

typedef struct mgk_array {
    const void *start;
    size_t size; /* bytes */
} mgk_array;

/* 1 if the first `written` of the arrays share no byte with any other. */
static inline int mgk_are_apart(const mgk_array *arrays, size_t count, size_t written)
{
    for (size_t i = 0; i < written; i++) {
        for (size_t j = i + 1; j < count; j++) {
            if (mgk_overlap(arrays[i].start, arrays[i].size, arrays[j].start, arrays[j].size)) {
                return 0;
            }
        }
    }
    return 1;
}

#endif
