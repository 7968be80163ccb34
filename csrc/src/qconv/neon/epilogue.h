/* The parts of the NEON epilogue: each takes one block of MGK_CHANNEL_BLOCK channels, or what is left of them. */
#ifndef MGK_QCONV_NEON_EPILOGUE_H
#define MGK_QCONV_NEON_EPILOGUE_H

#include <string.h>

#include "neon.h"
#include "qconv/epilogue.h"

typedef struct mgk_epilogue_block {
    const void *raw; /* of the first pixel and channel; int16 or int32, rows are `pitch` elements */
    size_t pitch, pixels;
    size_t c, channels;    /* the first channel, and how many there are from it on: 16 are taken */
    size_t out, out_pitch; /* the first element of the output, and the elements between pixels */
} mgk_epilogue_block;

void mgk_count_neon_i16(const mgk_qconv_run *run, const mgk_epilogue_block *block);
void mgk_count_neon_i32(const mgk_qconv_run *run, const mgk_epilogue_block *block);
void mgk_requantize_neon_i16(const mgk_qconv_run *run, const mgk_epilogue_block *block);
void mgk_requantize_neon_i32(const mgk_qconv_run *run, const mgk_epilogue_block *block);

/* 16 codes, or the first channels of them. */
static inline void mgk_store_codes(uint8_t *out, size_t channels, uint8x16_t codes)
{
    if (channels >= MGK_CHANNEL_BLOCK) {
        vst1q_u8(out, codes);
    } else {
        uint8_t all[MGK_CHANNEL_BLOCK];
        vst1q_u8(all, codes);
        memcpy(out, all, channels);
    }
}

#endif
