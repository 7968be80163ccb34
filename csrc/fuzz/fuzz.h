/* What all of the fuzzer draws its arguments by, and its parts. */
#ifndef MGK_FUZZ_H
#define MGK_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "minigrad_kernels.h"

/* Bytes that arguments are made from. */
typedef struct source {
    const uint8_t *data;
    size_t left;
} source;

enum { MOST = 1 << 20, BUFFERS = 16 };

/* All buffers of a call are freed after it. */
typedef struct pool {
    source *s;
    void *memory[BUFFERS];
    size_t count;
} pool;

uint8_t next_byte(source *s);
/* Mostly what is sensible, sometimes an end of the type or anything. */
size_t next_size(source *s, size_t sensible);
unsigned next_unsigned(source *s, unsigned sensible);
uint64_t next_word(source *s);
void drain(pool *p);
/* size bytes, filled from the input; now and then at an odd address or NULL. NULL also where that is too much. */
void *make(pool *p, size_t size);
/* a * b * size elements, or so much that make gives NULL. */
size_t bytes(size_t a, size_t b, size_t size);
/* Sometimes an array lies inside of another one. */
void *maybe_inside(source *s, void *own, void *other);
mgk_conv2d next_conv(source *s);
/* Thresholds that ascend, most of the time. */
int32_t *make_thresholds(pool *p, size_t channels, unsigned bits);
int8_t *make_directions(pool *p, size_t channels);
mgk_epilogue next_epilogue(pool *p, size_t channels);

/* One call each, or a chain of them. */
void fuzz_qconv2d(pool *p);
void fuzz_pack(pool *p);
void fuzz_thresholds(pool *p);
void fuzz_requantize(pool *p);
void fuzz_pools(pool *p);
void fuzz_add(pool *p);
void fuzz_linear(pool *p);
void fuzz_float(pool *p, int is_depthwise);
void fuzz_dsq(pool *p);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
