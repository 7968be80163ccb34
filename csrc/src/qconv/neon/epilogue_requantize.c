/* Raw sums to integers by a multiplier: clamp(zero + round((raw + addend) * multiplier / 2^shift), low, high).
 *
 * SRSHL shifts right and rounds halves up. A half away from zero: one less is rounded where the product is negative,
 * which matters for halves only. To even: where a half was rounded up to an odd number, one less. */
#if defined(__aarch64__)
#include "qconv/neon/epilogue.h"

enum { QUADS = MGK_CHANNEL_BLOCK / 4 };

/* What 4 channels share. */
typedef struct channels_4 {
    int32x4_t addend, multiplier;
    int64x2_t right[2];   /* minus the shift */
    int64x2_t rounded[2]; /* all ones where the shift is not 0 */
    int64x2_t half[2];    /* 2^(shift - 1), or -1, which no remainder is */
} channels_4;

static int64x2_t round_product(const mgk_qconv *layer, const channels_4 *c, int pair, int64x2_t product)
{
    if (layer->rounding == MGK_HALF_AWAY) {
        product = vaddq_s64(product, vandq_s64(vshrq_n_s64(product, 63), c->rounded[pair]));
    }
    int64x2_t result = vrshlq_s64(product, c->right[pair]);
    if (layer->rounding == MGK_HALF_EVEN) {
        const int64x2_t remainder = vsubq_s64(vshlq_s64(result, vnegq_s64(c->right[pair])), product);
        const int64x2_t tie = vreinterpretq_s64_u64(vceqq_s64(remainder, c->half[pair]));
        result = vsubq_s64(result, vandq_s64(vandq_s64(tie, result), vdupq_n_s64(1)));
    }
    return result;
}

static int32x4_t requantize(const mgk_qconv *layer, const channels_4 *c, int32x4_t raw)
{
    const int32x4_t x = vaddq_s32(raw, c->addend);
    const int64x2_t low = round_product(layer, c, 0, vmull_s32(vget_low_s32(x), vget_low_s32(c->multiplier)));
    const int64x2_t high = round_product(layer, c, 1, vmull_high_s32(x, c->multiplier));
    /* Saturation keeps what is beyond [low, high] there: both are of 16 bits at most. */
    const int32x4_t y = vqaddq_s32(vqmovn_high_s64(vqmovn_s64(low), high), vdupq_n_s32(layer->out_zero));
    return vmaxq_s32(vminq_s32(y, vdupq_n_s32(layer->out_high)), vdupq_n_s32(layer->out_low));
}

static void load_channels(const mgk_qconv_run *run, size_t first, channels_4 *c)
{
    const mgk_prepared_epilogue *e = run->epilogue;
    c->addend = vld1q_s32(e->addend + first);
    c->multiplier = vld1q_s32(e->multiplier + first);
    for (size_t pair = 0; pair < 2; pair++) {
        int64_t right[2], rounded[2], half[2];
        for (size_t i = 0; i < 2; i++) {
            const unsigned shift = e->shift[first + 2 * pair + i];
            right[i] = -(int64_t)shift;
            rounded[i] = shift > 0 ? -1 : 0;
            half[i] = shift > 0 ? (int64_t)1 << (shift - 1) : -1;
        }
        c->right[pair] = vld1q_s64(right);
        c->rounded[pair] = vld1q_s64(rounded);
        c->half[pair] = vld1q_s64(half);
    }
}

/* 16 results of a pixel, or the first of them. */
static void store(const mgk_qconv_run *run, const mgk_epilogue_block *b, size_t pixel, const int32x4_t y[QUADS])
{
    const size_t at = b->out + pixel * b->out_pitch;
    const int16x8_t low = vmovn_high_s32(vmovn_s32(y[0]), y[1]);
    const int16x8_t high = vmovn_high_s32(vmovn_s32(y[2]), y[3]);
    if (run->layer->output == MGK_REQUANTIZE_U8) {
        mgk_store_codes((uint8_t *)run->out + at, b->channels,
                        vreinterpretq_u8_s8(vmovn_high_s16(vmovn_s16(low), high)));
        return;
    }
    int16_t *out = (int16_t *)run->out + at;
    if (b->channels >= MGK_CHANNEL_BLOCK) {
        vst1q_s16(out, low);
        vst1q_s16(out + 8, high);
    } else {
        int16_t all[MGK_CHANNEL_BLOCK];
        vst1q_s16(all, low);
        vst1q_s16(all + 8, high);
        memcpy(out, all, b->channels * sizeof *out);
    }
}

void mgk_requantize_neon_i16(const mgk_qconv_run *run, const mgk_epilogue_block *b)
{
    channels_4 c[QUADS];
    const int16_t *raw = b->raw;
    for (size_t quad = 0; quad < QUADS; quad++) {
        load_channels(run, b->c + 4 * quad, &c[quad]);
    }
    for (size_t p = 0; p < b->pixels; p++) {
        int32x4_t y[QUADS];
        for (size_t quad = 0; quad < QUADS; quad++) {
            y[quad] = requantize(run->layer, &c[quad], vmovl_s16(vld1_s16(raw + 4 * quad)));
        }
        store(run, b, p, y);
        raw += b->pitch;
    }
}

void mgk_requantize_neon_i32(const mgk_qconv_run *run, const mgk_epilogue_block *b)
{
    channels_4 c[QUADS];
    const int32_t *raw = b->raw;
    for (size_t quad = 0; quad < QUADS; quad++) {
        load_channels(run, b->c + 4 * quad, &c[quad]);
    }
    for (size_t p = 0; p < b->pixels; p++) {
        int32x4_t y[QUADS];
        for (size_t quad = 0; quad < QUADS; quad++) {
            y[quad] = requantize(run->layer, &c[quad], vld1q_s32(raw + 4 * quad));
        }
        store(run, b, p, y);
        raw += b->pitch;
    }
}
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
