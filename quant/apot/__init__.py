"""APoT, Additive Powers-of-Two quantization (Li, Dong, Wang, ICLR 2020, arXiv 1909.13144).

Magnitudes are sums of one number of each set, divided by the largest sum; with m magnitude bits there are 2^m:

    m = 2   {0, 1/2, 1/4, 1/8}                                 0, 1, 2, 4 quarters
    m = 3   {0, 1/2, 1/4, 1/16} + {0, 1/8}                     0, 1, 2, 3, 4, 6, 8, 10 tenths
    m = 4   {0, 1/2, 1/8, 1/32} + {0, 1/4, 1/16, 1/64}         0, 1, 2, 3, 4, 6, 8, 9, 12, 16, 18, 24, 32, 33, 36, 48
                                                               forty-eighths

Weights have a sign besides: their ``bits`` are m + 1, 3 to 5, of which one code is not used (2^bits - 1 levels, 0 being
one). Activations have none: their ``bits`` are m, 2 to 4, and all codes are used.

    hard = a sign(x) nearest(clip(|x|/a, 0, 1))   weights;    a nearest(clip(x/a, 0, 1))   activations
    q = hard/a, and inside of -a <= x <= a (0 <= x <= a for activations):
    dx = 1 inside and outside for weights; 1 inside, 0 outside for activations
    da = q - x/a inside, q outside: sign(x), or 0 and 1

"nearest" compares with the magnitudes as floats, exactly; midway between two it takes the smaller. Weights are first
brought to mean 0 and standard deviation 1, both constants of the backward (``quant.standardise``), and not scaled back.
The gradient is a surrogate's, ``frozen_residual``: with r = q - x/a inside and q outside as they are at the arguments,
x + a r for weights, and for activations the same inside and a r outside. The rule for activations below 0, which do
not follow a ReLU, is chosen here: the authors' code passes gradients there.

One parameter, a > 0: a scalar, or one a channel (the last axis); it starts at 3 for weights and 8 for activations.
Codes count the levels from the lowest on.
"""

from quant.apot.functions import codes, hard, hard_vjp, levels, magnitudes, partials
from quant.apot.quantizer import APoT

__all__ = ["APoT", "codes", "hard", "hard_vjp", "levels", "magnitudes", "partials"]
