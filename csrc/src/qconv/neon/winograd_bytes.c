/* Products in lanes of 8 bits, flushed into lanes of 16 bits before they overflow.
 *
 * A vector holds 8 output channels times 2 input channels, so that SADALP, which adds neighbours, leaves 8 output
 * channels. 3 tiles by 32 output channels are 12 sums of 8 bits, 12 of 16 bits, 4 weights and 3 activations: 31
 * registers, more than compilers manage without spilling. So that tile stands in assembly too (MGK_ASM, on unless
 * defined as 0): the same operations in the same order. All other tiles are intrinsics. */
#include "qconv/neon/winograd_multiply.h"

#if defined(__aarch64__)
#include <arm_neon.h>
#include <string.h>

#ifndef MGK_ASM
#define MGK_ASM 1
#endif

enum { MOST_TILES = WINOGRAD_GROUP, MOST_VECTORS = WINOGRAD_LANES / 8 };

/* The same 2 codes in all output channels. */
static inline int8x16_t broadcast(const int8_t *v)
{
    int16_t two;
    memcpy(&two, v, sizeof two);
    return vreinterpretq_s8_s16(vdupq_n_s16(two));
}

/* One group. tiles and vectors are constants of the caller, so that the loops over them unroll. */
static inline __attribute__((always_inline)) void multiply_group(const int8_t *v, const int8_t *w, int16_t *m,
                                                                 size_t pairs, const winograd_schedule *schedule,
                                                                 const int tiles, const int vectors)
{
    int16x8_t sums[MOST_TILES][MOST_VECTORS];
    for (int t = 0; t < tiles; t++) {
        for (int b = 0; b < vectors; b++) {
            sums[t][b] = vdupq_n_s16(0);
        }
    }
    size_t turn = 0;
    for (size_t left = pairs; left > 0;) {
        if (turn == 3 || schedule->runs[turn] == 0) {
            turn = 0;
        }
        const size_t run = schedule->runs[turn++];
        left -= run;
        int8x16_t bytes[MOST_TILES][MOST_VECTORS];
        for (int t = 0; t < tiles; t++) {
            const int8x16_t a = broadcast(v + 2 * t);
            for (int b = 0; b < vectors; b++) {
                bytes[t][b] = vmulq_s8(vld1q_s8(w + 16 * b), a);
            }
        }
        v += 2 * tiles;
        w += 16 * vectors;
        for (size_t pair = 1; pair < run; pair++) {
            for (int t = 0; t < tiles; t++) {
                const int8x16_t a = broadcast(v + 2 * t);
                for (int b = 0; b < vectors; b++) {
                    bytes[t][b] = vmlaq_s8(bytes[t][b], vld1q_s8(w + 16 * b), a);
                }
            }
            v += 2 * tiles;
            w += 16 * vectors;
        }
        for (int t = 0; t < tiles; t++) {
            for (int b = 0; b < vectors; b++) {
                sums[t][b] = vpadalq_s8(sums[t][b], bytes[t][b]);
            }
        }
    }
    for (int t = 0; t < tiles; t++) {
        for (int b = 0; b < vectors; b++) {
            vst1q_s16(m + 8 * (t * vectors + b), sums[t][b]);
        }
    }
}

#define DEFINE_MULTIPLY(name, tiles, vectors)                                                                          \
    static void name(const winograd_product *product, const winograd_schedule *schedule)                               \
    {                                                                                                                  \
        int16_t *m = product->m;                                                                                       \
        for (size_t group = 0; group < product->groups; group++) {                                                     \
            multiply_group(product->v + group * product->stride, product->w, m, product->pairs, schedule, tiles,       \
                           vectors);                                                                                   \
            m += (tiles) * (vectors)*8;                                                                                \
        }                                                                                                              \
    }

DEFINE_MULTIPLY(multiply_1x16, 1, 2)
DEFINE_MULTIPLY(multiply_2x16, 2, 2)
DEFINE_MULTIPLY(multiply_3x16, 3, 2)
DEFINE_MULTIPLY(multiply_1x32, 1, 4)
DEFINE_MULTIPLY(multiply_2x32, 2, 4)

#if MGK_ASM
/* Registers: 0-11 sums of 8 bits, 12-23 of 16 bits, 24-27 weights, 28-30 activations. */
#define STEP(op)                                                                                                       \
    "ld1 {v24.16b, v25.16b, v26.16b, v27.16b}, [%[w]], #64\n"                                                          \
    "ld3r {v28.8h, v29.8h, v30.8h}, [%[v]], #6\n" op " v0.16b, v24.16b, v28.16b\n" op " v1.16b, v25.16b, v28.16b\n" op \
    " v2.16b, v26.16b, v28.16b\n" op " v3.16b, v27.16b, v28.16b\n" op " v4.16b, v24.16b, v29.16b\n" op                 \
    " v5.16b, v25.16b, v29.16b\n" op " v6.16b, v26.16b, v29.16b\n" op " v7.16b, v27.16b, v29.16b\n" op                 \
    " v8.16b, v24.16b, v30.16b\n" op " v9.16b, v25.16b, v30.16b\n" op " v10.16b, v26.16b, v30.16b\n" op                \
    " v11.16b, v27.16b, v30.16b\n"
#define FLUSH(op)                                                                                                      \
    op " v12.8h, v0.16b\n" op " v13.8h, v1.16b\n" op " v14.8h, v2.16b\n" op " v15.8h, v3.16b\n" op                     \
       " v16.8h, v4.16b\n" op " v17.8h, v5.16b\n" op " v18.8h, v6.16b\n" op " v19.8h, v7.16b\n" op                     \
       " v20.8h, v8.16b\n" op " v21.8h, v9.16b\n" op " v22.8h, v10.16b\n" op " v23.8h, v11.16b\n"
#define RUN(count, flush) STEP("mul") ".rept " #count " - 1\n" STEP("mla") ".endr\n" FLUSH(flush)
#define TIMES(count, body) ".rept " #count "\n" body ".endr\n"

/* unit pairs an iteration: a run of `first`, then `rest`. The first of all runs starts the sums. */
#define DEFINE_ASSEMBLY(name, unit, first, rest)                                                                       \
    static void name(const winograd_product *product)                                                                  \
    {                                                                                                                  \
        const int8_t *group_v = product->v;                                                                            \
        int16_t *m = product->m;                                                                                       \
        for (size_t group = product->groups; group > 0; group--) {                                                     \
            const int8_t *v = group_v;                                                                                 \
            const int8_t *w = product->w;                                                                              \
            size_t count = product->pairs / (unit);                                                                    \
            __asm__ volatile(RUN(first, "saddlp") "b 2f\n"                                                             \
                                                  "1:\n" RUN(first, "sadalp") "2:\n" rest "subs %[count], %[count], #1\n" \
                                                                                     "b.ne 1b\n"                       \
                             "st1 {v12.8h, v13.8h, v14.8h, v15.8h}, [%[m]], #64\n"                                     \
                             "st1 {v16.8h, v17.8h, v18.8h, v19.8h}, [%[m]], #64\n"                                     \
                             "st1 {v20.8h, v21.8h, v22.8h, v23.8h}, [%[m]], #64\n"                                     \
                             : [v] "+r"(v), [w] "+r"(w), [m] "+r"(m), [count] "+r"(count)                              \
                             :                                                                                         \
                             : "memory", "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10",      \
                               "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22",     \
                               "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30");                                \
            group_v += product->stride;                                                                                \
        }                                                                                                              \
    }

DEFINE_ASSEMBLY(multiply_3x32_16, 16, 16, "")
DEFINE_ASSEMBLY(multiply_3x32_8, 8, 8, "")
DEFINE_ASSEMBLY(multiply_3x32_655, 16, 6, RUN(5, "sadalp") RUN(5, "sadalp"))
DEFINE_ASSEMBLY(multiply_3x32_4, 8, 4, RUN(4, "sadalp"))
DEFINE_ASSEMBLY(multiply_3x32_332, 8, 3, RUN(3, "sadalp") RUN(2, "sadalp"))
DEFINE_ASSEMBLY(multiply_3x32_2, 8, 2, TIMES(3, RUN(2, "sadalp")))
DEFINE_ASSEMBLY(multiply_3x32_1, 8, 1, TIMES(7, RUN(1, "sadalp")))

static void multiply_3x32(const winograd_product *product, unsigned schedule)
{
    static void (*const multiply[WINOGRAD_SCHEDULES])(const winograd_product *) = {
        0, multiply_3x32_16, multiply_3x32_8, multiply_3x32_655, multiply_3x32_4, multiply_3x32_332, multiply_3x32_2,
        multiply_3x32_1,
    };
    multiply[schedule](product);
}
#else
DEFINE_MULTIPLY(multiply_3x32_any, 3, 4)

static void multiply_3x32(const winograd_product *product, unsigned schedule)
{
    multiply_3x32_any(product, &mgk_winograd_schedules[schedule]);
}
#endif

void mgk_winograd_multiply_bytes(const winograd_product *product, unsigned schedule)
{
    static void (*const multiply[2][MOST_TILES])(const winograd_product *, const winograd_schedule *) = {
        {multiply_1x16, multiply_2x16, multiply_3x16},
        {multiply_1x32, multiply_2x32, 0},
    };
    const int all = product->lanes == WINOGRAD_LANES;
    if (all && product->tiles == WINOGRAD_GROUP) {
        multiply_3x32(product, schedule);
    } else {
        multiply[all][product->tiles - 1](product, &mgk_winograd_schedules[schedule]);
    }
}
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
