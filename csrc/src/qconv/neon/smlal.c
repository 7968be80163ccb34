/* Direct convolution of any widths up to 8 bits: 16-bit products, two of them in a lane, 32-bit sums.
 *
 * SMULL and SMLSL leave 8 sums of two products, 4 output channels by 2 neighbouring elements; SADALP adds the neighbours
 * into 32 bits: six instructions for 32 products.
 *
 * Two products of full bytes do not fit 16 bits where both are (-128) * (-128) = 2^14. So of every four elements the third
 * and the fourth are stored as their complements ~a = -a - 1, bytes as well, and their products subtracted:
 *     w a + w' a' = w a - w' ~a' - w',
 * where the last term is a constant of the output channel. A product lies in [-127 * 128, 128 * 128] = [-16256, 16384],
 * and a difference of two in [-32640, 32640]. */
#include "neon.h"

#if MGK_HAS_NEON
#include "qconv/neon/tile.h"

enum { UNIT = 4, LANES = 8, VECTORS = 2 };

#if MGK_ASM
/* Registers: 24-27 weights, 28-31 the elements of two pixels, 20-23 products of one pixel. */
#define SUM_OF(p, v, half) "%[s" #p #v #half "]"
#define PIXEL(p, first, second)                                                                     \
    "smull v20.8h, v24.8b, v" #first ".8b\n\t"                                                      \
    "smull2 v21.8h, v24.16b, v" #first ".16b\n\t"                                                   \
    "smull v22.8h, v25.8b, v" #first ".8b\n\t"                                                      \
    "smull2 v23.8h, v25.16b, v" #first ".16b\n\t"                                                   \
    "smlsl v20.8h, v26.8b, v" #second ".8b\n\t"                                                     \
    "smlsl2 v21.8h, v26.16b, v" #second ".16b\n\t"                                                  \
    "smlsl v22.8h, v27.8b, v" #second ".8b\n\t"                                                     \
    "smlsl2 v23.8h, v27.16b, v" #second ".16b\n\t"                                                  \
    "sadalp " SUM_OF(p, 0, 0) ".4s, v20.8h\n\t"                                                     \
                              "sadalp " SUM_OF(p, 0, 1) ".4s, v21.8h\n\t"                           \
                                                        "sadalp " SUM_OF(p, 1, 0) ".4s, v22.8h\n\t" \
                                                                                  "sadalp " SUM_OF( \
                                                                                      p, 1, 1) ".4s, v23.8h\n\t"
#define TWO_PIXELS(p, q) "ld4r {v28.8h, v29.8h, v30.8h, v31.8h}, [%[a]], #8\n\t" PIXEL(p, 28, 29) PIXEL(q, 30, 31)
#define STEP "ld1 {v24.16b, v25.16b, v26.16b, v27.16b}, [%[w]], #64\n\t" TWO_PIXELS(0, 1) TWO_PIXELS(2, 3)
#define CLEAR(p)                                                                          \
    "movi " SUM_OF(p, 0, 0) ".2d, #0\n\t"                                                 \
                            "movi " SUM_OF(p, 0, 1) ".2d, #0\n\t"                         \
                                                    "movi " SUM_OF(p, 1, 0) ".2d, #0\n\t" \
                                                                            "movi " SUM_OF(p, 1, 1) ".2d, #0\n\t"
#define SUM(p, v, half) [s##p##v##half] "=&w"(sum[p][v][half])
#define SUMS(p) SUM(p, 0, 0), SUM(p, 0, 1), SUM(p, 1, 0), SUM(p, 1, 1)

/* Compilers run out of registers here. */
MGK_INLINE void multiply_block(const int8_t *weights, const int8_t *patches, size_t units,
                               int32x4_t sum[MGK_PATCHES][VECTORS][2])
{
    __asm__(CLEAR(0) CLEAR(1) CLEAR(2) CLEAR(3) "tbz %[left], #0, 1f\n\t"
                                                "sub %[left], %[left], #1\n\t" STEP "1: cbz %[left], 3f\n\t"
                                                "2: sub %[left], %[left], #2\n\t" STEP STEP "cbnz %[left], 2b\n\t"
                                                "3:"
            : SUMS(0), SUMS(1), SUMS(2), SUMS(3), [w] "+r"(weights), [a] "+r"(patches), [left] "+r"(units)
            :
            : "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31", "memory");
}
#endif

/* Two pairs of neighbouring elements times 8 output channels. */
MGK_INLINE void add_four(int8x16_t w, int8x16_t a, int8x16_t w_next, int8x16_t a_next, int32x4_t sum[2])
{
    const int16x8_t low = vmull_s8(vget_low_s8(w), vget_low_s8(a));
    const int16x8_t high = vmull_high_s8(w, a);
    sum[0] = vpadalq_s16(sum[0], vmlsl_s8(low, vget_low_s8(w_next), vget_low_s8(a_next)));
    sum[1] = vpadalq_s16(sum[1], vmlsl_high_s8(high, w_next, a_next));
}

MGK_INLINE void multiply(const int vectors, const int8_t *weights, const int8_t *patches, size_t units,
                         int32x4_t sum[MGK_PATCHES][VECTORS][2])
{
    const int16_t *pairs = (const int16_t *)(const void *)patches;
    for (int v = 0; v < vectors; v++) {
        for (int p = 0; p < MGK_PATCHES; p++) {
            sum[p][v][0] = sum[p][v][1] = vdupq_n_s32(0);
        }
    }
    for (; units > 0; units--) {
        for (int p = 0; p < MGK_PATCHES; p++) {
            const int8x16_t a = vreinterpretq_s8_s16(vld1q_dup_s16(pairs++));
            const int8x16_t a_next = vreinterpretq_s8_s16(vld1q_dup_s16(pairs++));
            for (int v = 0; v < vectors; v++) {
                add_four(vld1q_s8(weights + 16 * v), a, vld1q_s8(weights + 16 * (vectors + v)), a_next, sum[p][v]);
            }
        }
        weights += 2 * 16 * vectors;
    }
}

MGK_INLINE void store_row(const mgk_tiles *t, const int vectors, size_t pixel, const int32x4_t sum[VECTORS][2])
{
    int32_t *raw = (int32_t *)t->raw + pixel * t->pitch;
    const int32x4_t bias = vdupq_n_s32(t->bias[pixel]);
    for (int v = 0; v < vectors; v++) {
        vst1q_s32(raw + 8 * v, vmlaq_n_s32(bias, sum[v][0], t->scale));
        vst1q_s32(raw + 8 * v + 4, vmlaq_n_s32(bias, sum[v][1], t->scale));
    }
}

MGK_INLINE void run_tile(const mgk_tiles *t, const int vectors, size_t pixel, const int8_t *patches)
{
    int32x4_t sum[MGK_PATCHES][VECTORS][2];
#if MGK_ASM
    if (vectors == VECTORS) {
        multiply_block((const int8_t *)t->weights, patches, t->steps / 2, sum);
    } else
#endif
    {
        multiply(vectors, (const int8_t *)t->weights, patches, t->steps / 2, sum);
    }
    store_row(t, vectors, pixel, (const int32x4_t(*)[2])sum[0]);
    store_row(t, vectors, pixel + 1, (const int32x4_t(*)[2])sum[1]);
    store_row(t, vectors, pixel + 2, (const int32x4_t(*)[2])sum[2]);
    store_row(t, vectors, pixel + 3, (const int32x4_t(*)[2])sum[3]);
}

static void run_tiles(const mgk_tiles *all)
{
    const mgk_tiles t = *all; /* a copy, as assembly may write anything else */
    const int8_t *patches = (const int8_t *)t.patches;
    for (size_t i = 0; i < t.fours; i++) {
        if (t.vectors == 1) {
            run_tile(&t, 1, MGK_PATCHES * i, patches);
        } else {
            run_tile(&t, VECTORS, MGK_PATCHES * i, patches);
        }
        patches += t.four_size;
    }
}

static int find(const mgk_qconv *layer, mgk_direct *direct)
{
    int32_t low, high;
    *direct = (mgk_direct){.unit = UNIT,
                           .lanes = LANES,
                           .neighbours = 16 / LANES,
                           .vectors = VECTORS,
                           .convert = mgk_centre,
                           .tiles = run_tiles,
                           .raw_bits = 32};
    mgk_find_plain_form(layer, &direct->form);
    direct->form.complement = 1;
    return mgk_takes_groups(layer, &direct->form) &&
           mgk_find_patches(layer, layer->conv.in_channels, UNIT, &direct->patches) &&
           mgk_direct_raw(layer, &direct->form, &low, &high) != 0;
}

MGK_DIRECT_KERNEL(mgk_qconv_neon_smlal, "neon-smlal", MGK_NEON);
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
