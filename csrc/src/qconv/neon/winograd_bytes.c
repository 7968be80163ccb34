/* Products in lanes of 8 bits, flushed into lanes of 16 bits before they overflow.
 *
 * A vector holds 8 output channels times 2 input channels, so that SADALP, which adds neighbours, leaves 8 output
 * channels. 3 tiles by 32 output channels are 12 sums of 8 bits, 12 of 16 bits, 4 weights and 3 activations: 31
 * registers, more than compilers manage without spilling. So that tile stands in assembly too (MGK_ASM, on unless
 * defined as 0): the same operations in the same order. All other tiles are intrinsics. */
#include "qconv/neon/winograd.h"

#if MGK_HAS_NEON
#include "qconv/neon/winograd_products.h"

/* run pairs in lanes of 8 bits, then the flush. */
WINOGRAD_INLINE void multiply_run(const int8_t **v, const int8_t **w, const int run, const int tiles, const int vectors,
                                  int16x8_t sums[MOST_TILES][MOST_VECTORS])
{
    int8x16_t bytes[MOST_TILES][MOST_VECTORS];
    for (int pair = 0; pair < run; pair++) {
        int8x16_t a[MOST_TILES];
        int8x16_t weights[MOST_VECTORS];
        load_weights(*w, vectors, weights);
        load_activations(*v, tiles, a);
        for (int t = 0; t < tiles; t++) {
            for (int b = 0; b < vectors; b++) {
                bytes[t][b] = pair == 0 ? vmulq_s8(weights[b], a[t]) : vmlaq_s8(bytes[t][b], weights[b], a[t]);
            }
        }
        *v += 2 * tiles;
        *w += 16 * vectors;
    }
    for (int t = 0; t < tiles; t++) {
        for (int b = 0; b < vectors; b++) {
            sums[t][b] = vpadalq_s8(sums[t][b], bytes[t][b]);
        }
    }
}

/* Runs of r0, r1 and r2 pairs, again and again; r1 = 0: of r0 pairs only. */
WINOGRAD_INLINE void multiply_groups(const winograd_product *product, const int r0, const int r1, const int r2,
                                     const int tiles, const int vectors)
{
    int16_t *m = product->m;
    for (size_t group = 0; group < product->groups; group++) {
        const int8_t *v = product->v + group * product->stride;
        const int8_t *w = product->w;
        int16x8_t sums[MOST_TILES][MOST_VECTORS];
        for (int t = 0; t < tiles; t++) {
            for (int b = 0; b < vectors; b++) {
                sums[t][b] = vdupq_n_s16(0);
            }
        }
        const size_t unit = (size_t)(r1 == 0 ? 8 : r0 + r1 + r2);
        for (size_t left = product->pairs; left > 0; left -= unit) {
            if (r1 == 0) {
                for (int done = 0; done < 8; done += r0) {
                    multiply_run(&v, &w, r0, tiles, vectors, sums);
                }
            } else {
                multiply_run(&v, &w, r0, tiles, vectors, sums);
                multiply_run(&v, &w, r1, tiles, vectors, sums);
                multiply_run(&v, &w, r2, tiles, vectors, sums);
            }
        }
        for (int t = 0; t < tiles; t++) {
            for (int b = 0; b < vectors; b++) {
                vst1q_s16(m + 8 * b, sums[t][b]);
            }
            m += WINOGRAD_TILE;
        }
    }
}

#define DEFINE_MULTIPLY(name, tiles, vectors, r0, r1, r2)     \
    static void name(const winograd_product *product)         \
    {                                                         \
        multiply_groups(product, r0, r1, r2, tiles, vectors); \
    }
#define DEFINE_SCHEDULES(name, tiles, vectors)         \
    DEFINE_MULTIPLY(name##_8, tiles, vectors, 8, 0, 0) \
    DEFINE_MULTIPLY(name##_4, tiles, vectors, 4, 0, 0) \
    DEFINE_MULTIPLY(name##_2, tiles, vectors, 2, 0, 0) \
    DEFINE_MULTIPLY(name##_1, tiles, vectors, 1, 0, 0)

DEFINE_SCHEDULES(multiply_1x16, 1, 2)
DEFINE_SCHEDULES(multiply_2x16, 2, 2)
DEFINE_SCHEDULES(multiply_3x16, 3, 2)
DEFINE_SCHEDULES(multiply_1x32, 1, 4)
DEFINE_SCHEDULES(multiply_2x32, 2, 4)

#if MGK_ASM
/* Registers: 0-11 sums of 8 bits, 12-23 of 16 bits, 24-27 weights, 28-30 activations. */
#define STEP(op)                                                                                                       \
    "ld1 {v24.16b, v25.16b, v26.16b, v27.16b}, [%[w]], #64\n"                                                          \
    "ld3r {v28.8h, v29.8h, v30.8h}, [%[v]], #6\n" op " v0.16b, v24.16b, v28.16b\n" op " v1.16b, v25.16b, v28.16b\n" op \
    " v2.16b, v26.16b, v28.16b\n" op " v3.16b, v27.16b, v28.16b\n" op " v4.16b, v24.16b, v29.16b\n" op                 \
    " v5.16b, v25.16b, v29.16b\n" op " v6.16b, v26.16b, v29.16b\n" op " v7.16b, v27.16b, v29.16b\n" op                 \
    " v8.16b, v24.16b, v30.16b\n" op " v9.16b, v25.16b, v30.16b\n" op " v10.16b, v26.16b, v30.16b\n" op                \
    " v11.16b, v27.16b, v30.16b\n"
#define FLUSH(op)                                                                                  \
    op " v12.8h, v0.16b\n" op " v13.8h, v1.16b\n" op " v14.8h, v2.16b\n" op " v15.8h, v3.16b\n" op \
       " v16.8h, v4.16b\n" op " v17.8h, v5.16b\n" op " v18.8h, v6.16b\n" op " v19.8h, v7.16b\n" op \
       " v20.8h, v8.16b\n" op " v21.8h, v9.16b\n" op " v22.8h, v10.16b\n" op " v23.8h, v11.16b\n"
#define RUN(count, flush) STEP("mul") ".rept " #count " - 1\n" STEP("mla") ".endr\n" FLUSH(flush)
#define TIMES(count, body) ".rept " #count "\n" body ".endr\n"
#define LOOP(first, rest) \
    RUN(first, "saddlp") "b 2f\n1:\n" RUN(first, "sadalp") "2:\n" rest "subs %[count], %[count], #1\nb.ne 1b\n"
#define STORE                                                 \
    "st1 {v12.8h, v13.8h, v14.8h, v15.8h}, [%[m]], %[tile]\n" \
    "st1 {v16.8h, v17.8h, v18.8h, v19.8h}, [%[m]], %[tile]\n" \
    "st1 {v20.8h, v21.8h, v22.8h, v23.8h}, [%[m]], %[tile]\n"

/* unit pairs an iteration: a run of `first`, then `rest`. The first of all runs starts the sums. */
#define DEFINE_ASSEMBLY(name, unit, first, rest)                                                                   \
    static void name(const winograd_product *product)                                                              \
    {                                                                                                              \
        const int8_t *group_v = product->v;                                                                        \
        int16_t *m = product->m;                                                                                   \
        for (size_t group = product->groups; group > 0; group--) {                                                 \
            const int8_t *v = group_v;                                                                             \
            const int8_t *w = product->w;                                                                          \
            size_t count = product->pairs / (unit);                                                                \
            __asm__ volatile(LOOP(first, rest) STORE                                                               \
                             : [v] "+r"(v), [w] "+r"(w), [m] "+r"(m), [count] "+r"(count)                          \
                             : [tile] "r"(sizeof(int16_t) * WINOGRAD_TILE)                                         \
                             : "memory", "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10",  \
                               "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", \
                               "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30");                            \
            group_v += product->stride;                                                                            \
        }                                                                                                          \
    }

DEFINE_ASSEMBLY(multiply_3x32_16, 16, 16, "")
DEFINE_ASSEMBLY(multiply_3x32_11_11_10, 32, 11, RUN(11, "sadalp") RUN(10, "sadalp"))
DEFINE_ASSEMBLY(multiply_3x32_8, 8, 8, "")
DEFINE_ASSEMBLY(multiply_3x32_655, 16, 6, RUN(5, "sadalp") RUN(5, "sadalp"))
DEFINE_ASSEMBLY(multiply_3x32_4, 8, 4, RUN(4, "sadalp"))
DEFINE_ASSEMBLY(multiply_3x32_332, 8, 3, RUN(3, "sadalp") RUN(2, "sadalp"))
DEFINE_ASSEMBLY(multiply_3x32_2, 8, 2, TIMES(3, RUN(2, "sadalp")))
DEFINE_ASSEMBLY(multiply_3x32_1, 8, 1, TIMES(7, RUN(1, "sadalp")))
#else
DEFINE_SCHEDULES(multiply_3x32, 3, 4)
DEFINE_MULTIPLY(multiply_3x32_16, 3, 4, 8, 0, 0) /* the same sums */
DEFINE_MULTIPLY(multiply_3x32_11_11_10, 3, 4, 11, 11, 10)
DEFINE_MULTIPLY(multiply_3x32_655, 3, 4, 6, 5, 5)
DEFINE_MULTIPLY(multiply_3x32_332, 3, 4, 3, 3, 2)
#endif

/* By the names of schedules; tiles that lack one take another that is as safe: runs within the runs. */
#define SCHEDULES(name) 0, name##_8, 0, name##_8, 0, name##_4, 0, name##_2, name##_1

void mgk_winograd_multiply_bytes(const winograd_product *product, unsigned schedule)
{
    typedef void (*multiply)(const winograd_product *);
    static const multiply table[2][MOST_TILES][WINOGRAD_SCHEDULES] = {
        {{SCHEDULES(multiply_1x16)}, {SCHEDULES(multiply_2x16)}, {SCHEDULES(multiply_3x16)}},
        {{SCHEDULES(multiply_1x32)},
         {SCHEDULES(multiply_2x32)},
         {0, multiply_3x32_16, multiply_3x32_11_11_10, multiply_3x32_8, multiply_3x32_655, multiply_3x32_4,
          multiply_3x32_332, multiply_3x32_2, multiply_3x32_1}}};
    table[product->lanes == WINOGRAD_LANES][product->tiles - 1][schedule](product);
}
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
