"""Functions of one element, smooth and otherwise: exp, log, sqrt, tanh, sigmoid, softplus, abs, sign, clip.

Each takes an array of float32 or float64 and gives one of the same shape and dtype. NaN stays NaN; infinities give the
limit.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad import elementary
from minigrad.draw import Draw
from minigrad.errors import InputError
from minigrad.ops.pointwise import drawn, numbers, on, pointwise
from minigrad.primitive import Example, Kink, KinkPoint

Array = np.ndarray


def exp_forward(x: Array) -> tuple[Array, Any]:
    """e^x, within 1 ulp in float64 and correctly rounded in float32."""
    y = elementary.exp(x)
    return y, y


def exp_slope(y: Array) -> Array:
    return y


def log_forward(x: Array) -> tuple[Array, Any]:
    """The natural logarithm; -inf at 0, NaN below."""
    return elementary.log(x), x


def log_slope(x: Array) -> Array:
    return 1 / x


def log_curvature(x: Array) -> Array:
    return -1 / (x * x)


def sqrt_forward(x: Array) -> tuple[Array, Any]:
    """The square root; NaN below 0. The gradient at 0 is infinite."""
    y = elementary.sqrt(x)
    return y, y


def sqrt_slope(y: Array) -> Array:
    return 0.5 / y


def sqrt_curvature(x: Array) -> Array:
    return -0.25 / (x * elementary.sqrt(x))


def tanh_forward(x: Array) -> tuple[Array, Any]:
    """The hyperbolic tangent."""
    return elementary.tanh(x), x


def tanh_slope(x: Array) -> Array:
    return elementary.sech2(x)


def tanh_curvature(x: Array) -> Array:
    return -2 * elementary.tanh(x) * elementary.sech2(x)


def sigmoid_forward(x: Array) -> tuple[Array, Any]:
    """The logistic function 1 / (1 + e^-x)."""
    return elementary.sigmoid(x), x


def sigmoid_slope(x: Array) -> Array:
    # 1 - sigmoid(x) would lose the slope's accuracy at large x.
    return elementary.sigmoid(x) * elementary.sigmoid(-x)


def sigmoid_curvature(x: Array) -> Array:
    s, rest = elementary.sigmoid(x), elementary.sigmoid(-x)
    return s * rest * (rest - s)


def softplus_forward(x: Array) -> tuple[Array, Any]:
    """log(1 + e^x), with no overflow at large x (Dugas et al., NIPS 2000)."""
    return elementary.softplus(x), x


def softplus_slope(x: Array) -> Array:
    return elementary.sigmoid(x)


def abs_forward(x: Array) -> tuple[Array, Any]:
    """|x|; its gradient at 0 is 0, the middle of [-1, 1], as in PyTorch and JAX's ``sign``."""
    return np.abs(x), x


def abs_slope(x: Array) -> Array:
    return np.sign(x)


def abs_definition(x: Array) -> Array:
    return abs(x)


def sign_forward(x: Array) -> tuple[Array, Any]:
    """-1, 0 or 1; sign 0 = 0. Its gradient is 0 everywhere, at the jump too."""
    return np.sign(x), x


def sign_slope(x: Array) -> Array:
    return np.zeros(x.shape, bool)


def _bound(name: str, value: Any, x: Array, otherwise: float) -> Any:
    """A bound in the dtype of x; the infinity that stands for none."""
    if value is None:
        return x.dtype.type(otherwise)
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not number or math.isnan(value):
        raise InputError(f"clip: {name}: expected a number or None, got {value!r}")
    return x.dtype.type(value)


def clip_forward(x: Array, low: float | None = None, high: float | None = None) -> tuple[Array, Any]:
    """x limited to [low, high].

    The bounds belong to the inside: where x equals one, the gradient is 1. A clip is what straight-through quantizers
    put before the rounding, and clipped data sits on the bounds exactly: with 0 there, a parameter that reaches a bound
    would stop learning, with no error. ``hardtanh`` does the same. (PyTorch up to 2.13 gives 1 for clamp and 0 for
    hardtanh, JAX 1/2 for clip.)

    Parameters
    ----------
    low, high : float or None
        The bounds, low <= high; None for no bound. Rounded to the dtype of x.

    Raises
    ------
    InputError
        If a bound is NaN or no number, or low > high.
    """
    lowest, highest = _bound("low", low, x, -np.inf), _bound("high", high, x, np.inf)
    if lowest > highest:
        raise InputError(f"clip: low: expected at most high, {high}, got {low}")
    # Written out, as which zero the functions maximum and minimum return depends on the processor.
    below, above = x < lowest, x > highest
    return np.where(below, lowest, np.where(above, highest, x)), ~(below | above)


def mask_slope(passes: Array) -> Array:
    return passes


def clip_definition(x: Array, low: float | None = None, high: float | None = None) -> Array:
    y = x if low is None else elementary.select(x < low, low, x)
    return y if high is None else elementary.select(y > high, high, y)


_BOUNDS: tuple[tuple[float | None, float | None], ...] = ((-1.0, 0.5), (0.0, 6.0), (None, 0.25), (-0.5, None))


def _clip_examples(draw: Draw, dtype: Any) -> Example:
    low, high = draw.choice(_BOUNDS)
    kinks = [bound for bound in (low, high) if bound is not None]
    return (drawn(draw, -3.0, 8.0, dtype, kinks),), {"low": low, "high": high}


def _at_low(draw: Draw, dtype: Any) -> KinkPoint:
    return on(-1.0, 1.0, [-1.0, 0.5], lambda _: {"low": -1.0, "high": draw.choice([0.5, None])})(draw, dtype)


def _at_high(draw: Draw, dtype: Any) -> KinkPoint:
    return on(0.5, 0.0, [-1.0, 0.5], lambda _: {"low": draw.choice([-1.0, None]), "high": 0.5})(draw, dtype)


_ZERO = [0.0]
pointwise("exp", exp_forward, exp_slope, elementary.exp, curvature=elementary.exp, examples=numbers(-8.0, 8.0))
pointwise(
    "log",
    log_forward,
    log_slope,
    elementary.log,
    curvature=log_curvature,
    examples=numbers(0.125, 8.0),
    domain="x > 0",
)
pointwise(
    "sqrt",
    sqrt_forward,
    sqrt_slope,
    elementary.sqrt,
    curvature=sqrt_curvature,
    examples=numbers(0.125, 8.0),
    domain="x > 0; the value at 0 too",
)
pointwise("tanh", tanh_forward, tanh_slope, elementary.tanh, curvature=tanh_curvature, examples=numbers(-5.0, 5.0))
pointwise(
    "sigmoid",
    sigmoid_forward,
    sigmoid_slope,
    elementary.sigmoid,
    curvature=sigmoid_curvature,
    examples=numbers(-20.0, 20.0),
)
pointwise(
    "softplus",
    softplus_forward,
    softplus_slope,
    elementary.softplus,
    curvature=sigmoid_slope,
    examples=numbers(-20.0, 20.0),
)
pointwise(
    "abs",
    abs_forward,
    abs_slope,
    abs_definition,
    examples=numbers(-4.0, 4.0, _ZERO),
    kinks=(Kink("x = 0", "0, the middle of [-1, 1]", on(0.0, 0.5, _ZERO)),),
)
pointwise(
    "sign",
    sign_forward,
    sign_slope,
    elementary.sign,
    examples=numbers(-4.0, 4.0, _ZERO),
    kinks=(Kink("x = 0", "0", on(0.0, 0.0, _ZERO), jump=True),),
)
pointwise(
    "clip",
    clip_forward,
    mask_slope,
    clip_definition,
    examples=_clip_examples,
    kinks=(
        Kink("x = low", "1, the slope from inside", _at_low),
        Kink("x = high", "1, the slope from inside", _at_high),
    ),
)
