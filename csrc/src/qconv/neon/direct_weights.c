/* Weights of the direct kernels: bytes, block by block of output channels. */
#include "neon.h"

#if MGK_HAS_NEON
#include "qconv/neon/direct.h"

size_t mgk_direct_weights_size(const mgk_qconv *layer, const mgk_direct *direct)
{
    size_t size = mgk_round_up(mgk_group_outputs(layer), direct->lanes);
    return size != 0 && mgk_multiply(&size, direct->patches.size) && mgk_multiply(&size, layer->groups) ? size : 0;
}

size_t mgk_direct_find_weight(const mgk_qconv *layer, const mgk_direct *direct, size_t out, size_t byte)
{
    const size_t block = direct->vectors * direct->lanes;
    const size_t neighbours = direct->neighbours;
    const size_t group = out / mgk_group_outputs(layer);
    const size_t padded = mgk_round_up(mgk_group_outputs(layer), direct->lanes);
    out %= mgk_group_outputs(layer);
    const size_t first = out / block * block;
    const size_t left = padded - first;
    const size_t width = left < block ? left : block;
    return (group * padded + first) * direct->patches.size + (byte / neighbours * width + (out - first)) * neighbours +
           byte % neighbours;
}

void mgk_direct_prepare_bytes(const mgk_qconv_weights *weights, const mgk_direct *direct, uint8_t *section,
                              mgk_raw *raw)
{
    const mgk_qconv *layer = weights->layer;
    const mgk_conv2d *c = &layer->conv;
    const mgk_direct_form *form = &direct->form;
    mgk_direct_raw(layer, form, &raw->low, &raw->high);
    raw->bits = direct->raw_bits;
    for (size_t out = 0; out < c->out_channels; out++) {
        const size_t channels = c->in_channels / layer->groups;
        const uint8_t *zero = weights->zero + out / mgk_group_outputs(layer) * channels;
        size_t element = 0;
        int32_t offset = 0;
        for (size_t ky = 0; ky < c->kernel_height; ky++) {
            for (size_t kx = 0; kx < c->kernel_width; kx++) {
                const size_t tap = mgk_patch_tap(&direct->patches, layer, ky, kx);
                for (size_t i = 0; i < channels; i++) {
                    const int32_t weight = mgk_weight(weights, out, element++);
                    const int32_t stored = (weight - form->base) / form->scale;
                    section[mgk_direct_find_weight(layer, direct, out, tap + i)] = (uint8_t)stored;
                    offset += weight * (form->centre - (layer->has_zero ? zero[i] : 0));
                    if (form->complement && (tap + i) % 4 >= 2) {
                        offset -= form->scale * stored;
                    }
                }
            }
        }
        raw->offset[out] = offset;
    }
}
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
