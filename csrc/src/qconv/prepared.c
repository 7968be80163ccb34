/* The buffer of a prepared layer: its beginning, and the sections for zero codes, epilogue and weights. */
#include "qconv/layer.h"

#include <string.h>

#include "overlap.h"
#include "qconv/epilogue.h"

/* "MGKQ", and the version of what follows. */
static const uint64_t MAGIC = 0x514b474d00000001u;

/* A section of this size at the end so far; 0 where it overflows. */
static int append(size_t *end, size_t size, size_t *section)
{
    *section = *end;
    if (size == 0 || !mgk_add(end, size)) {
        return 0;
    }
    *end = mgk_round_up(*end, MGK_SECTION);
    return *end != 0;
}

int mgk_lay_out(mgk_prepared *prepared, const mgk_qconv *layer, unsigned kernel)
{
    const mgk_qconv_kernel *k = mgk_kernel(kernel);
    memset(prepared, 0, sizeof *prepared);
    prepared->magic = MAGIC;
    memcpy(&prepared->layer, layer, sizeof *layer);
    prepared->kernel = kernel;
    prepared->size = mgk_round_up(sizeof *prepared, MGK_SECTION);
    prepared->workspace_size = mgk_round_up(k->workspace_size(layer), MGK_WORKSPACE_ALIGNMENT);
    return append(&prepared->size, layer->conv.in_channels, &prepared->zero) &&
           append(&prepared->size, mgk_epilogue_size(layer), &prepared->epilogue) &&
           append(&prepared->size, k->weights_size(layer), &prepared->weights) && prepared->workspace_size != 0 &&
           mgk_add(&prepared->workspace_size, MGK_WORKSPACE_ALIGNMENT); /* room to align it */
}

uint64_t mgk_checksum(const mgk_prepared *prepared)
{
    const size_t begin = offsetof(mgk_prepared, checksum) + sizeof prepared->checksum;
    const uint8_t *bytes = (const uint8_t *)prepared;
    uint64_t sum = 0xcbf29ce484222325u; /* FNV-1a, a word at a time */
    for (size_t i = begin; i + sizeof(uint32_t) <= sizeof *prepared; i += sizeof(uint32_t)) {
        uint32_t word;
        memcpy(&word, bytes + i, sizeof word);
        sum = (sum ^ word) * 0x100000001b3u;
    }
    return sum;
}

mgk_status mgk_read_prepared(const void *buffer, size_t size, mgk_prepared *prepared)
{
    if (buffer == NULL) {
        return MGK_NULL_POINTER;
    }
    if (!mgk_is_aligned(buffer, MGK_ALIGNMENT)) {
        return MGK_MISALIGNED;
    }
    if (size < sizeof *prepared) {
        return MGK_BUFFER_TOO_SMALL;
    }
    memcpy(prepared, buffer, sizeof *prepared);
    if (prepared->magic != MAGIC || prepared->checksum != mgk_checksum(prepared)) {
        return MGK_BAD_VALUE;
    }
    return size < prepared->size ? MGK_BUFFER_TOO_SMALL : MGK_OK;
}

/* ---------------------------------------------------------------- making one */

/* The layer's numbers, or why it cannot be prepared. */
static mgk_status plan(mgk_path path, const mgk_qconv2d *arguments, mgk_prepared *prepared)
{
    mgk_qconv layer;
    unsigned kernel;
    mgk_status status = mgk_check_layer(arguments, &layer);
    if (status == MGK_OK) {
        status = mgk_find_kernel(path, &layer, arguments->kernel, &kernel);
    }
    if (status != MGK_OK) {
        return status;
    }
    return mgk_lay_out(prepared, &layer, kernel) ? MGK_OK : MGK_BAD_SHAPE;
}

size_t mgk_qconv2d_prepared_size(mgk_path path, const mgk_qconv2d *layer)
{
    mgk_prepared prepared;
    return plan(path, layer, &prepared) == MGK_OK ? prepared.size : 0;
}

/* 1 if the buffer to be written has a byte of the arguments in it. */
static int touches_arguments(const void *buffer, size_t size, const mgk_qconv2d *a, const uint8_t *packed,
                             size_t packed_size)
{
    const size_t channels = a->conv.out_channels;
    const size_t words = channels * sizeof(int32_t);
    const mgk_epilogue *e = &a->epilogue;
    int touches = mgk_overlap(buffer, size, a, sizeof *a) || mgk_overlap(buffer, size, packed, packed_size) ||
                  mgk_overlap(buffer, size, a->zero, a->conv.in_channels);
    if (a->encoding == MGK_CODEBOOK) {
        touches |= mgk_overlap(buffer, size, a->codebook, (size_t)1 << a->weight_bits);
    }
    if (e->output == MGK_CODES) {
        touches |= mgk_overlap(buffer, size, e->thresholds, words * (size_t)mgk_top_code(e->bits)) ||
                   mgk_overlap(buffer, size, e->direction, channels);
    } else if (e->output != MGK_ACCUMULATORS) {
        touches |= mgk_overlap(buffer, size, e->bias, words) || mgk_overlap(buffer, size, e->multiplier, words) ||
                   mgk_overlap(buffer, size, e->shift, channels);
    }
    return touches;
}

static void write_prepared(mgk_prepared *prepared, const mgk_qconv2d *arguments, const uint8_t *packed, size_t row_size,
                           uint8_t *buffer)
{
    const mgk_qconv *layer = &prepared->layer;
    memset(buffer, 0, prepared->size);
    if (arguments->zero != NULL) {
        memcpy(buffer + prepared->zero, arguments->zero, layer->conv.in_channels);
    }
    uint8_t *tables = buffer + prepared->epilogue;
    const mgk_qconv_weights weights = {layer, packed, row_size, buffer + prepared->zero};
    mgk_raw raw = {32, layer->sum_low, layer->sum_high, (int32_t *)(void *)tables};
    mgk_kernel(prepared->kernel)->prepare(&weights, buffer + prepared->weights, &raw);
    mgk_prepare_epilogue(layer, &arguments->epilogue, &raw, tables);
    prepared->raw_bits = raw.bits;
    /* thresholds are saturated into what raw sums can be and one more, or its complement */
    prepared->close = (int64_t)raw.high + 1 - raw.low <= INT16_MAX;
    prepared->checksum = mgk_checksum(prepared);
    memcpy(buffer, prepared, sizeof *prepared);
}

mgk_status mgk_qconv2d_prepare(mgk_path path, const mgk_qconv2d *layer, const uint8_t *packed, size_t packed_size,
                               void *prepared, size_t prepared_size)
{
    if (layer == NULL || packed == NULL || prepared == NULL) {
        return MGK_NULL_POINTER;
    }
    mgk_prepared made;
    const mgk_status status = plan(path, layer, &made);
    if (status != MGK_OK) {
        return status;
    }
    const size_t packed_needed =
        mgk_packed_size(layer->conv.out_channels, made.layer.geometry.row_length, layer->weight_bits);
    if (packed_needed == 0) {
        return MGK_BAD_SHAPE;
    }
    if (packed_size < packed_needed || prepared_size < made.size) {
        return MGK_BUFFER_TOO_SMALL;
    }
    if (!mgk_is_aligned(prepared, MGK_ALIGNMENT)) {
        return MGK_MISALIGNED;
    }
    if (touches_arguments(prepared, made.size, layer, packed, packed_needed)) {
        return MGK_OVERLAP;
    }
    write_prepared(&made, layer, packed, packed_needed / layer->conv.out_channels, prepared);
    return MGK_OK;
}
