/* What the direct kernels share: patches of four pixels times blocks of output channels.
 *
 * A kernel stores weights and activations shifted, so that products are small:
 *     weight = scale * stored + base,     activation = code - zero of its channel = value + centre - zero,
 * where value, what the image holds, is code - centre; the border holds the channel's code of zero. Then
 *     accumulator = sum of weight * value + sum of weight * (centre - zero)
 *                 = scale * sum of stored * value + base * sum of value + offset[out channel],
 * and the raw sum is the first two terms: a product of matrices, and one sum a pixel. Where a value is stored as its
 * complement, scale * stored is added to the raw sum, and taken off the offset. */
#ifndef MGK_QCONV_NEON_DIRECT_H
#define MGK_QCONV_NEON_DIRECT_H

#include "qconv/neon/patches.h"

typedef struct mgk_direct_form {
    int32_t scale, base, centre;
    int32_t stored_low, stored_high; /* of a weight */
    int32_t value_low, value_high;   /* of an activation */
    int32_t product_low, product_high;
    int32_t term_low, term_high; /* of weight * value */
    int complement; /* 1: of every four bytes of a patch the third and the fourth are ~value, see smlal.c */
} mgk_direct_form;

/* The most a number of terms may be: sums of so many stay within [-2^(bits - 1), 2^(bits - 1)). */
size_t mgk_most_products(const mgk_direct_form *form, int bits);

/* One block of output channels and some fours of patches. */
typedef struct mgk_tiles {
    const uint8_t *weights; /* [step][vector][lanes][neighbours in a patch] */
    const uint8_t *patches;
    size_t fours, four_size;
    size_t steps;        /* of as many bytes of a patch as there are neighbours */
    size_t vectors;      /* 1 to 4 */
    size_t flush, chunk; /* steps whose sums fit in the narrow lanes, and in 16-bit ones */
    int scale;
    int plain;           /* scale is 1 and there is no bias */
    const int32_t *bias; /* base * patch sum, one a pixel */
    void *raw;           /* int16 or int32, (pixels, pitch) */
    size_t pitch;
    int raw_bits;
} mgk_tiles;

typedef void mgk_run_tiles(const mgk_tiles *tiles);

typedef struct mgk_direct {
    size_t unit;       /* bytes of a patch that are interleaved as one */
    size_t lanes;      /* output channels of a vector of weights, */
    size_t neighbours; /* and bytes of a patch of each */
    size_t vectors;    /* of a block of output channels */
    size_t flush, chunk;
    mgk_direct_form form;
    mgk_patches patches;
    mgk_convert *convert;
    mgk_run_tiles *tiles;
    int raw_bits;
    /* NULL, or what raw sums of the pixels from begin on still lack */
    void (*correct)(const mgk_qconv_run *run, const struct mgk_direct *direct, const mgk_tiles *tiles, size_t begin,
                    size_t pixels);
} mgk_direct;

enum { MGK_BLOCK_VECTORS = 4 };

/* The layer's form where operands are signed bytes: with the smallest products there are, and with the weights as they
 * are where these are bytes. */
void mgk_find_byte_form(const mgk_qconv *layer, mgk_direct_form *form);
void mgk_find_plain_form(const mgk_qconv *layer, mgk_direct_form *form);

/* Bounds of raw sums, and 16 or 32. */
int mgk_direct_raw(const mgk_qconv *layer, const mgk_direct_form *form, int32_t *low, int32_t *high);

/* Room for count elements in a workspace of which *used bytes are taken; 0 where that overflows. */
static inline int mgk_take(size_t *used, size_t count, size_t element, size_t *offset)
{
    *offset = *used;
    const int fits = mgk_multiply(&count, element) && mgk_add(used, count);
    *used = mgk_round_up(*used, MGK_WORKSPACE_ALIGNMENT);
    return fits && *used != 0;
}

/* Output channels of a group. */
static inline size_t mgk_group_outputs(const mgk_qconv *layer)
{
    return layer->conv.out_channels / layer->groups;
}

/* Whether the walk takes the layer's groups: one, or several of some channels each where patches have no sums to add. */
static inline int mgk_takes_groups(const mgk_qconv *layer, const mgk_direct_form *form)
{
    return layer->groups == 1 || (form->base == 0 && layer->conv.in_channels > layer->groups);
}

/* The members of a kernel's record, given what its own find function filled in. */
size_t mgk_direct_weights_size(const mgk_qconv *layer, const mgk_direct *direct);
/* Where a byte of a patch, for an output channel, is among the weights. */
size_t mgk_direct_find_weight(const mgk_qconv *layer, const mgk_direct *direct, size_t out, size_t byte);
size_t mgk_direct_workspace_size(const mgk_qconv *layer, const mgk_direct *direct);
void mgk_direct_prepare_bytes(const mgk_qconv_weights *weights, const mgk_direct *direct, uint8_t *section,
                              mgk_raw *raw);
void mgk_direct_run(const mgk_qconv_run *run, const mgk_direct *direct);

/* Kernels of one pixel on whole vectors of channels: the patches of four pixels, and base times the sum of each. */
int mgk_is_pointwise(const mgk_qconv *layer, const mgk_direct *direct);
void mgk_four_points(const mgk_qconv_run *run, const mgk_direct *direct, size_t pixel, uint8_t *four, int32_t *sums);

/* value = code - centre (bipolar: 2 code - 1), one byte a channel. */
mgk_convert mgk_centre;
/* Codes of one bit, eight channels a byte; the sums are counts of ones. */
mgk_convert mgk_pack_bits;

/* A kernel's record, from its function find(layer, direct), which says whether it takes a layer and plans for it. */
#define MGK_DIRECT_KERNEL(symbol, name, path)                                             \
    static int takes(const mgk_qconv *layer)                                              \
    {                                                                                     \
        mgk_direct direct;                                                                \
        return find(layer, &direct);                                                      \
    }                                                                                     \
    static size_t weights_size(const mgk_qconv *layer)                                    \
    {                                                                                     \
        mgk_direct direct;                                                                \
        return find(layer, &direct) ? mgk_direct_weights_size(layer, &direct) : 0;        \
    }                                                                                     \
    static size_t workspace_size(const mgk_qconv *layer)                                  \
    {                                                                                     \
        mgk_direct direct;                                                                \
        return find(layer, &direct) ? mgk_direct_workspace_size(layer, &direct) : 0;      \
    }                                                                                     \
    static void prepare(const mgk_qconv_weights *weights, uint8_t *section, mgk_raw *raw) \
    {                                                                                     \
        mgk_direct direct;                                                                \
        if (find(weights->layer, &direct)) {                                              \
            mgk_direct_prepare_bytes(weights, &direct, section, raw);                     \
        }                                                                                 \
    }                                                                                     \
    static void run(const mgk_qconv_run *image)                                           \
    {                                                                                     \
        mgk_direct direct;                                                                \
        if (find(image->layer, &direct)) {                                                \
            mgk_direct_run(image, &direct);                                               \
        }                                                                                 \
    }                                                                                     \
    const mgk_qconv_kernel symbol = {name, path, takes, weights_size, prepare, workspace_size, run}

#endif
