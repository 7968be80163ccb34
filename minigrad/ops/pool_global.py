"""The mean and the largest element of whole images (n, h, w, c)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.draw import Draw, distinct, floats
from minigrad.errors import InputError
from minigrad.ops.arguments import one_float_dtype
from minigrad.primitive import Example, Kink, KinkPoint, Primitive, no_curvature, register
from minigrad.reduction import tree_sum

__all__ = ["global_avg_pool_forward", "global_max_pool_forward"]

Array = np.ndarray
Needs = Sequence[bool]


def _rows(name: str, x: Array) -> Array:
    """(n, h w, c)"""
    if x.ndim != 4 or min(x.shape[1:3]) < 1:
        raise InputError(f"{name}: expected images (n, h, w, c) of at least one pixel, got shape {x.shape}")
    one_float_dtype(name, (x,))
    n, h, w, c = x.shape
    return x.reshape(n, h * w, c)


def global_avg_pool_forward(x: Array) -> tuple[Array, Any]:
    """The mean of all pixels, channel by channel, by the tree of ``minigrad.reduction``.

    Parameters
    ----------
    x : array (n, h, w, c)
        Images of at least one pixel; n may be 0.

    Returns
    -------
    array (n, c)

    Raises
    ------
    InputError
        If ``x`` is not images of float32 or float64, or they have no pixel.
    """
    rows = _rows("global_avg_pool", x)
    return tree_sum(np.moveaxis(rows, 1, 0)) / rows.shape[1], x.shape


def global_avg_pool_vjp(gy: Array, shape: Any, needs: Needs) -> tuple[Array | None, ...]:
    return (np.broadcast_to((gy / (shape[1] * shape[2]))[:, None, None, :], shape),)


def global_avg_pool_jvp(tangents: Sequence[Any], x: Array) -> Array:
    return global_avg_pool_forward(tangents[0])[0]


def global_max_pool_forward(x: Array) -> tuple[Array, Any]:
    """The largest of all pixels, channel by channel.

    Parameters
    ----------
    x : array (n, h, w, c)
        Images of at least one pixel; n may be 0.

    Returns
    -------
    array (n, c)
        A zero is +0. NaN where the channel has a NaN. The gradient goes to the largest element, or the NaN; of several,
        to the first, row by row.

    Raises
    ------
    InputError
        If ``x`` is not images of float32 or float64, or they have no pixel.
    """
    rows = _rows("global_max_pool", x)
    index = rows.argmax(1)[:, None]  # the first of equals, or the first NaN
    return np.take_along_axis(rows, index, 1)[:, 0] + x.dtype.type(0), (index, x.shape)


def global_max_pool_vjp(gy: Array, residuals: Any, needs: Needs) -> tuple[Array | None, ...]:
    index, (n, h, w, c) = residuals
    dx = np.zeros((n, h * w, c), gy.dtype)
    np.put_along_axis(dx, index, gy[:, None], 1)
    return (dx.reshape(n, h, w, c),)


def global_max_pool_jvp(tangents: Sequence[Any], x: Array) -> Array:
    _, (index, _) = global_max_pool_forward(x)
    return np.take_along_axis(_rows("global_max_pool", tangents[0]), index, 1)[:, 0]


def global_avg_pool_definition(x: Array) -> Array:
    return x.sum((1, 2)) / (x.shape[1] * x.shape[2])


def global_max_pool_definition(x: Array) -> Array:
    y = np.empty((x.shape[0], x.shape[3]), object)
    for i, c in np.ndindex(*y.shape):
        y[i, c] = max(x[i, :, :, c].ravel())
    return y


def _draw_shape(draw: Draw) -> tuple[int, int, int, int]:
    return draw.integer(1, 3), draw.integer(1, 5), draw.integer(1, 4), draw.integer(1, 2)


def _avg_examples(draw: Draw, dtype: Any) -> Example:
    x = floats(draw, -2.0, 2.0, _draw_shape(draw), dtype)
    return (draw.choice([x, x.swapaxes(1, 2)]),), {}


def _max_examples(draw: Draw, dtype: Any) -> Example:
    x = distinct(draw, _draw_shape(draw)).astype(dtype)
    return (draw.choice([x, x.swapaxes(1, 2)]),), {}


def _tie(draw: Draw, dtype: Any) -> KinkPoint:
    height, width = draw.integer(1, 3), draw.integer(2, 4)
    x = distinct(draw, (1, height, width, 2))
    first, second = (divmod(int(n), width) for n in draw.permutation(height * width)[:2])
    x[0, *first, 1] = x[0, *second, 1] = 8.0
    return KinkPoint((x.astype(dtype),), {}, 0, (0, *first, 1), float(first < second))


register(
    Primitive(
        "global_avg_pool",
        global_avg_pool_forward,
        global_avg_pool_vjp,
        global_avg_pool_jvp,
        definition=global_avg_pool_definition,
        domain="all real numbers",
        kinks=(),
        examples=_avg_examples,
        hvp=no_curvature,
    )
)
register(
    Primitive(
        "global_max_pool",
        global_max_pool_forward,
        global_max_pool_vjp,
        global_max_pool_jvp,
        definition=global_max_pool_definition,
        domain="all real numbers",
        kinks=(Kink("several largest elements", "the first of them gets all", _tie),),
        examples=_max_examples,
        hvp=no_curvature,
    )
)
