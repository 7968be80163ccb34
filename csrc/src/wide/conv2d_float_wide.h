/* The three float convolutions for one type and one vector width: REAL, FUNCTION(name) and MGK_WIDE are defined by the
 * including file. Vectors lie along the output channels (forward), the input channels (gradient of the input) or the
 * output channels (gradient of the weights), so every element is summed in the one order the header gives, whatever
 * the width. */
#include "conv2d_float.h"
#include "vector.h"

/* Tile: up to 2 vectors of channels by PIXELS pixels, so that the sums, the weights and a broadcast fit the registers. */
#if REGISTERS == 32
#define PIXELS 8
#else
#define PIXELS 6
#endif

/* The terms of one row of outputs: for each tap an offset into the source and its weights, packed in the order
 * [block of channels][tap][channel][width]. */
typedef struct terms {
    const size_t *offsets;
    size_t taps, channels, pixel_step; /* pixel_step: from one output's source to the next one's, in elements */
} terms;

INLINE void tile(const terms *t, const REAL *source, const REAL *weights, REAL *out, size_t out_step, size_t valid,
                 const size_t vectors, const size_t pixels)
{
    vec sum[2][8];
#pragma GCC unroll 8
    for (size_t p = 0; p < pixels; p++) {
#pragma GCC unroll 2
        for (size_t v = 0; v < vectors; v++) {
            sum[v][p] = (vec){0};
        }
    }
    for (size_t first = 0; first < t->channels; first += MGK_CHANNEL_BLOCK) {
        const size_t left = t->channels - first;
        const size_t block = left < MGK_CHANNEL_BLOCK ? left : MGK_CHANNEL_BLOCK;
        for (size_t tap = 0; tap < t->taps; tap++) {
            const REAL *in = source + t->offsets[tap] + first;
            for (size_t c = 0; c < block; c++) {
                vec w[2];
#pragma GCC unroll 2
                for (size_t v = 0; v < vectors; v++) {
                    w[v] = load(weights + v * LANES);
                }
#pragma GCC unroll 8
                for (size_t p = 0; p < pixels; p++) {
                    const vec x = broadcast(in[p * t->pixel_step + c]);
#pragma GCC unroll 2
                    for (size_t v = 0; v < vectors; v++) {
                        sum[v][p] = multiply_add(x, w[v], sum[v][p]);
                    }
                }
                weights += vectors * LANES;
            }
        }
    }
#pragma GCC unroll 8
    for (size_t p = 0; p < pixels; p++) {
        if (valid == vectors * LANES) {
#pragma GCC unroll 2
            for (size_t v = 0; v < vectors; v++) {
                store(out + p * out_step + v * LANES, sum[v][p]);
            }
        } else {
            REAL lanes[2 * LANES];
#pragma GCC unroll 2
            for (size_t v = 0; v < vectors; v++) {
                store(lanes + v * LANES, sum[v][p]);
            }
            memcpy(out + p * out_step, lanes, valid * sizeof(REAL));
        }
    }
}

/* A row of `count` outputs, `valid` channels from one group of vectors. */
INLINE void row_of(const terms *t, const REAL *source, const REAL *weights, REAL *out, size_t out_step, size_t valid,
                   size_t count, const size_t vectors)
{
    size_t p = 0;
    for (; p + PIXELS <= count; p += PIXELS) {
        tile(t, source + p * t->pixel_step, weights, out + p * out_step, out_step, valid, vectors, PIXELS);
    }
    for (; p + 4 <= count; p += 4) {
        tile(t, source + p * t->pixel_step, weights, out + p * out_step, out_step, valid, vectors, 4);
    }
    for (; p < count; p++) {
        tile(t, source + p * t->pixel_step, weights, out + p * out_step, out_step, valid, vectors, 1);
    }
}

/* A row of outputs, all channels: two vectors at a time, then one. */
static void row(const terms *t, const REAL *source, const REAL *weights, REAL *out, size_t out_step,
                size_t out_channels, size_t count)
{
    const size_t terms_each = t->taps * t->channels;
    size_t c = 0;
    while (c < out_channels) {
        const size_t left = out_channels - c;
        const size_t width = left > LANES ? 2 * LANES : LANES;
        const size_t valid = left < width ? left : width;
        if (width == 2 * LANES) {
            row_of(t, source, weights, out + c, out_step, valid, count, 2);
        } else {
            row_of(t, source, weights, out + c, out_step, valid, count, 1);
        }
        weights += terms_each * width;
        c += width;
    }
}

/* Packs the weights of the listed taps for `row`: weight(tap, k, c) = w[tap * tap_step + k * k_step + c * c_step] with
 * k the channel summed over, c the output's. Returns the number of elements written. */
static size_t pack(const REAL *w, const size_t *taps, size_t tap_count, size_t tap_step, size_t channels, size_t k_step,
                   size_t out_channels, size_t c_step, REAL *packed)
{
    REAL *const start = packed;
    size_t c = 0;
    while (c < out_channels) {
        const size_t left = out_channels - c;
        const size_t width = left > LANES ? 2 * LANES : LANES;
        const size_t valid = left < width ? left : width;
        for (size_t first = 0; first < channels; first += MGK_CHANNEL_BLOCK) {
            const size_t last = channels - first < MGK_CHANNEL_BLOCK ? channels : first + MGK_CHANNEL_BLOCK;
            for (size_t n = 0; n < tap_count; n++) {
                for (size_t k = first; k < last; k++) {
                    const REAL *from = w + taps[n] * tap_step + k * k_step + c * c_step;
                    for (size_t lane = 0; lane < valid; lane++) {
                        packed[lane] = from[lane * c_step];
                    }
                    for (size_t lane = valid; lane < width; lane++) {
                        packed[lane] = 0;
                    }
                    packed += width;
                }
            }
        }
        c += width;
    }
    return (size_t)(packed - start);
}

/* Copies an image into the middle of a larger one whose border is already zero. */
static void place(const REAL *image, size_t height, size_t width, size_t channels, REAL *larger, mgk_border border)
{
    for (size_t y = 0; y < height; y++) {
        memcpy(larger + ((y + border.top) * border.width + border.left) * channels, image + y * width * channels,
               width * channels * sizeof(REAL));
    }
}

void FUNCTION(forward)(const mgk_conv2d *conv, const REAL *x, const REAL *w, REAL *y, size_t image_begin,
                       size_t image_end, char *workspace, mgk_workspace parts)
{
    size_t oh, ow;
    (void)mgk_conv2d_output(conv, &oh, &ow);
    const size_t ic = conv->in_channels, oc = conv->out_channels, taps = conv->kernel_height * conv->kernel_width;
    size_t *const offsets = (size_t *)(void *)workspace, *const order = offsets + taps;
    REAL *const weights = (REAL *)(void *)(workspace + parts.taps);
    REAL *const padded = (REAL *)(void *)(workspace + parts.taps + parts.weights);
    const mgk_border border = mgk_input_border(conv);
    for (size_t n = 0; n < taps; n++) {
        order[n] = n;
        offsets[n] =
            ((n / conv->kernel_width) * conv->dilation_y * border.width + (n % conv->kernel_width) * conv->dilation_x) *
            ic;
    }
    (void)pack(w, order, taps, ic * oc, ic, oc, oc, 1, weights);
    memset(padded, 0, border.height * border.width * ic * sizeof(REAL));
    const terms t = {offsets, taps, ic, conv->stride_x * ic};
    for (size_t n = image_begin; n < image_end; n++) {
        place(x + n * conv->height * conv->width * ic, conv->height, conv->width, ic, padded, border);
        for (size_t r = 0; r < oh; r++) {
            row(&t, padded + r * conv->stride_y * border.width * ic, weights, y + (n * oh + r) * ow * oc, oc, oc, ow);
        }
    }
}

/* Input rows and columns fall into stride_y x stride_x classes; the taps that meet the stride are the same for a whole
 * class, so each class is a plain correlation of the padded dy with its own taps. */
void FUNCTION(grad_input)(const mgk_conv2d *conv, const REAL *dy, const REAL *w, REAL *dx, size_t image_begin,
                          size_t image_end, char *workspace, mgk_workspace parts)
{
    size_t oh, ow;
    (void)mgk_conv2d_output(conv, &oh, &ow);
    const size_t ic = conv->in_channels, oc = conv->out_channels, taps = conv->kernel_height * conv->kernel_width;
    const size_t sy = conv->stride_y, sx = conv->stride_x;
    size_t *const offsets = (size_t *)(void *)workspace, *const order = offsets + taps;
    REAL *const weights = (REAL *)(void *)(workspace + parts.taps);
    REAL *const padded = (REAL *)(void *)(workspace + parts.taps + parts.weights);
    const mgk_border border = mgk_gradient_border(conv, oh, ow);
    memset(padded, 0, border.height * border.width * oc * sizeof(REAL));
    for (size_t cy = 0; cy < sy && cy < conv->height; cy++) {
        for (size_t cx = 0; cx < sx && cx < conv->width; cx++) {
            size_t count = 0;
            for (size_t n = taps; n-- > 0;) {
                /* The row of dy that this tap reads for the input row cy, in the padded dy: an exact division. */
                const size_t above = cy + conv->pad_top + border.top * sy;
                const size_t before = cx + conv->pad_left + border.left * sx;
                const size_t down = (n / conv->kernel_width) * conv->dilation_y;
                const size_t along = (n % conv->kernel_width) * conv->dilation_x;
                if ((above - down) % sy != 0 || (before - along) % sx != 0) {
                    continue;
                }
                order[count] = n;
                offsets[count++] = ((above - down) / sy * border.width + (before - along) / sx) * oc;
            }
            (void)pack(w, order, count, ic * oc, oc, 1, ic, oc, weights);
            const terms t = {offsets, count, oc, oc};
            const size_t columns = mgk_ceil_div(conv->width - cx, sx);
            for (size_t n = image_begin; n < image_end; n++) {
                place(dy + n * oh * ow * oc, oh, ow, oc, padded, border);
                for (size_t r = cy, k = 0; r < conv->height; r += sy, k++) {
                    row(&t, padded + k * border.width * oc, weights,
                        dx + ((n * conv->height + r) * conv->width + cx) * ic, sx * ic, ic, columns);
                }
            }
        }
    }
}

/* sum[q, :] += x[pixel, q] dy[pixel, :] over the pixels of the rows, q consecutive elements of x. */
INLINE void outer(const REAL *x, size_t x_row, size_t x_step, const REAL *dy, size_t dy_step, size_t rows,
                  size_t columns, REAL *sums, size_t sums_step, const size_t vectors, const size_t depth)
{
    vec sum[8][2];
#pragma GCC unroll 8
    for (size_t q = 0; q < depth; q++) {
#pragma GCC unroll 2
        for (size_t v = 0; v < vectors; v++) {
            sum[q][v] = load(sums + q * sums_step + v * LANES);
        }
    }
    for (size_t r = 0; r < rows; r++) {
        for (size_t p = 0; p < columns; p++) {
            /* not stepped: a long stride would leave the array at the end */
            const REAL *in = x + r * x_row + p * x_step;
            vec g[2];
#pragma GCC unroll 2
            for (size_t v = 0; v < vectors; v++) {
                g[v] = load(dy + v * LANES);
            }
#pragma GCC unroll 8
            for (size_t q = 0; q < depth; q++) {
                const vec a = broadcast(in[q]);
#pragma GCC unroll 2
                for (size_t v = 0; v < vectors; v++) {
                    sum[q][v] = multiply_add(a, g[v], sum[q][v]);
                }
            }
            dy += dy_step;
        }
    }
#pragma GCC unroll 8
    for (size_t q = 0; q < depth; q++) {
#pragma GCC unroll 2
        for (size_t v = 0; v < vectors; v++) {
            store(sums + q * sums_step + v * LANES, sum[q][v]);
        }
    }
}

INLINE void outer_of(const REAL *x, size_t x_row, size_t x_step, const REAL *dy, size_t dy_step, size_t rows,
                     size_t columns, REAL *sums, size_t sums_step, size_t count, const size_t vectors)
{
    size_t q = 0;
    for (; q + PIXELS <= count; q += PIXELS) {
        outer(x + q, x_row, x_step, dy, dy_step, rows, columns, sums + q * sums_step, sums_step, vectors, PIXELS);
    }
    for (; q + 3 <= count; q += 3) {
        outer(x + q, x_row, x_step, dy, dy_step, rows, columns, sums + q * sums_step, sums_step, vectors, 3);
    }
    for (; q < count; q++) {
        outer(x + q, x_row, x_step, dy, dy_step, rows, columns, sums + q * sums_step, sums_step, vectors, 1);
    }
}

void FUNCTION(grad_weight)(const mgk_conv2d *conv, const REAL *x, const REAL *dy, REAL *sums, size_t chunk_begin,
                           size_t chunk_end, char *workspace, mgk_workspace parts)
{
    size_t oh, ow;
    (void)mgk_conv2d_output(conv, &oh, &ow);
    const size_t ic = conv->in_channels, oc = conv->out_channels, lanes = mgk_pad_lanes(oc);
    const size_t elements = conv->kernel_height * conv->kernel_width * ic;
    REAL *const sum = (REAL *)(void *)(workspace + parts.taps);
    REAL *const padded = (REAL *)(void *)(workspace + parts.taps + parts.weights);
    REAL *const gradient = (REAL *)(void *)(workspace + parts.taps + parts.weights + parts.image);
    const mgk_border border = mgk_input_border(conv);
    /* With dilation 1 the taps of a kernel row are consecutive in x and run as one. */
    const size_t runs = conv->dilation_x == 1 ? 1 : conv->kernel_width;
    const size_t run = conv->kernel_width * ic / runs;
    const size_t all_rows = conv->images * oh;
    memset(padded, 0, border.height * border.width * ic * sizeof(REAL));
    for (size_t chunk = chunk_begin; chunk < chunk_end; chunk++) {
        const size_t quotient = all_rows / MGK_CHUNKS, rest = all_rows % MGK_CHUNKS;
        const size_t last = quotient * (chunk + 1) + rest * (chunk + 1) / MGK_CHUNKS;
        size_t first = quotient * chunk + rest * chunk / MGK_CHUNKS;
        memset(sum, 0, elements * lanes * sizeof(REAL));
        while (first < last) {
            const size_t image = first / oh, from = first % oh;
            const size_t rows = last - first < oh - from ? last - first : oh - from;
            const REAL *g = dy + (image * oh + from) * ow * oc;
            size_t g_step = oc;
            place(x + image * conv->height * conv->width * ic, conv->height, conv->width, ic, padded, border);
            if (lanes != oc) {
                memset(gradient, 0, rows * ow * lanes * sizeof(REAL));
                for (size_t p = 0; p < rows * ow; p++) {
                    memcpy(gradient + p * lanes, g + p * oc, oc * sizeof(REAL));
                }
                g = gradient;
                g_step = lanes;
            }
            const size_t x_row = conv->stride_y * border.width * ic;
            for (size_t ky = 0; ky < conv->kernel_height; ky++) {
                for (size_t n = 0; n < runs; n++) {
                    const REAL *in =
                        padded + from * x_row + (ky * conv->dilation_y * border.width + n * conv->dilation_x) * ic;
                    REAL *to = sum + (ky * conv->kernel_width * ic + n * run) * lanes;
                    size_t c = 0;
                    for (; c + 2 * LANES <= lanes; c += 2 * LANES) {
                        outer_of(in, x_row, conv->stride_x * ic, g + c, g_step, rows, ow, to + c, lanes, run, 2);
                    }
                    for (; c < lanes; c += LANES) {
                        outer_of(in, x_row, conv->stride_x * ic, g + c, g_step, rows, ow, to + c, lanes, run, 1);
                    }
                }
            }
            first += rows;
        }
        for (size_t e = 0; e < elements; e++) {
            memcpy(sums + (chunk * elements + e) * oc, sum + e * lanes, oc * sizeof(REAL));
        }
    }
}
