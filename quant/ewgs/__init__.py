"""EWGS, Element-Wise Gradient Scaling (Lee, Kim, Ham, CVPR 2021, arXiv 2104.00903).

Equations (N = 2^bits - 1; g is the gradient of x_q, the discretiser's output):

    x_n = clip((x - l)/(u - l), 0, 1),   x_q = rint(N x_n)/N,   ties to even
    hard = 2 x_q - 1 for weights, x_q for activations
    gradient of x_n:   g (1 + delta sign(g) (x_n - x_q))
    delta = max(0, mean over batches of  Tr(H)/(n 3 std(g)))

with H the Hessian of the loss by x_q, n the number of its elements, std(g) the unbiased standard deviation of its
gradient; delta is 1e-3, or is set by this rule now and then (``EWGS.update_delta``).

That gradient is no function's: it is declared as this formula, a modifier, and need not be linear in g. From x_n on it
is the derivative's: 1/(u - l) by x, (x - u)/(u - l)^2 by l and -(x - l)/(u - l)^2 by u where l <= x <= u, 0 outside.
The jvp is that of ``straight_through``, which delta = 0 is the gradient of.

Parameters, in this order, scalars or one a channel (the last axis): l < u. Codes are rint(N x_n). The quantized values
are in [-1, 1] or [0, 1] whatever the scale of x. The authors multiply the layer's output by a learned scale; here that
is left to what follows, batch norm for one.
"""

from quant.ewgs.functions import DELTA, codes, delta_of_traces, hard, hard_vjp, levels, partials
from quant.ewgs.quantizer import EWGS

__all__ = ["DELTA", "EWGS", "codes", "delta_of_traces", "hard", "hard_vjp", "levels", "partials"]
