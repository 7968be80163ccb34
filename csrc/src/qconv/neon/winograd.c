/* 3x3 convolutions of low-bit codes by the exact Winograd transform (winograd.h).
 *
 * For each block of rows of tiles: transform the activations of all channels; for each block of 32 output channels: for
 * each 24 tiles and each chunk of channels, the products of the 16 positions, then the output transform; then the
 * epilogue of the block's pixels. A position's weights stay in the first-level cache while the groups pass. */
#include "qconv/neon/winograd_multiply.h"
#include "qconv/neon/winograd_transform.h"

#if defined(__aarch64__)

/* What of a group of tiles is needed: those positions whose sums no output in the image reads are skipped. */
enum { NEED_ALWAYS = 1, NEED_ROW = 2, NEED_COLUMN = 4, NEED_CORNER = 8 };

typedef struct buffers {
    size_t tiles; /* of a block at most */
    size_t v, m, raw, corners, list, needs, patch, size;
} buffers;

/* Takes size bytes at a multiple of 64; 0 where that overflows. */
static int place(buffers *b, size_t *offset, size_t size)
{
    *offset = b->size;
    size = mgk_round_up(size, MGK_WORKSPACE_ALIGNMENT);
    return size != 0 && mgk_add(&b->size, size);
}

static int lay_out(const mgk_qconv *layer, const winograd *plan, buffers *b)
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
           mgk_multiply(&list, b->tiles) && place(b, &b->v, v) &&
           place(b, &b->m, WINOGRAD_POSITIONS * WINOGRAD_STRIDE * sizeof(int32_t)) && place(b, &b->raw, raw) &&
           place(b, &b->corners, corners) && place(b, &b->list, list) && place(b, &b->needs, groups) &&
           place(b, &b->patch, mgk_winograd_patch_size(plan));
}

static size_t find_workspace_size(const mgk_qconv *layer)
{
    winograd plan;
    buffers b;
    return mgk_winograd_plan(layer, &plan) && lay_out(layer, &plan, &b) ? b.size : 0;
}

static int takes(const mgk_qconv *layer)
{
    winograd plan;
    return mgk_winograd_plan(layer, &plan);
}

static size_t add_tiles(winograd_tile *list, size_t count, size_t y_begin, size_t y_end, size_t x_begin, size_t x_end)
{
    for (size_t y = y_begin; y < y_end; y++) {
        for (size_t x = x_begin; x < x_end; x++) {
            list[count].y = y;
            list[count].x = x;
            count++;
        }
    }
    return count;
}

/* The tiles of some rows: those with four outputs, then the last column, the last row and its end where the image's
 * sides are odd, so that groups lack the same outputs. */
static size_t list_tiles(const mgk_qconv *layer, const winograd *plan, size_t y_begin, size_t y_end,
                         winograd_tile *list)
{
    const size_t full_x = layer->geometry.out_width / 2;
    const size_t full_y = layer->geometry.out_height / 2 < y_end ? layer->geometry.out_height / 2 : y_end;
    size_t count = add_tiles(list, 0, y_begin, full_y, 0, full_x);
    count = add_tiles(list, count, y_begin, full_y, full_x, plan->tiles_x);
    count = add_tiles(list, count, full_y, y_end, 0, full_x);
    return add_tiles(list, count, full_y, y_end, full_x, plan->tiles_x);
}

static uint8_t find_needs(const mgk_qconv *layer, const winograd_tile *tiles, size_t count)
{
    int needs = NEED_ALWAYS;
    for (size_t t = 0; t < count; t++) {
        const int row = 2 * tiles[t].y + 1 < layer->geometry.out_height;
        const int column = 2 * tiles[t].x + 1 < layer->geometry.out_width;
        needs |= (row ? NEED_ROW : 0) | (column ? NEED_COLUMN : 0) | (row && column ? NEED_CORNER : 0);
    }
    return (uint8_t)needs;
}

static uint8_t find_need(size_t position)
{
    const int row = position / 4 == 3;
    const int column = position % 4 == 3;
    return row && column ? NEED_CORNER : row ? NEED_ROW : column ? NEED_COLUMN : NEED_ALWAYS;
}

/* One image, one layer. */
typedef struct job {
    const mgk_qconv_run *run;
    winograd plan;
    buffers at;
} job;

static void multiply(const winograd *plan, const winograd_product *product, unsigned schedule, size_t position)
{
    if (schedule != WINOGRAD_WIDE_SCHEDULE) {
        mgk_winograd_multiply_bytes(product, schedule);
    } else if (plan->wide) {
        mgk_winograd_multiply_words(product, plan->wide_pairs[mgk_winograd_class(position)] / 8 * 8);
    } else {
        mgk_winograd_multiply_halves(product);
    }
}

/* Some groups that follow each other, one position and chunk. product has what does not depend on them. */
static void multiply_run(const job *j, winograd_product product, const int8_t *v, size_t first_channel,
                         size_t position, size_t begin, size_t end, size_t tiles, unsigned schedule)
{
    const size_t sum_bytes = j->plan.wide ? sizeof(int32_t) : sizeof(int16_t);
    product.tiles = tiles;
    product.groups = end - begin;
    product.v = v + begin * product.stride + (position * j->plan.channels + first_channel) * tiles;
    product.m = (uint8_t *)product.m +
                (position * WINOGRAD_STRIDE + begin * WINOGRAD_GROUP * product.lanes) * sum_bytes;
    multiply(&j->plan, &product, schedule, position);
}

/* One position of a sub-block: of the groups that need it, those that follow each other together. */
static void multiply_position(const job *j, const winograd_product *product, const int8_t *v, size_t first_channel,
                              size_t position, const uint8_t *needs, size_t tiles, unsigned schedule)
{
    const uint8_t need = find_need(position);
    const size_t full = tiles / WINOGRAD_GROUP;
    const size_t rest = tiles % WINOGRAD_GROUP;
    for (size_t begin = 0; begin < full;) {
        size_t end = begin;
        while (end < full && (needs[end] & need) != 0) {
            end++;
        }
        if (end > begin) {
            multiply_run(j, *product, v, first_channel, position, begin, end, WINOGRAD_GROUP, schedule);
        }
        begin = end + 1;
    }
    if (rest != 0 && (needs[full] & need) != 0) {
        multiply_run(j, *product, v, first_channel, position, full, full + 1, rest, schedule);
    }
}

/* Raw sums of one block of output channels and at most SUB_BLOCK tiles from `first` on. weights and schedules are those
 * of the block. */
static void run_sub_block(const job *j, const int8_t *weights, const uint8_t *schedules, size_t first, size_t tiles,
                          winograd_raw *raw)
{
    uint8_t *workspace = j->run->workspace;
    const size_t group = first / WINOGRAD_GROUP;
    winograd_product product;
    product.lanes = raw->lanes;
    product.stride = WINOGRAD_GROUP * WINOGRAD_POSITIONS * j->plan.channels;
    product.m = workspace + j->at.m;
    const int8_t *v = (const int8_t *)workspace + j->at.v + group * product.stride;
    for (raw->chunk = 0; raw->chunk < j->plan.chunks; raw->chunk++) {
        const size_t channels = mgk_winograd_chunk(&j->plan, raw->chunk);
        product.pairs = channels / 2;
        for (size_t position = 0; position < WINOGRAD_POSITIONS; position++) {
            product.w = weights;
            multiply_position(j, &product, v, raw->chunk * j->plan.chunk, position, workspace + j->at.needs + group,
                              tiles, *schedules++);
            weights += channels * raw->lanes;
        }
        mgk_winograd_output(j->run, &j->plan, product.m, (const winograd_tile *)(void *)(workspace + j->at.list) + first,
                            tiles, (int32_t(*)[4])(void *)(workspace + j->at.corners) + first, raw);
    }
}

/* All output channels of `tiles` tiles, rows of pixels first_row to end_row. */
static void run_block(const job *j, size_t tiles, size_t first_row, size_t end_row)
{
    const mgk_qconv *layer = j->run->layer;
    const uint8_t *schedules = j->run->weights;
    const int8_t *weights = (const int8_t *)schedules + mgk_winograd_schedules_size(&j->plan);
    const size_t out_width = layer->geometry.out_width;
    winograd_raw raw;
    raw.raw = j->run->workspace + j->at.raw;
    raw.first_row = first_row;
    for (size_t c = 0; c < j->plan.out_channels; c += WINOGRAD_LANES) {
        raw.lanes = mgk_winograd_lanes(&j->plan, c);
        for (size_t first = 0; first < tiles; first += WINOGRAD_SUB_BLOCK) {
            const size_t left = tiles - first;
            run_sub_block(j, weights, schedules, first, left < WINOGRAD_SUB_BLOCK ? left : WINOGRAD_SUB_BLOCK, &raw);
        }
        schedules += WINOGRAD_POSITIONS * j->plan.chunks;
        weights += WINOGRAD_POSITIONS * j->plan.channels * raw.lanes;

        const size_t channels = layer->conv.out_channels - c < raw.lanes ? layer->conv.out_channels - c : raw.lanes;
        const size_t pixel = first_row * out_width;
        const size_t pixels = (end_row - first_row) * out_width;
        if (j->plan.raw_bits == 16) {
            mgk_epilogue_i16(j->run, raw.raw, raw.lanes, pixel, pixels, c, channels);
        } else {
            mgk_epilogue_i32(j->run, raw.raw, raw.lanes, pixel, pixels, c, channels);
        }
    }
}

static void run(const mgk_qconv_run *run)
{
    job j;
    j.run = run;
    (void)mgk_winograd_plan(run->layer, &j.plan);
    (void)lay_out(run->layer, &j.plan, &j.at);
    uint8_t *workspace = run->workspace;
    winograd_tile *list = (winograd_tile *)(void *)(workspace + j.at.list);
    int32_t(*corners)[4] = (int32_t(*)[4])(void *)(workspace + j.at.corners);
    const size_t stride = WINOGRAD_GROUP * WINOGRAD_POSITIONS * j.plan.channels;
    for (size_t y = 0; y < j.plan.tiles_y;) {
        const size_t left = j.plan.tiles_y - y;
        const size_t y_end = y + (left < j.plan.rows_per_block ? left : j.plan.rows_per_block);
        const size_t tiles = list_tiles(run->layer, &j.plan, y, y_end, list);
        for (size_t t = 0; t < tiles; t += WINOGRAD_GROUP) {
            const size_t count = tiles - t < WINOGRAD_GROUP ? tiles - t : WINOGRAD_GROUP;
            workspace[j.at.needs + t / WINOGRAD_GROUP] = find_needs(run->layer, list + t, count);
            mgk_winograd_input(run, &j.plan, list + t, count,
                               (int8_t *)workspace + j.at.v + t / WINOGRAD_GROUP * stride, corners + t,
                               workspace + j.at.patch);
        }
        const size_t rows = 2 * y_end < run->layer->geometry.out_height ? 2 * y_end : run->layer->geometry.out_height;
        run_block(&j, tiles, 2 * y, rows);
        y = y_end;
    }
}

const mgk_qconv_kernel mgk_qconv_neon_winograd = {
    "neon winograd", MGK_NEON, takes, mgk_winograd_weights_size, mgk_winograd_prepare, find_workspace_size, run,
};
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
