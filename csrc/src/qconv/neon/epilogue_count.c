/* Raw sums to codes: how many thresholds of its channel each one reaches.
 *
 * x >= t is the sign of t - 1 - x: SUBHN keeps the upper bytes of 16 differences, and USRA by 7 adds their signs to the
 * count. Three instructions a threshold for 16 sums, if no difference
 * passes 16 bits. Where one may, comparisons: four instructions. But where the
 * thresholds of each channel are near to each other, sums of 16 or of 32 bits are narrowed first: with the middle one m,
 *     x - m is saturated into [-2^14, 2^14], |t - m| < 2^14: the comparison is the same, and t - m - 1 differs
 *     from it by 2^15 at most, downwards. */
#include "neon.h"

#if MGK_HAS_NEON
#include "qconv/neon/epilogue.h"

#define MGK_INLINE static inline __attribute__((always_inline))

enum { LANES = 8, MOST_LEVELS = 255, NEAR = 1 << 14, GROUP = 4 };

/* Thresholds of 16 channels minus 1, [k][16]; those of raw sums are above -2^15 */
typedef int16_t thresholds_16[MGK_CHANNEL_BLOCK];

/* ---------------------------------------------------------------- 16 bits */

/* The upper bytes of a - b, 16 of them; clang makes three instructions of the two intrinsics. */
MGK_INLINE uint8x16_t upper_bytes(int16x8_t a_low, int16x8_t b_low, int16x8_t a_high, int16x8_t b_high)
{
#if defined(__clang__) && defined(__aarch64__)
    uint8x16_t upper;
    __asm__("subhn %0.8b, %1.8h, %2.8h\n\tsubhn2 %0.16b, %3.8h, %4.8h"
            : "=&w"(upper)
            : "w"(a_low), "w"(b_low), "w"(a_high), "w"(b_high));
    return upper;
#else
    return vreinterpretq_u8_s8(vsubhn_high_s16(vsubhn_s16(a_low, b_low), a_high, b_high));
#endif
}

/* One threshold; first: of all. */
MGK_INLINE void count_level(const thresholds_16 t, const int first, int16x8_t x[GROUP][2], uint8x16_t code[GROUP])
{
    const int16x8_t low = vld1q_s16(t);
    const int16x8_t high = vld1q_s16(t + LANES);
    for (int p = 0; p < GROUP; p++) {
        const uint8x16_t less = upper_bytes(low, x[p][0], high, x[p][1]);
        code[p] = first ? vshrq_n_u8(less, 7) : vsraq_n_u8(code[p], less, 7);
    }
}

/* Codes of GROUP pixels; x[p] are the sums of channels 0 to 7 and 8 to 15. Levels are 2^bits - 1. */
MGK_INLINE void count_close(const size_t levels, const thresholds_16 *t, int16x8_t x[GROUP][2], uint8x16_t code[GROUP])
{
    count_level(t[0], 1, x, code);
    size_t k = 1;
    for (size_t left = levels - 1; left >= 6; left -= 6) {
        count_level(t[k], 0, x, code);
        count_level(t[k + 1], 0, x, code);
        count_level(t[k + 2], 0, x, code);
        count_level(t[k + 3], 0, x, code);
        count_level(t[k + 4], 0, x, code);
        count_level(t[k + 5], 0, x, code);
        k += 6;
    }
    for (; k < levels; k++) {
        count_level(t[k], 0, x, code);
    }
}

MGK_INLINE void count_any(const size_t levels, const thresholds_16 *t, int16x8_t x[GROUP][2], uint8x16_t code[GROUP])
{
    for (int p = 0; p < GROUP; p++) {
        uint16x8_t low = vdupq_n_u16(0);
        uint16x8_t high = vdupq_n_u16(0);
        for (size_t k = 0; k < levels; k++) { /* a comparison that holds is all ones, which is -1 */
            low = vsubq_u16(low, vcgtq_s16(x[p][0], vld1q_s16(t[k])));
            high = vsubq_u16(high, vcgtq_s16(x[p][1], vld1q_s16(t[k] + LANES)));
        }
        code[p] = vmovn_high_u16(vmovn_u16(low), high);
    }
}

/* What 16 channels need besides thresholds: x is replaced by x ^ flip, minus middle. */
typedef struct shift_16 {
    int16x8_t flip[2], middle[2];
} shift_16;

enum { CLOSE, NEARBY, ANY }; /* the ways to compare */

MGK_INLINE int16x8_t shift_sum(const int way, const int flips, const shift_16 *s, int half, int16x8_t x)
{
    if (flips) {
        x = veorq_s16(x, s->flip[half]);
    }
    if (way == NEARBY) {
        x = vminq_s16(vqsubq_s16(x, s->middle[half]), vdupq_n_s16(NEAR));
        x = vmaxq_s16(x, vdupq_n_s16(-NEAR));
    }
    return x;
}

/* Codes of GROUP pixels, whose sums begin at row[p]. */
MGK_INLINE void count_group(const int way, const int flips, const size_t levels, const thresholds_16 *t,
                            const shift_16 *s, const int16_t *const row[GROUP], uint8x16_t code[GROUP])
{
    int16x8_t x[GROUP][2];
    for (int p = 0; p < GROUP; p++) {
        x[p][0] = shift_sum(way, flips, s, 0, vld1q_s16(row[p]));
        x[p][1] = shift_sum(way, flips, s, 1, vld1q_s16(row[p] + LANES));
    }
    if (way == ANY) {
        count_any(levels, t, x, code);
    } else {
        count_close(levels, t, x, code);
    }
}

MGK_INLINE void count_pixels(const mgk_qconv_run *run, const mgk_epilogue_block *b, const int way, const int flips,
                             const size_t levels, const thresholds_16 *t, const shift_16 *s)
{
    uint8_t *out = (uint8_t *)run->out + b->out;
    const int16_t *raw = b->raw;
    size_t p = 0;
    if (b->channels >= MGK_CHANNEL_BLOCK) {
        for (; b->pixels - p >= GROUP; p += GROUP) {
            const int16_t *const row[GROUP] = {raw, raw + b->pitch, raw + 2 * b->pitch, raw + 3 * b->pitch};
            uint8x16_t code[GROUP];
            count_group(way, flips, levels, t, s, row, code);
            for (size_t i = 0; i < GROUP; i++) {
                vst1q_u8(out + i * b->out_pitch, code[i]);
            }
            raw += GROUP * b->pitch;
            out += GROUP * b->out_pitch;
        }
    }
    for (; p < b->pixels; p++) { /* one pixel, four times */
        const int16_t *const row[GROUP] = {raw, raw, raw, raw};
        uint8x16_t code[GROUP];
        count_group(way, flips, levels, t, s, row, code);
        mgk_store_codes(out, b->channels, code[0]);
        raw += b->pitch;
        out += b->out_pitch;
    }
}

/* The thresholds of 16 channels, minus the middle ones if that brings all of them near. */
static int load_thresholds(const int16_t *table, size_t levels, shift_16 *s, int16_t t[MOST_LEVELS][MGK_CHANNEL_BLOCK])
{
    uint16x8_t far = vdupq_n_u16(0);
    for (size_t half = 0; half < 2; half++) {
        const int16_t *channel = table + half * levels * LANES;
        s->middle[half] = vld1q_s16(channel + levels / 2 * LANES);
        for (size_t k = 0; k < levels; k++) {
            const int16x8_t difference = vqsubq_s16(vld1q_s16(channel + k * LANES), s->middle[half]);
            far = vorrq_u16(far, vcgeq_s16(vqabsq_s16(difference), vdupq_n_s16(NEAR)));
            vst1q_s16(t[k] + half * LANES, vsubq_s16(difference, vdupq_n_s16(1)));
        }
    }
    return vmaxvq_u16(far) == 0;
}

static void copy_thresholds(const int16_t *table, size_t levels, int16_t t[MOST_LEVELS][MGK_CHANNEL_BLOCK])
{
    for (size_t k = 0; k < levels; k++) {
        vst1q_s16(t[k], vsubq_s16(vld1q_s16(table + k * LANES), vdupq_n_s16(1)));
        vst1q_s16(t[k] + LANES, vsubq_s16(vld1q_s16(table + (levels + k) * LANES), vdupq_n_s16(1)));
    }
}

void mgk_count_neon_i16(const mgk_qconv_run *run, const mgk_epilogue_block *b)
{
    const mgk_prepared_epilogue *e = run->epilogue;
    const size_t levels = e->levels;
    const int16_t *table = (const int16_t *)e->thresholds + b->c * levels;
    const int16_t *flip = (const int16_t *)e->flip + b->c;
    shift_16 s = {.flip = {vld1q_s16(flip), vld1q_s16(flip + LANES)}};
    const int flips = vmaxvq_u16(vreinterpretq_u16_s16(vorrq_s16(s.flip[0], s.flip[1]))) != 0;
    int16_t t[MOST_LEVELS][MGK_CHANNEL_BLOCK];
    const thresholds_16 *all = (const thresholds_16 *)t;
    if (e->close) {
        copy_thresholds(table, levels, t);
        if (levels == 1 && !flips) {
            count_pixels(run, b, CLOSE, 0, 1, all, &s);
        } else if (levels == 3 && !flips) {
            count_pixels(run, b, CLOSE, 0, 3, all, &s);
        } else if (!flips) {
            count_pixels(run, b, CLOSE, 0, levels, all, &s);
        } else {
            count_pixels(run, b, CLOSE, 1, levels, all, &s);
        }
    } else if (load_thresholds(table, levels, &s, t)) {
        count_pixels(run, b, NEARBY, 1, levels, all, &s);
    } else {
        copy_thresholds(table, levels, t);
        count_pixels(run, b, ANY, 1, levels, all, &s);
    }
}

/* ---------------------------------------------------------------- 32 bits */

enum { QUADS = MGK_CHANNEL_BLOCK / 4 };

/* Thresholds minus the middle one, if all of them are near it. */
static int narrow_thresholds(const int32_t *table, size_t levels, int32x4_t middle[QUADS],
                             int16_t t[MOST_LEVELS][MGK_CHANNEL_BLOCK])
{
    uint32x4_t far = vdupq_n_u32(0);
    for (size_t quad = 0; quad < QUADS; quad++) {
        const int32_t *channel = table + quad * levels * 4;
        middle[quad] = vld1q_s32(channel + levels / 2 * 4);
        for (size_t k = 0; k < levels; k++) {
            const int32x4_t difference = vqsubq_s32(vld1q_s32(channel + k * 4), middle[quad]);
            far = vorrq_u32(far, vcgeq_s32(vqabsq_s32(difference), vdupq_n_s32(NEAR)));
            vst1_s16(t[k] + quad * 4, vmovn_s32(vsubq_s32(difference, vdupq_n_s32(1))));
        }
    }
    return vmaxvq_u32(far) == 0;
}

static void count_near(const mgk_qconv_run *run, const mgk_epilogue_block *b, const int32x4_t middle[QUADS],
                       const thresholds_16 *t)
{
    const mgk_prepared_epilogue *e = run->epilogue;
    const int32_t *flips = (const int32_t *)e->flip + b->c;
    uint8_t *out = (uint8_t *)run->out + b->out;
    const int32_t *raw = b->raw;
    const int16x8_t most = vdupq_n_s16(NEAR);
    const int16x8_t least = vdupq_n_s16(-NEAR);
    int32x4_t flip[QUADS];
    for (int quad = 0; quad < QUADS; quad++) {
        flip[quad] = vld1q_s32(flips + 4 * quad);
    }
    for (size_t p = 0; p < b->pixels; p += GROUP) {
        const size_t left = b->pixels - p;
        int16x8_t x[GROUP][2];
        uint8x16_t code[GROUP];
        for (size_t i = 0; i < GROUP; i++) {
            const int32_t *row = raw + (i < left ? i : left - 1) * b->pitch;
            int16x4_t narrow[QUADS];
            for (int quad = 0; quad < QUADS; quad++) {
                narrow[quad] = vqmovn_s32(vqsubq_s32(veorq_s32(vld1q_s32(row + 4 * quad), flip[quad]), middle[quad]));
            }
            x[i][0] = vmaxq_s16(vminq_s16(vcombine_s16(narrow[0], narrow[1]), most), least);
            x[i][1] = vmaxq_s16(vminq_s16(vcombine_s16(narrow[2], narrow[3]), most), least);
        }
        count_close(e->levels, t, x, code);
        for (size_t i = 0; i < GROUP && i < left; i++) {
            mgk_store_codes(out + i * b->out_pitch, b->channels, code[i]);
        }
        raw += GROUP * b->pitch;
        out += GROUP * b->out_pitch;
    }
}

static void count_far(const mgk_qconv_run *run, const mgk_epilogue_block *b)
{
    const mgk_prepared_epilogue *e = run->epilogue;
    const int32_t *flips = (const int32_t *)e->flip + b->c;
    const int32_t *table = (const int32_t *)e->thresholds + b->c * e->levels;
    uint8_t *out = (uint8_t *)run->out + b->out;
    const int32_t *raw = b->raw;
    for (size_t p = 0; p < b->pixels; p++) {
        uint16x4_t count[QUADS];
        for (size_t quad = 0; quad < QUADS; quad++) {
            const int32x4_t x = veorq_s32(vld1q_s32(raw + quad * 4), vld1q_s32(flips + quad * 4));
            uint32x4_t sum = vdupq_n_u32(0);
            for (size_t k = 0; k < e->levels; k++) {
                sum = vsubq_u32(sum, vcgeq_s32(x, vld1q_s32(table + (quad * e->levels + k) * 4)));
            }
            count[quad] = vmovn_u32(sum);
        }
        const uint8x8_t low = vmovn_u16(vcombine_u16(count[0], count[1]));
        mgk_store_codes(out, b->channels, vmovn_high_u16(low, vcombine_u16(count[2], count[3])));
        raw += b->pitch;
        out += b->out_pitch;
    }
}

void mgk_count_neon_i32(const mgk_qconv_run *run, const mgk_epilogue_block *b)
{
    const mgk_prepared_epilogue *e = run->epilogue;
    int16_t t[MOST_LEVELS][MGK_CHANNEL_BLOCK];
    int32x4_t middle[QUADS];
    if (narrow_thresholds((const int32_t *)e->thresholds + b->c * e->levels, e->levels, middle, t)) {
        count_near(run, b, middle, (const thresholds_16 *)t);
    } else {
        count_far(run, b);
    }
}
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
