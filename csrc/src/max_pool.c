/* The largest code of each window. */
#include <string.h>

#include "window.h"

/* One output pixel. */
static void pool_window(const mgk_conv2d *w, mgk_window part, const uint8_t *codes, uint8_t *out)
{
    memset(out, 0, w->in_channels);
    for (size_t row = part.top; row < part.bottom; row++) {
        for (size_t column = part.left; column < part.right; column++) {
            const uint8_t *pixel = codes + (row * w->width + column) * w->in_channels;
            for (size_t c = 0; c < w->in_channels; c++) {
                out[c] = pixel[c] > out[c] ? pixel[c] : out[c];
            }
        }
    }
}

mgk_status mgk_max_pool(const mgk_conv2d *window, const uint8_t *codes, uint8_t *out)
{
    mgk_geometry g;
    const mgk_status status = mgk_check_window(window, codes, out, sizeof *out, &g);
    if (status != MGK_OK) {
        return status;
    }
    for (size_t image = 0; image < window->images; image++) {
        for (size_t y = 0; y < g.out_height; y++) {
            for (size_t x = 0; x < g.out_width; x++) {
                pool_window(window, mgk_find_window(window, y, x), codes, out);
                out += window->in_channels;
            }
        }
        codes += g.image_size;
    }
    return MGK_OK;
}
