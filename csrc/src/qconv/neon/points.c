/* Patches of one pixel, straight from the codes: centred, summed and interleaved in one pass, without an image. */
#if defined(__aarch64__)
#include <arm_neon.h>

#include "qconv/neon/direct.h"

enum { VECTOR = 16 };

int mgk_is_pointwise(const mgk_qconv *layer, const mgk_direct *direct)
{
    const mgk_conv2d *c = &layer->conv;
    return c->kernel_height == 1 && c->kernel_width == 1 && c->in_channels % VECTOR == 0 && !layer->bipolar &&
           direct->convert == mgk_centre && direct->unit > 1;
}

/* The codes an output pixel sees: those of a pixel of the image, or the codes of zero. */
static const uint8_t *find_codes(const mgk_qconv_run *run, size_t pixel)
{
    const mgk_conv2d *c = &run->layer->conv;
    const size_t width = run->layer->geometry.out_width;
    const size_t y = pixel / width * c->stride_y - c->pad_top; /* wraps where it is negative */
    const size_t x = pixel % width * c->stride_x - c->pad_left;
    return y < c->height && x < c->width ? run->codes + (y * c->width + x) * c->in_channels : run->zero;
}

static void store_four(size_t unit, const int8x16_t value[MGK_PATCHES], uint8_t *four)
{
    if (unit == 2) {
        const int16x8x4_t x = {{vreinterpretq_s16_s8(value[0]), vreinterpretq_s16_s8(value[1]),
                                vreinterpretq_s16_s8(value[2]), vreinterpretq_s16_s8(value[3])}};
        vst4q_s16((int16_t *)(void *)four, x);
    } else {
        const int32x4x4_t x = {{vreinterpretq_s32_s8(value[0]), vreinterpretq_s32_s8(value[1]),
                                vreinterpretq_s32_s8(value[2]), vreinterpretq_s32_s8(value[3])}};
        vst4q_s32((int32_t *)(void *)four, x);
    }
}

void mgk_four_points(const mgk_qconv_run *run, const mgk_direct *direct, size_t pixel, uint8_t *four, int32_t *sums)
{
    const size_t channels = run->layer->conv.in_channels;
    const size_t pixels = run->layer->geometry.out_pixels;
    const int8x16_t centre = vdupq_n_s8((int8_t)direct->form.centre);
    const uint8_t *codes[MGK_PATCHES];
    int32x4_t total[MGK_PATCHES];
    for (size_t p = 0; p < MGK_PATCHES; p++) {
        codes[p] = find_codes(run, pixel + p < pixels ? pixel + p : pixels - 1);
        total[p] = vdupq_n_s32(0);
    }
    for (size_t i = 0; i < channels;) {
        /* A 16-bit sum gains two values of at most 2^7 in size a vector: 64 vectors are 2^14. */
        const size_t end = channels - i < 64 * VECTOR ? channels : i + 64 * VECTOR;
        int16x8_t sum[MGK_PATCHES];
        for (int p = 0; p < MGK_PATCHES; p++) {
            sum[p] = vdupq_n_s16(0);
        }
        for (; i < end; i += VECTOR) {
            int8x16_t value[MGK_PATCHES];
            for (int p = 0; p < MGK_PATCHES; p++) {
                value[p] = vsubq_s8(vreinterpretq_s8_u8(vld1q_u8(codes[p] + i)), centre);
                sum[p] = vpadalq_s8(sum[p], value[p]);
            }
            store_four(direct->unit, value, four + MGK_PATCHES * i);
        }
        for (int p = 0; p < MGK_PATCHES; p++) {
            total[p] = vpadalq_s16(total[p], sum[p]);
        }
    }
    const int32x4_t all = vpaddq_s32(vpaddq_s32(total[0], total[1]), vpaddq_s32(total[2], total[3]));
    vst1q_s32(sums, vmulq_n_s32(all, direct->form.base));
}
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
