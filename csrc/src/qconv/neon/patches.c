/* Images with a border, and patches of them, four interleaved. */
#include "neon.h"

#if MGK_HAS_NEON
#include <string.h>

#include "qconv/neon/patches.h"

enum { VECTOR = 16, SLACK = 64 };

/* ---------------------------------------------------------------- sizes */

int mgk_find_patches(const mgk_qconv *layer, size_t pixel, size_t unit, mgk_patches *p)
{
    const mgk_conv2d *c = &layer->conv;
    const mgk_geometry *g = &layer->geometry;
    const int samples = c->kernel_height == 1 && c->kernel_width == 1;
    const int adjacent = layer->groups == 1 && (c->dilation_x == 1 || c->kernel_width == 1);
    p->pixel = pixel;
    p->unit = unit;
    p->height = samples ? g->out_height : g->padded_height;
    p->width = samples ? g->out_width : g->padded_width;
    p->step_y = samples ? 1 : c->stride_y;
    p->step_x = samples ? 1 : c->stride_x;
    p->runs_y = c->kernel_height;
    p->runs_x = adjacent ? 1 : c->kernel_width;
    p->run_y = c->dilation_y;
    p->run_x = c->dilation_x;
    p->run = layer->groups == 1 ? pixel : c->in_channels / layer->groups;
    if (adjacent && !mgk_multiply(&p->run, c->kernel_width)) {
        return 0;
    }
    p->padded_run = mgk_round_up(p->run, unit);
    p->size = p->padded_run;
    size_t four = MGK_PATCHES;
    size_t image = pixel;
    return p->padded_run != 0 && mgk_multiply(&p->size, p->runs_y) && mgk_multiply(&p->size, p->runs_x) &&
           mgk_multiply(&four, p->size) && mgk_add(&four, MGK_PATCHES * SLACK) && mgk_multiply(&image, p->height) &&
           mgk_multiply(&image, p->width) && mgk_add(&image, SLACK);
}

size_t mgk_image_size(const mgk_patches *p)
{
    return p->height * p->width * p->pixel + SLACK;
}

size_t mgk_four_patches_size(const mgk_patches *p)
{
    return (MGK_PATCHES * p->size + MGK_PATCHES * VECTOR + SLACK - 1) / SLACK * SLACK;
}

size_t mgk_patch_tap(const mgk_patches *p, const mgk_qconv *layer, size_t ky, size_t kx)
{
    return p->runs_x == 1 && layer->conv.kernel_width > 1 ? ky * p->padded_run + kx * p->pixel
                                                          : (ky * p->runs_x + kx) * p->padded_run;
}

/* ---------------------------------------------------------------- the image */

static void fill(const mgk_patches *p, const uint8_t *outside, int32_t outside_sum, size_t pixels, uint8_t *image,
                 int32_t *sums)
{
    for (size_t i = 0; i < pixels; i++) {
        memcpy(image + i * p->pixel, outside, p->pixel);
        sums[i] = outside_sum;
    }
}

/* One row of the image: the pixels of a row of codes from column `first` (which may be outside) in steps. */
static void sample_row(const mgk_qconv *layer, const mgk_patches *p, mgk_convert *convert,
                       const struct mgk_direct_form *form, const uint8_t *row, const uint8_t *outside,
                       int32_t outside_sum, uint8_t *image, int32_t *sums)
{
    const mgk_conv2d *c = &layer->conv;
    for (size_t x = 0; x < p->width; x++) {
        const size_t column = x * c->stride_x - c->pad_left; /* wraps where it is negative */
        if (column < c->width) {
            convert(layer, p, form, row + column * c->in_channels, 1, image + x * p->pixel, sums + x);
        } else {
            fill(p, outside, outside_sum, 1, image + x * p->pixel, sums + x);
        }
    }
}

void mgk_make_image(const mgk_qconv_run *run, const mgk_patches *p, mgk_convert *convert,
                    const struct mgk_direct_form *form, const uint8_t *outside, int32_t outside_sum, uint8_t *image,
                    int32_t *sums)
{
    const mgk_qconv *layer = run->layer;
    const mgk_conv2d *c = &layer->conv;
    const int samples = c->kernel_height == 1 && c->kernel_width == 1;
    const size_t stride = samples ? c->stride_y : 1;
    for (size_t y = 0; y < p->height; y++) {
        uint8_t *row = image + y * p->width * p->pixel;
        int32_t *row_sums = sums + y * p->width;
        const size_t line = y * stride - c->pad_top; /* wraps where it is negative */
        if (line >= c->height) {
            fill(p, outside, outside_sum, p->width, row, row_sums);
            continue;
        }
        const uint8_t *codes = run->codes + line * c->width * c->in_channels;
        if (samples && (c->stride_x > 1 || c->pad_left + c->pad_right > 0)) {
            sample_row(layer, p, convert, form, codes, outside, outside_sum, row, row_sums);
        } else {
            fill(p, outside, outside_sum, c->pad_left, row, row_sums);
            row += c->pad_left * p->pixel;
            row_sums += c->pad_left;
            convert(layer, p, form, codes, c->width, row, row_sums);
            fill(p, outside, outside_sum, c->pad_right, row + c->width * p->pixel, row_sums + c->width);
        }
    }
}

void mgk_sum_patches(const mgk_qconv *layer, const mgk_patches *p, const int32_t *sums, int32_t scale, int32_t *columns,
                     int32_t *patch_sums)
{
    const mgk_conv2d *c = &layer->conv;
    const mgk_geometry *g = &layer->geometry;
    for (size_t y = 0; y < g->out_height; y++) {
        const int32_t *row = sums + y * p->step_y * p->width;
        for (size_t x = 0; x < p->width; x++) {
            columns[x] = scale * row[x];
        }
        for (size_t ky = 1; ky < c->kernel_height; ky++) {
            const int32_t *tap = row + ky * c->dilation_y * p->width;
            for (size_t x = 0; x < p->width; x++) {
                columns[x] += scale * tap[x];
            }
        }
        for (size_t x = 0; x < g->out_width; x++) {
            int32_t sum = columns[x * p->step_x];
            for (size_t kx = 1; kx < c->kernel_width; kx++) {
                sum += columns[x * p->step_x + kx * c->dilation_x];
            }
            patch_sums[x] = sum;
        }
        patch_sums += g->out_width;
    }
}

/* ---------------------------------------------------------------- patches */

/* size bytes of four runs, 16 at a time: up to 15 bytes beyond each are read and interleaved too. */
static uint8_t *interleave_1(const uint8_t *const *run, size_t at, size_t size, uint8_t *four)
{
    for (size_t i = 0; i < size; i += VECTOR) {
        const uint8x16x4_t x = {{vld1q_u8(run[0] + at + i), vld1q_u8(run[1] + at + i), vld1q_u8(run[2] + at + i),
                                 vld1q_u8(run[3] + at + i)}};
        vst4q_u8(four + MGK_PATCHES * i, x);
    }
    return four + MGK_PATCHES * size;
}

static uint8_t *interleave_2(const uint8_t *const *run, size_t at, size_t size, uint8_t *four)
{
    for (size_t i = 0; i < size; i += VECTOR) {
        const uint16x8x4_t x = {
            {vreinterpretq_u16_u8(vld1q_u8(run[0] + at + i)), vreinterpretq_u16_u8(vld1q_u8(run[1] + at + i)),
             vreinterpretq_u16_u8(vld1q_u8(run[2] + at + i)), vreinterpretq_u16_u8(vld1q_u8(run[3] + at + i))}};
        vst4q_u16((uint16_t *)(void *)(four + MGK_PATCHES * i), x);
    }
    return four + MGK_PATCHES * size;
}

static uint8_t *interleave_4(const uint8_t *const *run, size_t at, size_t size, int complement, uint8_t *four)
{
    const uint32x4_t flip = vdupq_n_u32(complement ? 0xffff0000u : 0); /* lanes and bytes in little endian */
    for (size_t i = 0; i < size; i += VECTOR) {
        const uint32x4x4_t x = {{veorq_u32(vreinterpretq_u32_u8(vld1q_u8(run[0] + at + i)), flip),
                                 veorq_u32(vreinterpretq_u32_u8(vld1q_u8(run[1] + at + i)), flip),
                                 veorq_u32(vreinterpretq_u32_u8(vld1q_u8(run[2] + at + i)), flip),
                                 veorq_u32(vreinterpretq_u32_u8(vld1q_u8(run[3] + at + i)), flip)}};
        vst4q_u32((uint32_t *)(void *)(four + MGK_PATCHES * i), x);
    }
    return four + MGK_PATCHES * size;
}

static uint8_t *interleave_8(const uint8_t *const *run, size_t at, size_t size, uint8_t *four)
{
    for (size_t i = 0; i < size; i += VECTOR) {
        const uint64x2x4_t x = {
            {vreinterpretq_u64_u8(vld1q_u8(run[0] + at + i)), vreinterpretq_u64_u8(vld1q_u8(run[1] + at + i)),
             vreinterpretq_u64_u8(vld1q_u8(run[2] + at + i)), vreinterpretq_u64_u8(vld1q_u8(run[3] + at + i))}};
        vst4q_u64((uint64_t *)(void *)(four + MGK_PATCHES * i), x);
    }
    return four + MGK_PATCHES * size;
}

void mgk_four_patches(const mgk_qconv *layer, const mgk_patches *p, const uint8_t *image, size_t pixel, int complement,
                      uint8_t *four)
{
    const mgk_geometry *g = &layer->geometry;
    const uint8_t *run[MGK_PATCHES];
    size_t y = pixel / g->out_width;
    size_t x = pixel % g->out_width;
    for (int i = 0; i < MGK_PATCHES; i++) {
        run[i] = image + (y * p->step_y * p->width + x * p->step_x) * p->pixel;
        if (pixel + 1 < g->out_pixels) {
            pixel++;
            x++;
            if (x == g->out_width) {
                x = 0;
                y++;
            }
        }
    }
    for (size_t ky = 0; ky < p->runs_y; ky++) {
        for (size_t kx = 0; kx < p->runs_x; kx++) {
            const size_t at = (ky * p->run_y * p->width + kx * p->run_x) * p->pixel;
            switch (p->unit) {
            case 1: four = interleave_1(run, at, p->padded_run, four); break;
            case 2: four = interleave_2(run, at, p->padded_run, four); break;
            case 4: four = interleave_4(run, at, p->padded_run, complement, four); break;
            default: four = interleave_8(run, at, p->padded_run, four); break;
            }
        }
    }
}
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
