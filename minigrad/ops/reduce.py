"""Sums, means and variances, by the tree of ``minigrad.reduction``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.draw import Draw, floats, shape_of
from minigrad.errors import InputError
from minigrad.ops.arguments import Axis, axes_of, count_along, is_integer, kept_shape
from minigrad.primitive import Example, Primitive, no_curvature, register
from minigrad.reduction import sum_over

__all__ = ["draw_axis", "mean_forward", "sum_forward", "var_forward"]

Array = np.ndarray
Needs = Sequence[bool]


def _shaped(y: Any, shape: tuple[int, ...], axes: tuple[int, ...], keepdims: bool) -> Array:
    y = np.asarray(y)
    return y.reshape(kept_shape(shape, axes)) if keepdims else y


def _spread(gy: Array, shape: tuple[int, ...], axes: tuple[int, ...]) -> Array:
    return np.broadcast_to(gy.reshape(kept_shape(shape, axes)), shape)


def sum_forward(x: Array, axis: Axis = None, keepdims: bool = False) -> tuple[Array, Any]:
    """Sum over some axes.

    Parameters
    ----------
    x : array, any shape
    axis : int, tuple of int or None
        The axes to sum over; None for all.
    keepdims : bool
        Keep them, with size 1.

    Returns
    -------
    array
        In the dtype of ``x``; a sum of nothing is 0.

    Raises
    ------
    InputError
        If ``x`` has no such axis, or it is named twice.
    """
    axes = axes_of("sum", x.ndim, axis)
    return _shaped(sum_over(x, axes), x.shape, axes, keepdims), (x.shape, axes)


def sum_vjp(gy: Array, residuals: Any, needs: Needs) -> tuple[Array | None, ...]:
    return (_spread(gy, *residuals),)


def sum_jvp(tangents: Sequence[Any], x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    return sum_forward(tangents[0], axis, keepdims)[0]


def sum_definition(x: Array, axis: Axis = None, keepdims: bool = False) -> Any:
    return x.sum(axis=axis, keepdims=keepdims)


def mean_forward(x: Array, axis: Axis = None, keepdims: bool = False) -> tuple[Array, Any]:
    """Arithmetic mean over some axes: the sum by the tree, divided by the number of terms.

    Parameters
    ----------
    x : array, any shape
    axis : int, tuple of int or None
        The axes to average over; None for all.
    keepdims : bool
        Keep them, with size 1.

    Returns
    -------
    array
        In the dtype of ``x``.

    Raises
    ------
    InputError
        If ``x`` has no such axis, or no element along them.
    """
    axes = axes_of("mean", x.ndim, axis)
    count = count_along("mean", x.shape, axes)
    return _shaped(sum_over(x, axes) / count, x.shape, axes, keepdims), (x.shape, axes, count)


def mean_vjp(gy: Array, residuals: Any, needs: Needs) -> tuple[Array | None, ...]:
    shape, axes, count = residuals
    return (_spread(np.asarray(gy / count), shape, axes),)


def mean_jvp(tangents: Sequence[Any], x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    return mean_forward(tangents[0], axis, keepdims)[0]


def mean_definition(x: Array, axis: Axis = None, keepdims: bool = False) -> Any:
    total = x.sum(axis=axis, keepdims=keepdims)
    return total / (x.size // np.size(total))


def _centred(x: Array, axes: tuple[int, ...], count: int) -> Array:
    """x minus its mean over the axes."""
    return x - np.reshape(sum_over(x, axes) / count, kept_shape(x.shape, axes))


def _divisor(count: int, correction: int) -> int:
    if not is_integer(correction) or not 0 <= correction < count:
        raise InputError(
            f"var: correction: expected an integer of at least 0 and below the {count} elements, got {correction!r}"
        )
    return count - correction


def var_forward(x: Array, axis: Axis = None, correction: int = 0, keepdims: bool = False) -> tuple[Array, Any]:
    """Variance over some axes, in two passes: the mean, then ``sum((x - mean)^2) / (n - correction)``.

    Parameters
    ----------
    x : array, any shape
    axis : int, tuple of int or None
        The axes; None for all. They hold n elements together.
    correction : int
        0 for the variance of the elements themselves (biased, as batch normalisation takes it), 1 for Bessel's
        unbiased estimate; below n.
    keepdims : bool
        Keep the axes, with size 1.

    Returns
    -------
    array
        In the dtype of ``x``. Second derivative: ``2 gy (t - mean(t)) / (n - correction)`` along t.

    Raises
    ------
    InputError
        If ``x`` has no such axis or no element along them, or the correction leaves no divisor.
    """
    axes = axes_of("var", x.ndim, axis)
    count = count_along("var", x.shape, axes)
    divisor = _divisor(count, correction)
    centred = _centred(x, axes, count)
    y = sum_over(centred * centred, axes) / divisor
    return _shaped(y, x.shape, axes, keepdims), (centred, axes, divisor)


def _var_gradient(gy: Array, centred: Array, axes: tuple[int, ...], divisor: int) -> Array:
    return np.reshape(2 * gy / divisor, kept_shape(centred.shape, axes)) * centred


def var_vjp(gy: Array, residuals: Any, needs: Needs) -> tuple[Array | None, ...]:
    return (_var_gradient(gy, *residuals),)


def var_jvp(tangents: Sequence[Any], x: Array, axis: Axis = None, correction: int = 0, keepdims: bool = False) -> Array:
    _, (centred, axes, divisor) = var_forward(x, axis, correction, keepdims)
    return _shaped(2 * sum_over(centred * tangents[0], axes) / divisor, x.shape, axes, keepdims)


def var_hvp(
    gy: Array, tangents: Sequence[Any], x: Array, axis: Axis = None, correction: int = 0, keepdims: bool = False
) -> tuple[Array | None, ...]:
    axes = axes_of("var", x.ndim, axis)
    count = count_along("var", x.shape, axes)
    return (_var_gradient(gy, _centred(tangents[0], axes, count), axes, _divisor(count, correction)),)


def var_definition(x: Array, axis: Axis = None, correction: int = 0, keepdims: bool = False) -> Any:
    total = x.sum(axis=axis, keepdims=True)
    count = x.size // np.size(total)
    squares = np.empty(x.shape, object)
    squares[...] = (x - total / count) * (x - total / count)
    return squares.sum(axis=axis, keepdims=keepdims) / (count - correction)


def draw_axis(draw: Draw, ndim: int) -> Axis:
    """None, one axis from either end, two of them, or none at all."""
    if ndim == 0:
        return draw.choice([None, ()])
    one = draw.integer(-ndim, ndim - 1)
    pair = tuple(int(n) for n in draw.permutation(ndim)[:2])
    return draw.choice([None, one, (one,), pair, ()])


def _examples(draw: Draw, dtype: Any) -> Example:
    x = floats(draw, -2.0, 2.0, shape_of(draw, (0, 3), (1, 4)), dtype)
    axis = draw_axis(draw, x.ndim)
    return (draw.choice([x, x.T, x[::-1] if x.ndim else x]),), {"axis": axis, "keepdims": draw.choice([False, True])}


def _var_examples(draw: Draw, dtype: Any) -> Example:
    (x,), options = _examples(draw, dtype)
    count = count_along("var", x.shape, axes_of("var", x.ndim, options["axis"]))
    return (x,), {**options, "correction": draw.integer(0, min(2, count - 1))}


register(
    Primitive(
        "sum",
        sum_forward,
        sum_vjp,
        sum_jvp,
        definition=sum_definition,
        domain="all real numbers",
        kinks=(),
        examples=_examples,
        hvp=no_curvature,
    )
)
register(
    Primitive(
        "mean",
        mean_forward,
        mean_vjp,
        mean_jvp,
        definition=mean_definition,
        domain="at least one element along the axes",
        kinks=(),
        examples=_examples,
        hvp=no_curvature,
    )
)
register(
    Primitive(
        "var",
        var_forward,
        var_vjp,
        var_jvp,
        definition=var_definition,
        domain="more elements along the axes than the correction",
        kinks=(),
        examples=_var_examples,
        hvp=var_hvp,
    )
)
