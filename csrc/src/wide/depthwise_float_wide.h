/* Depthwise forward and gradient of the input for one type and one vector width: REAL, FUNCTION(name) and MGK_WIDE are
 * defined by the including file. Vectors lie along the channels, so every element is summed in the one order the header
 * gives, whatever the width. The lanes of a vector beyond the last channel hold numbers that nobody reads. */
#include "depthwise_image.h"

/* Outputs in flight: enough to hide the latency of a multiply-add. */
enum { PIXELS = 8 };
/* Channels at a time, so that their weights stay in the nearest cache. */
enum { CHANNELS = 256 };

/* The terms of an output, in the order of the sum. */
typedef struct terms {
    const mgk_term *first;
    size_t count, pixel_step; /* pixel_step: from one output's source to the next one's, in elements */
} terms;

INLINE void tile(const terms *t, const REAL *source, const REAL *weights, REAL *out, size_t out_step, size_t valid,
                 const size_t pixels)
{
    vec sum[PIXELS];
#pragma GCC unroll 8
    for (size_t p = 0; p < pixels; p++) {
        sum[p] = (vec){0};
    }
    for (size_t n = 0; n < t->count; n++) {
        const vec w = load(weights + t->first[n].weights);
        const REAL *in = source + t->first[n].source;
#pragma GCC unroll 8
        for (size_t p = 0; p < pixels; p++) {
            sum[p] = multiply_add(load(in + p * t->pixel_step), w, sum[p]);
        }
    }
#pragma GCC unroll 8
    for (size_t p = 0; p < pixels; p++) {
        if (valid >= LANES) {
            store(out + p * out_step, sum[p]);
        } else {
            REAL lanes[LANES];
            store(lanes, sum[p]);
            memcpy(out + p * out_step, lanes, valid * sizeof(REAL));
        }
    }
}

INLINE void tile_of(const terms *t, const REAL *source, const REAL *weights, REAL *out, size_t out_step,
                    size_t channels, const size_t pixels)
{
    for (size_t c = 0; c < channels; c += LANES) {
        tile(t, source + c, weights + c, out + c, out_step, channels - c, pixels);
    }
}

/* A row of `count` outputs. */
static void row(const terms *t, const REAL *source, const REAL *weights, REAL *out, size_t out_step, size_t channels,
                size_t count)
{
    size_t p = 0;
    for (; p + PIXELS <= count; p += PIXELS) {
        tile_of(t, source + p * t->pixel_step, weights, out + p * out_step, out_step, channels, PIXELS);
    }
    for (; p + 4 <= count; p += 4) {
        tile_of(t, source + p * t->pixel_step, weights, out + p * out_step, out_step, channels, 4);
    }
    for (; p < count; p++) {
        tile_of(t, source + p * t->pixel_step, weights, out + p * out_step, out_step, channels, 1);
    }
}

void FUNCTION(forward)(const mgk_conv2d *conv, const REAL *x, const REAL *w, REAL *y, size_t image_begin,
                       size_t image_end, char *workspace, mgk_workspace parts)
{
    size_t oh, ow;
    (void)mgk_conv2d_output(conv, &oh, &ow);
    const size_t ic = conv->in_channels, oc = conv->out_channels, taps = conv->kernel_height * conv->kernel_width;
    const mgk_border border = mgk_input_border(conv);
    mgk_term *const list = (mgk_term *)(void *)workspace;
    REAL *const weights = (REAL *)(void *)(workspace + parts.taps);
    REAL *const padded = (REAL *)(void *)(workspace + parts.taps + parts.weights);
    for (size_t n = 0; n < taps; n++) {
        const size_t down = n / conv->kernel_width * conv->dilation_y,
                     along = n % conv->kernel_width * conv->dilation_x;
        list[n].source = (down * border.width + along) * oc;
        list[n].weights = n * oc;
    }
    memset(weights, 0, parts.weights);
    memcpy(weights, w, taps * oc * sizeof(REAL));
    memset(padded, 0, parts.image);
    const terms t = {list, taps, conv->stride_x * oc};
    for (size_t n = image_begin; n < image_end; n++) {
        place_input(conv, x + n * conv->height * conv->width * ic, padded);
        for (size_t c = 0; c < oc; c += CHANNELS) {
            const size_t channels = oc - c < CHANNELS ? oc - c : CHANNELS;
            for (size_t r = 0; r < oh; r++) {
                row(&t, padded + r * conv->stride_y * border.width * oc + c, weights + c,
                    y + (n * oh + r) * ow * oc + c, oc, channels, ow);
            }
        }
    }
}

/* A pixel of dy has the first outputs of all input channels, then their second ones, and so on: so the outputs that an
 * input channel is summed over lie in vectors. The weights of a tap likewise. */
static void deinterleave(const REAL *from, size_t channels, size_t outputs, REAL *to)
{
    if (outputs == 1) {
        memcpy(to, from, channels * sizeof(REAL));
        return;
    }
    for (size_t c = 0; c < channels; c++) {
        for (size_t k = 0; k < outputs; k++) {
            to[k * channels + c] = from[c * outputs + k];
        }
    }
}

/* Terms of the gradient of the input. Input pixels fall into stride_y x stride_x classes; every tap belongs to one class
 * only. Terms are listed class by class. Returns how many there are. */
static size_t find_terms(const mgk_conv2d *conv, mgk_border border, mgk_term *list)
{
    const size_t ic = conv->in_channels, outputs = conv->out_channels / ic;
    const size_t taps = conv->kernel_height * conv->kernel_width;
    const size_t sy = conv->stride_y, sx = conv->stride_x;
    size_t count = 0;
    for (size_t cy = 0; cy < sy && cy < conv->height; cy++) {
        for (size_t cx = 0; cx < sx && cx < conv->width; cx++) {
            const size_t above = cy + conv->pad_top + border.top * sy;
            const size_t before = cx + conv->pad_left + border.left * sx;
            for (size_t first = 0; first < outputs; first += MGK_CHANNEL_BLOCK) {
                const size_t last = outputs - first < MGK_CHANNEL_BLOCK ? outputs : first + MGK_CHANNEL_BLOCK;
                for (size_t n = taps; n-- > 0;) {
                    const size_t down = n / conv->kernel_width * conv->dilation_y;
                    const size_t along = n % conv->kernel_width * conv->dilation_x;
                    if ((above - down) % sy != 0 || (before - along) % sx != 0) {
                        continue;
                    }
                    const size_t pixel = (above - down) / sy * border.width + (before - along) / sx;
                    for (size_t k = first; k < last; k++) {
                        const mgk_term term = {(pixel * outputs + k) * ic, (n * outputs + k) * ic, cy * sx + cx};
                        list[count++] = term;
                    }
                }
            }
        }
    }
    return count;
}

/* The gradient of one image, channels c to c + channels. */
static void scatter_image(const mgk_conv2d *conv, mgk_border border, const mgk_term *list, size_t count,
                          const REAL *padded, const REAL *weights, size_t c, size_t channels, REAL *dx)
{
    const size_t ic = conv->in_channels, sy = conv->stride_y, sx = conv->stride_x, oc = conv->out_channels;
    size_t used = 0;
    for (size_t cy = 0; cy < sy && cy < conv->height; cy++) {
        for (size_t cx = 0; cx < sx && cx < conv->width; cx++) {
            terms t = {list + used, 0, oc};
            while (used < count && list[used].class == cy * sx + cx) {
                t.count++;
                used++;
            }
            for (size_t r = cy, k = 0; r < conv->height; r += sy, k++) {
                row(&t, padded + k * border.width * oc + c, weights + c, dx + (r * conv->width + cx) * ic + c, sx * ic,
                    channels, mgk_ceil_div(conv->width - cx, sx));
            }
        }
    }
}

void FUNCTION(grad_input)(const mgk_conv2d *conv, const REAL *dy, const REAL *w, REAL *dx, size_t image_begin,
                          size_t image_end, char *workspace, mgk_workspace parts)
{
    size_t oh, ow;
    (void)mgk_conv2d_output(conv, &oh, &ow);
    const size_t ic = conv->in_channels, oc = conv->out_channels, taps = conv->kernel_height * conv->kernel_width;
    mgk_term *const list = (mgk_term *)(void *)workspace;
    REAL *const weights = (REAL *)(void *)(workspace + parts.taps);
    REAL *const padded = (REAL *)(void *)(workspace + parts.taps + parts.weights);
    const mgk_border border = mgk_gradient_border(conv, oh, ow);
    const size_t count = find_terms(conv, border, list);
    memset(weights, 0, parts.weights);
    memset(padded, 0, parts.image);
    for (size_t n = 0; n < taps; n++) {
        deinterleave(w + n * oc, ic, oc / ic, weights + n * oc);
    }
    for (size_t n = image_begin; n < image_end; n++) {
        for (size_t p = 0; p < oh * ow; p++) {
            const size_t pixel = (p / ow + border.top) * border.width + border.left + p % ow;
            deinterleave(dy + (n * oh * ow + p) * oc, ic, oc / ic, padded + pixel * oc);
        }
        for (size_t c = 0; c < ic; c += CHANNELS) {
            scatter_image(conv, border, list, count, padded, weights, c, ic - c < CHANNELS ? ic - c : CHANNELS,
                          dx + n * conv->height * conv->width * ic);
        }
    }
}
