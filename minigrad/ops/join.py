"""Several arrays as one: concatenate, stack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.draw import Draw, floats, shape_of
from minigrad.errors import InputError
from minigrad.ops.arguments import axis_of, one_float_dtype
from minigrad.primitive import Example, Primitive, no_curvature, register

__all__ = ["concatenate_forward", "stack_forward"]

Array = np.ndarray
Needs = Sequence[bool]


def _check(name: str, arrays: Sequence[Array]) -> None:
    if not arrays:
        raise InputError(f"{name}: expected at least one array")
    one_float_dtype(name, arrays)


def concatenate_forward(*arrays: Array, axis: int = 0) -> tuple[Array, Any]:
    """Arrays one after the other along an axis they have.

    Parameters
    ----------
    *arrays : arrays of at least one axis
        Of one dtype and the same sizes but along ``axis``, where a size may be 0.
    axis : int

    Returns
    -------
    array
        Along ``axis`` as long as all of them together.

    Raises
    ------
    InputError
        If there is no array, shapes or dtypes do not fit, or there is no such axis.
    """
    _check("concatenate", arrays)
    at = axis_of("concatenate", arrays[0].ndim, axis)
    others = [(a.ndim, a.shape[:at], a.shape[at + 1 :]) for a in arrays]
    if any(other != others[0] for other in others):
        shapes = ", ".join(str(a.shape) for a in arrays)
        raise InputError(f"concatenate: expected shapes that differ along axis {at} only, got {shapes}")
    return np.concatenate(arrays, axis=at), (at, [a.shape[at] for a in arrays])


def concatenate_vjp(gy: Array, residuals: Any, needs: Needs) -> tuple[Array | None, ...]:
    axis, sizes = residuals
    ends = np.cumsum(sizes)
    before = (slice(None),) * axis
    parts = [gy[(*before, slice(int(end) - size, int(end)))] for end, size in zip(ends, sizes, strict=True)]
    return tuple(part if needed else None for part, needed in zip(parts, needs, strict=True))


def _complete(tangents: Sequence[Any], arrays: Sequence[Array]) -> list[Array]:
    return [np.zeros_like(a) if t is None else t for t, a in zip(tangents, arrays, strict=True)]


def concatenate_jvp(tangents: Sequence[Any], *arrays: Array, axis: int = 0) -> Array:
    return np.concatenate(_complete(tangents, arrays), axis=axis)


def concatenate_definition(*arrays: Array, axis: int = 0) -> Array:
    lines = [line for a in arrays for line in np.moveaxis(a, axis, 0)]
    joined = np.empty((len(lines), *lines[0].shape) if isinstance(lines[0], np.ndarray) else len(lines), object)
    for n, line in enumerate(lines):
        joined[n] = line
    return np.moveaxis(joined, 0, axis)


def stack_forward(*arrays: Array, axis: int = 0) -> tuple[Array, Any]:
    """Arrays of one shape along a new axis.

    Parameters
    ----------
    *arrays : arrays of one shape and dtype
    axis : int
        Where the new axis is in the result.

    Returns
    -------
    array
        With one axis more, as long as there are arrays.

    Raises
    ------
    InputError
        If there is no array, shapes or dtypes differ, or the result has no such axis.
    """
    _check("stack", arrays)
    at = axis_of("stack", arrays[0].ndim + 1, axis)
    if any(a.shape != arrays[0].shape for a in arrays):
        raise InputError(f"stack: expected arrays of one shape, got {', '.join(str(a.shape) for a in arrays)}")
    return np.stack(arrays, axis=at), at


def stack_vjp(gy: Array, axis: Any, needs: Needs) -> tuple[Array | None, ...]:
    before = (slice(None),) * axis
    return tuple(gy[(*before, n, ...)] if needed else None for n, needed in enumerate(needs))


def stack_jvp(tangents: Sequence[Any], *arrays: Array, axis: int = 0) -> Array:
    return np.stack(_complete(tangents, arrays), axis=axis)


def stack_definition(*arrays: Array, axis: int = 0) -> Array:
    y = np.empty((len(arrays), *arrays[0].shape), object)
    for n, a in enumerate(arrays):
        for index in np.ndindex(*a.shape):
            y[(n, *index)] = a[index]
    return np.moveaxis(y, 0, axis)


def _concatenate_examples(draw: Draw, dtype: Any) -> Example:
    shape = shape_of(draw, (1, 3), (1, 3))
    axis = draw.integer(0, len(shape) - 1)
    arrays = []
    for _ in range(draw.integer(1, 3)):
        a = floats(draw, -2.0, 2.0, (*shape[:axis], draw.integer(1, 3), *shape[axis + 1 :]), dtype)
        arrays.append(draw.choice([a, a[::-1]]))
    return tuple(arrays), {"axis": axis - len(shape) * draw.integer(0, 1)}


def _stack_examples(draw: Draw, dtype: Any) -> Example:
    shape = shape_of(draw, (0, 3), (1, 3))
    arrays = tuple(floats(draw, -2.0, 2.0, shape, dtype) for _ in range(draw.integer(1, 3)))
    return arrays, {"axis": draw.integer(-len(shape) - 1, len(shape))}


register(
    Primitive(
        "concatenate",
        concatenate_forward,
        concatenate_vjp,
        concatenate_jvp,
        definition=concatenate_definition,
        domain="all real numbers",
        kinks=(),
        examples=_concatenate_examples,
        hvp=no_curvature,
    )
)
register(
    Primitive(
        "stack",
        stack_forward,
        stack_vjp,
        stack_jvp,
        definition=stack_definition,
        domain="all real numbers",
        kinks=(),
        examples=_stack_examples,
        hvp=no_curvature,
    )
)
