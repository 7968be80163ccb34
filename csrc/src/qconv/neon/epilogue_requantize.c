/* Raw sums to integers by a multiplier: clamp(zero + round((raw + addend) * multiplier / 2^shift), low, high).
 *
 * SRSHL shifts right and rounds halves up. A half away from zero: one less is rounded where the product is negative,
 * which matters for halves only. To even: where a half was rounded up to an odd number, one less.
 *
 * Halves up with shifts of 32 and more need the upper half of the product only: SQDMULH is floor(product / 2^31), and
 *     floor((floor(product / 2^31) + 2^(shift - 32)) / 2^(shift - 31)) = floor((product + 2^(shift - 1)) / 2^shift),
 * as a floor within a floor of a division by an integer may be left out. It saturates for two operands of -2^31 only. */
#include "neon.h"

#if MGK_HAS_NEON
#include "qconv/neon/epilogue.h"

#define MGK_INLINE static inline __attribute__((always_inline))

enum { QUADS = MGK_CHANNEL_BLOCK / 4, UPPER = -1 /* beside the roundings: halves up, by the upper half */ };

/* What 4 channels share. */
typedef struct channels_4 {
    int32x4_t addend, multiplier;
    int32x4_t right_upper; /* minus the shift of the upper half */
    int64x2_t right[2];    /* minus the shift */
    int64x2_t rounded[2];  /* all ones where the shift is not 0 */
    int64x2_t half[2];     /* 2^(shift - 1), or -1, which no remainder is */
} channels_4;

MGK_INLINE int64x2_t round_product(const int rounding, const channels_4 *c, int pair, int64x2_t product)
{
    if (rounding == MGK_HALF_AWAY) {
        product = vaddq_s64(product, vandq_s64(vshrq_n_s64(product, 63), c->rounded[pair]));
    }
    int64x2_t result = vrshlq_s64(product, c->right[pair]);
    if (rounding == MGK_HALF_EVEN) {
        const int64x2_t remainder = vsubq_s64(vshlq_s64(result, vnegq_s64(c->right[pair])), product);
        const int64x2_t tie = vreinterpretq_s64_u64(vceqq_s64(remainder, c->half[pair]));
        result = vsubq_s64(result, vandq_s64(vandq_s64(tie, result), vdupq_n_s64(1)));
    }
    return result;
}

/* The rounded quotients, saturated to 32 bits. */
MGK_INLINE int32x4_t scale(const int rounding, const channels_4 *c, int32x4_t raw)
{
    const int32x4_t x = vaddq_s32(raw, c->addend);
    if (rounding == UPPER) {
        return vrshlq_s32(vqdmulhq_s32(x, c->multiplier), c->right_upper);
    }
    const int64x2_t low = round_product(rounding, c, 0, vmull_s32(vget_low_s32(x), vget_low_s32(c->multiplier)));
    const int64x2_t high = round_product(rounding, c, 1, vmull_high_s32(x, c->multiplier));
    return vqmovn_high_s64(vqmovn_s64(low), high);
}

/* All ones in bad where the upper half is not enough. */
static void load_channels(const mgk_qconv_run *run, size_t first, channels_4 *c, int32x4_t *bad)
{
    const mgk_prepared_epilogue *e = run->epilogue;
    const int64x2_t one = vdupq_n_s64(1);
    int32_t shifts[4];
    for (size_t i = 0; i < 4; i++) {
        shifts[i] = e->shift[first + i];
    }
    const int32x4_t shift = vld1q_s32(shifts);
    c->addend = vld1q_s32(e->addend + first);
    c->multiplier = vld1q_s32(e->multiplier + first);
    c->right_upper = vsubq_s32(vdupq_n_s32(31), shift);
    *bad = vorrq_s32(*bad, vshrq_n_s32(vsubq_s32(shift, vdupq_n_s32(32)), 31));
    *bad = vorrq_s32(*bad, vreinterpretq_s32_u32(vceqq_s32(c->multiplier, vdupq_n_s32(INT32_MIN))));
    const int64x2_t wide[2] = {vmovl_s32(vget_low_s32(shift)), vmovl_s32(vget_high_s32(shift))};
    for (int pair = 0; pair < 2; pair++) {
        c->right[pair] = vsubq_s64(vdupq_n_s64(0), wide[pair]);
        c->rounded[pair] = vshrq_n_s64(c->right[pair], 63);
        c->half[pair] = vornq_s64(vshlq_s64(one, vsubq_s64(wide[pair], one)), c->rounded[pair]);
    }
}

/* ---------------------------------------------------------------- the end of a pixel */

/* What becomes of quotients. */
typedef struct output {
    int bytes; /* uint8, or int16 */
    int32_t zero, low, high;
} output;

/* Saturation keeps what is beyond [low, high] there: both are of 16 bits at most. */
MGK_INLINE int32x4_t clamp(const output *o, int32x4_t y)
{
    y = vqaddq_s32(y, vdupq_n_s32(o->zero));
    return vmaxq_s32(vminq_s32(y, vdupq_n_s32(o->high)), vdupq_n_s32(o->low));
}

/* 16 results of a pixel, or the first `channels` of them, to element `at`. */
MGK_INLINE void store(const output *o, void *out, size_t at, size_t channels, const int32x4_t y[QUADS])
{
    const int16x8_t low = vmovn_high_s32(vmovn_s32(clamp(o, y[0])), clamp(o, y[1]));
    const int16x8_t high = vmovn_high_s32(vmovn_s32(clamp(o, y[2])), clamp(o, y[3]));
    if (o->bytes) {
        mgk_store_codes((uint8_t *)out + at, channels, vreinterpretq_u8_s8(vmovn_high_s16(vmovn_s16(low), high)));
        return;
    }
    int16_t *to = (int16_t *)out + at;
    if (channels >= MGK_CHANNEL_BLOCK) {
        vst1q_s16(to, low);
        vst1q_s16(to + 8, high);
    } else {
        int16_t all[MGK_CHANNEL_BLOCK];
        vst1q_s16(all, low);
        vst1q_s16(all + 8, high);
        memcpy(to, all, channels * sizeof *to);
    }
}

/* The zeros for which sums in 16 bits are enough for bytes: 32767 + zero is then at least 255, -32768 + zero at most 0. */
enum { LEAST_ZERO = 255 - INT16_MAX, MOST_ZERO = INT16_MAX };

/* The same for bytes and such a zero. */
MGK_INLINE void store_bytes(const output *o, uint8_t *out, size_t channels, const int32x4_t y[QUADS])
{
    const int16x8_t zero = vdupq_n_s16((int16_t)o->zero);
    const int16x8_t low = vqaddq_s16(vqmovn_high_s32(vqmovn_s32(y[0]), y[1]), zero);
    const int16x8_t high = vqaddq_s16(vqmovn_high_s32(vqmovn_s32(y[2]), y[3]), zero);
    const uint8x16_t codes = vminq_u8(vqmovun_high_s16(vqmovun_s16(low), high), vdupq_n_u8((uint8_t)o->high));
    mgk_store_codes(out, channels, vmaxq_u8(codes, vdupq_n_u8((uint8_t)o->low)));
}

/* ---------------------------------------------------------------- a block */

MGK_INLINE int32x4_t load(const int bits, const void *raw, size_t i)
{
    return bits == 16 ? vmovl_s16(vld1_s16((const int16_t *)raw + i)) : vld1q_s32((const int32_t *)raw + i);
}

/* Copies of all that a pixel needs, which writing to the output cannot change. */
MGK_INLINE void requantize_pixels(void *out, mgk_epilogue_block b, const int bits, const int rounding, const int narrow,
                                  const channels_4 all[QUADS], output o)
{
    const channels_4 c[QUADS] = {all[0], all[1], all[2], all[3]};
    size_t from = 0, to = b.out;
    for (size_t p = 0; p < b.pixels; p++) {
        const int32x4_t y[QUADS] = {
            scale(rounding, &c[0], load(bits, b.raw, from)), scale(rounding, &c[1], load(bits, b.raw, from + 4)),
            scale(rounding, &c[2], load(bits, b.raw, from + 8)), scale(rounding, &c[3], load(bits, b.raw, from + 12))};
        if (narrow) {
            store_bytes(&o, (uint8_t *)out + to, b.channels, y);
        } else {
            store(&o, out, to, b.channels, y);
        }
        from += b.pitch;
        to += b.out_pitch;
    }
}

MGK_INLINE void requantize(const mgk_qconv_run *run, const mgk_epilogue_block *b, const int bits)
{
    const mgk_qconv *layer = run->layer;
    const output o = {layer->output == MGK_REQUANTIZE_U8, layer->out_zero, layer->out_low, layer->out_high};
    const int narrow = o.bytes && o.zero >= LEAST_ZERO && o.zero <= MOST_ZERO;
    channels_4 c[QUADS];
    int32x4_t bad = vdupq_n_s32(layer->rounding == MGK_HALF_UP ? 0 : -1);
    for (size_t quad = 0; quad < QUADS; quad++) {
        load_channels(run, b->c + 4 * quad, &c[quad], &bad);
    }
    const int upper = vmaxvq_u16(vreinterpretq_u16_s32(bad)) == 0;
    if (upper && narrow) {
        requantize_pixels(run->out, *b, bits, UPPER, 1, c, o);
    } else if (upper) {
        requantize_pixels(run->out, *b, bits, UPPER, 0, c, o);
    } else if (layer->rounding == MGK_HALF_UP) {
        requantize_pixels(run->out, *b, bits, MGK_HALF_UP, 0, c, o);
    } else if (layer->rounding == MGK_HALF_AWAY) {
        requantize_pixels(run->out, *b, bits, MGK_HALF_AWAY, 0, c, o);
    } else {
        requantize_pixels(run->out, *b, bits, MGK_HALF_EVEN, 0, c, o);
    }
}

void mgk_requantize_neon_i16(const mgk_qconv_run *run, const mgk_epilogue_block *b)
{
    requantize(run, b, 16);
}

void mgk_requantize_neon_i32(const mgk_qconv_run *run, const mgk_epilogue_block *b)
{
    requantize(run, b, 32);
}
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
