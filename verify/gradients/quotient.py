"""Numeric derivatives with their error: central differences of two steps, extrapolated.

The step of an element x is ``h = cbrt(2^-52) scale``, where truncation (h^2) and rounding (2^-52 / h) balance, with
``scale = max(|x|, m)`` and m the mean of |x| over the argument (1 where all are 0). Differences are divided by how far
apart the rounded points x + h and x - h really are. Two central differences D(h) and D(h/2) give

    value = D(h/2) + (D(h/2) - D(h)) / 3                  (Richardson)
    error = |D(h/2) - D(h)| + 8 median|D(h/2) - D(h)| + 2^-50 A / h

The first term is three times the truncation of D(h/2). The median over the entries shows the noise of the function (a
property of the function, not of an entry); eight of them are six standard deviations. A is the sum of |gy| |f| at the
four points and, four times, where every argument is replaced by its absolute value (the terms of sums and products that
cancel; the largest argument itself where the function is not defined there): what rounding cannot undercut.

A quotient does not *settle* where its error, or the difference of the slopes on either side, is above 2^-10 of the
derivatives (of the largest, or of A / (4 scale) if that is more): there is a kink or a jump within h.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.errors import InputError

__all__ = ["EPSILON", "Function", "Quotient", "numeric_directional", "numeric_gradient"]

EPSILON = 2.0**-52
_RELATIVE_STEP = float(np.cbrt(EPSILON))
_SETTLED = 2.0**-10

Function = Callable[..., Any]


def float_arrays(args: Sequence[Any], positions: Sequence[int]) -> list[Any]:
    """The arguments, copies in float64 at the given positions."""
    arrays = list(args)
    for position in positions:
        arrays[position] = np.array(args[position], dtype=np.float64)
        if not np.isfinite(arrays[position]).all():
            raise InputError(f"argument {position}: expected finite numbers")
    return arrays


def output(function: Function, args: Sequence[Any]) -> np.ndarray:
    """The function's value in float64; a copy, as it may be a view of an argument that is about to be moved."""
    return np.array(function(*args), dtype=np.float64)


def _terms(function: Function, args: Sequence[Any], positions: Sequence[int]) -> np.ndarray:
    """|f| at the absolute values of the arguments; the largest of them where the function is not defined there."""
    moved = [np.abs(a) if n in positions else a for n, a in enumerate(args)]
    try:
        with np.errstate(all="ignore"):
            size = np.abs(output(function, moved))
    except (ValueError, ArithmeticError):
        return np.asarray(max(float(np.max(moved[n], initial=0.0)) for n in positions))
    return np.where(np.isfinite(size), size, 0.0)


def mean_size(x: np.ndarray) -> float:
    """The mean absolute value, 1 where that is 0."""
    return float(np.abs(x).mean()) if x.any() else 1.0


@dataclass(frozen=True)
class Quotient:
    """Numeric derivatives: an array of values, of the errors they may have, and whether each settled."""

    value: np.ndarray
    error: np.ndarray
    settled: np.ndarray


def _extrapolate(wide: np.ndarray, narrow: np.ndarray, bend: np.ndarray, size: np.ndarray, h: Any) -> Quotient:
    """The slopes of steps h and h/2 combined; ``bend`` is the difference of the one-sided slopes, ``size`` is A."""
    spread = np.abs(narrow - wide)
    noise = 8 * float(np.median(spread)) if spread.size else 0.0
    error = spread + noise + 4 * EPSILON * size / h
    value = narrow + (narrow - wide) / 3
    reference = np.maximum(np.max(np.abs(value), initial=0.0), _RELATIVE_STEP * size / (4 * h))
    return Quotient(value, error, (error <= _SETTLED * reference) & (bend <= _SETTLED * reference))


def numeric_gradient(function: Function, args: Sequence[Any], position: int, gy: np.ndarray) -> Quotient:
    """The gradient of ``sum(gy * function(*args))`` by one argument, in the shape of that argument."""
    args = float_arrays(args, [position])
    x = args[position]
    steps = _RELATIVE_STEP * np.maximum(np.abs(x), mean_size(x))
    middle = output(function, args)
    slopes, bend = np.zeros((2, *x.shape)), np.zeros(x.shape)
    size = np.full(x.shape, 4 * float(np.sum(np.abs(gy) * _terms(function, args, [position]))))
    for index in np.ndindex(x.shape):
        kept = x[index]
        for row, h in enumerate((steps[index], steps[index] / 2)):
            x[index] = kept + h
            above, forward = x[index], output(function, args)
            x[index] = kept - h
            below, backward = x[index], output(function, args)
            slopes[(row, *index)] = float(np.sum(gy * (forward - backward))) / (above - below)
            bend[index] = abs(float(np.sum(gy * ((forward - middle) + (backward - middle))))) / h
            size[index] += float(np.sum(np.abs(gy) * (np.abs(forward) + np.abs(backward))))
        x[index] = kept
    return _extrapolate(slopes[0], slopes[1], bend, size, steps)


def numeric_directional(
    function: Function, args: Sequence[Any], tangents: Sequence[Any]
) -> tuple[Quotient, tuple[Any, ...]]:
    """The derivative of the output along ``tangents`` (one an argument, of its size; None to leave it alone).

    Returns
    -------
    quotient : of the shape of the output
    tangents : those it really belongs to, which differ by the rounding of x + h t
    """
    positions = [n for n, t in enumerate(tangents) if t is not None]
    arrays = float_arrays(args, positions)
    middle = output(function, arrays)
    slopes, size = [], 4 * _terms(function, arrays, positions)
    bend = np.zeros(middle.shape)
    effective: list[list[Any]] = []
    for h in (_RELATIVE_STEP, _RELATIVE_STEP / 2):
        above, below, moved = list(arrays), list(arrays), list(tangents)
        for p in positions:
            above[p], below[p] = arrays[p] + h * tangents[p], arrays[p] - h * tangents[p]
            moved[p] = (above[p] - below[p]) / (2 * h)
        forward, backward = output(function, above), output(function, below)
        slopes.append((forward - backward) / (2 * h))
        bend = np.abs((forward - middle) + (backward - middle)) / h
        size = size + np.abs(forward) + np.abs(backward)
        effective.append(moved)
    exact = [w if w is None else n + (n - w) / 3 for w, n in zip(*effective, strict=True)]
    return _extrapolate(slopes[0], slopes[1], bend, size, _RELATIVE_STEP), tuple(exact)
