"""Matrix products: one multiply-add a term in a fixed order, by the C library or by its NumPy reference.

Both are convolutions with a 1x1 kernel, so they use the convolutions' code and have its order: every element starts at
+0 and takes its terms in ascending order of the inner index. The gradient of linear's weights sums the rows in 8
chunks, as that of a convolution does; the gradients of matmul are matrix products, summed over broadcast axes by the
tree of ``minigrad.reduction``.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.draw import Draw, floats
from minigrad.errors import InputError
from minigrad.ops.arguments import one_float_dtype
from minigrad.ops.conv import bilinear_jvp, implementation
from minigrad.ops.conv_geometry import Geometry
from minigrad.primitive import Example, Primitive, register
from minigrad.reduction import sum_to_shape

__all__ = ["linear_forward", "matmul_forward"]

Array = np.ndarray
Needs = Sequence[bool]


@functools.lru_cache(maxsize=1024)
def _as_row(n: int, inner: int, outer: int) -> Geometry:
    """All rows as the pixels of one image."""
    return Geometry.of((1, 1, n, inner), (1, 1, inner, outer), 1, 0, 1)


@functools.lru_cache(maxsize=1024)
def _as_images(n: int, inner: int, outer: int) -> Geometry:
    """Each row an image of its own, so that the rows are what is split into chunks."""
    return Geometry.of((n, 1, 1, inner), (1, 1, inner, outer), 1, 0, 1)


def _product(a: Array, b: Array) -> Array:
    """(m, k) times (k, n)."""
    (m, k), n = a.shape, b.shape[1]
    if 0 in (m, k, n):
        return np.zeros((m, n), a.dtype)
    g = _as_row(m, k, n)
    return implementation().forward(a.reshape(g.input_shape), b.reshape(g.weight_shape), g).reshape(m, n)


def _batched_product(a: Array, b: Array) -> Array:
    """(..., m, k) times (..., k, n), leading axes broadcast."""
    if b.ndim == 2:
        return _product(a.reshape(_rows(a), a.shape[-1]), b).reshape(*a.shape[:-1], b.shape[1])
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = np.broadcast_to(a, (*batch, *a.shape[-2:])), np.broadcast_to(b, (*batch, *b.shape[-2:]))
    y = np.empty((*batch, a.shape[-2], b.shape[-1]), a.dtype)
    for index in np.ndindex(*batch):
        y[index] = _product(a[index], b[index])
    return y


def _rows(a: Array) -> int:
    return math.prod(a.shape[:-1])


def _swap(a: Array) -> Array:
    return a.swapaxes(-1, -2)


def _matrices(a: Array, b: Array) -> tuple[Array, Array]:
    """The operands with vectors as a row on the left and a column on the right."""
    one_float_dtype("matmul", (a, b))
    if a.ndim == 0 or b.ndim == 0:
        raise InputError(f"matmul: expected arrays of at least one axis, got shapes {a.shape} and {b.shape}")
    rows, columns = a[None, :] if a.ndim == 1 else a, b[:, None] if b.ndim == 1 else b
    fits = rows.shape[-1] == columns.shape[-2]
    try:
        np.broadcast_shapes(rows.shape[:-2], columns.shape[:-2])
    except ValueError:
        fits = False
    if not fits:
        raise InputError(f"matmul: expected shapes (..., m, k) and (..., k, n), got {a.shape} and {b.shape}")
    return rows, columns


def matmul_forward(a: Array, b: Array) -> tuple[Array, Any]:
    """Matrix product of the last two axes, the leading axes broadcast.

    Parameters
    ----------
    a : array (..., m, k) or (k,)
    b : array (..., k, n) or (k,)
        A vector is a row on the left and a column on the right, and its axis of size 1 is gone from the result, as in
        NumPy.

    Returns
    -------
    array (..., m, n)
        In the dtype of the operands; 0 where k is 0. With y = a b, the gradients are ``gy b^T`` and ``a^T gy``, summed
        over the broadcast axes; the second derivatives along (t, u) are ``gy u^T`` and ``t^T gy``.

    Raises
    ------
    InputError
        If the shapes do not fit, an operand is a scalar, or the dtypes are not one float dtype.
    """
    rows, columns = _matrices(a, b)
    y = _batched_product(rows, columns)
    shape = y.shape[:-2] + (() if a.ndim == 1 else y.shape[-2:-1]) + (() if b.ndim == 1 else y.shape[-1:])
    return y.reshape(shape), (a, b)


def matmul_vjp(gy: Array, residuals: Any, needs: Needs) -> tuple[Array | None, ...]:
    a, b = residuals
    rows, columns = _matrices(a, b)
    batch = np.broadcast_shapes(rows.shape[:-2], columns.shape[:-2])
    gy = gy.reshape(*batch, rows.shape[-2], columns.shape[-1])
    da = db = None
    if needs[0]:
        da = sum_to_shape(_batched_product(gy, _swap(columns)), rows.shape).reshape(a.shape)
    if needs[1]:
        db = sum_to_shape(_batched_product(_swap(rows), gy), columns.shape).reshape(b.shape)
    return da, db


def matmul_jvp(tangents: Sequence[Any], a: Array, b: Array) -> Array:
    return bilinear_jvp(matmul_forward, tangents, a, b)


def matmul_hvp(gy: Array, tangents: Sequence[Any], a: Array, b: Array) -> tuple[Array | None, ...]:
    t, u = tangents
    return (
        None if u is None else matmul_vjp(gy, (a, u), (True, False))[0],
        None if t is None else matmul_vjp(gy, (t, b), (False, True))[1],
    )


def matmul_definition(a: Array, b: Array) -> Any:
    rows, columns = a[None, :] if a.ndim == 1 else a, b[:, None] if b.ndim == 1 else b
    y = (rows[..., :, :, None] * columns[..., None, :, :]).sum(axis=-2)
    y = y[..., 0, :] if a.ndim == 1 else y
    return y[..., 0] if b.ndim == 1 else y


def _check_linear(x: Array, w: Array) -> None:
    one_float_dtype("linear", (x, w))
    if x.ndim < 1 or w.ndim != 2 or x.shape[-1] != w.shape[0]:
        raise InputError(f"linear: expected x (..., in) and w (in, out), got {x.shape} and {w.shape}")


def linear_forward(x: Array, w: Array) -> tuple[Array, Any]:
    """``x w``: a fully connected layer without its bias.

    Parameters
    ----------
    x : array (..., in)
    w : array (in, out)

    Returns
    -------
    array (..., out)
        In the dtype of the operands; 0 where ``in`` is 0. Gradients: ``gy w^T`` and ``x^T gy``; second derivatives
        along (t, u): ``gy u^T`` and ``t^T gy``.

    Raises
    ------
    InputError
        If the shapes do not fit, or the dtypes are not one float dtype.
    """
    _check_linear(x, w)
    return _product(x.reshape(_rows(x), x.shape[-1]), w).reshape(*x.shape[:-1], w.shape[1]), (x, w)


def linear_vjp(gy: Array, residuals: Any, needs: Needs) -> tuple[Array | None, ...]:
    x, w = residuals
    size = _rows(x), *w.shape
    if 0 in size:
        return np.zeros_like(x) if needs[0] else None, np.zeros_like(w) if needs[1] else None
    dx = dw = None
    if needs[0]:
        row = _as_row(*size)
        dx = implementation().grad_input(gy.reshape(row.output_shape), w.reshape(row.weight_shape), row)
        dx = dx.reshape(x.shape)
    if needs[1]:
        images = _as_images(*size)
        dw = implementation().grad_weight(x.reshape(images.input_shape), gy.reshape(images.output_shape), images)
        dw = dw.reshape(w.shape)
    return dx, dw


def linear_jvp(tangents: Sequence[Any], x: Array, w: Array) -> Array:
    return bilinear_jvp(linear_forward, tangents, x, w)


def linear_hvp(gy: Array, tangents: Sequence[Any], x: Array, w: Array) -> tuple[Array | None, ...]:
    t, u = tangents
    return (
        None if u is None else linear_vjp(gy, (x, u), (True, False))[0],
        None if t is None else linear_vjp(gy, (t, w), (False, True))[1],
    )


def linear_definition(x: Array, w: Array) -> Any:
    y = np.empty((*x.shape[:-1], w.shape[1]), object)
    for index in np.ndindex(*y.shape):
        y[index] = sum(x[(*index[:-1], k)] * w[k, index[-1]] for k in range(w.shape[0]))
    return y


#: Leading axes that broadcast, and whether an operand is a vector.
_BATCHES: tuple[tuple[tuple[int, ...] | None, tuple[int, ...] | None], ...] = (
    ((), ()),
    ((), None),
    (None, ()),
    (None, None),
    ((2,), (2,)),
    ((3,), ()),
    ((), (2,)),
    ((2, 1), (3,)),
    ((1,), (3,)),
    (None, (2, 1)),
    ((2, 2), None),
)


def _matmul_examples(draw: Draw, dtype: Any) -> Example:
    m, k, n = (draw.integer(1, 3) for _ in range(3))
    left, right = draw.choice(_BATCHES)
    a = floats(draw, -1.0, 1.0, (k,) if left is None else (*left, m, k), dtype)
    if right is None:
        return (a, floats(draw, -1.0, 1.0, (k,), dtype)), {}
    b = floats(draw, -1.0, 1.0, (*right, k, n), dtype)
    return (a, draw.choice([b, np.ascontiguousarray(b.swapaxes(-1, -2)).swapaxes(-1, -2)])), {}


def _linear_examples(draw: Draw, dtype: Any) -> Example:
    lead = draw.choice([(1,), (4,), (5,), (), (2, 3)])
    i, o = (draw.integer(1, 5) for _ in range(2))
    return (floats(draw, -1.0, 1.0, (*lead, i), dtype), floats(draw, -1.0, 1.0, (i, o), dtype)), {}


register(
    Primitive(
        "matmul",
        matmul_forward,
        matmul_vjp,
        matmul_jvp,
        definition=matmul_definition,
        domain="all real numbers",
        kinks=(),
        examples=_matmul_examples,
        hvp=matmul_hvp,
    )
)
register(
    Primitive(
        "linear",
        linear_forward,
        linear_vjp,
        linear_jvp,
        definition=linear_definition,
        domain="all real numbers",
        kinks=(),
        examples=_linear_examples,
        hvp=linear_hvp,
    )
)
