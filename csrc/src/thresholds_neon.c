/* Thresholds for NEON: lanes are 8 channels, all their thresholds are held while the pixels pass. */
#include "neon.h"
#include "thresholds.h"

#if MGK_HAS_NEON

enum {
    LANES = 8,
    MOST_LEVELS = 15 /* 4 bits; beyond, a search by halves needs fewer steps than there are thresholds */
};

/* Thresholds of one level, one for each of four channels. */
static int32x4_t gather(const int32_t *thresholds, size_t levels)
{
    const int32_t four[4] = {thresholds[0], thresholds[levels], thresholds[2 * levels], thresholds[3 * levels]};
    return vld1q_s32(four);
}

/* direction * x. Saturating: 2^31 reaches the same thresholds as 2^31 - 1. */
static int32x4_t orient(int32x4_t x, int32x4_t direction)
{
    const int32x4_t oriented = vbslq_s32(vcltzq_s32(direction), vqnegq_s32(x), x);
    return vbicq_s32(oriented, vreinterpretq_s32_u32(vceqzq_s32(direction)));
}

static void run_block(const int32_t *accumulators, size_t pixels, size_t channels, size_t levels,
                      const int32_t *thresholds, const int8_t *direction, uint8_t *codes)
{
    int32x4_t low[MOST_LEVELS];
    int32x4_t high[MOST_LEVELS];
    for (size_t k = 0; k < levels; k++) {
        low[k] = gather(thresholds + k, levels);
        high[k] = gather(thresholds + 4 * levels + k, levels);
    }
    const int16x8_t signs = vmovl_s8(vld1_s8(direction));
    const int32x4_t low_signs = vmovl_s16(vget_low_s16(signs));
    const int32x4_t high_signs = vmovl_high_s16(signs);

    for (size_t pixel = 0; pixel < pixels; pixel++) {
        const int32x4_t x_low = orient(vld1q_s32(accumulators), low_signs);
        const int32x4_t x_high = orient(vld1q_s32(accumulators + 4), high_signs);
        uint32x4_t count_low = vdupq_n_u32(0);
        uint32x4_t count_high = vdupq_n_u32(0);
        for (size_t k = 0; k < levels; k++) { /* a comparison that holds is all ones, which is -1 */
            count_low = vsubq_u32(count_low, vcgeq_s32(x_low, low[k]));
            count_high = vsubq_u32(count_high, vcgeq_s32(x_high, high[k]));
        }
        vst1_u8(codes, vmovn_u16(vmovn_high_u32(vmovn_u32(count_low), count_high)));
        accumulators += channels;
        codes += channels;
    }
}

void mgk_thresholds_neon(const int32_t *accumulators, size_t pixels, size_t channels, size_t levels,
                         const int32_t *thresholds, const int8_t *direction, uint8_t *codes)
{
    size_t c = 0;
    if (levels <= MOST_LEVELS) {
        for (; channels - c >= LANES; c += LANES) {
            run_block(accumulators + c, pixels, channels, levels, thresholds + c * levels, direction + c, codes + c);
        }
    }
    mgk_thresholds_scalar(accumulators, pixels, channels, c, channels, levels, thresholds, direction, codes);
}
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
