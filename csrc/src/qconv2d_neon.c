/* The 2-bit convolution for AArch64: weights of -3, -1, 1, 3, activations of 0 to 3.
 *
 * Lanes are 16 output channels, so no sum runs across lanes. A tile of 8 output pixels is first copied into two panels
 * of 4 pixels, [term][4 codes], whose terms are in the order of the weights: from there on the convolution is one
 * product of matrices, for every kernel size, stride and dilation. One LD4R broadcasts a term's 4 codes.
 *
 * Sums climb through three widths, and no lane may overflow:
 *   int8:  |weight * code| <= 3 * 3 = 9. After MLAS = 14 terms |lane| <= 126 <= 127; 15 could reach 135.
 *   int16: each flush adds at most 126. After FLUSHES = 260 of them |lane| <= 32,760 <= 32,767; 261 could reach 32,886.
 *   int32: the caller has checked that 9 times the number of terms fits.
 */
#include "qconv2d.h"

#if defined(__aarch64__)
#include <arm_neon.h>

enum { TILE = MGK_NEON_TILE, PANEL = TILE / 2, MLAS = 14, FLUSHES = 260 };

typedef int32_t tile_sums[TILE][MGK_BLOCK];

/* One tap of 4 pixels into a panel; corners are where the pixels' first taps read. Returns the panel's next term. */
static uint8_t *pack_tap(uint8_t *panel, const uint8_t *const corners[PANEL], size_t offset, size_t in_channels)
{
    size_t i = 0;
    for (; in_channels - i >= 16; i += 16) {
        const uint8x16x4_t codes = {{vld1q_u8(corners[0] + offset + i), vld1q_u8(corners[1] + offset + i),
                                     vld1q_u8(corners[2] + offset + i), vld1q_u8(corners[3] + offset + i)}};
        vst4q_u8(panel, codes);
        panel += 16 * PANEL;
    }
    for (; i < in_channels; i++) {
        for (int p = 0; p < PANEL; p++) {
            *panel++ = corners[p][offset + i];
        }
    }
    return panel;
}

static void pack_panel(const mgk_qconv2d_image *image, const uint8_t *const corners[PANEL], uint8_t *panel)
{
    const mgk_conv2d *c = image->conv;
    const size_t row = c->dilation_y * image->geometry->padded_width * c->in_channels;
    for (size_t ky = 0; ky < c->kernel_height; ky++) {
        for (size_t kx = 0; kx < c->kernel_width; kx++) {
            panel = pack_tap(panel, corners, ky * row + kx * c->dilation_x * c->in_channels, c->in_channels);
        }
    }
}

/* One term: 16 weights times the codes of 8 pixels. */
static inline void add_term(int8x16_t sums[TILE], const int8_t *weights, const uint8_t *first, const uint8_t *second)
{
    const int8x16_t w = vld1q_s8(weights);
    const uint8x16x4_t a = vld4q_dup_u8(first);
    for (int p = 0; p < PANEL; p++) {
        sums[p] = vmlaq_s8(sums[p], w, vreinterpretq_s8_u8(a.val[p]));
    }
    const uint8x16x4_t b = vld4q_dup_u8(second);
    for (int p = 0; p < PANEL; p++) {
        sums[PANEL + p] = vmlaq_s8(sums[PANEL + p], w, vreinterpretq_s8_u8(b.val[p]));
    }
}

static void widen_into(int32_t *sums, int16x8_t lanes)
{
    vst1q_s32(sums, vaddw_s16(vld1q_s32(sums), vget_low_s16(lanes)));
    vst1q_s32(sums + 4, vaddw_high_s16(vld1q_s32(sums + 4), lanes));
}

/* sums = the products of 16 output channels and 8 pixels over all terms. */
static void multiply_tile(tile_sums sums, const int8_t *weights, const uint8_t *panels, size_t terms)
{
    const uint8_t *first = panels;
    const uint8_t *second = panels + terms * PANEL;
    for (int p = 0; p < TILE; p++) {
        for (int o = 0; o < MGK_BLOCK; o++) {
            sums[p][o] = 0;
        }
    }
    while (terms > 0) {
        int16x8_t low[TILE];
        int16x8_t high[TILE];
        for (int p = 0; p < TILE; p++) {
            low[p] = high[p] = vdupq_n_s16(0);
        }
        for (int flush = 0; flush < FLUSHES && terms > 0; flush++) {
            int8x16_t bytes[TILE];
            for (int p = 0; p < TILE; p++) {
                bytes[p] = vdupq_n_s8(0);
            }
            const size_t run = terms < MLAS ? terms : MLAS;
            const int8_t *end = weights + run * MGK_BLOCK;
            do {
                add_term(bytes, weights, first, second);
                weights += MGK_BLOCK;
                first += PANEL;
                second += PANEL;
            } while (weights != end);
            for (int p = 0; p < TILE; p++) {
                low[p] = vaddw_s8(low[p], vget_low_s8(bytes[p]));
                high[p] = vaddw_high_s8(high[p], bytes[p]);
            }
            terms -= run;
        }
        for (int p = 0; p < TILE; p++) {
            widen_into(sums[p], low[p]);
            widen_into(sums[p] + 8, high[p]);
        }
    }
}

/* One block of output channels of the first pixels of a tile. */
static void store_tile(int32_t *accumulators, size_t out_channels, tile_sums sums, size_t pixels, size_t lanes)
{
    for (size_t p = 0; p < pixels; p++) {
        for (size_t o = 0; o < lanes; o++) {
            accumulators[o] = sums[p][o];
        }
        accumulators += out_channels;
    }
}

/* Corners of a tile from pixel begin on; those beyond the last pixel repeat it, and are not stored. */
static void find_corners(const mgk_qconv2d_image *image, size_t begin, const uint8_t *corners[TILE])
{
    const mgk_conv2d *c = image->conv;
    const mgk_geometry *g = image->geometry;
    size_t y = begin / g->out_width;
    size_t x = begin % g->out_width;
    for (int p = 0; p < TILE; p++) {
        corners[p] = image->padded + (y * c->stride_y * g->padded_width + x * c->stride_x) * c->in_channels;
        if (x + 1 < g->out_width) {
            x++;
        } else if (y + 1 < g->out_height) {
            x = 0;
            y++;
        }
    }
}

void mgk_qconv2d_neon(const mgk_qconv2d_image *image)
{
    const size_t out_channels = image->conv->out_channels;
    const size_t terms = image->geometry->row_length;
    const size_t out_pixels = image->geometry->out_pixels;
    for (size_t begin = 0; begin < out_pixels; begin += TILE) {
        const uint8_t *corners[TILE];
        find_corners(image, begin, corners);
        pack_panel(image, corners, image->scratch);
        pack_panel(image, corners + PANEL, image->scratch + terms * PANEL);

        const size_t pixels = out_pixels - begin < TILE ? out_pixels - begin : TILE;
        const int8_t *weights = (const int8_t *)image->weights;
        int32_t *accumulators = image->accumulators + begin * out_channels;
        for (size_t block = 0; block < out_channels; block += MGK_BLOCK) {
            const size_t lanes = out_channels - block < MGK_BLOCK ? out_channels - block : MGK_BLOCK;
            tile_sums sums;
            multiply_tile(sums, weights, image->scratch, terms);
            store_tile(accumulators + block, out_channels, sums, pixels, lanes);
            weights += terms * MGK_BLOCK;
        }
    }
}
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
