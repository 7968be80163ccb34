/* Weights of the Winograd kernels: transformed, in the order the products read them, with proven schedules. */
#include "qconv/neon/winograd.h"

#if MGK_HAS_NEON

enum { SCHEDULES_ALIGNMENT = 64, INT8_BOUND = 127 };

/* Fewest flushes first. 6-5-5 needs 3 flushes where 4-4-4-4 needs 4, 11-11-10 does where 8-8-8-8 needs 4. */
const winograd_schedule mgk_winograd_schedules[WINOGRAD_SCHEDULES] = {
    {8, {0, 0, 0}}, {16, {16, 0, 0}}, {32, {11, 11, 10}}, {8, {8, 0, 0}}, {16, {6, 5, 5}},
    {8, {4, 0, 0}}, {8, {3, 3, 2}},   {8, {2, 0, 0}},     {8, {1, 0, 0}},
};

size_t mgk_winograd_schedules_size(const winograd *plan)
{
    const size_t blocks = (plan->out_channels + WINOGRAD_LANES - 1) / WINOGRAD_LANES;
    size_t size = WINOGRAD_POSITIONS;
    if (!mgk_multiply(&size, blocks) || !mgk_multiply(&size, plan->chunks)) {
        return 0;
    }
    return mgk_round_up(size, SCHEDULES_ALIGNMENT);
}

size_t mgk_winograd_weights_size(const winograd *plan)
{
    size_t size = WINOGRAD_POSITIONS;
    const size_t schedules = mgk_winograd_schedules_size(plan);
    return schedules != 0 && mgk_multiply(&size, plan->channels) && mgk_multiply(&size, plan->out_channels) &&
                   mgk_add(&size, schedules)
               ? size
               : 0;
}

/* G g G^T; with halved, (U - 1) / 2: all U are odd there, so the division is exact. */
static void transform(const winograd *plan, int32_t g[3][3], int8_t u[WINOGRAD_POSITIONS])
{
    int32_t rows[4][3];
    for (int j = 0; j < 3; j++) {
        rows[0][j] = g[0][j];
        rows[1][j] = g[0][j] + g[1][j] + g[2][j];
        rows[2][j] = g[0][j] - g[1][j] + g[2][j];
        rows[3][j] = g[2][j];
    }
    for (int i = 0; i < 4; i++) {
        const int32_t all[4] = {rows[i][0], rows[i][0] + rows[i][1] + rows[i][2], rows[i][0] - rows[i][1] + rows[i][2],
                                rows[i][2]};
        for (int j = 0; j < 4; j++) {
            u[4 * i + j] = (int8_t)(plan->halved ? (all[j] - 1) / 2 : all[j]);
        }
    }
}

/* The transformed weights of one output channel: into lane `lane` of a block of `lanes`, all chunks. The return value
 * is the sum of U at (1,1). */
static int32_t prepare_channel(const mgk_qconv_weights *weights, const winograd *plan, size_t out_channel,
                               int8_t *block, size_t lane, size_t lanes)
{
    const size_t in_channels = weights->layer->conv.in_channels;
    const size_t depth = (size_t)plan->depth;
    int32_t sum = 0;
    for (size_t chunk = 0; chunk < plan->chunks; chunk++) {
        const size_t begin = chunk * plan->chunk;
        const size_t channels = mgk_winograd_chunk(plan, chunk);
        for (size_t c = begin; c < begin + channels && c < in_channels; c++) {
            int32_t g[3][3];
            int8_t u[WINOGRAD_POSITIONS];
            for (size_t tap = 0; tap < 9; tap++) {
                g[tap / 3][tap % 3] = mgk_weight(weights, out_channel, tap * in_channels + c);
            }
            transform(plan, g, u);
            const size_t at = (c - begin) / depth * depth * lanes + lane * depth + (c - begin) % depth;
            for (size_t position = 0; position < WINOGRAD_POSITIONS; position++) {
                block[position * channels * lanes + at] = u[position];
            }
            sum += u[5];
        }
        block += WINOGRAD_POSITIONS * channels * lanes;
    }
    return sum;
}

/* 1 if no lane of 8 bits overflows in any run: every partial sum is at most the bound of V times the sum of |U|. */
static int fits(const winograd *plan, const winograd_schedule *schedule, const int8_t *weights, size_t pairs,
                size_t lanes)
{
    size_t turn = 0;
    for (size_t pair = 0; pair < pairs;) {
        if (turn == 3 || schedule->runs[turn] == 0) {
            turn = 0;
        }
        const size_t end = pair + schedule->runs[turn++];
        for (size_t lane = 0; lane < lanes * 2; lane++) {
            int32_t sum = 0;
            for (size_t p = pair; p < end; p++) {
                const int32_t u = weights[p * lanes * 2 + lane];
                sum += u < 0 ? -u : u;
            }
            if (sum * plan->v_bound > INT8_BOUND) {
                return 0;
            }
        }
        pair = end;
    }
    return 1;
}

/* The schedule with the fewest flushes that is safe: for any weights of the encoding, or for these. */
static uint8_t choose_schedule(const mgk_qconv *layer, const winograd *plan, size_t position, const int8_t *weights,
                               size_t pairs, size_t lanes)
{
    if (plan->wide || plan->depth == 4) {
        return WINOGRAD_WIDE_SCHEDULE;
    }
    const unsigned products = plan->products[mgk_winograd_class(position)];
    for (uint8_t s = 1; s < WINOGRAD_SCHEDULES && lanes == WINOGRAD_LANES; s++) {
        const winograd_schedule *schedule = &mgk_winograd_schedules[s];
        if (pairs % schedule->pairs == 0 &&
            (schedule->runs[0] <= products ||
             (layer->flush_from_weights && fits(plan, schedule, weights, pairs, lanes)))) {
            return s;
        }
    }
    return (uint8_t)plan->safe[mgk_winograd_class(position)];
}

void mgk_winograd_prepare(const mgk_qconv_weights *weights, const winograd *plan, uint8_t *section, mgk_raw *raw)
{
    const mgk_qconv *layer = weights->layer;
    uint8_t *schedules = section;
    int8_t *block = (int8_t *)section + mgk_winograd_schedules_size(plan);
    for (size_t first = 0; first < plan->out_channels; first += WINOGRAD_LANES) {
        const size_t lanes = mgk_winograd_lanes(plan, first);
        for (size_t lane = 0; lane < lanes && first + lane < layer->conv.out_channels; lane++) {
            const int32_t sum = prepare_channel(weights, plan, first + lane, block, lane, lanes);
            raw->offset[first + lane] = plan->center / (plan->halved ? 2 : 4) * sum;
        }
        for (size_t chunk = 0; chunk < plan->chunks; chunk++) {
            const size_t channels = mgk_winograd_chunk(plan, chunk);
            for (size_t position = 0; position < WINOGRAD_POSITIONS; position++) {
                *schedules++ = choose_schedule(layer, plan, position, block, channels / 2, lanes);
                block += channels * lanes;
            }
        }
    }
    raw->bits = plan->raw_bits;
    raw->low = -plan->raw_bound;
    raw->high = plan->raw_bound;
}
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
