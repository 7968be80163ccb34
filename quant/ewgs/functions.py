"""The pure functions of EWGS; ``quant.ewgs`` has the equations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.elementary import clip
from minigrad.errors import InputError
from minigrad.reduction import sum_to_shape, tree_sum
from quant.calibration import require_finite
from quant.domain import check_bits, check_range, check_shapes, refuse_nan, same_dtype
from quant.standardise import mean_and_std

__all__ = ["DELTA", "WIDTHS", "check_delta", "codes", "delta_of_traces", "hard", "hard_vjp", "levels", "partials"]

WIDTHS = tuple(range(1, 9))
#: The constant that the authors use in place of the rule.
DELTA = 1e-3


# A point far outside the range may overflow on the way to a result that is the range's end.
_quiet = np.errstate(over="ignore", invalid="ignore")


def check_delta(delta: Any) -> float:
    """delta as a float; InputError unless it is a finite number from 0 on."""
    number = isinstance(delta, (int, float, np.integer, np.floating)) and not isinstance(delta, bool)
    if not number or not 0 <= delta < math.inf:
        raise InputError(f"delta: expected a finite number from 0 on, got {delta!r}")
    return float(delta)


def _place(x: Any, l: Any, u: Any, bits: int, delta: float) -> tuple[Any, ...]:
    """Checked arguments in one dtype, then the width, x_n and N."""
    n = check_bits(bits)
    check_delta(delta)
    x, l, u = same_dtype(x, l, u)
    check_shapes(x, l, u)
    check_range(l, u, n)
    width = u - l
    return x, l, u, width, clip((x - l) / width, 0, 1), n


@_quiet
def _integers(x: Any, l: Any, u: Any, bits: int, delta: float) -> tuple[Any, Any, int]:
    """x, rint(N x_n) and N."""
    x, *_, v, n = _place(x, l, u, bits, delta)
    return x, np.rint(v * n), n


def hard(x: np.ndarray, l: Any, u: Any, *, bits: int, signed: bool = True, delta: float = DELTA) -> np.ndarray:
    """The quantizer; delta has no influence.

    Parameters
    ----------
    x : ndarray, float32 or float64, any shape
    l, u : ends of the range, l < u; broadcast against x
    bits : 1 to 8
    signed : values in [-1, 1], for weights; or in [0, 1]
    delta : strength of the gradient's scaling, at least 0

    Returns
    -------
    ndarray of the shape and dtype of x; NaN where x is NaN.

    Raises
    ------
    InputError
        If a parameter is outside its domain.
    """
    _, j, n = _integers(x, l, u, bits, delta)
    return np.asarray((2 * j - n) / n if signed else j / n)


@_quiet
def partials(
    x: np.ndarray, l: Any, u: Any, *, bits: int, signed: bool = True, delta: float = DELTA
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The derivatives of ``straight_through`` by x, l and u for every element: the gradients for delta = 0."""
    x, l, u, width, v, _ = _place(x, l, u, bits, delta)
    slope = np.where((x >= l) & (x <= u), x.dtype.type(2 if signed else 1) / width, x.dtype.type(0))
    return slope, np.where(slope == 0, slope, slope * ((x - u) / width)), -slope * v


@_quiet
def hard_vjp(
    gy: np.ndarray, x: np.ndarray, l: Any, u: Any, *, bits: int, signed: bool = True, delta: float = DELTA
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of x, l and u for the incoming gradient ``gy`` (the shape of x)."""
    *_, v, n = _place(x, l, u, bits, delta)
    scaled = gy * (1 + x.dtype.type(delta) * np.sign(gy) * (v - np.rint(v * n) / n))
    dx, dl, du = partials(x, l, u, bits=bits, signed=signed, delta=delta)
    return scaled * dx, sum_to_shape(scaled * dl, np.shape(l)), sum_to_shape(scaled * du, np.shape(u))


def codes(x: np.ndarray, l: Any, u: Any, *, bits: int, signed: bool = True, delta: float = DELTA) -> np.ndarray:
    """Integer codes rint(N x_n), uint8, ties to even; InputError if x holds NaN."""
    x, j, _ = _integers(x, l, u, bits, delta)
    refuse_nan(x)
    return np.asarray(j).astype(np.uint8)


def levels(l: Any, u: Any, *, bits: int, signed: bool = True, delta: float = DELTA) -> np.ndarray:
    """The value of each code, (2^bits, ...) in the dtype and shape of u."""
    n = check_bits(bits)
    check_delta(delta)
    check_range(l, u, n)
    u = np.asarray(u)
    j = np.arange(n + 1).astype(u.dtype)
    values = (2 * j - n) / n if signed else j / n
    return np.ascontiguousarray(np.broadcast_to(values.reshape(-1, *([1] * u.ndim)), (n + 1, *u.shape)))


def delta_of_traces(traces: Sequence[float], gradients: Sequence[np.ndarray]) -> float:
    """The paper's rule: max(0, mean of Tr(H)/(n 3 std(g))).

    Parameters
    ----------
    traces : estimates of Tr(H), one a batch, such as Hutchinson's: means of v.(H v) over random signs v
    gradients : the gradient by the same tensor in each batch, at least two different elements

    Raises
    ------
    InputError
        If there is none, their numbers differ, one is not finite, or a gradient is constant.
    """
    if len(traces) == 0 or len(traces) != len(gradients):
        raise InputError(f"traces: expected one a gradient, at least one, got {len(traces)} and {len(gradients)}")
    terms = []
    for trace, g in zip(traces, gradients, strict=True):
        require_finite(g)
        terms.append(float(trace) / (g.size * 3 * float(mean_and_std(np.asarray(g, np.float64))[1])))
    mean = float(tree_sum(np.array(terms))) / len(terms)
    if not math.isfinite(mean):
        raise InputError(f"traces: expected finite numbers, got {list(traces)}")
    return max(0.0, mean)
