/* From arguments to a checked layer, and to the buffer of a prepared one. */
#ifndef MGK_QCONV_LAYER_H
#define MGK_QCONV_LAYER_H

#include "qconv/kernel.h"

/* MGK_OK and the layer, or what is wrong with the arguments. Nothing of them but the arrays' addresses outlives it. */
mgk_status mgk_check_layer(const mgk_qconv2d *arguments, mgk_qconv *layer);

/* The kernel a layer runs on, or why there is none. */
mgk_status mgk_find_kernel(mgk_path path, const mgk_qconv *layer, unsigned number, unsigned *kernel);

/* From 1 on; NULL beyond the last. */
const mgk_qconv_kernel *mgk_kernel(unsigned number);

/* The beginning of a prepared layer. Sections follow at offsets that are multiples of MGK_SECTION. */
typedef struct mgk_prepared {
    uint64_t magic;
    uint64_t checksum; /* of what follows it */
    mgk_qconv layer;
    unsigned kernel;
    int raw_bits;
    int close;                      /* of the epilogue */
    size_t zero, epilogue, weights; /* offsets of the sections */
    size_t size;                    /* of the whole */
    size_t workspace_size;
} mgk_prepared;

enum { MGK_SECTION = 64 };

/* Fills in all but the checksum; 0 where a size overflows. */
int mgk_lay_out(mgk_prepared *prepared, const mgk_qconv *layer, unsigned kernel);

uint64_t mgk_checksum(const mgk_prepared *prepared);

/* MGK_OK and a copy of the beginning, if this is a prepared layer of this build. */
mgk_status mgk_read_prepared(const void *buffer, size_t size, mgk_prepared *prepared);

#endif
