"""Hypothesis strategies: single operations with inputs they take. ``DRAWS`` has one for each of ``OPERATIONS``."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from quant.integer import (
    ROUNDINGS,
    Argmax,
    Codebook,
    Conv2d,
    Encoding,
    Linear,
    LinearInt8,
    MaxPool,
    Odd,
    Offset,
    Operation,
    Requantize,
    ResidualAdd,
    SumPool,
    SumWindows,
    Thresholds,
)
from quant.packing import WIDTHS
from quant.runtime import Epilogue
from verify.kernels.cases import random_thresholds

__all__ = ["DRAWS", "Drawn", "Layer", "convolutions", "layers", "typical_layers"]

Drawn = tuple[Operation, tuple[np.ndarray, ...]]

#: Equal to, divisible by, less and greater than the tiles of kernels: 8, 16, 32 and 64 channels.
_CHANNELS = st.sampled_from((1, 2, 3, 5, 8, 13, 15, 16, 17, 24, 31, 32, 33, 50, 64))
#: Half of the time whole blocks of channels, which some kernels ask for.
_USUAL_CHANNELS = st.one_of(st.sampled_from((16, 32, 48, 64)), _CHANNELS)
_SEEDS = st.integers(0, 2**32 - 1)
_WEIGHT_WIDTHS = st.sampled_from(WIDTHS)


class Layer(NamedTuple):
    """A convolution with what follows it in one kernel, and its input."""

    op: Conv2d
    epilogue: Epilogue | None
    x: np.ndarray
    from_weights: bool


@st.composite
def _geometries(draw: st.DrawFn, plain: bool) -> tuple[tuple[int, int], dict[str, Any], tuple[int, int]]:
    """Kernel, keywords of Conv2d, height and width: anything, or half of the time (plain: more) what networks use."""
    if draw(st.integers(0, 3)) < (3 if plain else 2):
        size, step = draw(st.sampled_from(((3, 1), (3, 2), (1, 1), (1, 2), (5, 1), (3, 2))))
        keywords = {"stride": (step, step), "pads": (size // 2,) * 4}
        return (size, size), keywords, (draw(st.integers(1, 9)), draw(st.integers(1, 17)))
    kernel = (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    dilation = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    pads = tuple(draw(st.integers(0, 3)) for _ in range(4))
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    height = max(1, reach[0] - pads[0] - pads[1]) + draw(st.integers(0, 4))
    width = max(1, reach[1] - pads[2] - pads[3]) + draw(st.integers(0, 12))
    stride = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    return kernel, {"stride": stride, "pads": pads, "dilation": dilation}, (height, width)


@st.composite
def _encodings(draw: st.DrawFn, bits: int, rng: np.random.Generator) -> Encoding:
    kind = draw(st.sampled_from(("odd", "odd", "offset", "codebook")))
    if kind == "offset":
        return Offset(draw(st.integers(0, (1 << bits) - 1)))
    if kind == "codebook" and bits in (2, 3, 4):
        largest = draw(st.sampled_from((3, 15, 128)))
        low, high = draw(st.sampled_from(((-largest, largest), (-largest, -1), (1, largest))))  # of one sign, too
        return Codebook(np.clip(rng.integers(low, high + 1, 1 << bits), -128, 127).astype(np.int8))
    return Odd()


@st.composite
def _grouped(draw: st.DrawFn) -> tuple[int, int, int]:
    """Groups, and the input and output channels of one."""
    kind = draw(st.sampled_from(("one", "one", "some", "depthwise")))
    if kind == "one":
        return 1, draw(_CHANNELS), draw(_CHANNELS)
    if kind == "some":
        return draw(st.integers(2, 4)), draw(st.integers(1, 20)), draw(st.integers(1, 20))
    return draw(_CHANNELS), 1, draw(st.integers(1, 2))


@st.composite
def convolutions(
    draw: st.DrawFn,
    weight_bits: st.SearchStrategy[int] = _WEIGHT_WIDTHS,
    activation_bits: st.SearchStrategy[int] = st.integers(1, 8),  # noqa: B008  strategies are immutable
    plain: bool = False,
) -> tuple[Conv2d, tuple[np.ndarray]]:
    """Convolutions of every shape; plain: odd weights, one group, no zero codes, no signs.

    A third have constant operands, all at an end of their range.
    """
    rng = np.random.default_rng(draw(_SEEDS))
    kernel, keywords, image = draw(_geometries(plain))
    groups, of_group, out = (1, draw(_USUAL_CHANNELS), draw(_CHANNELS)) if plain else draw(_grouped())
    bits, width = draw(weight_bits), draw(activation_bits)
    if not plain:
        keywords["encoding"] = draw(_encodings(bits, rng))
        keywords["bipolar"] = width == 1 and draw(st.booleans())
        if not keywords["bipolar"] and draw(st.integers(0, 3)) == 0:
            keywords["zero"] = rng.integers(0, 1 << width, groups * of_group, dtype=np.uint8)
    codes = rng.integers(0, 1 << bits, (groups * out, *kernel, of_group), dtype=np.uint8)
    x = rng.integers(0, 1 << width, (draw(st.integers(1, 2)), *image, groups * of_group), dtype=np.uint8)
    if draw(st.integers(0, 2)) == 0:
        codes[:] = draw(st.sampled_from((0, (1 << bits) - 1)))
        x[:] = draw(st.sampled_from((0, (1 << width) - 1, (1 << width) - 1)))
    return Conv2d(codes, bits, width, groups=groups, **keywords), (x,)


def _thresholds_near(rng: np.random.Generator, sums: np.ndarray, bits: int) -> Thresholds:
    """Thresholds among these sums and their negatives, so that many are ties; every direction."""
    channels, levels = sums.shape[-1], (1 << bits) - 1
    table = rng.choice(sums.ravel(), (channels, levels)) + rng.integers(-1, 2, (channels, levels))
    direction = rng.choice(np.array([1, 1, -1, -1, 0], np.int8), channels)
    table = np.where(direction[:, None] < 0, -table, table)
    table = np.where(rng.random(table.shape) < 0.05, rng.choice([-(2**31), 2**31 - 1], table.shape), table)
    return Thresholds(np.sort(table, axis=1).astype(np.int32), direction, bits)


def _requantization_near(draw: st.DrawFn, rng: np.random.Generator, largest: int, channels: int) -> Requantize:
    """Multipliers and shifts that spread sums up to ``largest`` in size over the type of the output, and ties."""
    dtype = draw(st.sampled_from(("uint8", "int16")))
    limits = np.iinfo(dtype)
    shift = rng.integers(*draw(st.sampled_from(((0, 4), (0, 30), (0, 63), (32, 63)))), channels).astype(np.uint8)
    scale = rng.uniform(0.1, 4, channels) * limits.max / max(largest, 1)
    multiplier = np.clip(np.rint(scale * 2.0**shift), 1, 2**31 - 1) * rng.choice([1, -1], channels)
    low = draw(st.integers(limits.min, limits.max))
    bias = rng.integers(-largest, largest + 1, channels) if largest < 2**30 and draw(st.booleans()) else None
    return Requantize(
        multiplier.astype(np.int32),
        shift,
        draw(st.sampled_from((limits.min, low))),
        draw(st.sampled_from((limits.max, max(low, 0)))),
        None if bias is None else bias.astype(np.int32),
        draw(st.sampled_from((0, 3, -100, 128))),
        draw(st.sampled_from(tuple(ROUNDINGS))),
        dtype,
    )


@st.composite
def layers(draw: st.DrawFn, usual: bool | None = None) -> Layer:
    """Convolutions with each epilogue. usual: odd weights as wide as the activations, at most 4 bits."""
    rng = np.random.default_rng(draw(_SEEDS))
    if draw(st.booleans()) if usual is None else usual:
        bits = draw(st.sampled_from((1, 2, 2, 3, 4)))
        op, (x,) = draw(convolutions(st.just(bits), st.just(bits), plain=True))
    else:
        op, (x,) = draw(convolutions())
    epilogue: Epilogue | None = None
    kind = draw(st.sampled_from(("accumulators", "codes", "codes", "requantize")))
    if kind == "codes":
        epilogue = _thresholds_near(rng, op.run(x), draw(st.sampled_from((1, 2, 3, 4, 8))))
    elif kind == "requantize":
        epilogue = _requantization_near(draw, rng, op.bound, len(op.weight_codes))
    return Layer(op, epilogue, x, draw(st.booleans()))


#: Bits, input and output channels, stride and groups of 3x3 layers: every kernel of the table takes one of them.
_TYPICAL = (
    (1, 32, 20, 1, 1),
    (2, 32, 40, 2, 1),
    (2, 32, 33, 1, 1),
    (4, 16, 33, 1, 1),
    (8, 20, 9, 1, 1),
    (8, 24, 24, 1, 24),
)


def typical_layers() -> list[Layer]:
    """A few layers, always the same: each kernel takes one, which drawn ones do not promise."""
    made = []
    for bits, channels, out, stride, groups in _TYPICAL:
        rng = np.random.default_rng(bits)
        codes = rng.integers(0, 1 << bits, (out, 3, 3, channels // groups), np.uint8)
        op = Conv2d(codes, bits, bits, stride=(stride, stride), pads=(1, 1, 1, 1), groups=groups)
        made.append(Layer(op, None, rng.integers(0, 1 << bits, (1, 6, 7, channels), np.uint8), False))
    return made


# ---------------------------------------------------------------- the other operations


@st.composite
def _thresholds(draw: st.DrawFn) -> Drawn:
    rng = np.random.default_rng(draw(_SEEDS))
    op, x = random_thresholds(rng, draw(st.integers(1, 9)), draw(_CHANNELS), draw(st.integers(1, 8)))
    if draw(st.integers(0, 3)) == 0:
        x = x.astype(np.int16)
    return op, (x,)


@st.composite
def _requantizations(draw: st.DrawFn) -> Drawn:
    rng = np.random.default_rng(draw(_SEEDS))
    largest, channels = draw(st.sampled_from((9, 5000, 2**29, 2**31 - 1))), draw(_CHANNELS)
    op = _requantization_near(draw, rng, largest, channels)
    return op, (rng.integers(-largest, largest, (draw(st.integers(1, 5)), channels), np.int32, endpoint=True),)


@st.composite
def _residual_adds(draw: st.DrawFn) -> Drawn:
    rng = np.random.default_rng(draw(_SEEDS))
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 40)))
    cut = draw(st.integers(-(2**15), 2**15 - 1))  # no sum passes an end: a is on one side of what b leaves
    a = rng.integers(min(cut, 0), max(cut, 0), shape, np.int16, endpoint=True)
    b = rng.integers(-(2**15) - min(cut, 0), 2**15 - 1 - max(cut, 0), shape, np.int16, endpoint=True)
    return ResidualAdd(), (a, b)


@st.composite
def _windows(draw: st.DrawFn, kind: type[MaxPool] | type[SumWindows]) -> Drawn:
    rng = np.random.default_rng(draw(_SEEDS))
    kernel = (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    pads = tuple(draw(st.integers(0, kernel[side // 2] - 1)) for side in range(4))
    stride = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    height = max(1, kernel[0] - pads[0] - pads[1]) + draw(st.integers(0, 5))
    width = max(1, kernel[1] - pads[2] - pads[3]) + draw(st.integers(0, 5))
    x = rng.integers(0, 256, (draw(st.integers(1, 3)), height, width, draw(_CHANNELS)), dtype=np.uint8)
    return kind(kernel, stride, (pads[0], pads[1], pads[2], pads[3])), (x,)


@st.composite
def _sum_pools(draw: st.DrawFn) -> Drawn:
    rng = np.random.default_rng(draw(_SEEDS))
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 9)), draw(st.integers(1, 9)), draw(_CHANNELS))
    return SumPool(), (rng.integers(0, 256, shape, dtype=np.uint8),)


@st.composite
def _linears(draw: st.DrawFn) -> Drawn:
    rng = np.random.default_rng(draw(_SEEDS))
    bits, in_features, out_features = draw(_WEIGHT_WIDTHS), draw(_CHANNELS), draw(st.integers(1, 12))
    codes = rng.integers(0, 1 << bits, (out_features, in_features), dtype=np.uint8)
    bias = rng.integers(-(10**6), 10**6, out_features).astype(np.int32)
    x_max = draw(st.integers(0, (2**31 - 1 - 10**6) // (in_features * ((1 << bits) - 1))))
    x = rng.integers(0, x_max, (draw(st.integers(1, 3)), in_features), np.int32, endpoint=True)
    return Linear(codes, bits, x_max, bias), (x,)


@st.composite
def _linears_int8(draw: st.DrawFn) -> Drawn:
    rng = np.random.default_rng(draw(_SEEDS))
    in_features, out_features = draw(_CHANNELS), draw(st.integers(1, 12))
    weights = rng.integers(-128, 128, (out_features, in_features), dtype=np.int8)
    bias = rng.integers(-(10**6), 10**6, out_features).astype(np.int32)
    dtype = draw(st.sampled_from(("uint8", "int16")))
    limits = np.iinfo(dtype)
    x = rng.integers(limits.min, limits.max, (draw(st.integers(1, 3)), in_features), dtype, endpoint=True)
    return LinearInt8(weights, bias, dtype), (x,)


@st.composite
def _argmaxes(draw: st.DrawFn) -> Drawn:
    rng = np.random.default_rng(draw(_SEEDS))
    shape = (draw(st.integers(1, 9)), draw(st.integers(1, 12)))
    return Argmax(), (rng.integers(-3, 4, shape, np.int32),)


#: Strategies by the operation's name.
DRAWS: dict[str, st.SearchStrategy[Drawn]] = {
    "conv2d": convolutions(),
    "thresholds": _thresholds(),
    "requantize": _requantizations(),
    "residual_add": _residual_adds(),
    "max_pool": _windows(MaxPool),
    "sum_windows": _windows(SumWindows),
    "sum_pool": _sum_pools(),
    "linear": _linears(),
    "linear_int8": _linears_int8(),
    "argmax": _argmaxes(),
}
