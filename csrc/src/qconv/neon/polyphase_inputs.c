/* Inputs of the polyphase kernel: differences of even rows and columns, exact in bytes. */
#include "neon.h"

#if MGK_HAS_NEON
#include "qconv/neon/polyphase.h"

MGK_INLINE void transform_axis(const int8x16_t x[AXIS], int8x16_t t[AXIS])
{
    t[0] = vsubq_s8(x[0], x[2]);
    t[1] = x[2];
    t[2] = vsubq_s8(x[4], x[2]);
    t[3] = x[1];
    t[4] = x[3];
}

/* The 25 values of a tile, of 16 channels; rows of inputs may be the same where no output needs them. */
MGK_INLINE void transform_tile(const int8_t *const row[AXIS], const size_t column[AXIS], int8_t *to, size_t step)
{
    int8x16_t middle[AXIS][AXIS];
    for (int j = 0; j < AXIS; j++) {
        int8x16_t x[AXIS], t[AXIS];
        for (int i = 0; i < AXIS; i++) {
            x[i] = vld1q_s8(row[i] + column[j]);
        }
        transform_axis(x, t);
        for (int i = 0; i < AXIS; i++) {
            middle[i][j] = t[i];
        }
    }
    for (size_t i = 0; i < AXIS; i++) {
        int8x16_t t[AXIS];
        transform_axis(middle[i], t);
        for (size_t j = 0; j < AXIS; j++) {
            vst1q_s8(to + (i * AXIS + j) * step, t[j]);
        }
    }
}

void mgk_polyphase_inputs(const mgk_qconv *layer, const polyphase *d, const int8_t *image, size_t tile, uint8_t *inputs)
{
    const size_t channels = layer->conv.in_channels;
    const mgk_patches *p = &d->patches;
    const int8_t *row[MGK_PATCHES][AXIS];
    size_t column[MGK_PATCHES][AXIS];
    for (size_t k = 0; k < MGK_PATCHES; k++) {
        const size_t last = d->tiles_y * d->tiles_x - 1;
        const size_t index = tile + k < last ? tile + k : last;
        for (size_t i = 0; i < AXIS; i++) {
            const size_t y = index / d->tiles_x * 4 + i;
            const size_t x = index % d->tiles_x * 4 + i;
            row[k][i] = image + (y < p->height ? y : p->height - 1) * p->width * channels;
            column[k][i] = (x < p->width ? x : p->width - 1) * channels;
        }
    }
    for (size_t c = 0; c < channels; c += VECTOR) {
        int8_t values[POSITIONS][MGK_PATCHES][VECTOR];
        for (size_t k = 0; k < MGK_PATCHES; k++) {
            transform_tile(row[k], column[k], values[0][k], sizeof values[0]);
            for (size_t i = 0; i < AXIS; i++) {
                row[k][i] += VECTOR;
            }
        }
        for (size_t position = 0; position < POSITIONS; position++) {
            int16x8x4_t x;
            for (int k = 0; k < MGK_PATCHES; k++) {
                x.val[k] = vreinterpretq_s16_s8(vld1q_s8(values[position][k]));
            }
            vst4q_s16((int16_t *)(void *)(inputs + (position * channels + c) * MGK_PATCHES), x);
        }
    }
}
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
