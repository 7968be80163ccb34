/* The epilogue for AArch64. */
#include "qconv/kernel.h"

#if defined(__aarch64__)

void mgk_epilogue_neon_i16(const mgk_qconv_run *run, const int16_t *raw, size_t pitch, size_t pixel_begin,
                           size_t pixels, size_t c, size_t channels)
{
    mgk_epilogue_scalar_i16(run, raw, pitch, pixel_begin, pixels, c, channels);
}

void mgk_epilogue_neon_i32(const mgk_qconv_run *run, const int32_t *raw, size_t pitch, size_t pixel_begin,
                           size_t pixels, size_t c, size_t channels)
{
    mgk_epilogue_scalar_i32(run, raw, pitch, pixel_begin, pixels, c, channels);
}
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
