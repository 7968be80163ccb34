"""The functions of DAQ over arrays; ``quant.daq`` has the equations.

``hard`` is the discretiser, which the soft argmax with its temperature controller is exactly, and ``partials`` are what
stands for its derivatives; ``soft`` is the soft argmax with one temperature. Weights are standardised before.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.elementary import clip, exp, expm1, floor, sigmoid
from minigrad.errors import InputError
from quant.domain import as_number, check_bits, check_range, check_shapes, refuse_nan, same_dtype
from quant.rules import sum_partials

__all__ = [
    "check_constant",
    "check_ends",
    "check_options",
    "codes",
    "hard",
    "hard_vjp",
    "levels",
    "partials",
    "soft",
    "soft_partials",
    "soft_vjp",
]

#: Limits of sigma, gamma and the temperature, within which neither float32 nor float64 overflows.
_LEAST, _MOST = 2.0**-30, 2.0**30
_MOST_GAMMA = 64.0

# A point far outside the range may overflow on the way to a result that is the range's end.
_quiet = np.errstate(over="ignore", invalid="ignore")


def check_constant(name: str, value: Any, most: float = _MOST) -> float:
    """The number; InputError unless it is one within the limits."""
    number = as_number(name, value)
    if not _LEAST <= number <= most:
        raise InputError(f"{name}: expected a number from 2^-30 to {most:g}, got {value!r}")
    return number


@_quiet
def check_ends(x: Any, l: Any, u: Any, n: int) -> tuple[Any, Any, Any]:
    """The arguments in the dtype of x; InputError unless l < u, and (u - l) N and 1/(u - l) do not overflow."""
    x, l, u = same_dtype(x, l, u)
    check_shapes(x, l, u)
    check_range(l, u)
    if not (np.all((u - l) * n < np.inf) and np.all(1 / (u - l) < np.inf)):
        raise InputError("l, u: the width of the range is too large or too small; scale the data")
    return x, l, u


def check_options(bits: int, sigma: float, gamma: float) -> tuple[int, float, float]:
    """N, sigma and gamma; InputError for a width or number outside its domain."""
    return check_bits(bits), check_constant("sigma", sigma), check_constant("gamma", gamma, _MOST_GAMMA)


def _place(x: Any, l: Any, u: Any, n: int) -> tuple[Any, Any]:
    """The lower candidate f and the distance r to it; at the upper end of the range the pair N - 1, N, with r = 1."""
    place = clip((x - l) * n / (u - l), 0, n)
    f = clip(floor(place), 0, n - 1)
    return f, place - f


def _output(phi: Any, n: int, signed: bool) -> np.ndarray:
    return np.asarray((2 * phi - n) / n if signed else phi / n)


def _chain(slope: Any, x: Any, l: Any, u: Any, n: int, signed: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The partial derivatives by x, l and u of an output with that slope by r."""
    width = u - l
    dx = slope / (width * 0.5 if signed else width)
    inside, zero = (x >= l) & (x <= u), x.dtype.type(0)
    found = (dx, dx * ((x - u) / width), -dx * ((x - l) / width))
    return (
        np.where(inside, found[0], zero),
        np.where(inside, found[1], zero),
        np.where(inside, found[2], zero),
    )


@_quiet
def hard(
    x: np.ndarray, l: Any, u: Any, *, bits: int, signed: bool = True, sigma: float = 1.0, gamma: float = 2.0
) -> np.ndarray:
    """The discretiser, which is the forward of training too.

    Parameters
    ----------
    x : ndarray, float32 or float64, any shape; weights are standardised
    l, u : lower and upper end of the range, l < u; broadcast against x
    bits : 1 to 8
    signed : levels in [-1, 1], for weights; otherwise in [0, 1], for activations
    sigma : width of the kernel; without influence here
    gamma : sharpness of the temperature controller, up to 64; without influence here

    Returns
    -------
    ndarray of the shape and dtype of x; NaN where x is NaN.

    Raises
    ------
    InputError
        If a parameter or option is outside its domain.
    """
    n, _, _ = check_options(bits, sigma, gamma)
    x, l, u = check_ends(x, l, u, n)
    f, r = _place(x, l, u, n)
    return _output(f + (r > 0.5), n, signed)


@_quiet
def partials(
    x: np.ndarray, l: Any, u: Any, *, bits: int, signed: bool = True, sigma: float = 1.0, gamma: float = 2.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What stands for the derivatives of every element by x, l and u, each of the shape of x: the closed form."""
    n, sigma, gamma = check_options(bits, sigma, gamma)
    x, l, u = check_ends(x, l, u, n)
    _, r = _place(x, l, u, n)
    distance = abs(1 - 2 * r) + (1 / sigma) / sigma
    # gamma / (2 sinh gamma)
    height = float(gamma / (expm1(gamma) - expm1(-gamma)))
    return _chain(height * (1 + 2 / expm1(distance)), x, l, u, n, signed)


def hard_vjp(
    gy: np.ndarray,
    x: np.ndarray,
    l: Any,
    u: Any,
    *,
    bits: int,
    signed: bool = True,
    sigma: float = 1.0,
    gamma: float = 2.0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of x, l and u for the incoming gradient ``gy`` (the shape of x)."""
    found = sum_partials(gy, partials(x, l, u, bits=bits, signed=signed, sigma=sigma, gamma=gamma), (x, l, u))
    return found[0], found[1], found[2]


@_quiet
def codes(
    x: np.ndarray, l: Any, u: Any, *, bits: int, signed: bool = True, sigma: float = 1.0, gamma: float = 2.0
) -> np.ndarray:
    """Integer codes, uint8, ties down; InputError as ``hard``, and if x holds NaN."""
    n, _, _ = check_options(bits, sigma, gamma)
    x, l, u = check_ends(x, l, u, n)
    refuse_nan(x)
    f, r = _place(x, l, u, n)
    return np.asarray(f + (r > 0.5)).astype(np.uint8)


def levels(l: Any, u: Any, *, bits: int, signed: bool = True, sigma: float = 1.0, gamma: float = 2.0) -> np.ndarray:
    """The value of each code, (2^bits,) in the dtype of u; the range has no influence on it."""
    n, _, _ = check_options(bits, sigma, gamma)
    u = np.asarray(u)
    check_range(np.asarray(l, u.dtype), u)
    return _output(np.arange(n + 1).astype(u.dtype), n, signed)


# ---------------------------------------------------------------- the ablation: one temperature


def _soft_place(
    x: Any, l: Any, u: Any, bits: int, temperature: float, sigma: float
) -> tuple[Any, Any, Any, int, Any, Any, Any]:
    """Checked arguments, N, the lower candidate, T (s_c - s_f), and s_f + s_c."""
    n, sigma, _ = check_options(bits, sigma, 1.0)
    temperature = check_constant("temperature", temperature)
    x, l, u = check_ends(x, l, u, n)
    f, r = _place(x, l, u, n)
    kernel = float(exp(-((1 / sigma) / sigma)))
    lower, upper = exp(-r), exp(r - 1)
    lower, upper = np.where(r > 0.5, lower * kernel, lower), np.where(r > 0.5, upper, upper * kernel)
    return x, l, u, n, f, temperature * (upper - lower), lower + upper


@_quiet
def soft(
    x: np.ndarray, l: Any, u: Any, *, bits: int, temperature: float, signed: bool = True, sigma: float = 1.0
) -> np.ndarray:
    """The soft argmax with one temperature and without rescaling.

    Parameters, result and errors are those of ``hard``; the temperature is above 0.
    """
    _, _, _, n, f, difference, _ = _soft_place(x, l, u, bits, temperature, sigma)
    return _output(f + sigmoid(difference), n, signed)


@_quiet
def soft_partials(
    x: np.ndarray, l: Any, u: Any, *, bits: int, temperature: float, signed: bool = True, sigma: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The derivatives of every element of ``soft`` by x, l and u, each of the shape of x."""
    x, l, u, n, _, difference, total = _soft_place(x, l, u, bits, temperature, sigma)
    slope = float(temperature) * (sigmoid(difference) * sigmoid(-difference)) * total
    return _chain(slope, x, l, u, n, signed)


def soft_vjp(
    gy: np.ndarray,
    x: np.ndarray,
    l: Any,
    u: Any,
    *,
    bits: int,
    temperature: float,
    signed: bool = True,
    sigma: float = 1.0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of x, l and u of ``soft`` for the incoming gradient ``gy`` (the shape of x)."""
    derivatives = soft_partials(x, l, u, bits=bits, temperature=temperature, signed=signed, sigma=sigma)
    found = sum_partials(gy, derivatives, (x, l, u))
    return found[0], found[1], found[2]
