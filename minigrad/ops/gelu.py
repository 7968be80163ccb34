"""The Gaussian error linear unit, exact and as its authors approximate it."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.draw import Draw
from minigrad.elementary import erf, erf_slope, normal_cdf, normal_pdf, sech2, sqrt, tanh
from minigrad.errors import InputError
from minigrad.ops.pointwise import numbers, pointwise, weighted

Array = np.ndarray

_ROOT_TWO_OVER_PI = float.fromhex("0x1.9884533d43651p-1")
_CUBIC = 0.044715


def _gelu_parts(x: Array, approximate: str) -> tuple[Array, Array, Array]:
    """w, w' and w'' of gelu(x) = x w(x)."""
    if approximate == "none":
        density = normal_pdf(x)
        return normal_cdf(x), density, -weighted(x, density)
    square = x * x
    argument = _ROOT_TWO_OVER_PI * (x + _CUBIC * (x * square))
    t, steepness = tanh(argument), sech2(argument)
    inner = _ROOT_TWO_OVER_PI * (1 + 3 * _CUBIC * square)
    slope = 0.5 * weighted(inner, steepness)
    bend = 0.5 * weighted(6 * _ROOT_TWO_OVER_PI * _CUBIC * x, steepness)
    return 0.5 * (1 + t), slope, bend - 2 * t * weighted(inner, slope)


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
    if approximate == "none":
        w = normal_cdf(x)
    else:
        w = 0.5 * (1 + tanh(_ROOT_TWO_OVER_PI * (x + _CUBIC * (x * x * x))))
    return weighted(x, w), (x, approximate)


def gelu_slope(residual: Any) -> Array:
    x, approximate = residual
    w, slope, _ = _gelu_parts(x, approximate)
    return w + weighted(x, slope)


def gelu_curvature(x: Array, approximate: str = "none") -> Array:
    _, slope, bend = _gelu_parts(x, approximate)
    return 2 * slope + weighted(x, bend)


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
