/* Products in lanes of 16 bits, for activations and weights whose products do not fit 8 bits.
 *
 * SMLAL and SMLAL2 multiply 8 lanes of bytes; a lane is one output channel and one of two input channels, neighbours are
 * added at the end. 3 tiles by 32 output channels are 24 sums, 4 weights and 3 activations: 31 registers, in assembly
 * too (MGK_ASM), as in winograd_bytes.c. */
#include "qconv/neon/winograd.h"

#if MGK_HAS_NEON
#include "qconv/neon/winograd_products.h"

/* How sums end: stored modulo 2^16, or as int32, or added to int32. */
enum { HALVES = 0, WORDS_FIRST = 1, WORDS_MORE = 2 };

/* Some pairs of one group, a multiple of 8. */
WINOGRAD_INLINE void multiply_group(const int8_t *v, const int8_t *w, void *m, size_t pairs, const int end,
                                    const int tiles, const int vectors)
{
    int16x8_t low[MOST_TILES][MOST_VECTORS];
    int16x8_t high[MOST_TILES][MOST_VECTORS];
    for (int t = 0; t < tiles; t++) {
        for (int b = 0; b < vectors; b++) {
            low[t][b] = high[t][b] = vdupq_n_s16(0);
        }
    }
    for (; pairs > 0; pairs -= 4) {
        for (int pair = 0; pair < 4; pair++) {
            int8x16_t a[MOST_TILES];
            int8x16_t weights[MOST_VECTORS];
            load_weights(w, vectors, weights);
            load_activations(v, tiles, a);
            for (int t = 0; t < tiles; t++) {
                for (int b = 0; b < vectors; b++) {
                    low[t][b] = vmlal_s8(low[t][b], vget_low_s8(weights[b]), vget_low_s8(a[t]));
                    high[t][b] = vmlal_high_s8(high[t][b], weights[b], a[t]);
                }
            }
            v += 2 * tiles;
            w += 16 * vectors;
        }
    }
    int16_t *halves = m;
    int32_t *words = m;
    for (int t = 0; t < tiles; t++) {
        for (int b = 0; b < vectors; b++) {
            if (end == HALVES) {
                vst1q_s16(halves + 8 * b, vpaddq_s16(low[t][b], high[t][b]));
            } else if (end == WORDS_FIRST) {
                vst1q_s32(words + 8 * b, vpaddlq_s16(low[t][b]));
                vst1q_s32(words + 8 * b + 4, vpaddlq_s16(high[t][b]));
            } else {
                vst1q_s32(words + 8 * b, vpadalq_s16(vld1q_s32(words + 8 * b), low[t][b]));
                vst1q_s32(words + 8 * b + 4, vpadalq_s16(vld1q_s32(words + 8 * b + 4), high[t][b]));
            }
        }
        halves += WINOGRAD_TILE;
        words += WINOGRAD_TILE;
    }
}

#define DEFINE_MULTIPLY(tiles, lanes)                                                                      \
    WINOGRAD_INLINE void halves_##tiles##x##lanes(const int8_t *v, const int8_t *w, void *m, size_t pairs) \
    {                                                                                                      \
        multiply_group(v, w, m, pairs, HALVES, tiles, lanes / 8);                                          \
    }                                                                                                      \
    WINOGRAD_INLINE void first_##tiles##x##lanes(const int8_t *v, const int8_t *w, void *m, size_t pairs)  \
    {                                                                                                      \
        multiply_group(v, w, m, pairs, WORDS_FIRST, tiles, lanes / 8);                                     \
    }                                                                                                      \
    WINOGRAD_INLINE void more_##tiles##x##lanes(const int8_t *v, const int8_t *w, void *m, size_t pairs)   \
    {                                                                                                      \
        multiply_group(v, w, m, pairs, WORDS_MORE, tiles, lanes / 8);                                      \
    }

DEFINE_MULTIPLY(1, 16)
DEFINE_MULTIPLY(2, 16)
DEFINE_MULTIPLY(3, 16)
DEFINE_MULTIPLY(1, 32)
DEFINE_MULTIPLY(2, 32)

#if MGK_ASM
/* Registers: tile t, vector b: 8 t + 2 b the low lanes, 8 t + 2 b + 1 the high ones; 24-27 weights, 28-30 activations. */
#define VECTOR(op, low, high, w, a) \
    op " v" #low ".8h, v" #w ".8b, v" #a ".8b\n" op "2 v" #high ".8h, v" #w ".16b, v" #a ".16b\n"
#define TILE(op, a, s0, s1, s2, s3, s4, s5, s6, s7) \
    VECTOR(op, s0, s1, 24, a) VECTOR(op, s2, s3, 25, a) VECTOR(op, s4, s5, 26, a) VECTOR(op, s6, s7, 27, a)
#define STEP(op)                                                                       \
    "ld1 {v24.16b, v25.16b, v26.16b, v27.16b}, [%[w]], #64\n"                          \
    "ld3r {v28.8h, v29.8h, v30.8h}, [%[v]], #6\n" TILE(op, 28, 0, 1, 2, 3, 4, 5, 6, 7) \
        TILE(op, 29, 8, 9, 10, 11, 12, 13, 14, 15) TILE(op, 30, 16, 17, 18, 19, 20, 21, 22, 23)

/* Pairs are 8 k: the first 4 start the sums. */
#define PRODUCTS                                                                                                  \
    STEP("smull")                                                                                                 \
    ".rept 3\n" STEP("smlal") ".endr\n"                                                                           \
                              "b 2f\n"                                                                            \
                              "1:\n"                                                                              \
                              ".rept 4\n" STEP("smlal") ".endr\n"                                                 \
                                                        "2:\n"                                                    \
                                                        ".rept 4\n" STEP("smlal") ".endr\n"                       \
                                                                                  "subs %[count], %[count], #1\n" \
                                                                                  "b.ne 1b\n"

#define HALF(to, low, high) "addp v" #to ".8h, v" #low ".8h, v" #high ".8h\n"
/* The formatter does not settle on these lines. */
/* clang-format off */
#define END_HALVES                                                    \
    HALF(0, 0, 1) HALF(1, 2, 3) HALF(2, 4, 5) HALF(3, 6, 7)           \
    HALF(4, 8, 9) HALF(5, 10, 11) HALF(6, 12, 13) HALF(7, 14, 15)     \
    HALF(8, 16, 17) HALF(9, 18, 19) HALF(10, 20, 21) HALF(11, 22, 23) \
    "st1 {v0.8h, v1.8h, v2.8h, v3.8h}, [%[m]], %[tile]\n"             \
    "st1 {v4.8h, v5.8h, v6.8h, v7.8h}, [%[m]], %[tile]\n"             \
    "st1 {v8.8h, v9.8h, v10.8h, v11.8h}, [%[m]], %[tile]\n"
/* clang-format on */

#define FIRST_4(a, b, c, d)                                                                                    \
    "saddlp v" #a ".4s, v" #a ".8h\nsaddlp v" #b ".4s, v" #b ".8h\nsaddlp v" #c ".4s, v" #c ".8h\nsaddlp v" #d \
    ".4s, v" #d ".8h\nst1 {v" #a ".4s, v" #b ".4s, v" #c ".4s, v" #d ".4s}, [%[m]], #64\n"
#define MORE_4(a, b, c, d)                                                                         \
    "ld1 {v24.4s, v25.4s, v26.4s, v27.4s}, [%[m]]\nsadalp v24.4s, v" #a ".8h\nsadalp v25.4s, v" #b \
    ".8h\nsadalp v26.4s, v" #c ".8h\nsadalp v27.4s, v" #d ".8h\nst1 {v24.4s, v25.4s, v26.4s, v27.4s}, [%[m]], #64\n"
#define NEXT_TILE "add %[m], %[m], %[tile]\nsub %[m], %[m], #128\n"
#define ALL_24(end)                                                                                               \
    end(0, 1, 2, 3) end(4, 5, 6, 7) NEXT_TILE end(8, 9, 10, 11) end(12, 13, 14, 15) NEXT_TILE end(16, 17, 18, 19) \
        end(20, 21, 22, 23)

#define DEFINE_ASSEMBLY(name, type, end)                                                                              \
    WINOGRAD_INLINE void name(const int8_t *v, const int8_t *w, void *m, size_t pairs)                                \
    {                                                                                                                 \
        size_t count = pairs / 8;                                                                                     \
        const size_t tile = sizeof(type) * WINOGRAD_TILE;                                                             \
        __asm__ volatile(PRODUCTS end                                                                                 \
                         : [v] "+r"(v), [w] "+r"(w), [m] "+r"(m), [count] "+r"(count)                                 \
                         : [tile] "r"(tile)                                                                           \
                         : "memory", "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11",  \
                           "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", \
                           "v25", "v26", "v27", "v28", "v29", "v30");                                                 \
    }

DEFINE_ASSEMBLY(halves_3x32, int16_t, END_HALVES)
DEFINE_ASSEMBLY(first_3x32, int32_t, ALL_24(FIRST_4))
DEFINE_ASSEMBLY(more_3x32, int32_t, ALL_24(MORE_4))
#else
DEFINE_MULTIPLY(3, 32)
#endif

/* All groups of a product, with the above inlined: registers are saved once. */
#define DEFINE_PRODUCTS(tiles, lanes)                                                     \
    static void all_halves_##tiles##x##lanes(const winograd_product *product, size_t run) \
    {                                                                                     \
        const int8_t *v = product->v;                                                     \
        int16_t *m = product->m;                                                          \
        (void)run;                                                                        \
        for (size_t group = product->groups; group > 0; group--) {                        \
            halves_##tiles##x##lanes(v, product->w, m, product->pairs);                   \
            v += product->stride;                                                         \
            m += (tiles) * WINOGRAD_TILE;                                                 \
        }                                                                                 \
    }                                                                                     \
    static void all_words_##tiles##x##lanes(const winograd_product *product, size_t run)  \
    {                                                                                     \
        const int8_t *group_v = product->v;                                               \
        int32_t *m = product->m;                                                          \
        for (size_t group = product->groups; group > 0; group--) {                        \
            const int8_t *v = group_v;                                                    \
            const int8_t *w = product->w;                                                 \
            size_t left = product->pairs;                                                 \
            size_t pairs = left < run ? left : run;                                       \
            first_##tiles##x##lanes(v, w, m, pairs);                                      \
            while ((left -= pairs) > 0) {                                                 \
                v += pairs * 2 * (tiles);                                                 \
                w += pairs * 2 * (lanes);                                                 \
                pairs = left < run ? left : run;                                          \
                more_##tiles##x##lanes(v, w, m, pairs);                                   \
            }                                                                             \
            group_v += product->stride;                                                   \
            m += (tiles) * WINOGRAD_TILE;                                                 \
        }                                                                                 \
    }

DEFINE_PRODUCTS(1, 16)
DEFINE_PRODUCTS(2, 16)
DEFINE_PRODUCTS(3, 16)
DEFINE_PRODUCTS(1, 32)
DEFINE_PRODUCTS(2, 32)
DEFINE_PRODUCTS(3, 32)

typedef void (*multiply)(const winograd_product *product, size_t run);

void mgk_winograd_multiply_halves(const winograd_product *product)
{
    static const multiply table[2][MOST_TILES] = {{all_halves_1x16, all_halves_2x16, all_halves_3x16},
                                                  {all_halves_1x32, all_halves_2x32, all_halves_3x32}};
    table[product->lanes == WINOGRAD_LANES][product->tiles - 1](product, 0);
}

void mgk_winograd_multiply_words(const winograd_product *product, size_t run)
{
    static const multiply table[2][MOST_TILES] = {{all_words_1x16, all_words_2x16, all_words_3x16},
                                                  {all_words_1x32, all_words_2x32, all_words_3x32}};
    table[product->lanes == WINOGRAD_LANES][product->tiles - 1](product, run);
}
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
