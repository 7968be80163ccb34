/* V of a strip: additions modulo 2^8, whose results are bytes again, or of int16; winograd.h has the bounds. */
#include "qconv/x86/winograd.h"

/* Where the codes of a tile are, channels last; outside of the image the zero codes. */
typedef struct patch {
    const uint8_t *codes[4][4];
} patch;

/* Transforms the channels from c on, a vector of so many of them, as elements of a type. v: of position 0, a tile's
 * channel 0. */
#define DEFINE_TRANSFORM(channels, element)                                                                       \
    typedef element element##_##channels __attribute__((vector_size(channels * sizeof(element))));                \
    typedef uint8_t codes_##element##_##channels __attribute__((vector_size(channels), aligned(1), may_alias));   \
    typedef element stored_##element##_##channels                                                                 \
        __attribute__((vector_size(channels * sizeof(element)), aligned(1), may_alias));                          \
    INLINE element##_##channels load_##element##_##channels(const uint8_t *codes)                                 \
    {                                                                                                             \
        return __builtin_convertvector(*(const codes_##element##_##channels *)codes, element##_##channels);       \
    }                                                                                                             \
    static void transform_##element##_##channels(const patch *from, size_t c, const winograd *plan,               \
                                                 const size_t at[POSITIONS], uint8_t *v)                          \
    {                                                                                                             \
        const element##_##channels none = {0};                                                                    \
        element##_##channels r[4][4];                                                                             \
        for (int x = 0; x < 4; x++) {                                                                             \
            const element##_##channels d0 = load_##element##_##channels(from->codes[0][x] + c);                   \
            const element##_##channels d1 = load_##element##_##channels(from->codes[1][x] + c);                   \
            const element##_##channels d2 = load_##element##_##channels(from->codes[2][x] + c);                   \
            const element##_##channels d3 = load_##element##_##channels(from->codes[3][x] + c);                   \
            r[0][x] = d0 - d2;                                                                                    \
            r[1][x] = d1 + d2;                                                                                    \
            r[2][x] = d2 - d1;                                                                                    \
            r[3][x] = d1 - d3;                                                                                    \
        }                                                                                                         \
        v += c * sizeof(element);                                                                                 \
        for (int y = 0; y < 4; y++) {                                                                             \
            const element##_##channels center = none + plan->center;                                              \
            *(stored_##element##_##channels *)(v + at[4 * y]) = r[y][0] - r[y][2] + center;                       \
            *(stored_##element##_##channels *)(v + at[4 * y + 1]) = r[y][1] + r[y][2] + (y == 1 ? none : center); \
            *(stored_##element##_##channels *)(v + at[4 * y + 2]) = r[y][2] - r[y][1] + center;                   \
            *(stored_##element##_##channels *)(v + at[4 * y + 3]) = r[y][1] - r[y][3] + center;                   \
        }                                                                                                         \
    }

DEFINE_TRANSFORM(16, uint8_t)
DEFINE_TRANSFORM(32, uint8_t)
#if MGK_X86 == 6
DEFINE_TRANSFORM(64, uint8_t)
#else
DEFINE_TRANSFORM(16, int16_t)
#endif

static void transform_chunk(const patch *from, size_t c, const winograd *plan, const size_t at[POSITIONS], uint8_t *v)
{
#if MGK_X86 == 2
    if (plan->code_size == sizeof(int16_t)) {
        transform_int16_t_16(from, c, plan, at, v);
        return;
    }
#endif
    transform_uint8_t_16(from, c, plan, at, v);
}

/* The last channels, fewer than CHUNK, with zeros behind them. */
static void transform_rest(const patch *from, size_t c, size_t channels, const winograd *plan,
                           const size_t at[POSITIONS], uint8_t *v)
{
    uint8_t rest[POSITIONS][CHUNK] = {{0}};
    patch copied;
    for (size_t i = 0; i < POSITIONS; i++) {
        memcpy(rest[i], from->codes[i / 4][i % 4] + c, channels);
        copied.codes[i / 4][i % 4] = rest[i];
    }
    transform_chunk(&copied, 0, plan, at, v + c * plan->code_size);
}

static void transform_tile(const patch *from, size_t channels, const winograd *plan, const size_t at[POSITIONS],
                           uint8_t *v)
{
    size_t c = 0;
    if (plan->code_size == sizeof(uint8_t)) {
#if MGK_X86 == 6
        for (; channels - c >= 64; c += 64) {
            transform_uint8_t_64(from, c, plan, at, v);
        }
#endif
        for (; channels - c >= 32; c += 32) {
            transform_uint8_t_32(from, c, plan, at, v);
        }
    }
    for (; channels - c >= CHUNK; c += CHUNK) {
        transform_chunk(from, c, plan, at, v);
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
                        (4 * i + j) * plan->v_pitch + (y * position_columns(s, 4 * i + j) + x) * plan->tile_size;
                }
            }
            transform_tile(&from, c->in_channels, plan, at, v);
        }
    }
}
