/* The codes under some rows of tiles, and their sums over channels. */
#include "qconv/neon/modular.h"

#if MGK_HAS_NEON
#include <string.h>

#include "neon.h"
#include "qconv/neon/pad_row.h"

enum { VECTOR = 16 };

size_t mgk_modular_strip_rows(const modular *plan)
{
    return 4 * plan->rows_per_block + 2;
}

size_t mgk_modular_strip_width(const modular *plan)
{
    return mgk_modular_start(&plan->x, plan->x.tiles) + 2;
}

/* A pixel's sum over a chunk: at most INT16_BOUND / 9, as every channel counts for more in the bound of chunks. */
static uint16_t sum_codes(const uint8_t *codes, size_t channels)
{
    uint16x8_t sum = vpaddlq_u8(vld1q_u8(codes));
    for (size_t c = VECTOR; c < channels; c += VECTOR) {
        sum = vpadalq_u8(sum, vld1q_u8(codes + c));
    }
    return vaddvq_u16(sum);
}

void mgk_modular_pad(const mgk_qconv_run *run, const modular *plan, size_t first_row, size_t rows, modular_strip *strip)
{
    const mgk_conv2d *c = &run->layer->conv;
    const size_t begin = mgk_modular_start(&plan->y, first_row);
    const size_t width = mgk_modular_strip_width(plan);
    uint8_t *to = strip->codes;
    strip->width = width;
    strip->rows = mgk_modular_start(&plan->y, first_row + rows) + 2 - begin;
    for (size_t y = begin; y < begin + strip->rows; y++) {
        if (y >= c->pad_top && y - c->pad_top < c->height) {
            mgk_pad_row(c, run->codes + (y - c->pad_top) * c->width * c->in_channels, width, plan->channels, to);
        } else {
            memset(to, 0, width * plan->channels);
        }
        to += width * plan->channels;
    }
    for (size_t chunk = 0; chunk < plan->chunks && plan->halved; chunk++) {
        const uint8_t *codes = strip->codes + chunk * plan->chunk;
        const size_t channels = mgk_modular_chunk(plan, chunk);
        uint16_t *sums = strip->sums + chunk * strip->rows * width;
        for (size_t pixel = 0; pixel < strip->rows * width; pixel++) {
            sums[pixel] = sum_codes(codes + pixel * plan->channels, channels);
        }
    }
}

void mgk_modular_sums(const modular_strip *strip, const modular_tile *tile, size_t chunk, int16_t *sums)
{
    const uint16_t *from = strip->sums + (chunk * strip->rows + tile->y) * strip->width + tile->x;
    uint16x8_t row[MODULAR_SIDE];
    for (size_t y = 0; y < MODULAR_SIDE; y++) { /* the sixth row and column of a tile of 3 do not matter */
        row[y] = vld1q_u16(from + (y < 5 + tile->tall ? y : 0) * strip->width);
    }
    for (size_t y = 0; y < 4; y++) {
        const uint16x8_t column = vaddq_u16(vaddq_u16(row[y], row[y + 1]), row[y + 2]);
        const uint16x8_t sum = vaddq_u16(vaddq_u16(column, vextq_u16(column, column, 1)), vextq_u16(column, column, 2));
        vst1_s16(sums + 4 * y, vreinterpret_s16_u16(vshl_n_u16(vget_low_u16(sum), 1)));
    }
}
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
