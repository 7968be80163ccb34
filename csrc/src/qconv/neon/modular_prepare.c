/* Weights of the modular kernel: transformed modulo 2^16, in the order the products read them. */
#include "qconv/neon/modular.h"

#if MGK_HAS_NEON

enum { BIASES_ALIGNMENT = 64, INVERSE_OF_9 = 36409 /* 9 * 36,409 = 5 * 2^16 + 1 */ };

size_t mgk_modular_biases_size(const modular *plan)
{
    size_t size = sizeof(int16_t);
    if (!mgk_multiply(&size, plan->out_channels) || !mgk_multiply(&size, plan->chunks)) {
        return 0;
    }
    return mgk_round_up(size, BIASES_ALIGNMENT);
}

size_t mgk_modular_weights_size(const modular *plan)
{
    size_t size = MODULAR_POSITIONS * sizeof(int16_t);
    const size_t biases = mgk_modular_biases_size(plan);
    return biases != 0 && mgk_multiply(&size, plan->channels) && mgk_multiply(&size, plan->out_channels) &&
                   mgk_add(&size, biases)
               ? size
               : 0;
}

/* G g of three numbers; all arithmetic is modulo 2^32, of which 2^16 is a divisor. */
static void transform_axis(const uint32_t g[3], uint32_t u[MODULAR_SIDE])
{
    u[0] = g[0];
    u[1] = g[0] + g[1] + g[2];
    u[2] = INVERSE_OF_9 * (g[0] - g[1] + g[2]);
    u[3] = INVERSE_OF_9 * (g[0] + 2 * g[1] + 4 * g[2]);
    u[4] = INVERSE_OF_9 * (4 * g[0] + 2 * g[1] + g[2]);
    u[5] = g[2];
}

static void transform(uint32_t g[3][3], uint32_t u[MODULAR_SIDE][MODULAR_SIDE])
{
    uint32_t rows[MODULAR_SIDE][3];
    for (int x = 0; x < 3; x++) {
        const uint32_t column[3] = {g[0][x], g[1][x], g[2][x]};
        uint32_t all[MODULAR_SIDE];
        transform_axis(column, all);
        for (int i = 0; i < MODULAR_SIDE; i++) {
            rows[i][x] = all[i];
        }
    }
    for (int i = 0; i < MODULAR_SIDE; i++) {
        transform_axis(rows[i], u[i]);
    }
}

/* The transformed weights of one output channel and chunk: into lane `lane` of `lanes`. The return value is the sum of
 * what is stored for a weight. */
static int32_t prepare_channel(const mgk_qconv_weights *weights, const modular *plan, size_t out_channel, size_t begin,
                               size_t channels, int16_t *chunk, size_t lane, size_t lanes)
{
    const size_t in_channels = weights->layer->conv.in_channels;
    int32_t sum = 0;
    for (size_t c = 0; c < channels && begin + c < in_channels; c++) {
        uint32_t g[3][3];
        uint32_t u[MODULAR_SIDE][MODULAR_SIDE];
        for (size_t tap = 0; tap < 9; tap++) {
            const int32_t weight = mgk_weight(weights, out_channel, tap * in_channels + begin + c);
            const int32_t stored = plan->halved ? (weight - 1) / 2 : weight; /* odd: weight - 1 is even */
            g[tap / 3][tap % 3] = (uint32_t)stored;
            sum += stored;
        }
        transform(g, u);
        for (size_t position = 0; position < MODULAR_POSITIONS; position++) {
            chunk[(position * channels + c) * lanes + lane] =
                (int16_t)(uint16_t)u[position / MODULAR_SIDE][position % MODULAR_SIDE];
        }
    }
    return sum;
}

void mgk_modular_prepare(const mgk_qconv_weights *weights, const modular *plan, uint8_t *section, mgk_raw *raw)
{
    const mgk_qconv *layer = weights->layer;
    const int32_t n = mgk_top_code(layer->activation_bits);
    int16_t *biases = (int16_t *)(void *)section;
    int16_t *packed = (int16_t *)(void *)(section + mgk_modular_biases_size(plan));
    for (size_t first = 0; first < plan->out_channels; first += MODULAR_LANES) {
        const size_t lanes = mgk_modular_lanes(plan, first);
        for (size_t chunk = 0; chunk < plan->chunks; chunk++) {
            const size_t begin = chunk * plan->chunk;
            const size_t channels = mgk_modular_chunk(plan, chunk);
            const size_t left = layer->conv.in_channels - begin;
            const int32_t terms = 9 * n * (int32_t)(channels < left ? channels : left);
            for (size_t lane = 0; lane < lanes && first + lane < layer->conv.out_channels; lane++) {
                const int32_t sum = prepare_channel(weights, plan, first + lane, begin, channels, packed, lane, lanes);
                /* halved: 2 raw = sum of g (2 a - N), and y = raw + N / 2 sum of g; raw was rounded down */
                biases[lane] = (int16_t)(uint16_t)(plan->halved ? -2 * n * sum - terms : -4 * ((n + 1) / 2) * sum);
                raw->offset[first + lane] += plan->halved ? n * sum + (terms + 1) / 2 : (n + 1) / 2 * sum;
            }
            biases += lanes;
            packed += MODULAR_POSITIONS * channels * lanes;
        }
    }
    raw->bits = plan->raw_bits;
    raw->low = -plan->raw_bound;
    raw->high = plan->raw_bound;
}
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
