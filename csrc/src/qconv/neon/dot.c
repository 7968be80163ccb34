/* Direct convolution by the dot product instruction, for any widths up to 8 bits and any shape: a lane of 32 bits is an
 * output channel, which gains four neighbouring elements of a patch at once.
 *
 * A tile is 4 pixels by 16 output channels: 16 sums, 4 vectors of weights and one of activations, whose lanes are the
 * pixels. 16 elements at a time are 64 products, 5 loads of up to four registers and the loop. */
#if defined(__AARCH64EL__)
#if !defined(__clang__)
#pragma GCC target("arch=armv8.2-a+dotprod")
#endif
#include "qconv/neon/words.h"

enum { NEIGHBOURS = 4, TOGETHER = 4 };

#define DOT(lane) __asm__(MGK_EXTENSION("dotprod") "sdot %0.4s, %1.16b, %2.4b[" #lane "]" : "+w"(sum) : "w"(w), "w"(a))

/* sum + the products of 4 output channels' weights with one pixel's 4 values; pixel is a constant. */
MGK_INLINE int32x4_t dot(int32x4_t sum, int8x16_t w, int8x16_t a, const int pixel)
{
    switch (pixel) {
    case 0: DOT(0); break;
    case 1: DOT(1); break;
    case 2: DOT(2); break;
    default: DOT(3);
    }
    return sum;
}

MGK_INLINE void add_step(const int vectors, const int8_t *weights, int8x16_t a,
                         int32x4_t sum[MGK_PATCHES][MGK_BLOCK_VECTORS])
{
    int8x16_t w[MGK_BLOCK_VECTORS];
    for (int v = 0; v < vectors; v++) {
        w[v] = vld1q_s8(weights + 16 * v);
    }
    for (int v = 0; v < vectors; v++) {
        sum[0][v] = dot(sum[0][v], w[v], a, 0);
        sum[1][v] = dot(sum[1][v], w[v], a, 1);
        sum[2][v] = dot(sum[2][v], w[v], a, 2);
        sum[3][v] = dot(sum[3][v], w[v], a, 3);
    }
}

#if MGK_ASM
#define ONE(sum, w, a, pixel) "sdot %[" sum "].4s, " w ".16b, " a ".4b[" pixel "]\n\t"
#define PIXEL(a, p)             \
    ONE("s" p "0", "v28", a, p) \
    ONE("s" p "1", "v29", a, p) \
    ONE("s" p "2", "v30", a, p) \
    ONE("s" p "3", "v31", a, p)
#define STEP(a) \
    "ld1 {v28.16b, v29.16b, v30.16b, v31.16b}, [%[w]], #64\n\t" PIXEL(a, "0") PIXEL(a, "1") PIXEL(a, "2") PIXEL(a, "3")
#define CLEAR(p) \
    "movi %[s" p "0].2d, #0\n\tmovi %[s" p "1].2d, #0\n\tmovi %[s" p "2].2d, #0\n\tmovi %[s" p "3].2d, #0\n\t"
#define SUM(p, v) [s##p##v] "=&w"(sum[p][v])

/* The sums of 4 * groups steps; both pointers move on. Compilers run out of registers here. */
MGK_INLINE void add_groups(const int8_t **weights, const int8_t **patches, size_t groups,
                           int32x4_t sum[MGK_PATCHES][MGK_BLOCK_VECTORS])
{
    __asm__(MGK_EXTENSION("dotprod") CLEAR("0") CLEAR("1") CLEAR("2")
                CLEAR("3") "cbz %[left], 2f\n\t"
                           "1: ld1 {v24.16b, v25.16b, v26.16b, v27.16b}, [%[a]], #64\n\t"
                           "sub %[left], %[left], #1\n\t" STEP("v24") STEP("v25") STEP("v26")
                               STEP("v27") "cbnz %[left], 1b\n\t"
                                           "2:"
            : SUM(0, 0), SUM(0, 1), SUM(0, 2), SUM(0, 3), SUM(1, 0), SUM(1, 1), SUM(1, 2), SUM(1, 3), SUM(2, 0),
              SUM(2, 1), SUM(2, 2), SUM(2, 3), SUM(3, 0), SUM(3, 1), SUM(3, 2),
              SUM(3, 3), [w] "+r"(*weights), [a] "+r"(*patches), [left] "+r"(groups)
            :
            : "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31", "memory");
}
#endif

MGK_INLINE void run_tile(const mgk_tiles *t, const int vectors, const int plain, const int bits, size_t pixel,
                         const int8_t *patches)
{
    const int8_t *weights = (const int8_t *)t->weights;
    int32x4_t sum[MGK_PATCHES][MGK_BLOCK_VECTORS];
    size_t left = t->steps;
#if MGK_ASM
    if (vectors == MGK_BLOCK_VECTORS) {
        add_groups(&weights, &patches, left / TOGETHER, sum);
        left %= TOGETHER;
    } else
#endif
    {
        for (int v = 0; v < vectors; v++) {
            sum[0][v] = sum[1][v] = sum[2][v] = sum[3][v] = vdupq_n_s32(0);
        }
    }
    for (; left > 0; left--) {
        add_step(vectors, weights, vld1q_s8(patches), sum);
        weights += 16 * vectors;
        patches += 16;
    }
    mgk_store_words(t, vectors, plain, bits, pixel, (const int32x4_t(*)[MGK_BLOCK_VECTORS])sum);
}

MGK_WORD_TILES(run_tile)

static int find(const mgk_qconv *layer, mgk_direct *direct)
{
    return mgk_find_words(layer, NEIGHBOURS, run_tiles, direct);
}

MGK_DIRECT_KERNEL(mgk_qconv_dotprod_direct, "dotprod-direct", MGK_DOTPROD);
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
