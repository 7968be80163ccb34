/* The epilogue for AArch64: which vectors for which output. */
#include "qconv/kernel.h"

#if MGK_HAS_NEON
#include "qconv/neon/epilogue.h"

static void store_accumulators_i16(const mgk_qconv_run *run, const mgk_epilogue_block *b)
{
    const int16_t *raw = b->raw;
    int32_t *out = (int32_t *)run->out + b->out;
    const int32_t *addend = run->epilogue->addend + b->c;
    for (size_t p = 0; p < b->pixels; p++) {
        size_t i = 0;
        for (; b->channels - i >= 8; i += 8) {
            const int16x8_t x = vld1q_s16(raw + i);
            vst1q_s32(out + i, vaddw_s16(vld1q_s32(addend + i), vget_low_s16(x)));
            vst1q_s32(out + i + 4, vaddw_high_s16(vld1q_s32(addend + i + 4), x));
        }
        for (; i < b->channels; i++) {
            out[i] = (int32_t)((uint32_t)raw[i] + (uint32_t)addend[i]);
        }
        raw += b->pitch;
        out += b->out_pitch;
    }
}

static void store_accumulators_i32(const mgk_qconv_run *run, const mgk_epilogue_block *b)
{
    const int32_t *raw = b->raw;
    int32_t *out = (int32_t *)run->out + b->out;
    const int32_t *addend = run->epilogue->addend + b->c;
    for (size_t p = 0; p < b->pixels; p++) {
        size_t i = 0;
        for (; b->channels - i >= 4; i += 4) {
            vst1q_s32(out + i, vaddq_s32(vld1q_s32(raw + i), vld1q_s32(addend + i)));
        }
        for (; i < b->channels; i++) {
            out[i] = (int32_t)((uint32_t)raw[i] + (uint32_t)addend[i]);
        }
        raw += b->pitch;
        out += b->out_pitch;
    }
}

/* The block of all channels that a kernel hands over, or the part of it from channel i on. */
static mgk_epilogue_block find_block(const mgk_qconv_run *run, const void *raw, size_t raw_size, size_t pitch,
                                     size_t pixel_begin, size_t pixels, size_t c, size_t channels, size_t i)
{
    const size_t out_channels = run->layer->conv.out_channels;
    const mgk_epilogue_block block = {(const uint8_t *)raw + i * raw_size, pitch,       pixels, c + i, channels - i,
                                      pixel_begin * out_channels + c + i,  out_channels};
    return block;
}

void mgk_epilogue_neon_i16(const mgk_qconv_run *run, const int16_t *raw, size_t pitch, size_t pixel_begin,
                           size_t pixels, size_t c, size_t channels)
{
    mgk_epilogue_block b = find_block(run, raw, sizeof *raw, pitch, pixel_begin, pixels, c, channels, 0);
    if (run->layer->output == MGK_ACCUMULATORS) {
        store_accumulators_i16(run, &b);
        return;
    }
    for (size_t i = 0; i < channels; i += MGK_CHANNEL_BLOCK) {
        b = find_block(run, raw, sizeof *raw, pitch, pixel_begin, pixels, c, channels, i);
        if (run->layer->output == MGK_CODES) {
            mgk_count_neon_i16(run, &b);
        } else {
            mgk_requantize_neon_i16(run, &b);
        }
    }
}

void mgk_epilogue_neon_i32(const mgk_qconv_run *run, const int32_t *raw, size_t pitch, size_t pixel_begin,
                           size_t pixels, size_t c, size_t channels)
{
    mgk_epilogue_block b = find_block(run, raw, sizeof *raw, pitch, pixel_begin, pixels, c, channels, 0);
    if (run->layer->output == MGK_ACCUMULATORS) {
        store_accumulators_i32(run, &b);
        return;
    }
    for (size_t i = 0; i < channels; i += MGK_CHANNEL_BLOCK) {
        b = find_block(run, raw, sizeof *raw, pitch, pixel_begin, pixels, c, channels, i);
        if (run->layer->output == MGK_CODES) {
            mgk_count_neon_i32(run, &b);
        } else {
            mgk_requantize_neon_i32(run, &b);
        }
    }
}
#else
typedef int mgk_nothing_here; /* C99 wants a declaration in every file */
#endif
