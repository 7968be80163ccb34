"""conv2d and linear: one multiply-add a term in a fixed order, by the C library or by its NumPy reference."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from minigrad import backend
from minigrad.errors import InputError
from minigrad.ops import conv_kernels, conv_reference
from minigrad.ops.conv_geometry import Geometry
from minigrad.primitive import Primitive, register

Array = np.ndarray
Needs = Sequence[bool]


def _implementation() -> ModuleType:
    return conv_kernels if backend.current() == "c" else conv_reference


def conv2d_forward(
    x: Array,
    w: Array,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, ...] = 0,
    dilation: int | tuple[int, int] = 1,
) -> tuple[Array, Any]:
    geometry = Geometry.of(x.shape, w.shape, stride, padding, dilation)
    return _implementation().forward(x, w, geometry), (x, w, geometry)


def conv2d_vjp(gy: Array, residuals: Any, needs: Needs) -> tuple[Array | None, ...]:
    x, w, geometry = residuals
    dx = _implementation().grad_input(gy, w, geometry) if needs[0] else None
    dw = _implementation().grad_weight(x, gy, geometry) if needs[1] else None
    return dx, dw


def conv2d_jvp(tangents: tuple[Array | None, ...], x: Array, w: Array, **options: Any) -> Array:
    dx, dw = tangents
    parts = []
    if dx is not None:
        parts.append(conv2d_forward(dx, w, **options)[0])
    if dw is not None:
        parts.append(conv2d_forward(x, dw, **options)[0])
    return parts[0] + parts[1] if len(parts) == 2 else parts[0]


def _geometries(x: Array, w: Array) -> tuple[Geometry, Geometry]:
    """A linear layer as a 1x1 convolution: all rows as one row of pixels, and each row as an image (for the chunks)."""
    if x.ndim != 2 or w.ndim != 2 or x.shape[1] != w.shape[0]:
        raise InputError(f"linear: expected x (n, in) and w (in, out), got {x.shape} and {w.shape}")
    n, weights = x.shape[0], (1, 1, *w.shape)
    return (
        Geometry.of((1, 1, n, x.shape[1]), weights, 1, 0, 1),
        Geometry.of((n, 1, 1, x.shape[1]), weights, 1, 0, 1),
    )


def linear_forward(x: Array, w: Array) -> tuple[Array, Any]:
    row, _ = geometries = _geometries(x, w)
    y = _implementation().forward(x.reshape(row.input_shape), w.reshape(row.weight_shape), row)
    return y.reshape(x.shape[0], w.shape[1]), (x, w, geometries)


def linear_vjp(gy: Array, residuals: Any, needs: Needs) -> tuple[Array | None, ...]:
    x, w, (row, column) = residuals
    dx = dw = None
    if needs[0]:
        dx = (
            _implementation()
            .grad_input(gy.reshape(row.output_shape), w.reshape(row.weight_shape), row)
            .reshape(x.shape)
        )
    if needs[1]:
        images = x.reshape(column.input_shape)
        dw = _implementation().grad_weight(images, gy.reshape(column.output_shape), column).reshape(w.shape)
    return dx, dw


def linear_jvp(tangents: tuple[Array | None, ...], x: Array, w: Array) -> Array:
    dx, dw = tangents
    parts = [linear_forward(a, b)[0] for a, b in ((dx, w), (x, dw)) if a is not None and b is not None]
    return parts[0] + parts[1] if len(parts) == 2 else parts[0]


def _conv2d_examples(rng: np.random.Generator, dtype: Any) -> tuple[tuple[Array, ...], dict[str, Any]]:
    ic, oc = (int(n) for n in rng.integers(1, 4, 2))
    kernel = tuple(int(n) for n in rng.integers(1, 4, 2))
    options = {
        "stride": tuple(int(n) for n in rng.integers(1, 3, 2)),
        "padding": tuple(int(n) for n in rng.integers(0, 3, 4)),
        "dilation": tuple(int(n) for n in rng.integers(1, 3, 2)),
    }
    x = rng.uniform(-1, 1, (int(rng.integers(1, 3)), 5, 6, ic)).astype(dtype)
    return (x, rng.uniform(-1, 1, (*kernel, ic, oc)).astype(dtype)), options


def _linear_examples(rng: np.random.Generator, dtype: Any) -> tuple[tuple[Array, ...], dict[str, Any]]:
    n, i, o = (int(k) for k in rng.integers(1, 6, 3))
    return (rng.uniform(-1, 1, (n, i)).astype(dtype), rng.uniform(-1, 1, (i, o)).astype(dtype)), {}


register(Primitive("conv2d", conv2d_forward, conv2d_vjp, conv2d_jvp, "all real numbers", (), _conv2d_examples))
register(Primitive("linear", linear_forward, linear_vjp, linear_jvp, "all real numbers", (), _linear_examples))
