/* Products modulo 2^16: lanes are 8 output channels, and an activation is a lane of the other operand, so that one load
 * has those of 4 tiles and 2 channels. 4 tiles by 32 output channels are 16 sums, 4 weights and 4 registers of
 * activations. Nothing is flushed: sums may wrap around (modular.h). */
#include "qconv/neon/modular.h"

#if MGK_HAS_NEON
#include "neon.h"

#define INLINE static inline __attribute__((always_inline))

/* An address that the compiler must not compute from others: loads advance it. */
#define KEEP(pointer) __asm__("" : "+r"(pointer))

enum { MOST_VECTORS = MODULAR_LANES / 8, GROUP = MODULAR_GROUP, STEPS = 8 };

INLINE void load_weights(const int16_t *w, const int vectors, int16x8_t weights[MOST_VECTORS])
{
    if (vectors == MOST_VECTORS) {
        const int16x8x4_t all = vld1q_s16_x4(w);
        for (int b = 0; b < MOST_VECTORS; b++) {
            weights[b] = all.val[b];
        }
        return;
    }
    for (int b = 0; b < vectors; b++) {
        weights[b] = vld1q_s16(w + 8 * b);
    }
}

/* One tile; its lane has to be a literal. */
#define TILE(t, a, lane)                                                                                               \
    if (tiles > (t)) {                                                                                                 \
        for (int b = 0; b < vectors; b++) {                                                                            \
            sums[t][b] = starts && (lane) == (t) && first_register ? vmulq_laneq_s16(weights[b], a, lane)              \
                                                                   : vmlaq_laneq_s16(sums[t][b], weights[b], a, lane); \
        }                                                                                                              \
    }
/* One channel: lanes `lane` to `lane` + 3. */
#define STEP(a, lane)                   \
    KEEP(*w);                           \
    load_weights(*w, vectors, weights); \
    *w += 8 * vectors;                  \
    TILE(0, a, lane) TILE(1, a, lane + 1) TILE(2, a, lane + 2) TILE(3, a, lane + 3)

/* 8 channels; starts: the first ones. */
INLINE void multiply_steps(const int16_t **v, const int16_t **w, const int starts, const int tiles, const int vectors,
                           int16x8_t sums[GROUP][MOST_VECTORS])
{
    int16x8_t weights[MOST_VECTORS];
    KEEP(*v);
    const int16x8x4_t all = vld1q_s16_x4(*v);
    const int16x8_t a0 = all.val[0], a1 = all.val[1], a2 = all.val[2], a3 = all.val[3];
    *v += STEPS * GROUP;
    int first_register = 1;
    STEP(a0, 0)
    first_register = 0;
    STEP(a0, 4)
    STEP(a1, 0)
    STEP(a1, 4)
    STEP(a2, 0)
    STEP(a2, 4)
    STEP(a3, 0)
    STEP(a3, 4)
}

INLINE void multiply_group(const int16_t *v, const int16_t *w, int16_t *m, size_t channels, const int tiles,
                           const int vectors)
{
    int16x8_t sums[GROUP][MOST_VECTORS];
    multiply_steps(&v, &w, 1, tiles, vectors, sums);
    multiply_steps(&v, &w, 0, tiles, vectors, sums);
    for (size_t left = channels - 2 * STEPS; left > 0; left -= 2 * STEPS) {
        multiply_steps(&v, &w, 0, tiles, vectors, sums);
        multiply_steps(&v, &w, 0, tiles, vectors, sums);
    }
    for (int t = 0; t < tiles; t++) {
        for (int b = 0; b < vectors; b++) {
            vst1q_s16(m + 8 * b, sums[t][b]);
        }
        m += MODULAR_TILE;
    }
}

/* All groups of a position before the next one: its weights stay in the first-level cache. */
INLINE void multiply(const modular_product *product, const int tiles, const int vectors)
{
    const modular_product p = *product;
    for (size_t position = 0; position < p.positions; position++) {
        const int16_t *v = p.v + position * p.step;
        const int16_t *w = p.w + position * p.channels * 8 * (size_t)vectors;
        int16_t *m = p.m + position * MODULAR_LANES;
        for (size_t group = p.groups; group > 0; group--) {
            multiply_group(v, w, m, p.channels, tiles, vectors);
            v += p.stride;
            m += tiles * MODULAR_TILE;
        }
    }
}

#define DEFINE_MULTIPLY(name, tiles, vectors)        \
    static void name(const modular_product *product) \
    {                                                \
        multiply(product, tiles, vectors);           \
    }

DEFINE_MULTIPLY(multiply_1x16, 1, 2)
DEFINE_MULTIPLY(multiply_2x16, 2, 2)
DEFINE_MULTIPLY(multiply_3x16, 3, 2)
DEFINE_MULTIPLY(multiply_4x16, 4, 2)
DEFINE_MULTIPLY(multiply_1x32, 1, 4)
DEFINE_MULTIPLY(multiply_2x32, 2, 4)
DEFINE_MULTIPLY(multiply_3x32, 3, 4)
DEFINE_MULTIPLY(multiply_4x32, 4, 4)

void mgk_modular_multiply(const modular_product *product)
{
    static void (*const table[2][GROUP])(const modular_product *) = {
        {multiply_1x16, multiply_2x16, multiply_3x16, multiply_4x16},
        {multiply_1x32, multiply_2x32, multiply_3x32, multiply_4x32}};
    table[product->lanes == MODULAR_LANES][product->tiles - 1](product);
}
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
