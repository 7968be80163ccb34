/* Weights of the polyphase kernel: transformed, in the order the products read them, behind proven periods. */
#include "neon.h"

#if MGK_HAS_NEON
#include "qconv/neon/polyphase.h"

enum { PERIODS_ALIGNMENT = 64, MOST_PERIOD = UINT8_MAX };

const size_t mgk_polyphase_tap[AXIS] = {0, 1, 2, 3, 3};

/* The values of a position, and how many stored weights its own are sums of. */
static void find_values(const mgk_direct_form *form, size_t position, int32_t *low, int32_t *high, int32_t *weights)
{
    const size_t axes[2] = {position / AXIS, position % AXIS};
    *low = form->value_low;
    *high = form->value_high;
    *weights = 1;
    for (int k = 0; k < 2; k++) {
        if (axes[k] == 0 || axes[k] == 2) {
            const int32_t width = *high - *low;
            *low = -width;
            *high = width;
        } else if (axes[k] == 1) {
            *weights *= 2;
        }
    }
}

size_t mgk_polyphase_period(const mgk_direct_form *form, size_t index)
{
    mgk_direct_form position = *form;
    int32_t low, high, weight;
    find_values(form, index, &low, &high, &weight);
    const int32_t corners[4] = {low * weight * form->stored_low, low * weight * form->stored_high,
                                high * weight * form->stored_low, high * weight * form->stored_high};
    position.product_low = position.product_high = 0;
    for (int k = 0; k < 4; k++) {
        position.product_low = corners[k] < position.product_low ? corners[k] : position.product_low;
        position.product_high = corners[k] > position.product_high ? corners[k] : position.product_high;
    }
    const size_t period = mgk_most_products(&position, 8) / 4;
    return period < MOST_PERIOD ? period : MOST_PERIOD;
}

size_t mgk_polyphase_periods_size(const polyphase *d)
{
    return mgk_round_up(d->pitch / BLOCK * POSITIONS, PERIODS_ALIGNMENT); /* pitch * 16 bytes are in the workspace */
}

size_t mgk_polyphase_weights_size(const mgk_qconv *layer, const polyphase *d)
{
    size_t size = d->pitch;
    return mgk_multiply(&size, TAPS * TAPS) && mgk_multiply(&size, layer->conv.in_channels) &&
                   mgk_add(&size, mgk_polyphase_periods_size(d))
               ? size
               : 0;
}

/* [block of output channels][kind of weight][pair of input channels][output channel][2] */
static size_t find_weight(size_t in_channels, size_t out, size_t kind, size_t in)
{
    return ((out / BLOCK * TAPS * TAPS + kind) * in_channels + in / 2 * 2) * BLOCK + out % BLOCK * 2 + in % 2;
}

static void transform_weights(const int32_t g[3][3], int32_t u[TAPS][TAPS])
{
    int32_t rows[TAPS][3];
    for (int x = 0; x < 3; x++) {
        rows[0][x] = g[0][x];
        rows[1][x] = g[0][x] + g[2][x];
        rows[2][x] = g[2][x];
        rows[3][x] = g[1][x];
    }
    for (int i = 0; i < TAPS; i++) {
        u[i][0] = rows[i][0];
        u[i][1] = rows[i][0] + rows[i][2];
        u[i][2] = rows[i][2];
        u[i][3] = rows[i][1];
    }
}

/* 1 if no lane overflows whatever the values in low to high (0 among them) are: one that meets a positive weight gains
 * low * w to high * w, one that meets a negative weight high * w to low * w. Bytes wrap around: it is enough that the
 * sums at the end of a period fit. */
static int fits(const int8_t *weights, size_t steps, size_t period, int32_t low, int32_t high)
{
    for (size_t step = 0; step < steps; step += period) {
        for (size_t lane = 0; lane < 2 * BLOCK; lane++) {
            int32_t most = 0, least = 0;
            for (size_t i = step; i < step + period && i < steps; i++) {
                const int32_t w = weights[i * 2 * BLOCK + lane];
                most += w > 0 ? high * w : low * w;
                least += w > 0 ? low * w : high * w;
            }
            if (most > INT8_MAX || least < INT8_MIN) {
                return 0;
            }
        }
    }
    return 1;
}

/* The period with the fewest flushes that is safe: for any weights of the encoding, or for these. */
static uint8_t choose_period(const mgk_qconv *layer, const polyphase *d, size_t position, const int8_t *weights)
{
    const size_t groups = layer->conv.in_channels / 8;
    const size_t safe = d->period[position];
    int32_t low, high, sums_of;
    find_values(&d->form, position, &low, &high, &sums_of);
    for (size_t flushes = 1; layer->flush_from_weights && flushes <= groups; flushes++) {
        const size_t period = (groups + flushes - 1) / flushes;
        if (period <= safe) {
            break;
        }
        if (period <= MOST_PERIOD && fits(weights, 4 * groups, 4 * period, low, high)) {
            return (uint8_t)period;
        }
    }
    return (uint8_t)safe;
}

void mgk_polyphase_prepare(const mgk_qconv_weights *weights, const polyphase *d, uint8_t *section, mgk_raw *raw)
{
    const mgk_qconv *layer = weights->layer;
    const size_t channels = layer->conv.in_channels;
    uint8_t *packed = section + mgk_polyphase_periods_size(d);
    for (size_t out = 0; out < layer->conv.out_channels; out++) {
        for (size_t in = 0; in < channels; in++) {
            int32_t g[3][3], u[TAPS][TAPS];
            for (size_t tap = 0; tap < 9; tap++) {
                const int32_t weight = mgk_weight(weights, out, tap * channels + in);
                g[tap / 3][tap % 3] = (weight - d->form.base) / d->form.scale;
                raw->offset[out] += weight * (d->form.centre - (layer->has_zero ? weights->zero[in] : 0));
            }
            transform_weights((const int32_t (*)[3])g, u);
            for (size_t kind = 0; kind < TAPS * TAPS; kind++) {
                packed[find_weight(channels, out, kind, in)] = (uint8_t)u[kind / TAPS][kind % TAPS];
            }
        }
    }
    for (size_t block = 0; block * BLOCK < d->pitch; block++) {
        for (size_t position = 0; position < POSITIONS; position++) {
            const size_t kind = mgk_polyphase_tap[position / AXIS] * TAPS + mgk_polyphase_tap[position % AXIS];
            const int8_t *w = (const int8_t *)packed + find_weight(channels, block * BLOCK, kind, 0);
            section[block * POSITIONS + position] = choose_period(layer, d, position, w);
        }
    }
    raw->bits = mgk_direct_raw(layer, &d->form, &raw->low, &raw->high);
}
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
