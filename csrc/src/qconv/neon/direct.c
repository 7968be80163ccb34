/* The walk of the direct kernels over pixels and output channels. */
#include "neon.h"

#if MGK_HAS_NEON
#include "qconv/neon/direct.h"

#include <string.h>

enum { PATCH_BYTES = 32768, MOST_FOURS = 32 };

typedef struct workspace {
    uint8_t *outside, *image, *patches, *raw;
    int32_t *sums, *columns, *patch_sums;
    size_t size, fours;
} workspace;

/* Of raw sums. A group's last vectors may pass the end of the next one, or of the row. */
static size_t find_pitch(const mgk_qconv *layer)
{
    size_t pitch = mgk_round_up(layer->conv.out_channels, MGK_CHANNEL_BLOCK);
    return layer->groups == 1 || (pitch != 0 && mgk_add(&pitch, MGK_CHANNEL_BLOCK)) ? pitch : 0;
}

static int lay_out(const mgk_qconv *layer, const mgk_direct *direct, uint8_t *base, workspace *w)
{
    const mgk_patches *p = &direct->patches;
    const size_t four = mgk_four_patches_size(p);
    size_t outside, image, sums, columns, patch_sums, patches, raw;
    size_t pitch = find_pitch(layer);
    w->fours = PATCH_BYTES / four;
    w->fours = w->fours < 1 ? 1 : w->fours > MOST_FOURS ? MOST_FOURS : w->fours;
    w->size = 0;
    if (pitch == 0 || !mgk_multiply(&pitch, (size_t)direct->raw_bits / 8) ||
        !mgk_take(&w->size, p->pixel, 1, &outside) || !mgk_take(&w->size, mgk_image_size(p), 1, &image) ||
        !mgk_take(&w->size, p->height * p->width, 4, &sums) || !mgk_take(&w->size, p->width, 4, &columns) ||
        !mgk_take(&w->size, layer->geometry.out_pixels + MGK_PATCHES, 4, &patch_sums) ||
        !mgk_take(&w->size, four, w->fours, &patches) || !mgk_take(&w->size, pitch, w->fours * MGK_PATCHES, &raw)) {
        return 0;
    }
    if (base != NULL) {
        w->outside = base + outside;
        w->image = base + image;
        w->sums = (int32_t *)(void *)(base + sums);
        w->columns = (int32_t *)(void *)(base + columns);
        w->patch_sums = (int32_t *)(void *)(base + patch_sums);
        w->patches = base + patches;
        w->raw = base + raw;
    }
    return 1;
}

size_t mgk_direct_workspace_size(const mgk_qconv *layer, const mgk_direct *direct)
{
    workspace w;
    return lay_out(layer, direct, NULL, &w) ? w.size : 0;
}

/* The output channels of a group; groups come in their order, as vectors of one may reach into the next. */
static void run_blocks(const mgk_qconv_run *run, const mgk_direct *direct, size_t group, mgk_tiles *tiles)
{
    const size_t block = direct->vectors * direct->lanes;
    const size_t outputs = mgk_group_outputs(run->layer);
    const size_t channels = mgk_round_up(outputs, direct->lanes);
    uint8_t *const raw = tiles->raw;
    tiles->weights = run->weights + group * channels * direct->patches.size;
    for (size_t c = 0; c < channels; c += block) {
        tiles->vectors = (channels - c < block ? channels - c : block) / direct->lanes;
        tiles->raw = raw + (group * outputs + c) * (size_t)(direct->raw_bits / 8);
        direct->tiles(tiles);
        tiles->weights += tiles->vectors * direct->lanes * direct->patches.size;
    }
    tiles->raw = raw;
}

/* The image, and what the patches' sums add to raw sums. */
static void make_image(const mgk_qconv_run *run, const mgk_direct *direct, const workspace *w)
{
    const mgk_qconv *layer = run->layer;
    const mgk_patches *p = &direct->patches;
    const size_t pixels = layer->geometry.out_pixels;
    int32_t outside_sum;
    if (layer->bipolar) {
        memset(w->outside, 0, p->pixel);
        outside_sum = 0;
    } else {
        direct->convert(layer, p, &direct->form, run->zero, 1, w->outside, &outside_sum);
    }
    mgk_make_image(run, p, direct->convert, &direct->form, w->outside, outside_sum, w->image, w->sums);
    if (direct->form.base != 0) {
        mgk_sum_patches(layer, p, w->sums, direct->form.base, w->columns, w->patch_sums);
    } else {
        memset(w->patch_sums, 0, pixels * sizeof *w->patch_sums);
    }
    memset(w->patch_sums + pixels, 0, MGK_PATCHES * sizeof *w->patch_sums);
}

void mgk_direct_run(const mgk_qconv_run *run, const mgk_direct *direct)
{
    const mgk_qconv *layer = run->layer;
    const mgk_patches *p = &direct->patches;
    const size_t pixels = layer->geometry.out_pixels;
    workspace w;
    if (!lay_out(layer, direct, run->workspace, &w)) {
        return; /* not reached: the same sizes were found before */
    }
    const int pointwise = mgk_is_pointwise(layer, direct);
    if (!pointwise) {
        make_image(run, direct, &w);
    }
    mgk_tiles tiles = {.patches = w.patches,
                       .four_size = mgk_four_patches_size(p),
                       .steps = p->size / direct->neighbours,
                       .flush = direct->flush,
                       .chunk = direct->chunk,
                       .scale = direct->form.scale,
                       .plain = direct->form.scale == 1 && direct->form.base == 0,
                       .raw = w.raw,
                       .pitch = find_pitch(layer),
                       .raw_bits = direct->raw_bits};
    for (size_t begin = 0; begin < pixels; begin += w.fours * MGK_PATCHES) {
        const size_t left = pixels - begin < w.fours * MGK_PATCHES ? pixels - begin : w.fours * MGK_PATCHES;
        tiles.fours = (left + MGK_PATCHES - 1) / MGK_PATCHES;
        tiles.bias = w.patch_sums + begin;
        for (size_t group = 0; group < layer->groups; group++) {
            for (size_t i = 0; i < tiles.fours; i++) {
                const size_t pixel = begin + i * MGK_PATCHES;
                uint8_t *four = w.patches + i * tiles.four_size;
                if (pointwise) {
                    mgk_four_points(run, direct, pixel, four, w.patch_sums + pixel);
                } else {
                    mgk_four_patches(layer, p, w.image + group * (layer->conv.in_channels / layer->groups), pixel,
                                     direct->form.complement, four);
                }
            }
            run_blocks(run, direct, group, &tiles);
        }
        if (direct->correct != NULL) {
            direct->correct(run, direct, &tiles, begin, left);
        }
        if (direct->raw_bits == 16) {
            mgk_epilogue_i16(run, (const int16_t *)tiles.raw, tiles.pitch, begin, left, 0, layer->conv.out_channels);
        } else {
            mgk_epilogue_i32(run, (const int32_t *)tiles.raw, tiles.pitch, begin, left, 0, layer->conv.out_channels);
        }
    }
}
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
