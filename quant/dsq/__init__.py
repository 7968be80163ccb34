"""DSQ, Differentiable Soft Quantization (Gong et al., ICCV 2019, arXiv 1908.05033).

Equations (N = 2^bits - 1, D = (u - l)/N, numbers as in the paper):

    v = (x - l)/D,  i = clip(floor(v), 0, N - 1),  z = v - i - 1/2
    K = k D = ln(2/alpha - 1)                      (eq 8)
    s = 1/(1 - alpha)                              (eq 7)
    phi = s tanh(K z)                              (eq 3)
    soft = l + D (i + (phi + 1)/2)                 (eq 5), l below the range and u above it
    code = clip(floor(v + 1/2), 0, N)              (Algorithm 1 with sgn 0 = +1)

The interval index i is piecewise constant and carries no gradient. The partial derivatives inside [l, u], with
t = tanh(K z), d2 = 1 - t^2, slope = K s d2/2 and q = i + (phi + 1)/2 (``q="soft"``, eq 13) or q = code (``q="hard"``,
Algorithm 1 step 6, for a hard forward with sgn passed straight through):

    dx = slope                                     dl = 1 - q/N + slope (v/N - 1)
    dalpha = D/2 (s^2 t - 2 s z d2/(alpha (2 - alpha)))          du = q/N - slope v/N

Below l they are dx = 0, dl = 1, du = 0, dalpha = 0; above u dx = 0, dl = 0, du = 1, dalpha = 0. The bounds themselves
are inside. dx + dl + du = 1 everywhere.

The paper does not give the weight of the constraint on alpha, nor how l and u start: here they start at the range of
least squared error. The functions are in ``quant.dsq.functions``, what is declared to the tape in
``quant.dsq.primitive``, and the combination with PACT in ``quant.dsq.pact``.
"""

from quant.dsq.functions import (
    BITS,
    check_parameters,
    codes,
    hard,
    hard_vjp,
    levels,
    partials,
    soft,
    soft_partials,
    soft_vjp,
)
from quant.dsq.quantizer import DSQ

__all__ = [
    "BITS",
    "DSQ",
    "check_parameters",
    "codes",
    "hard",
    "hard_vjp",
    "levels",
    "partials",
    "soft",
    "soft_partials",
    "soft_vjp",
]
