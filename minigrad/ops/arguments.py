"""What the primitives ask of axes and dtypes, and how they say no."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.errors import InputError

__all__ = ["Axis", "axes_of", "axis_of", "count_along", "is_integer", "is_number", "kept_shape", "one_float_dtype"]

Axis = int | tuple[int, ...] | None
Shape = tuple[int, ...]


def is_integer(value: Any) -> bool:
    """A Python or NumPy integer, but no bool."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """A Python or NumPy real number, but no bool."""
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def axis_of(name: str, ndim: int, axis: Any) -> int:
    """One axis, counted from the front; InputError where the array has no such axis."""
    if not is_integer(axis):
        raise InputError(f"{name}: axis: expected an integer, got {axis!r}")
    if not -ndim <= axis < ndim:
        raise InputError(f"{name}: axis: {axis} is not an axis of an array with {ndim} dimensions")
    return int(axis) % ndim


def axes_of(name: str, ndim: int, axis: Any) -> Shape:
    """The axes that ``axis`` names (None: all), ascending and counted from the front."""
    if axis is None:
        return tuple(range(ndim))
    given = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    axes = sorted(axis_of(name, ndim, n) for n in given)
    if len(set(axes)) != len(axes):
        raise InputError(f"{name}: axis: {axis!r} names an axis twice")
    return tuple(axes)


def kept_shape(shape: Shape, axes: Shape) -> Shape:
    """The shape with 1 in place of the sizes of these axes."""
    return tuple(1 if n in axes else size for n, size in enumerate(shape))


def count_along(name: str, shape: Shape, axes: Shape) -> int:
    """How many elements the axes hold together; InputError for none."""
    count = math.prod(shape[n] for n in axes)
    if count == 0:
        raise InputError(f"{name}: the array of shape {shape} has no elements along axes {axes}")
    return count


def one_float_dtype(name: str, arrays: Sequence[np.ndarray]) -> None:
    """InputError unless the arrays are all float32 or all float64."""
    dtypes = [a.dtype for a in arrays]
    if any(dtype != dtypes[0] or dtype not in (np.float32, np.float64) for dtype in dtypes):
        raise InputError(
            f"{name}: expected arrays that are all float32 or all float64, got {', '.join(map(str, dtypes))}"
        )
