/* A^T (sum of U V) A, and from there to raw sums. */
#include "qconv/neon/modular.h"

#if MGK_HAS_NEON
#include "neon.h"

#define INLINE static inline __attribute__((always_inline))

enum { LANES = 8, SIDE = MODULAR_SIDE, OUT = 4 };

/* 2, 4, 8 and 1 in lanes, which the compiler must not know: it would make shifts and additions of multiply-adds. */
INLINE int16x4_t find_powers(void)
{
    static const int16_t powers[4] = {2, 4, 8, 1};
    int16x4_t k = vld1_s16(powers);
    MGK_TOUCH(k);
    return k;
}

INLINE void transform_axis(const int16x8_t m[SIDE], int16x4_t k, int16x8_t y[OUT])
{
    const int16x8_t sum = vaddq_s16(m[1], m[2]);
    const int16x8_t difference = vsubq_s16(m[1], m[2]);
    y[0] = vmlaq_lane_s16(vaddq_s16(vaddq_s16(m[0], m[3]), sum), m[4], k, 2);
    y[1] = vmlaq_lane_s16(vmlaq_lane_s16(difference, m[3], k, 0), m[4], k, 1);
    y[2] = vmlaq_lane_s16(vmlaq_lane_s16(sum, m[3], k, 1), m[4], k, 0);
    y[3] = vmlaq_lane_s16(vaddq_s16(vaddq_s16(m[4], m[5]), difference), m[3], k, 2);
}

/* Position (1,1) reaches all outputs once: the bias comes with it. */
INLINE void transform_columns(const int16_t *m, int16x8_t bias, int16x4_t k, int16x8_t part[SIDE][OUT])
{
    for (int j = 0; j < SIDE; j++) {
        int16x8_t column[SIDE];
        for (int i = 0; i < SIDE; i++) {
            column[i] = vld1q_s16(m + MODULAR_LANES * (SIDE * i + j));
        }
        if (j == 1) {
            column[1] = vaddq_s16(column[1], bias);
        }
        transform_axis(column, k, part[j]);
    }
}

/* more, bits and shift are constants of the caller: add to raw, the type of raw, and 2^shift raw is what there is. */
INLINE void store(void *to, size_t lane, int16x8_t x, const int more, const int bits, const int shift)
{
    if (bits == 32) {
        int32_t *raw = (int32_t *)to + lane;
        const int16x8_t half = shift == 1 ? vshrq_n_s16(x, 1) : vshrq_n_s16(x, 2);
        vst1q_s32(raw, more ? vaddw_s16(vld1q_s32(raw), vget_low_s16(half)) : vmovl_s16(vget_low_s16(half)));
        vst1q_s32(raw + 4, more ? vaddw_high_s16(vld1q_s32(raw + 4), half) : vmovl_high_s16(half));
    } else {
        int16_t *raw = (int16_t *)to + lane;
        if (more) {
            const int16x8_t before = vld1q_s16(raw);
            vst1q_s16(raw, shift == 1 ? vsraq_n_s16(before, x, 1) : vsraq_n_s16(before, x, 2));
        } else {
            vst1q_s16(raw, shift == 1 ? vshrq_n_s16(x, 1) : vshrq_n_s16(x, 2));
        }
    }
}

/* 2 S of one output is added where weights are halved (shift 1). */
#define OUTPUT(to, y, s, i) store(to, lane, shift == 1 ? vmlaq_lane_s16(y, one, s, i) : (y), more, bits, shift)

/* One row of outputs; written out, so that all parts stay in registers. */
#define ROW(i)                                                                                              \
    {                                                                                                       \
        const int16x8_t x[SIDE] = {part[0][i], part[1][i], part[2][i], part[3][i], part[4][i], part[5][i]}; \
        const int16x4_t s = vld1_s16(sums + OUT * (i));                                                     \
        int16x8_t y[OUT];                                                                                   \
        transform_axis(x, k, y);                                                                            \
        OUTPUT(row[i], y[0], s, 0);                                                                         \
        OUTPUT(row[i] + pixel, y[1], s, 1);                                                                 \
        OUTPUT(row[i] + 2 * pixel, y[2], s, 2);                                                             \
        OUTPUT(last[i], y[3], s, 3);                                                                        \
    }

/* One tile: rows of 4 outputs from row[i] on, the last one of each at last[i]. */
INLINE void finish_tile(const int16_t *m, const int16_t *sums, const int16_t *bias, size_t lanes, size_t pixel,
                        uint8_t *const row[OUT], uint8_t *const last[OUT], const int more, const int bits,
                        const int shift)
{
    const int16x4_t k = find_powers();
    int16x8_t one = vdupq_n_s16(1);
    MGK_TOUCH(one);
    for (size_t lane = 0; lane < lanes; lane += LANES) {
        int16x8_t part[SIDE][OUT];
        transform_columns(m + lane, vld1q_s16(bias + lane), k, part);
        ROW(0)
        ROW(1)
        ROW(2)
        ROW(3)
    }
}

INLINE void finish(const int16_t *m, const modular_tile *tiles, size_t count, const int16_t *sums, size_t pitch,
                   const modular_raw *where, const int more, const int bits, const int shift)
{
    const modular_raw raw = *where;
    const size_t pixel = raw.lanes * (size_t)bits / 8;
    const size_t line = raw.width * pixel;
    for (size_t t = 0; t < count; t++) {
        uint8_t *row[OUT];
        uint8_t *last[OUT];
        row[0] = (uint8_t *)raw.raw + tiles[t].y * line + tiles[t].x * pixel;
        row[1] = row[0] + line;
        row[2] = row[1] + line;
        row[3] = tiles[t].tall ? row[2] + line : (uint8_t *)raw.nowhere;
        for (int i = 0; i < OUT; i++) {
            last[i] = tiles[t].wide ? row[i] + 3 * pixel : (uint8_t *)raw.nowhere;
        }
        finish_tile(m + t * MODULAR_TILE, sums + t * pitch, raw.bias, raw.lanes, pixel, row, last, more, bits, shift);
    }
}

#define DEFINE_FINISH(name, more, bits, shift)                                                                     \
    static void name(const int16_t *m, const modular_tile *tiles, size_t count, const int16_t *sums, size_t pitch, \
                     const modular_raw *to)                                                                        \
    {                                                                                                              \
        finish(m, tiles, count, sums, pitch, to, more, bits, shift);                                               \
    }

DEFINE_FINISH(first_16_1, 0, 16, 1)
DEFINE_FINISH(first_16_2, 0, 16, 2)
DEFINE_FINISH(first_32_1, 0, 32, 1)
DEFINE_FINISH(first_32_2, 0, 32, 2)
DEFINE_FINISH(more_16_1, 1, 16, 1)
DEFINE_FINISH(more_16_2, 1, 16, 2)
DEFINE_FINISH(more_32_1, 1, 32, 1)
DEFINE_FINISH(more_32_2, 1, 32, 2)

void mgk_modular_output(const modular *plan, const int16_t *m, const modular_tile *tiles, size_t count,
                        const int16_t *sums, size_t pitch, const modular_raw *to)
{
    typedef void (*function)(const int16_t *, const modular_tile *, size_t, const int16_t *, size_t,
                             const modular_raw *);
    /* [more][raw bits][halved] */
    static const function table[2][2][2] = {{{first_16_2, first_16_1}, {first_32_2, first_32_1}},
                                            {{more_16_2, more_16_1}, {more_32_2, more_32_1}}};
    table[to->chunk > 0][plan->raw_bits == 32][plan->halved](m, tiles, count, sums, pitch, to);
}
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
