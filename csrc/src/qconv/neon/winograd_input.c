/* B^T d B of the codes, 16 channels at once. */
#include "qconv/neon/winograd_transform.h"

#if defined(__aarch64__)
#include <arm_neon.h>
#include <string.h>

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

/* One row of the image with its border, `width` pixels. */
static void pad_row(const mgk_conv2d *c, const uint8_t *codes, size_t width, size_t channels, uint8_t *to)
{
    const size_t left = c->pad_left < width ? c->pad_left : width;
    const size_t inside = c->width < width - left ? c->width : width - left;
    memset(to, 0, left * channels);
    to += left * channels;
    if (channels == c->in_channels) {
        memcpy(to, codes, inside * channels);
    } else {
        for (size_t x = 0; x < inside; x++) {
            memcpy(to + x * channels, codes + x * c->in_channels, c->in_channels);
            memset(to + x * channels + c->in_channels, 0, channels - c->in_channels);
        }
    }
    memset(to + inside * channels, 0, (width - left - inside) * channels);
}

void mgk_winograd_pad(const mgk_qconv_run *run, const winograd *plan, size_t first_row, size_t rows, uint8_t *strip)
{
    const mgk_conv2d *c = &run->layer->conv;
    const size_t width = find_strip_width(plan);
    for (size_t y = 2 * first_row; y < 2 * (first_row + rows) + 2; y++) {
        if (y >= c->pad_top && y - c->pad_top < c->height) {
            pad_row(c, run->codes + (y - c->pad_top) * c->width * c->in_channels, width, plan->channels, strip);
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

INLINE void load_row(const patch *from, size_t y, const int tiles, const int step, uint8x16_t row[MOST_COLUMNS])
{
    if (step == 2) {
        const uint8_t *codes = from->codes[0] + y * from->row;
        for (size_t j = 0; j < 2 * (size_t)tiles + 2; j++) {
            row[j] = vld1q_u8(codes + j * from->column);
        }
    } else {
        for (int t = 0; t < tiles; t++) {
            const uint8_t *codes = from->codes[t] + y * from->row;
            for (size_t j = 0; j < SIDE; j++) {
                row[step * t + (int)j] = vld1q_u8(codes + j * from->column);
            }
        }
    }
}

INLINE void store(int8_t *to, const uint8x16_t *v, const int tiles)
{
    int16_t *pairs = (int16_t *)(void *)to;
    if (tiles == 3) {
        const int16x8x3_t three = {
            {vreinterpretq_s16_u8(v[0]), vreinterpretq_s16_u8(v[1]), vreinterpretq_s16_u8(v[2])}};
        vst3q_s16(pairs, three);
    } else if (tiles == 2) {
        const int16x8x2_t two = {{vreinterpretq_s16_u8(v[0]), vreinterpretq_s16_u8(v[1])}};
        vst2q_s16(pairs, two);
    } else {
        vst1q_s16(pairs, vreinterpretq_s16_u8(v[0]));
    }
}

/* Four positions, from a row of B^T d: times B. */
INLINE void store_row(const uint8x16_t *row, int8_t *const to[4], size_t at, const int plus, uint8x16_t offset,
                      const int tiles, const int step)
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
        store(to[j] + at, v[j], tiles);
    }
}

/* Row a minus or plus row b of the codes, then the four positions of that row, for all channels. corner: the first of
 * the two corners to sum, or -1. */
INLINE void transform_row(const patch *from, const winograd *plan, const size_t a, const size_t b, const int plus,
                          int8_t *begin, int32_t (*corners)[4], const int corner, const int tiles, const int step)
{
    const uint8x16_t offset = vdupq_n_u8((uint8_t)plan->center);
    const size_t channels = plan->channels;
    const size_t position = channels * (size_t)tiles;
    int8_t *const to[4] = {begin, begin + position, begin + 2 * position, begin + 3 * position};
    patch at = *from;
    uint16x8_t sums[WINOGRAD_GROUP][2];
    for (int t = 0; t < tiles; t++) {
        sums[t][0] = sums[t][1] = vdupq_n_u16(0);
    }
    for (size_t c = 0; c < channels; c += UNIT) {
        uint8x16_t x[MOST_COLUMNS];
        uint8x16_t y[MOST_COLUMNS];
        load_row(&at, a, tiles, step, x);
        load_row(&at, b, tiles, step, y);
        for (int t = 0; t < tiles && corner >= 0; t++) { /* of the outer row of codes */
            const uint8x16_t *outer = (corner == 0 ? x : y) + step * t;
            sums[t][0] = vpadalq_u8(sums[t][0], outer[0]);
            sums[t][1] = vpadalq_u8(sums[t][1], outer[3]);
        }
        for (int j = 0; j < step * (tiles - 1) + SIDE; j++) {
            x[j] = plus ? vaddq_u8(x[j], y[j]) : vsubq_u8(x[j], y[j]);
        }
        store_row(x, to, c * (size_t)tiles, plus, offset, tiles, step);
        for (int t = 0; t < (step == 2 ? 1 : tiles); t++) {
            at.codes[t] += UNIT;
        }
    }
    for (int t = 0; t < tiles && corner >= 0; t++) {
        corners[t][corner] = plan->halved ? (int32_t)vaddlvq_u16(sums[t][0]) : 0;
        corners[t][corner + 1] = plan->halved ? (int32_t)vaddlvq_u16(sums[t][1]) : 0;
    }
}

INLINE void transform(const patch *from, const winograd *plan, int8_t *to, int32_t (*corners)[4], const int tiles,
                      const int step)
{
    const size_t row = 4 * plan->channels * (size_t)tiles;
    transform_row(from, plan, 0, 2, 0, to, corners, 0, tiles, step);
    transform_row(from, plan, 1, 2, 1, to + row, corners, -1, tiles, step);
    transform_row(from, plan, 2, 1, 0, to + 2 * row, corners, -1, tiles, step);
    transform_row(from, plan, 1, 3, 0, to + 3 * row, corners, 2, tiles, step);
}

void mgk_winograd_input(const winograd *plan, const uint8_t *strip, const winograd_tile *tiles, size_t count, int8_t *v,
                        int32_t (*corners)[4])
{
    patch from;
    from.column = plan->channels;
    from.row = find_strip_width(plan) * from.column;
    for (size_t t = 0; t < count; t++) {
        from.codes[t] = strip + 2 * tiles[t].y * from.row + 2 * tiles[t].x * from.column;
    }
    if (count == 1) {
        transform(&from, plan, v, corners, 1, SIDE);
    } else if (count == 2) {
        transform(&from, plan, v, corners, 2, SIDE);
    } else if (tiles[2].y == tiles[0].y && tiles[2].x == tiles[0].x + 2) { /* listed row by row: tiles[1] is between */
        transform(&from, plan, v, corners, 3, 2);
    } else {
        transform(&from, plan, v, corners, 3, SIDE);
    }
}
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
