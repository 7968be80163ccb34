/* Codes of a range of channels: what the paths of mgk_thresholds share. Arguments are checked by the caller. */
#ifndef MGK_THRESHOLDS_H
#define MGK_THRESHOLDS_H

#include "has_neon.h"
#include "minigrad_kernels.h"

void mgk_thresholds_scalar(const int32_t *accumulators, size_t pixels, size_t channels, size_t channel_begin,
                           size_t channel_end, size_t levels, const int32_t *thresholds, const int8_t *direction,
                           uint8_t *codes);

/* 1 if the thresholds of each channel ascend; equals are allowed. */
int mgk_thresholds_ascend(const int32_t *thresholds, size_t channels, size_t levels);

/* 1 if all are 1, -1 or 0. */
int mgk_are_directions(const int8_t *direction, size_t channels);

#if MGK_HAS_NEON
/* All channels, by NEON where it pays. */
void mgk_thresholds_neon(const int32_t *accumulators, size_t pixels, size_t channels, size_t levels,
                         const int32_t *thresholds, const int8_t *direction, uint8_t *codes);
#endif

#endif
