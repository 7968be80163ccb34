/* B^T d B of the codes, 16 channels at once. */
#include "qconv/neon/winograd_transform.h"

#if defined(__aarch64__)
#include <arm_neon.h>
#include <string.h>

enum { UNIT = 16, SIDE = 4 };

size_t mgk_winograd_patch_size(const winograd *plan)
{
    size_t size = plan->channels;
    return mgk_multiply(&size, WINOGRAD_GROUP * SIDE * SIDE) ? size : 0;
}

/* Where the codes of a group of tiles are: tile t begins `tile` bytes after tile t - 1. */
typedef struct source {
    const uint8_t *codes;
    size_t row, column, tile;
} source;

static inline void store(int8_t *to, const uint8x16_t *v, const int tiles)
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

/* tiles, step and halved are constants of the caller. step 2: tiles are neighbours and share columns; step 4: they do
 * not. Columns of tile t are those from step t on. */
static inline __attribute__((always_inline)) void transform_group(const source *from, size_t channels, int32_t center,
                                                                  int8_t *to, int32_t (*corners)[4], const int tiles,
                                                                  const int step, const int halved)
{
    static const unsigned char upper[4] = {0, 1, 2, 1};
    static const unsigned char lower[4] = {2, 2, 1, 3};
    const int columns = step * (tiles - 1) + 4;
    const uint8x16_t offset = vdupq_n_u8((uint8_t)center);
    const size_t position = channels * (size_t)tiles;
    uint16x8_t sums[WINOGRAD_GROUP][4];
    for (int t = 0; t < tiles; t++) {
        for (int k = 0; k < 4; k++) {
            sums[t][k] = vdupq_n_u16(0);
        }
    }
    for (size_t c = 0; c < channels; c += UNIT) {
        for (int i = 0; i < 4; i++) {
            const uint8_t *a = from->codes + upper[i] * from->row + c;
            const uint8_t *b = from->codes + lower[i] * from->row + c;
            uint8x16_t rows[3 * SIDE];
            for (int j = 0; j < columns; j++) {
                const size_t at = (size_t)(j / step) * from->tile + (size_t)(j % step) * from->column;
                const uint8x16_t x = vld1q_u8(a + at);
                const uint8x16_t y = vld1q_u8(b + at);
                rows[j] = i == 1 ? vaddq_u8(x, y) : vsubq_u8(x, y);
                for (int t = 0; t < tiles && halved; t++) {
                    const int k = j - step * t; /* the column of tile t */
                    if (i == 0 && (k == 0 || k == 3)) {
                        sums[t][k == 3] = vpadalq_u8(sums[t][k == 3], x);
                    }
                    if (i == 3 && (k == 0 || k == 3)) {
                        sums[t][2 + (k == 3)] = vpadalq_u8(sums[t][2 + (k == 3)], y);
                    }
                }
            }
            uint8x16_t v[4][WINOGRAD_GROUP];
            for (int t = 0; t < tiles; t++) {
                const uint8x16_t *r = rows + step * t;
                v[0][t] = vsubq_u8(r[0], r[2]);
                v[1][t] = vaddq_u8(r[1], r[2]);
                v[2][t] = vsubq_u8(r[2], r[1]);
                v[3][t] = vsubq_u8(r[1], r[3]);
                if (i == 1) {
                    v[1][t] = vsubq_u8(v[1][t], offset);
                }
            }
            for (int j = 0; j < 4; j++) {
                store(to + (size_t)(4 * i + j) * position, v[j], tiles);
            }
        }
        to += UNIT * tiles;
    }
    for (int t = 0; t < tiles; t++) {
        for (int k = 0; k < 4; k++) {
            corners[t][k] = (int32_t)vaddlvq_u16(sums[t][k]);
        }
    }
}

#define DEFINE_TRANSFORM(name, tiles, step)                                                                            \
    static void name(const source *from, const winograd *plan, int8_t *to, int32_t (*corners)[4])                      \
    {                                                                                                                  \
        if (plan->halved) {                                                                                            \
            transform_group(from, plan->channels, plan->center, to, corners, tiles, step, 1);                          \
        } else {                                                                                                       \
            transform_group(from, plan->channels, plan->center, to, corners, tiles, step, 0);                          \
        }                                                                                                              \
    }

DEFINE_TRANSFORM(transform_1, 1, 4)
DEFINE_TRANSFORM(transform_2, 2, 4)
DEFINE_TRANSFORM(transform_3, 3, 4)
DEFINE_TRANSFORM(transform_neighbours, 3, 2)

/* Is the whole 4 x 4 tile inside of the image? */
static int is_inside(const mgk_conv2d *c, const winograd_tile *tile)
{
    return 2 * tile->y >= c->pad_top && 2 * tile->y + SIDE <= c->pad_top + c->height && 2 * tile->x >= c->pad_left &&
           2 * tile->x + SIDE <= c->pad_left + c->width;
}

/* The codes of a tile, with zeros outside of the image and for the channels that pad to 16. */
static void copy_tile(const mgk_qconv_run *run, size_t channels, const winograd_tile *tile, uint8_t *patch)
{
    const mgk_conv2d *c = &run->layer->conv;
    for (size_t i = 0; i < SIDE; i++) {
        const size_t y = 2 * tile->y + i; /* in the image with its border */
        for (size_t j = 0; j < SIDE; j++) {
            const size_t x = 2 * tile->x + j;
            size_t written = 0;
            if (y >= c->pad_top && y < c->pad_top + c->height && x >= c->pad_left && x < c->pad_left + c->width) {
                const uint8_t *codes =
                    run->codes + ((y - c->pad_top) * c->width + (x - c->pad_left)) * c->in_channels;
                for (; c->in_channels - written >= UNIT; written += UNIT) {
                    vst1q_u8(patch + written, vld1q_u8(codes + written));
                }
                for (; written < c->in_channels; written++) {
                    patch[written] = codes[written];
                }
            }
            for (; channels - written >= UNIT; written += UNIT) {
                vst1q_u8(patch + written, vdupq_n_u8(0));
            }
            for (; written < channels; written++) {
                patch[written] = 0;
            }
            patch += channels;
        }
    }
}

void mgk_winograd_input(const mgk_qconv_run *run, const winograd *plan, const winograd_tile *tiles, size_t count,
                        int8_t *v, int32_t (*corners)[4], uint8_t *patch)
{
    const mgk_conv2d *c = &run->layer->conv;
    int direct = c->in_channels == plan->channels;
    int neighbours = count == WINOGRAD_GROUP;
    for (size_t t = 0; t < count; t++) {
        direct = direct && is_inside(c, &tiles[t]);
        neighbours = neighbours && tiles[t].y == tiles[0].y && tiles[t].x == tiles[0].x + t;
    }
    source from;
    if (direct && neighbours) {
        from.column = c->in_channels;
        from.row = c->width * from.column;
        from.tile = 2 * from.column;
        from.codes = run->codes + (2 * tiles->y - c->pad_top) * from.row + (2 * tiles->x - c->pad_left) * from.column;
        transform_neighbours(&from, plan, v, corners);
        return;
    }
    from.column = plan->channels;
    from.row = SIDE * from.column;
    from.tile = SIDE * from.row;
    from.codes = patch;
    for (size_t t = 0; t < count; t++) {
        copy_tile(run, plan->channels, &tiles[t], patch + t * from.tile);
    }
    static void (*const transform[WINOGRAD_GROUP])(const source *, const winograd *, int8_t *, int32_t (*)[4]) = {
        transform_1, transform_2, transform_3};
    transform[count - 1](&from, plan, v, corners);
}
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
