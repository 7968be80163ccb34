"""The same elements in another shape: reshape, transpose, broadcast_to, pad."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.draw import Draw, floats, shape_of
from minigrad.errors import InputError
from minigrad.ops.arguments import is_integer, is_number
from minigrad.primitive import Example, Primitive, no_curvature, register
from minigrad.reduction import sum_to_shape

__all__ = ["broadcast_to_forward", "pad_forward", "reshape_forward", "transpose_forward"]

Array = np.ndarray
Needs = Sequence[bool]
Shape = tuple[int, ...]
Widths = int | Sequence[tuple[int, int]]


def _sizes(name: str, shape: Any, least: int) -> Shape:
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    if not all(is_integer(n) and n >= least for n in sizes):
        raise InputError(f"{name}: shape: expected integers of at least {least}, got {shape!r}")
    return tuple(int(n) for n in sizes)


def _reshaped(x: Array, shape: int | Shape) -> Array:
    sizes = _sizes("reshape", shape, -1)
    try:
        return x.reshape(sizes)
    except ValueError:
        raise InputError(f"reshape: shape: {x.size} elements of shape {x.shape} do not fit {sizes}") from None


def reshape_forward(x: Array, shape: int | Shape) -> tuple[Array, Any]:
    """The elements of ``x``, in the order of C, in another shape.

    Parameters
    ----------
    x : array, any shape
    shape : tuple of int, or int
        One size may be -1: the one that fits.

    Returns
    -------
    array of that shape

    Raises
    ------
    InputError
        If the numbers of elements differ, or -1 leaves the size open.
    """
    return _reshaped(x, shape), x.shape


def reshape_vjp(gy: Array, shape: Any, needs: Needs) -> tuple[Array | None, ...]:
    return (gy.reshape(shape),)


def reshape_jvp(tangents: Sequence[Any], x: Array, shape: int | Shape) -> Array:
    return _reshaped(tangents[0], shape)


def reshape_definition(x: Array, shape: int | Shape) -> Array:
    elements = [x[index] for index in np.ndindex(*x.shape)]
    y = np.empty(len(elements), object)
    y[:] = elements
    return y.reshape(shape)


def _order(x: Array, axes: Sequence[int] | None) -> Shape:
    if axes is None:
        return tuple(range(x.ndim))[::-1]
    given = tuple(axes) if isinstance(axes, (tuple, list)) else (axes,)
    if not all(is_integer(n) and -x.ndim <= n < x.ndim for n in given) or (
        sorted(int(n) % x.ndim for n in given) != list(range(x.ndim))
    ):
        raise InputError(f"transpose: axes: expected each of the {x.ndim} axes once, got {axes!r}")
    return tuple(int(n) % x.ndim for n in given)


def transpose_forward(x: Array, axes: Sequence[int] | None = None) -> tuple[Array, Any]:
    """The axes in another order.

    Parameters
    ----------
    x : array, any shape
    axes : tuple of int or None
        Which axis of ``x`` comes first, second, ...; None for the reverse order.

    Returns
    -------
    array
        A view of ``x``.

    Raises
    ------
    InputError
        If an axis is missing, named twice, or none of ``x``.
    """
    order = _order(x, axes)
    return x.transpose(order), order


def transpose_vjp(gy: Array, order: Any, needs: Needs) -> tuple[Array | None, ...]:
    return (gy.transpose(tuple(int(n) for n in np.argsort(order))),)


def transpose_jvp(tangents: Sequence[Any], x: Array, axes: Sequence[int] | None = None) -> Array:
    return tangents[0].transpose(_order(x, axes))


def transpose_definition(x: Array, axes: Sequence[int] | None = None) -> Array:
    order = range(x.ndim)[::-1] if axes is None else [range(x.ndim)[n] for n in axes]
    y = np.empty([x.shape[n] for n in order], object)
    for index in np.ndindex(*x.shape):
        y[tuple(index[n] for n in order)] = x[index]
    return y


def _stretched(x: Array, shape: int | Shape) -> Array:
    sizes = _sizes("broadcast_to", shape, 0)
    try:
        return np.broadcast_to(x, sizes)
    except ValueError:
        raise InputError(f"broadcast_to: shape: an array of shape {x.shape} does not broadcast to {sizes}") from None


def broadcast_to_forward(x: Array, shape: int | Shape) -> tuple[Array, Any]:
    """``x`` repeated along new leading axes and along axes of size 1, by NumPy's rules.

    Parameters
    ----------
    x : array, any shape
    shape : tuple of int, or int

    Returns
    -------
    array of that shape
        A read-only view of ``x``. The gradient sums over what was repeated.

    Raises
    ------
    InputError
        If ``x`` does not broadcast to the shape.
    """
    return _stretched(x, shape), x.shape


def broadcast_to_vjp(gy: Array, shape: Any, needs: Needs) -> tuple[Array | None, ...]:
    return (sum_to_shape(gy, shape),)


def broadcast_to_jvp(tangents: Sequence[Any], x: Array, shape: int | Shape) -> Array:
    return _stretched(tangents[0], shape)


def broadcast_to_definition(x: Array, shape: int | Shape) -> Array:
    y = np.empty(shape, object)
    lead = y.ndim - x.ndim
    for index in np.ndindex(*y.shape):
        y[index] = x[tuple(0 if size == 1 else n for n, size in zip(index[lead:], x.shape, strict=True))]
    return y


def _borders(x: Array, widths: Widths) -> list[tuple[int, int]]:
    pairs: Any = [(widths, widths)] * x.ndim if is_integer(widths) else widths
    if (
        not isinstance(pairs, (tuple, list))
        or len(pairs) != x.ndim
        or not all(isinstance(pair, (tuple, list)) and len(pair) == 2 for pair in pairs)
        or not all(is_integer(n) and n >= 0 for pair in pairs for n in pair)
    ):
        raise InputError(
            f"pad: widths: expected an integer of at least 0 or a pair (before, after) of such for each of the "
            f"{x.ndim} axes, got {widths!r}"
        )
    return [(int(before), int(after)) for before, after in pairs]


def _inside(shape: Shape, borders: list[tuple[int, int]]) -> tuple[slice, ...]:
    return tuple(slice(before, before + size) for size, (before, _) in zip(shape, borders, strict=True))


def pad_forward(x: Array, widths: Widths, value: float = 0.0) -> tuple[Array, Any]:
    """``x`` with a border of one constant.

    Parameters
    ----------
    x : array, any shape
    widths : int, or a pair (before, after) for each axis
        How wide the border is; an integer holds for every side. Not negative: ``slice`` takes away.
    value : float
        What the border is filled with, rounded to the dtype of ``x``; it has no gradient.

    Returns
    -------
    array
        In the dtype of ``x``, each axis longer by its two widths.

    Raises
    ------
    InputError
        If the widths are not of that form, or one is negative.
    """
    borders = _borders(x, widths)
    if not is_number(value):
        raise InputError(f"pad: value: expected a number, got {value!r}")
    y = np.full([size + sum(pair) for size, pair in zip(x.shape, borders, strict=True)], value, x.dtype)
    inside = _inside(x.shape, borders)
    y[inside] = x
    return y, inside


def pad_vjp(gy: Array, inside: Any, needs: Needs) -> tuple[Array | None, ...]:
    return (gy[(*inside, ...)],)


def pad_jvp(tangents: Sequence[Any], x: Array, widths: Widths, value: float = 0.0) -> Array:
    return pad_forward(tangents[0], widths)[0]


def pad_definition(x: Array, widths: Widths, value: float = 0.0) -> Array:
    pairs = [(widths, widths)] * x.ndim if isinstance(widths, int) else widths
    for axis, (before, after) in enumerate(pairs):
        sides = []
        for width in (before, after):
            side = np.empty((*x.shape[:axis], width, *x.shape[axis + 1 :]), object)
            side.fill(x.flat[0] * 0 + value)
            sides.append(side)
        x = np.concatenate([sides[0], x, sides[1]], axis=axis)
    return x


def _array(draw: Draw, dtype: Any) -> Array:
    x = floats(draw, -2.0, 2.0, shape_of(draw, (0, 3), (1, 4)), dtype)
    return draw.choice([x, x.T, x[::-1] if x.ndim else x])


def _reshape_examples(draw: Draw, dtype: Any) -> Example:
    x = _array(draw, dtype)
    shape = draw.choice([x.shape[::-1], (x.size,), x.size, (-1, *x.shape), (1, *x.shape, 1), (*x.shape[1:], -1)])
    return (x,), {"shape": shape}


def _transpose_examples(draw: Draw, dtype: Any) -> Example:
    x = _array(draw, dtype)
    order = draw.permutation(x.ndim) - x.ndim * draw.integer(0, 1)
    return (x,), {"axes": draw.choice([tuple(int(n) for n in order), None])}


def _broadcast_to_examples(draw: Draw, dtype: Any) -> Example:
    shape = shape_of(draw, (0, 3), (1, 3))
    sizes = tuple(draw.choice([1, size]) for size in shape)
    x = floats(draw, -2.0, 2.0, sizes, dtype)
    return (x,), {"shape": tuple(draw.choice([(), (1,), (3,), (2, 2)])) + shape}


def _pad_examples(draw: Draw, dtype: Any) -> Example:
    x = _array(draw, dtype)
    pairs = tuple((draw.integer(0, 2), draw.integer(0, 1)) for _ in range(x.ndim))
    return (x,), {"widths": draw.choice([pairs, 0, 1]), "value": draw.choice([0.0, 1.5])}


register(
    Primitive(
        "reshape",
        reshape_forward,
        reshape_vjp,
        reshape_jvp,
        definition=reshape_definition,
        domain="all real numbers",
        kinks=(),
        examples=_reshape_examples,
        hvp=no_curvature,
    )
)
register(
    Primitive(
        "transpose",
        transpose_forward,
        transpose_vjp,
        transpose_jvp,
        definition=transpose_definition,
        domain="all real numbers",
        kinks=(),
        examples=_transpose_examples,
        hvp=no_curvature,
    )
)
register(
    Primitive(
        "broadcast_to",
        broadcast_to_forward,
        broadcast_to_vjp,
        broadcast_to_jvp,
        definition=broadcast_to_definition,
        domain="all real numbers",
        kinks=(),
        examples=_broadcast_to_examples,
        hvp=no_curvature,
    )
)
register(
    Primitive(
        "pad",
        pad_forward,
        pad_vjp,
        pad_jvp,
        definition=pad_definition,
        domain="all real numbers",
        kinks=(),
        examples=_pad_examples,
        hvp=no_curvature,
    )
)
