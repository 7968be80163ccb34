/* The prepared epilogue: tables in which the raw sums' offsets are folded, for scalar code and for vectors alike.
 *
 * All tables are padded with zeros to a multiple of MGK_CHANNEL_BLOCK channels.
 *   accumulators, requantize: addend[c] = offset + bias modulo 2^32, so that raw + addend (modulo 2^32, but the sum is
 *     proven to be an int32) is what is stored or multiplied.
 *   codes: the code is how many k have (raw ^ flip[c]) >= threshold[c][k], where flip is 0, or -1 for a direction of -1:
 *     raw + offset >= t            is   raw >= t - offset
 *     -(raw + offset) >= t         is   -raw - 1 >= t + offset - 1,   and -raw - 1 = ~raw = raw ^ -1
 *   Thresholds are saturated into what raw ^ flip can be and one more, which is never reached. For raw sums of 16 bits
 *   flip is int16 (out) and threshold int16 [block of 8 channels][k][8]; of 32 bits, int32 and [block of 4][k][4]. */
#ifndef MGK_QCONV_EPILOGUE_H
#define MGK_QCONV_EPILOGUE_H

#include "qconv/kernel.h"

typedef struct mgk_prepared_epilogue {
    int raw_bits;
    int close;     /* raw sums and thresholds differ by less than 2^15 */
    size_t levels; /* thresholds of a channel */
    const int32_t *addend;
    const int32_t *multiplier;
    const uint8_t *shift;
    const void *flip;
    const void *thresholds;
} mgk_prepared_epilogue;

/* Bytes of the tables of any epilogue of the layer; 0: overflow. */
size_t mgk_epilogue_size(const mgk_qconv *layer);

/* Where the tables are in a section that begins at a multiple of MGK_ALIGNMENT. */
void mgk_find_epilogue(const mgk_qconv *layer, int raw_bits, int close, const uint8_t *section,
                       mgk_prepared_epilogue *epilogue);

/* The offsets a kernel writes are the beginning of the section, where the addends will be. */
void mgk_prepare_epilogue(const mgk_qconv *layer, const mgk_epilogue *arguments, const mgk_raw *raw, uint8_t *section);

/* clamp(zero + round(x multiplier / 2^shift), low, high). |x multiplier| <= 2^62 and adding half of 2^shift, at most
 * 2^61, stays in int64. */
int32_t mgk_requantize_one(const mgk_qconv *layer, int32_t x, int32_t multiplier, unsigned shift);

/* The arguments of a requantization, with its scalars for the layer; whether accumulator + bias fits is not looked at. */
mgk_status mgk_check_requantization(const mgk_epilogue *arguments, size_t channels, mgk_qconv *layer);

#endif
