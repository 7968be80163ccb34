/* The 2-bit convolution for AArch64: products of a weight and an activation are at most 9 in size.
 *
 * Lanes are 16 output channels, so no sum runs across lanes. A tile of 8 output pixels is first copied into two panels
 * of 4 pixels, [term][4 codes], whose terms are in the order of the weights: from there on the convolution is one
 * product of matrices, for every kernel size, stride and dilation. One LD4R broadcasts a term's 4 codes.
 *
 * Sums climb through three widths, and no lane may overflow:
 *   int8:  |weight * code| <= 9 = PRODUCT. After MLAS = 14 terms |lane| <= 126 <= 127; 15 could reach 135.
 *   int16: each flush adds at most 126. After FLUSHES = 260 of them |lane| <= 32,760 <= 32,767; 261 could reach 32,886.
 *   int32: the layer's bounds have been checked.
 */
#include "qconv/kernel.h"

#if defined(__aarch64__)
#include <arm_neon.h>
#include <string.h>

enum { TILE = 8, PANEL = TILE / 2, BLOCK = MGK_CHANNEL_BLOCK, PRODUCT = 9, MLAS = 14, FLUSHES = 260 };

typedef int32_t tile_sums[TILE][BLOCK];

/* Two panels of codes, then the image with its border. */
typedef struct tile_source {
    const mgk_qconv *layer;
    const uint8_t *padded;
} tile_source;

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

static void pack_panel(const tile_source *image, const uint8_t *const corners[PANEL], uint8_t *panel)
{
    const mgk_conv2d *c = &image->layer->conv;
    const size_t row = c->dilation_y * image->layer->geometry.padded_width * c->in_channels;
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
        for (int o = 0; o < BLOCK; o++) {
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
            const int8_t *end = weights + run * BLOCK;
            do {
                add_term(bytes, weights, first, second);
                weights += BLOCK;
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

/* Corners of a tile from pixel begin on; those beyond the last pixel repeat it, and are not stored. */
static void find_corners(const tile_source *image, size_t begin, const uint8_t *corners[TILE])
{
    const mgk_conv2d *c = &image->layer->conv;
    const mgk_geometry *g = &image->layer->geometry;
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

static uint8_t *pad_image(const mgk_qconv_run *run, uint8_t *padded)
{
    const mgk_conv2d *c = &run->layer->conv;
    const mgk_geometry *g = &run->layer->geometry;
    const size_t row = c->width * c->in_channels;
    memset(padded, 0, g->padded_size);
    for (size_t y = 0; y < c->height; y++) {
        memcpy(padded + ((c->pad_top + y) * g->padded_width + c->pad_left) * c->in_channels, run->codes + y * row, row);
    }
    return padded;
}

static void run_image(const mgk_qconv_run *run)
{
    const size_t out_channels = run->layer->conv.out_channels;
    const size_t terms = run->layer->geometry.row_length;
    const size_t out_pixels = run->layer->geometry.out_pixels;
    uint8_t *panels = run->workspace;
    const tile_source image = {run->layer, pad_image(run, panels + terms * TILE)};
    for (size_t begin = 0; begin < out_pixels; begin += TILE) {
        const uint8_t *corners[TILE];
        find_corners(&image, begin, corners);
        pack_panel(&image, corners, panels);
        pack_panel(&image, corners + PANEL, panels + terms * PANEL);

        const size_t pixels = out_pixels - begin < TILE ? out_pixels - begin : TILE;
        const int8_t *weights = (const int8_t *)run->weights;
        for (size_t block = 0; block < out_channels; block += BLOCK) {
            const size_t lanes = out_channels - block < BLOCK ? out_channels - block : BLOCK;
            tile_sums sums;
            multiply_tile(sums, weights, panels, terms);
            mgk_epilogue_i32(run, sums[0], BLOCK, begin, pixels, block, lanes);
            weights += terms * BLOCK;
        }
    }
}

static int takes(const mgk_qconv *layer)
{
    const int32_t weight = -layer->weight_low > layer->weight_high ? -layer->weight_low : layer->weight_high;
    return layer->groups == 1 && !layer->bipolar && !layer->has_zero && weight * layer->activation_high <= PRODUCT;
}

static size_t find_weights_size(const mgk_qconv *layer)
{
    size_t size = mgk_round_up(layer->conv.out_channels, BLOCK);
    return mgk_multiply(&size, layer->geometry.row_length) ? size : 0;
}

static size_t find_workspace_size(const mgk_qconv *layer)
{
    size_t size = layer->geometry.row_length;
    return mgk_multiply(&size, TILE) && mgk_add(&size, layer->geometry.padded_size) ? size : 0;
}

/* [block of 16 output channels][term][16]; lanes beyond the last output channel are 0. */
static void prepare(const mgk_qconv_weights *weights, uint8_t *section, mgk_raw *raw)
{
    const mgk_qconv *layer = weights->layer;
    const size_t terms = layer->geometry.row_length;
    for (size_t o = 0; o < layer->conv.out_channels; o++) {
        for (size_t e = 0; e < terms; e++) {
            section[(o / BLOCK * terms + e) * BLOCK + o % BLOCK] = (uint8_t)mgk_weight(weights, o, e);
        }
    }
    raw->bits = 32;
    raw->low = layer->sum_low;
    raw->high = layer->sum_high;
}

const mgk_qconv_kernel mgk_qconv_neon_outer_product = {
    "neon-outer-product", MGK_NEON, takes, find_weights_size, prepare, find_workspace_size, run_image,
};
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
