/* The sum of each window: average pooling, but for the division, which a requantization does. */
#include "checked.h"
#include "window.h"

/* One output pixel. */
static void sum_window(const mgk_conv2d *w, mgk_window part, const uint8_t *codes, int32_t *sums)
{
    for (size_t c = 0; c < w->in_channels; c++) {
        sums[c] = 0;
    }
    for (size_t row = part.top; row < part.bottom; row++) {
        for (size_t column = part.left; column < part.right; column++) {
            const uint8_t *pixel = codes + (row * w->width + column) * w->in_channels;
            for (size_t c = 0; c < w->in_channels; c++) {
                sums[c] += pixel[c];
            }
        }
    }
}

mgk_status mgk_sum_windows(const mgk_conv2d *window, const uint8_t *codes, int32_t *sums)
{
    mgk_geometry g;
    const mgk_status status = mgk_check_window(window, codes, sums, sizeof *sums, &g);
    if (status != MGK_OK) {
        return status;
    }
    if (!mgk_sum_fits(window->kernel_height * window->kernel_width, 1, UINT8_MAX, 0)) { /* at most row_length */
        return MGK_OVERFLOW;
    }
    for (size_t image = 0; image < window->images; image++) {
        for (size_t y = 0; y < g.out_height; y++) {
            for (size_t x = 0; x < g.out_width; x++) {
                sum_window(window, mgk_find_window(window, y, x), codes, sums);
                sums += window->in_channels;
            }
        }
        codes += g.image_size;
    }
    return MGK_OK;
}
