/* One layer, run some times: bench_layers KERNEL STRIDE IN OUT SIZE BITS PATH ITERATIONS
 *
 * A square kernel over a square image of SIZE, padded by KERNEL / 2. BITS is the width of activations, weights and output
 * codes, or ACTIVATIONSxWEIGHTS; "b" behind it: bipolar activations; "w": flush counts from the weights. Outputs are
 * codes by thresholds up to 4 bits, requantized above. PATH: scalar, neon, dotprod, i8mm, avx2, avx512 or vnni. The same
 * work is done before and after the iterations, so the difference of two runs with different counts of them, under any
 * counter, is the cost of the iterations between. Bad arguments: a line on stderr, status 2; anything else: status 1. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "minigrad_kernels.h"

enum { BAD_ARGUMENTS = 2, MOST = 1000000000 };

static uint64_t state = 1;

static uint32_t random_below(uint32_t limit)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % limit;
}

static void *allocate(size_t size)
{
    void *memory = malloc(size > 0 ? size : 1);
    if (memory == NULL) {
        fprintf(stderr, "bench_layers: out of memory\n");
        exit(EXIT_FAILURE);
    }
    return memory;
}

static void check(mgk_status status, const char *what)
{
    if (status != MGK_OK) {
        fprintf(stderr, "bench_layers: %s: %s\n", what, mgk_status_name(status));
        exit(EXIT_FAILURE);
    }
}

static int find_path(const char *name, mgk_path *path)
{
    static const struct {
        const char *name;
        mgk_path path;
    } paths[] = {{"scalar", MGK_SCALAR}, {"neon", MGK_NEON},     {"dotprod", MGK_DOTPROD}, {"i8mm", MGK_I8MM},
                 {"avx2", MGK_AVX2},     {"avx512", MGK_AVX512}, {"vnni", MGK_VNNI}};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        if (strcmp(name, paths[i].name) == 0) {
            *path = paths[i].path;
            return 1;
        }
    }
    return 0;
}

static void refuse(const char *name, const char *expected, const char *text)
{
    fprintf(stderr, "bench_layers: %s: expected %s, got '%s'\n", name, expected, text);
    exit(BAD_ARGUMENTS);
}

/* Decimal digits and nothing else. */
static size_t read_number(const char *name, const char *text)
{
    size_t number = 0;
    const char *digit = text;
    for (; *digit >= '0' && *digit <= '9' && number <= MOST / 10 - 1; digit++) {
        number = 10 * number + (size_t)(*digit - '0');
    }
    if (*digit != '\0' || digit == text) {
        refuse(name, "a number below 10^9", text);
    }
    return number;
}

/* A width, which is one digit; anything else is no width of the library's. */
static unsigned read_width(const char **text)
{
    const unsigned width = **text >= '0' && **text <= '9' ? (unsigned)(**text - '0') : 0;
    *text += width != 0;
    return width;
}

/* "2", "8x4", "1b", "2w" */
static void read_bits(const char *text, mgk_qconv2d *layer)
{
    const char *at = text;
    layer->activation_bits = layer->weight_bits = read_width(&at);
    if (*at == 'x') {
        at++;
        layer->weight_bits = read_width(&at);
    }
    layer->bipolar = *at == 'b';
    at += *at == 'b';
    layer->flush_from_weights = *at == 'w';
    at += *at == 'w';
    const unsigned w = layer->weight_bits;
    if (*at != '\0' || layer->activation_bits < 1 || layer->activation_bits > 8 || w < 1 || w > 8 || (w > 4 && w < 8) ||
        (layer->bipolar && layer->activation_bits != 1)) {
        refuse("BITS", "such as 2, 8x4, 1b or 2w; activations of 1 to 8 bits, weights of 1, 2, 3, 4 or 8", text);
    }
}

int main(int count, char **arguments)
{
    static const char *const names[] = {"KERNEL", "STRIDE", "IN", "OUT", "SIZE"};
    if (count != 9) {
        fprintf(stderr, "usage: bench_layers KERNEL STRIDE IN OUT SIZE BITS PATH ITERATIONS\n");
        return BAD_ARGUMENTS;
    }
    size_t number[5];
    for (int i = 0; i < 5; i++) {
        number[i] = read_number(names[i], arguments[i + 1]);
    }
    const size_t kernel = number[0], stride = number[1], in = number[2], out = number[3], size = number[4];
    const size_t iterations = read_number("ITERATIONS", arguments[8]);
    mgk_path path;
    if (!find_path(arguments[7], &path)) {
        refuse("PATH", "scalar, neon, dotprod, i8mm, avx2, avx512 or vnni", arguments[7]);
    }
    if (!mgk_has_path(path)) {
        fprintf(stderr, "bench_layers: PATH: this build or processor has no %s\n", arguments[7]);
        return BAD_ARGUMENTS;
    }
    mgk_qconv2d layer = {.conv = {.images = 1,
                                  .height = size,
                                  .width = size,
                                  .in_channels = in,
                                  .kernel_height = kernel,
                                  .kernel_width = kernel,
                                  .out_channels = out,
                                  .stride_y = stride,
                                  .stride_x = stride,
                                  .pad_top = kernel / 2,
                                  .pad_bottom = kernel / 2,
                                  .pad_left = kernel / 2,
                                  .pad_right = kernel / 2,
                                  .dilation_y = 1,
                                  .dilation_x = 1},
                         .groups = 1};
    read_bits(arguments[6], &layer);
    size_t out_height, out_width;
    if (mgk_conv2d_output(&layer.conv, &out_height, &out_width) != MGK_OK) {
        fprintf(stderr, "bench_layers: a size is 0, or the layer is too large\n");
        return BAD_ARGUMENTS;
    }
    const size_t terms = kernel * kernel * in, inputs = size * size * in, outputs = out_height * out_width * out;

    /* Thresholds about a standard deviation of the sums apart, as training leaves them. */
    mgk_epilogue *e = &layer.epilogue;
    e->output = layer.activation_bits > 4 ? MGK_REQUANTIZE_U8 : MGK_CODES;
    e->bits = layer.activation_bits;
    const size_t levels = ((size_t)1 << e->bits) - 1;
    int32_t *thresholds = allocate(out * levels * sizeof *thresholds);
    int8_t *direction = allocate(out);
    for (size_t o = 0; o < out; o++) {
        int32_t t = -(int32_t)random_below((uint32_t)(2 * terms + 1));
        for (size_t k = 0; k < levels; k++) {
            thresholds[o * levels + k] = t;
            t += (int32_t)(1 + random_below((uint32_t)(4 * terms / levels + 1)));
        }
        direction[o] = 1;
    }
    int32_t *multiplier = allocate(out * sizeof *multiplier);
    uint8_t *shift = allocate(out);
    for (size_t o = 0; o < out; o++) {
        multiplier[o] = (int32_t)(random_below(1u << 30) | 1u << 30);
        shift[o] = 40;
    }
    e->multiplier = multiplier;
    e->shift = shift;
    e->high = 255;
    e->thresholds = thresholds;
    e->direction = direction;

    const size_t packed_size = mgk_packed_size(out, terms, layer.weight_bits);
    uint8_t *weights = allocate(out * terms);
    uint8_t *packed = allocate(packed_size);
    uint8_t *codes = allocate(inputs);
    uint8_t *result = allocate(outputs);
    for (size_t i = 0; i < out * terms; i++) {
        weights[i] = (uint8_t)random_below(1u << layer.weight_bits);
    }
    for (size_t i = 0; i < inputs; i++) {
        codes[i] = (uint8_t)random_below(1u << layer.activation_bits);
    }
    check(mgk_pack(weights, out, terms, layer.weight_bits, packed, packed_size), "weights");
    const size_t prepared_size = mgk_qconv2d_prepared_size(path, &layer);
    void *prepared = allocate(prepared_size);
    check(mgk_qconv2d_prepare(path, &layer, packed, packed_size, prepared, prepared_size), "prepare");
    const size_t workspace_size = mgk_qconv2d_workspace_size(prepared, prepared_size);
    void *workspace = allocate(workspace_size);

    for (size_t i = 0; i < iterations; i++) {
        check(mgk_qconv2d_run(prepared, prepared_size, codes, inputs, result, outputs, 0, 1, workspace, workspace_size),
              "run");
    }
    uint32_t sum = 0;
    for (size_t i = 0; iterations > 0 && i < outputs; i++) {
        sum = sum * 31 + result[i];
    }
    printf("kernel %s, hash %08lx\n", mgk_qconv2d_kernel_name(mgk_qconv2d_kernel_of(prepared, prepared_size)),
           (unsigned long)sum);
    printf("layer=%lux%lu/%lu,%lu,%lu@%lu bits=%s macs=%lu iterations=%lu\n", (unsigned long)kernel,
           (unsigned long)kernel, (unsigned long)stride, (unsigned long)in, (unsigned long)out, (unsigned long)size,
           arguments[6], (unsigned long)(terms * outputs), (unsigned long)iterations);
    if (fflush(stdout) != 0) {
        fprintf(stderr, "bench_layers: the result cannot be written\n");
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
