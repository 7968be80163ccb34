/* The other integer operations. */
#include "fuzz.h"

void fuzz_pack(pool *p)
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

void fuzz_thresholds(pool *p)
{
    source *s = p->s;
    const size_t pixels = next_size(s, 9), channels = next_size(s, 30);
    const unsigned bits = next_unsigned(s, 9);
    int32_t *x = make(p, bytes(pixels, channels, sizeof *x));
    uint8_t *codes = maybe_inside(s, make(p, bytes(pixels, channels, 1)), x);
    (void)mgk_thresholds((mgk_path)next_unsigned(s, 8), x, pixels, channels, bits, make_thresholds(p, channels, bits),
                         make_directions(p, channels), codes);
}

void fuzz_requantize(pool *p)
{
    source *s = p->s;
    const size_t pixels = next_size(s, 9), channels = next_size(s, 30);
    const mgk_epilogue e = next_epilogue(p, channels);
    int32_t *x = make(p, bytes(pixels, channels, sizeof *x));
    void *out = maybe_inside(s, make(p, bytes(pixels, channels, sizeof(int16_t))), x);
    (void)mgk_requantize(x, pixels, channels, next_byte(s) == 0 ? NULL : &e, out);
}

void fuzz_pools(pool *p)
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

void fuzz_add(pool *p)
{
    source *s = p->s;
    const size_t count = next_size(s, 60);
    int16_t *a = make(p, bytes(count, 1, sizeof *a));
    int16_t *b = make(p, bytes(count, 1, sizeof *b));
    (void)mgk_add_i16(a, b, count, maybe_inside(s, make(p, bytes(count, 1, sizeof *a)), a));
}

void fuzz_linear(pool *p)
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
