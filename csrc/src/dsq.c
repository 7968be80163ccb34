/* The public DSQ functions: arguments checked, path chosen. The arithmetic is in wide/. */
#include "dsq.h"

#include "dispatch.h"
#include "overlap.h"

/* What is computed: elements or blocks of `count` elements. */
typedef struct range {
    size_t begin, end, limit, count;
} range;

/* arrays: those of elements, the first `written` of them written; behind them the parameters. */
static mgk_status check(mgk_path path, const mgk_dsq *q, const mgk_array *arrays, size_t n_arrays, size_t written,
                        range r, size_t element)
{
    for (size_t i = 0; i <= n_arrays; i++) {
        if (arrays[i].start == NULL) {
            return MGK_NULL_POINTER;
        }
    }
    if (r.count > SIZE_MAX / element) {
        return MGK_BAD_SHAPE;
    }
    if (q->top < 1 || q->top > 255) {
        return MGK_BAD_BITS;
    }
    if (!(q->l < q->u) || !(q->step > 0.0) || !(q->alpha > 0.0 && q->alpha < 1.0)) {
        return MGK_BAD_VALUE;
    }
    if (r.begin > r.end || r.end > r.limit) {
        return MGK_BAD_RANGE;
    }
    if (!mgk_has_path(path)) {
        return MGK_BAD_PATH;
    }
    for (size_t i = 0; i < n_arrays; i++) {
        if (!mgk_is_aligned(arrays[i].start, element)) {
            return MGK_MISALIGNED;
        }
    }
    return mgk_are_apart(arrays, n_arrays + 1, written) ? MGK_OK : MGK_OVERLAP;
}

#define DEFINE_DSQ(type, name)                                                                                    \
    mgk_status mgk_dsq_##name##_soft(mgk_path path, const mgk_dsq *q, const type *x, size_t count, type *y,       \
                                     size_t begin, size_t end)                                                    \
    {                                                                                                             \
        const mgk_array arrays[] = {{y, count * sizeof *y}, {x, count * sizeof *x}, {q, sizeof *q}};              \
        const mgk_status status = check(path, q, arrays, 2, 1, (range){begin, end, count, count}, sizeof *x);     \
        if (status != MGK_OK)                                                                                     \
            return status;                                                                                        \
        MGK_DISPATCH(path, mgk_dsq_##name##_soft, (q, x, y, begin, end))                                          \
        return MGK_OK;                                                                                            \
    }                                                                                                             \
    mgk_status mgk_dsq_##name##_hard(mgk_path path, const mgk_dsq *q, const type *x, size_t count, type *y,       \
                                     size_t begin, size_t end)                                                    \
    {                                                                                                             \
        const mgk_array arrays[] = {{y, count * sizeof *y}, {x, count * sizeof *x}, {q, sizeof *q}};              \
        const mgk_status status = check(path, q, arrays, 2, 1, (range){begin, end, count, count}, sizeof *x);     \
        if (status != MGK_OK)                                                                                     \
            return status;                                                                                        \
        int nan = 0;                                                                                              \
        MGK_DISPATCH(path, nan = mgk_dsq_##name##_has_nan, (x, begin, end))                                       \
        if (nan)                                                                                                  \
            return MGK_BAD_VALUE;                                                                                 \
        MGK_DISPATCH(path, mgk_dsq_##name##_hard, (q, x, y, begin, end))                                          \
        return MGK_OK;                                                                                            \
    }                                                                                                             \
    mgk_status mgk_dsq_##name##_vjp(mgk_path path, const mgk_dsq *q, const type *gy, const type *x, size_t count, \
                                    type *dx, type *sums, size_t block_begin, size_t block_end)                   \
    {                                                                                                             \
        const size_t blocks = count / MGK_SUM_BLOCK + (count % MGK_SUM_BLOCK != 0);                               \
        const size_t size = count * sizeof *x;                                                                    \
        const mgk_array arrays[] = {                                                                              \
            {dx, size}, {sums, 3 * blocks * sizeof *sums}, {gy, size}, {x, size}, {q, sizeof *q}};                \
        const range r = {block_begin, block_end, blocks, count};                                                  \
        const mgk_status status = check(path, q, arrays, 4, 2, r, sizeof *x);                                     \
        if (status != MGK_OK)                                                                                     \
            return status;                                                                                        \
        MGK_DISPATCH(path, mgk_dsq_##name##_vjp, (q, gy, x, count, dx, sums, block_begin, block_end))             \
        return MGK_OK;                                                                                            \
    }

DEFINE_DSQ(float, f32)
DEFINE_DSQ(double, f64)
