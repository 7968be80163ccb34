"""The logarithm of a sum of exponentials, and softmax; no shift of the argument overflows.

With s = softmax(x) and t a direction, the derivative of s along t is ``s (t - <s, t>)``; every second derivative here
follows from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.draw import Draw, floats, shape_of
from minigrad.elementary import exp, log
from minigrad.ops.arguments import Axis, axes_of, axis_of, count_along, kept_shape
from minigrad.ops.reduce import draw_axis
from minigrad.primitive import Example, Primitive, register
from minigrad.reduction import sum_over

__all__ = ["exponentials", "log_softmax_forward", "logsumexp_forward", "softmax_forward", "softmax_slope"]

Array = np.ndarray
Axes = tuple[int, ...]
Needs = Sequence[bool]


def _sum_kept(x: Array, axes: Axes) -> Array:
    return sum_over(x, axes).reshape(kept_shape(x.shape, axes))


def exponentials(x: Array, axes: Axes) -> tuple[Array, Array, Array, Array]:
    """``m``, the largest element along the axes (0 where it is infinite or NaN), x - m, sum(exp(x - m)), softmax(x)."""
    m = x.max(axis=axes, keepdims=True)
    finite = np.isfinite(m)
    if not finite.all():
        m = np.where(finite, m, x.dtype.type(0))
    # A difference below the range of the dtype has the exponential 0; softmax is NaN where nothing is above -inf, or
    # something is +inf.
    with np.errstate(over="ignore", invalid="ignore"):
        shifted = x - m
        e = exp(shifted)
        total = _sum_kept(e, axes)
        return m, shifted, total, e / total


def softmax_slope(s: Array, t: Array, axes: Axes) -> Array:
    """``s (t - <s, t>)``: the derivative of softmax along t, and, being symmetric, its vjp."""
    return s * (t - _sum_kept(s * t, axes))


def logsumexp_forward(x: Array, axis: Axis = None, keepdims: bool = False) -> tuple[Array, Any]:
    """``log(sum(exp(x)))`` over some axes, as ``m + log(sum(exp(x - m)))`` with m the largest element.

    Parameters
    ----------
    x : array, any shape
        Elements of -inf count as nothing; where all are -inf, so is the value (and its gradient is NaN).
    axis : int, tuple of int or None
        The axes to sum over; None for all.
    keepdims : bool
        Keep them, with size 1.

    Returns
    -------
    array
        In the dtype of ``x``. Gradient: ``gy s``, s = softmax(x); second derivative along t: ``gy s (t - <s, t>)``.

    Raises
    ------
    InputError
        If ``x`` has no such axis, or no element along them.
    """
    axes = axes_of("logsumexp", x.ndim, axis)
    count_along("logsumexp", x.shape, axes)
    m, _, total, s = exponentials(x, axes)
    y = np.asarray(log(total) + m)
    value = y if keepdims else y.reshape([size for n, size in enumerate(x.shape) if n not in axes])
    return value, (s, axes)


def logsumexp_vjp(gy: Array, residuals: Any, needs: Needs) -> tuple[Array | None, ...]:
    s, axes = residuals
    return (gy.reshape(kept_shape(s.shape, axes)) * s,)


def logsumexp_jvp(tangents: Sequence[Any], x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    value, (s, axes) = logsumexp_forward(x, axis, keepdims)
    return sum_over(s * tangents[0], axes).reshape(value.shape)


def logsumexp_hvp(
    gy: Array, tangents: Sequence[Any], x: Array, axis: Axis = None, keepdims: bool = False
) -> tuple[Array | None, ...]:
    _, (s, axes) = logsumexp_forward(x, axis, keepdims)
    return (gy.reshape(kept_shape(x.shape, axes)) * softmax_slope(s, tangents[0], axes),)


def _pivot(x: Array, axes: tuple[int, ...]) -> Array:
    """One element along the axes: exp(x - pivot) neither overflows nor vanishes, and is as exact as exp(x)."""
    return x[tuple(slice(0, 1) if n in axes else slice(None) for n in range(x.ndim))]


def logsumexp_definition(x: Array, axis: Axis = None, keepdims: bool = False) -> Any:
    axes = axes_of("logsumexp", x.ndim, axis)
    pivot = _pivot(x, axes)
    total = np.asarray(exp(np.asarray(x - pivot, object)).sum(axis=axes, keepdims=True), object)
    y = np.asarray(log(total) + pivot, object)
    return y if keepdims else y.reshape([size for n, size in enumerate(x.shape) if n not in axes])


def softmax_forward(x: Array, axis: int = -1) -> tuple[Array, Any]:
    """``exp(x) / sum(exp(x))`` along one axis.

    Parameters
    ----------
    x : array, at least one axis
        Elements of -inf get 0. Where none is above -inf, or one is +inf, the result is NaN.
    axis : int

    Returns
    -------
    array
        The shape and dtype of ``x``. With s the value, ``u = t - <s, t>`` and ``v = gy - <s, gy>``, the derivative
        along t is ``s u``, the gradient ``s v``, and the second derivative along t ``s (u v - <s, u v>)``: that of the
        gradient is ``(s u) v - s <s u, gy>``, and ``<s u, gy> = <s, u v>`` because ``<s, u> = 0``.

    Raises
    ------
    InputError
        If ``x`` has no such axis, or its size is 0.
    """
    axes = (axis_of("softmax", x.ndim, axis),)
    count_along("softmax", x.shape, axes)
    *_, s = exponentials(x, axes)
    return s, (s, axes)


def softmax_vjp(gy: Array, residuals: Any, needs: Needs) -> tuple[Array | None, ...]:
    s, axes = residuals
    return (softmax_slope(s, gy, axes),)


def softmax_jvp(tangents: Sequence[Any], x: Array, axis: int = -1) -> Array:
    s, (_, axes) = softmax_forward(x, axis)
    return softmax_slope(s, tangents[0], axes)


def softmax_hvp(gy: Array, tangents: Sequence[Any], x: Array, axis: int = -1) -> tuple[Array | None, ...]:
    s, (_, axes) = softmax_forward(x, axis)
    u = tangents[0] - _sum_kept(s * tangents[0], axes)
    v = gy - _sum_kept(s * gy, axes)
    return (softmax_slope(s, u * v, axes),)


def softmax_definition(x: Array, axis: int = -1) -> Any:
    e = exp(x - _pivot(x, (axis % x.ndim,)))
    return e / e.sum(axis=axis, keepdims=True)


def log_softmax_forward(x: Array, axis: int = -1) -> tuple[Array, Any]:
    """``x - log(sum(exp(x)))`` along one axis, as ``(x - m) - log(sum(exp(x - m)))`` with m the largest element.

    Parameters
    ----------
    x : array, at least one axis
        Elements of -inf stay -inf. Where none is above -inf, or one is +inf, the result is NaN.
    axis : int

    Returns
    -------
    array
        The shape and dtype of ``x``. Gradient: ``gy - s sum(gy)``, s = softmax(x); second derivative along t:
        ``-sum(gy) s (t - <s, t>)``.

    Raises
    ------
    InputError
        If ``x`` has no such axis, or its size is 0.
    """
    axes = (axis_of("log_softmax", x.ndim, axis),)
    count_along("log_softmax", x.shape, axes)
    _, shifted, total, s = exponentials(x, axes)
    with np.errstate(invalid="ignore"):
        value = shifted - log(total)
    return value, (s, axes)


def log_softmax_vjp(gy: Array, residuals: Any, needs: Needs) -> tuple[Array | None, ...]:
    s, axes = residuals
    return (gy - s * _sum_kept(gy, axes),)


def log_softmax_jvp(tangents: Sequence[Any], x: Array, axis: int = -1) -> Array:
    _, (s, axes) = log_softmax_forward(x, axis)
    return tangents[0] - _sum_kept(s * tangents[0], axes)


def log_softmax_hvp(gy: Array, tangents: Sequence[Any], x: Array, axis: int = -1) -> tuple[Array | None, ...]:
    _, (s, axes) = log_softmax_forward(x, axis)
    return (-_sum_kept(gy, axes) * softmax_slope(s, tangents[0], axes),)


def log_softmax_definition(x: Array, axis: int = -1) -> Any:
    above = x - _pivot(x, (axis % x.ndim,))
    return above - log(exp(above).sum(axis=axis, keepdims=True))


def _array(draw: Draw, dtype: Any, dimensions: tuple[int, int]) -> Array:
    # Bare exponentials of the large shifts would overflow or vanish.
    shift = np.asarray(draw.choice([0.0, 0.0, 30.0, 1000.0, -1000.0]), dtype)
    x = floats(draw, -3.0, 3.0, shape_of(draw, dimensions, (1, 4)), dtype) + shift
    return draw.choice([x, x.T])


def _examples(draw: Draw, dtype: Any) -> Example:
    x = _array(draw, dtype, (1, 3))
    return (x,), {"axis": draw.integer(-x.ndim, x.ndim - 1)}


def _logsumexp_examples(draw: Draw, dtype: Any) -> Example:
    x = _array(draw, dtype, (0, 3))
    return (x,), {"axis": draw_axis(draw, x.ndim), "keepdims": draw.choice([False, True])}


register(
    Primitive(
        "logsumexp",
        logsumexp_forward,
        logsumexp_vjp,
        logsumexp_jvp,
        definition=logsumexp_definition,
        domain="at least one element above -inf along the axes",
        kinks=(),
        examples=_logsumexp_examples,
        hvp=logsumexp_hvp,
    )
)
register(
    Primitive(
        "softmax",
        softmax_forward,
        softmax_vjp,
        softmax_jvp,
        definition=softmax_definition,
        domain="at least one element above -inf along the axis",
        kinks=(),
        examples=_examples,
        hvp=softmax_hvp,
    )
)
register(
    Primitive(
        "log_softmax",
        log_softmax_forward,
        log_softmax_vjp,
        log_softmax_jvp,
        definition=log_softmax_definition,
        domain="at least one element above -inf along the axis",
        kinks=(),
        examples=_examples,
        hvp=log_softmax_hvp,
    )
)
