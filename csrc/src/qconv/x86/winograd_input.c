/* V of a strip: additions of bytes modulo 2^8, whose results are bytes again; winograd.h has the bounds. */
#include "qconv/x86/winograd.h"

/* Where the codes of a tile are, channels last; outside of the image the zero codes. */
typedef struct patch {
    const uint8_t *codes[4][4];
} patch;

/* Transforms the channels from c on, a vector of `bytes` of them. v: of position 0, a tile's channel c. */
#define DEFINE_TRANSFORM(bytes)                                                                                  \
    typedef uint8_t bytes_##bytes __attribute__((vector_size(bytes)));                                           \
    typedef uint8_t unaligned_##bytes __attribute__((vector_size(bytes), aligned(1), may_alias));                \
    static void transform_##bytes(const patch *from, size_t c, const winograd *plan, const size_t at[POSITIONS], \
                                  uint8_t *v)                                                                    \
    {                                                                                                            \
        const bytes_##bytes none = {0};                                                                          \
        bytes_##bytes r[4][4];                                                                                   \
        for (int x = 0; x < 4; x++) {                                                                            \
            const bytes_##bytes d0 = *(const unaligned_##bytes *)(from->codes[0][x] + c);                        \
            const bytes_##bytes d1 = *(const unaligned_##bytes *)(from->codes[1][x] + c);                        \
            const bytes_##bytes d2 = *(const unaligned_##bytes *)(from->codes[2][x] + c);                        \
            const bytes_##bytes d3 = *(const unaligned_##bytes *)(from->codes[3][x] + c);                        \
            r[0][x] = d0 - d2;                                                                                   \
            r[1][x] = d1 + d2;                                                                                   \
            r[2][x] = d2 - d1;                                                                                   \
            r[3][x] = d1 - d3;                                                                                   \
        }                                                                                                        \
        for (int y = 0; y < 4; y++) {                                                                            \
            const bytes_##bytes center = none + plan->center;                                                    \
            *(unaligned_##bytes *)(v + at[4 * y] + c) = r[y][0] - r[y][2] + center;                              \
            *(unaligned_##bytes *)(v + at[4 * y + 1] + c) = r[y][1] + r[y][2] + (y == 1 ? none : center);        \
            *(unaligned_##bytes *)(v + at[4 * y + 2] + c) = r[y][2] - r[y][1] + center;                          \
            *(unaligned_##bytes *)(v + at[4 * y + 3] + c) = r[y][1] - r[y][3] + center;                          \
        }                                                                                                        \
    }

DEFINE_TRANSFORM(16)
DEFINE_TRANSFORM(32)
#if MGK_X86 == 6
DEFINE_TRANSFORM(64)
#endif

/* The last channels, fewer than CHUNK, with zeros behind them. */
static void transform_rest(const patch *from, size_t c, size_t channels, const winograd *plan,
                           const size_t at[POSITIONS], uint8_t *v)
{
    uint8_t rest[POSITIONS][CHUNK] = {{0}};
    size_t begin[POSITIONS];
    patch copied;
    for (size_t i = 0; i < POSITIONS; i++) {
        memcpy(rest[i], from->codes[i / 4][i % 4] + c, channels);
        copied.codes[i / 4][i % 4] = rest[i];
        begin[i] = at[i] + c;
    }
    transform_16(&copied, 0, plan, begin, v);
}

static void transform_tile(const patch *from, size_t channels, const winograd *plan, const size_t at[POSITIONS],
                           uint8_t *v)
{
    size_t c = 0;
#if MGK_X86 == 6
    for (; channels - c >= 64; c += 64) {
        transform_64(from, c, plan, at, v);
    }
#endif
    for (; channels - c >= 32; c += 32) {
        transform_32(from, c, plan, at, v);
    }
    for (; channels - c >= CHUNK; c += CHUNK) {
        transform_16(from, c, plan, at, v);
    }
    if (c < channels) {
        transform_rest(from, c, channels - c, plan, at, v);
    }
}

void X86(winograd_input)(const mgk_qconv_run *run, const winograd *plan, const strip *s, uint8_t *v)
{
    const mgk_conv2d *c = &run->layer->conv;
    for (size_t y = 0; y < s->rows; y++) {
        for (size_t x = 0; x < s->columns; x++) {
            patch from;
            size_t at[POSITIONS];
            for (size_t i = 0; i < 4; i++) {
                const size_t row = 2 * (s->first + y) + i - c->pad_top; /* outside of the image it wraps, or is large */
                for (size_t j = 0; j < 4; j++) {
                    const size_t column = 2 * x + j - c->pad_left;
                    const int inside = row < c->height && column < c->width;
                    from.codes[i][j] = inside ? run->codes + (row * c->width + column) * c->in_channels : run->zero;
                    /* What a position leaves out goes to its first tile, which comes again or does not count: the
                     * rows and columns that are left out are the last ones. */
                    at[4 * i + j] =
                        (4 * i + j) * plan->v_pitch + (y * position_columns(s, 4 * i + j) + x) * plan->channels;
                }
            }
            transform_tile(&from, c->in_channels, plan, at, v);
        }
    }
}
