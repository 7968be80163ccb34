/* From M to outputs: Y = A^T M A, a quarter of it, and the epilogue; 24 additions for four vectors of outputs. */
#include "qconv/x86/winograd.h"

#include "qconv/x86/epilogue.h"

/* A^T by four vectors. */
INLINE void transform(const vec m[4], vec y[2])
{
    const vec sum = add(m[1], m[2]);
    const vec difference = subtract(m[1], m[2]);
    y[0] = add(m[0], sum);
    y[1] = subtract(difference, m[3]);
}

/* One tile, whose M at position p begins at m[p]; rows and columns: those of its outputs that there are. Positions it
 * does not have are read as others: they do not reach the outputs there are. */
INLINE void finish_tile(const int kind, const outputs *o, const int32_t *const m[POSITIONS], size_t channel,
                        size_t rows, size_t columns, const size_t index[2][2])
{
    vec halves[2][4];
    for (int x = 0; x < 4; x++) {
        const vec column[4] = {load(m[x] + channel), load(m[4 + x] + channel), load(m[8 + x] + channel),
                               load(m[12 + x] + channel)};
        vec y[2];
        transform(column, y);
        halves[0][x] = y[0];
        halves[1][x] = y[1];
    }
    for (size_t i = 0; i < rows; i++) {
        vec y[2];
        transform(halves[i], y);
        finish(kind, o, quarter(y[0]), index[i][0]);
        if (columns == 2) {
            finish(kind, o, quarter(y[1]), index[i][1]);
        }
    }
}

/* LANES channels of all tiles. */
INLINE void finish_strip(const int kind, const mgk_qconv_run *run, const winograd *plan, const strip *s,
                         const int32_t *m, size_t pitch, size_t channel, const outputs *o)
{
    const mgk_conv2d *c = &run->layer->conv;
    const mgk_geometry *g = &run->layer->geometry;
    for (size_t y = 0; y < s->rows; y++) {
        for (size_t x = 0; x < s->columns; x++) {
            const size_t pixel = 2 * (s->first + y) * g->out_width + 2 * x;
            const size_t below = pixel + g->out_width;
            const size_t index[2][2] = {{pixel * c->out_channels, (pixel + 1) * c->out_channels},
                                        {below * c->out_channels, (below + 1) * c->out_channels}};
            const size_t rows = y < s->rows_3 ? 2 : 1;
            const size_t columns = x < s->columns_3 ? 2 : 1;
            const int32_t *from[POSITIONS];
            for (size_t p = 0; p < POSITIONS; p++) {
                const int has = (p < 12 || rows == 2) && (p % 4 != 3 || columns == 2);
                from[p] = has ? m + p * plan->m_pitch + (y * position_columns(s, p) + x) * pitch : m;
            }
            finish_tile(kind, o, from, channel, rows, columns, index);
        }
    }
}

void X86(winograd_output)(const mgk_qconv_run *run, const winograd *plan, const strip *s, const int32_t *m,
                          size_t pitch, size_t c)
{
    const size_t out_channels = run->layer->conv.out_channels;
    for (size_t channel = 0; channel < pitch; channel += LANES) {
        outputs o;
#define LOOP(kind)                                                        \
    load_outputs(kind, run, c + channel, out_channels - c - channel, &o); \
    finish_strip(kind, run, plan, s, m, pitch, channel, &o)
        FINISH(run, LOOP)
#undef LOOP
    }
}
