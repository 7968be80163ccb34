/* The tables of the epilogue; epilogue.h says what is in them. */
#include "qconv/epilogue.h"

/* ---------------------------------------------------------------- where they are */

static size_t padded_channels(const mgk_qconv *layer)
{
    return mgk_round_up(layer->conv.out_channels, MGK_CHANNEL_BLOCK);
}

static size_t count_levels(const mgk_qconv *layer)
{
    return layer->output == MGK_CODES ? (size_t)mgk_top_code(layer->out_bits) : 0;
}

/* Bytes of a padded channel: of the addend, and of flip and thresholds of 32 bits or multiplier and shift. */
static size_t channel_size(const mgk_qconv *layer)
{
    switch (layer->output) {
    case MGK_ACCUMULATORS: return sizeof(int32_t);
    case MGK_CODES: return (2 + count_levels(layer)) * sizeof(int32_t);
    default: return 2 * sizeof(int32_t) + sizeof(uint8_t);
    }
}

size_t mgk_epilogue_size(const mgk_qconv *layer)
{
    size_t size = padded_channels(layer);
    return mgk_multiply(&size, channel_size(layer)) ? size : 0;
}

void mgk_find_epilogue(const mgk_qconv *layer, int raw_bits, int close, const uint8_t *section,
                       mgk_prepared_epilogue *epilogue)
{
    const size_t channels = padded_channels(layer);
    const uint8_t *second = section + channels * sizeof(int32_t);
    const mgk_prepared_epilogue found = {
        raw_bits,
        close,
        count_levels(layer),
        (const int32_t *)(const void *)section,
        (const int32_t *)(const void *)second,
        second + channels * sizeof(int32_t),
        second,
        second + channels * (size_t)(raw_bits / 8),
    };
    *epilogue = found;
}

/* ---------------------------------------------------------------- what they hold */

static int64_t clamp(int64_t x, int64_t low, int64_t high)
{
    return x < low ? low : x > high ? high : x;
}

/* Stores an element of a table of int16 or int32. */
static void put(void *table, int bits, size_t index, int64_t value)
{
    if (bits == 16) {
        ((int16_t *)table)[index] = (int16_t)value;
    } else {
        ((int32_t *)table)[index] = (int32_t)value;
    }
}

/* One threshold as the comparison wants it. */
static int64_t fold_threshold(const mgk_raw *raw, int8_t direction, int64_t threshold, int64_t offset)
{
    const int64_t low = direction < 0 ? -(int64_t)raw->high - 1 : raw->low; /* of raw ^ flip */
    const int64_t high = direction < 0 ? -(int64_t)raw->low - 1 : raw->high;
    if (direction == 0) {
        return threshold <= 0 ? low : high + 1;
    }
    return clamp(direction < 0 ? threshold + offset - 1 : threshold - offset, low, high + 1);
}

static void prepare_thresholds(const mgk_qconv *layer, const mgk_epilogue *arguments, const mgk_raw *raw,
                               uint8_t *section)
{
    const size_t channels = padded_channels(layer);
    const size_t levels = count_levels(layer);
    const size_t block = raw->bits == 16 ? 8 : 4;
    uint8_t *flips = section + channels * sizeof(int32_t);
    uint8_t *thresholds = flips + channels * (size_t)(raw->bits / 8);
    for (size_t c = 0; c < layer->conv.out_channels; c++) {
        const int8_t direction = arguments->direction[c];
        put(flips, raw->bits, c, direction < 0 ? -1 : 0);
        for (size_t k = 0; k < levels; k++) {
            const int64_t folded =
                fold_threshold(raw, direction, arguments->thresholds[c * levels + k], raw->offset[c]);
            put(thresholds, raw->bits, (c / block * levels + k) * block + c % block, folded);
        }
    }
}

void mgk_prepare_epilogue(const mgk_qconv *layer, const mgk_epilogue *arguments, const mgk_raw *raw, uint8_t *section)
{
    const size_t channels = padded_channels(layer);
    if (layer->output == MGK_CODES) {
        prepare_thresholds(layer, arguments, raw, section);
        return;
    }
    if (layer->output == MGK_ACCUMULATORS) {
        return; /* the addends are the offsets */
    }
    int32_t *addend = (int32_t *)(void *)section;
    int32_t *multiplier = addend + channels;
    uint8_t *shift = (uint8_t *)(multiplier + channels);
    for (size_t c = 0; c < layer->conv.out_channels; c++) {
        const int32_t bias = arguments->bias != NULL ? arguments->bias[c] : 0;
        addend[c] = (int32_t)((uint32_t)addend[c] + (uint32_t)bias);
        multiplier[c] = arguments->multiplier[c];
        shift[c] = arguments->shift[c];
    }
    for (size_t c = layer->conv.out_channels; c < channels; c++) {
        shift[c] = 62; /* so that no channel that is not there keeps the others from what large shifts allow */
    }
}
