/* From vectors of raw sums to what is stored, inline in the kernels: raw sums are of 32 bits and LANES channels. */
#ifndef MGK_QCONV_X86_EPILOGUE_H
#define MGK_QCONV_X86_EPILOGUE_H

#include "qconv/x86/vector.h"

enum { MOST_LEVELS = 255 };

/* The ways to finish, as constants of loops; FINISH runs a loop with the one of the layer. */
enum { STORE_SUMS, COUNT_1, COUNT_3, COUNT_ANY, TO_U8, TO_I16 };

#define FINISH(run, loop)                           \
    switch ((run)->layer->output) {                 \
    case MGK_ACCUMULATORS: loop(STORE_SUMS); break; \
    case MGK_CODES:                                 \
        switch ((run)->epilogue->levels) {          \
        case 1: loop(COUNT_1); break;               \
        case 3: loop(COUNT_3); break;               \
        default: loop(COUNT_ANY);                   \
        }                                           \
        break;                                      \
    case MGK_REQUANTIZE_U8: loop(TO_U8); break;     \
    default: loop(TO_I16);                          \
    }

/* What LANES channels share. */
typedef struct outputs {
    void *out;       /* of the first of these channels */
    size_t channels; /* that are stored: LANES, or what is left */
    size_t levels;
    mgk_rounding rounding;
    vec addend, multiplier;                              /* sums and requantization */
    vec shift[2], half[2], remainder[2], any, low, high; /* requantization: int64 of even and of odd channels */
    vec flip;                                            /* codes */
    int32_t thresholds[MOST_LEVELS][LANES];              /* codes: minus 1, for x > t - 1; t is above -2^31 */
} outputs;

INLINE void load_requantization(const mgk_qconv_run *run, size_t c, outputs *o)
{
    const mgk_prepared_epilogue *e = run->epilogue;
    int64_t shift[2][LANES / 2], half[2][LANES / 2], remainder[2][LANES / 2];
    for (size_t i = 0; i < LANES; i++) {
        const unsigned s = i < o->channels ? e->shift[c + i] : 0;
        const int64_t h = s > 0 ? (int64_t)1 << (s - 1) : 0;
        shift[i % 2][i / 2] = s;
        half[i % 2][i / 2] = h;
        remainder[i % 2][i / 2] = 2 * h - 1; /* -1 without a shift: no harm, as only 0 is a tie then */
    }
    o->multiplier = load(e->multiplier + c);
    for (int odd = 0; odd < 2; odd++) {
        o->shift[odd] = load(shift[odd]);
        o->half[odd] = load(half[odd]);
        o->remainder[odd] = load(remainder[odd]);
    }
    o->rounding = run->layer->rounding;
    o->any = broadcast64(run->layer->out_zero);
    o->low = broadcast64(run->layer->out_low);
    o->high = broadcast64(run->layer->out_high);
}

/* Behind the tables are the weights: all lanes of vectors may be read, though the last ones do not matter. */
INLINE void load_outputs(const int kind, const mgk_qconv_run *run, size_t c, size_t channels, outputs *o)
{
    const mgk_prepared_epilogue *e = run->epilogue;
    const size_t size = kind == STORE_SUMS ? sizeof(int32_t) : kind == TO_I16 ? sizeof(int16_t) : sizeof(uint8_t);
    o->out = (uint8_t *)run->out + c * size;
    o->channels = channels < LANES ? channels : LANES;
    o->levels = kind == COUNT_1 ? 1 : kind == COUNT_3 ? 3 : e->levels;
    if (kind == STORE_SUMS || kind == TO_U8 || kind == TO_I16) {
        o->addend = load(e->addend + c);
        if (kind != STORE_SUMS) {
            load_requantization(run, c, o);
        }
        return;
    }
    o->flip = load((const int32_t *)e->flip + c);
    for (size_t i = 0; i < o->channels; i++) {
        const int32_t *t = (const int32_t *)e->thresholds + (c + i) / 4 * o->levels * 4 + (c + i) % 4;
        for (size_t k = 0; k < o->levels; k++) {
            o->thresholds[k][i] = (int32_t)((uint32_t)t[4 * k] - 1u);
        }
    }
}

/* int64 products to results, those of even or of odd channels. */
INLINE vec round_products(const outputs *o, int odd, vec x)
{
    vec up = shift_right64(add64(x, o->half[odd]), o->shift[odd]);
    if (o->rounding != MGK_HALF_UP) {
        const vec tie = equal64(both(x, o->remainder[odd]), o->half[odd]);
        const vec one = o->rounding == MGK_HALF_AWAY ? both(sign64(x), broadcast64(1)) : both(up, broadcast64(1));
        up = subtract64(up, both(tie, one));
    }
    return clamp64(add64(up, o->any), o->low, o->high);
}

INLINE vec requantize(const outputs *o, vec raw)
{
    const vec x = add(raw, o->addend);
    const vec even = round_products(o, 0, multiply_even(x, o->multiplier));
    const vec odd = round_products(o, 1, multiply_even(upper_halves(x), upper_halves(o->multiplier)));
    return join_halves(even, odd);
}

INLINE vec count_levels(const int kind, const outputs *o, vec raw)
{
    const vec x = exclusive_or(raw, o->flip);
    const size_t levels = kind == COUNT_1 ? 1 : kind == COUNT_3 ? 3 : o->levels;
    vec count = zero_vec();
    for (size_t k = 0; k < levels; k++) {
        count = count_greater(count, x, load(o->thresholds[k]));
    }
    return count;
}

/* The raw sums of these channels of the pixel whose first output is element `index`. */
INLINE void finish(const int kind, const outputs *o, vec raw, size_t index)
{
    const size_t channels = o->channels;
    if (kind == STORE_SUMS) {
        int32_t *out = (int32_t *)o->out + index;
        const vec x = add(raw, o->addend);
        if (channels == LANES) {
            store(out, x);
        } else {
            int32_t all[LANES];
            store(all, x);
            memcpy(out, all, channels * sizeof *out);
        }
    } else if (kind == TO_I16) {
        int16_t *out = (int16_t *)o->out + index;
        const vec x = requantize(o, raw);
        if (channels == LANES) {
            store_halves(out, x);
        } else {
            int16_t all[LANES];
            store_halves(all, x);
            memcpy(out, all, channels * sizeof *out);
        }
    } else {
        uint8_t *out = (uint8_t *)o->out + index;
        const vec x = kind == TO_U8 ? requantize(o, raw) : count_levels(kind, o, raw);
        if (channels == LANES) {
            store_bytes(out, x);
        } else {
            uint8_t all[LANES];
            store_bytes(all, x);
            memcpy(out, all, channels);
        }
    }
}

#endif
