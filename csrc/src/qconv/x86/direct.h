/* The direct convolution: every shape, encoding and width, with groups that are no narrower than a few channels.
 *
 * Codes are read from a padded image, where the border has the zero codes, so that
 *     sum of w (a - zero) = sum of w a - sum of w zero,   and the second is a constant, where sums start.
 * Bipolar codes b become 2 b, with a zero of 1: 2 b - 1. A kernel's row is one run of bytes where nothing is between its
 * taps, else each tap is one. Runs are padded to QUAD with weights of zero: what is read there does not matter.
 * Weights beyond a byte, which have 8 bits, are stored as bytes s, w = scale s + shift: odd ones 2 s + 1. Then
 *     sum of w (a - zero) = scale (sum of s a - sum of s zero) + shift (sum of a - sum of zero),
 * and the sum of a window's a is the same for all output channels.
 *
 * Where AVX2 would flush sums of bytes too often, both operands are int16 instead, which hold all weights as they are:
 * half as many products an instruction, but nothing else. */
#ifndef MGK_QCONV_X86_DIRECT_H
#define MGK_QCONV_X86_DIRECT_H

#include "qconv/x86/products.h"

enum { PIXELS = 96 }; /* whose sums are finished together */

typedef struct direct {
    size_t group_in, group_out; /* channels of a group */
    size_t runs_y, runs_x, runs;
    size_t code_size;        /* 1, or 2: codes and weights are int16 */
    size_t run_bytes, quads; /* of a run, and rounded up to QUAD */
    int32_t scale, shift;
    size_t flush; /* 0 with int16 */
    int copies;   /* is there a padded image */
} direct;

/* 0: the layer is none for this kernel. */
int X86(direct_plan)(const mgk_qconv *layer, direct *plan);

/* Writes the padded image, and what may be read behind it. */
void X86(direct_image)(const mgk_qconv_run *run, const direct *plan, uint8_t *to);

size_t X86(direct_weights_size)(const mgk_qconv *layer);
void X86(direct_prepare)(const mgk_qconv_weights *weights, uint8_t *section, mgk_raw *raw);

#endif
