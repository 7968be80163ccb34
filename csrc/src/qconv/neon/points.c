/* Patches of one pixel, straight from the codes: centred, summed and interleaved in one pass, without an image. */
#include "neon.h"

#if MGK_HAS_NEON
#include "qconv/neon/tile.h"

enum { VECTOR = 16 };

int mgk_is_pointwise(const mgk_qconv *layer, const mgk_direct *direct)
{
    const mgk_conv2d *c = &layer->conv;
    return layer->groups == 1 && c->kernel_height == 1 && c->kernel_width == 1 && c->in_channels % VECTOR == 0 &&
           !layer->bipolar && direct->convert == mgk_centre && direct->unit > 1;
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

static void find_four_codes(const mgk_qconv_run *run, size_t pixel, const uint8_t *codes[MGK_PATCHES])
{
    const mgk_conv2d *c = &run->layer->conv;
    const size_t last = run->layer->geometry.out_pixels - 1;
    const int same = c->stride_y == 1 && c->stride_x == 1 && run->layer->geometry.out_pixels == c->height * c->width;
    if (same && last - pixel >= MGK_PATCHES - 1) { /* outputs are as inputs, there is no border */
        codes[0] = run->codes + pixel * c->in_channels;
        codes[1] = codes[0] + c->in_channels;
        codes[2] = codes[1] + c->in_channels;
        codes[3] = codes[2] + c->in_channels;
        return;
    }
    for (size_t p = 0; p < MGK_PATCHES; p++) {
        codes[p] = find_codes(run, pixel < last - p ? pixel + p : last);
    }
}

MGK_INLINE void store_four(const size_t unit, const int8x16_t value[MGK_PATCHES], uint8_t *four)
{
    if (unit == 2) {
        const int16x8x4_t x = {{vreinterpretq_s16_s8(value[0]), vreinterpretq_s16_s8(value[1]),
                                vreinterpretq_s16_s8(value[2]), vreinterpretq_s16_s8(value[3])}};
        vst4q_s16((int16_t *)(void *)four, x);
    } else if (unit == 4) {
        const int32x4x4_t x = {{vreinterpretq_s32_s8(value[0]), vreinterpretq_s32_s8(value[1]),
                                vreinterpretq_s32_s8(value[2]), vreinterpretq_s32_s8(value[3])}};
        vst4q_s32((int32_t *)(void *)four, x);
    } else {
        const int64x2x4_t x = {{vreinterpretq_s64_s8(value[0]), vreinterpretq_s64_s8(value[1]),
                                vreinterpretq_s64_s8(value[2]), vreinterpretq_s64_s8(value[3])}};
        vst4q_s64((int64_t *)(void *)four, x);
    }
}

/* 16 channels of four pixels: centred, interleaved, and each pixel's values added to its sums. */
MGK_INLINE void make_vector(const size_t unit, const int adds, const int complement,
                            const uint8_t *const codes[MGK_PATCHES], size_t i, int8x16_t centre, uint8_t *four,
                            int16x8_t sum[MGK_PATCHES])
{
    const int8x16_t flip = vreinterpretq_s8_u32(vdupq_n_u32(0xffff0000u));
    int8x16_t value[MGK_PATCHES];
    for (int p = 0; p < MGK_PATCHES; p++) {
        value[p] = vsubq_s8(vreinterpretq_s8_u8(vld1q_u8(codes[p] + i)), centre);
        if (adds) {
            sum[p] = vpadalq_s8(sum[p], value[p]);
        }
        if (complement) {
            value[p] = veorq_s8(value[p], flip);
        }
    }
    store_four(unit, value, four + MGK_PATCHES * i);
}

MGK_INLINE void make_four(const size_t unit, const int adds, const int complement,
                          const uint8_t *const codes[MGK_PATCHES], size_t channels, int8x16_t centre, int32_t scale,
                          uint8_t *four, int32_t *sums)
{
    int32x4_t total[MGK_PATCHES];
    for (int p = 0; p < MGK_PATCHES; p++) {
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
            make_vector(unit, adds, complement, codes, i, centre, four, sum);
        }
        for (int p = 0; p < MGK_PATCHES; p++) {
            total[p] = vpadalq_s16(total[p], sum[p]);
        }
    }
    if (adds) {
        const int32x4_t all = vpaddq_s32(vpaddq_s32(total[0], total[1]), vpaddq_s32(total[2], total[3]));
        vst1q_s32(sums, vmulq_n_s32(all, scale));
    }
}

void mgk_four_points(const mgk_qconv_run *run, const mgk_direct *direct, size_t pixel, uint8_t *four, int32_t *sums)
{
    const size_t channels = run->layer->conv.in_channels;
    const int8x16_t centre = vdupq_n_s8((int8_t)direct->form.centre);
    const int32_t base = direct->form.base;
    const uint8_t *codes[MGK_PATCHES];
    find_four_codes(run, pixel, codes);
    vst1q_s32(sums, vdupq_n_s32(0)); /* what they are where there is no base */
    if (direct->unit == 2) {
        make_four(2, 1, 0, codes, channels, centre, base, four, sums);
    } else if (direct->unit == 4 && direct->form.complement) {
        make_four(4, 1, 1, codes, channels, centre, base, four, sums);
    } else if (direct->unit == 4 && base == 0) {
        make_four(4, 0, 0, codes, channels, centre, base, four, sums);
    } else if (direct->unit == 4) {
        make_four(4, 1, 0, codes, channels, centre, base, four, sums);
    } else if (base == 0) {
        make_four(8, 0, 0, codes, channels, centre, base, four, sums);
    } else {
        make_four(8, 1, 0, codes, channels, centre, base, four, sums);
    }
}
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
