/* Weights of the Winograd kernel: U and the sums to start from; winograd.h has algebra and order. */
#include "qconv/x86/winograd.h"

size_t X86(winograd_weights_size)(const mgk_qconv *layer)
{
    winograd plan;
    if (!X86(winograd_plan)(layer, &plan)) {
        return 0;
    }
    size_t size = mgk_round_up(layer->conv.out_channels, LANES);
    return mgk_multiply(&size, X86(winograd_block_size)(&plan, 1)) ? size : 0;
}

size_t X86(winograd_block_size)(const winograd *plan, size_t channels)
{
    size_t size = 0;
    for (size_t position = 0; position < POSITIONS; position++) {
        size += position_size(plan, position, channels);
    }
    return size;
}

static void transform_column(const int32_t g[3], int32_t u[4])
{
    u[0] = 2 * g[0];
    u[1] = g[0] + g[1] + g[2];
    u[2] = g[0] - g[1] + g[2];
    u[3] = 2 * g[2];
}

static void transform(const mgk_qconv_weights *weights, size_t out_channel, size_t channel, int32_t u[POSITIONS])
{
    const size_t in_channels = weights->layer->conv.in_channels;
    int32_t columns[3][4];
    for (size_t x = 0; x < 3; x++) {
        int32_t g[3];
        for (size_t y = 0; y < 3; y++) {
            g[y] = mgk_weight(weights, out_channel, (3 * y + x) * in_channels + channel);
        }
        transform_column(g, columns[x]);
    }
    for (size_t i = 0; i < 4; i++) {
        const int32_t row[3] = {columns[0][i], columns[1][i], columns[2][i]};
        transform_column(row, u + 4 * i);
    }
}

/* One output channel: lane `lane` of a block of so many vectors. */
static void prepare_channel(const mgk_qconv_weights *weights, const winograd *plan, size_t out_channel, size_t lane,
                            size_t vectors, uint8_t *block)
{
    const size_t channels = vectors * LANES;
    uint32_t start[POSITIONS] = {0}; /* modulo 2^32, as all sums are */
    for (size_t i = 0; i < weights->layer->conv.in_channels; i++) {
        int32_t u[POSITIONS];
        transform(weights, out_channel, i, u);
        uint8_t *to = block + channels * sizeof(int32_t);
        for (size_t position = 0; position < POSITIONS; position++) {
            const int32_t parts = position_parts(plan, position);
            for (int32_t part = 0; part < parts; part++) {
                /* their sum is U, each at most |U| / parts in size, rounded up */
                const int32_t share = u[position] * (part + 1) / parts - u[position] * part / parts;
                const size_t byte = i * plan->code_size;
                const size_t quad = (size_t)part * plan->quads + byte / QUAD;
                /* all of it, or the first bytes, which are the low ones */
                memcpy(to + (quad * channels + lane) * QUAD + byte % QUAD, &share, plan->code_size);
            }
            to += position_size(plan, position, channels);
            start[position] -=
                (uint32_t)(u[position] * (position == FULL_POSITION ? 4 * weights->zero[i] : plan->center));
        }
    }
    for (size_t position = 0; position < POSITIONS; position++) {
        memcpy(block + lane * sizeof(int32_t), &start[position], sizeof start[position]);
        block += position_size(plan, position, channels);
    }
}

void X86(winograd_prepare)(const mgk_qconv_weights *weights, uint8_t *section, mgk_raw *raw)
{
    const mgk_qconv *layer = weights->layer;
    const size_t out_channels = layer->conv.out_channels;
    winograd plan;
    X86(winograd_plan)(layer, &plan);
    for (size_t c = 0; c < out_channels; c += BLOCK_CHANNELS) {
        const size_t vectors = block_vectors(out_channels - c);
        for (size_t lane = 0; lane < vectors * LANES && c + lane < out_channels; lane++) {
            prepare_channel(weights, &plan, c + lane, lane, vectors, section);
        }
        section += X86(winograd_block_size)(&plan, vectors * LANES);
    }
    raw->bits = 32;
    raw->low = layer->sum_low;
    raw->high = layer->sum_high;
}
