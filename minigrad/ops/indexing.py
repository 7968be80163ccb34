"""Parts of an array: slice, split, gather."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from minigrad.draw import Draw, floats, shape_of
from minigrad.errors import InputError
from minigrad.ops.arguments import axis_of, is_integer
from minigrad.primitive import Example, Primitive, no_curvature, register
from minigrad.reduction import sum_to_shape
from minigrad.tensor import Tensor, apply

__all__ = ["gather_forward", "slice_forward", "split"]

Array = np.ndarray
Needs = Sequence[bool]


def _basic(x: Array, index: Any) -> tuple[Any, ...]:
    """The index as a tuple; InputError for anything but basic indexing."""
    parts = index if isinstance(index, tuple) else (index,)
    for part in parts:
        if not (is_integer(part) or part is None or part is Ellipsis or isinstance(part, slice)):
            raise InputError(
                f"slice: index: expected integers, slices, None and Ellipsis, got {type(part).__name__} "
                "(gather takes an array of integers)"
            )
    try:
        x[parts]
    except (IndexError, TypeError, ValueError) as error:
        raise InputError(f"slice: index: {error}") from None
    return parts


def slice_forward(x: Array, index: Any) -> tuple[Array, Any]:
    """``x[index]`` by basic indexing, which names no element twice.

    Parameters
    ----------
    x : array, any shape
    index : int, slice, None, Ellipsis, or a tuple of them
        Integers may be negative, slices have any step but 0; None is a new axis of size 1.

    Returns
    -------
    array
        A view of ``x``.

    Raises
    ------
    InputError
        If the index is of another kind (an array, a bool), has too many parts, or is out of range.
    """
    parts = _basic(x, index)
    return np.asarray(x[parts]), (x.shape, parts)


def slice_vjp(gy: Array, residuals: Any, needs: Needs) -> tuple[Array | None, ...]:
    shape, parts = residuals
    g = np.zeros(shape, gy.dtype)
    g[parts] = gy
    return (g,)


def slice_jvp(tangents: Sequence[Any], x: Array, index: Any) -> Array:
    return slice_forward(tangents[0], index)[0]


def slice_definition(x: Array, index: Any) -> Array:
    # The numbers of the elements are what is indexed.
    numbers = np.asarray(np.arange(x.size).reshape(x.shape)[index])
    elements = [x[i] for i in np.ndindex(*x.shape)]
    y = np.empty(numbers.shape, object)
    for i in np.ndindex(*y.shape):
        y[i] = elements[numbers[i]]
    return y


def _cuts(sections: Any, axis: int, size: int) -> list[int]:
    """Where parts begin and end."""
    if isinstance(sections, (tuple, list)):
        cuts = [0, *sections, size]
        if not all(is_integer(n) for n in cuts) or sorted(cuts) != cuts:
            raise InputError(f"split: sections: expected ascending integers from 0 to {size}, got {sections!r}")
        return cuts
    if not is_integer(sections) or sections < 1 or size % sections:
        raise InputError(f"split: sections: expected a divisor of {size}, the size of axis {axis}, got {sections!r}")
    return [n * (size // sections) for n in range(sections + 1)]


def split(x: Tensor, sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """Cut a tensor along an axis into parts that ``concatenate`` joins again.

    Parameters
    ----------
    x : Tensor, at least one axis
    sections : int or ascending integers
        The number of parts, equally long; or where to cut, as in ``numpy.split``: [2, 5] gives x[:2], x[2:5], x[5:].
    axis : int

    Returns
    -------
    list of Tensor

    Raises
    ------
    InputError
        If there is no such axis, the number does not divide its size, or a cut is out of order or out of range.
    """
    at = axis_of("split", x.ndim, axis)
    cuts = _cuts(sections, at, x.shape[at])
    before = (slice(None),) * at
    return [apply("slice", x, index=(*before, slice(begin, end))) for begin, end in pairwise(cuts)]


def _lanes(x: Array, indices: Array, axis: int) -> tuple[Array, Array, int]:
    """Both arrays broadcast to one shape but along the axis, which is counted from the front."""
    at = axis_of("gather", x.ndim, axis)
    if indices.dtype.kind not in "iu":
        raise InputError(f"gather: indices: expected an array of integers, got {indices.dtype}")
    try:
        if indices.ndim != x.ndim:
            raise ValueError
        rest = np.broadcast_shapes(*((*a.shape[:at], *a.shape[at + 1 :]) for a in (x, indices)))
    except ValueError:
        raise InputError(
            f"gather: indices: expected a shape that fits {x.shape} but along axis {at}, got {indices.shape}"
        ) from None
    wrong = (indices < -x.shape[at]) | (indices >= x.shape[at])
    if wrong.any():
        where = tuple(int(n) for n in np.argwhere(wrong)[0])
        raise InputError(
            f"gather: indices: expected {-x.shape[at]} to {x.shape[at] - 1}, got {indices[where]} at index {where}"
        )
    wide, picks = (np.broadcast_to(a, (*rest[:at], a.shape[at], *rest[at:])) for a in (x, indices))
    return wide, picks, at


def gather_forward(x: Array, indices: Array, axis: int = -1) -> tuple[Array, Any]:
    """Elements picked along an axis: in two dimensions with axis 1, ``y[i, j] = x[i, indices[i, j]]``.

    NumPy's ``take_along_axis``.

    Parameters
    ----------
    x : array, at least one axis
    indices : array of integers
        With as many axes as ``x``; along the others the two broadcast. Negative ones count from the end. They have no
        gradient.
    axis : int

    Returns
    -------
    array
        In the dtype of ``x`` and, but for broadcasting, the shape of ``indices``. In the gradient, elements picked
        several times add up what comes in for them, in ascending order of the position along the axis.

    Raises
    ------
    InputError
        If the indices are no integers, do not fit the shape of ``x``, or are out of range.
    """
    wide, picks, at = _lanes(x, indices, axis)
    return np.take_along_axis(wide, picks, at), (x.shape, wide.shape, picks, at)


def gather_vjp(gy: Array, residuals: Any, needs: Needs) -> tuple[Array | None, ...]:
    shape, wide, picks, axis = residuals
    lanes = np.moveaxis(picks, axis, 0).reshape(picks.shape[axis], -1) if picks.size else np.zeros((0, 0), np.int64)
    incoming = np.moveaxis(gy, axis, 0).reshape(lanes.shape)
    rest = (*wide[:axis], *wide[axis + 1 :])
    g = np.zeros((wide[axis], int(np.prod(rest, dtype=np.int64))), gy.dtype)
    # One addition after the other, in the order of C.
    np.add.at(g, (lanes, np.broadcast_to(np.arange(lanes.shape[1]), lanes.shape)), incoming)
    return sum_to_shape(np.moveaxis(g.reshape(wide[axis], *rest), 0, axis), shape), None


def gather_jvp(tangents: Sequence[Any], x: Array, indices: Array, axis: int = -1) -> Array:
    return gather_forward(tangents[0], indices, axis)[0]


def gather_definition(x: Array, indices: Array, axis: int = -1) -> Array:
    at = axis % x.ndim
    shape = [
        indices.shape[n] if n == at else max(size, other)
        for n, (size, other) in enumerate(zip(x.shape, indices.shape, strict=True))
    ]
    y = np.empty(shape, object)
    for index in np.ndindex(*shape):
        own = tuple(0 if n == 1 else i for i, n in zip(index, indices.shape, strict=True))
        source = [0 if n == 1 else i for i, n in zip(index, x.shape, strict=True)]
        source[at] = int(indices[own])
        y[index] = x[tuple(source)]
    return y


def _part(draw: Draw, size: int) -> Any:
    """An integer, or a slice that leaves something."""
    begin = draw.integer(0, size - 1)
    end = draw.integer(begin + 1, size)
    step = draw.integer(1, 3)
    backwards = slice(end - 1, None if begin == 0 else begin - 1, -step)
    return draw.choice([begin, begin - size, slice(begin, end, step), slice(None), backwards])


def _slice_examples(draw: Draw, dtype: Any) -> Example:
    x = floats(draw, -2.0, 2.0, shape_of(draw, (0, 3), (1, 4)), dtype)
    parts = tuple(_part(draw, size) for size in x.shape)
    choices = [parts, (None, *parts), (*parts[:1], None, *parts[1:]), (*parts[:1], ...), (..., *parts[1:]), (...,)]
    return (draw.choice([x, np.asarray(x, order="F")]),), {"index": draw.choice(choices)}


def _gather_examples(draw: Draw, dtype: Any) -> Example:
    shape = shape_of(draw, (1, 3), (1, 4))
    axis = draw.integer(0, len(shape) - 1)
    sizes = [draw.integer(1, 5) if n == axis else draw.choice([size, 1]) for n, size in enumerate(shape)]
    source = [size if n == axis else draw.choice([size, 1]) for n, size in enumerate(shape)]
    low, high = draw.choice([0, -shape[axis]]), shape[axis] - 1
    indices = np.array([draw.integer(low, high) for _ in range(int(np.prod(sizes)))]).reshape(sizes)
    x = floats(draw, -2.0, 2.0, tuple(source), dtype)
    return (x, indices), {"axis": axis - len(shape) * draw.integer(0, 1)}


register(
    Primitive(
        "slice",
        slice_forward,
        slice_vjp,
        slice_jvp,
        definition=slice_definition,
        domain="all real numbers",
        kinks=(),
        examples=_slice_examples,
        hvp=no_curvature,
    )
)
register(
    Primitive(
        "gather",
        gather_forward,
        gather_vjp,
        gather_jvp,
        definition=gather_definition,
        domain="indices in range",
        kinks=(),
        examples=_gather_examples,
        differentiable=(0,),
        hvp=no_curvature,
    )
)
