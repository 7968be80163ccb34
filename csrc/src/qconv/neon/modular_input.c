/* B^T d B of the codes of four tiles, 16 channels at once. */
#include "qconv/neon/modular.h"

#if MGK_HAS_NEON
#include "neon.h"

#define INLINE static inline __attribute__((always_inline))

/* An address that the compiler must not compute from others: each has a register, and stores advance it. */
#define KEEP(pointer) __asm__("" : "+r"(pointer))

enum { VECTOR = 16, HALF = 8, SIDE = MODULAR_SIDE, GROUP = MODULAR_GROUP };

/* Rows of B^T d for one column of a tile. Codes of up to 3 bits stay in bytes: the largest is 9 * 7 = 63 in size. */
typedef struct rows_8 {
    int8x16_t row[SIDE][GROUP][SIDE]; /* [row][tile][column] */
} rows_8;
typedef struct rows_16 {
    int16x8_t row[SIDE][GROUP][SIDE][2]; /* the two halves of 16 channels */
} rows_16;

/* What differences and sums are multiplied by. */
typedef struct factors {
    int16x8_t two, three, five, seven;
} factors;

/* The compiler must not know the 2: it would make two additions of a multiply-add. */
INLINE factors find_factors(void)
{
    factors f = {vdupq_n_s16(2), vdupq_n_s16(3), vdupq_n_s16(5), vdupq_n_s16(7)};
    MGK_TOUCH(f.two);
    return f;
}

INLINE void transform_bytes(const int8x16_t d[SIDE], int8x16_t two, int8x16_t r[SIDE])
{
    const int8x16_t five = vdupq_n_s8(5);
    const int8x16_t c = vsubq_s8(d[4], d[2]);
    const int8x16_t b = vsubq_s8(d[1], d[3]);
    r[0] = vmlsq_s8(vmulq_s8(vsubq_s8(d[0], d[4]), two), b, five);
    r[1] = vmlsq_s8(vmulq_s8(vaddq_s8(d[2], d[3]), vdupq_n_s8(3)), vaddq_s8(d[1], d[4]), two);
    r[2] = vmlaq_s8(vmulq_s8(vsubq_s8(d[2], d[3]), vdupq_n_s8(7)), vsubq_s8(d[4], d[1]), two);
    r[3] = vmlaq_s8(b, c, two);
    r[4] = vmlaq_s8(c, b, two);
    r[5] = vmlsq_s8(vmulq_s8(vsubq_s8(d[5], d[1]), two), c, five);
}

/* The same from differences and sums in 16 bits, one row for a constant `index`. minus and plus take numbers of d. */
#define TRANSFORM(index, minus, plus)                                                  \
    ((index) == 0   ? vmlsq_s16(vmulq_s16(minus(0, 4), f->two), minus(1, 3), f->five)  \
     : (index) == 1 ? vmlsq_s16(vmulq_s16(plus(2, 3), f->three), plus(1, 4), f->two)   \
     : (index) == 2 ? vmlaq_s16(vmulq_s16(minus(2, 3), f->seven), minus(4, 1), f->two) \
     : (index) == 3 ? vmlaq_s16(minus(1, 3), minus(4, 2), f->two)                      \
     : (index) == 4 ? vmlaq_s16(minus(4, 2), minus(1, 3), f->two)                      \
                    : vmlsq_s16(vmulq_s16(minus(5, 1), f->two), minus(4, 2), f->five))
/* a + b or a - b of half of 16 codes or bytes, in 16 bits. */
INLINE int16x8_t half_of(const int half, uint8x16_t a, uint8x16_t b, const int adds)
{
    const uint8x8_t x = half ? vget_high_u8(a) : vget_low_u8(a);
    const uint8x8_t y = half ? vget_high_u8(b) : vget_low_u8(b);
    return vreinterpretq_s16_u16(adds ? vaddl_u8(x, y) : vsubl_u8(x, y));
}

INLINE int16x8_t signed_half_of(const int half, int8x16_t a, int8x16_t b, const int adds)
{
    const int8x8_t x = half ? vget_high_s8(a) : vget_low_s8(a);
    const int8x8_t y = half ? vget_high_s8(b) : vget_low_s8(b);
    return adds ? vaddl_s8(x, y) : vsubl_s8(x, y);
}

INLINE void transform_halves(const uint8x16_t d[SIDE], const int half, const factors *f, int16x8_t r[SIDE])
{
#define MINUS(i, j) half_of(half, d[i], d[j], 0)
#define PLUS(i, j) half_of(half, d[i], d[j], 1)
    r[0] = TRANSFORM(0, MINUS, PLUS);
    r[1] = TRANSFORM(1, MINUS, PLUS);
    r[2] = TRANSFORM(2, MINUS, PLUS);
    r[3] = TRANSFORM(3, MINUS, PLUS);
    r[4] = TRANSFORM(4, MINUS, PLUS);
    r[5] = TRANSFORM(5, MINUS, PLUS);
#undef MINUS
#undef PLUS
}

/* 8 channels of one position of four tiles; d: a row of B^T d, [tile][column]. */
INLINE void store_8(const int8x16_t (*row)[SIDE], const int j, const int half, const factors *f, int16_t *to)
{
    int16x8x4_t v;
#define MINUS(a, b) signed_half_of(half, d[a], d[b], 0)
#define PLUS(a, b) signed_half_of(half, d[a], d[b], 1)
    for (int t = 0; t < GROUP; t++) {
        const int8x16_t *d = row[t];
        v.val[t] = TRANSFORM(j, MINUS, PLUS);
    }
#undef MINUS
#undef PLUS
    vst4q_s16(to, v);
}

INLINE void store_16(const int16x8_t (*row)[SIDE][2], const int j, const int half, const factors *f, int16_t *to)
{
    int16x8x4_t v;
#define MINUS(a, b) vsubq_s16(d[a][half], d[b][half])
#define PLUS(a, b) vaddq_s16(d[a][half], d[b][half])
    for (int t = 0; t < GROUP; t++) {
        const int16x8_t(*d)[2] = row[t];
        v.val[t] = TRANSFORM(j, MINUS, PLUS);
    }
#undef MINUS
#undef PLUS
    vst4q_s16(to, v);
}

/* Both halves of a position; then on to the next position. */
#define STORE(store, j)                 \
    KEEP(low);                          \
    KEEP(high);                         \
    store(rows.row[i], j, 0, &f, low);  \
    store(rows.row[i], j, 1, &f, high); \
    low += position;                    \
    high += position;
#define STORE_ROWS(store)                                                                               \
    int16_t *low = to;                                                                                  \
    int16_t *high = to + HALF * GROUP;                                                                  \
    for (int i = 0; i < SIDE; i++) {                                                                    \
        STORE(store, 0) STORE(store, 1) STORE(store, 2) STORE(store, 3) STORE(store, 4) STORE(store, 5) \
    }

/* 16 channels of a column of codes. */
INLINE void load_column(const uint8_t *codes, const size_t offset[SIDE], uint8x16_t d[SIDE])
{
    for (int y = 0; y < SIDE; y++) {
        d[y] = vld1q_u8(codes + offset[y]);
    }
}

static void transform_8(const uint8_t *const codes[GROUP], const size_t offset[SIDE], size_t channels, int16_t *to)
{
    const size_t position = channels * GROUP;
    const factors f = find_factors();
    int8x16_t two = vdupq_n_s8(2);
    MGK_TOUCH(two);
    rows_8 rows;
    for (size_t c = 0; c < channels; c += VECTOR) {
        for (int t = 0; t < GROUP; t++) {
            for (size_t x = 0; x < SIDE; x++) {
                uint8x16_t d[SIDE];
                int8x16_t bytes[SIDE], r[SIDE];
                load_column(codes[t] + x * channels + c, offset, d);
                for (int y = 0; y < SIDE; y++) {
                    bytes[y] = vreinterpretq_s8_u8(d[y]);
                }
                transform_bytes(bytes, two, r);
                for (int y = 0; y < SIDE; y++) {
                    rows.row[y][t][x] = r[y];
                }
            }
        }
        STORE_ROWS(store_8)
        to += VECTOR * GROUP;
    }
}

static void transform_16(const uint8_t *const codes[GROUP], const size_t offset[SIDE], size_t channels, int16_t *to)
{
    const size_t position = channels * GROUP;
    const factors f = find_factors();
    rows_16 rows;
    for (size_t c = 0; c < channels; c += VECTOR) {
        for (int t = 0; t < GROUP; t++) {
            for (size_t x = 0; x < SIDE; x++) {
                uint8x16_t d[SIDE];
                load_column(codes[t] + x * channels + c, offset, d);
                for (int half = 0; half < 2; half++) {
                    int16x8_t r[SIDE];
                    transform_halves(d, half, &f, r);
                    for (int y = 0; y < SIDE; y++) {
                        rows.row[y][t][x][half] = r[y];
                    }
                }
            }
        }
        STORE_ROWS(store_16)
        to += VECTOR * GROUP;
    }
}

void mgk_modular_input(const modular *plan, int bits, const modular_strip *strip, const modular_tile *tiles,
                       size_t count, int16_t *v)
{
    const size_t row = strip->width * plan->channels;
    const uint8_t *codes[GROUP];
    for (size_t t = 0; t < GROUP; t++) { /* the last tile for those that are not there */
        const modular_tile *tile = tiles + (t < count ? t : count - 1);
        codes[t] = strip->codes + tile->y * row + tile->x * plan->channels;
    }
    const size_t offset[SIDE] = {0, row, 2 * row, 3 * row, 4 * row, 5 * row};
    if (bits <= 3) {
        transform_8(codes, offset, plan->channels, v);
    } else {
        transform_16(codes, offset, plan->channels, v);
    }
}
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
