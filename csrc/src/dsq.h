/* The entry points of DSQ at each vector width. */
#ifndef MGK_DSQ_H
#define MGK_DSQ_H

#include "minigrad_kernels.h"

enum { MGK_SUM_LANES = 16 };

#define MGK_DECLARE_DSQ(type, name, wide)                                                                     \
    void mgk_dsq_##name##_soft_##wide(const mgk_dsq *q, const type *x, type *y, size_t begin, size_t end);    \
    int mgk_dsq_##name##_has_nan_##wide(const type *x, size_t begin, size_t end);                             \
    void mgk_dsq_##name##_hard_##wide(const mgk_dsq *q, const type *x, type *y, size_t begin, size_t end);    \
    void mgk_dsq_##name##_vjp_##wide(const mgk_dsq *q, const type *gy, const type *x, size_t count, type *dx, \
                                     type *sums, size_t block_begin, size_t block_end);
#define MGK_DECLARE_DSQ_WIDTH(wide) MGK_DECLARE_DSQ(float, f32, wide) MGK_DECLARE_DSQ(double, f64, wide)

MGK_DECLARE_DSQ_WIDTH(0)
#if defined(__aarch64__)
MGK_DECLARE_DSQ_WIDTH(1)
#elif defined(__x86_64__)
MGK_DECLARE_DSQ_WIDTH(2)
MGK_DECLARE_DSQ_WIDTH(3)
#endif

#endif
