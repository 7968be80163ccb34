"""The largest and the smallest element along axes. Ties share the gradient evenly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.draw import Draw, distinct, shape_of
from minigrad.ops.arguments import Axis, axes_of, count_along, kept_shape
from minigrad.ops.reduce import draw_axis
from minigrad.primitive import Example, Kink, KinkPoint, Primitive, no_curvature, register
from minigrad.reduction import sum_over

__all__ = ["max_forward", "min_forward"]

Array = np.ndarray
Needs = Sequence[bool]


def _extremum(name: str, x: Array, axis: Axis, keepdims: bool) -> tuple[Array, Any]:
    """The extreme elements, and which they are: (winners, how many in each group, axes)."""
    axes = axes_of(name, x.ndim, axis)
    count_along(name, x.shape, axes)
    # Adding 0 makes -0 +0: which zero NumPy returns depends on the processor.
    y = np.asarray(getattr(x, name)(axis=axes, keepdims=True) + x.dtype.type(0))
    # Beside a NaN nothing equals the value, so there the NaNs are the winners.
    winners = (x == y) | np.isnan(x)
    value = y if keepdims else y.reshape([size for n, size in enumerate(x.shape) if n not in axes])
    return value, (winners, np.asarray(winners.sum(axis=axes, keepdims=True), x.dtype), axes)


def max_forward(x: Array, axis: Axis = None, keepdims: bool = False) -> tuple[Array, Any]:
    """The largest element along some axes.

    Parameters
    ----------
    x : array, any shape
    axis : int, tuple of int or None
        The axes to search; None for all.
    keepdims : bool
        Keep them, with size 1.

    Returns
    -------
    array
        In the dtype of ``x``; NaN where any element is NaN, and a zero is +0. The gradient goes to the largest
        element. Where k elements are the largest, each gets 1/k of it; where the value is NaN, the NaNs share it.

    Raises
    ------
    InputError
        If ``x`` has no such axis, or no element along them.
    """
    return _extremum("max", x, axis, keepdims)


def min_forward(x: Array, axis: Axis = None, keepdims: bool = False) -> tuple[Array, Any]:
    """The smallest element along some axes.

    Parameters
    ----------
    x : array, any shape
    axis : int, tuple of int or None
        The axes to search; None for all.
    keepdims : bool
        Keep them, with size 1.

    Returns
    -------
    array
        In the dtype of ``x``; NaN where any element is NaN, and a zero is +0. The gradient goes to the smallest
        element. Where k elements are the smallest, each gets 1/k of it; where the value is NaN, the NaNs share it.

    Raises
    ------
    InputError
        If ``x`` has no such axis, or no element along them.
    """
    return _extremum("min", x, axis, keepdims)


def extremum_vjp(gy: Array, residuals: Any, needs: Needs) -> tuple[Array | None, ...]:
    winners, count, _ = residuals
    return (np.where(winners, gy.reshape(count.shape) / count, gy.dtype.type(0)),)


def _mean_of_winners(t: Array, residuals: Any, keepdims: bool) -> Array:
    winners, count, axes = residuals
    total = sum_over(np.where(winners, t, t.dtype.type(0)), axes)
    return total.reshape(count.shape) / count if keepdims else total / count.reshape(total.shape)


def max_jvp(tangents: Sequence[Any], x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    return _mean_of_winners(tangents[0], max_forward(x, axis)[1], keepdims)


def min_jvp(tangents: Sequence[Any], x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    return _mean_of_winners(tangents[0], min_forward(x, axis)[1], keepdims)


def _best_of_each_group(x: Array, axis: Axis, keepdims: bool, better: Callable[[Any, Any], bool]) -> Any:
    axes = axes_of("max", x.ndim, axis)
    y = np.empty(kept_shape(x.shape, axes), object)
    for index in np.ndindex(*x.shape):
        group = tuple(0 if n in axes else i for n, i in enumerate(index))
        if y[group] is None or better(x[index], y[group]):
            y[group] = x[index]
    return y if keepdims else y.reshape([size for n, size in enumerate(x.shape) if n not in axes])


def max_definition(x: Array, axis: Axis = None, keepdims: bool = False) -> Any:
    return _best_of_each_group(x, axis, keepdims, lambda a, b: bool(a > b))


def min_definition(x: Array, axis: Axis = None, keepdims: bool = False) -> Any:
    return _best_of_each_group(x, axis, keepdims, lambda a, b: bool(a < b))


def _examples(draw: Draw, dtype: Any) -> Example:
    x = distinct(draw, shape_of(draw, (0, 3), (1, 4))).astype(dtype)
    options = {"axis": draw_axis(draw, x.ndim), "keepdims": draw.choice([False, True])}
    return (draw.choice([x, x.T]),), options


def _tie(draw: Draw, dtype: Any) -> tuple[Array, tuple[int, int], int]:
    """Rows of which one has its largest element several times; one of them, and how many they are."""
    columns = draw.integer(2, 5)
    x = distinct(draw, (draw.integer(1, 3), columns))
    tied = draw.permutation(columns)[: draw.integer(2, columns)]
    row = draw.integer(0, x.shape[0] - 1)
    x[row, tied] = draw.choice([0.0, 8.0]) + x.max() + 1.0
    return x.astype(dtype), (row, int(tied[0])), tied.size


def _largest_tied(draw: Draw, dtype: Any) -> KinkPoint:
    x, index, count = _tie(draw, dtype)
    return KinkPoint((x,), {"axis": 1}, 0, index, 1 / count)


def _smallest_tied(draw: Draw, dtype: Any) -> KinkPoint:
    x, index, count = _tie(draw, dtype)
    # Here the slope to the left is the 1 and that to the right the 0.
    return KinkPoint((-x,), {"axis": 1}, 0, index, 1 - 1 / count)


register(
    Primitive(
        "max",
        max_forward,
        extremum_vjp,
        max_jvp,
        definition=max_definition,
        domain="at least one element along the axes",
        kinks=(Kink("several largest elements", "they share it evenly", _largest_tied),),
        examples=_examples,
        hvp=no_curvature,
    )
)
register(
    Primitive(
        "min",
        min_forward,
        extremum_vjp,
        min_jvp,
        definition=min_definition,
        domain="at least one element along the axes",
        kinks=(Kink("several smallest elements", "they share it evenly", _smallest_tied),),
        examples=_examples,
        hvp=no_curvature,
    )
)
