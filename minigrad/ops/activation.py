"""Activation functions: relu and what is made like it, silu, hardswish.

Each takes an array of float32 or float64 and gives one of the same shape and dtype. NaN stays NaN; infinities give the
limit. At kinks: relu has the slope 0 at 0, and what is made of relu and of ``clip`` has the slope that the composition
has (relu6 = clip(relu(x), high=6), hardtanh = clip(x, -1, 1), hardswish = x relu6(x + 3)/6).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.draw import Draw, away_from
from minigrad.elementary import clip, exp, select, sigmoid
from minigrad.errors import InputError
from minigrad.ops.broadcasting import register_quiet, tangent_or_zero
from minigrad.ops.elementwise import mask_slope
from minigrad.ops.pointwise import GAP, numbers, on, pointwise, weighted
from minigrad.primitive import Example, Kink, KinkPoint
from minigrad.reduction import sum_to_shape

Array = np.ndarray


def relu_forward(x: Array) -> tuple[Array, Any]:
    """max(x, 0) (Nair & Hinton, ICML 2010); its gradient at 0 is 0."""
    # NaN stays NaN. Adding 0 makes -0 +0: which zero maximum returns depends on the processor.
    return np.maximum(x, 0) + x.dtype.type(0), x > 0


def relu_definition(x: Array) -> Array:
    return select(x > 0, x, x * 0)


def relu6_forward(x: Array) -> tuple[Array, Any]:
    """min(max(x, 0), 6) (Krizhevsky 2010, Convolutional Deep Belief Networks on CIFAR-10).

    Its gradient is 0 at 0, as of ``relu``, and 1 at 6, as of ``clip``.
    """
    y = relu_forward(x)[0]
    return np.where(y > 6, x.dtype.type(6), y), (x > 0) & (x <= 6)


def relu6_definition(x: Array) -> Array:
    return select(x > 6, x * 0 + 6, relu_definition(x))


def hardtanh_forward(x: Array) -> tuple[Array, Any]:
    """x limited to [-1, 1] (Collobert 2004); its gradient at the bounds is 1, as of ``clip``."""
    below, above = x < -1, x > 1
    one = x.dtype.type(1)
    return np.where(below, -one, np.where(above, one, x)), ~(below | above)


def hardtanh_definition(x: Array) -> Array:
    return clip(x, -1, 1)


def leaky_relu_forward(x: Array, slope: float = 0.01) -> tuple[Array, Any]:
    """x where it is positive, slope x elsewhere (Maas et al., ICML workshop 2013); its gradient at 0 is the slope.

    Parameters
    ----------
    slope : float
        Rounded to the dtype of x.

    Raises
    ------
    InputError
        If the slope is not a finite number.
    """
    if isinstance(slope, bool) or not isinstance(slope, (int, float, np.integer, np.floating)) or slope - slope != 0:
        raise InputError(f"leaky_relu: slope: expected a finite number, got {slope!r}")
    factor = np.where(x > 0, x.dtype.type(1), x.dtype.type(slope))
    return x * factor, factor


def leaky_relu_slope(factor: Array) -> Array:
    return factor


def leaky_relu_definition(x: Array, slope: float = 0.01) -> Array:
    return select(x > 0, x, x * slope)


# ---------------------------------------------------------------- a learned slope


def prelu_forward(x: Array, slope: Array) -> tuple[Array, Any]:
    """x where it is positive, slope x elsewhere, the slope learned (He et al., ICCV 2015, eq 1).

    At x = 0 the gradient of x is the slope, that of the slope 0.

    Parameters
    ----------
    x : array (..., channels)
    slope : array (channels,), or of one element for all channels

    Raises
    ------
    InputError
        If the slope has another shape.
    """
    channels = x.shape[-1:] if x.ndim else ()
    if slope.shape not in ((), (1,), channels) or (x.ndim == 0 and slope.shape):
        raise InputError(f"prelu: slope: expected shape {channels} or one element, got {slope.shape}")
    return np.where(x > 0, x, x * slope), (x, slope)


def prelu_vjp(gy: Array, residuals: Any, needs: Sequence[bool]) -> tuple[Array | None, ...]:
    x, slope = residuals
    of_slope = sum_to_shape(np.where(x > 0, gy.dtype.type(0), gy * x), slope.shape) if needs[1] else None
    return np.where(x > 0, gy, gy * slope) if needs[0] else None, of_slope


def prelu_jvp(tangents: Sequence[Array | None], x: Array, slope: Array) -> Array:
    tx, ts = (tangent_or_zero(t, a) for t, a in zip(tangents, (x, slope), strict=True))
    return np.where(x > 0, tx, tx * slope + x * ts)


def prelu_hvp(gy: Array, tangents: Sequence[Array | None], x: Array, slope: Array) -> tuple[Array | None, ...]:
    tx, ts = tangents
    negative = np.where(x > 0, gy.dtype.type(0), gy)
    return None if ts is None else negative * ts, None if tx is None else sum_to_shape(negative * tx, slope.shape)


def prelu_definition(x: Array, slope: Array) -> Array:
    return select(x > 0, x, x * slope)


_PRELU_SHAPES = (((2, 3), (3,)), ((2, 2, 2, 3), ()), ((4,), (1,)), ((), ()), ((2, 1), (1,)), ((0, 2), (2,)))


def _prelu_examples(draw: Draw, dtype: Any) -> Example:
    shape, slope = draw.choice(_PRELU_SHAPES)
    x = away_from(draw, -3.0, 3.0, shape, [0.0], GAP).astype(dtype)
    return (x, draw.uniform(-0.5, 1.5, slope).astype(dtype)), {}


def _prelu_at_zero(draw: Draw, dtype: Any) -> KinkPoint:
    x = away_from(draw, -3.0, 3.0, (2, 3), [0.0], GAP).astype(dtype)
    index = (draw.integer(0, 1), draw.integer(0, 2))
    x[index] = 0
    return KinkPoint((x, draw.uniform(-0.5, 0.5, (3,)).astype(dtype)), {}, 0, index, 0.0)


# ---------------------------------------------------------------- silu and hardswish


def silu_forward(x: Array) -> tuple[Array, Any]:
    """x sigmoid(x) (Elfwing et al. 2017, arXiv 1702.03118; "swish" in Ramachandran et al. 2017)."""
    return weighted(x, sigmoid(x)), x


def silu_slope(x: Array) -> Array:
    s = sigmoid(x)
    return s + weighted(x, s * sigmoid(-x))


def silu_curvature(x: Array) -> Array:
    s, rest = sigmoid(x), sigmoid(-x)
    return 2 * s * rest + weighted(x, s * rest * (rest - s))


def silu_definition(x: Array) -> Array:
    return x / (1 + exp(-x))


def hardswish_forward(x: Array) -> tuple[Array, Any]:
    """x relu6(x + 3)/6 (Howard et al., Searching for MobileNetV3, ICCV 2019, section 5.2).

    Its gradient is 0 at -3 and 3/2 at 3: the slope on the left, which is what the composition has.
    """
    inside = x * (x + 3) / 6
    return np.where(x <= -3, x.dtype.type(0), np.where(x >= 3, x, inside)), x


def hardswish_slope(x: Array) -> Array:
    return np.where(x <= -3, x.dtype.type(0), np.where(x > 3, x.dtype.type(1), (2 * x + 3) / 6))


def hardswish_curvature(x: Array) -> Array:
    return np.where((x > -3) & (x <= 3), x.dtype.type(1) / x.dtype.type(3), x.dtype.type(0))


def hardswish_definition(x: Array) -> Array:
    return x * clip(x + 3, 0, 6) / 6


# ---------------------------------------------------------------- the records


def _slopes(draw: Draw) -> dict[str, Any]:
    return {"slope": draw.choice([0.01, 0.25, -0.5])}


_ZERO, _BOUNDS, _SIX, _THREE = [0.0], [-1.0, 1.0], [0.0, 6.0], [-3.0, 3.0]
pointwise(
    "relu",
    relu_forward,
    mask_slope,
    relu_definition,
    examples=numbers(-4.0, 4.0, _ZERO),
    kinks=(Kink("x = 0", "0, the left slope", on(0.0, 0.0, _ZERO)),),
)
pointwise(
    "relu6",
    relu6_forward,
    mask_slope,
    relu6_definition,
    examples=numbers(-4.0, 10.0, _SIX),
    kinks=(
        Kink("x = 0", "0, the left slope", on(0.0, 0.0, _SIX)),
        Kink("x = 6", "1, the left slope", on(6.0, 0.0, _SIX)),
    ),
)
pointwise(
    "hardtanh",
    hardtanh_forward,
    mask_slope,
    hardtanh_definition,
    examples=numbers(-4.0, 4.0, _BOUNDS),
    kinks=(
        Kink("x = -1", "1, the slope from inside", on(-1.0, 1.0, _BOUNDS)),
        Kink("x = 1", "1, the slope from inside", on(1.0, 0.0, _BOUNDS)),
    ),
)
pointwise(
    "leaky_relu",
    leaky_relu_forward,
    leaky_relu_slope,
    leaky_relu_definition,
    examples=numbers(-4.0, 4.0, _ZERO, _slopes),
    kinks=(Kink("x = 0", "the left slope", on(0.0, 0.0, _ZERO, _slopes)),),
)
register_quiet(
    "prelu",
    (prelu_forward, prelu_vjp, prelu_jvp, prelu_definition),
    _prelu_examples,
    hvp=prelu_hvp,
    kinks=(Kink("x = 0", "the left slope", _prelu_at_zero),),
)
pointwise("silu", silu_forward, silu_slope, silu_definition, curvature=silu_curvature, examples=numbers(-20.0, 20.0))
pointwise(
    "hardswish",
    hardswish_forward,
    hardswish_slope,
    hardswish_definition,
    curvature=hardswish_curvature,
    examples=numbers(-6.0, 6.0, _THREE),
    kinks=(
        Kink("x = -3", "0, the left slope", on(-3.0, 0.0, _THREE)),
        Kink("x = 3", "3/2, the left slope", on(3.0, 0.0, _THREE)),
    ),
)
