"""DDQ, Differentiable Dynamic Quantization (Zhang et al., ICML 2021, arXiv 2106.02295).

Reconstructed from the abstract and secondary sources: the paper's own text was not at hand beyond its introduction, and
no public implementation exists. The equations carry no numbers for that reason. What is certain is that the levels'
range and steps and each layer's bit width are learned by gradient; the rest is the reading below.

With n = 2^b levels q, gates g_i = 1 for ghat_i >= 0 else 0, sorted in descending order (of ghat; equal ones in stored
order), the Kronecker product U = U_1 x ... x U_b of U_i = g_i I + (1 - g_i) 1 (2 x 2), and Z the norm of a column:

    x_q = q^T (U/Z) x_o,  x_o one-hot: the level that x is assigned to;  S = sum g_i is the learned bit width

The closed gates come last, so the 2^S blocks of 2^(b-S) neighbouring q merge into their means, the *merged levels*. The
product is never formed: block means in the forward, one pass over q for each gate in the backward.

    dq = (U/Z) s,  s_k the sum of gy over the elements assigned to k
    dg_i = sum_k s_k [q^T U_1 x ... x (I - 1) x ... x U_b / Z]_k,  dghat_i = dg_i where |ghat_i| <= 1, else 0
    dx = gy where min q <= x <= max q, else 0
    correction: s from gy + lambda (x_q - x) in place of gy, the gradient of L + lambda/2 |x_q - x|^2; dx stays

Choices that the sources leave open, as options:
- ``assign``: x goes to the nearest "merged" level (default), or to the block of the nearest "raw" q. Ties go to the
  lower index. Of a block's equal entries "merged" takes the first, so a closed gate that splits a block in halves hears
  of the upper half; "raw" takes the level that x would have were all gates open.
- ``differentiate_norm``: Z = 2^(b-S) is a constant (default), or prod(2 - g_i), which adds x_q/(2 - g_i) to dg_i.

Levels that cross are no error. q is taken as it is: codes are block indices and ``levels`` the blocks' means in stored
order. Both ascend if q does, and only then is a code monotone in x. With "merged" the value of an element is monotone
in x all the same, so the module ranks ``codes`` and ``levels`` by value; with "raw" and crossed levels no order of the
codes is monotone. Equal levels are one: the lower index wins.

Everything is of one tensor: a width and a codebook a channel would be another method.
"""

from quant.ddq.functions import codebook, codes, hard, hard_vjp, levels
from quant.ddq.quantizer import DDQ

__all__ = ["DDQ", "codebook", "codes", "hard", "hard_vjp", "levels"]
