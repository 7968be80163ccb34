/* The table of kernels of this build, the best first: what header, tests and benchmarks go by. */
#include "qconv/layer.h"

#include "pack.h"

static const mgk_qconv_kernel *const kernels[] = {
#if MGK_HAS_NEON
    &mgk_qconv_neon_bits,
#endif
#if MGK_HAS_DOTPROD
    &mgk_qconv_dotprod_winograd,
#endif
#if defined(__AARCH64EL__)
    &mgk_qconv_i8mm_direct,
#endif
#if MGK_HAS_NEON
    &mgk_qconv_neon_polyphase,
#endif
#if defined(__AARCH64EL__)
    &mgk_qconv_dotprod_direct,
#endif
#if MGK_HAS_NEON
    &mgk_qconv_neon_modular,     &mgk_qconv_neon_winograd,  &mgk_qconv_neon_mla,      &mgk_qconv_neon_pairs,
    &mgk_qconv_neon_smlal,       &mgk_qconv_neon_depthwise,
#endif
#if defined(__x86_64__)
    &mgk_qconv_winograd_vnni,    &mgk_qconv_direct_vnni,    &mgk_qconv_winograd_avx2, &mgk_qconv_direct_avx2,
#endif
    &mgk_qconv_scalar,
};

enum { KERNELS = sizeof kernels / sizeof *kernels };

const mgk_qconv_kernel *mgk_kernel(unsigned number)
{
    return number >= 1 && number <= KERNELS ? kernels[number - 1] : NULL;
}

unsigned mgk_qconv2d_kernels(void)
{
    return KERNELS;
}

const char *mgk_qconv2d_kernel_name(unsigned kernel)
{
    const mgk_qconv_kernel *k = mgk_kernel(kernel);
    return k != NULL ? k->name : "unknown";
}

mgk_path mgk_qconv2d_kernel_path(unsigned kernel)
{
    const mgk_qconv_kernel *k = mgk_kernel(kernel);
    return k != NULL ? k->path : MGK_SCALAR;
}

/* A processor with the path runs the kernels of the other one too. */
static int includes(mgk_path path, mgk_path other)
{
    static const mgk_path next[] = {
        [MGK_SCALAR] = MGK_SCALAR, [MGK_NEON] = MGK_SCALAR,  [MGK_AVX2] = MGK_SCALAR, [MGK_AVX512] = MGK_AVX2,
        [MGK_DOTPROD] = MGK_NEON,  [MGK_I8MM] = MGK_DOTPROD, [MGK_VNNI] = MGK_AVX512,
    };
    while (path != other && path != MGK_SCALAR) {
        path = next[path];
    }
    return path == other;
}

mgk_status mgk_find_kernel(mgk_path path, const mgk_qconv *layer, unsigned number, unsigned *kernel)
{
    if (!mgk_has_path(path) || number > KERNELS) {
        return MGK_BAD_PATH;
    }
    const unsigned first = number == 0 ? 1 : number;
    const unsigned last = number == 0 ? KERNELS : number;
    for (unsigned k = first; k <= last; k++) {
        if (includes(path, kernels[k - 1]->path) && kernels[k - 1]->takes(layer)) {
            *kernel = k;
            return MGK_OK;
        }
    }
    return MGK_BAD_PATH;
}

int32_t mgk_weight(const mgk_qconv_weights *weights, size_t out_channel, size_t element)
{
    const mgk_qconv *layer = weights->layer;
    const uint8_t *row = weights->packed + out_channel * weights->row_size;
    const int32_t code = mgk_read_code(row, element, layer->weight_bits);
    switch (layer->encoding) {
    case MGK_ODD: return 2 * code - mgk_top_code(layer->weight_bits);
    case MGK_OFFSET: return code - layer->weight_zero;
    default: return layer->codebook[code];
    }
}
