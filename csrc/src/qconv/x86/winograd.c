/* The Winograd kernel: which layers it takes, and the order of its work. winograd.h has the algebra. */
#include "qconv/x86/winograd.h"

/* Bytes of V and M of a strip: with the weights of a block they stay in the second cache. */
enum { STRIP_BYTES = 384 << 10, MOST_CHANNELS = 8192, LINE = 64 };

/* With fewer input channels the direct kernel is faster: there is less to multiply than to transform. */
enum { FEWEST_CHANNELS = 24 };

static int32_t larger(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

/* Codes to n, weights to w in size. 0: not worth it, as weights of more parts than these would be; direct, 36 are
 * multiplied. */
static int find_parts(winograd *plan, int32_t n, int32_t w)
{
    static const int32_t factor[3] = {4, 6, 9};
    const int32_t most = largest_weight(4 * n);
    int32_t share = 0; /* the largest part */
    for (int k = 0; k < 3; k++) {
        plan->parts[k] = (factor[k] * w + most - 1) / most;
        share = larger(share, (factor[k] * w + plan->parts[k] - 1) / plan->parts[k]);
    }
    plan->flush = quads_to_flush(4 * n, share);
    return plan->parts[1] == 1 && plan->parts[2] <= 2;
}

/* How V and U are stored. 0: the layer is none for this kernel. */
static int choose_products(const mgk_qconv *layer, winograd *plan)
{
    const int32_t n = mgk_top_code(layer->activation_bits);
    const int32_t w = larger(larger(layer->weight_high, -layer->weight_low), 1);
    plan->code_size = sizeof(uint8_t);
    plan->center = (uint8_t)(2 * n);
    if (n <= 63 && find_parts(plan, n, w)) {
        /* Y is four times the accumulator: 4 * 9 * 8192 channels * 63 * 21 stay below 2^31. */
        return 1;
    }
    plan->code_size = sizeof(int16_t);
    plan->center = 0;
    plan->flush = 0;
    plan->parts[0] = plan->parts[1] = plan->parts[2] = 1;
    /* |V| <= 4 * 255 and |U| <= 9 * 255 are int16; sums are modulo 2^32, and 4 times the accumulator fits 32 bits. */
    return X86_PATH == MGK_AVX2 && flush_often(quads_to_flush(n, w)) && layer->sum_low >= INT32_MIN / 4 &&
           layer->sum_high <= INT32_MAX / 4;
}

int X86(winograd_plan)(const mgk_qconv *layer, winograd *plan)
{
    const mgk_conv2d *c = &layer->conv;
    if (layer->groups != 1 || layer->bipolar || c->kernel_height != 3 || c->kernel_width != 3 || c->stride_y != 1 ||
        c->stride_x != 1 || c->dilation_y != 1 || c->dilation_x != 1 || c->in_channels < FEWEST_CHANNELS ||
        c->in_channels > MOST_CHANNELS || !choose_products(layer, plan)) {
        return 0;
    }
    plan->tile_size = mgk_round_up(c->in_channels, CHUNK) * plan->code_size;
    plan->quads = (c->in_channels * plan->code_size + QUAD - 1) / QUAD;
    plan->odd_y = layer->geometry.out_height % 2 != 0;
    plan->odd_x = layer->geometry.out_width % 2 != 0;
    plan->tiles_y = layer->geometry.out_height / 2 + (size_t)plan->odd_y;
    plan->tiles_x = layer->geometry.out_width / 2 + (size_t)plan->odd_x;
    const size_t tile = POSITIONS * (plan->tile_size + BLOCK_CHANNELS * sizeof(int32_t));
    plan->rows = STRIP_BYTES / tile / plan->tiles_x;
    plan->rows = plan->rows == 0 ? 1 : plan->rows > plan->tiles_y ? plan->tiles_y : plan->rows;
    /* as many strips, of about the same height */
    const size_t strips = (plan->tiles_y + plan->rows - 1) / plan->rows;
    plan->rows = (plan->tiles_y + strips - 1) / strips;
    /* A line of the cache more, or positions would fall on the same lines of it. */
    plan->v_pitch = plan->rows * plan->tiles_x;
    plan->m_pitch = plan->v_pitch;
    return mgk_multiply(&plan->v_pitch, plan->tile_size) && mgk_add(&plan->v_pitch, 2 * LINE - 1) &&
           (plan->v_pitch = plan->v_pitch / LINE * LINE) != 0 && mgk_multiply(&plan->m_pitch, BLOCK_CHANNELS) &&
           mgk_add(&plan->m_pitch, LINE / sizeof(int32_t));
}

static int takes(const mgk_qconv *layer)
{
    winograd plan;
    return X86(winograd_plan)(layer, &plan);
}

static size_t find_workspace_size(const mgk_qconv *layer)
{
    winograd plan;
    if (!X86(winograd_plan)(layer, &plan)) {
        return 0;
    }
    size_t v = plan.v_pitch, m = plan.m_pitch;
    return mgk_multiply(&v, POSITIONS) && mgk_multiply(&m, POSITIONS * sizeof(int32_t)) && mgk_add(&v, m) ? v : 0;
}

static strip find_strip(const winograd *plan, size_t first)
{
    const size_t left = plan->tiles_y - first;
    const int last = left <= plan->rows;
    const size_t rows = last ? left : plan->rows;
    const strip s = {first, rows, rows - (size_t)(last && plan->odd_y), plan->tiles_x,
                     plan->tiles_x - (size_t)plan->odd_x};
    return s;
}

/* M of all tiles of a strip for the output channels of a block. */
static void multiply_strip(const winograd *plan, const strip *s, size_t vectors, const uint8_t *weights,
                           const uint8_t *v, int32_t *m)
{
    static const size_t from_start[2] = {0, 0};
    const size_t pitch = vectors * LANES;
    products job = {NULL, NULL, 1, plan->quads, from_start, plan->flush, pitch};
    for (size_t position = 0; position < POSITIONS; position++) {
        job.start = (const int32_t *)(const void *)weights;
        job.weights = weights + pitch * sizeof(int32_t);
        job.runs = (size_t)position_parts(plan, position);
        const size_t tiles = position_tiles(s, position);
        for (size_t tile = 0; tile < tiles;) {
            const size_t rows = next_rows(tiles - tile);
            const uint8_t *row[MOST_ROWS];
            for (size_t r = 0; r < rows; r++) {
                row[r] = v + (tile + r) * plan->tile_size;
            }
            X86(products)(&job, rows, vectors, row, m + tile * pitch);
            tile += rows;
        }
        weights += position_size(plan, position, pitch);
        v += plan->v_pitch;
        m += plan->m_pitch;
    }
}

static void run(const mgk_qconv_run *run)
{
    winograd plan;
    X86(winograd_plan)(run->layer, &plan);
    uint8_t *v = run->workspace;
    int32_t *m = (int32_t *)(void *)(v + POSITIONS * plan.v_pitch);
    const size_t out_channels = run->layer->conv.out_channels;
    for (size_t first = 0; first < plan.tiles_y; first += plan.rows) {
        const strip s = find_strip(&plan, first);
        const uint8_t *weights = run->weights;
        X86(winograd_input)(run, &plan, &s, v);
        for (size_t c = 0; c < out_channels; c += BLOCK_CHANNELS) {
            const size_t vectors = block_vectors(out_channels - c);
            multiply_strip(&plan, &s, vectors, weights, v, m);
            X86(winograd_output)(run, &plan, &s, m, vectors * LANES, c);
            weights += X86(winograd_block_size)(&plan, vectors * LANES);
        }
    }
}

const mgk_qconv_kernel X86(qconv_winograd) = {
    X86_NAME "-winograd", X86_PATH, takes, X86(winograd_weights_size), X86(winograd_prepare), find_workspace_size, run,
};
