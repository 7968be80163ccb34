/* Reading one packed code. */
#ifndef MGK_PACK_H
#define MGK_PACK_H

#include "checked.h"

/* The code of an element of a packed row (layout 1); one of 3 bits may straddle two bytes. */
static inline uint8_t mgk_read_code(const uint8_t *row, size_t element, unsigned bits)
{
    const size_t bit = element * bits;
    unsigned window = row[bit / 8];
    if (bit % 8 + bits > 8) {
        window |= (unsigned)row[bit / 8 + 1] << 8;
    }
    return (uint8_t)((window >> (bit % 8)) & (unsigned)mgk_top_code(bits));
}

#endif
