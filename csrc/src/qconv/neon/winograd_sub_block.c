/* The products and the output transform of a few tiles and one block of output channels. */
#include "qconv/neon/winograd_job.h"

#if MGK_HAS_NEON

static uint8_t find_need(size_t position)
{
    const int row = position / 4 == 3;
    const int column = position % 4 == 3;
    return row && column ? WINOGRAD_NEED_CORNER
           : row         ? WINOGRAD_NEED_ROW
           : column      ? WINOGRAD_NEED_COLUMN
                         : WINOGRAD_NEED;
}

/* A position's products of groups of `tiles` tiles: as scheduled for full blocks and groups, else as is always safe. */
static void multiply(const winograd *plan, const winograd_product *product, unsigned schedule, size_t position)
{
    const winograd_class kind = mgk_winograd_class(position);
#if MGK_HAS_DOTPROD
    if (plan->depth == 4) {
        mgk_winograd_multiply_dot(product, plan->wide);
        return;
    }
#endif
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
    const winograd_job *j;
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

/* The schedule that is stored; where the prepared layer was damaged since, and no such weights have it, the safe one. */
static unsigned find_schedule(const sub_block *s, size_t position, unsigned stored)
{
    const unsigned safe = s->j->plan.safe[mgk_winograd_class(position)];
    const int is_known = stored == safe || stored == WINOGRAD_WIDE_SCHEDULE ||
                         (stored < WINOGRAD_SCHEDULES && s->lanes == WINOGRAD_LANES &&
                          s->pairs % mgk_winograd_schedules[stored].pairs == 0);
    return is_known ? stored : safe;
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

void mgk_winograd_run_sub_block(const winograd_job *j, const int8_t *weights, const uint8_t *schedules, size_t first,
                                size_t tiles, winograd_raw *raw)
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
            multiply_position(&s, position, weights, find_schedule(&s, position, *schedules++));
            weights += channels * raw->lanes;
        }
        mgk_winograd_output(&j->plan, s.m, (const winograd_tile *)(void *)(workspace + j->at.list) + first, tiles,
                            (int32_t (*)[4])(void *)(workspace + j->at.corners) + first, raw);
    }
}
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
