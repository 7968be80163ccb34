"""N2UQ, Nonuniform-to-Uniform Quantization (Liu et al., CVPR 2022, arXiv 2111.14826).

Learned, unevenly spaced thresholds in; even levels out. Equations (L = 2^bits - 1, I = 2/L, v = s1 x, segments of
widths a_1, ..., a_L from ``start`` on, e_i = start + a_1 + ... + a_{i-1} the lower end of segment i):

    t_1 = start + a_1/2,   t_i = t_{i-1} + (a_{i-1}/2 + a_i/2)         the middle of each segment
    hard = s2 I #{i: v > t_i}                                          a tie takes the lower level
    P(v) = 0 for v <= e_1,  I (i - 1) + (I/a_i) (v - e_i) on segment i,  2 for v > e_{L+1}

The gradient is a surrogate's: the hard value in front of s2, P behind it for everything else, which is the
straight-through estimator that the paper derives from stochastic rounding. So dx = s2 s1 I/a_i on segment i and 0
outside of all. The other gradients are derived here from the same surrogate, for v on segment i (0 outside):

    ds1 = s2 x I/a_i          da_i = -s2 I (v - e_i)/a_i^2      da_j = -s2 I/a_i for j < i, 0 for j > i
    ds2 = hard/s2 everywhere  dstart = -s2 I/a_i

An end of segments belongs to the one below, as P has it.

Parameters: s1 > 0, s2 > 0 and start, numbers, and a of shape (L,), a_i >= 1e-3 (``project`` sees to it). Defined for
activations after a ReLU, unsigned. The paper quantizes weights evenly, which other methods here do.
"""

from quant.n2uq.functions import codes, hard, hard_vjp, levels, partials, piecewise_linear, segments, thresholds
from quant.n2uq.quantizer import N2UQ

__all__ = ["N2UQ", "codes", "hard", "hard_vjp", "levels", "partials", "piecewise_linear", "segments", "thresholds"]
