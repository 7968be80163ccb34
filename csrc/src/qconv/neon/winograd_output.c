/* A^T (sum of U V) A, and from X to raw sums: X / 2 + S, or X / 4 (winograd.h). */
#include "qconv/neon/winograd_transform.h"

#if defined(__aarch64__)
#include <arm_neon.h>

enum { LANES = 8 };

/* 2 in all lanes, which the compiler must not know: it would make two additions of a multiply-add. */
static inline int16x8_t find_two(void)
{
    int16x8_t two = vdupq_n_s16(2);
    __asm__("" : "+w"(two));
    return two;
}

/* The four X, row by row, modulo 2^16. */
static inline void transform_narrow(const int16_t *m, int16x8_t two, int16x8_t x[4])
{
    int16x8_t top[4];
    int16x8_t bottom[4];
    for (int j = 0; j < 4; j++) {
        const int16x8_t middle = vld1q_s16(m + (4 + j) * WINOGRAD_STRIDE);
        const int16x8_t lower = vld1q_s16(m + (8 + j) * WINOGRAD_STRIDE);
        top[j] = vmlaq_s16(vaddq_s16(middle, lower), vld1q_s16(m + j * WINOGRAD_STRIDE), two);
        bottom[j] = vmlsq_s16(vsubq_s16(middle, lower), vld1q_s16(m + (12 + j) * WINOGRAD_STRIDE), two);
    }
    x[0] = vmlaq_s16(vaddq_s16(top[1], top[2]), top[0], two);
    x[1] = vmlsq_s16(vsubq_s16(top[1], top[2]), top[3], two);
    x[2] = vmlaq_s16(vaddq_s16(bottom[1], bottom[2]), bottom[0], two);
    x[3] = vmlsq_s16(vsubq_s16(bottom[1], bottom[2]), bottom[3], two);
}

static inline void transform_wide(const int32_t *m, int32x4_t x[4])
{
    int32x4_t top[4];
    int32x4_t bottom[4];
    for (int j = 0; j < 4; j++) {
        const int32x4_t middle = vld1q_s32(m + (4 + j) * WINOGRAD_STRIDE);
        const int32x4_t lower = vld1q_s32(m + (8 + j) * WINOGRAD_STRIDE);
        top[j] = vaddq_s32(vaddq_s32(middle, lower), vshlq_n_s32(vld1q_s32(m + j * WINOGRAD_STRIDE), 1));
        bottom[j] = vsubq_s32(vsubq_s32(middle, lower), vshlq_n_s32(vld1q_s32(m + (12 + j) * WINOGRAD_STRIDE), 1));
    }
    x[0] = vaddq_s32(vaddq_s32(top[1], top[2]), vshlq_n_s32(top[0], 1));
    x[1] = vsubq_s32(vsubq_s32(top[1], top[2]), vshlq_n_s32(top[3], 1));
    x[2] = vaddq_s32(vaddq_s32(bottom[1], bottom[2]), vshlq_n_s32(bottom[0], 1));
    x[3] = vsubq_s32(vsubq_s32(bottom[1], bottom[2]), vshlq_n_s32(bottom[3], 1));
}

/* A tile's outputs that are in the image; to[k] is NULL for the others. */
typedef struct outputs {
    void *to[4];
} outputs;

/* All constants of the caller: the type of raw, and the shift of X. */
static inline __attribute__((always_inline)) void finish_narrow(const int16_t *m, size_t lanes, const int32_t corners[4],
                                                                const outputs *out, const int more, const int bits,
                                                                const int shift)
{
    const int16x8_t two = find_two();
    for (size_t lane = 0; lane < lanes; lane += LANES) {
        int16x8_t x[4];
        transform_narrow(m + lane, two, x);
        for (int k = 0; k < 4; k++) {
            if (out->to[k] == NULL) {
                continue;
            }
            if (bits == 16) {
                int16_t *to = (int16_t *)out->to[k] + lane;
                const int16x8_t sum = more ? vld1q_s16(to) : vdupq_n_s16((int16_t)corners[k]);
                vst1q_s16(to, shift == 1 ? vsraq_n_s16(sum, x[k], 1) : vsraq_n_s16(sum, x[k], 2));
            } else {
                int32_t *to = (int32_t *)out->to[k] + lane;
                const int32x4_t low = more ? vld1q_s32(to) : vdupq_n_s32(corners[k]);
                const int32x4_t high = more ? vld1q_s32(to + 4) : vdupq_n_s32(corners[k]);
                const int16x8_t half = shift == 1 ? vshrq_n_s16(x[k], 1) : vshrq_n_s16(x[k], 2);
                vst1q_s32(to, vaddw_s16(low, vget_low_s16(half)));
                vst1q_s32(to + 4, vaddw_high_s16(high, half));
            }
        }
    }
}

static inline __attribute__((always_inline)) void finish_wide(const int32_t *m, size_t lanes, const int32_t corners[4],
                                                              const outputs *out, const int bits, const int shift)
{
    for (size_t lane = 0; lane < lanes; lane += LANES / 2) {
        int32x4_t x[4];
        transform_wide(m + lane, x);
        for (int k = 0; k < 4; k++) {
            if (out->to[k] == NULL) {
                continue;
            }
            const int32x4_t corner = vdupq_n_s32(corners[k]);
            const int32x4_t sum = shift == 1 ? vsraq_n_s32(corner, x[k], 1) : vsraq_n_s32(corner, x[k], 2);
            if (bits == 16) {
                vst1_s16((int16_t *)out->to[k] + lane, vmovn_s32(sum));
            } else {
                vst1q_s32((int32_t *)out->to[k] + lane, sum);
            }
        }
    }
}

typedef void (*finish)(const void *m, size_t lanes, const int32_t corners[4], const outputs *out);

#define DEFINE_NARROW(name, more, bits, shift)                                                                         \
    static void name(const void *m, size_t lanes, const int32_t corners[4], const outputs *out)                        \
    {                                                                                                                  \
        finish_narrow(m, lanes, corners, out, more, bits, shift);                                                      \
    }
#define DEFINE_WIDE(name, bits, shift)                                                                                 \
    static void name(const void *m, size_t lanes, const int32_t corners[4], const outputs *out)                        \
    {                                                                                                                  \
        finish_wide(m, lanes, corners, out, bits, shift);                                                              \
    }

DEFINE_NARROW(first_16_1, 0, 16, 1)
DEFINE_NARROW(first_16_2, 0, 16, 2)
DEFINE_NARROW(first_32_1, 0, 32, 1)
DEFINE_NARROW(first_32_2, 0, 32, 2)
DEFINE_NARROW(more_16_1, 1, 16, 1)
DEFINE_NARROW(more_16_2, 1, 16, 2)
DEFINE_NARROW(more_32_1, 1, 32, 1)
DEFINE_NARROW(more_32_2, 1, 32, 2)
DEFINE_WIDE(wide_16_1, 16, 1)
DEFINE_WIDE(wide_16_2, 16, 2)
DEFINE_WIDE(wide_32_1, 32, 1)
DEFINE_WIDE(wide_32_2, 32, 2)

void mgk_winograd_output(const mgk_qconv_run *run, const winograd *plan, const void *m, const winograd_tile *tiles,
                         size_t count, int32_t (*corners)[4], const winograd_raw *to)
{
    /* [first chunk, more, wide][raw bits][halved] */
    static const finish table[3][2][2] = {
        {{first_16_2, first_16_1}, {first_32_2, first_32_1}},
        {{more_16_2, more_16_1}, {more_32_2, more_32_1}},
        {{wide_16_2, wide_16_1}, {wide_32_2, wide_32_1}},
    };
    const mgk_geometry *g = &run->layer->geometry;
    const size_t raw_bytes = (size_t)plan->raw_bits / 8;
    const size_t sum_bytes = plan->wide ? sizeof(int32_t) : sizeof(int16_t);
    const finish step = table[plan->wide ? 2 : to->chunk > 0][plan->raw_bits == 32][plan->halved];
    for (size_t t = 0; t < count; t++) {
        outputs out;
        for (size_t k = 0; k < 4; k++) {
            const size_t y = 2 * tiles[t].y + k / 2;
            const size_t x = 2 * tiles[t].x + k % 2;
            const size_t pixel = (y - to->first_row) * g->out_width + x;
            out.to[k] = y < g->out_height && x < g->out_width
                            ? (uint8_t *)to->raw + pixel * to->lanes * raw_bytes
                            : NULL;
        }
        step((const uint8_t *)m + t * to->lanes * sum_bytes, to->lanes, corners[t], &out);
    }
}
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
