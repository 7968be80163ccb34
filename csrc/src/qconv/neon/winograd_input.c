/* B^T d B of the codes, 16 channels at once. */
#include "qconv/neon/winograd_transform.h"

#if MGK_HAS_NEON
#include <string.h>

#include "neon.h"
#include "qconv/neon/pad_row.h"

#define INLINE static inline __attribute__((always_inline))

enum { UNIT = 16, SIDE = 4, MOST_COLUMNS = 12 };

/* ---------------------------------------------------------------- the strip */

static size_t find_strip_width(const winograd *plan)
{
    return 2 * plan->tiles_x + 2;
}

size_t mgk_winograd_strip_size(const winograd *plan)
{
    size_t size = 2 * plan->rows_per_block + 2;
    return mgk_multiply(&size, find_strip_width(plan)) && mgk_multiply(&size, plan->channels) ? size : 0;
}

void mgk_winograd_pad(const mgk_qconv_run *run, const winograd *plan, size_t first_row, size_t rows, uint8_t *strip)
{
    const mgk_conv2d *c = &run->layer->conv;
    const size_t width = find_strip_width(plan);
    for (size_t y = 2 * first_row; y < 2 * (first_row + rows) + 2; y++) {
        if (y >= c->pad_top && y - c->pad_top < c->height) {
            mgk_pad_row(c, run->codes + (y - c->pad_top) * c->width * c->in_channels, width, plan->channels, strip);
        } else {
            memset(strip, 0, width * plan->channels);
        }
        strip += width * plan->channels;
    }
}

/* ---------------------------------------------------------------- the transform */

/* Where 16 channels of a group of tiles are. tiles, step and halved are constants of the caller, so that loops over them
 * unroll. step 2: the tiles are neighbours and share columns of codes[0]; step 4: each has its own. */
typedef struct patch {
    const uint8_t *codes[WINOGRAD_GROUP];
    size_t row, column;
} patch;

/* An address that the compiler must not compute from others: each has a register, and loads and stores advance it. */
#define KEEP(pointer) __asm__("" : "+r"(pointer))

/* One vector of each tile, depth channels in turn. */
INLINE void store(int8_t *to, const uint8x16_t *v, const int tiles, const int depth)
{
    int16_t *twos = (int16_t *)(void *)to;
    int32_t *fours = (int32_t *)(void *)to;
    if (tiles == 3 && depth == 2) {
        const int16x8x3_t three = {
            {vreinterpretq_s16_u8(v[0]), vreinterpretq_s16_u8(v[1]), vreinterpretq_s16_u8(v[2])}};
        vst3q_s16(twos, three);
    } else if (tiles == 3) {
        const int32x4x3_t three = {
            {vreinterpretq_s32_u8(v[0]), vreinterpretq_s32_u8(v[1]), vreinterpretq_s32_u8(v[2])}};
        vst3q_s32(fours, three);
    } else if (tiles == 2 && depth == 2) {
        const int16x8x2_t two = {{vreinterpretq_s16_u8(v[0]), vreinterpretq_s16_u8(v[1])}};
        vst2q_s16(twos, two);
    } else if (tiles == 2) {
        const int32x4x2_t two = {{vreinterpretq_s32_u8(v[0]), vreinterpretq_s32_u8(v[1])}};
        vst2q_s32(fours, two);
    } else {
        vst1q_s16(twos, vreinterpretq_s16_u8(v[0]));
    }
}

/* Four positions, from a row of B^T d: times B. */
INLINE void store_row(const uint8x16_t *row, int8_t *to[4], const int plus, uint8x16_t offset, const int tiles,
                      const int step, const int depth)
{
    uint8x16_t v[4][WINOGRAD_GROUP];
    for (int t = 0; t < tiles; t++) {
        const uint8x16_t *r = row + step * t;
        v[0][t] = vsubq_u8(r[0], r[2]);
        v[1][t] = vaddq_u8(r[1], r[2]);
        v[2][t] = vsubq_u8(r[2], r[1]);
        v[3][t] = vsubq_u8(r[1], r[3]);
        if (plus) { /* position (1,1) */
            v[1][t] = vsubq_u8(v[1][t], offset);
        }
    }
    for (int j = 0; j < 4; j++) {
        KEEP(to[j]);
        store(to[j], v[j], tiles, depth);
        to[j] += UNIT * tiles;
    }
}

/* How two rows of codes become one of B^T d. */
enum { UPPER_MINUS_LOWER, SUM, LOWER_MINUS_UPPER };

INLINE uint8x16_t combine(uint8x16_t upper, uint8x16_t lower, const int how)
{
    return how == SUM                 ? vaddq_u8(upper, lower)
           : how == UPPER_MINUS_LOWER ? vsubq_u8(upper, lower)
                                      : vsubq_u8(lower, upper);
}

/* Rows a and b of the codes, a above b, then the four positions of that row of B^T d, for all channels. corner: the
 * first of the two corners to sum, or -1. */
INLINE void transform_row(const patch *from, const winograd *plan, const size_t a, const size_t b, const int how,
                          int8_t *begin, int32_t (*corners)[4], const int corner, const int tiles, const int step,
                          const int depth)
{
    const int columns = step * (tiles - 1) + SIDE;
    const uint8x16_t offset = vdupq_n_u8((uint8_t)plan->center);
    const size_t position = plan->channels * (size_t)tiles;
    const size_t lower = (b - a) * from->row;
    int8_t *to[4] = {begin, begin + position, begin + 2 * position, begin + 3 * position};
    const uint8_t *codes[MOST_COLUMNS];
    for (int j = 0; j < columns; j++) {
        codes[j] =
            from->codes[step == 2 ? 0 : j / step] + (size_t)(step == 2 ? j : j % step) * from->column + a * from->row;
    }
    uint16x8_t sums[WINOGRAD_GROUP][2];
    for (int t = 0; t < tiles; t++) {
        sums[t][0] = sums[t][1] = vdupq_n_u16(0);
    }
    for (size_t c = plan->channels; c > 0; c -= UNIT) {
        uint8x16_t x[MOST_COLUMNS];
        uint8x16_t y[MOST_COLUMNS];
        for (int j = 0; j < columns; j++) {
            KEEP(codes[j]);
            y[j] = vld1q_u8(codes[j] + lower);
            x[j] = vld1q_u8(codes[j]);
            codes[j] += UNIT;
        }
        for (int t = 0; t < tiles && corner >= 0; t++) { /* of the outer row of codes */
            const uint8x16_t *outer = (corner == 0 ? x : y) + step * t;
            sums[t][0] = vpadalq_u8(sums[t][0], outer[0]);
            sums[t][1] = vpadalq_u8(sums[t][1], outer[3]);
        }
        for (int j = 0; j < columns; j++) {
            x[j] = combine(x[j], y[j], how);
        }
        store_row(x, to, how == SUM, offset, tiles, step, depth);
    }
    for (int t = 0; t < tiles && corner >= 0; t++) {
        corners[t][corner] = plan->halved ? (int32_t)vaddlvq_u16(sums[t][0]) : 0;
        corners[t][corner + 1] = plan->halved ? (int32_t)vaddlvq_u16(sums[t][1]) : 0;
    }
}

INLINE void transform(const patch *from, const winograd *plan, int8_t *to, int32_t (*corners)[4], const int tiles,
                      const int step, const int depth)
{
    const size_t row = 4 * plan->channels * (size_t)tiles;
    transform_row(from, plan, 0, 2, UPPER_MINUS_LOWER, to, corners, 0, tiles, step, depth);
    transform_row(from, plan, 1, 2, SUM, to + row, corners, -1, tiles, step, depth);
    transform_row(from, plan, 1, 2, LOWER_MINUS_UPPER, to + 2 * row, corners, -1, tiles, step, depth);
    transform_row(from, plan, 1, 3, UPPER_MINUS_LOWER, to + 3 * row, corners, 2, tiles, step, depth);
}

#define DEFINE_TRANSFORM(name, tiles, step, depth)                                               \
    static void name(const patch *from, const winograd *plan, int8_t *to, int32_t (*corners)[4]) \
    {                                                                                            \
        transform(from, plan, to, corners, tiles, step, depth);                                  \
    }

DEFINE_TRANSFORM(pairs_1, 1, SIDE, 2)
DEFINE_TRANSFORM(pairs_2, 2, SIDE, 2)
DEFINE_TRANSFORM(pairs_3, 3, SIDE, 2)
DEFINE_TRANSFORM(pairs_neighbours, 3, 2, 2)
DEFINE_TRANSFORM(quads_1, 1, SIDE, 4)
DEFINE_TRANSFORM(quads_2, 2, SIDE, 4)
DEFINE_TRANSFORM(quads_3, 3, SIDE, 4)
DEFINE_TRANSFORM(quads_neighbours, 3, 2, 4)

void mgk_winograd_input(const winograd *plan, const uint8_t *strip, const winograd_tile *tiles, size_t count, int8_t *v,
                        int32_t (*corners)[4])
{
    patch from;
    from.column = plan->channels;
    from.row = find_strip_width(plan) * from.column;
    for (size_t t = 0; t < count; t++) {
        from.codes[t] = strip + 2 * tiles[t].y * from.row + 2 * tiles[t].x * from.column;
    }
    /* listed row by row: where the third is two columns right of the first, the second is between */
    const int neighbours = count == 3 && tiles[2].y == tiles[0].y && tiles[2].x == tiles[0].x + 2;
    static void (*const table[2][4])(const patch *, const winograd *, int8_t *, int32_t (*)[4]) = {
        {pairs_1, pairs_2, pairs_3, pairs_neighbours}, {quads_1, quads_2, quads_3, quads_neighbours}};
    table[plan->depth == 4][neighbours ? 3 : count - 1](&from, plan, v, corners);
}
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
