/* A convolution with its buffers, each of exactly the size the library asks for. */
#ifndef MGK_TEST_CONV_CASE_H
#define MGK_TEST_CONV_CASE_H

#include <string.h>

#include "check.h"

typedef struct conv_case {
    mgk_conv2d conv;
    unsigned weight_bits, activation_bits;
    size_t out_height, out_width, row_length, inputs, outputs;
    uint8_t *weight_codes, *packed, *prepared, *codes, *zero, *workspace;
    int32_t *accumulators;
    size_t packed_size, prepared_size, workspace_size;
} conv_case;

static inline conv_case make_case(mgk_path path, mgk_conv2d conv, unsigned weight_bits, unsigned activation_bits)
{
    conv_case k = {.conv = conv, .weight_bits = weight_bits, .activation_bits = activation_bits};
    CHECK_STATUS(MGK_OK, mgk_conv2d_output(&conv, &k.out_height, &k.out_width));
    k.row_length = conv.kernel_height * conv.kernel_width * conv.in_channels;
    k.inputs = conv.images * conv.height * conv.width * conv.in_channels;
    k.outputs = conv.images * k.out_height * k.out_width * conv.out_channels;
    k.packed_size = mgk_packed_size(conv.out_channels, k.row_length, weight_bits);
    k.prepared_size = mgk_qconv2d_prepared_size(path, &conv, weight_bits);
    k.workspace_size = mgk_qconv2d_workspace(path, &conv);
    CHECK(k.packed_size > 0 && k.prepared_size > 0 && k.workspace_size > 0);
    k.weight_codes = allocate(conv.out_channels * k.row_length);
    k.packed = allocate(k.packed_size);
    k.prepared = allocate(k.prepared_size);
    k.codes = allocate(k.inputs);
    k.zero = allocate(conv.in_channels);
    k.workspace = allocate(k.workspace_size);
    k.accumulators = allocate(k.outputs * sizeof(int32_t));
    fill_codes(k.weight_codes, conv.out_channels * k.row_length, weight_bits);
    fill_codes(k.codes, k.inputs, activation_bits);
    fill_codes(k.zero, conv.in_channels, activation_bits);
    memset(k.accumulators, 0x55, k.outputs * sizeof(int32_t));
    return k;
}

static inline void free_case(conv_case *k)
{
    free(k->weight_codes);
    free(k->packed);
    free(k->prepared);
    free(k->codes);
    free(k->zero);
    free(k->workspace);
    free(k->accumulators);
}

static inline void prepare_case(mgk_path path, conv_case *k)
{
    CHECK_STATUS(MGK_OK, mgk_pack(k->weight_codes, k->conv.out_channels, k->row_length, k->weight_bits, k->packed,
                                  k->packed_size));
    CHECK_STATUS(MGK_OK, mgk_qconv2d_prepare(path, &k->conv, k->weight_bits, k->packed, k->packed_size, k->prepared,
                                             k->prepared_size));
}

static inline mgk_status run_case(mgk_path path, const conv_case *k, const uint8_t *zero)
{
    return mgk_qconv2d(path, &k->conv, k->weight_bits, k->prepared, k->prepared_size, k->activation_bits, k->codes,
                       zero, k->accumulators, 0, k->conv.images, k->workspace, k->workspace_size);
}

#endif
