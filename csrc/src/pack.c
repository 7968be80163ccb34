/* Packed codes, layout 1: each row is a little-endian bit string that starts on a whole byte. */
#include "pack.h"

#include <string.h>

#include "checked.h"
#include "overlap.h"

/* Bytes of one row; 0 if its bits overflow. */
static size_t find_row_size(size_t row_length, unsigned bits)
{
    size_t row_bits = row_length;
    if (!mgk_multiply(&row_bits, bits)) {
        return 0;
    }
    return row_bits / 8 + (row_bits % 8 != 0);
}

size_t mgk_packed_size(size_t rows, size_t row_length, unsigned bits)
{
    if (!mgk_is_weight_width(bits) || row_length == 0) {
        return 0;
    }
    size_t size = find_row_size(row_length, bits);
    return mgk_multiply(&size, rows) ? size : 0;
}

static mgk_status check_arguments(const void *codes, const void *packed, size_t rows, size_t row_length, unsigned bits,
                                  size_t packed_size)
{
    if (codes == NULL || packed == NULL) {
        return MGK_NULL_POINTER;
    }
    if (!mgk_is_weight_width(bits)) {
        return MGK_BAD_BITS;
    }
    const size_t needed = mgk_packed_size(rows, row_length, bits);
    size_t unpacked = row_length;
    if (needed == 0 || !mgk_multiply(&unpacked, rows)) {
        return MGK_BAD_SHAPE;
    }
    if (packed_size < needed) {
        return MGK_BUFFER_TOO_SMALL;
    }
    return mgk_overlap(codes, unpacked, packed, needed) ? MGK_OVERLAP : MGK_OK;
}

mgk_status mgk_pack(const uint8_t *codes, size_t rows, size_t row_length, unsigned bits, uint8_t *packed,
                    size_t packed_size)
{
    const mgk_status status = check_arguments(codes, packed, rows, row_length, bits, packed_size);
    if (status != MGK_OK) {
        return status;
    }
    if (!mgk_codes_fit(codes, rows * row_length, bits)) {
        return MGK_BAD_CODE;
    }
    const size_t row_size = find_row_size(row_length, bits);
    memset(packed, 0, rows * row_size);
    for (size_t row = 0; row < rows; row++) {
        for (size_t e = 0; e < row_length; e++) {
            const size_t bit = e * bits;
            const unsigned shifted = (unsigned)codes[e] << (bit % 8);
            packed[bit / 8] = (uint8_t)(packed[bit / 8] | (shifted & 0xffu));
            if (shifted > 0xffu) { /* 3 bits: a code may straddle two bytes */
                packed[bit / 8 + 1] = (uint8_t)(packed[bit / 8 + 1] | (shifted >> 8));
            }
        }
        codes += row_length;
        packed += row_size;
    }
    return MGK_OK;
}

mgk_status mgk_unpack(const uint8_t *packed, size_t packed_size, size_t rows, size_t row_length, unsigned bits,
                      uint8_t *codes)
{
    const mgk_status status = check_arguments(codes, packed, rows, row_length, bits, packed_size);
    if (status != MGK_OK) {
        return status;
    }
    const size_t row_size = find_row_size(row_length, bits);
    for (size_t row = 0; row < rows; row++) {
        for (size_t e = 0; e < row_length; e++) {
            codes[e] = mgk_read_code(packed, e, bits);
        }
        packed += row_size;
        codes += row_length;
    }
    return MGK_OK;
}
