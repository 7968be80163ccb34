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
    size_t strip, v, m, raw, nowhere, corners, list, needs, size;
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
           mgk_multiply(&list, b->tiles) && place(b, &b->strip, mgk_winograd_strip_size(plan)) && place(b, &b->v, v) &&
           place(b, &b->m, WINOGRAD_SUB_BLOCK * WINOGRAD_TILE * sizeof(int32_t)) && place(b, &b->raw, raw) &&
           place(b, &b->nowhere, WINOGRAD_LANES * sizeof(int32_t)) && place(b, &b->corners, corners) &&
           place(b, &b->list, list) && place(b, &b->needs, groups);
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
    int needs = NEED_ALWAYS;
    for (size_t t = 0; t < count; t++) {
        const int row = 2 * (size_t)tiles[t].y + 1 < b->pixel_rows;
        const int column = 2 * (size_t)tiles[t].x + 1 < width;
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

/* A position's products of groups of `tiles` tiles: as scheduled for full blocks and groups, else as is always safe. */
static void multiply(const winograd *plan, const winograd_product *product, unsigned schedule, size_t position)
{
    const winograd_class kind = mgk_winograd_class(position);
    if (product->tiles != WINOGRAD_GROUP && schedule != WINOGRAD_WIDE_SCHEDULE) {
        schedule = plan->safe[kind];
    }
    if (schedule != WINOGRAD_WIDE_SCHEDULE) {
        mgk_winograd_multiply_bytes(product, schedule);
    } else if (plan->wide) {
        mgk_winograd_multiply_words(product, plan->wide_pairs[kind] / 8 * 8);
    } else {
        mgk_winograd_multiply_halves(product);
    }
}

/* What a sub-block's products have in common. */
typedef struct sub_block {
    const job *j;
    const int8_t *v; /* of the first group */
    uint8_t *m;
    const uint8_t *needs;
    uint8_t all_need;  /* what all full groups do */
    size_t full, rest; /* groups of GROUP tiles, tiles of one group more */
    size_t first_channel, pairs, lanes;
} sub_block;

/* Groups that follow each other. */
static void multiply_groups(const sub_block *s, size_t position, const int8_t *w, unsigned schedule, size_t begin,
                            size_t groups, size_t tiles)
{
    const size_t channels = s->j->plan.channels;
    const size_t sum_bytes = s->j->plan.wide ? sizeof(int32_t) : sizeof(int16_t);
    winograd_product product;
    product.stride = WINOGRAD_GROUP * WINOGRAD_POSITIONS * channels;
    product.v = s->v + begin * product.stride + (position * channels + s->first_channel) * tiles;
    product.w = w;
    product.m = s->m + (begin * WINOGRAD_GROUP * WINOGRAD_TILE + position * WINOGRAD_LANES) * sum_bytes;
    product.pairs = s->pairs;
    product.groups = groups;
    product.tiles = tiles;
    product.lanes = s->lanes;
    multiply(&s->j->plan, &product, schedule, position);
}

/* One position, of the groups that need it. */
static void multiply_position(const sub_block *s, size_t position, const int8_t *w, unsigned schedule)
{
    const uint8_t need = find_need(position);
    for (size_t begin = 0; begin < s->full;) {
        size_t end = s->all_need & need ? s->full : begin;
        while (end < s->full && (s->needs[end] & need) != 0) {
            end++;
        }
        if (end > begin) {
            multiply_groups(s, position, w, schedule, begin, end - begin, WINOGRAD_GROUP);
        }
        begin = end + 1;
    }
    if (s->rest != 0 && (s->needs[s->full] & need) != 0) {
        multiply_groups(s, position, w, schedule, s->full, 1, s->rest);
    }
}

/* Raw sums of one block of output channels and at most SUB_BLOCK tiles from `first` on. weights and schedules are those
 * of the block. */
static void run_sub_block(const job *j, const int8_t *weights, const uint8_t *schedules, size_t first, size_t tiles,
                          winograd_raw *raw)
{
    uint8_t *workspace = j->run->workspace;
    const size_t group = first / WINOGRAD_GROUP;
    sub_block s;
    s.j = j;
    s.v = (const int8_t *)workspace + j->at.v + group * WINOGRAD_GROUP * WINOGRAD_POSITIONS * j->plan.channels;
    s.m = workspace + j->at.m;
    s.needs = workspace + j->at.needs + group;
    s.full = tiles / WINOGRAD_GROUP;
    s.rest = tiles % WINOGRAD_GROUP;
    s.lanes = raw->lanes;
    s.all_need = 0xff;
    for (size_t g = 0; g < s.full; g++) {
        s.all_need &= s.needs[g];
    }
    for (raw->chunk = 0; raw->chunk < j->plan.chunks; raw->chunk++) {
        const size_t channels = mgk_winograd_chunk(&j->plan, raw->chunk);
        s.first_channel = raw->chunk * j->plan.chunk;
        s.pairs = channels / 2;
        for (size_t position = 0; position < WINOGRAD_POSITIONS; position++) {
            multiply_position(&s, position, weights, *schedules++);
            weights += channels * raw->lanes;
        }
        mgk_winograd_output(&j->plan, s.m, (const winograd_tile *)(void *)(workspace + j->at.list) + first, tiles,
                            (int32_t (*)[4])(void *)(workspace + j->at.corners) + first, raw);
    }
}

/* All output channels of a block of tiles. */
static void run_block(const job *j, const block *b)
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
            run_sub_block(j, weights, schedules, first, left < WINOGRAD_SUB_BLOCK ? left : WINOGRAD_SUB_BLOCK, &raw);
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
static void transform_block(const job *j, const block *b)
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

static void run(const mgk_qconv_run *run)
{
    job j;
    j.run = run;
    (void)mgk_winograd_plan(run->layer, &j.plan);
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

const mgk_qconv_kernel mgk_qconv_neon_winograd = {
    "neon-winograd", MGK_NEON, takes, mgk_winograd_weights_size, mgk_winograd_prepare, find_workspace_size, run,
};
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
