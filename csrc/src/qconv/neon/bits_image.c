/* The image of the bit-serial kernel: a pixel is a row of bytes. With n of them, bit i of byte k is channel i * n + k, so
 * that eight vectors of codes, each shifted by one more, are a vector of bytes. */
#include "neon.h"

#if MGK_HAS_NEON
#include <string.h>

#include "qconv/neon/direct.h"

/* n bytes from the codes of channels, which may be fewer than 8 n; their bit count. */
static int32_t pack_pixel(const uint8_t *codes, size_t channels, size_t n, uint8_t *image)
{
    int32_t count = 0;
    size_t k = 0;
    if (channels == 8 * n && n >= 16) {
        uint16x8_t counts = vdupq_n_u16(0);
        for (; n - k >= 16; k += 16) {
            uint8x16_t byte = vld1q_u8(codes + k);
            byte = vsliq_n_u8(byte, vld1q_u8(codes + k + n), 1);
            byte = vsliq_n_u8(byte, vld1q_u8(codes + k + 2 * n), 2);
            byte = vsliq_n_u8(byte, vld1q_u8(codes + k + 3 * n), 3);
            byte = vsliq_n_u8(byte, vld1q_u8(codes + k + 4 * n), 4);
            byte = vsliq_n_u8(byte, vld1q_u8(codes + k + 5 * n), 5);
            byte = vsliq_n_u8(byte, vld1q_u8(codes + k + 6 * n), 6);
            byte = vsliq_n_u8(byte, vld1q_u8(codes + k + 7 * n), 7);
            vst1q_u8(image + k, byte);
            counts = vpadalq_u8(counts, vcntq_u8(byte)); /* 16 more a step: beyond 4,096 steps of 128 terms */
        }
        count = (int32_t)vaddlvq_u16(counts);
    } else if (channels == 64) {
        uint8x8_t byte = vld1_u8(codes);
        byte = vsli_n_u8(byte, vld1_u8(codes + 8), 1);
        byte = vsli_n_u8(byte, vld1_u8(codes + 16), 2);
        byte = vsli_n_u8(byte, vld1_u8(codes + 24), 3);
        byte = vsli_n_u8(byte, vld1_u8(codes + 32), 4);
        byte = vsli_n_u8(byte, vld1_u8(codes + 40), 5);
        byte = vsli_n_u8(byte, vld1_u8(codes + 48), 6);
        byte = vsli_n_u8(byte, vld1_u8(codes + 56), 7);
        vst1_u8(image, byte);
        return vaddv_u8(vcnt_u8(byte));
    } else if (channels == 16) { /* lanes of two bytes, whose bits do not meet */
        static const int8_t shifts[16] = {0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7};
        const uint16_t pair = vaddvq_u16(vreinterpretq_u16_u8(vshlq_u8(vld1q_u8(codes), vld1q_s8(shifts))));
        memcpy(image, &pair, sizeof pair);
        return vaddv_u8(vcnt_u8(vcreate_u8(pair)));
    } else if (channels == 32) {
        static const int8_t shifts[16] = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3};
        const int8x16_t shift = vld1q_s8(shifts);
        uint8x16_t bits = vshlq_u8(vld1q_u8(codes), shift);
        bits = vorrq_u8(bits, vshlq_u8(vld1q_u8(codes + 16), vaddq_s8(shift, vdupq_n_s8(4))));
        const uint32_t four = vaddvq_u32(vreinterpretq_u32_u8(bits));
        memcpy(image, &four, sizeof four);
        return vaddv_u8(vcnt_u8(vcreate_u8(four)));
    }
    for (; k < n; k++) {
        unsigned byte = 0;
        for (size_t i = 0; i < 8 && i * n + k < channels; i++) {
            const unsigned bit = codes[i * n + k];
            byte |= bit << i;
            count += (int32_t)bit;
        }
        image[k] = (uint8_t)byte;
    }
    return count;
}

void mgk_pack_bits(const mgk_qconv *layer, const mgk_patches *patches, const mgk_direct_form *form,
                   const uint8_t *codes, size_t pixels, uint8_t *image, int32_t *sums)
{
    const size_t channels = layer->conv.in_channels;
    (void)form;
    for (size_t i = 0; i < pixels; i++) {
        sums[i] = pack_pixel(codes + i * channels, channels, patches->pixel, image + i * patches->pixel);
    }
}
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
