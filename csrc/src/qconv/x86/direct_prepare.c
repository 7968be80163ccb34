/* What the direct kernel takes, and its weights: [group][block of output channels]: sums to start from, int32 (channels
 * of the block); weights as in products.h. */
#include "qconv/x86/direct.h"

/* A group's channels share vectors: with fewer, plain C is as good. */
enum { FEWEST_CHANNELS = 4 };

/* w = scale s + shift. Returns the largest s in size; with a byte of its own, s = w. */
static int32_t find_stored(const mgk_qconv *layer, direct *plan)
{
    const int32_t low = -layer->weight_low, high = layer->weight_high;
    plan->scale = 1;
    plan->shift = 0;
    if (low <= 128 && high <= 127) {
        return low > high ? low : high > 1 ? high : 1;
    }
    if (layer->encoding == MGK_ODD) {
        plan->scale = 2;
        plan->shift = 1;
    } else {
        plan->shift = 128 - low; /* codes less 128 */
    }
    return 128;
}

/* How the operands are stored: as bytes, or as int16 where those would be flushed too often. */
static void choose_products(const mgk_qconv *layer, direct *plan)
{
    const int32_t a = layer->bipolar ? 2 : mgk_top_code(layer->activation_bits);
    plan->code_size = sizeof(uint8_t);
    plan->flush = quads_to_flush(a, find_stored(layer, plan));
    if (X86_PATH == MGK_AVX2 && flush_often(plan->flush)) {
        plan->code_size = sizeof(int16_t);
        plan->flush = 0;
        plan->scale = 1;
        plan->shift = 0;
    }
}

int X86(direct_plan)(const mgk_qconv *layer, direct *plan)
{
    const mgk_conv2d *c = &layer->conv;
    choose_products(layer, plan);
    plan->group_in = c->in_channels / layer->groups;
    plan->group_out = c->out_channels / layer->groups;
    if (layer->groups > 1 && plan->group_out < FEWEST_CHANNELS) {
        return 0;
    }
    const int joined = c->dilation_x == 1 && layer->groups == 1;
    plan->runs_y = c->kernel_height;
    plan->runs_x = joined ? 1 : c->kernel_width;
    plan->run_bytes = plan->group_in * (joined ? c->kernel_width : 1);
    if (!mgk_multiply(&plan->run_bytes, plan->code_size)) {
        return 0;
    }
    plan->quads = plan->run_bytes / QUAD + (plan->run_bytes % QUAD != 0);
    plan->runs = plan->runs_y * plan->runs_x;
    plan->copies = plan->code_size != sizeof(uint8_t) || layer->bipolar || plan->run_bytes % QUAD != 0 ||
                   layer->geometry.padded_size != layer->geometry.image_size;
    return plan->quads <= SIZE_MAX / QUAD;
}

size_t X86(direct_weights_size)(const mgk_qconv *layer)
{
    direct plan;
    if (!X86(direct_plan)(layer, &plan)) {
        return 0;
    }
    size_t channels = mgk_round_up(plan.group_out, LANES);
    size_t size = plan.quads * QUAD;
    return mgk_multiply(&channels, layer->groups) && mgk_multiply(&size, plan.runs) &&
                   mgk_add(&size, sizeof(int32_t)) && mgk_multiply(&size, channels)
               ? size
               : 0;
}

/* The run and the byte of it that a tap's input channel is. */
static void find_byte(const direct *plan, const mgk_conv2d *c, size_t ky, size_t kx, size_t i, size_t *run,
                      size_t *byte)
{
    if (plan->runs_x == 1) { /* so it is where runs are joined, and where a kernel has one column */
        *run = ky;
        *byte = (kx * plan->group_in + i) * plan->code_size;
    } else {
        *run = ky * c->kernel_width + kx;
        *byte = i * plan->code_size;
    }
}

/* One output channel, lane `lane` of a block of so many. */
static void prepare_channel(const mgk_qconv_weights *weights, const direct *plan, size_t out_channel, size_t lane,
                            size_t channels, uint8_t *block)
{
    const mgk_qconv *layer = weights->layer;
    const mgk_conv2d *c = &layer->conv;
    const size_t first = out_channel / plan->group_out * plan->group_in;
    uint8_t *to = block + channels * sizeof(int32_t);
    uint32_t start = 0; /* modulo 2^32, as all sums are */
    for (size_t ky = 0; ky < c->kernel_height; ky++) {
        for (size_t kx = 0; kx < c->kernel_width; kx++) {
            for (size_t i = 0; i < plan->group_in; i++) {
                const size_t element = (ky * c->kernel_width + kx) * plan->group_in + i;
                const int32_t w = (mgk_weight(weights, out_channel, element) - plan->shift) / plan->scale;
                const int32_t zero = layer->bipolar ? 1 : weights->zero[first + i];
                size_t run, byte;
                find_byte(plan, c, ky, kx, i, &run, &byte);
                const size_t quad = run * plan->quads + byte / QUAD;
                /* all of it, or the first bytes, which are the low ones */
                memcpy(to + (quad * channels + lane) * QUAD + byte % QUAD, &w, plan->code_size);
                start -= (uint32_t)(w * zero);
            }
        }
    }
    memcpy(block + lane * sizeof start, &start, sizeof start);
}

void X86(direct_prepare)(const mgk_qconv_weights *weights, uint8_t *section, mgk_raw *raw)
{
    const mgk_qconv *layer = weights->layer;
    direct plan;
    X86(direct_plan)(layer, &plan);
    for (size_t group = 0; group < layer->groups; group++) {
        for (size_t c = 0; c < plan.group_out; c += BLOCK_CHANNELS) {
            const size_t channels = block_vectors(plan.group_out - c) * LANES;
            for (size_t lane = 0; lane < channels && c + lane < plan.group_out; lane++) {
                prepare_channel(weights, &plan, group * plan.group_out + c + lane, lane, channels, section);
            }
            section += channels * (sizeof(int32_t) + plan.runs * plan.quads * QUAD);
        }
    }
    raw->bits = 32;
    raw->low = layer->sum_low;
    raw->high = layer->sum_high;
}
