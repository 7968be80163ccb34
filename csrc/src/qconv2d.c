/* The integer convolution: arguments, prepared weights, and the loop over images. */
#include "qconv2d.h"

#include <string.h>

#include "checked.h"
#include "pack.h"

/* ---------------------------------------------------------------- sizes */

static size_t element_size(mgk_path path)
{
    return path == MGK_NEON ? sizeof(int8_t) : sizeof(int32_t);
}

static mgk_status check_path(mgk_path path)
{
    return (path == MGK_SCALAR || path == MGK_NEON) && mgk_has_path(path) ? MGK_OK : MGK_BAD_PATH;
}

static mgk_status check_weight_bits(mgk_path path, unsigned weight_bits)
{
    const int taken = path == MGK_NEON ? weight_bits == 2 : mgk_is_weight_width(weight_bits);
    return taken ? MGK_OK : MGK_BAD_BITS;
}

/* Bytes of prepared weights, or 0 where they overflow. */
static size_t find_prepared_size(mgk_path path, const mgk_conv2d *conv, const mgk_geometry *geometry)
{
    size_t size = conv->out_channels / MGK_BLOCK + (conv->out_channels % MGK_BLOCK != 0);
    if (!mgk_multiply(&size, MGK_BLOCK * element_size(path)) || !mgk_multiply(&size, geometry->row_length) ||
        !mgk_add(&size, MGK_PREPARED_HEADER)) {
        return 0;
    }
    return size;
}

/* Bytes of workspace, or 0 where they overflow. */
static size_t find_workspace_size(mgk_path path, const mgk_conv2d *conv, const mgk_geometry *geometry)
{
    size_t scratch = path == MGK_NEON ? MGK_NEON_TILE : 0;
    if (!mgk_multiply(&scratch, geometry->row_length) || !mgk_add(&scratch, conv->in_channels) ||
        !mgk_add(&scratch, geometry->padded_size)) {
        return 0;
    }
    return scratch;
}

size_t mgk_qconv2d_prepared_size(mgk_path path, const mgk_conv2d *conv, unsigned weight_bits)
{
    mgk_geometry geometry;
    if (conv == NULL || check_path(path) != MGK_OK || check_weight_bits(path, weight_bits) != MGK_OK ||
        mgk_find_geometry(conv, &geometry) != MGK_OK) {
        return 0;
    }
    return find_prepared_size(path, conv, &geometry);
}

size_t mgk_qconv2d_workspace(mgk_path path, const mgk_conv2d *conv)
{
    mgk_geometry geometry;
    if (conv == NULL || check_path(path) != MGK_OK || mgk_find_geometry(conv, &geometry) != MGK_OK) {
        return 0;
    }
    return find_workspace_size(path, conv, &geometry);
}

/* ---------------------------------------------------------------- prepared weights */

/* The header of prepared weights: what they were made for. */
static void write_header(uint8_t header[MGK_PREPARED_HEADER], mgk_path path, const mgk_conv2d *conv,
                         unsigned weight_bits)
{
    const uint64_t fields[] = {0x314b474dU, /* "MGK1" */
                               (uint64_t)path,     weight_bits,       conv->kernel_height,
                               conv->kernel_width, conv->in_channels, conv->out_channels};
    memset(header, 0, MGK_PREPARED_HEADER);
    memcpy(header, fields, sizeof fields);
}

static void store_weight(uint8_t *prepared, mgk_path path, size_t index, int32_t weight)
{
    if (path == MGK_NEON) {
        const int8_t narrow = (int8_t)weight;
        memcpy(prepared + index * sizeof narrow, &narrow, sizeof narrow);
    } else {
        memcpy(prepared + index * sizeof weight, &weight, sizeof weight);
    }
}

mgk_status mgk_qconv2d_prepare(mgk_path path, const mgk_conv2d *conv, unsigned weight_bits, const uint8_t *packed,
                               size_t packed_size, void *prepared, size_t prepared_size)
{
    if (conv == NULL || packed == NULL || prepared == NULL) {
        return MGK_NULL_POINTER;
    }
    mgk_status status = check_path(path);
    mgk_geometry geometry;
    if (status == MGK_OK) {
        status = mgk_find_geometry(conv, &geometry);
    }
    if (status == MGK_OK) {
        status = check_weight_bits(path, weight_bits);
    }
    if (status != MGK_OK) {
        return status;
    }
    const size_t needed = find_prepared_size(path, conv, &geometry);
    const size_t packed_needed = mgk_packed_size(conv->out_channels, geometry.row_length, weight_bits);
    if (needed == 0 || packed_needed == 0) {
        return MGK_BAD_SHAPE;
    }
    if (prepared_size < needed || packed_size < packed_needed) {
        return MGK_BUFFER_TOO_SMALL;
    }

    write_header(prepared, path, conv, weight_bits);
    uint8_t *weights = (uint8_t *)prepared + MGK_PREPARED_HEADER;
    memset(weights, 0, needed - MGK_PREPARED_HEADER);
    const size_t row_size = packed_needed / conv->out_channels;
    const int32_t top = mgk_top_code(weight_bits);
    for (size_t o = 0; o < conv->out_channels; o++) {
        const uint8_t *row = packed + o * row_size;
        for (size_t e = 0; e < geometry.row_length; e++) {
            const size_t index = (o / MGK_BLOCK * geometry.row_length + e) * MGK_BLOCK + o % MGK_BLOCK;
            store_weight(weights, path, index, 2 * mgk_read_code(row, e, weight_bits) - top);
        }
    }
    return MGK_OK;
}

/* ---------------------------------------------------------------- running */

static mgk_status check_activations(mgk_path path, unsigned bits, const uint8_t *zero)
{
    if (!mgk_is_activation_width(bits) || (path == MGK_NEON && bits > 2)) {
        return MGK_BAD_BITS;
    }
    return path == MGK_NEON && zero != NULL ? MGK_BAD_PATH : MGK_OK;
}

static int was_prepared_for(const void *prepared, mgk_path path, const mgk_conv2d *conv, unsigned weight_bits)
{
    uint8_t header[MGK_PREPARED_HEADER];
    write_header(header, path, conv, weight_bits);
    return memcmp(header, prepared, sizeof header) == 0;
}

/* count pixels of zero codes. Returns what follows them. */
static uint8_t *fill_border(uint8_t *to, const uint8_t *zero, size_t count, size_t channels)
{
    for (size_t i = 0; i < count; i++) {
        memcpy(to, zero, channels);
        to += channels;
    }
    return to;
}

/* The image with its border, so that no inner loop asks where the image ends. */
static void pad_image(const mgk_conv2d *c, const mgk_geometry *g, const uint8_t *codes, const uint8_t *zero,
                      uint8_t *padded)
{
    const size_t row = c->width * c->in_channels;
    padded = fill_border(padded, zero, c->pad_top * g->padded_width, c->in_channels);
    for (size_t y = 0; y < c->height; y++) {
        padded = fill_border(padded, zero, c->pad_left, c->in_channels);
        memcpy(padded, codes + y * row, row);
        padded = fill_border(padded + row, zero, c->pad_right, c->in_channels);
    }
    fill_border(padded, zero, c->pad_bottom * g->padded_width, c->in_channels);
}

static mgk_status check_call(mgk_path path, const mgk_conv2d *conv, unsigned weight_bits, const void *prepared,
                             size_t prepared_size, unsigned activation_bits, const uint8_t *zero, size_t image_begin,
                             size_t image_end, size_t workspace_size, mgk_geometry *geometry)
{
    mgk_status status = check_path(path);
    if (status == MGK_OK) {
        status = mgk_find_geometry(conv, geometry);
    }
    if (status == MGK_OK) {
        status = check_weight_bits(path, weight_bits);
    }
    if (status == MGK_OK) {
        status = check_activations(path, activation_bits, zero);
    }
    if (status != MGK_OK) {
        return status;
    }
    if (image_begin > image_end || image_end > conv->images) {
        return MGK_BAD_RANGE;
    }
    const size_t prepared_needed = find_prepared_size(path, conv, geometry);
    const size_t workspace_needed = find_workspace_size(path, conv, geometry);
    if (prepared_needed == 0 || workspace_needed == 0) {
        return MGK_BAD_SHAPE;
    }
    if (prepared_size < prepared_needed || workspace_size < workspace_needed) {
        return MGK_BUFFER_TOO_SMALL;
    }
    if (!mgk_sum_fits(geometry->row_length, mgk_top_code(weight_bits), mgk_top_code(activation_bits), 0)) {
        return MGK_OVERFLOW;
    }
    return was_prepared_for(prepared, path, conv, weight_bits) ? MGK_OK : MGK_BAD_SHAPE;
}

mgk_status mgk_qconv2d(mgk_path path, const mgk_conv2d *conv, unsigned weight_bits, const void *prepared,
                       size_t prepared_size, unsigned activation_bits, const uint8_t *codes, const uint8_t *zero,
                       int32_t *accumulators, size_t image_begin, size_t image_end, void *workspace,
                       size_t workspace_size)
{
    if (conv == NULL || prepared == NULL || codes == NULL || accumulators == NULL || workspace == NULL) {
        return MGK_NULL_POINTER;
    }
    mgk_geometry geometry;
    const mgk_status status = check_call(path, conv, weight_bits, prepared, prepared_size, activation_bits, zero,
                                         image_begin, image_end, workspace_size, &geometry);
    if (status != MGK_OK) {
        return status;
    }
    const size_t images = image_end - image_begin;
    codes += image_begin * geometry.image_size;
    accumulators += image_begin * geometry.out_size;
    if (!mgk_codes_fit(codes, images * geometry.image_size, activation_bits) ||
        (zero != NULL && !mgk_codes_fit(zero, conv->in_channels, activation_bits))) {
        return MGK_BAD_CODE;
    }

    uint8_t *zeros = workspace;
    uint8_t *padded = zeros + conv->in_channels;
    if (zero != NULL) {
        memcpy(zeros, zero, conv->in_channels);
    } else {
        memset(zeros, 0, conv->in_channels);
    }
    const mgk_qconv2d_image image = {conv,  &geometry, (const uint8_t *)prepared + MGK_PREPARED_HEADER,
                                     zeros, padded,    padded + geometry.padded_size,
                                     NULL};
    for (size_t i = 0; i < images; i++) {
        mgk_qconv2d_image next = image;
        next.accumulators = accumulators + i * geometry.out_size;
        pad_image(conv, &geometry, codes + i * geometry.image_size, zeros, padded);
#if defined(__aarch64__)
        if (path == MGK_NEON) {
            mgk_qconv2d_neon(&next);
            continue;
        }
#endif
        mgk_qconv2d_scalar(&next);
    }
    return MGK_OK;
}
