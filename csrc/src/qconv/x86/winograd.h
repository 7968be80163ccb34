/* Winograd's F(2x2, 3x3), exact in bytes: 16 products where the direct convolution has 36.
 *
 * V = B^T d B of 4x4 codes d, U = G g G^T of 3x3 weights g, M = sum of U V over the input channels at each of the 16
 * positions, Y = A^T M A, with
 *   B^T = [1 0 -1 0; 0 1 1 0; 0 -1 1 0; 0 1 0 -1]   G = [2 0 0; 1 1 1; 1 -1 1; 0 0 2]   A^T = [1 1 1 0; 0 1 -1 -1]
 * G is twice the usual one, so that U is an integer and Y four times the 2x2 outputs.
 * With codes up to N, V is in 0 to 4 N at position (1,1), the only one whose weights in B do not cancel, and in -2 N to
 * 2 N elsewhere: there 2 N is added, which makes all of them unsigned bytes up to N = 63. With weights up to w in size,
 * |U| <= 9 w. What was added, and zero codes, which are a constant at (1,1), are taken off where sums start.
 *
 * |U| <= 4 w at the corners, 6 w beside them, 9 w in the middle: beyond a byte it is a sum of parts, each of which is
 * multiplied.
 *
 * Beyond that AVX2 has V and U as int16, which hold them as they are: nothing is added to V, and U has one part.
 *
 * Prepared weights: [block of output channels][position]: sums to start from, int32 (channels of the block); weights as
 * in products.h, a run for each part. Input channels are padded to QUAD with weights of zero. */
#ifndef MGK_QCONV_X86_WINOGRAD_H
#define MGK_QCONV_X86_WINOGRAD_H

#include "qconv/x86/products.h"

enum { POSITIONS = 16, CHUNK = 16, FULL_POSITION = 5 };

/* Tiles are 2x2 outputs; some rows of them are computed together. Where the output's height (width) is odd, the last
 * row (column) of tiles needs no positions of row (column) 3: they are left out. */
typedef struct winograd {
    size_t code_size; /* of V and U: 1, or 2 for int16 */
    size_t tile_size; /* bytes of a tile's V at one position: input channels, padded to CHUNK */
    size_t quads;     /* that are multiplied */
    size_t tiles_y, tiles_x;
    int odd_y, odd_x; /* are the output's height and width odd */
    size_t rows;      /* rows of tiles that are computed together */
    size_t v_pitch;   /* bytes from a position's V to the next one's */
    size_t m_pitch;   /* int32 from a position's M to the next one's */
    int32_t parts[3]; /* that U is a sum of, by how many of a position's row and column are middle ones */
    uint8_t center;   /* 2 N; 0 with int16 */
    size_t flush;     /* 0 with int16 */
} winograd;

/* What is computed together: rows of tiles, and how many there are in rows and columns 0 to 2 and 3 of positions. */
typedef struct strip {
    size_t first, rows; /* of tiles */
    size_t rows_3;      /* of them that have row 3 */
    size_t columns, columns_3;
} strip;

/* Is the last row of tiles without row 3, and so on; tile (y, x) of the strip at a position is number y * columns + x
 * of those the position has. */
INLINE size_t position_columns(const strip *s, size_t position)
{
    return position % 4 == 3 ? s->columns_3 : s->columns;
}
INLINE size_t position_tiles(const strip *s, size_t position)
{
    return (position >= 12 ? s->rows_3 : s->rows) * position_columns(s, position);
}

INLINE int32_t position_parts(const winograd *plan, size_t position)
{
    return plan->parts[(position / 4 % 3 != 0) + (position % 4 % 3 != 0)];
}

/* Bytes of the prepared weights of a position for so many output channels. */
INLINE size_t position_size(const winograd *plan, size_t position, size_t channels)
{
    return channels * (sizeof(int32_t) + (size_t)position_parts(plan, position) * plan->quads * QUAD);
}

/* 0: the layer is none for this kernel. */
int X86(winograd_plan)(const mgk_qconv *layer, winograd *plan);

/* Bytes of the prepared weights of so many output channels. */
size_t X86(winograd_block_size)(const winograd *plan, size_t channels);

size_t X86(winograd_weights_size)(const mgk_qconv *layer);
void X86(winograd_prepare)(const mgk_qconv_weights *weights, uint8_t *section, mgk_raw *raw);

/* V of a strip of the image. */
void X86(winograd_input)(const mgk_qconv_run *run, const winograd *plan, const strip *s, uint8_t *v);

/* From M of a strip, channels c to c + BLOCK_CHANNELS or the last, in rows of `pitch`, to the outputs. */
void X86(winograd_output)(const mgk_qconv_run *run, const winograd *plan, const strip *s, const int32_t *m,
                          size_t pitch, size_t c);

#endif
