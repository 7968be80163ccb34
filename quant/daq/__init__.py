"""DAQ, Distance-aware Quantizer (Kim, Lee and Ham, ICCV 2021, arXiv 2108.06983).

Equations (N = 2^bits - 1; of the official implementation, the paper's text was not at hand):

    v = clip((x - l) N / (u - l), 0, N),   f = floor(v),   r = v - f
    s_f = e^-r and s_c = e^-(1-r), the scores of f and f + 1; the farther one's times e^(-1/sigma^2)
    T* = gamma / |s_f - s_c|, a constant in the backward           temperature controller
    m = softmax(T* s),   delta = 1/(e^gamma - 1),   phi = (f - delta) m_f + (f + 1 + delta) m_c
    hard = (2 phi - N)/N, weights, or phi/N, activations           in [-1, 1] or [0, 1]

phi is exactly f + 1{r > 1/2}: the soft forward is the discretiser, **ties go down**. So it is computed as that code,
and scaled last. The gradient is a surrogate's, ``frozen_temperature`` in ``quant.daq.primitive``: T*, the pair f, f + 1
and which of it is farther stay what they are at the arguments. In closed form, with v' = N/(u - l) inside l <= x <= u
and 0 outside,

    dphi/dr = gamma/(2 sinh gamma) coth(d/2) = gamma/(2 sinh gamma) (1 + 2/expm1(d)),   d = |1 - 2r| + 1/sigma^2
    dx = dphi/dr v',   dl = dphi/dr v' (x - u)/(u - l),   du = -dphi/dr v' (x - l)/(u - l),   times 2/N or 1/N

``soft`` is the ablation: the soft argmax with one temperature T for all elements and without rescaling,
phi = f + m_c. It is a smooth function of x but for its jumps on the levels and midway between them, where the
candidates change or the kernel moves from one to the other. Here the candidates stay among the codes: the last pair is
N - 1, N (chosen).

Weights are standardised first, over the layer, mean and standard deviation constant in the backward
(``weight_standardise_frozen``); with a range a channel, over each channel by itself (chosen). A layer with DAQ weights
multiplies its output by the absolute value of one learned number: the class says so by ``output_scale``.

The functions are in ``quant.daq.functions``.
"""

from quant.daq.functions import codes, hard, hard_vjp, levels, partials, soft, soft_partials, soft_vjp
from quant.daq.quantizer import DAQ

__all__ = ["DAQ", "codes", "hard", "hard_vjp", "levels", "partials", "soft", "soft_partials", "soft_vjp"]
