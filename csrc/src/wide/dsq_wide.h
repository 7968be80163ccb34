/* DSQ for one type and one vector width: REAL, FUNCTION(name) and MGK_WIDE are defined by the including file. Loops have
 * constant length and no branch, so compilers vectorise them; every element is computed by the same operations in the
 * order quant/dsq/functions.py writes them, so the width does not matter. */
#include "dsq.h"

#include <string.h>

/* Elements that are worked on at a time: the arrays between the loops stay in the first cache. */
enum { PIECE = 256 };

/* The other argument where x is NaN: one instruction on x86, and no branch that keeps a loop from being vectorised. */
static inline REAL maximum(REAL x, REAL y)
{
    return x > y ? x : y;
}
static inline REAL minimum(REAL x, REAL y)
{
    return x < y ? x : y;
}

static inline double power_of_two(double rounded)
{
    /* rounded = 0x1.8p52 + k: its low bits are k; moved to the exponent they give 2^k. */
    uint64_t bits;
    double value;
    memcpy(&bits, &rounded, sizeof bits);
    bits = (bits + 1023u) << 52;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* exp x, and expm1 x in *m, for x <= 0 as minigrad/elementary.py computes them. */
static inline double exp_negative(double x, double *m)
{
    const double c = x < -700.0 ? -700.0 : x;
    const double rounded = c * 0x1.71547652b82fep+0 + 0x1.8p52;
    const double k = rounded - 0x1.8p52;
    const double r = (c - k * 0x1.62e42fefa4p-1) - k * -0x1.8432a1b0e2634p-43;
    double p = 1.0 / 87178291200.0;
    p = p * r + 1.0 / 6227020800.0;
    p = p * r + 1.0 / 479001600.0;
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 1.0 / 2.0;
    p = r + r * r * p;
    const double s = power_of_two(rounded);
    *m = s * p + (s - 1.0);
    return s + s * p;
}

/* floor of v, limited to [0, top]; NaN or 0 for NaN, whose other terms stay NaN. Adding and subtracting 1.5 times the
 * power of two that leaves no fraction rounds to an integer. */
static inline REAL limited_floor(REAL v, REAL top)
{
    const REAL rounder = (REAL)(sizeof(REAL) == sizeof(float) ? 0x1.8p23 : 0x1.8p52);
    const REAL low = maximum(v, 0);
    const REAL bounded = minimum(low, top);
    const REAL rounded = (bounded + rounder) - rounder;
    return rounded > bounded ? rounded - 1 : rounded;
}

/* v, i, z, K z, m = expm1(-2 |K z|) and n = exp(-2 |K z|) of a piece. */
static inline void place(const REAL *x, const mgk_dsq *q, REAL *v, REAL *i, REAL *z, REAL *kz, REAL *m, REAL *n)
{
    const REAL l = (REAL)q->l, step = (REAL)q->step, gain = (REAL)q->gain, last = (REAL)(q->top - 1);
    for (int e = 0; e < PIECE; e++) {
        v[e] = (x[e] - l) / step;
        i[e] = limited_floor(v[e], last);
        z[e] = v[e] - i[e] - (REAL)0.5;
        kz[e] = gain * z[e];
    }
    for (int e = 0; e < PIECE; e++) {
        const REAL size = kz[e] < 0 ? -kz[e] : kz[e];
        double minus_one;
        n[e] = (REAL)exp_negative((double)((REAL)-2 * size), &minus_one);
        m[e] = (REAL)minus_one;
    }
}

static inline REAL tanh_of(REAL m, REAL x)
{
    const REAL t = m / (2 + m); /* minus the tanh of |x| */
    return x < 0 ? t : -t;
}

static inline void soft_piece(const REAL *x, const mgk_dsq *q, REAL *y)
{
    REAL v[PIECE], i[PIECE], z[PIECE], kz[PIECE], m[PIECE], small[PIECE];
    const REAL l = (REAL)q->l, u = (REAL)q->u, step = (REAL)q->step, rest = 1 - (REAL)q->alpha;
    place(x, q, v, i, z, kz, m, small);
    for (int e = 0; e < PIECE; e++) {
        const REAL t = tanh_of(m[e], kz[e]);
        REAL value = l + step * (i[e] + (t / rest + 1) * (REAL)0.5);
        value = value < l ? l : value;
        value = value > u ? u : value;
        y[e] = x[e] < l ? l : x[e] > u ? u : value;
    }
}

void FUNCTION(soft)(const mgk_dsq *q, const REAL *x, REAL *y, size_t begin, size_t end)
{
    REAL in[PIECE] = {0}, out[PIECE];
    size_t n = begin;
    for (; n + PIECE <= end; n += PIECE) {
        soft_piece(x + n, q, y + n);
    }
    if (n < end) {
        memcpy(in, x + n, (end - n) * sizeof(REAL));
        soft_piece(in, q, out);
        memcpy(y + n, out, (end - n) * sizeof(REAL));
    }
}

static inline void hard_piece(const REAL *x, const mgk_dsq *q, REAL *y)
{
    const REAL l = (REAL)q->l, u = (REAL)q->u, step = (REAL)q->step, top = (REAL)q->top;
    for (int e = 0; e < PIECE; e++) {
        const REAL j = limited_floor((x[e] - l) / step + (REAL)0.5, top);
        y[e] = j == top ? u : l + j * step;
    }
}

/* Before anything is written. */
int FUNCTION(has_nan)(const REAL *x, size_t begin, size_t end)
{
    int nan = 0;
    size_t n = begin;
    for (; n + PIECE <= end; n += PIECE) {
        for (int e = 0; e < PIECE; e++) {
            nan |= x[n + (size_t)e] != x[n + (size_t)e];
        }
    }
    for (; n < end; n++) {
        nan |= x[n] != x[n];
    }
    return nan;
}

void FUNCTION(hard)(const mgk_dsq *q, const REAL *x, REAL *y, size_t begin, size_t end)
{
    REAL in[PIECE] = {0}, out[PIECE];
    size_t n = begin;
    for (; n + PIECE <= end; n += PIECE) {
        hard_piece(x + n, q, y + n);
    }
    if (n < end) {
        memcpy(in, x + n, (end - n) * sizeof(REAL));
        hard_piece(in, q, out);
        memcpy(y + n, out, (end - n) * sizeof(REAL));
    }
}

/* Gradients of a piece: dx, and the terms of dl, du and dalpha. */
static inline void vjp_piece(const REAL *gy, const REAL *x, const mgk_dsq *q, REAL *dx, REAL *dl, REAL *du, REAL *da)
{
    REAL v[PIECE], i[PIECE], z[PIECE], kz[PIECE], m[PIECE], small[PIECE];
    const REAL l = (REAL)q->l, u = (REAL)q->u, step = (REAL)q->step, alpha = (REAL)q->alpha, gain = (REAL)q->gain;
    const REAL n = (REAL)q->top, s = 1 / (1 - alpha);
    const REAL half_gain = gain * s * (REAL)0.5, square = s * s, twice = 2 * s, spread = alpha * (2 - alpha);
    const REAL half_step = step * (REAL)0.5;
    const int hard = q->hard_gradient;
    place(x, q, v, i, z, kz, m, small);
    for (int e = 0; e < PIECE; e++) {
        const REAL t = tanh_of(m[e], kz[e]);
        const REAL d2 = 4 * small[e] / ((1 + small[e]) * (1 + small[e]));
        const REAL slope = half_gain * d2;
        const REAL soft = i[e] + (s * t + 1) * (REAL)0.5;
        const REAL code = limited_floor(v[e] + (REAL)0.5, n);
        const REAL position = hard ? code : soft;
        const REAL low = 1 - position / n + slope * (v[e] / n - 1);
        const REAL high = position / n - slope * (v[e] / n);
        const REAL shape = half_step * (square * t - twice * z[e] * d2 / spread);
        const REAL g = gy[e];
        dx[e] = g * (x[e] < l ? 0 : x[e] > u ? 0 : slope);
        dl[e] = g * (x[e] < l ? 1 : x[e] > u ? 0 : low);
        du[e] = g * (x[e] < l ? 0 : x[e] > u ? 1 : high);
        da[e] = g * (x[e] < l ? 0 : x[e] > u ? 0 : shape);
    }
}

static REAL join_lanes(REAL *lanes)
{
    for (int width = MGK_SUM_LANES / 2; width > 0; width /= 2) {
        for (int n = 0; n < width; n++) {
            lanes[n] = lanes[n] + lanes[n + width];
        }
    }
    return lanes[0];
}

void FUNCTION(vjp)(const mgk_dsq *q, const REAL *gy, const REAL *x, size_t count, REAL *dx, REAL *sums,
                   size_t block_begin, size_t block_end)
{
    REAL out[PIECE], terms[3][PIECE], in[PIECE] = {0}, g[PIECE] = {0};
    for (size_t block = block_begin; block < block_end; block++) {
        REAL lanes[3][MGK_SUM_LANES] = {{0}};
        const size_t first = block * MGK_SUM_BLOCK;
        const size_t last = count - first < MGK_SUM_BLOCK ? count : first + MGK_SUM_BLOCK;
        for (size_t n = first; n < last; n += PIECE) {
            const size_t size = last - n < PIECE ? last - n : PIECE;
            if (size == PIECE) {
                vjp_piece(gy + n, x + n, q, dx + n, terms[0], terms[1], terms[2]);
            } else {
                memset(g, 0, sizeof g);
                memset(in, 0, sizeof in);
                memcpy(g, gy + n, size * sizeof(REAL));
                memcpy(in, x + n, size * sizeof(REAL));
                vjp_piece(g, in, q, out, terms[0], terms[1], terms[2]);
                memcpy(dx + n, out, size * sizeof(REAL));
                for (int k = 0; k < 3; k++) {
                    memset(terms[k] + size, 0, (PIECE - size) * sizeof(REAL));
                }
            }
            for (size_t e = 0; e < size; e += MGK_SUM_LANES) {
                for (int k = 0; k < 3; k++) {
                    for (int lane = 0; lane < MGK_SUM_LANES; lane++) {
                        lanes[k][lane] += terms[k][e + (size_t)lane];
                    }
                }
            }
        }
        for (int k = 0; k < 3; k++) {
            sums[3 * block + (size_t)k] = join_lanes(lanes[k]);
        }
    }
}
