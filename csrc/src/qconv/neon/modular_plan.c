/* Which layers the kernel takes, and its chunks. Every bound is proven by verify/kernels/lanes. */
#include "qconv/neon/modular.h"

#if MGK_HAS_NEON

enum { INT16_BOUND = 32766, MOST_CHANNELS = 4096, MOST_CHUNKS = 8 };

static int32_t larger(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

/* 4 y modulo 2^16 determines y where the bound of a chunk is that of 16 bits (modular.h). */
static int find_chunks(const mgk_qconv *layer, modular *plan)
{
    const int32_t n = mgk_top_code(layer->activation_bits);
    const int32_t w = larger(larger(layer->weight_high, -layer->weight_low), 1);
    const int32_t bound = plan->halved ? 9 * n * w : 36 * w * ((n + 1) / 2); /* of 2 raw, or of 4 raw, a channel */
    const size_t most = (size_t)(INT16_BOUND / bound) / MODULAR_UNIT * MODULAR_UNIT;
    if (most == 0) {
        return 0;
    }
    plan->chunks = (plan->channels + most - 1) / most;
    plan->chunk = mgk_round_up((plan->channels + plan->chunks - 1) / plan->chunks, MODULAR_UNIT);
    plan->chunks = (plan->channels + plan->chunk - 1) / plan->chunk;
    /* Rounding down makes a chunk's raw larger by a half at most. At most 32,766 / 16 a channel: 2^23 in all. */
    plan->raw_bound = bound * (int32_t)plan->channels / (plan->halved ? 2 : 4) + (int32_t)plan->chunks;
    plan->raw_bits = plan->raw_bound <= INT16_BOUND ? 16 : 32;
    return 1;
}

/* 4 outputs a tile, or 3, so that together they have all outputs and no other: all sizes but 1, 2 and 5 are such sums. */
static int find_tiles(size_t outputs, modular_axis *axis)
{
    axis->tiles = outputs / 4 + (outputs % 4 != 0);
    const size_t threes = (4 - outputs % 4) % 4;
    axis->full = axis->tiles - threes;
    return axis->tiles >= threes && outputs < UINT32_MAX;
}

int mgk_modular_plan(const mgk_qconv *layer, modular *plan)
{
    const mgk_conv2d *c = &layer->conv;
    if (layer->groups != 1 || layer->bipolar || layer->has_zero || c->kernel_height != 3 || c->kernel_width != 3 ||
        c->stride_y != 1 || c->stride_x != 1 || c->dilation_y != 1 || c->dilation_x != 1 ||
        c->in_channels > MOST_CHANNELS || layer->activation_bits > 4 ||
        !find_tiles(layer->geometry.out_height, &plan->y) || !find_tiles(layer->geometry.out_width, &plan->x)) {
        return 0;
    }
    plan->halved = layer->encoding == MGK_ODD;
    plan->channels = mgk_round_up(c->in_channels, MODULAR_UNIT);
    plan->out_channels = mgk_round_up(c->out_channels, MODULAR_UNIT);
    if (plan->channels == 0 || plan->out_channels == 0 || !find_chunks(layer, plan)) {
        return 0;
    }
    if (plan->chunks > MOST_CHUNKS && layer->geometry.out_height % 2 == 0 && layer->geometry.out_width % 2 == 0) {
        return 0; /* so many output transforms are more than what is saved where F(2, 3) has whole tiles */
    }
    const size_t row = MODULAR_POSITIONS * sizeof(int16_t) * plan->channels; /* of a tile */
    const size_t fit = MODULAR_BLOCK_BYTES / row / plan->x.tiles;
    const size_t most = fit > 0 ? fit : 1;
    const size_t blocks = (plan->y.tiles + most - 1) / most;
    plan->rows_per_block = (plan->y.tiles + blocks - 1) / blocks;
    return 1;
}
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
