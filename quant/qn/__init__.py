"""QN, Quantization Networks (Yang et al., CVPR 2019, arXiv 1911.09464).

Equations, for integer levels Y_1 < ... < Y_{n+1} with gaps s_i = Y_{i+1} - Y_i, and v_i = T (beta x - b_i):

    soft = alpha (sum_i s_i sigma(v_i) - o)                                                     (eq 7)
    hard = alpha (sum_i s_i A(beta x - b_i) - o),  A(v) = 1 for v >= 0                          (eqs 12 and 1)
    dx = alpha beta T g,   dbeta = alpha T x g,   g = sum_i s_i sigma'(v_i)
    dalpha = soft/alpha,   db_i = -alpha T s_i sigma'(v_i)

The paper has o = sum(s)/2 for weights and o = 0 for activations. Here o = -Y_1: the same for symmetric levels and for
those that start at 0, all that the paper has; for any other set it is what puts the result on alpha Y. The paper's
eqs 8, 10 and 11 are the derivatives above only if its g stands for alpha s_i sigma, not for sigma.

With e = exp(-|v|), sigma is 1/(1 + e) or e/(1 + e) and its slope e/(1 + e)^2: no argument is clamped, and no accuracy
lost however far it is. ``soft`` is computed as the hard value plus what each sigma differs from its step.

The primitive "qn_soft" is smooth everywhere; the temperature T is an option, T = epoch T0 in training. The method does
not train through the hard quantizer: the gradient of "qn_hard" is its true one, dalpha = hard/alpha and 0 by x, beta
and b. It jumps where beta x = b_i.

Parameters come in the order alpha, beta (scalars, or one a channel, the last axis: an extension, the paper has one a
layer), then b of shape (n,), ascending. Codes are the number of thresholds with b_i <= beta x.
"""

from quant.qn.functions import codes, hard, hard_vjp, levels, partials, soft, soft_vjp
from quant.qn.level_sets import PRESETS, level_set
from quant.qn.quantizer import QN

__all__ = ["PRESETS", "QN", "codes", "hard", "hard_vjp", "level_set", "levels", "partials", "soft", "soft_vjp"]
