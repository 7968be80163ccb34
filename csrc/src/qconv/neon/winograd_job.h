/* One layer on one image, and its parts. */
#ifndef MGK_WINOGRAD_JOB_H
#define MGK_WINOGRAD_JOB_H

#include "qconv/neon/winograd_multiply.h"
#include "qconv/neon/winograd_transform.h"

/* What of a group of tiles is needed: those positions whose sums no output in the image reads are skipped. */
enum { WINOGRAD_NEED = 1, WINOGRAD_NEED_ROW = 2, WINOGRAD_NEED_COLUMN = 4, WINOGRAD_NEED_CORNER = 8 };

/* The workspace: offsets. */
typedef struct winograd_buffers {
    size_t tiles; /* of a block at most */
    size_t strip, v, m, raw, nowhere, corners, list, needs, size;
} winograd_buffers;

/* One image, one layer. */
typedef struct winograd_job {
    const mgk_qconv_run *run;
    winograd plan;
    winograd_buffers at;
} winograd_job;

/* Raw sums of one block of output channels and at most SUB_BLOCK tiles from `first` on. weights and schedules are those
 * of the block. */
void mgk_winograd_run_sub_block(const winograd_job *j, const int8_t *weights, const uint8_t *schedules, size_t first,
                                size_t tiles, winograd_raw *raw);

#endif
