/* Which layers the Winograd kernels take, and the widths they compute in. Every bound is proven by verify/kernels/lanes. */
#include "qconv/neon/winograd.h"

#if MGK_HAS_NEON

enum { INT16_BOUND = 32766, MOST_CHANNELS = 4096, UNIT = 16 };

static int32_t larger(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

/* A schedule of equal runs. */
static unsigned find_safe(unsigned products)
{
    return products >= 8   ? WINOGRAD_RUNS_OF_8
           : products >= 4 ? WINOGRAD_RUNS_OF_4
           : products >= 2 ? WINOGRAD_RUNS_OF_2
           : products == 1 ? WINOGRAD_RUNS_OF_1
                           : WINOGRAD_WIDE_SCHEDULE;
}

/* Bounds of one channel. N: the largest code; w: the largest |weight|. */
static void find_bounds(const mgk_qconv *layer, winograd *plan)
{
    const int32_t n = mgk_top_code(layer->activation_bits);
    const int32_t w = larger(larger(layer->weight_high, -layer->weight_low), 1);
    if (plan->halved) {
        /* raw = sum of g (a - N/2) + N/2 a channel: X / 2 = raw - S has 8 weights of +-w and, at the corner, one less
         * 1, in -w - 1 to w - 1, each times a - N/2 in +-N/2: |X| <= N (8 w + w + 1). */
        plan->center = 2 * n;
        plan->v_bound = 2 * n;
        plan->x_bound = n * (9 * w + 1);
        plan->raw_bound = (n * (9 * w + 1) + 1) / 2;
    } else {
        /* raw = sum of g (a - c), and c - 0 is not less than N - c. */
        const int32_t c = (n + 1) / 2;
        plan->center = 4 * c;
        plan->v_bound = 4 * c;
        plan->x_bound = 36 * w * c;
        plan->raw_bound = 9 * w * c;
    }
    int32_t parts = 1;
    for (int k = 0; k < 3; k++) {
        plan->u_bound[k] = plan->halved ? (parts * w + 1) / 2 : parts * w;
        plan->products[k] = (unsigned)(127 / (plan->v_bound * plan->u_bound[k]));
        plan->wide_pairs[k] = (unsigned)(INT16_BOUND / (plan->v_bound * plan->u_bound[k]));
        plan->safe[k] = find_safe(plan->products[k]);
        parts *= 3;
    }
}

/* Chunks of channels, as few as there may be, equal but for a rest. */
static void find_chunks(winograd *plan)
{
    const size_t most = (size_t)(INT16_BOUND / plan->x_bound) / UNIT * UNIT;
    plan->wide = most < plan->channels && (plan->depth == 4 || most < 64);
    if (plan->wide) {
        plan->chunks = 1;
        plan->chunk = plan->channels;
        return;
    }
    plan->chunks = (plan->channels + most - 1) / most;
    plan->chunk = mgk_round_up((plan->channels + plan->chunks - 1) / plan->chunks, UNIT);
    plan->chunks = (plan->channels + plan->chunk - 1) / plan->chunk;
}

int mgk_winograd_plan(const mgk_qconv *layer, int depth, winograd *plan)
{
    const mgk_conv2d *c = &layer->conv;
    if (layer->groups != 1 || layer->bipolar || layer->has_zero || c->kernel_height != 3 || c->kernel_width != 3 ||
        c->stride_y != 1 || c->stride_x != 1 || c->dilation_y != 1 || c->dilation_x != 1 ||
        c->in_channels > MOST_CHANNELS || layer->activation_bits > 4) {
        return 0;
    }
    plan->depth = depth;
    plan->halved = layer->encoding == MGK_ODD;
    find_bounds(layer, plan);
    if (plan->u_bound[WINOGRAD_MIDDLE] > 127 || plan->v_bound > 127) {
        return 0; /* U and V are stored in 8 bits */
    }
    plan->channels = mgk_round_up(c->in_channels, UNIT);
    plan->out_channels = mgk_round_up(c->out_channels, UNIT);
    if (plan->channels == 0 || plan->out_channels == 0) {
        return 0;
    }
    find_chunks(plan);
    /* x_bound is at most 36 * 14 * 8 = 4,032 or 15 (9 * 15 + 1) = 2,040: 4,096 channels stay below 2^24. */
    plan->raw_bound *= (int32_t)c->in_channels;
    plan->raw_bits = plan->raw_bound <= INT16_BOUND ? 16 : 32;

    plan->tiles_y = (layer->geometry.out_height + 1) / 2;
    plan->tiles_x = (layer->geometry.out_width + 1) / 2;
    if (plan->tiles_y > UINT32_MAX || plan->tiles_x > UINT32_MAX) {
        return 0;
    }
    plan->rows_per_block = WINOGRAD_BLOCK_BYTES / WINOGRAD_POSITIONS / plan->channels / plan->tiles_x;
    if (plan->rows_per_block == 0) {
        plan->rows_per_block = 1;
    }
    if (plan->rows_per_block > plan->tiles_y) {
        plan->rows_per_block = plan->tiles_y;
    }
    return 1;
}
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
