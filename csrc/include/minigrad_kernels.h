/* minigrad_kernels.h - the whole public interface.
 *
 * C99, no allocation, no global state, no threads. Arrays are channels last: images (image, row, column, channel),
 * convolution weights of the float kernels (row, column, in, out). A function that can fail returns a status and
 * writes nothing but its workspace unless the status is MGK_OK. Arrays begin at multiples of their elements' size, or
 * MGK_MISALIGNED, and none that is written overlaps another one, or MGK_OVERLAP. Work is split by the caller: kernels
 * take a range of images, chunks or elements, and ranges computed by different threads, in any order, give the same
 * bits.
 */
#ifndef MINIGRAD_KERNELS_H
#define MINIGRAD_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define MGK_API __attribute__((visibility("default")))
#else
#define MGK_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------- status and build */

typedef enum mgk_status {
    MGK_OK = 0,
    MGK_NULL_POINTER = 1,
    MGK_BAD_SHAPE = 2, /* a zero size, an output without pixels, or a size that overflows size_t */
    MGK_BAD_BITS = 3,  /* a bit width this function does not take */
    MGK_BAD_RANGE = 4, /* begin > end, or end beyond the last image or chunk */
    MGK_BUFFER_TOO_SMALL = 5,
    MGK_BAD_PATH = 6,  /* a path or kernel this build or processor does not have, or that does not take the layer */
    MGK_BAD_CODE = 7,  /* a code, a direction or a threshold outside its range */
    MGK_OVERFLOW = 8,  /* the shape allows an accumulator beyond int32 */
    MGK_BAD_VALUE = 9, /* NaN, or a parameter outside its domain */
    MGK_OVERLAP = 10,  /* an array that is written overlaps another one */
    MGK_MISALIGNED = 11
} mgk_status;

typedef enum mgk_path {
    MGK_SCALAR = 0,  /* always there, and the reference of all others */
    MGK_NEON = 1,    /* AArch64; 32-bit ARM compiled for NEON (integer kernels; float ones are the scalar) */
    MGK_AVX2 = 2,    /* x86-64 with AVX2 and FMA */
    MGK_AVX512 = 3,  /* x86-64 with AVX-512F */
    MGK_DOTPROD = 4, /* AArch64 with dot products (integer kernels) */
    MGK_I8MM = 5,    /* AArch64 with dot products and int8 matrix products (integer kernels) */
    MGK_VNNI = 6     /* x86-64 with AVX-512 VNNI (integer kernels) */
} mgk_path;

/* A name such as "MGK_OK"; "unknown" for a value that is no status. */
MGK_API const char *mgk_status_name(mgk_status status);

/* SHA-256 of this header, in hex: a caller that read another header must not call anything else. */
MGK_API const char *mgk_header_digest(void);

/* 1 where the build has the path and the processor runs it, else 0. On AArch64 Linux older than 4.11 a processor does
 * not tell of DOTPROD and I8MM: do not ask there. */
MGK_API int mgk_has_path(mgk_path path);

/* ---------------------------------------------------------------- convolution: the shape */

typedef struct mgk_conv2d {
    size_t images, height, width, in_channels;
    size_t kernel_height, kernel_width, out_channels;
    size_t stride_y, stride_x;
    size_t pad_top, pad_bottom, pad_left, pad_right;
    size_t dilation_y, dilation_x;
} mgk_conv2d;

/* Height and width of the output. */
MGK_API mgk_status mgk_conv2d_output(const mgk_conv2d *conv, size_t *height, size_t *width);

/* ---------------------------------------------------------------- convolution: float32 and float64
 *
 * Order of the terms of every output element (the accumulator starts at +0):
 *   forward, gradient of the input: channels that are summed over in blocks of 64; within a block tap by tap; within a
 *   tap channel by channel. Padding counts as terms that are zero. The taps of the gradient of the input run from the
 *   last to the first, and only those that meet the stride are terms.
 *   gradient of the weights: MGK_CHUNKS chunks of output rows (images times rows, chunk k from k R / MGK_CHUNKS on),
 *   within a chunk pixel by pixel; the chunks' sums are joined pairwise: ((0+1)+(2+3))+((4+5)+(6+7)).
 * float32: acc = fma(a, b, acc). float64: acc = acc + a * b, two roundings.
 */
enum { MGK_CHUNKS = 8 };

/* Bytes of workspace a call of one of the six kernels below needs; 0 for a bad shape. */
MGK_API size_t mgk_conv2d_float_workspace(const mgk_conv2d *conv, size_t element_size);

MGK_API mgk_status mgk_conv2d_f32_forward(mgk_path path, const mgk_conv2d *conv, const float *x, const float *w,
                                          float *y, size_t image_begin, size_t image_end, void *workspace,
                                          size_t workspace_size);
MGK_API mgk_status mgk_conv2d_f64_forward(mgk_path path, const mgk_conv2d *conv, const double *x, const double *w,
                                          double *y, size_t image_begin, size_t image_end, void *workspace,
                                          size_t workspace_size);

MGK_API mgk_status mgk_conv2d_f32_grad_input(mgk_path path, const mgk_conv2d *conv, const float *dy, const float *w,
                                             float *dx, size_t image_begin, size_t image_end, void *workspace,
                                             size_t workspace_size);
MGK_API mgk_status mgk_conv2d_f64_grad_input(mgk_path path, const mgk_conv2d *conv, const double *dy, const double *w,
                                             double *dx, size_t image_begin, size_t image_end, void *workspace,
                                             size_t workspace_size);

/* sums: MGK_CHUNKS arrays of the weights' shape, one a chunk; join adds them up. */
MGK_API mgk_status mgk_conv2d_f32_grad_weight(mgk_path path, const mgk_conv2d *conv, const float *x, const float *dy,
                                              float *sums, size_t chunk_begin, size_t chunk_end, void *workspace,
                                              size_t workspace_size);
MGK_API mgk_status mgk_conv2d_f64_grad_weight(mgk_path path, const mgk_conv2d *conv, const double *x, const double *dy,
                                              double *sums, size_t chunk_begin, size_t chunk_end, void *workspace,
                                              size_t workspace_size);
MGK_API mgk_status mgk_conv2d_f32_join(const mgk_conv2d *conv, const float *sums, float *dw);
MGK_API mgk_status mgk_conv2d_f64_join(const mgk_conv2d *conv, const double *sums, double *dw);

/* ---------------------------------------------------------------- depthwise convolution: float32 and float64
 *
 * out_channels = m in_channels with a whole number m, or MGK_BAD_SHAPE. Output channel o reads input channel o / m only;
 * weights are (row, column, 1, out). The bits are those of in_channels convolutions of 1 to m channels, made one by one
 * by the kernels above; mgk_conv2d_*_join joins the sums of grad_weight if it is given the shape with in_channels = 1.
 */

/* Bytes of workspace a call of one of the six kernels below needs; 0 for a bad shape. */
MGK_API size_t mgk_depthwise_float_workspace(const mgk_conv2d *conv, size_t element_size);

MGK_API mgk_status mgk_depthwise_f32_forward(mgk_path path, const mgk_conv2d *conv, const float *x, const float *w,
                                             float *y, size_t image_begin, size_t image_end, void *workspace,
                                             size_t workspace_size);
MGK_API mgk_status mgk_depthwise_f64_forward(mgk_path path, const mgk_conv2d *conv, const double *x, const double *w,
                                             double *y, size_t image_begin, size_t image_end, void *workspace,
                                             size_t workspace_size);

MGK_API mgk_status mgk_depthwise_f32_grad_input(mgk_path path, const mgk_conv2d *conv, const float *dy, const float *w,
                                                float *dx, size_t image_begin, size_t image_end, void *workspace,
                                                size_t workspace_size);
MGK_API mgk_status mgk_depthwise_f64_grad_input(mgk_path path, const mgk_conv2d *conv, const double *dy,
                                                const double *w, double *dx, size_t image_begin, size_t image_end,
                                                void *workspace, size_t workspace_size);

/* sums: MGK_CHUNKS arrays of the weights' shape, one a chunk. */
MGK_API mgk_status mgk_depthwise_f32_grad_weight(mgk_path path, const mgk_conv2d *conv, const float *x, const float *dy,
                                                 float *sums, size_t chunk_begin, size_t chunk_end, void *workspace,
                                                 size_t workspace_size);
MGK_API mgk_status mgk_depthwise_f64_grad_weight(mgk_path path, const mgk_conv2d *conv, const double *x,
                                                 const double *dy, double *sums, size_t chunk_begin, size_t chunk_end,
                                                 void *workspace, size_t workspace_size);

/* ---------------------------------------------------------------- DSQ (Gong et al., ICCV 2019): float32 and float64
 *
 * soft (eq 5), hard (Algorithm 1) and the gradients, for parameters of the whole tensor, with the operations in the
 * order quant/dsq/functions.py has them. NaN in x: soft and vjp give NaN, hard returns MGK_BAD_VALUE.
 */
typedef struct mgk_dsq {
    double l, u, step, alpha; /* step = (u - l) / top, rounded to the type of x */
    double gain;              /* K = ln(2 / alpha - 1) */
    size_t top;               /* 2^bits - 1 */
    int hard_gradient;        /* 1: dl and du with the code in the place of q */
} mgk_dsq;

/* Sums have one partial sum a block of this many elements; 16 lanes within a block, joined pairwise. */
enum { MGK_SUM_BLOCK = 4096 };

MGK_API mgk_status mgk_dsq_f32_soft(mgk_path path, const mgk_dsq *q, const float *x, size_t count, float *y,
                                    size_t begin, size_t end);
MGK_API mgk_status mgk_dsq_f64_soft(mgk_path path, const mgk_dsq *q, const double *x, size_t count, double *y,
                                    size_t begin, size_t end);
MGK_API mgk_status mgk_dsq_f32_hard(mgk_path path, const mgk_dsq *q, const float *x, size_t count, float *y,
                                    size_t begin, size_t end);
MGK_API mgk_status mgk_dsq_f64_hard(mgk_path path, const mgk_dsq *q, const double *x, size_t count, double *y,
                                    size_t begin, size_t end);
/* dx (count), and sums (blocks, 3): the blocks' sums of the terms of dl, du and dalpha. */
MGK_API mgk_status mgk_dsq_f32_vjp(mgk_path path, const mgk_dsq *q, const float *gy, const float *x, size_t count,
                                   float *dx, float *sums, size_t block_begin, size_t block_end);
MGK_API mgk_status mgk_dsq_f64_vjp(mgk_path path, const mgk_dsq *q, const double *gy, const double *x, size_t count,
                                   double *dx, double *sums, size_t block_begin, size_t block_end);

/* ---------------------------------------------------------------- packed codes
 *
 * Layout 1. Rows of codes of b bits (1, 2, 3, 4, 8), a row for each output channel, its elements in the order
 * (kernel row, kernel column, input channel). A row is a little-endian bit string: element e has bits
 * [e b, e b + b), bit n of the string is bit n % 8 of byte n / 8; rows start on whole bytes, unused bits are 0.
 */
enum { MGK_PACKED_LAYOUT = 1 };

/* Bytes of the packed array; 0 for bad bits, zero sizes or an overflow. */
MGK_API size_t mgk_packed_size(size_t rows, size_t row_length, unsigned bits);
MGK_API mgk_status mgk_pack(const uint8_t *codes, size_t rows, size_t row_length, unsigned bits, uint8_t *packed,
                            size_t packed_size);
MGK_API mgk_status mgk_unpack(const uint8_t *packed, size_t packed_size, size_t rows, size_t row_length, unsigned bits,
                              uint8_t *codes);

/* ---------------------------------------------------------------- integer convolution
 *
 * accumulator[image, row, column, o] = sum of weight[o, ky, kx, i] * (code - zero[i]) over the taps and the input
 * channels of o's group; outside of the image the difference is 0. It is an int32, proven from the shape and the ranges
 * of both operands: no sum of some of the terms, in any order, is larger in size than 2^31 - 2, or MGK_OVERFLOW.
 * An epilogue turns accumulators into what is stored, one element a channel, (image, row, column, out).
 */
typedef enum mgk_encoding {
    MGK_ODD = 0,     /* the weight of code j is 2 j - (2^bits - 1) */
    MGK_OFFSET = 1,  /* j - weight_zero */
    MGK_CODEBOOK = 2 /* codebook[j]; of 2, 3 or 4 bits */
} mgk_encoding;

typedef enum mgk_output {
    MGK_ACCUMULATORS = 0,  /* int32 */
    MGK_CODES = 1,         /* uint8: how many thresholds of its channel direction * accumulator reaches */
    MGK_REQUANTIZE_U8 = 2, /* uint8: clamp(zero + round((accumulator + bias) * multiplier / 2^shift), low, high) */
    MGK_REQUANTIZE_I16 = 3 /* int16: the same */
} mgk_output;

/* Where the half between two integers goes; everything else goes to the nearest. */
typedef enum mgk_rounding {
    MGK_HALF_UP = 0,   /* towards plus infinity */
    MGK_HALF_AWAY = 1, /* away from zero */
    MGK_HALF_EVEN = 2  /* to the even one */
} mgk_rounding;

typedef struct mgk_epilogue {
    mgk_output output;
    unsigned bits;             /* codes: 1 to 8 */
    const int32_t *thresholds; /* codes: (out, 2^bits - 1), ascending in each row, equals are allowed */
    const int8_t *direction;   /* codes: (out), 1, -1, or 0 for a channel whose code is constant */
    const int32_t *bias;       /* requantize: (out), or NULL for zeros; accumulator + bias stays in int32 */
    const int32_t *multiplier; /* requantize: (out), any */
    const uint8_t *shift;      /* requantize: (out), 0 to 62 */
    mgk_rounding rounding;     /* requantize */
    int32_t zero, low, high;   /* requantize: low <= high, both of the type of the output */
} mgk_epilogue;

typedef struct mgk_qconv2d {
    mgk_conv2d conv;
    size_t groups;            /* divides both channel counts; in_channels of them are depthwise */
    unsigned activation_bits; /* 1 to 8: every code is below 2^activation_bits */
    unsigned weight_bits;     /* 1, 2, 3, 4, 8 */
    int bipolar;              /* 1: an activation of bit b is 2 b - 1, and 0 outside of the image; of 1 bit, no zero */
    const uint8_t *zero;      /* the code of zero of each input channel, or NULL for 0 */
    mgk_encoding encoding;
    uint8_t weight_zero;    /* below 2^weight_bits */
    const int8_t *codebook; /* 2^weight_bits entries */
    mgk_epilogue epilogue;
    unsigned kernel;        /* 0: the best that takes the layer; else a number of the table of kernels below */
    int flush_from_weights; /* 1: kernels may rely on bounds that hold for these weights only */
} mgk_qconv2d;

/* A prepared layer holds all that running it reads; it may be moved, and is for the build that made it. If its beginning
 * was damaged it is MGK_BAD_VALUE; if what follows was, the output is wrong. Prepared layers and workspaces of this
 * part begin at multiples of MGK_ALIGNMENT (as malloc's do). A path takes the kernels of the paths it includes too:
 * I8MM, DOTPROD, NEON, SCALAR; VNNI, AVX512, AVX2, SCALAR.
 * packed: layout 1, a row for each output channel, of the input channels of its group. Sizes are 0 on any error. */
enum { MGK_ALIGNMENT = 8 };

MGK_API size_t mgk_qconv2d_prepared_size(mgk_path path, const mgk_qconv2d *layer);
MGK_API mgk_status mgk_qconv2d_prepare(mgk_path path, const mgk_qconv2d *layer, const uint8_t *packed,
                                       size_t packed_size, void *prepared, size_t prepared_size);
MGK_API size_t mgk_qconv2d_workspace_size(const void *prepared, size_t prepared_size);

/* codes and out are those of all images, sizes in bytes; images from image_begin to image_end are computed. */
MGK_API mgk_status mgk_qconv2d_run(const void *prepared, size_t prepared_size, const uint8_t *codes, size_t codes_size,
                                   void *out, size_t out_size, size_t image_begin, size_t image_end, void *workspace,
                                   size_t workspace_size);

/* The table of kernels of this build: 1 to mgk_qconv2d_kernels(), the best first. Another number has the name
 * "unknown". kernel_of: the one a prepared layer runs on, 0 if it is none. */
MGK_API unsigned mgk_qconv2d_kernels(void);
MGK_API const char *mgk_qconv2d_kernel_name(unsigned kernel);
MGK_API mgk_path mgk_qconv2d_kernel_path(unsigned kernel);
MGK_API unsigned mgk_qconv2d_kernel_of(const void *prepared, size_t prepared_size);

/* ---------------------------------------------------------------- other integer operations
 *
 * Codes are looked at before anything is computed: one outside its width is MGK_BAD_CODE.
 */

/* codes[p, c] = how many k have direction[c] * accumulators[p, c] >= thresholds[c, k], k < 2^bits - 1.
 * direction is 1, -1 or 0; thresholds of a channel ascend (equals are allowed), or MGK_BAD_CODE. bits: 1 to 8. */
MGK_API mgk_status mgk_thresholds(mgk_path path, const int32_t *accumulators, size_t pixels, size_t channels,
                                  unsigned bits, const int32_t *thresholds, const int8_t *direction, uint8_t *codes);

/* out[p, c] = the epilogue's requantization of accumulators[p, c], uint8 or int16; MGK_OVERFLOW, and nothing written, if
 * accumulator + bias is no int32 somewhere. */
MGK_API mgk_status mgk_requantize(const int32_t *accumulators, size_t pixels, size_t channels,
                                  const mgk_epilogue *epilogue, void *out);

/* sums[image, c] = sum of the codes of all pixels. */
MGK_API mgk_status mgk_sum_pool(const uint8_t *codes, size_t images, size_t pixels, size_t channels, int32_t *sums);

/* The largest code of each window and channel; outside of the image there is none. out_channels = in_channels, no
 * dilation and every border smaller than the kernel, or MGK_BAD_SHAPE. */
MGK_API mgk_status mgk_max_pool(const mgk_conv2d *window, const uint8_t *codes, uint8_t *out);

/* The sum of the codes of each window and channel, for the same windows: average pooling, which mgk_requantize divides.
 * MGK_OVERFLOW if a whole window of 255s is beyond int32. */
MGK_API mgk_status mgk_sum_windows(const mgk_conv2d *window, const uint8_t *codes, int32_t *sums);

/* sums[i] = a[i] + b[i]; MGK_OVERFLOW, and nothing written, if one of them is no int16: nothing saturates. */
MGK_API mgk_status mgk_add_i16(const int16_t *a, const int16_t *b, size_t count, int16_t *sums);

/* logits[image, o] = bias[o] + sum of weights[o, i] * x[image, i]; MGK_OVERFLOW if for some o the size of its bias and
 * 255 or 2^15 times the sizes of its weights add up to more than 2^31 - 1, whatever their signs. */
MGK_API mgk_status mgk_linear_u8(const uint8_t *x, size_t images, size_t in_features, size_t out_features,
                                 const int8_t *weights, const int32_t *bias, int32_t *logits);
MGK_API mgk_status mgk_linear_i16(const int16_t *x, size_t images, size_t in_features, size_t out_features,
                                  const int8_t *weights, const int32_t *bias, int32_t *logits);

/* The same with the odd integers 2 j - (2^weight_bits - 1) as weights, unpacked codes (out, in); 0 <= x <= x_max.
 * MGK_OVERFLOW if largest size of a bias + in_features * (2^weight_bits - 1) * x_max is more than 2^31 - 1. */
MGK_API mgk_status mgk_qlinear(const int32_t *x, int32_t x_max, size_t images, size_t in_features, size_t out_features,
                               unsigned weight_bits, const uint8_t *weight_codes, const int32_t *bias, int32_t *logits);

/* classes[image] = index of the largest logit, the first of equals. */
MGK_API mgk_status mgk_argmax(const int32_t *logits, size_t images, size_t count, int32_t *classes);

#ifdef __cplusplus
}
#endif

#endif
