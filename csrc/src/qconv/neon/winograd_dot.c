/* Products by the dot product instruction: lanes of 32 bits, each an output channel that takes 4 input channels at once.
 * Nothing overflows: |sum| <= 4,096 channels * 127 * 127 < 2^27.
 *
 * 3 tiles by 32 output channels are 24 sums, 4 weights at a time and 3 vectors of activations, 16 channels of the 3
 * tiles: 31 registers. That tile is one piece of assembly; the others leave registers to the compiler. The instruction is
 * always assembly, so that the file needs no flags of its own. */
#include "qconv/neon/winograd.h"

#if MGK_HAS_DOTPROD
/* What makes the assembler take it: gcc writes .arch itself, which clears extensions. */
#if defined(__clang__) || defined(MGK_SIMDE)
#define WITH_DOT_PRODUCT ".arch_extension dotprod\n"
#else
#pragma GCC target("arch=armv8.2-a+dotprod")
#define WITH_DOT_PRODUCT
#endif
#include "qconv/neon/winograd_products.h"

enum { UNIT = 16, HALVES = 0, WORDS = 1 };

#if defined(MGK_SIMDE)
#define DOT(lane) sum = vdotq_lane_s32(sum, w, (lane) < 2 ? vget_low_s8(a) : vget_high_s8(a), (lane) % 2)
#else
#define DOT(lane) __asm__(WITH_DOT_PRODUCT "sdot %0.4s, %1.16b, %2.4b[" #lane "]" : "+w"(sum) : "w"(w), "w"(a))
#endif

/* sum + the products of 4 output channels' weights with one lane's 4 codes; lane is a constant. */
WINOGRAD_INLINE int32x4_t dot(int32x4_t sum, int8x16_t w, int8x16_t a, const int lane)
{
    switch (lane) {
    case 0: DOT(0); break;
    case 1: DOT(1); break;
    case 2: DOT(2); break;
    default: DOT(3);
    }
    return sum;
}

/* 4 of the 16 channels in a. */
WINOGRAD_INLINE void add_quad(const int8_t *w, const int8x16_t a[MOST_TILES], const int quad, const int tiles,
                              const int vectors, int32x4_t sums[MOST_TILES][2 * MOST_VECTORS])
{
    for (int b = 0; b < vectors; b++) {
        const int8x16_t weights = vld1q_s8(w + 16 * b);
        for (int t = 0; t < tiles; t++) {
            const int lane = quad * tiles + t;
            sums[t][b] = dot(sums[t][b], weights, a[lane / 4], lane % 4);
        }
    }
}

/* One group; vectors are of 4 output channels. */
WINOGRAD_INLINE void multiply_group(const int8_t *v, const int8_t *w, void *m, size_t units, const int end,
                                    const int tiles, const int vectors)
{
    int32x4_t sums[MOST_TILES][2 * MOST_VECTORS];
    for (int t = 0; t < tiles; t++) {
        for (int b = 0; b < vectors; b++) {
            sums[t][b] = vdupq_n_s32(0);
        }
    }
    for (; units > 0; units--) {
        int8x16_t a[MOST_TILES]; /* [quad][tile] lanes */
        for (int t = 0; t < tiles; t++) {
            a[t] = vld1q_s8(v + UNIT * t);
        }
        add_quad(w, a, 0, tiles, vectors, sums);
        add_quad(w + 16 * vectors, a, 1, tiles, vectors, sums);
        add_quad(w + 32 * vectors, a, 2, tiles, vectors, sums);
        add_quad(w + 48 * vectors, a, 3, tiles, vectors, sums);
        w += 64 * vectors;
        v += UNIT * tiles;
    }
    int16_t *halves = m;
    int32_t *words = m;
    for (int t = 0; t < tiles; t++) {
        for (int b = 0; b < vectors; b += 2) {
            if (end == HALVES) {
                vst1q_s16(halves + 4 * b,
                          vuzp1q_s16(vreinterpretq_s16_s32(sums[t][b]), vreinterpretq_s16_s32(sums[t][b + 1])));
            } else {
                vst1q_s32(words + 4 * b, sums[t][b]);
                vst1q_s32(words + 4 * b + 4, sums[t][b + 1]);
            }
        }
        halves += WINOGRAD_TILE;
        words += WINOGRAD_TILE;
    }
}

#define DEFINE_MULTIPLY(tiles, lanes)                                                                      \
    WINOGRAD_INLINE void halves_##tiles##x##lanes(const int8_t *v, const int8_t *w, void *m, size_t units) \
    {                                                                                                      \
        multiply_group(v, w, m, units, HALVES, tiles, lanes / 4);                                          \
    }                                                                                                      \
    WINOGRAD_INLINE void words_##tiles##x##lanes(const int8_t *v, const int8_t *w, void *m, size_t units)  \
    {                                                                                                      \
        multiply_group(v, w, m, units, WORDS, tiles, lanes / 4);                                           \
    }

DEFINE_MULTIPLY(1, 16)
DEFINE_MULTIPLY(2, 16)
DEFINE_MULTIPLY(3, 16)
DEFINE_MULTIPLY(1, 32)
DEFINE_MULTIPLY(2, 32)

#if MGK_ASM
/* Registers: tile t, output channels 4 b on: 8 t + b; 24-27 weights, 28-30 activations. */
#define WEIGHTS "ld1 {v24.16b, v25.16b, v26.16b, v27.16b}, [%[w]], #64\n"
#define ONE(s, w, a, lane) "sdot v" #s ".4s, v" #w ".16b, v" #a ".4b[" #lane "]\n"
#define FOUR(a, lane, s0, s1, s2, s3) \
    ONE(s0, 24, a, lane) ONE(s1, 25, a, lane) ONE(s2, 26, a, lane) ONE(s3, 27, a, lane)
#define FOUR_CHANNELS(a0, l0, a1, l1, a2, l2)                                                \
    WEIGHTS FOUR(a0, l0, 0, 1, 2, 3) FOUR(a1, l1, 8, 9, 10, 11) FOUR(a2, l2, 16, 17, 18, 19) \
        WEIGHTS FOUR(a0, l0, 4, 5, 6, 7) FOUR(a1, l1, 12, 13, 14, 15) FOUR(a2, l2, 20, 21, 22, 23)
#define PRODUCTS                                                                        \
    WITH_DOT_PRODUCT                                                                    \
    ".irp r,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23\n"            \
    "movi v\\r\\().2d, #0\n"                                                            \
    ".endr\n"                                                                           \
    "1:\n"                                                                              \
    "ld1 {v28.16b, v29.16b, v30.16b}, [%[v]], #48\n" FOUR_CHANNELS(28, 0, 28, 1, 28, 2) \
        FOUR_CHANNELS(28, 3, 29, 0, 29, 1) FOUR_CHANNELS(29, 2, 29, 3, 30, 0)           \
            FOUR_CHANNELS(30, 1, 30, 2, 30, 3) "subs %[count], %[count], #1\n"          \
                                               "b.ne 1b\n"

#define HALF(to, low, high) "uzp1 v" #to ".8h, v" #low ".8h, v" #high ".8h\n"
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
#define NEXT_TILE "add %[m], %[m], %[tile]\nsub %[m], %[m], #128\n"
#define END_WORDS                                                                                                   \
    "st1 {v0.4s, v1.4s, v2.4s, v3.4s}, [%[m]], #64\n"                                                               \
    "st1 {v4.4s, v5.4s, v6.4s, v7.4s}, [%[m]], #64\n" NEXT_TILE "st1 {v8.4s, v9.4s, v10.4s, v11.4s}, [%[m]], #64\n" \
    "st1 {v12.4s, v13.4s, v14.4s, v15.4s}, [%[m]], #64\n" NEXT_TILE                                                 \
    "st1 {v16.4s, v17.4s, v18.4s, v19.4s}, [%[m]], #64\n"                                                           \
    "st1 {v20.4s, v21.4s, v22.4s, v23.4s}, [%[m]], #64\n"

#define DEFINE_ASSEMBLY(name, type, end)                                                                              \
    WINOGRAD_INLINE void name(const int8_t *v, const int8_t *w, void *m, size_t units)                                \
    {                                                                                                                 \
        size_t count = units;                                                                                         \
        __asm__ volatile(PRODUCTS end                                                                                 \
                         : [v] "+r"(v), [w] "+r"(w), [m] "+r"(m), [count] "+r"(count)                                 \
                         : [tile] "r"(sizeof(type) * WINOGRAD_TILE)                                                   \
                         : "memory", "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11",  \
                           "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", \
                           "v25", "v26", "v27", "v28", "v29", "v30");                                                 \
    }

DEFINE_ASSEMBLY(halves_3x32, int16_t, END_HALVES)
DEFINE_ASSEMBLY(words_3x32, int32_t, END_WORDS)
#else
DEFINE_MULTIPLY(3, 32)
#endif

#define DEFINE_GROUPS(end, type, tiles, lanes)                                 \
    static void all_##end##_##tiles##x##lanes(const winograd_product *product) \
    {                                                                          \
        const int8_t *v = product->v;                                          \
        type *m = product->m;                                                  \
        for (size_t group = product->groups; group > 0; group--) {             \
            end##_##tiles##x##lanes(v, product->w, m, product->pairs / 8);     \
            v += product->stride;                                              \
            m += (tiles) * WINOGRAD_TILE;                                      \
        }                                                                      \
    }
#define DEFINE_BOTH(tiles, lanes)                \
    DEFINE_GROUPS(halves, int16_t, tiles, lanes) \
    DEFINE_GROUPS(words, int32_t, tiles, lanes)

DEFINE_BOTH(1, 16)
DEFINE_BOTH(2, 16)
DEFINE_BOTH(3, 16)
DEFINE_BOTH(1, 32)
DEFINE_BOTH(2, 32)
DEFINE_BOTH(3, 32)

void mgk_winograd_multiply_dot(const winograd_product *product, int wide)
{
    typedef void (*multiply)(const winograd_product *);
    static const multiply table[2][2][MOST_TILES] = {
        {{all_halves_1x16, all_halves_2x16, all_halves_3x16}, {all_halves_1x32, all_halves_2x32, all_halves_3x32}},
        {{all_words_1x16, all_words_2x16, all_words_3x16}, {all_words_1x32, all_words_2x32, all_words_3x32}},
    };
    table[wide][product->lanes == WINOGRAD_LANES][product->tiles - 1](product);
}
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
