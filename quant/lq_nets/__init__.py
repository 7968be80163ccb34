"""LQ-Nets, Learned Quantization (Zhang et al., ECCV 2018, arXiv 1807.10029).

Equations (K = bits, a basis v of K numbers a filter for weights, a tensor for activations):

    levels   B v for every coding vector B: of {-1, 1}^K for weights, of {0, 1}^K for activations after a ReLU
    hard     the nearest level: thresholds are the middles between levels, a tie takes the lower one
    v        least squares of |x - B v|^2 for the codes of this x, (B^T B)^-1 B^T x, then v <- 0.9 v + 0.1 of that
    dx = 1 for weights; 1{x <= the largest level} for activations            (straight-through)

v is not learned by gradient: a forward in training finds the least squares, and ``project``, after the optimizer's
step, moves v. B^T B and B^T x get 1e-4 and 1e-4 v added, as the authors' code does for weights, so that a coding vector
nobody has leaves v where it was; here for activations too.

Derived here, for those who want v learned (``learn_v``, which ends the least squares): with the codes frozen the value
is B v, so dv_k = B_k, the element's own -1, 0 or 1. The gradient is a surrogate's, of ``frozen_codes``.

Chosen, where the paper has constants for its own networks: v starts at mean|x| 2^k/2^K for weights and at
2 mean|x| 2^k/(2^(K+1) - 2) for activations, k = 1, ..., K, followed by 20 rounds of codes and least squares.

The paper has 1 to 4 bits; the equations hold for any, and codes of a byte for 1 to 8. Levels that coincide are allowed:
the lower code wins. Their order is that of the values, so v may have any sign and order.
"""

from quant.lq_nets.functions import codes, hard, hard_vjp, least_squares, level_table, levels, partials
from quant.lq_nets.quantizer import LQNets

__all__ = ["LQNets", "codes", "hard", "hard_vjp", "least_squares", "level_table", "levels", "partials"]
