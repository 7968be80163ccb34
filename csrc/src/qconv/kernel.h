/* What the kernels of the integer convolution and what calls them agree on. Arguments are checked by layer.c and run.c;
 * a kernel sees only layers that its `takes` accepted.
 *
 * A kernel is one file with one mgk_qconv_kernel; table.c lists them. It computes raw sums in its workspace and hands
 * blocks of them to the epilogue, which writes the output. The accumulator of an output is raw + offset[out channel];
 * the epilogue folds the offset into its own tables when the layer is prepared. */
#ifndef MGK_QCONV_KERNEL_H
#define MGK_QCONV_KERNEL_H

#include "checked.h"
#include "geometry.h"
#include "has_neon.h"

/* A checked layer. */
typedef struct mgk_qconv {
    mgk_conv2d conv;
    mgk_geometry geometry; /* but row_length is the terms of one output: those of the channels of a group */
    size_t groups;
    unsigned activation_bits, weight_bits;
    int bipolar, has_zero;
    mgk_encoding encoding;
    int32_t weight_zero;
    int8_t codebook[16];
    int flush_from_weights;
    int32_t weight_low, weight_high;         /* what the encoding can give */
    int32_t activation_low, activation_high; /* of code - zero, or 2 b - 1; 0 (outside of the image) is between them */
    int32_t sum_low, sum_high;               /* of every sum of some of the terms of an output; within +-(2^31 - 2) */

    mgk_output output;
    unsigned out_bits;
    mgk_rounding rounding;
    int32_t out_zero, out_low, out_high;
} mgk_qconv;

/* The packed weights of a layer. */
typedef struct mgk_qconv_weights {
    const mgk_qconv *layer;
    const uint8_t *packed;
    size_t row_size;
    const uint8_t *zero; /* one code an input channel: zeros where the layer has none */
} mgk_qconv_weights;

/* The integer value of one weight; elements are in the order (ky, kx, input channel of the group). */
int32_t mgk_weight(const mgk_qconv_weights *weights, size_t out_channel, size_t element);

/* What a kernel's raw sums are. prepare sets all but the pointer. */
typedef struct mgk_raw {
    int bits;          /* 16 or 32: the type of raw sums */
    int32_t low, high; /* proven bounds of raw; within -(2^(bits-1) - 1) and 2^(bits-1) - 2, so that a threshold that
                         * is always and one that is never reached have a value too */
    int32_t *offset;   /* (out_channels), 0 before */
} mgk_raw;

struct mgk_prepared_epilogue;

/* One image. */
typedef struct mgk_qconv_run {
    const mgk_qconv *layer;
    const uint8_t *weights; /* the kernel's section of the prepared layer; aligned to MGK_ALIGNMENT only */
    const uint8_t *zero;    /* one code an input channel: zeros where the layer has none */
    const uint8_t *codes;   /* NHWC; nothing beyond the image may be read */
    const struct mgk_prepared_epilogue *epilogue;
    void *out;
    uint8_t *workspace; /* aligned to MGK_WORKSPACE_ALIGNMENT */
} mgk_qconv_run;

enum { MGK_WORKSPACE_ALIGNMENT = 64 };

typedef struct mgk_qconv_kernel {
    const char *name;
    mgk_path path;
    int (*takes)(const mgk_qconv *layer);           /* may this kernel compute it: shape, bits, lane bounds */
    size_t (*weights_size)(const mgk_qconv *layer); /* bytes; 0: overflow */
    void (*prepare)(const mgk_qconv_weights *weights, uint8_t *section, mgk_raw *raw); /* section is 0 before */
    size_t (*workspace_size)(const mgk_qconv *layer);                                  /* bytes; 0: overflow */
    void (*run)(const mgk_qconv_run *run);
} mgk_qconv_kernel;

extern const mgk_qconv_kernel mgk_qconv_scalar;

#if MGK_HAS_DOTPROD
extern const mgk_qconv_kernel mgk_qconv_dotprod_winograd;
#endif
#if defined(__AARCH64EL__)
extern const mgk_qconv_kernel mgk_qconv_dotprod_direct;
extern const mgk_qconv_kernel mgk_qconv_i8mm_direct;
#endif
#if MGK_HAS_NEON
extern const mgk_qconv_kernel mgk_qconv_neon_bits;
extern const mgk_qconv_kernel mgk_qconv_neon_modular;
extern const mgk_qconv_kernel mgk_qconv_neon_winograd;
extern const mgk_qconv_kernel mgk_qconv_neon_polyphase;
extern const mgk_qconv_kernel mgk_qconv_neon_mla;
extern const mgk_qconv_kernel mgk_qconv_neon_pairs;
extern const mgk_qconv_kernel mgk_qconv_neon_smlal;
extern const mgk_qconv_kernel mgk_qconv_neon_depthwise;
#endif
#if defined(__x86_64__)
extern const mgk_qconv_kernel mgk_qconv_winograd_vnni;
extern const mgk_qconv_kernel mgk_qconv_direct_vnni;
extern const mgk_qconv_kernel mgk_qconv_winograd_avx2;
extern const mgk_qconv_kernel mgk_qconv_direct_avx2;
#endif

/* The epilogue of output channels from c on of some pixels of the image, counted in rows: raw[p * pitch + i] is the raw
 * sum of pixel pixel_begin + p and channel c + i. For the best epilogue of the build c is a multiple of
 * MGK_CHANNEL_BLOCK, and rows of raw are readable (their values do not matter) up to a multiple of it too. */
enum { MGK_CHANNEL_BLOCK = 16 };

void mgk_epilogue_scalar_i16(const mgk_qconv_run *run, const int16_t *raw, size_t pitch, size_t pixel_begin,
                             size_t pixels, size_t c, size_t channels);
void mgk_epilogue_scalar_i32(const mgk_qconv_run *run, const int32_t *raw, size_t pitch, size_t pixel_begin,
                             size_t pixels, size_t c, size_t channels);

#if MGK_HAS_NEON
void mgk_epilogue_neon_i16(const mgk_qconv_run *run, const int16_t *raw, size_t pitch, size_t pixel_begin,
                           size_t pixels, size_t c, size_t channels);
void mgk_epilogue_neon_i32(const mgk_qconv_run *run, const int32_t *raw, size_t pitch, size_t pixel_begin,
                           size_t pixels, size_t c, size_t channels);
#define mgk_epilogue_i16 mgk_epilogue_neon_i16
#define mgk_epilogue_i32 mgk_epilogue_neon_i32
#else
#define mgk_epilogue_i16 mgk_epilogue_scalar_i16
#define mgk_epilogue_i32 mgk_epilogue_scalar_i32
#endif

/* count rounded up to a multiple of block; 0 where that overflows. */
static inline size_t mgk_round_up(size_t count, size_t block)
{
    const size_t past = count % block;
    if (past != 0 && !mgk_add(&count, block - past)) {
        return 0;
    }
    return count;
}

#endif
