/* The class of an image. */
#include "checked.h"
#include "overlap.h"

mgk_status mgk_argmax(const int32_t *logits, size_t images, size_t count, int32_t *classes)
{
    if (logits == NULL || classes == NULL) {
        return MGK_NULL_POINTER;
    }
    size_t inputs = sizeof(int32_t);
    if (images == 0 || count == 0 || count > INT32_MAX || !mgk_multiply(&inputs, images) ||
        !mgk_multiply(&inputs, count)) {
        return MGK_BAD_SHAPE;
    }
    if (!mgk_is_aligned(logits, sizeof *logits) || !mgk_is_aligned(classes, sizeof *classes)) {
        return MGK_MISALIGNED;
    }
    if (mgk_overlap(classes, images * sizeof *classes, logits, inputs)) {
        return MGK_OVERLAP;
    }
    for (size_t image = 0; image < images; image++) {
        size_t best = 0;
        for (size_t i = 1; i < count; i++) {
            if (logits[i] > logits[best]) { /* equals keep the first */
                best = i;
            }
        }
        classes[image] = (int32_t)best;
        logits += count;
    }
    return MGK_OK;
}
