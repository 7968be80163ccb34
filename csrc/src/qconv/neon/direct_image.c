/* The image of kernels that multiply bytes: codes less their centre. */
#include "neon.h"

#if MGK_HAS_NEON
#include "qconv/neon/direct.h"

/* value = code - centre of 64 codes. What is returned adds up to the sum of the values, eight bytes of at most 2^7 in a
 * lane. */
static inline int16x8_t centre_64(const uint8_t *codes, int8x16_t less, int8_t *image)
{
    const int8x16_t a = vsubq_s8(vreinterpretq_s8_u8(vld1q_u8(codes)), less);
    const int8x16_t b = vsubq_s8(vreinterpretq_s8_u8(vld1q_u8(codes + 16)), less);
    const int8x16_t c = vsubq_s8(vreinterpretq_s8_u8(vld1q_u8(codes + 32)), less);
    const int8x16_t d = vsubq_s8(vreinterpretq_s8_u8(vld1q_u8(codes + 48)), less);
    vst1q_s8(image, a);
    vst1q_s8(image + 16, b);
    vst1q_s8(image + 32, c);
    vst1q_s8(image + 48, d);
    return vpadalq_s8(vpadalq_s8(vpadalq_s8(vpaddlq_s8(a), b), c), d);
}

/* value = code - centre, or 2 code - 1, and the sum of the values. */
static int32_t centre_bytes(const uint8_t *codes, size_t size, int bipolar, int8_t centre, int8_t *image)
{
    const int8x16_t less = vdupq_n_s8(bipolar ? 1 : centre);
    int32x4_t sum = vdupq_n_s32(0);
    size_t i = 0;
    if (!bipolar) {
        for (; size - i >= 64; i += 64) {
            sum = vpadalq_s16(sum, centre_64(codes + i, less, image + i));
        }
    }
    for (; size - i >= 16; i += 16) {
        const int8x16_t code = vreinterpretq_s8_u8(vld1q_u8(codes + i));
        const int8x16_t value = vsubq_s8(bipolar ? vaddq_s8(code, code) : code, less);
        vst1q_s8(image + i, value);
        sum = vpadalq_s16(sum, vpaddlq_s8(value));
    }
    int32_t total = vaddvq_s32(sum);
    for (; i < size; i++) {
        image[i] = (int8_t)(bipolar ? 2 * codes[i] - 1 : codes[i] - centre);
        total += image[i];
    }
    return total;
}

void mgk_centre(const mgk_qconv *layer, const mgk_patches *patches, const mgk_direct_form *form, const uint8_t *codes,
                size_t pixels, uint8_t *image, int32_t *sums)
{
    const size_t channels = patches->pixel;
    if (channels == 64 && !layer->bipolar) {
        const int8x16_t less = vdupq_n_s8((int8_t)form->centre);
        for (size_t i = 0; i < pixels; i++) {
            sums[i] = vaddvq_s32(vpaddlq_s16(centre_64(codes + i * 64, less, (int8_t *)image + i * 64)));
        }
        return;
    }
    for (size_t i = 0; i < pixels; i++) {
        sums[i] = centre_bytes(codes + i * channels, channels, layer->bipolar, (int8_t)form->centre,
                               (int8_t *)image + i * channels);
    }
}
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
