/* The public DSQ functions: arguments checked, path chosen. The arithmetic is in wide/. */
#include "dsq.h"

#include "dispatch.h"
#include "overlap.h"

static mgk_status check(mgk_path path, const mgk_dsq *q, const void *a, const void *b, size_t begin, size_t end,
                        size_t limit, size_t element)
{
    if (!q || !a || !b) {
        return MGK_NULL_POINTER;
    }
    if (q->top < 1 || q->top > 255) {
        return MGK_BAD_BITS;
    }
    if (!(q->l < q->u) || !(q->step > 0.0) || !(q->alpha > 0.0 && q->alpha < 1.0)) {
        return MGK_BAD_VALUE;
    }
    if (begin > end || end > limit) {
        return MGK_BAD_RANGE;
    }
    if (!mgk_is_aligned(a, element) || !mgk_is_aligned(b, element)) {
        return MGK_MISALIGNED;
    }
    return mgk_has_path(path) ? MGK_OK : MGK_BAD_PATH;
}

#define DEFINE_DSQ(type, name)                                                                                    \
    mgk_status mgk_dsq_##name##_soft(mgk_path path, const mgk_dsq *q, const type *x, size_t count, type *y,       \
                                     size_t begin, size_t end)                                                    \
    {                                                                                                             \
        const mgk_status status = check(path, q, x, y, begin, end, count, sizeof *x);                             \
        if (status != MGK_OK)                                                                                     \
            return status;                                                                                        \
        MGK_DISPATCH(path, mgk_dsq_##name##_soft, (q, x, y, begin, end))                                          \
        return MGK_OK;                                                                                            \
    }                                                                                                             \
    mgk_status mgk_dsq_##name##_hard(mgk_path path, const mgk_dsq *q, const type *x, size_t count, type *y,       \
                                     size_t begin, size_t end)                                                    \
    {                                                                                                             \
        int nan = 0;                                                                                              \
        const mgk_status status = check(path, q, x, y, begin, end, count, sizeof *x);                             \
        if (status != MGK_OK)                                                                                     \
            return status;                                                                                        \
        MGK_DISPATCH(path, nan = mgk_dsq_##name##_hard, (q, x, y, begin, end))                                    \
        return nan ? MGK_BAD_VALUE : MGK_OK;                                                                      \
    }                                                                                                             \
    mgk_status mgk_dsq_##name##_vjp(mgk_path path, const mgk_dsq *q, const type *gy, const type *x, size_t count, \
                                    type *dx, type *sums, size_t block_begin, size_t block_end)                   \
    {                                                                                                             \
        const size_t blocks = count / MGK_SUM_BLOCK + (count % MGK_SUM_BLOCK != 0);                               \
        const mgk_status status = check(path, q, x, dx, block_begin, block_end, blocks, sizeof *x);               \
        if (status != MGK_OK)                                                                                     \
            return status;                                                                                        \
        if (!gy || !sums)                                                                                         \
            return MGK_NULL_POINTER;                                                                              \
        if (!mgk_is_aligned(gy, sizeof *gy) || !mgk_is_aligned(sums, sizeof *sums))                               \
            return MGK_MISALIGNED;                                                                                \
        MGK_DISPATCH(path, mgk_dsq_##name##_vjp, (q, gy, x, count, dx, sums, block_begin, block_end))             \
        return MGK_OK;                                                                                            \
    }

DEFINE_DSQ(float, f32)
DEFINE_DSQ(double, f64)
