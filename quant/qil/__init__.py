"""QIL, Quantization Interval Learning (Jung et al., CVPR 2019, arXiv 1808.05779, section 3).

Equations (m = |x| for weights and x for activations; the sign is +1 for activations; q = 2^(bits-1) - 1 for weights and
2^bits - 1 for activations; a = 1/(2d), e = 1/2 - c/(2d)):

    transformer   T = 0 for m < c - d,  sign(x) for m > c + d,  sign(x) h^gamma otherwise,  h = a m + e
    hard          rint(T q)/q,   ties to even

    dx = a gamma h^(gamma-1)                     dc = -a gamma h^(gamma-1) sign(x)
    dd = (a/d)(c - m) gamma h^(gamma-1) sign(x)  dgamma = h^gamma ln(h) sign(x)

inside the interval, its two ends included; outside of it all four are 0. At the lower end h = 0: where gamma < 1 the
slope from inside is infinite, and dx, dc and dd are 0 there.

The gradient is a surrogate's: of ``transformer``, the final rounding being passed straight through.

Chosen here: h is computed as (m - (c - d))/(2d), which is above 0 exactly for m > c - d; the interval of weights does
not reach below 0 (c >= d), where the transformer would jump; and ``initialise`` takes [0, u] of least squared error.
The quantized values are in [-1, 1] or [0, 1], whatever the scale of x: what follows has to scale (batch norm does).

Parameters, in this order, scalars or one a channel (the last axis): c and d > 0, the centre of the interval and half
its width; gamma > 0, which the paper learns for weights and keeps at 1 for activations. Codes are rint(T q), plus q for
weights.
"""

from quant.qil.functions import codes, hard, hard_vjp, levels, partials
from quant.qil.quantizer import QIL

__all__ = ["QIL", "codes", "hard", "hard_vjp", "levels", "partials"]
