/* Every public function with arbitrary arguments. Nothing is expected of their results but that they come: the
 * sanitizers judge. What a caller must promise is kept: an array is as long as its size says.
 *
 * With clang: -fsanitize=fuzzer,address,undefined. Without: define MGK_FUZZ_MAIN, and it is a program that runs seeded
 * random inputs (arguments: how many, and the first seed) or the files named. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "minigrad_kernels.h"

/* ---------------------------------------------------------------- arguments from bytes */

typedef struct source {
    const uint8_t *data;
    size_t left;
} source;

static uint8_t next_byte(source *s)
{
    if (s->left == 0) {
        return 0;
    }
    s->left--;
    return *s->data++;
}

static uint64_t next_word(source *s)
{
    uint64_t word = 0;
    for (int i = 0; i < 8; i++) {
        word = word << 8 | next_byte(s);
    }
    return word;
}

/* Mostly what is sensible, sometimes an end of the type or anything. */
static size_t next_size(source *s, size_t sensible)
{
    const uint8_t kind = next_byte(s);
    if (kind < 252) {
        return 1 + kind % sensible;
    }
    switch (next_byte(s) % 6) {
    case 0: return 0;
    case 1: return SIZE_MAX;
    case 2: return SIZE_MAX / 2 + next_byte(s);
    case 3: return (size_t)1 << (next_byte(s) % (8 * sizeof(size_t)));
    case 4: return SIZE_MAX / ((size_t)next_byte(s) + 1);
    default: return (size_t)next_word(s);
    }
}

static unsigned next_unsigned(source *s, unsigned sensible)
{
    const uint8_t kind = next_byte(s);
    return kind < 250 ? kind % sensible : kind < 253 ? kind - 244u : (unsigned)next_word(s);
}

/* ---------------------------------------------------------------- memory */

enum { MOST = 1 << 20, BUFFERS = 16 };

/* All buffers of a call are freed after it. */
typedef struct pool {
    source *s;
    void *memory[BUFFERS];
    size_t count;
} pool;

static void drain(pool *p)
{
    while (p->count > 0) {
        free(p->memory[--p->count]);
    }
}

/* size bytes, filled from the input; now and then at an odd address or NULL. NULL also where that is too much. */
static void *make(pool *p, size_t size)
{
    const uint8_t kind = next_byte(p->s);
    const size_t shift = kind < 4 ? kind : 0;
    if (kind == 255 || size > MOST || p->count == BUFFERS) {
        return NULL;
    }
    uint8_t *memory = malloc(size + shift + (size + shift == 0));
    if (memory == NULL) {
        return NULL;
    }
    p->memory[p->count++] = memory;
    const unsigned mask = next_byte(p->s) % 4 == 0 ? 0xff : (1u << (next_byte(p->s) % 8)) - 1u;
    uint32_t noise = 1u + next_byte(p->s);
    for (size_t i = 0; i < size; i++) {
        noise = noise * 1664525u + 1013904223u;
        memory[shift + i] = (uint8_t)((i < 16 ? next_byte(p->s) : noise >> 24) & mask);
    }
    return memory + shift;
}

/* a * b * size elements, or so much that make gives NULL. */
static size_t bytes(size_t a, size_t b, size_t size)
{
    if (a > MOST || b > MOST) {
        return MOST + 1;
    }
    return a * b * size;
}

/* Sometimes an array lies inside of another one. */
static void *maybe_inside(source *s, void *own, void *other)
{
    return next_byte(s) > 250 && other != NULL ? other : own;
}

static mgk_conv2d next_conv(source *s)
{
    mgk_conv2d c = {.images = next_size(s, 2), .height = next_size(s, 9), .width = next_size(s, 12)};
    c.in_channels = next_size(s, 40);
    c.kernel_height = next_size(s, 3);
    c.kernel_width = next_byte(s) % 4 != 0 ? c.kernel_height : next_size(s, 5);
    c.out_channels = next_byte(s) % 8 == 0 ? c.in_channels : next_size(s, 40);
    c.stride_y = next_size(s, 2);
    c.stride_x = next_byte(s) % 4 != 0 ? c.stride_y : next_size(s, 3);
    size_t *const pads[] = {&c.pad_top, &c.pad_bottom, &c.pad_left, &c.pad_right};
    for (int i = 0; i < 4; i++) {
        *pads[i] = next_size(s, 3) - 1;
    }
    c.dilation_y = next_byte(s) % 4 != 0 ? 1 : next_size(s, 3);
    c.dilation_x = next_byte(s) % 4 != 0 ? 1 : next_size(s, 3);
    return c;
}

/* ---------------------------------------------------------------- the integer convolution */

/* Thresholds that ascend, most of the time. */
static int32_t *make_thresholds(pool *p, size_t channels, unsigned bits)
{
    const size_t levels = bits >= 1 && bits <= 8 ? ((size_t)1 << bits) - 1 : 1;
    int32_t *thresholds = make(p, bytes(channels, levels, sizeof(int32_t)));
    if (thresholds != NULL && (uintptr_t)thresholds % sizeof(int32_t) == 0 && next_byte(p->s) < 240) {
        for (size_t i = 0; i < channels * levels; i++) {
            thresholds[i] = (int32_t)(i % levels * 3) - next_byte(p->s);
        }
        for (size_t i = 0; i < channels * levels; i++) {
            if (i % levels > 0 && thresholds[i] < thresholds[i - 1]) {
                thresholds[i] = thresholds[i - 1];
            }
        }
    }
    return thresholds;
}

static int8_t *make_directions(pool *p, size_t channels)
{
    int8_t *direction = make(p, bytes(channels, 1, 1));
    for (size_t c = 0; direction != NULL && c < channels && next_byte(p->s) < 250; c++) {
        direction[c] = (int8_t)(1 - (int)(next_byte(p->s) % 3));
    }
    return direction;
}

static mgk_epilogue next_epilogue(pool *p, size_t channels)
{
    source *s = p->s;
    mgk_epilogue e = {.output = (mgk_output)next_unsigned(s, 4), .bits = 1 + next_unsigned(s, 4)};
    if (e.output == MGK_CODES) {
        e.thresholds = make_thresholds(p, channels, e.bits);
        e.direction = make_directions(p, channels);
    } else if (e.output != MGK_ACCUMULATORS) {
        e.bias = next_byte(s) % 2 == 0 ? NULL : make(p, bytes(channels, 1, sizeof(int32_t)));
        e.multiplier = make(p, bytes(channels, 1, sizeof(int32_t)));
        e.shift = make(p, bytes(channels, 1, 1));
        e.rounding = (mgk_rounding)next_unsigned(s, 3);
        e.zero = (int32_t)next_word(s);
        e.low = next_byte(s) < 250 ? 0 : (int32_t)next_word(s);
        e.high = next_byte(s) < 250 ? next_byte(s) : (int32_t)next_word(s);
    }
    return e;
}

static void fuzz_run(pool *p, const mgk_conv2d *c, void *prepared, size_t prepared_size)
{
    source *s = p->s;
    size_t height = 1, width = 1;
    (void)mgk_conv2d_output(c, &height, &width);
    const size_t inputs = bytes(bytes(c->images, c->height, c->width), c->in_channels, 1);
    const size_t outputs = bytes(bytes(c->images, height, width), c->out_channels, sizeof(int32_t));
    const size_t workspace_size = mgk_qconv2d_workspace_size(prepared, prepared_size);
    uint8_t *codes = make(p, inputs);
    void *workspace = make(p, workspace_size);
    void *out = maybe_inside(s, make(p, outputs), inputs > outputs ? codes : prepared);
    (void)mgk_qconv2d_kernel_of(prepared, prepared_size);
    (void)mgk_qconv2d_run(prepared, prepared_size, codes, codes != NULL ? inputs : 0, out,
                          out == prepared ? prepared_size : outputs, next_size(s, 2) - 1, next_size(s, 2), workspace,
                          workspace_size);
}

static void fuzz_qconv2d(pool *p)
{
    source *s = p->s;
    mgk_qconv2d layer = {.conv = next_conv(s), .groups = next_byte(s) < 200 ? 1 : next_size(s, 4)};
    layer.activation_bits = 1 + next_unsigned(s, 4);
    layer.weight_bits = next_byte(s) < 200 ? layer.activation_bits : 1 + next_unsigned(s, 8);
    layer.bipolar = next_byte(s) < 220 ? 0 : (int)next_unsigned(s, 2);
    if (next_byte(s) > 200) {
        layer.zero = make(p, bytes(layer.conv.in_channels, 1, 1));
        layer.zero = layer.zero == NULL || layer.conv.in_channels > MOST ? NULL : layer.zero;
    }
    layer.encoding = (mgk_encoding)next_unsigned(s, 3);
    layer.weight_zero = next_byte(s) % 4;
    layer.codebook = make(p, 16);
    layer.epilogue = next_epilogue(p, layer.conv.out_channels);
    layer.kernel = next_unsigned(s, 4) == 0 ? next_unsigned(s, mgk_qconv2d_kernels() + 2) : 0;
    layer.flush_from_weights = (int)next_unsigned(s, 2);
    const mgk_path path = next_byte(s) % 2 == 0 ? MGK_SCALAR : (mgk_path)next_unsigned(s, 8);

    const size_t row_length = bytes(bytes(layer.conv.kernel_height, layer.conv.kernel_width, 1), layer.conv.in_channels,
                                    1); /* at least what a group has */
    const size_t packed_size = bytes(bytes(layer.conv.out_channels, row_length, 1), 1, 1);
    uint8_t *packed = make(p, packed_size);
    const size_t size = mgk_qconv2d_prepared_size(path, &layer);
    void *prepared = maybe_inside(s, make(p, size), packed_size > size ? packed : NULL);
    const mgk_status status =
        mgk_qconv2d_prepare(path, &layer, packed, packed != NULL ? packed_size : 0, prepared, size);
    if (prepared != NULL && status != MGK_OK) {
        fuzz_run(p, &layer.conv, prepared, size); /* whatever is in there */
    }
    if (status == MGK_OK) {
        if (next_byte(s) > 240) {
            ((uint8_t *)prepared)[next_byte(s)] ^= 1; /* its beginning guards itself */
        }
        fuzz_run(p, &layer.conv, prepared, size);
    }
}

/* ---------------------------------------------------------------- the other integer operations */

static void fuzz_pack(pool *p)
{
    source *s = p->s;
    const size_t rows = next_size(s, 5), length = next_size(s, 40);
    const unsigned bits = next_unsigned(s, 9);
    const size_t codes_size = bytes(rows, length, 1);
    uint8_t *codes = make(p, codes_size);
    const size_t size = mgk_packed_size(rows, length, bits);
    uint8_t *packed = maybe_inside(s, make(p, size), codes_size >= size ? codes : NULL);
    (void)mgk_pack(codes, rows, length, bits, packed, packed != NULL ? size : next_size(s, 99));
    (void)mgk_unpack(packed, packed != NULL ? size : next_size(s, 99), rows, length, bits, codes);
}

static void fuzz_thresholds(pool *p)
{
    source *s = p->s;
    const size_t pixels = next_size(s, 9), channels = next_size(s, 30);
    const unsigned bits = next_unsigned(s, 9);
    int32_t *x = make(p, bytes(pixels, channels, sizeof *x));
    uint8_t *codes = maybe_inside(s, make(p, bytes(pixels, channels, 1)), x);
    (void)mgk_thresholds((mgk_path)next_unsigned(s, 8), x, pixels, channels, bits, make_thresholds(p, channels, bits),
                         make_directions(p, channels), codes);
}

static void fuzz_requantize(pool *p)
{
    source *s = p->s;
    const size_t pixels = next_size(s, 9), channels = next_size(s, 30);
    const mgk_epilogue e = next_epilogue(p, channels);
    int32_t *x = make(p, bytes(pixels, channels, sizeof *x));
    void *out = maybe_inside(s, make(p, bytes(pixels, channels, sizeof(int16_t))), x);
    (void)mgk_requantize(x, pixels, channels, next_byte(s) == 0 ? NULL : &e, out);
}

static void fuzz_pools(pool *p)
{
    source *s = p->s;
    mgk_conv2d window = next_conv(s);
    window.out_channels = next_byte(s) < 250 ? window.in_channels : window.out_channels;
    size_t height = 1, width = 1;
    (void)mgk_conv2d_output(&window, &height, &width);
    (void)mgk_conv2d_output(next_byte(s) == 0 ? NULL : &window, &height, NULL);
    const size_t pixels = bytes(window.height, window.width, 1);
    uint8_t *codes = make(p, bytes(bytes(window.images, pixels, 1), window.in_channels, 1));
    void *out = make(p, bytes(bytes(window.images, height, width), window.out_channels, 1));
    (void)mgk_max_pool(&window, codes, maybe_inside(s, out, codes));
    void *windows = make(p, bytes(bytes(window.images, height, width), window.out_channels, sizeof(int32_t)));
    (void)mgk_sum_windows(next_byte(s) == 0 ? NULL : &window, codes, maybe_inside(s, windows, codes));
    int32_t *sums = make(p, bytes(window.images, window.in_channels, sizeof *sums));
    if (pixels <= MOST) {
        (void)mgk_sum_pool(codes, window.images, pixels, window.in_channels, sums);
    }
}

static void fuzz_add(pool *p)
{
    source *s = p->s;
    const size_t count = next_size(s, 60);
    int16_t *a = make(p, bytes(count, 1, sizeof *a));
    int16_t *b = make(p, bytes(count, 1, sizeof *b));
    (void)mgk_add_i16(a, b, count, maybe_inside(s, make(p, bytes(count, 1, sizeof *a)), a));
}

static void fuzz_linear(pool *p)
{
    source *s = p->s;
    const size_t images = next_size(s, 3), in = next_size(s, 40), out = next_size(s, 12);
    void *x = make(p, bytes(images, in, sizeof(int32_t)));
    void *weights = make(p, bytes(in, out, 1));
    int32_t *bias = make(p, bytes(out, 1, sizeof *bias));
    int32_t *logits = maybe_inside(s, make(p, bytes(images, out, sizeof *logits)), out <= in ? x : NULL);
    (void)mgk_linear_u8(x, images, in, out, weights, bias, logits);
    (void)mgk_linear_i16(x, images, in, out, weights, bias, logits);
    (void)mgk_qlinear(x, next_byte(s) < 200 ? INT32_MAX : (int32_t)next_word(s), images, in, out, next_unsigned(s, 9),
                      weights, bias, logits);
    int32_t *classes = make(p, bytes(images, 1, sizeof *classes));
    (void)mgk_argmax(logits, images, out, classes);
}

/* ---------------------------------------------------------------- float kernels */

static void fuzz_float(pool *p, int is_depthwise)
{
    source *s = p->s;
    mgk_conv2d c = next_conv(s);
    const mgk_path path = (mgk_path)next_unsigned(s, 8);
    if (is_depthwise && next_byte(s) < 240 && c.in_channels < MOST) {
        c.out_channels = c.in_channels * (1 + next_byte(s) % 2);
    }
    size_t height = 1, width = 1;
    (void)mgk_conv2d_output(&c, &height, &width);
    const size_t x_count = bytes(bytes(c.images, c.height, c.width), c.in_channels, 1);
    const size_t y_count = bytes(bytes(c.images, height, width), c.out_channels, 1);
    const size_t w_count =
        bytes(bytes(c.kernel_height, c.kernel_width, c.out_channels), is_depthwise ? 1 : c.in_channels, 1);
    float *x = make(p, bytes(x_count, 1, sizeof *x)), *y = make(p, bytes(y_count, 1, sizeof *y));
    float *w = make(p, bytes(w_count, 1, sizeof *w)), *sums = make(p, bytes(w_count, MGK_CHUNKS, sizeof *w));
    const size_t size =
        is_depthwise ? mgk_depthwise_float_workspace(&c, sizeof *x) : mgk_conv2d_float_workspace(&c, sizeof *x);
    void *workspace = make(p, size);
    const size_t given = workspace != NULL ? size : 0;
    const void *const arrays[] = {x, y, w, sums, workspace};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        if ((uintptr_t)arrays[i] % sizeof *x != 0) {
            return; /* what C asks of every float array, the caller promises */
        }
    }
    const size_t begin = next_size(s, 2) - 1, end = next_size(s, 2);
    if (is_depthwise) {
        (void)mgk_depthwise_f32_forward(path, &c, x, w, y, begin, end, workspace, given);
        (void)mgk_depthwise_f32_grad_input(path, &c, y, w, x, begin, end, workspace, given);
        (void)mgk_depthwise_f32_grad_weight(path, &c, x, y, sums, begin, end, workspace, given);
    } else {
        (void)mgk_conv2d_f32_forward(path, &c, x, w, y, begin, end, workspace, given);
        (void)mgk_conv2d_f32_grad_input(path, &c, y, w, x, begin, end, workspace, given);
        (void)mgk_conv2d_f32_grad_weight(path, &c, x, y, sums, begin, end, workspace, given);
        (void)mgk_conv2d_f32_join(&c, sums, w);
    }
}

static void fuzz_dsq(pool *p)
{
    source *s = p->s;
    const size_t count = next_size(s, 100);
    const mgk_dsq q = {.l = -1,
                       .u = 1,
                       .step = 2.0 / 3,
                       .alpha = 0.2,
                       .gain = 2.2,
                       .top = next_size(s, 16),
                       .hard_gradient = next_byte(s) % 2};
    double *x = make(p, bytes(count, 1, sizeof *x)), *y = make(p, bytes(count, 1, sizeof *y));
    double *gy = make(p, bytes(count, 1, sizeof *y)), *sums = make(p, bytes(count / MGK_SUM_BLOCK + 1, 3, sizeof *y));
    const void *const arrays[] = {x, y, gy, sums};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        if ((uintptr_t)arrays[i] % sizeof *x != 0) {
            return;
        }
    }
    const mgk_path path = (mgk_path)next_unsigned(s, 8);
    const size_t begin = next_size(s, 2) - 1, end = next_size(s, 100);
    (void)mgk_dsq_f64_soft(path, &q, x, count, y, begin, end);
    (void)mgk_dsq_f64_hard(path, &q, x, count, y, begin, end);
    (void)mgk_dsq_f64_vjp(path, &q, gy, x, count, y, sums, 0, next_size(s, 2) - 1);
}

/* ---------------------------------------------------------------- entries */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    source s = {data, size};
    pool p = {.s = &s};
    (void)mgk_status_name((mgk_status)next_unsigned(&s, 16));
    (void)mgk_has_path((mgk_path)next_unsigned(&s, 9));
    (void)mgk_qconv2d_kernel_name(next_unsigned(&s, 9));
    (void)mgk_qconv2d_kernel_path(next_unsigned(&s, 9));
    switch (next_byte(&s) % 16) {
    case 0: fuzz_pack(&p); break;
    case 1: fuzz_thresholds(&p); break;
    case 2: fuzz_requantize(&p); break;
    case 3: fuzz_pools(&p); break;
    case 4: fuzz_add(&p); break;
    case 5: fuzz_linear(&p); break;
    case 6: fuzz_float(&p, 0); break;
    case 7: fuzz_float(&p, 1); break;
    case 8: fuzz_dsq(&p); break;
    default: fuzz_qconv2d(&p);
    }
    drain(&p);
    return 0;
}

#ifdef MGK_FUZZ_MAIN
static int run_file(const char *name)
{
    static uint8_t data[1 << 16];
    FILE *file = fopen(name, "rb");
    if (file == NULL) {
        printf("%s: cannot be read\n", name);
        return 1;
    }
    const size_t size = fread(data, 1, sizeof data, file);
    fclose(file);
    return LLVMFuzzerTestOneInput(data, size);
}

#if defined(__SANITIZE_ADDRESS__)
void __sanitizer_set_death_callback(void (*callback)(void));
#endif

static uint64_t current;

static void say_seed(void)
{
    fprintf(stderr, "again: fuzz 1 %llu\n", (unsigned long long)current);
}

int main(int count, char **arguments)
{
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_set_death_callback(say_seed);
#else
    (void)say_seed;
#endif
    uint64_t runs = 20000, seed = 1;
    if (count > 1 && (arguments[1][0] < '0' || arguments[1][0] > '9')) {
        for (int i = 1; i < count; i++) {
            if (run_file(arguments[i]) != 0) {
                return 1;
            }
        }
        return 0;
    }
    if (count > 1) {
        runs = strtoull(arguments[1], NULL, 10);
    }
    if (count > 2) {
        seed = strtoull(arguments[2], NULL, 10);
    }
    static uint8_t data[1024];
    for (uint64_t run = 0; run < runs; run++) {
        current = seed + run;
        uint64_t state = current * 0x9e3779b97f4a7c15u;
        for (size_t i = 0; i < sizeof data; i++) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            data[i] = (uint8_t)(state >> 32);
        }
        LLVMFuzzerTestOneInput(data, sizeof data);
    }
    printf("fuzz: %llu inputs from seed %llu\n", (unsigned long long)runs, (unsigned long long)seed);
    return 0;
}
#endif
