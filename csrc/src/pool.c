/* Sum over all pixels of an image. */
#include "checked.h"
#include "overlap.h"

mgk_status mgk_sum_pool(const uint8_t *codes, size_t images, size_t pixels, size_t channels, int32_t *sums)
{
    if (codes == NULL || sums == NULL) {
        return MGK_NULL_POINTER;
    }
    size_t elements = images;
    size_t outputs = sizeof(int32_t);
    if (images == 0 || pixels == 0 || channels == 0 || !mgk_multiply(&elements, pixels) ||
        !mgk_multiply(&elements, channels) || !mgk_multiply(&outputs, images) || !mgk_multiply(&outputs, channels)) {
        return MGK_BAD_SHAPE;
    }
    if (!mgk_sum_fits(pixels, 1, UINT8_MAX, 0)) {
        return MGK_OVERFLOW;
    }
    if (!mgk_is_aligned(sums, sizeof *sums)) {
        return MGK_MISALIGNED;
    }
    if (mgk_overlap(sums, outputs, codes, elements)) {
        return MGK_OVERLAP;
    }
    for (size_t image = 0; image < images; image++) {
        for (size_t c = 0; c < channels; c++) {
            sums[c] = 0;
        }
        for (size_t pixel = 0; pixel < pixels; pixel++) {
            for (size_t c = 0; c < channels; c++) {
                sums[c] += codes[c];
            }
            codes += channels;
        }
        sums += channels;
    }
    return MGK_OK;
}
