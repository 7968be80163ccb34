/* The gradient of depthwise weights for one type and one vector width: REAL, FUNCTION(name) and MGK_WIDE are defined by
 * the including file. Vectors lie along the output channels. */
#include "depthwise_image.h"

/* Sums in flight: up to this many taps of a kernel row by two vectors. */
enum { TAPS = 5 };

/* Some output rows of an image: where x and dy are read, and the steps in elements. */
typedef struct strip {
    const REAL *x, *dy;
    size_t x_row, x_step, tap_step, dy_step, rows, columns;
} strip;

/* sums[n, :] += x[pixel + n taps, :] dy[pixel, :] over the pixels of a strip, for taps that follow one another. */
INLINE void accumulate(const strip *s, const REAL *x, const REAL *dy, REAL *sums, const size_t taps,
                       const size_t vectors)
{
    vec sum[TAPS][2];
#pragma GCC unroll 5
    for (size_t n = 0; n < taps; n++) {
#pragma GCC unroll 2
        for (size_t v = 0; v < vectors; v++) {
            sum[n][v] = load(sums + n * s->dy_step + v * LANES);
        }
    }
    for (size_t r = 0; r < s->rows; r++) {
        for (size_t p = 0; p < s->columns; p++) {
            /* not stepped: a long stride would leave the array at the end */
            const REAL *in = x + r * s->x_row + p * s->x_step;
            vec g[2];
#pragma GCC unroll 2
            for (size_t v = 0; v < vectors; v++) {
                g[v] = load(dy + v * LANES);
            }
#pragma GCC unroll 5
            for (size_t n = 0; n < taps; n++) {
#pragma GCC unroll 2
                for (size_t v = 0; v < vectors; v++) {
                    sum[n][v] = multiply_add(load(in + n * s->tap_step + v * LANES), g[v], sum[n][v]);
                }
            }
            dy += s->dy_step;
        }
    }
#pragma GCC unroll 5
    for (size_t n = 0; n < taps; n++) {
#pragma GCC unroll 2
        for (size_t v = 0; v < vectors; v++) {
            store(sums + n * s->dy_step + v * LANES, sum[n][v]);
        }
    }
}

/* A kernel row of `taps` taps, one or two vectors of channels. */
INLINE void accumulate_row(const strip *s, const REAL *x, const REAL *dy, REAL *sums, size_t taps, const size_t vectors)
{
    size_t n = 0;
    for (; n + 5 <= taps; n += 5) {
        accumulate(s, x + n * s->tap_step, dy, sums + n * s->dy_step, 5, vectors);
    }
    for (; n + 3 <= taps; n += 3) {
        accumulate(s, x + n * s->tap_step, dy, sums + n * s->dy_step, 3, vectors);
    }
    for (; n < taps; n++) {
        accumulate(s, x + n * s->tap_step, dy, sums + n * s->dy_step, 1, vectors);
    }
}

/* All taps and all channels. */
static void accumulate_strip(const mgk_conv2d *conv, const strip *s, REAL *sums)
{
    const size_t oc = conv->out_channels, kernel_step = conv->dilation_y * mgk_input_border(conv).width * oc;
    size_t c = 0;
    for (; c + LANES < oc; c += 2 * LANES) {
        for (size_t k = 0; k < conv->kernel_height; k++) {
            REAL *const to = sums + k * conv->kernel_width * s->dy_step + c;
            accumulate_row(s, s->x + k * kernel_step + c, s->dy + c, to, conv->kernel_width, 2);
        }
    }
    if (c < oc) {
        for (size_t k = 0; k < conv->kernel_height; k++) {
            REAL *const to = sums + k * conv->kernel_width * s->dy_step + c;
            accumulate_row(s, s->x + k * kernel_step + c, s->dy + c, to, conv->kernel_width, 1);
        }
    }
}

/* The rows of one chunk; sums (taps, lanes). */
static void sum_chunk(const mgk_conv2d *conv, const REAL *x, const REAL *dy, size_t chunk, REAL *sums, REAL *padded,
                      REAL *gradient)
{
    size_t oh, ow;
    (void)mgk_conv2d_output(conv, &oh, &ow);
    const size_t ic = conv->in_channels, oc = conv->out_channels, lanes = mgk_pad_lanes(oc);
    const size_t quotient = conv->images * oh / MGK_CHUNKS, rest = conv->images * oh % MGK_CHUNKS;
    const size_t last = quotient * (chunk + 1) + rest * (chunk + 1) / MGK_CHUNKS;
    const size_t x_row = conv->stride_y * mgk_input_border(conv).width * oc;
    size_t first = quotient * chunk + rest * chunk / MGK_CHUNKS, placed = conv->images;
    while (first < last) {
        const size_t image = first / oh, from = first % oh, left = last - first < oh - from ? last - first : oh - from;
        const size_t rows = left < mgk_strip_rows(ow) ? left : mgk_strip_rows(ow);
        if (image != placed) {
            place_input(conv, x + image * conv->height * conv->width * ic, padded);
            placed = image;
        }
        /* A copy: vectors may read beyond the last channel, and the strip is read once in the order it lies in. */
        for (size_t p = 0; p < rows * ow; p++) {
            memcpy(gradient + p * lanes, dy + (first * ow + p) * oc, oc * sizeof(REAL));
        }
        const strip s = {padded + from * x_row, gradient, x_row, conv->stride_x * oc,
                         conv->dilation_x * oc, lanes,    rows,  ow};
        accumulate_strip(conv, &s, sums);
        first += rows;
    }
}

void FUNCTION(grad_weight)(const mgk_conv2d *conv, const REAL *x, const REAL *dy, REAL *sums, size_t chunk_begin,
                           size_t chunk_end, char *workspace, mgk_workspace parts)
{
    const size_t oc = conv->out_channels, lanes = mgk_pad_lanes(oc);
    const size_t taps = conv->kernel_height * conv->kernel_width;
    REAL *const sum = (REAL *)(void *)(workspace + parts.taps);
    REAL *const padded = (REAL *)(void *)(workspace + parts.taps + parts.weights);
    REAL *const gradient = (REAL *)(void *)(workspace + parts.taps + parts.weights + parts.image);
    memset(padded, 0, parts.image + parts.row);
    for (size_t chunk = chunk_begin; chunk < chunk_end; chunk++) {
        memset(sum, 0, taps * lanes * sizeof(REAL));
        sum_chunk(conv, x, dy, chunk, sum, padded, gradient);
        for (size_t n = 0; n < taps; n++) {
            memcpy(sums + (chunk * taps + n) * oc, sum + n * lanes, oc * sizeof(REAL));
        }
    }
}
