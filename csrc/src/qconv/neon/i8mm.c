/* Direct convolution by the matrix product instruction, for any widths up to 8 bits and any shape: SMMLA multiplies 2
 * pixels by 8 neighbouring elements of a patch with 8 elements by 2 output channels, and adds them to 2 x 2 sums.
 *
 * A tile is 4 pixels by 16 output channels: 2 x 8 sums, 4 vectors of weights at a time and 2 of activations. 16 elements
 * at a time are 32 products, 5 loads of four registers and the loop. */
#if defined(__AARCH64EL__)
#if !defined(__clang__)
#pragma GCC target("arch=armv8.2-a+i8mm")
#endif
#include "qconv/neon/words.h"

enum { NEIGHBOURS = 8, TOGETHER = 2, PAIRS = MGK_PATCHES / 2, MOST_COLUMNS = 2 * MGK_BLOCK_VECTORS };

/* sum + a w, rows are pixels, columns output channels */
MGK_INLINE int32x4_t multiply(int32x4_t sum, int8x16_t a, int8x16_t w)
{
    __asm__(MGK_EXTENSION("i8mm") "smmla %0.4s, %1.16b, %2.16b" : "+w"(sum) : "w"(a), "w"(w));
    return sum;
}

/* columns are pairs of output channels */
MGK_INLINE void add_step(const int columns, const int8_t *weights, const int8x16_t a[PAIRS],
                         int32x4_t sum[PAIRS][MOST_COLUMNS])
{
    for (int c = 0; c < columns; c += 2) {
        const int8x16x2_t w = vld1q_s8_x2(weights + 16 * c);
        sum[0][c] = multiply(sum[0][c], a[0], w.val[0]);
        sum[1][c] = multiply(sum[1][c], a[1], w.val[0]);
        sum[0][c + 1] = multiply(sum[0][c + 1], a[0], w.val[1]);
        sum[1][c + 1] = multiply(sum[1][c + 1], a[1], w.val[1]);
    }
}

#if MGK_ASM
#define ONE(sum, a, w) "smmla %[" sum "].4s, " a ".16b, " w ".16b\n\t"
#define FOUR(c0, c1, c2, c3, a0, a1)                                                                            \
    "ld1 {v28.16b, v29.16b, v30.16b, v31.16b}, [%[w]], #64\n\t" ONE("s0" c0, a0, "v28") ONE("s0" c1, a0, "v29") \
        ONE("s0" c2, a0, "v30") ONE("s0" c3, a0, "v31") ONE("s1" c0, a1, "v28") ONE("s1" c1, a1, "v29")         \
            ONE("s1" c2, a1, "v30") ONE("s1" c3, a1, "v31")
#define STEP(a0, a1) FOUR("0", "1", "2", "3", a0, a1) FOUR("4", "5", "6", "7", a0, a1)
#define CLEAR(s) "movi %[" s "].2d, #0\n\t"
#define CLEAR_ROW(p) \
    CLEAR("s" p "0") \
    CLEAR("s" p "1") \
    CLEAR("s" p "2") CLEAR("s" p "3") CLEAR("s" p "4") CLEAR("s" p "5") CLEAR("s" p "6") CLEAR("s" p "7")
#define SUM(p, c) [s##p##c] "=&w"(sum[p][c])

/* The sums of 2 * groups steps; both pointers move on. Compilers run out of registers here. */
MGK_INLINE void add_groups(const int8_t **weights, const int8_t **patches, size_t groups,
                           int32x4_t sum[PAIRS][MOST_COLUMNS])
{
    __asm__(MGK_EXTENSION("i8mm") CLEAR_ROW("0")
                CLEAR_ROW("1") "cbz %[left], 2f\n\t"
                               "1: ld1 {v24.16b, v25.16b, v26.16b, v27.16b}, [%[a]], #64\n\t"
                               "sub %[left], %[left], #1\n\t" STEP("v24", "v25")
                                   STEP("v26", "v27") "cbnz %[left], 1b\n\t"
                                                      "2:"
            : SUM(0, 0), SUM(0, 1), SUM(0, 2), SUM(0, 3), SUM(0, 4), SUM(0, 5), SUM(0, 6), SUM(0, 7), SUM(1, 0),
              SUM(1, 1), SUM(1, 2), SUM(1, 3), SUM(1, 4), SUM(1, 5), SUM(1, 6),
              SUM(1, 7), [w] "+r"(*weights), [a] "+r"(*patches), [left] "+r"(groups)
            :
            : "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31", "memory");
}
#endif

/* Two pixels times four output channels, from two times two and two times two. */
MGK_INLINE void split_rows(int32x4_t left, int32x4_t right, int32x4_t *upper, int32x4_t *lower)
{
    const int64x2_t l = vreinterpretq_s64_s32(left);
    const int64x2_t r = vreinterpretq_s64_s32(right);
    *upper = vreinterpretq_s32_s64(vzip1q_s64(l, r));
    *lower = vreinterpretq_s32_s64(vzip2q_s64(l, r));
}

MGK_INLINE void run_tile(const mgk_tiles *t, const int vectors, const int plain, const int bits, size_t pixel,
                         const int8_t *patches)
{
    const int8_t *weights = (const int8_t *)t->weights;
    const int columns = 2 * vectors;
    int32x4_t sum[PAIRS][MOST_COLUMNS];
    size_t left = t->steps;
#if MGK_ASM
    if (vectors == MGK_BLOCK_VECTORS) {
        add_groups(&weights, &patches, left / TOGETHER, sum);
        left %= TOGETHER;
    } else
#endif
    {
        for (int c = 0; c < columns; c++) {
            sum[0][c] = sum[1][c] = vdupq_n_s32(0);
        }
    }
    for (; left > 0; left--) {
        const int8x16_t a[PAIRS] = {vld1q_s8(patches), vld1q_s8(patches + 16)};
        add_step(columns, weights, a, sum);
        weights += 16 * columns;
        patches += 32;
    }
    int32x4_t rows[MGK_PATCHES][MGK_BLOCK_VECTORS];
    for (int v = 0; v < vectors; v++) {
        split_rows(sum[0][2 * v], sum[0][2 * v + 1], &rows[0][v], &rows[1][v]);
        split_rows(sum[1][2 * v], sum[1][2 * v + 1], &rows[2][v], &rows[3][v]);
    }
    mgk_store_words(t, vectors, plain, bits, pixel, (const int32x4_t(*)[MGK_BLOCK_VECTORS])rows);
}

MGK_WORD_TILES(run_tile)

static int find(const mgk_qconv *layer, mgk_direct *direct)
{
    return mgk_find_words(layer, NEIGHBOURS, run_tiles, direct);
}

MGK_DIRECT_KERNEL(mgk_qconv_i8mm_direct, "i8mm-direct", MGK_I8MM);
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
