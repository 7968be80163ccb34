/* 3x3 convolutions of low-bit codes by the exact Winograd transform (winograd.h).
 *
 * For each block of rows of tiles: transform the activations of all channels; for each block of 32 output channels: for
 * each 24 tiles and each chunk of channels, the products of the 16 positions, then the output transform; then the
 * epilogue of the block's pixels. A position's weights stay in the first-level cache while the groups pass. */
#include "qconv/neon/winograd_job.h"

#if MGK_HAS_NEON

/* Takes size bytes at a multiple of 64; 0 where that overflows. */
static int place(winograd_buffers *b, size_t *offset, size_t size)
{
    *offset = b->size;
    size = mgk_round_up(size, MGK_WORKSPACE_ALIGNMENT);
    return size != 0 && mgk_add(&b->size, size);
}

static int lay_out(const mgk_qconv *layer, const winograd *plan, winograd_buffers *b)
{
    b->size = 0;
    b->tiles = plan->rows_per_block;
    if (!mgk_multiply(&b->tiles, plan->tiles_x)) {
        return 0;
    }
    const size_t groups = (b->tiles + WINOGRAD_GROUP - 1) / WINOGRAD_GROUP;
    size_t v = WINOGRAD_GROUP * WINOGRAD_POSITIONS;
    size_t raw = 2 * WINOGRAD_LANES * sizeof(int32_t);
    size_t corners = 4 * sizeof(int32_t);
    size_t list = sizeof(winograd_tile);
    return mgk_multiply(&v, groups) && mgk_multiply(&v, plan->channels) && mgk_multiply(&raw, plan->rows_per_block) &&
           mgk_multiply(&raw, layer->geometry.out_width) && mgk_multiply(&corners, b->tiles) &&
           mgk_multiply(&list, b->tiles) && place(b, &b->strip, mgk_winograd_strip_size(plan)) && place(b, &b->v, v) &&
           place(b, &b->m, WINOGRAD_SUB_BLOCK * WINOGRAD_TILE * sizeof(int32_t)) && place(b, &b->raw, raw) &&
           place(b, &b->nowhere, WINOGRAD_LANES * sizeof(int32_t)) && place(b, &b->corners, corners) &&
           place(b, &b->list, list) && place(b, &b->needs, groups);
}

/* Some rows of tiles, of all the rows of the image: first to first + rows. */
typedef struct block {
    size_t first, rows;
    size_t pixel_rows;
    size_t tiles;
} block;

static winograd_tile *add_tiles(winograd_tile *list, size_t y_begin, size_t y_end, size_t x_begin, size_t x_end)
{
    for (size_t y = y_begin; y < y_end; y++) {
        for (size_t x = x_begin; x < x_end; x++) {
            list->y = (uint32_t)y;
            list->x = (uint32_t)x;
            list++;
        }
    }
    return list;
}

/* The tiles of a block: those with four outputs, then the last column, the last row and its end where the image's sides
 * are odd, so that groups lack the same outputs. */
static void list_tiles(const block *b, size_t width, size_t tiles_x, winograd_tile *list)
{
    list = add_tiles(list, 0, b->pixel_rows / 2, 0, width / 2);
    list = add_tiles(list, 0, b->pixel_rows / 2, width / 2, tiles_x);
    list = add_tiles(list, b->pixel_rows / 2, b->rows, 0, width / 2);
    (void)add_tiles(list, b->pixel_rows / 2, b->rows, width / 2, tiles_x);
}

static uint8_t find_needs(const block *b, size_t width, const winograd_tile *tiles, size_t count)
{
    int needs = WINOGRAD_NEED;
    for (size_t t = 0; t < count; t++) {
        const int row = 2 * (size_t)tiles[t].y + 1 < b->pixel_rows;
        const int column = 2 * (size_t)tiles[t].x + 1 < width;
        needs |= (row ? WINOGRAD_NEED_ROW : 0) | (column ? WINOGRAD_NEED_COLUMN : 0) |
                 (row && column ? WINOGRAD_NEED_CORNER : 0);
    }
    return (uint8_t)needs;
}

/* All output channels of a block of tiles. */
static void run_block(const winograd_job *j, const block *b)
{
    const mgk_qconv *layer = j->run->layer;
    const uint8_t *schedules = j->run->weights;
    const int8_t *weights = (const int8_t *)schedules + mgk_winograd_schedules_size(&j->plan);
    winograd_raw raw;
    raw.raw = j->run->workspace + j->at.raw;
    raw.nowhere = j->run->workspace + j->at.nowhere;
    raw.rows = b->pixel_rows;
    raw.width = layer->geometry.out_width;
    for (size_t c = 0; c < j->plan.out_channels; c += WINOGRAD_LANES) {
        raw.lanes = mgk_winograd_lanes(&j->plan, c);
        for (size_t first = 0; first < b->tiles; first += WINOGRAD_SUB_BLOCK) {
            const size_t left = b->tiles - first;
            mgk_winograd_run_sub_block(j, weights, schedules, first,
                                       left < WINOGRAD_SUB_BLOCK ? left : WINOGRAD_SUB_BLOCK, &raw);
        }
        schedules += WINOGRAD_POSITIONS * j->plan.chunks;
        weights += WINOGRAD_POSITIONS * j->plan.channels * raw.lanes;

        const size_t channels = layer->conv.out_channels - c < raw.lanes ? layer->conv.out_channels - c : raw.lanes;
        const size_t pixel = 2 * b->first * raw.width;
        const size_t pixels = raw.rows * raw.width;
        if (j->plan.raw_bits == 16) {
            mgk_epilogue_i16(j->run, raw.raw, raw.lanes, pixel, pixels, c, channels);
        } else {
            mgk_epilogue_i32(j->run, raw.raw, raw.lanes, pixel, pixels, c, channels);
        }
    }
}

/* The transformed activations of a block. */
static void transform_block(const winograd_job *j, const block *b)
{
    uint8_t *workspace = j->run->workspace;
    const size_t width = j->run->layer->geometry.out_width;
    winograd_tile *list = (winograd_tile *)(void *)(workspace + j->at.list);
    int32_t (*corners)[4] = (int32_t (*)[4])(void *)(workspace + j->at.corners);
    uint8_t *needs = workspace + j->at.needs;
    int8_t *v = (int8_t *)workspace + j->at.v;
    list_tiles(b, width, j->plan.tiles_x, list);
    mgk_winograd_pad(j->run, &j->plan, b->first, b->rows, workspace + j->at.strip);
    for (size_t t = 0; t < b->tiles; t += WINOGRAD_GROUP) {
        const size_t count = b->tiles - t < WINOGRAD_GROUP ? b->tiles - t : WINOGRAD_GROUP;
        *needs++ = find_needs(b, width, list + t, count);
        mgk_winograd_input(&j->plan, workspace + j->at.strip, list + t, count, v, corners + t);
        v += WINOGRAD_GROUP * WINOGRAD_POSITIONS * j->plan.channels;
    }
}

static void run_layer(const mgk_qconv_run *run, int depth)
{
    winograd_job j;
    j.run = run;
    (void)mgk_winograd_plan(run->layer, depth, &j.plan);
    (void)lay_out(run->layer, &j.plan, &j.at);
    block b;
    for (b.first = 0; b.first < j.plan.tiles_y; b.first += b.rows) {
        const size_t left = j.plan.tiles_y - b.first;
        const size_t pixels_left = run->layer->geometry.out_height - 2 * b.first;
        b.rows = left < j.plan.rows_per_block ? left : j.plan.rows_per_block;
        b.pixel_rows = 2 * b.rows < pixels_left ? 2 * b.rows : pixels_left;
        b.tiles = b.rows * j.plan.tiles_x;
        transform_block(&j, &b);
        run_block(&j, &b);
    }
}

static int takes_layer(const mgk_qconv *layer, int depth)
{
    winograd plan;
    return mgk_winograd_plan(layer, depth, &plan);
}

static size_t find_weights_size(const mgk_qconv *layer, int depth)
{
    winograd plan;
    return mgk_winograd_plan(layer, depth, &plan) ? mgk_winograd_weights_size(&plan) : 0;
}

static void prepare_layer(const mgk_qconv_weights *weights, int depth, uint8_t *section, mgk_raw *raw)
{
    winograd plan;
    (void)mgk_winograd_plan(weights->layer, depth, &plan);
    mgk_winograd_prepare(weights, &plan, section, raw);
}

static size_t find_workspace_size(const mgk_qconv *layer, int depth)
{
    winograd plan;
    winograd_buffers b;
    return mgk_winograd_plan(layer, depth, &plan) && lay_out(layer, &plan, &b) ? b.size : 0;
}

#define DEFINE_KERNEL(kernel, name, path, depth)                                                               \
    static int takes_##depth(const mgk_qconv *layer)                                                           \
    {                                                                                                          \
        return takes_layer(layer, depth);                                                                      \
    }                                                                                                          \
    static size_t weights_size_##depth(const mgk_qconv *layer)                                                 \
    {                                                                                                          \
        return find_weights_size(layer, depth);                                                                \
    }                                                                                                          \
    static void prepare_##depth(const mgk_qconv_weights *weights, uint8_t *section, mgk_raw *raw)              \
    {                                                                                                          \
        prepare_layer(weights, depth, section, raw);                                                           \
    }                                                                                                          \
    static size_t workspace_size_##depth(const mgk_qconv *layer)                                               \
    {                                                                                                          \
        return find_workspace_size(layer, depth);                                                              \
    }                                                                                                          \
    static void run_##depth(const mgk_qconv_run *run)                                                          \
    {                                                                                                          \
        run_layer(run, depth);                                                                                 \
    }                                                                                                          \
    const mgk_qconv_kernel kernel = {                                                                          \
        name, path, takes_##depth, weights_size_##depth, prepare_##depth, workspace_size_##depth, run_##depth, \
    };

DEFINE_KERNEL(mgk_qconv_neon_winograd, "neon-winograd", MGK_NEON, 2)
#if MGK_HAS_DOTPROD
DEFINE_KERNEL(mgk_qconv_dotprod_winograd, "dotprod-winograd", MGK_DOTPROD, 4)
#endif
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
