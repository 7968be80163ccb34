"""Sums and means, by the tree of ``minigrad.reduction``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.primitive import Primitive, register
from minigrad.reduction import tree_sum

Array = np.ndarray
Needs = Sequence[bool]
Axis = int | tuple[int, ...] | None


def _axes(ndim: int, axis: Axis) -> tuple[int, ...]:
    given = range(ndim) if axis is None else (axis,) if isinstance(axis, (int, np.integer)) else axis
    for n in given:
        if not -ndim <= n < ndim:
            raise ValueError(f"axis: {n} is not an axis of an array with {ndim} dimensions")
    return tuple(sorted({n % ndim for n in given}))


def _sum(x: Array, axes: tuple[int, ...]) -> Array:
    kept = [n for n in range(x.ndim) if n not in axes]
    rest = [x.shape[n] for n in kept]
    count = int(np.prod([x.shape[n] for n in axes], dtype=np.int64))
    return np.asarray(tree_sum(x.transpose(*axes, *kept).reshape(count, *rest)))


def _spread(gy: Array, shape: tuple[int, ...], axes: tuple[int, ...]) -> Array:
    return np.broadcast_to(np.expand_dims(gy, axes), shape)


def sum_forward(x: Array, axis: Axis = None) -> tuple[Array, Any]:
    axes = _axes(x.ndim, axis)
    return _sum(x, axes), (x.shape, axes)


def sum_vjp(gy: Array, residuals: Any, needs: Needs) -> tuple[Array | None, ...]:
    return (_spread(gy, *residuals),)


def sum_jvp(tangents: tuple[Array, ...], x: Array, axis: Axis = None) -> Array:
    return _sum(tangents[0], _axes(x.ndim, axis))


def _count(shape: tuple[int, ...], axes: tuple[int, ...]) -> int:
    count = int(np.prod([shape[n] for n in axes], dtype=np.int64))
    if count == 0:
        raise ValueError(f"mean: the array of shape {shape} has no elements along axes {axes}")
    return count


def mean_forward(x: Array, axis: Axis = None) -> tuple[Array, Any]:
    axes = _axes(x.ndim, axis)
    return _sum(x, axes) / _count(x.shape, axes), (x.shape, axes)


def mean_vjp(gy: Array, residuals: Any, needs: Needs) -> tuple[Array | None, ...]:
    shape, axes = residuals
    return (_spread(gy / _count(shape, axes), shape, axes),)


def mean_jvp(tangents: tuple[Array, ...], x: Array, axis: Axis = None) -> Array:
    axes = _axes(x.ndim, axis)
    return _sum(tangents[0], axes) / _count(x.shape, axes)


def _examples(rng: np.random.Generator, dtype: Any) -> tuple[tuple[Array, ...], dict[str, Any]]:
    axis = [None, 0, -1, (0, 2), (1,)][rng.integers(5)]
    return (rng.uniform(-2, 2, (3, 2, 4)).astype(dtype),), {"axis": axis}


for _name, _rules in {
    "sum": (sum_forward, sum_vjp, sum_jvp),
    "mean": (mean_forward, mean_vjp, mean_jvp),
}.items():
    register(Primitive(_name, *_rules, "all real numbers", (), _examples))
