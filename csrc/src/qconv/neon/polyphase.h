/* What the parts of the polyphase kernel share. */
#ifndef MGK_QCONV_NEON_POLYPHASE_H
#define MGK_QCONV_NEON_POLYPHASE_H

#include "qconv/neon/tile.h"

enum {
    AXIS = 5, /* products of an axis */
    TAPS = 4, /* kinds of weights of an axis: g0, g0 + g2, g2, g1 */
    POSITIONS = AXIS * AXIS,
    LANES = 8,
    BLOCK = MGK_BLOCK_VECTORS * LANES,
    VECTOR = 16,
    FOURS = 4 /* of tiles, at a time */
};

typedef struct polyphase {
    mgk_direct_form form;
    mgk_patches patches;
    size_t tiles_y, tiles_x, pitch;
    size_t period[POSITIONS]; /* that is safe for any weights, in groups of 4 steps */
    size_t outside, image, sums, columns, patch_sums, inputs, products, raw, size; /* offsets in the workspace */
} polyphase;

/* Which of its kinds of weights a product of an axis takes. */
extern const size_t mgk_polyphase_tap[AXIS];

/* How many groups of 4 steps fit in bytes for any weights; 0: not even one does. */
size_t mgk_polyphase_period(const mgk_direct_form *form, size_t position);

/* The prepared weights: periods, [block of output channels][position], then the transformed weights. */
size_t mgk_polyphase_periods_size(const polyphase *d);
size_t mgk_polyphase_weights_size(const mgk_qconv *layer, const polyphase *d);
void mgk_polyphase_prepare(const mgk_qconv_weights *weights, const polyphase *d, uint8_t *section, mgk_raw *raw);

/* The transformed inputs of four tiles, interleaved: [position][pair of channels][tile][2]. */
void mgk_polyphase_inputs(const mgk_qconv *layer, const polyphase *d, const int8_t *image, size_t tile,
                          uint8_t *inputs);

#endif
