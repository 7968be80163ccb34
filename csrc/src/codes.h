/* Codes of b bits, and whether bytes are such. */
#ifndef MGK_CODES_H
#define MGK_CODES_H

#include <stddef.h>
#include <stdint.h>

#include "neon.h"

/* Largest code of b bits; 2 j - it is the weight of code j. */
static inline int32_t mgk_top_code(unsigned bits)
{
    return (int32_t)((1u << bits) - 1u);
}

/* All bits that any of the codes has. */
static inline uint8_t mgk_seen_bits(const uint8_t *codes, size_t count)
{
    uint8_t seen = 0;
    size_t i = 0;
#if MGK_HAS_NEON
    uint8x16_t vectors[8] = {0};
    for (; count - i >= sizeof vectors; i += sizeof vectors) {
        for (size_t k = 0; k < 8; k++) {
            vectors[k] = vorrq_u8(vectors[k], vld1q_u8(codes + i + 16 * k));
        }
    }
    for (size_t k = 1; k < 8; k++) {
        vectors[0] = vorrq_u8(vectors[0], vectors[k]);
    }
    uint8_t bytes[16];
    vst1q_u8(bytes, vectors[0]);
    for (size_t k = 0; k < sizeof bytes; k++) {
        seen = (uint8_t)(seen | bytes[k]);
    }
#endif
    for (; i < count; i++) {
        seen = (uint8_t)(seen | codes[i]);
    }
    return seen;
}

/* 1 if every code is below 2^bits. */
static inline int mgk_codes_fit(const uint8_t *codes, size_t count, unsigned bits)
{
    return mgk_seen_bits(codes, count) <= mgk_top_code(bits);
}

#endif
