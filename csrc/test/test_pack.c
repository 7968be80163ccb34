/* Packed codes: layout, round trip, arguments. */
#include <string.h>

#include "check.h"

static const unsigned widths[] = {1, 2, 3, 4, 8};

/* The layout once more, bit by bit. */
static unsigned read_bit(const uint8_t *row, size_t bit)
{
    return ((unsigned)row[bit / 8] >> (bit % 8)) & 1u;
}

static void check_layout(const uint8_t *packed, size_t row_size, const uint8_t *codes, size_t rows, size_t length,
                         unsigned bits)
{
    for (size_t r = 0; r < rows; r++) {
        for (size_t bit = 0; bit < row_size * 8; bit++) {
            const unsigned code = bit / bits < length ? codes[r * length + bit / bits] : 0;
            CHECK_EQUAL((code >> (bit % bits)) & 1u, read_bit(packed + r * row_size, bit));
        }
    }
}

static void test_round_trip(size_t rows, size_t length, unsigned bits)
{
    const size_t size = mgk_packed_size(rows, length, bits);
    CHECK_EQUAL(rows * ((length * bits + 7) / 8), size);
    uint8_t *codes = allocate(rows * length);
    uint8_t *back = allocate(rows * length);
    uint8_t *packed = allocate(size);
    fill_codes(codes, rows * length, bits);
    memset(packed, 0xff, size);
    CHECK_STATUS(MGK_OK, mgk_pack(codes, rows, length, bits, packed, size));
    check_layout(packed, size / rows, codes, rows, length, bits);
    CHECK_STATUS(MGK_OK, mgk_unpack(packed, size, rows, length, bits, back));
    CHECK_EQUAL(0, memcmp(codes, back, rows * length));
    release(packed);
    release(back);
    release(codes);
}

static void test_known_bytes(void)
{
    const uint8_t codes[] = {1, 2, 3, 4, 5, 6, 7, 0, 5};
    /* 3 bits, lowest first: 001 010 011 100 101 110 111 000 101 from the right */
    const uint8_t expected[] = {0xd1, 0x58, 0x1f, 0x05};
    uint8_t packed[4];
    CHECK_STATUS(MGK_OK, mgk_pack(codes, 1, 9, 3, packed, sizeof packed));
    CHECK_EQUAL(0, memcmp(expected, packed, sizeof packed));
}

static void test_arguments(void)
{
    uint8_t codes[8] = {0};
    uint8_t packed[8];
    memset(packed, 0xaa, sizeof packed);
    const unsigned bad_bits[] = {0, 5, 6, 7, 9, 32, 4000000000u};
    for (size_t i = 0; i < sizeof bad_bits / sizeof *bad_bits; i++) {
        CHECK_EQUAL(0, mgk_packed_size(1, 8, bad_bits[i]));
        CHECK_STATUS(MGK_BAD_BITS, mgk_pack(codes, 1, 8, bad_bits[i], packed, 8));
        CHECK_STATUS(MGK_BAD_BITS, mgk_unpack(packed, 8, 1, 8, bad_bits[i], codes));
    }
    CHECK_EQUAL(0, mgk_packed_size(0, 8, 2));
    CHECK_EQUAL(0, mgk_packed_size(8, 0, 2));
    CHECK_EQUAL(0, mgk_packed_size(1, SIZE_MAX / 2, 4));
    CHECK_EQUAL(0, mgk_packed_size(SIZE_MAX / 2, 16, 2));
    codes[7] = 4;
    CHECK_STATUS(MGK_BAD_CODE, mgk_pack(codes, 1, 8, 2, packed, 2));
    for (size_t i = 0; i < sizeof packed; i++) {
        CHECK_EQUAL(0xaa, packed[i]); /* nothing is written unless all is well */
    }
}

int main(void)
{
    for (size_t w = 0; w < sizeof widths / sizeof *widths; w++) {
        for (size_t length = 1; length <= 33; length++) {
            test_round_trip(1 + length % 3, length, widths[w]);
        }
        test_round_trip(3, 1000, widths[w]);
    }
    test_known_bytes();
    test_arguments();
    return check_result("pack");
}
