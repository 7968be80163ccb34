/* A^T (sum of U V) A, and from X to raw sums: X / 2 + S, or X / 4 (winograd.h). */
#include "qconv/neon/winograd_transform.h"

#if MGK_HAS_NEON
#include "neon.h"

#define INLINE static inline __attribute__((always_inline))

enum { LANES = 8 };

/* 2 in all lanes, which the compiler must not know: it would make two additions of a multiply-add. */
INLINE int16x8_t find_two(void)
{
    int16x8_t two = vdupq_n_s16(2);
    MGK_TOUCH(two);
    return two;
}

/* The sums of position (i, j). */
#define ROW(i, j) (WINOGRAD_LANES * (4 * (i) + (j)))

/* The four X, row by row, modulo 2^16. */
INLINE void transform_narrow(const int16_t *m, int16x8_t two, int16x8_t x[4])
{
    int16x8_t top[4];
    int16x8_t bottom[4];
    for (int j = 0; j < 4; j++) {
        const int16x8_t middle = vld1q_s16(m + ROW(1, j));
        const int16x8_t lower = vld1q_s16(m + ROW(2, j));
        top[j] = vmlaq_s16(vaddq_s16(middle, lower), vld1q_s16(m + ROW(0, j)), two);
        bottom[j] = vmlsq_s16(vsubq_s16(middle, lower), vld1q_s16(m + ROW(3, j)), two);
    }
    x[0] = vmlaq_s16(vaddq_s16(top[1], top[2]), top[0], two);
    x[1] = vmlsq_s16(vsubq_s16(top[1], top[2]), top[3], two);
    x[2] = vmlaq_s16(vaddq_s16(bottom[1], bottom[2]), bottom[0], two);
    x[3] = vmlsq_s16(vsubq_s16(bottom[1], bottom[2]), bottom[3], two);
}

INLINE void transform_wide(const int32_t *m, int32x4_t two, int32x4_t x[4])
{
    int32x4_t top[4];
    int32x4_t bottom[4];
    for (int j = 0; j < 4; j++) {
        const int32x4_t middle = vld1q_s32(m + ROW(1, j));
        const int32x4_t lower = vld1q_s32(m + ROW(2, j));
        top[j] = vmlaq_s32(vaddq_s32(middle, lower), vld1q_s32(m + ROW(0, j)), two);
        bottom[j] = vmlsq_s32(vsubq_s32(middle, lower), vld1q_s32(m + ROW(3, j)), two);
    }
    x[0] = vmlaq_s32(vaddq_s32(top[1], top[2]), top[0], two);
    x[1] = vmlsq_s32(vsubq_s32(top[1], top[2]), top[3], two);
    x[2] = vmlaq_s32(vaddq_s32(bottom[1], bottom[2]), bottom[0], two);
    x[3] = vmlsq_s32(vsubq_s32(bottom[1], bottom[2]), bottom[3], two);
}

/* more, bits and shift are constants of the caller: add to raw, the type of raw, and the shift of X. to: where the four
 * sums go. Two vectors at once, so that loads and stores pair up. */
INLINE void finish_narrow(const int16_t *m, size_t lanes, const int32_t corners[4], void *const to[4], const int more,
                          const int bits, const int shift)
{
    const int16x8_t two = find_two();
    const int32_t twice[4] = {2 * corners[0], 2 * corners[1], 2 * corners[2], 2 * corners[3]};
    for (size_t lane = 0; lane < lanes; lane += 2 * LANES) {
        int16x8_t x[2][4];
        transform_narrow(m + lane, two, x[0]);
        transform_narrow(m + lane + LANES, two, x[1]);
        for (int k = 0; k < 4; k++) {
            for (int part = 0; part < 2; part++) {
                const size_t at = lane + LANES * (size_t)part;
                const int16x8_t half = shift == 1 ? vshrq_n_s16(x[part][k], 1) : vshrq_n_s16(x[part][k], 2);
                if (bits == 32) {
                    int32_t *raw = (int32_t *)to[k] + at;
                    const int32x4_t low = more ? vld1q_s32(raw) : vdupq_n_s32(corners[k]);
                    const int32x4_t high = more ? vld1q_s32(raw + 4) : vdupq_n_s32(corners[k]);
                    vst1q_s32(raw, vaddw_s16(low, vget_low_s16(half)));
                    vst1q_s32(raw + 4, vaddw_high_s16(high, half));
                } else {
                    int16_t *raw = (int16_t *)to[k] + at;
                    vst1q_s16(raw, more         ? vaddq_s16(vld1q_s16(raw), half)
                                   : shift == 2 ? half
                                                : vhaddq_s16(x[part][k], vdupq_n_s16((int16_t)twice[k])));
                }
            }
        }
    }
}

INLINE void finish_wide(const int32_t *m, size_t lanes, const int32_t corners[4], void *const to[4], const int bits,
                        const int shift)
{
    const int32x4_t two = vmovl_s16(vget_low_s16(find_two()));
    const int32_t twice[4] = {2 * corners[0], 2 * corners[1], 2 * corners[2], 2 * corners[3]};
    for (size_t lane = 0; lane < lanes; lane += LANES) {
        int32x4_t x[2][4];
        transform_wide(m + lane, two, x[0]);
        transform_wide(m + lane + LANES / 2, two, x[1]);
        for (int k = 0; k < 4; k++) {
            const int32x4_t corner = vdupq_n_s32(twice[k]);
            const int32x4_t low = shift == 1 ? vhaddq_s32(x[0][k], corner) : vshrq_n_s32(x[0][k], 2);
            const int32x4_t high = shift == 1 ? vhaddq_s32(x[1][k], corner) : vshrq_n_s32(x[1][k], 2);
            if (bits == 16) { /* raw fits, so its lower half is all of it */
                vst1q_s16((int16_t *)to[k] + lane, vuzp1q_s16(vreinterpretq_s16_s32(low), vreinterpretq_s16_s32(high)));
            } else {
                vst1q_s32((int32_t *)to[k] + lane, low);
                vst1q_s32((int32_t *)to[k] + lane + 4, high);
            }
        }
    }
}

/* All tiles. */
INLINE void finish(const void *m, const winograd_tile *tiles, size_t count, int32_t (*corners)[4],
                   const winograd_raw *where, const int wide, const int more, const int bits, const int shift)
{
    const winograd_raw raw = *where;
    const size_t pixel = raw.lanes * (size_t)bits / 8;
    const size_t row = raw.width * pixel;
    for (size_t t = 0; t < count; t++) {
        const size_t y = 2 * tiles[t].y;
        const size_t x = 2 * tiles[t].x;
        uint8_t *at = (uint8_t *)raw.raw + y * row + x * pixel;
        void *const right = x + 1 == raw.width ? raw.nowhere : at + pixel;
        void *const below = y + 1 == raw.rows ? raw.nowhere : at + row;
        void *const last = right == raw.nowhere ? raw.nowhere : below == raw.nowhere ? raw.nowhere : at + row + pixel;
        void *const to[4] = {at, right, below, last};
        if (wide) {
            finish_wide((const int32_t *)m + t * WINOGRAD_TILE, raw.lanes, corners[t], to, bits, shift);
        } else {
            finish_narrow((const int16_t *)m + t * WINOGRAD_TILE, raw.lanes, corners[t], to, more, bits, shift);
        }
    }
}

#define DEFINE_FINISH(name, wide, more, bits, shift)                                                 \
    static void name(const void *m, const winograd_tile *tiles, size_t count, int32_t (*corners)[4], \
                     const winograd_raw *to)                                                         \
    {                                                                                                \
        finish(m, tiles, count, corners, to, wide, more, bits, shift);                               \
    }

DEFINE_FINISH(first_16_1, 0, 0, 16, 1)
DEFINE_FINISH(first_16_2, 0, 0, 16, 2)
DEFINE_FINISH(first_32_1, 0, 0, 32, 1)
DEFINE_FINISH(first_32_2, 0, 0, 32, 2)
DEFINE_FINISH(more_16_1, 0, 1, 16, 1)
DEFINE_FINISH(more_16_2, 0, 1, 16, 2)
DEFINE_FINISH(more_32_1, 0, 1, 32, 1)
DEFINE_FINISH(more_32_2, 0, 1, 32, 2)
DEFINE_FINISH(wide_16_1, 1, 0, 16, 1)
DEFINE_FINISH(wide_16_2, 1, 0, 16, 2)
DEFINE_FINISH(wide_32_1, 1, 0, 32, 1)
DEFINE_FINISH(wide_32_2, 1, 0, 32, 2)

void mgk_winograd_output(const winograd *plan, const void *m, const winograd_tile *tiles, size_t count,
                         int32_t (*corners)[4], const winograd_raw *to)
{
    typedef void (*function)(const void *, const winograd_tile *, size_t, int32_t (*)[4], const winograd_raw *);
    /* [first chunk, more, wide][raw bits][halved] */
    static const function table[3][2][2] = {
        {{first_16_2, first_16_1}, {first_32_2, first_32_1}},
        {{more_16_2, more_16_1}, {more_32_2, more_32_1}},
        {{wide_16_2, wide_16_1}, {wide_32_2, wide_32_1}},
    };
    table[plan->wide ? 2 : to->chunk > 0][plan->raw_bits == 32][plan->halved](m, tiles, count, corners, to);
}
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
