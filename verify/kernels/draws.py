"""Hypothesis strategies: single operations with inputs they take. ``DRAWS`` has one for each of ``OPERATIONS``."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from quant.integer import Argmax, Conv2d, Linear, Operation, SumPool
from quant.packing import WIDTHS
from verify.kernels.cases import random_conv, random_thresholds

__all__ = ["DRAWS", "Drawn", "convolutions"]

Drawn = tuple[Operation, np.ndarray]

_CHANNELS = st.sampled_from((1, 2, 3, 5, 8, 13, 15, 16, 17, 24, 31, 32, 33, 50))
_SEEDS = st.integers(0, 2**32 - 1)
_WEIGHT_WIDTHS = st.sampled_from(WIDTHS)


@st.composite
def convolutions(
    draw: st.DrawFn,
    weight_bits: st.SearchStrategy[int] = _WEIGHT_WIDTHS,
    activation_bits: st.SearchStrategy[int] = st.integers(1, 8),  # noqa: B008  strategies are immutable
    with_zero: st.SearchStrategy[bool] = st.booleans(),  # noqa: B008
) -> Drawn:
    """Convolutions of every shape. A third have constant operands, all at an end of their range."""
    rng = np.random.default_rng(draw(_SEEDS))
    kernel = (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    dilation = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    pads = tuple(draw(st.integers(0, 3)) for _ in range(4))
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    height = max(1, reach[0] - pads[0] - pads[1]) + draw(st.integers(0, 4))
    width = max(1, reach[1] - pads[2] - pads[3]) + draw(st.integers(0, 12))
    image = (draw(st.integers(1, 3)), height, width, draw(_CHANNELS))
    op, x = random_conv(
        rng,
        image,
        kernel,
        draw(_CHANNELS),
        (draw(weight_bits), draw(activation_bits)),
        draw(with_zero),
        (draw(st.integers(1, 3)), draw(st.integers(1, 3))),
        (pads[0], pads[1], pads[2], pads[3]),
        dilation,
    )
    if draw(st.integers(0, 2)) == 0:
        highest = (1 << op.weight_bits) - 1
        codes = np.full_like(op.weight_codes, draw(st.sampled_from((0, highest))))
        op = Conv2d(codes, op.weight_bits, op.activation_bits, op.zero, op.stride, op.pads, op.dilation)
        x = np.full_like(x, (1 << op.activation_bits) - 1)
    return op, x


@st.composite
def _thresholds(draw: st.DrawFn) -> Drawn:
    rng = np.random.default_rng(draw(_SEEDS))
    return random_thresholds(rng, draw(st.integers(1, 9)), draw(_CHANNELS), draw(st.integers(1, 8)))


@st.composite
def _sum_pools(draw: st.DrawFn) -> Drawn:
    rng = np.random.default_rng(draw(_SEEDS))
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 9)), draw(st.integers(1, 9)), draw(_CHANNELS))
    return SumPool(), rng.integers(0, 256, shape, dtype=np.uint8)


@st.composite
def _linears(draw: st.DrawFn) -> Drawn:
    rng = np.random.default_rng(draw(_SEEDS))
    bits, in_features, out_features = draw(_WEIGHT_WIDTHS), draw(_CHANNELS), draw(st.integers(1, 12))
    codes = rng.integers(0, 1 << bits, (out_features, in_features), dtype=np.uint8)
    bias = rng.integers(-(10**6), 10**6, out_features).astype(np.int32)
    x_max = draw(st.integers(0, (2**31 - 1 - 10**6) // (in_features * ((1 << bits) - 1))))
    x = rng.integers(0, x_max, (draw(st.integers(1, 3)), in_features), np.int32, endpoint=True)
    return Linear(codes, bits, x_max, bias), x


@st.composite
def _argmaxes(draw: st.DrawFn) -> Drawn:
    rng = np.random.default_rng(draw(_SEEDS))
    shape = (draw(st.integers(1, 9)), draw(st.integers(1, 12)))
    return Argmax(), rng.integers(-3, 4, shape, np.int32)


#: Strategies by the operation's name.
DRAWS: dict[str, st.SearchStrategy[Drawn]] = {
    "conv2d": convolutions(),
    "thresholds": _thresholds(),
    "sum_pool": _sum_pools(),
    "linear": _linears(),
    "argmax": _argmaxes(),
}
