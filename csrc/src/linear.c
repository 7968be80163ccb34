/* The last layer with int8 weights: uint8 or int16 features to int32 logits. */
#include "checked.h"
#include "overlap.h"

/* What is in front of the feature type: the shape of the layer and its operands. */
typedef struct linear {
    size_t images, in_features, out_features;
    const int8_t *weights;
    const int32_t *bias;
    int32_t *logits;
} linear;

/* |bias| + sum of |weight| x_max stays in int32 for each output. */
static int sums_fit(const linear *l, int64_t x_max)
{
    for (size_t o = 0; o < l->out_features; o++) {
        const int8_t *row = l->weights + o * l->in_features;
        int64_t left = INT32_MAX - (l->bias[o] < 0 ? -(int64_t)l->bias[o] : l->bias[o]);
        for (size_t i = 0; i < l->in_features && left >= 0; i++) {
            left -= (row[i] < 0 ? -row[i] : row[i]) * x_max;
        }
        if (left < 0) {
            return 0;
        }
    }
    return 1;
}

static mgk_status check(const linear *l, const void *x, size_t element, int64_t x_max)
{
    if (x == NULL || l->weights == NULL || l->bias == NULL || l->logits == NULL) {
        return MGK_NULL_POINTER;
    }
    size_t inputs = element;
    size_t outputs = sizeof(int32_t);
    size_t weights = l->in_features;
    size_t biases = sizeof(int32_t);
    if (l->images == 0 || l->in_features == 0 || l->out_features == 0 || !mgk_multiply(&inputs, l->images) ||
        !mgk_multiply(&inputs, l->in_features) || !mgk_multiply(&outputs, l->images) ||
        !mgk_multiply(&outputs, l->out_features) || !mgk_multiply(&weights, l->out_features) ||
        !mgk_multiply(&biases, l->out_features)) {
        return MGK_BAD_SHAPE;
    }
    if (!mgk_is_aligned(x, element) || !mgk_is_aligned(l->bias, sizeof(int32_t)) ||
        !mgk_is_aligned(l->logits, sizeof(int32_t))) {
        return MGK_MISALIGNED;
    }
    if (mgk_overlap(l->logits, outputs, x, inputs) || mgk_overlap(l->logits, outputs, l->weights, weights) ||
        mgk_overlap(l->logits, outputs, l->bias, biases)) {
        return MGK_OVERLAP;
    }
    return sums_fit(l, x_max) ? MGK_OK : MGK_OVERFLOW;
}

#define DEFINE_LINEAR(name, type, x_max)                                                                \
    mgk_status mgk_linear_##name(const type *x, size_t images, size_t in_features, size_t out_features, \
                                 const int8_t *weights, const int32_t *bias, int32_t *logits)           \
    {                                                                                                   \
        const linear l = {images, in_features, out_features, weights, bias, logits};                    \
        const mgk_status status = check(&l, x, sizeof *x, x_max);                                       \
        if (status != MGK_OK) {                                                                         \
            return status;                                                                              \
        }                                                                                               \
        for (size_t image = 0; image < images; image++) {                                               \
            for (size_t o = 0; o < out_features; o++) {                                                 \
                int32_t sum = bias[o];                                                                  \
                for (size_t i = 0; i < in_features; i++) {                                              \
                    sum += weights[o * in_features + i] * x[image * in_features + i];                   \
                }                                                                                       \
                logits[image * out_features + o] = sum;                                                 \
            }                                                                                           \
        }                                                                                               \
        return MGK_OK;                                                                                  \
    }

DEFINE_LINEAR(u8, uint8_t, UINT8_MAX)
DEFINE_LINEAR(i16, int16_t, -(int64_t)INT16_MIN)
