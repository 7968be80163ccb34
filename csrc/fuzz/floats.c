/* Float kernels. */
#include "fuzz.h"

void fuzz_float(pool *p, int is_depthwise)
{
    source *s = p->s;
    mgk_conv2d c = next_conv(s);
    const mgk_path path = (mgk_path)next_unsigned(s, 8);
    if (is_depthwise && next_byte(s) < 240 && c.in_channels < MOST) {
        c.out_channels = c.in_channels * (1 + next_byte(s) % 2);
    }
    size_t height = 1, width = 1;
    (void)mgk_conv2d_output(&c, &height, &width);
    const size_t x_count = bytes(bytes(c.images, c.height, c.width), c.in_channels, 1);
    const size_t y_count = bytes(bytes(c.images, height, width), c.out_channels, 1);
    const size_t w_count =
        bytes(bytes(c.kernel_height, c.kernel_width, c.out_channels), is_depthwise ? 1 : c.in_channels, 1);
    float *x = make(p, bytes(x_count, 1, sizeof *x)), *y = make(p, bytes(y_count, 1, sizeof *y));
    float *w = make(p, bytes(w_count, 1, sizeof *w)), *sums = make(p, bytes(w_count, MGK_CHUNKS, sizeof *w));
    const size_t size =
        is_depthwise ? mgk_depthwise_float_workspace(&c, sizeof *x) : mgk_conv2d_float_workspace(&c, sizeof *x);
    void *workspace = make(p, size);
    const size_t given = workspace != NULL ? size : 0;
    const size_t begin = next_size(s, 2) - 1, end = next_size(s, 2);
    if (is_depthwise) {
        (void)mgk_depthwise_f32_forward(path, &c, x, w, y, begin, end, workspace, given);
        (void)mgk_depthwise_f32_grad_input(path, &c, y, w, x, begin, end, workspace, given);
        (void)mgk_depthwise_f32_grad_weight(path, &c, x, y, sums, begin, end, workspace, given);
    } else {
        (void)mgk_conv2d_f32_forward(path, &c, x, w, y, begin, end, workspace, given);
        (void)mgk_conv2d_f32_grad_input(path, &c, y, w, x, begin, end, workspace, given);
        (void)mgk_conv2d_f32_grad_weight(path, &c, x, y, sums, begin, end, workspace, given);
        (void)mgk_conv2d_f32_join(&c, sums, w);
    }
}

void fuzz_dsq(pool *p)
{
    source *s = p->s;
    const size_t count = next_size(s, 100);
    const mgk_dsq q = {.l = -1,
                       .u = 1,
                       .step = 2.0 / 3,
                       .alpha = 0.2,
                       .gain = 2.2,
                       .top = next_size(s, 16),
                       .hard_gradient = next_byte(s) % 2};
    double *x = make(p, bytes(count, 1, sizeof *x)), *y = make(p, bytes(count, 1, sizeof *y));
    double *gy = make(p, bytes(count, 1, sizeof *y)), *sums = make(p, bytes(count / MGK_SUM_BLOCK + 1, 3, sizeof *y));
    const mgk_path path = (mgk_path)next_unsigned(s, 8);
    const size_t begin = next_size(s, 2) - 1, end = next_size(s, 100);
    (void)mgk_dsq_f64_soft(path, &q, x, count, y, begin, end);
    (void)mgk_dsq_f64_hard(path, &q, x, count, y, begin, end);
    (void)mgk_dsq_f64_vjp(path, &q, gy, x, count, y, sums, 0, next_size(s, 2) - 1);
}
