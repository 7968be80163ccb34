/* Images and patches of the direct kernels.
 *
 * The image: the codes of one image in the form a kernel multiplies (a pixel is some bytes), with the border that the
 * padding asks for. A patch: what one output pixel sees, kernel_height runs of kernel_width pixels, which are adjacent
 * in the image (with a horizontal dilation, kernel_height * kernel_width runs of one pixel), each run padded to whole
 * units. Four patches are interleaved unit by unit, [unit][4 pixels], so that LD4R broadcasts a unit of each to all
 * lanes of a register, or one load has them for products by lane. Weights have zeros where runs were padded: what stands there in a patch does not matter.
 *
 * A kernel of one pixel samples: its image has just the pixels it looks at. With groups, pixels are those of all
 * channels, and every run is one pixel's channels of a group. */
#ifndef MGK_QCONV_NEON_PATCHES_H
#define MGK_QCONV_NEON_PATCHES_H

#include "qconv/kernel.h"

enum { MGK_PATCHES = 4 };

typedef struct mgk_patches {
    size_t pixel;           /* bytes of a pixel in the image */
    size_t height, width;   /* of the image with its border, in pixels */
    size_t step_y, step_x;  /* between neighbouring outputs, in pixels of the image */
    size_t runs_y, runs_x;  /* of a patch */
    size_t run_y, run_x;    /* between neighbouring runs, in pixels of the image */
    size_t run, padded_run; /* bytes of a run, without and with its padding */
    size_t size;            /* bytes of a patch, a multiple of the unit */
    size_t unit;            /* 1, 2, 4 or 8 bytes */
} mgk_patches;

/* 0 where a size overflows. */
int mgk_find_patches(const mgk_qconv *layer, size_t pixel, size_t unit, mgk_patches *patches);

/* Where element (ky, kx, channel) of a weight row is: the run it is in, and its first byte there for a channel 0. */
size_t mgk_patch_tap(const mgk_patches *patches, const mgk_qconv *layer, size_t ky, size_t kx);

/* Bytes of the image, and of four interleaved patches, both with what their writers and readers touch beyond. */
size_t mgk_image_size(const mgk_patches *patches);
size_t mgk_four_patches_size(const mgk_patches *patches);

/* Writes `pixels` pixels of the image, and the sum of each one's channels in the form they are multiplied. */
struct mgk_direct_form;
typedef void mgk_convert(const mgk_qconv *layer, const mgk_patches *patches, const struct mgk_direct_form *form,
                         const uint8_t *codes, size_t pixels, uint8_t *image, int32_t *sums);

/* The image, and the channel sums of its pixels; outside holds one pixel as convert would write it. */
void mgk_make_image(const mgk_qconv_run *run, const mgk_patches *patches, mgk_convert *convert,
                    const struct mgk_direct_form *form, const uint8_t *outside, int32_t outside_sum, uint8_t *image,
                    int32_t *sums);

/* scale times the sum of the channel sums a patch covers, for every output pixel, behind them `columns` of scratch:
 * patches->width sums. */
void mgk_sum_patches(const mgk_qconv *layer, const mgk_patches *patches, const int32_t *sums, int32_t scale,
                     int32_t *columns, int32_t *patch_sums);

/* Patches of the output pixels from pixel on; those beyond the last pixel are copies of the last one's. complement: of
 * each unit of 4 bytes, the third and the fourth are complemented. */
void mgk_four_patches(const mgk_qconv *layer, const mgk_patches *patches, const uint8_t *image, size_t pixel,
                      int complement, uint8_t *four);

#endif
