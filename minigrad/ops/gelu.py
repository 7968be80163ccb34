"""The Gaussian error linear unit, exact and as its authors approximate it."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.dispatch import in_double
from minigrad.draw import Draw
from minigrad.elementary import erf, erf_slope, normal_cdf, normal_pdf, sech2, sigmoid, sqrt, tanh
from minigrad.errors import InputError
from minigrad.ops.pointwise import numbers, pointwise, weighted

Array = np.ndarray

_ROOT_TWO_OVER_PI = float.fromhex("0x1.9884533d43651p-1")
_CUBIC = 0.044715


def _argument(x: Array) -> Array:
    """Twice the argument of the approximation's tanh: (1 + tanh a) / 2 = sigmoid(2 a), which does not cancel."""
    return 2 * _ROOT_TWO_OVER_PI * (x + _CUBIC * (x * (x * x)))


def _gelu_parts(x: Array, approximate: str) -> tuple[Array, Array, Array]:
    """w, w' and w'' of gelu(x) = x w(x), for float64."""
    if approximate == "none":
        density = normal_pdf(x)
        return normal_cdf(x), density, -weighted(x, density)
    argument = _argument(x)
    t, steepness = tanh(0.5 * argument), sech2(0.5 * argument)
    inner = _ROOT_TWO_OVER_PI * (1 + 3 * _CUBIC * (x * x))
    slope = 0.5 * weighted(inner, steepness)
    bend = 0.5 * weighted(6 * _ROOT_TWO_OVER_PI * _CUBIC * x, steepness)
    return sigmoid(argument), slope, bend - 2 * t * weighted(inner, slope)


def gelu_forward(x: Array, approximate: str = "none") -> tuple[Array, Any]:
    """x Phi(x), Phi the distribution function of the normal distribution (Hendrycks & Gimpel 2016, arXiv 1606.08415).

    Parameters
    ----------
    approximate : "none" or "tanh"
        "none": x/2 (1 + erf(x / sqrt 2)). "tanh": x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), section 2.

    Raises
    ------
    InputError
        If ``approximate`` is neither.
    """
    if approximate not in ("none", "tanh"):
        raise InputError(f"gelu: approximate: expected 'none' or 'tanh', got {approximate!r}")
    # In double, and rounded once: the argument's own rounding would show in the tail.
    value, dtype = in_double(x)
    w = normal_cdf(value) if approximate == "none" else sigmoid(_argument(value))
    return weighted(value, w).astype(dtype, copy=False), (x, approximate)


def gelu_slope(residual: Any) -> Array:
    x, approximate = residual
    value, dtype = in_double(x)
    w, slope, _ = _gelu_parts(value, approximate)
    return (w + weighted(value, slope)).astype(dtype, copy=False)


def gelu_curvature(x: Array, approximate: str = "none") -> Array:
    value, dtype = in_double(x)
    _, slope, bend = _gelu_parts(value, approximate)
    return (2 * slope + weighted(value, bend)).astype(dtype, copy=False)


def gelu_definition(x: Array, approximate: str = "none") -> Array:
    root_two = sqrt(x * 0 + 2)
    if approximate == "none":
        return x * (1 + erf(x / root_two)) / 2
    # erf'(0) = 2/sqrt(pi)
    return x * (1 + tanh(erf_slope(x * 0) / root_two * (x + x * x * x * 44715 / 1000000))) / 2


def _gelu_options(draw: Draw) -> dict[str, Any]:
    return {"approximate": draw.choice(["none", "tanh"])}


pointwise(
    "gelu",
    gelu_forward,
    gelu_slope,
    gelu_definition,
    curvature=gelu_curvature,
    examples=numbers(-5.0, 5.0, (), _gelu_options),
)
