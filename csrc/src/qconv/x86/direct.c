/* The direct kernel; direct.h says how it computes. */
#include "qconv/x86/direct.h"

#include "qconv/x86/epilogue.h"

static int takes(const mgk_qconv *layer)
{
    direct plan;
    return X86(direct_plan)(layer, &plan);
}

/* The bytes of a window. */
static uint32_t sum_window(const direct *plan, const size_t *run_from, const uint8_t *window)
{
    __m256i sums = _mm256_setzero_si256();
    uint32_t sum = 0;
    for (size_t run = 0; run < plan->runs_y * plan->runs_x; run++) {
        const uint8_t *from = window + run_from[run];
        size_t i = 0;
        for (; plan->run_bytes - i >= sizeof sums; i += sizeof sums) {
            const __m256i bytes = _mm256_loadu_si256((const __m256i *)(const void *)(from + i));
            sums = _mm256_add_epi64(sums, _mm256_sad_epu8(bytes, _mm256_setzero_si256()));
        }
        for (; i < plan->run_bytes; i++) {
            sum += from[i];
        }
    }
    uint64_t lanes[4];
    _mm256_storeu_si256((__m256i *)(void *)lanes, sums);
    return sum + (uint32_t)(lanes[0] + lanes[1] + lanes[2] + lanes[3]);
}

/* From sums of what is stored to those of the weights: times scale, and shift times the window's a less zeros. */
static void add_windows(const direct *plan, const products *job, size_t rows, const uint8_t *const *row, uint32_t zeros,
                        int32_t *sums)
{
    for (size_t r = 0; r < rows; r++) {
        const uint32_t window = (uint32_t)plan->shift * (sum_window(plan, job->run_from, row[r]) - zeros);
        uint32_t all[LANES];
        for (size_t i = 0; i < LANES; i++) {
            all[i] = window;
        }
        const vec shifted = load(all);
        for (size_t i = 0; i < job->pitch; i += LANES) {
            const vec x = load(sums + r * job->pitch + i);
            store(sums + r * job->pitch + i, add(plan->scale == 2 ? add(x, x) : x, shifted));
        }
    }
}

/* The zeros of a group's window. */
static uint32_t sum_zeros(const mgk_qconv_run *run, const direct *plan, size_t group)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < plan->group_in; i++) {
        sum += run->layer->bipolar ? 1u : run->zero[group * plan->group_in + i];
    }
    return sum * (uint32_t)(run->layer->conv.kernel_height * run->layer->conv.kernel_width);
}

/* Sums of some pixels, the runs of a row, and the padded image with room for the last run's rounding up. */
static size_t find_workspace_size(const mgk_qconv *layer)
{
    direct plan;
    if (!X86(direct_plan)(layer, &plan)) {
        return 0;
    }
    size_t size = plan.runs, image = layer->geometry.padded_size;
    return mgk_multiply(&image, plan.code_size) && mgk_add(&image, QUAD - 1) && mgk_multiply(&size, sizeof(size_t)) &&
                   mgk_add(&size, PIXELS * BLOCK_CHANNELS * sizeof(int32_t)) && (!plan.copies || mgk_add(&size, image))
               ? size
               : 0;
}

static void find_runs(const mgk_qconv *layer, const direct *plan, size_t *run_from)
{
    const mgk_conv2d *c = &layer->conv;
    for (size_t y = 0; y < plan->runs_y; y++) {
        for (size_t x = 0; x < plan->runs_x; x++) {
            const size_t pixel = y * c->dilation_y * layer->geometry.padded_width + x * c->dilation_x;
            *run_from++ = pixel * c->in_channels * plan->code_size;
        }
    }
}

INLINE void finish_pixels(const int kind, const mgk_qconv_run *run, const int32_t *sums, size_t pitch, size_t pixel,
                          size_t pixels, const outputs *o)
{
    const size_t out_channels = run->layer->conv.out_channels;
    for (size_t p = 0; p < pixels; p++) {
        finish(kind, o, load(sums + p * pitch), (pixel + p) * out_channels);
    }
}

/* The epilogue of channels c on: `channels` of them, in rows of `pitch`. */
static void finish_block(const mgk_qconv_run *run, const int32_t *sums, size_t pitch, size_t pixel, size_t pixels,
                         size_t c, size_t channels)
{
    for (size_t i = 0; i < channels; i += LANES) {
        outputs o;
#define LOOP(kind)                                    \
    load_outputs(kind, run, c + i, channels - i, &o); \
    finish_pixels(kind, run, sums + i, pitch, pixel, pixels, &o)
        FINISH(run, LOOP)
#undef LOOP
    }
}

/* All pixels, for a block of output channels from c on. image: padded, from the group's first channel on. */
static void run_block(const mgk_qconv_run *run, const direct *plan, uint32_t zeros, products *job, const uint8_t *image,
                      size_t c, size_t channels, int32_t *sums)
{
    const mgk_conv2d *conv = &run->layer->conv;
    const mgk_geometry *g = &run->layer->geometry;
    const size_t vectors = block_vectors(channels);
    const size_t pixel_size = conv->in_channels * plan->code_size;
    const size_t step = conv->stride_x * pixel_size;
    const size_t down = conv->stride_y * g->padded_width * pixel_size;
    size_t x = 0;
    size_t at = 0; /* of a row; beyond the last one it may wrap */
    for (size_t first = 0; first < g->out_pixels; first += PIXELS) {
        const size_t pixels = g->out_pixels - first < PIXELS ? g->out_pixels - first : PIXELS;
        for (size_t p = 0; p < pixels;) {
            const size_t rows = next_rows(pixels - p);
            const uint8_t *row[MOST_ROWS];
            for (size_t r = 0; r < rows; r++) {
                row[r] = image + at + x * step;
                if (++x == g->out_width) {
                    x = 0;
                    at += down;
                }
            }
            X86(products)(job, rows, vectors, row, sums + p * job->pitch);
            if (plan->shift != 0) {
                add_windows(plan, job, rows, row, zeros, sums + p * job->pitch);
            }
            p += rows;
        }
        finish_block(run, sums, job->pitch, first, pixels, c, channels);
    }
}

static void run(const mgk_qconv_run *run)
{
    const mgk_qconv *layer = run->layer;
    direct plan;
    X86(direct_plan)(layer, &plan);
    int32_t *sums = (int32_t *)(void *)run->workspace;
    size_t *run_from = (size_t *)(void *)(sums + PIXELS * BLOCK_CHANNELS);
    uint8_t *padded = (uint8_t *)(run_from + plan.runs);
    const uint8_t *image = run->codes;
    if (plan.copies) {
        X86(direct_image)(run, &plan, padded);
        image = padded;
    }
    find_runs(layer, &plan, run_from);
    const uint8_t *weights = run->weights;
    for (size_t group = 0; group < layer->groups; group++) {
        for (size_t c = 0; c < plan.group_out; c += BLOCK_CHANNELS) {
            const size_t left = plan.group_out - c;
            const size_t pitch = block_vectors(left) * LANES;
            products job = {weights + pitch * sizeof(int32_t),
                            (const int32_t *)(const void *)weights,
                            plan.runs,
                            plan.quads,
                            run_from,
                            plan.flush,
                            pitch};
            run_block(run, &plan, sum_zeros(run, &plan, group), &job, image + group * plan.group_in * plan.code_size,
                      group * plan.group_out + c, left < BLOCK_CHANNELS ? left : BLOCK_CHANNELS, sums);
            weights += pitch * (sizeof(int32_t) + plan.runs * plan.quads * QUAD);
        }
    }
}

const mgk_qconv_kernel X86(qconv_direct) = {
    X86_NAME "-direct", X86_PATH, takes, X86(direct_weights_size), X86(direct_prepare), find_workspace_size, run,
};
