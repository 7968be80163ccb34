/* Direct convolution of any widths up to 8 bits: 16-bit products, two of them in a lane where they fit, 32-bit sums.
 *
 * SMULL and SMLAL leave 8 sums of two products, 4 output channels by 2 neighbouring elements; SADALP adds the neighbours
 * into 32 bits. Products of two full bytes reach 128 * 128 = 2^14, and two of those do not fit: such layers add after
 * each product. If one operand has 7 bits or less, two products are at most 2^14. */
#if defined(__aarch64__)
#include "qconv/neon/tile.h"

enum { UNIT = 4, LANES = 8, VECTORS = 2 };

/* Keeps a compiler from starting all products before it adds one, for which it has no registers. */
#define MGK_IN_ORDER(a, b) __asm__ volatile("" : "+w"(a), "+w"(b))

MGK_INLINE void run_tile(const mgk_tiles *t, const int vectors, const int two_fit, size_t pixel, const int16_t *patches)
{
    const int8_t *weights = (const int8_t *)t->weights;
    int32x4_t sum[MGK_PATCHES][VECTORS][2];
    for (int p = 0; p < MGK_PATCHES; p++) {
        for (int v = 0; v < vectors; v++) {
            sum[p][v][0] = sum[p][v][1] = vdupq_n_s32(0);
        }
    }
    for (size_t steps = t->steps / 2; steps > 0; steps--) {
        int8x16_t w[2][VECTORS];
        for (int v = 0; v < vectors; v++) {
            w[0][v] = vld1q_s8(weights + 16 * v);
            w[1][v] = vld1q_s8(weights + 16 * (vectors + v));
        }
        weights += 2 * 16 * vectors;
        for (int two = 0; two < MGK_PATCHES; two += 2) {
            const int16x8x4_t x = vld4q_dup_s16(patches);
            patches += 4;
            for (int i = 0; i < 2; i++) {
                const int8x16_t a0 = vreinterpretq_s8_s16(x.val[2 * i]);
                const int8x16_t a1 = vreinterpretq_s8_s16(x.val[2 * i + 1]);
                for (int v = 0; v < vectors; v++) {
                    int32x4_t *to = sum[two + i][v];
                    int16x8_t low = vmull_s8(vget_low_s8(w[0][v]), vget_low_s8(a0));
                    int16x8_t high = vmull_high_s8(w[0][v], a0);
                    if (two_fit) {
                        low = vmlal_s8(low, vget_low_s8(w[1][v]), vget_low_s8(a1));
                        high = vmlal_high_s8(high, w[1][v], a1);
                    } else {
                        to[0] = vpadalq_s16(to[0], low);
                        to[1] = vpadalq_s16(to[1], high);
                        low = vmull_s8(vget_low_s8(w[1][v]), vget_low_s8(a1));
                        high = vmull_high_s8(w[1][v], a1);
                    }
                    to[0] = vpadalq_s16(to[0], low);
                    to[1] = vpadalq_s16(to[1], high);
                    if (two_fit) {
                        MGK_IN_ORDER(to[0], to[1]);
                    }
                }
            }
        }
    }
    for (size_t p = 0; p < MGK_PATCHES; p++) {
        int32_t *raw = (int32_t *)t->raw + (pixel + p) * t->pitch;
        const int32x4_t bias = vdupq_n_s32(t->bias[pixel + p]);
        for (int v = 0; v < vectors; v++) {
            vst1q_s32(raw + 8 * v, vmlaq_n_s32(bias, sum[p][v][0], t->scale));
            vst1q_s32(raw + 8 * v + 4, vmlaq_n_s32(bias, sum[p][v][1], t->scale));
        }
    }
}

static void run_tiles(const mgk_tiles *t)
{
    for (size_t i = 0; i < t->fours; i++) {
        const int16_t *patches = (const int16_t *)(const void *)(t->patches + i * t->four_size);
        if (t->vectors == 1) {
            run_tile(t, 1, 0, MGK_PATCHES * i, patches);
        } else if (t->flush >= 2) {
            run_tile(t, VECTORS, 1, MGK_PATCHES * i, patches);
        } else {
            run_tile(t, VECTORS, 0, MGK_PATCHES * i, patches);
        }
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
    mgk_find_byte_form(layer, &direct->form);
    if (layer->groups != 1 || !mgk_find_patches(layer, layer->conv.in_channels, UNIT, &direct->patches)) {
        return 0;
    }
    direct->flush = mgk_most_products(&direct->form, 16);
    return mgk_direct_raw(layer, &direct->form, &low, &high) != 0;
}

MGK_DIRECT_KERNEL(mgk_qconv_neon_smlal, "neon-smlal", MGK_NEON);
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
