"""The pure functions of N2UQ; ``quant.n2uq`` has the equations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from minigrad.errors import InputError
from minigrad.reduction import sum_to_shape
from quant.domain import check_bits, check_positive, refuse_nan, same_dtype

__all__ = [
    "BITS",
    "NARROWEST",
    "codes",
    "gradients",
    "hard",
    "hard_vjp",
    "levels",
    "partials",
    "piecewise_linear",
    "segments",
    "thresholds",
]

Array = np.ndarray
#: Bit widths the method takes.
BITS = tuple(range(1, 9))
#: The least width of a segment.
NARROWEST = 1e-3

# A point far outside may overflow on the way to a result that is an outer level.
_quiet = np.errstate(over="ignore", under="ignore", invalid="ignore")


def check_parameters(s1: Any, s2: Any, start: Any, a: Array, steps: int) -> None:
    """InputError unless s1, s2 and start are numbers, the first two above 0, and a has ``steps`` entries >= 1e-3."""
    for name, number in (("s1", s1), ("s2", s2), ("start", start)):
        if np.ndim(number):
            raise InputError(f"{name}: expected one number for the tensor, got shape {np.shape(number)}")
    check_positive("s1", s1)
    check_positive("s2", s2)
    if not np.isfinite(start):
        raise InputError(f"start: expected a finite number, got {start}")
    if np.shape(a) != (steps,):
        raise InputError(f"a: expected shape ({steps},), got {np.shape(a)}")
    if not ((a >= a.dtype.type(NARROWEST)) & (a < np.inf)).all():
        raise InputError(f"a: expected finite widths of at least {NARROWEST}, the least is {a.min()}")


def _place(x: Any, s1: Any, s2: Any, start: Any, a: Any, bits: int) -> tuple[Array, Any, Any, Any, Array, int]:
    steps = check_bits(bits)
    x, s1, s2, start, a = same_dtype(x, s1, s2, start, a)
    check_parameters(s1, s2, start, a, steps)
    return np.asarray(x), s1, s2, start, a, steps


def _edges(start: Any, a: Array) -> Array:
    """e_1 to e_{L+1}, each from the one before."""
    return np.cumsum(np.concatenate([np.reshape(start, 1), a]))


def thresholds(start: Any, a: Array) -> Array:
    """t_1 to t_L, each from the one before."""
    half = a / 2
    return np.cumsum(np.concatenate([np.reshape(start + half[0], 1), half[:-1] + half[1:]]))


def _count_below(v: Array, points: Array) -> Array:
    """How many of the ascending points are below each element; all for NaN."""
    return np.searchsorted(points, v, side="left")


def segments(v: Array, start: Any, a: Array) -> Array:
    """The number of the segment that holds each element: 0 below all, L + 1 above."""
    return _count_below(v, _edges(start, a))


def piecewise_linear(v: Array, start: Any, a: Array, segment: Array) -> Array:
    """P: from 0 at ``start`` up by 2/L on each of the L segments, then 2; on floats and object arrays.

    ``segment`` is ``segments(v, start, a)``; for an element elsewhere, the result is the line of that segment.
    """
    steps = len(a)
    at = np.clip(segment, 1, steps) - 1
    inside = 2 * (at + (v - _edges(start, a)[at]) / a[at]) / steps
    return np.where(segment == 0, 0, np.where(segment > steps, 2, inside))


@_quiet
def hard(x: Array, s1: Any, s2: Any, start: Any, a: Any, *, bits: int) -> Array:
    """The quantizer.

    Parameters
    ----------
    x : ndarray, float32 or float64, any shape
    s1, s2 : scale of the input and of the output, above 0
    start : lower end of the first segment
    a : (2^bits - 1,), widths of the segments, at least 1e-3
    bits : 1 to 8

    Returns
    -------
    ndarray of the shape and dtype of x; NaN where x is NaN.

    Raises
    ------
    InputError
        If a parameter is outside its domain.
    """
    x, s1, s2, start, a, steps = _place(x, s1, s2, start, a, bits)
    v = np.asarray(x * s1)
    values = _even(steps, x.dtype) * s2
    return np.asarray(np.where(np.isnan(v), v, values[_count_below(v, thresholds(start, a))]))


def _even(steps: int, dtype: Any) -> Array:
    """I k for k from 0 to L, each rounded once."""
    return (2 * np.arange(steps + 1)).astype(dtype) / dtype.type(steps)


@_quiet
def _slopes(x: Array, s1: Any, s2: Any, start: Any, a: Array, steps: int) -> tuple[Array, Array, Array, Array]:
    """Of every element: v, its segment (0 below, L + 1 above), the place of that in a, and s2 I/a_i or 0 outside."""
    v = np.asarray(x * s1)
    segment = segments(v, start, a)
    at = np.clip(segment, 1, steps) - 1
    inside = (segment > 0) & (segment <= steps)
    interval = x.dtype.type(2) / x.dtype.type(steps)
    return v, segment, at, np.where(inside, s2 * (interval / a[at]), x.dtype.type(0))


def _by_widths(v: Array, segment: Array, at: Array, slope: Array, start: Any, a: Array) -> Iterator[Array]:
    """The derivatives of every element by a_1, a_2, ..."""
    inside = slope != 0
    own = np.where(inside, -slope * ((v - _edges(start, a)[at]) / a[at]), slope)
    for j in range(len(a)):
        yield np.where(segment == j + 1, own, np.where(segment > j + 1, -slope, slope * 0))


@_quiet
def _partials_but_a(x: Array, s1: Any, s2: Any, start: Any, a: Array, steps: int, slope: Array) -> tuple[Array, ...]:
    ds1 = np.where(slope == 0, slope, slope * x)
    return slope * s1, ds1, hard(x, s1, 1.0, start, a, bits=steps.bit_length()), -slope


@_quiet
def partials(x: Array, s1: Any, s2: Any, start: Any, a: Any, *, bits: int) -> tuple[Array, ...]:
    """The derivatives of every element by x, s1, s2 and start, each of the shape of x, and by a: (L, ...)."""
    placed = _place(x, s1, s2, start, a, bits)
    v, segment, at, slope = _slopes(*placed)
    rows = np.stack(list(_by_widths(v, segment, at, slope, placed[3], placed[4])))
    return (*_partials_but_a(*placed, slope), rows)


@_quiet
def gradients(gy: Array, arrays: Sequence[Any], bits: int, needs: Sequence[bool]) -> tuple[Array | None, ...]:
    """Gradients of the arguments; None for those not needed."""
    x, s1, s2, start, a = arrays
    placed = _place(x, s1, s2, start, a, bits)
    v, segment, at, slope = _slopes(*placed)
    found: list[Array | None] = [
        sum_to_shape(np.asarray(gy * d), np.shape(argument)) if needed else None
        for d, argument, needed in zip(_partials_but_a(*placed, slope), arrays[:4], needs[:4], strict=True)
    ]
    if not needs[4]:
        return (*found, None)
    sums = [sum_to_shape(np.asarray(gy * d), ()) for d in _by_widths(v, segment, at, slope, placed[3], placed[4])]
    return (*found, np.asarray(sums, placed[0].dtype))


def hard_vjp(gy: Array, x: Array, s1: Any, s2: Any, start: Any, a: Any, *, bits: int) -> tuple[Array | None, ...]:
    """Gradients of x, s1, s2, start and a for the incoming gradient ``gy`` (the shape of x)."""
    return gradients(gy, (x, s1, s2, start, a), bits, (True,) * 5)


@_quiet
def codes(x: Array, s1: Any, s2: Any, start: Any, a: Any, *, bits: int) -> Array:
    """The number of thresholds below s1 x, uint8; InputError if x holds NaN."""
    x, s1, s2, start, a, _ = _place(x, s1, s2, start, a, bits)
    refuse_nan(x)
    return np.asarray(_count_below(np.asarray(x * s1), thresholds(start, a))).astype(np.uint8)


def levels(s1: Any, s2: Any, start: Any, a: Any, *, bits: int) -> Array:
    """The value of each code, 2 k/L s2, (2^bits,) in the dtype of s2; the last is 2 s2."""
    s2 = np.asarray(s2)
    check_positive("s2", s2)
    return np.asarray(_even(check_bits(bits), s2.dtype) * s2)
