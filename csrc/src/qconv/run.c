/* Running a prepared layer: arguments, and the loop over images. */
#include "qconv/layer.h"

#include "overlap.h"
#include "qconv/epilogue.h"

size_t mgk_qconv2d_workspace_size(const void *prepared, size_t prepared_size)
{
    mgk_prepared layer;
    return mgk_read_prepared(prepared, prepared_size, &layer) == MGK_OK ? layer.workspace_size : 0;
}

unsigned mgk_qconv2d_kernel_of(const void *prepared, size_t prepared_size)
{
    mgk_prepared layer;
    return mgk_read_prepared(prepared, prepared_size, &layer) == MGK_OK ? layer.kernel : 0;
}

static size_t element_size(mgk_output output)
{
    switch (output) {
    case MGK_ACCUMULATORS: return sizeof(int32_t);
    case MGK_REQUANTIZE_I16: return sizeof(int16_t);
    default: return sizeof(uint8_t);
    }
}

mgk_status mgk_qconv2d_run(const void *prepared, size_t prepared_size, const uint8_t *codes, size_t codes_size,
                           void *out, size_t out_size, size_t image_begin, size_t image_end, void *workspace,
                           size_t workspace_size)
{
    if (prepared == NULL || codes == NULL || out == NULL || workspace == NULL) {
        return MGK_NULL_POINTER;
    }
    mgk_prepared p;
    const mgk_status status = mgk_read_prepared(prepared, prepared_size, &p);
    if (status != MGK_OK) {
        return status;
    }
    const mgk_qconv *layer = &p.layer;
    if (image_begin > image_end || image_end > layer->conv.images) {
        return MGK_BAD_RANGE;
    }
    const size_t element = element_size(layer->output); /* geometry.c has seen that none of these products overflows */
    const size_t image_in = layer->geometry.image_size;
    const size_t image_out = layer->geometry.out_size * element;
    const size_t all_in = layer->conv.images * image_in;
    const size_t all_out = layer->conv.images * image_out;
    if (codes_size < all_in || out_size < all_out || workspace_size < p.workspace_size) {
        return MGK_BUFFER_TOO_SMALL;
    }
    if (!mgk_is_aligned(out, element) || !mgk_is_aligned(workspace, MGK_ALIGNMENT)) {
        return MGK_MISALIGNED;
    }
    const mgk_array arrays[] = {{out, all_out}, {workspace, p.workspace_size}, {codes, all_in}, {prepared, p.size}};
    if (!mgk_are_apart(arrays, 4, 2)) {
        return MGK_OVERLAP;
    }
    codes += image_begin * image_in;
    if (!mgk_codes_fit(codes, (image_end - image_begin) * image_in, layer->activation_bits)) {
        return MGK_BAD_CODE;
    }

    const uint8_t *sections = prepared;
    mgk_prepared_epilogue epilogue;
    mgk_find_epilogue(layer, p.raw_bits, p.close, sections + p.epilogue, &epilogue);
    /* The room for alignment is in front, so that what a kernel writes ends where the workspace ends. */
    uint8_t *aligned = (uint8_t *)workspace + MGK_WORKSPACE_ALIGNMENT;
    aligned -= (uintptr_t)aligned % MGK_WORKSPACE_ALIGNMENT;
    mgk_qconv_run run = {
        layer,  sections + p.weights, sections + p.zero, codes, &epilogue, (uint8_t *)out + image_begin * image_out,
        aligned};
    for (size_t i = image_begin; i < image_end; i++) {
        mgk_kernel(p.kernel)->run(&run);
        run.codes += image_in;
        run.out = (uint8_t *)run.out + image_out;
    }
    return MGK_OK;
}
