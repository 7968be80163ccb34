/* 3x3 convolutions of low-bit codes by exact Winograd F(4, 3) modulo 2^16 (modular.h).
 *
 * For each block of rows of tiles: transform the activations of all channels; for each block of 32 output channels: for
 * each 24 tiles and each chunk of channels, the products of the 36 positions, then the output transform; then the
 * epilogue of the block's pixels. */
#include "qconv/neon/modular.h"

#if MGK_HAS_NEON

/* The workspace: offsets. */
typedef struct buffers {
    size_t tiles; /* of a block at most */
    size_t strip, strip_sums, v, m, raw, nowhere, sums, list, size;
} buffers;

/* One image, one layer. */
typedef struct job {
    const mgk_qconv_run *run;
    modular plan;
    buffers at;
} job;

/* Some rows of tiles. The list has those with 4 rows of outputs first, and among all of them those with 4 columns in the
 * middle: what needs the last row or column of positions follows each other. */
typedef struct block {
    size_t first, rows, tiles;
    size_t tall;                 /* tiles from 0 on */
    size_t wide_begin, wide_end; /* tiles */
} block;

/* count elements, and 64 bytes more that may be read, at a multiple of 64; 0 where that overflows. */
static int place(buffers *b, size_t *offset, size_t count, size_t element, size_t factor)
{
    *offset = b->size;
    return count != 0 && mgk_multiply(&count, element) && mgk_multiply(&count, factor) &&
           mgk_add(&count, MGK_WORKSPACE_ALIGNMENT) && (count = mgk_round_up(count, MGK_WORKSPACE_ALIGNMENT)) != 0 &&
           mgk_add(&b->size, count);
}

static int lay_out(const modular *plan, buffers *b)
{
    const size_t strip_rows = mgk_modular_strip_rows(plan);
    const size_t width = mgk_modular_strip_width(plan);
    size_t pixels = strip_rows;
    b->size = 0;
    b->tiles = plan->rows_per_block;
    if (!mgk_multiply(&b->tiles, plan->x.tiles) || !mgk_multiply(&pixels, width)) {
        return 0;
    }
    const size_t groups = (b->tiles + MODULAR_GROUP - 1) / MODULAR_GROUP;
    return place(b, &b->strip, pixels, plan->channels, 1) &&
           place(b, &b->strip_sums, pixels, plan->chunks, sizeof(uint16_t)) &&
           place(b, &b->v, groups, plan->channels, MODULAR_GROUP * MODULAR_POSITIONS * sizeof(int16_t)) &&
           place(b, &b->m, MODULAR_SUB_BLOCK, MODULAR_TILE, sizeof(int16_t)) &&
           place(b, &b->raw, pixels, MODULAR_LANES, sizeof(int32_t)) &&
           place(b, &b->nowhere, 4, MODULAR_LANES, sizeof(int32_t)) &&
           place(b, &b->sums, b->tiles, plan->chunks, MODULAR_OUTPUTS * sizeof(int16_t)) &&
           place(b, &b->list, b->tiles, sizeof(modular_tile), 1);
}

static modular_tile *add_tiles(const modular *plan, const block *b, size_t y_begin, size_t y_end, size_t x_begin,
                               size_t x_end, modular_tile *list)
{
    const size_t top = mgk_modular_start(&plan->y, b->first);
    for (size_t y = y_begin; y < y_end; y++) {
        for (size_t x = x_begin; x < x_end; x++) {
            list->y = (uint32_t)(mgk_modular_start(&plan->y, b->first + y) - top);
            list->x = (uint32_t)mgk_modular_start(&plan->x, x);
            list->tall = b->first + y < plan->y.full;
            list->wide = x < plan->x.full;
            list++;
        }
    }
    return list;
}

static void list_tiles(const modular *plan, block *b, modular_tile *list)
{
    const size_t full = plan->y.full;
    const size_t tall = full <= b->first ? 0 : full - b->first < b->rows ? full - b->first : b->rows;
    const size_t narrow = plan->x.tiles - plan->x.full;
    list = add_tiles(plan, b, 0, tall, plan->x.full, plan->x.tiles, list);
    list = add_tiles(plan, b, 0, b->rows, 0, plan->x.full, list);
    (void)add_tiles(plan, b, tall, b->rows, plan->x.full, plan->x.tiles, list);
    b->tiles = b->rows * plan->x.tiles;
    b->tall = tall * plan->x.tiles;
    b->wide_begin = tall * narrow;
    b->wide_end = b->wide_begin + b->rows * plan->x.full;
}

/* Tiles that are multiplied in one call: whole groups, or some tiles of one. */
typedef struct piece {
    size_t v, m; /* where they are, for position 0 */
    size_t groups, tiles;
} piece;
typedef struct pieces {
    piece all[3]; /* the end of a group, groups, the beginning of one */
    size_t count;
} pieces;

/* Tiles begin to end of a sub-block that is at `first` of its block. */
static void find_pieces(size_t first, size_t begin, size_t end, size_t stride, pieces *p)
{
    p->count = 0;
    while (begin < end) {
        piece *next = &p->all[p->count++];
        const size_t within = begin % MODULAR_GROUP;
        const size_t left = end - begin;
        const size_t most = MODULAR_GROUP - within;
        next->v = (first + begin - within) / MODULAR_GROUP * stride + within;
        next->m = begin * MODULAR_TILE;
        next->tiles = left < most ? left : most;
        next->groups = next->tiles == MODULAR_GROUP ? left / MODULAR_GROUP : 1;
        begin += next->groups * next->tiles;
    }
}

static size_t clip(size_t x, size_t first, size_t count)
{
    return x <= first ? 0 : x - first < count ? x - first : count;
}

/* The products of all positions, of one block of output channels, one chunk, and the tiles of a sub-block. */
static void multiply_chunk(const job *j, const pieces needed[2][2], const int16_t *weights, size_t lanes, size_t chunk)
{
    modular_product product;
    product.step = j->plan.channels * MODULAR_GROUP;
    product.stride = MODULAR_POSITIONS * product.step;
    product.lanes = lanes;
    product.channels = mgk_modular_chunk(&j->plan, chunk);
    const int16_t *v = (const int16_t *)(void *)(j->run->workspace + j->at.v) + chunk * j->plan.chunk * MODULAR_GROUP;
    int16_t *m = (int16_t *)(void *)(j->run->workspace + j->at.m);
    for (size_t row = 0; row < MODULAR_SIDE; row++) {
        for (size_t last = 0; last < 2; last++) { /* the last position of a row, after the others */
            const pieces *p = &needed[row == MODULAR_SIDE - 1][last];
            product.positions = last ? 1 : MODULAR_SIDE - 1;
            product.w = weights;
            for (const piece *part = p->all; part < p->all + p->count; part++) {
                product.v = v + part->v;
                product.m = m + part->m;
                product.groups = part->groups;
                product.tiles = part->tiles;
                mgk_modular_multiply(&product);
            }
            v += product.positions * product.step;
            m += product.positions * MODULAR_LANES;
            weights += product.positions * product.channels * lanes;
        }
    }
}

/* Raw sums of one block of output channels and at most SUB_BLOCK tiles from `first` on. */
static void run_sub_block(const job *j, const block *b, const int16_t *weights, size_t first, size_t tiles,
                          modular_raw *raw)
{
    const modular_tile *list = (const modular_tile *)(void *)(j->run->workspace + j->at.list) + first;
    const int16_t *sums = (const int16_t *)(void *)(j->run->workspace + j->at.sums);
    const size_t pitch = j->plan.chunks * MODULAR_OUTPUTS;
    const size_t stride = MODULAR_GROUP * MODULAR_POSITIONS * j->plan.channels;
    const size_t tall = clip(b->tall, first, tiles);
    const size_t wide_begin = clip(b->wide_begin, first, tiles);
    const size_t wide_end = clip(b->wide_end, first, tiles);
    const int16_t *biases = raw->bias;
    pieces needed[2][2]; /* [last row of positions][last column] */
    find_pieces(first, 0, tiles, stride, &needed[0][0]);
    find_pieces(first, wide_begin, wide_end, stride, &needed[0][1]);
    find_pieces(first, 0, tall, stride, &needed[1][0]);
    find_pieces(first, wide_begin, wide_end < tall ? wide_end : tall, stride, &needed[1][1]);
    for (raw->chunk = 0; raw->chunk < j->plan.chunks; raw->chunk++) {
        multiply_chunk(j, (const pieces(*)[2])needed, weights, raw->lanes, raw->chunk);
        weights += MODULAR_POSITIONS * mgk_modular_chunk(&j->plan, raw->chunk) * raw->lanes;
        mgk_modular_output(&j->plan, (const int16_t *)(void *)(j->run->workspace + j->at.m), list, tiles,
                           sums + first * pitch + raw->chunk * MODULAR_OUTPUTS, pitch, raw);
        raw->bias += raw->lanes;
    }
    raw->bias = biases;
}

/* All output channels of a block of tiles. */
static void run_block(const job *j, const block *b)
{
    const mgk_qconv *layer = j->run->layer;
    const size_t begin = mgk_modular_start(&j->plan.y, b->first);
    const int16_t *weights = (const int16_t *)(const void *)(j->run->weights + mgk_modular_biases_size(&j->plan));
    modular_raw raw;
    raw.raw = j->run->workspace + j->at.raw;
    raw.nowhere = j->run->workspace + j->at.nowhere;
    raw.width = layer->geometry.out_width;
    raw.bias = (const int16_t *)(const void *)j->run->weights;
    const size_t pixels = (mgk_modular_start(&j->plan.y, b->first + b->rows) - begin) * raw.width;
    for (size_t c = 0; c < j->plan.out_channels; c += MODULAR_LANES) {
        raw.lanes = mgk_modular_lanes(&j->plan, c);
        for (size_t first = 0; first < b->tiles; first += MODULAR_SUB_BLOCK) {
            const size_t left = b->tiles - first;
            run_sub_block(j, b, weights, first, left < MODULAR_SUB_BLOCK ? left : MODULAR_SUB_BLOCK, &raw);
        }
        weights += MODULAR_POSITIONS * j->plan.channels * raw.lanes;
        raw.bias += j->plan.chunks * raw.lanes;

        const size_t channels = layer->conv.out_channels - c < raw.lanes ? layer->conv.out_channels - c : raw.lanes;
        if (j->plan.raw_bits == 16) {
            mgk_epilogue_i16(j->run, raw.raw, raw.lanes, begin * raw.width, pixels, c, channels);
        } else {
            mgk_epilogue_i32(j->run, raw.raw, raw.lanes, begin * raw.width, pixels, c, channels);
        }
    }
}

/* The transformed activations of a block, and its sums of codes. */
static void transform_block(const job *j, block *b)
{
    uint8_t *workspace = j->run->workspace;
    modular_tile *list = (modular_tile *)(void *)(workspace + j->at.list);
    int16_t *v = (int16_t *)(void *)(workspace + j->at.v);
    int16_t *sums = (int16_t *)(void *)(workspace + j->at.sums);
    modular_strip strip;
    strip.codes = workspace + j->at.strip;
    strip.sums = (uint16_t *)(void *)(workspace + j->at.strip_sums);
    list_tiles(&j->plan, b, list);
    mgk_modular_pad(j->run, &j->plan, b->first, b->rows, &strip);
    for (size_t t = 0; t < b->tiles; t += MODULAR_GROUP) {
        const size_t count = b->tiles - t < MODULAR_GROUP ? b->tiles - t : MODULAR_GROUP;
        mgk_modular_input(&j->plan, (int)j->run->layer->activation_bits, &strip, list + t, count, v);
        v += MODULAR_GROUP * MODULAR_POSITIONS * j->plan.channels;
    }
    for (size_t t = 0; t < b->tiles && j->plan.halved; t++) {
        for (size_t chunk = 0; chunk < j->plan.chunks; chunk++) {
            mgk_modular_sums(&strip, list + t, chunk, sums);
            sums += MODULAR_OUTPUTS;
        }
    }
}

static void run(const mgk_qconv_run *run)
{
    job j;
    j.run = run;
    if (!mgk_modular_plan(run->layer, &j.plan) || !lay_out(&j.plan, &j.at)) {
        return; /* not reached: the kernel took the layer */
    }
    block b;
    for (b.first = 0; b.first < j.plan.y.tiles; b.first += b.rows) {
        const size_t left = j.plan.y.tiles - b.first;
        b.rows = left < j.plan.rows_per_block ? left : j.plan.rows_per_block;
        transform_block(&j, &b);
        run_block(&j, &b);
    }
}

static int takes(const mgk_qconv *layer)
{
    modular plan;
    return mgk_modular_plan(layer, &plan);
}

static size_t weights_size(const mgk_qconv *layer)
{
    modular plan;
    return mgk_modular_plan(layer, &plan) ? mgk_modular_weights_size(&plan) : 0;
}

static void prepare(const mgk_qconv_weights *weights, uint8_t *section, mgk_raw *raw)
{
    modular plan;
    if (mgk_modular_plan(weights->layer, &plan)) {
        mgk_modular_prepare(weights, &plan, section, raw);
    }
}

static size_t workspace_size(const mgk_qconv *layer)
{
    modular plan;
    buffers b;
    return mgk_modular_plan(layer, &plan) && lay_out(&plan, &b) ? b.size : 0;
}

const mgk_qconv_kernel mgk_qconv_neon_modular = {"neon-modular", MGK_NEON,       takes, weights_size,
                                                 prepare,        workspace_size, run};
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
