"""Pooling over windows of images (n, h, w, c), and over whole images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.errors import InputError
from minigrad.primitive import Kink, Primitive, register
from minigrad.reduction import tree_sum

Array = np.ndarray
Needs = Sequence[bool]


def _windows(x: Array, size: int) -> Array:
    """Non-overlapping windows: (n, h / size, w / size, c, size * size)."""
    if x.ndim != 4:
        raise InputError(f"pool: expected images (n, h, w, c), got shape {x.shape}")
    n, h, w, c = x.shape
    if size < 1 or h % size or w % size or min(h, w) < size:
        raise InputError(f"pool: size {size} does not divide the height and width of {x.shape}")
    split = x.reshape(n, h // size, size, w // size, size, c)
    return split.transpose(0, 1, 3, 5, 2, 4).reshape(n, h // size, w // size, c, size * size)


def _images(windows: Array, size: int) -> Array:
    """The inverse of ``_windows``."""
    n, h, w, c, _ = windows.shape
    split = windows.reshape(n, h, w, c, size, size)
    return split.transpose(0, 1, 4, 2, 5, 3).reshape(n, h * size, w * size, c)


def max_pool2d_forward(x: Array, size: int = 2) -> tuple[Array, Any]:
    windows = _windows(x, size)
    index = windows.argmax(-1)
    return np.take_along_axis(windows, index[..., None], -1)[..., 0], (index, size)


def max_pool2d_vjp(gy: Array, residuals: Any, needs: Needs) -> tuple[Array | None, ...]:
    index, size = residuals
    windows = np.zeros((*index.shape, size * size), gy.dtype)
    np.put_along_axis(windows, index[..., None], gy[..., None], -1)
    return (_images(windows, size),)


def max_pool2d_jvp(tangents: tuple[Array, ...], x: Array, size: int = 2) -> Array:
    index = _windows(x, size).argmax(-1)
    return np.take_along_axis(_windows(tangents[0], size), index[..., None], -1)[..., 0]


def avg_pool2d_forward(x: Array, size: int = 2) -> tuple[Array, Any]:
    return tree_sum(np.moveaxis(_windows(x, size), -1, 0)) / (size * size), size


def avg_pool2d_vjp(gy: Array, size: Any, needs: Needs) -> tuple[Array | None, ...]:
    return (np.repeat(np.repeat(gy / (size * size), size, axis=1), size, axis=2),)


def avg_pool2d_jvp(tangents: tuple[Array, ...], x: Array, size: int = 2) -> Array:
    return avg_pool2d_forward(tangents[0], size)[0]


def global_avg_pool_forward(x: Array) -> tuple[Array, Any]:
    if x.ndim != 4:
        raise InputError(f"global_avg_pool: expected images (n, h, w, c), got shape {x.shape}")
    n, h, w, c = x.shape
    return tree_sum(np.moveaxis(x.reshape(n, h * w, c), 1, 0)) / (h * w), x.shape


def global_avg_pool_vjp(gy: Array, shape: Any, needs: Needs) -> tuple[Array | None, ...]:
    return (np.broadcast_to((gy / (shape[1] * shape[2]))[:, None, None, :], shape),)


def global_avg_pool_jvp(tangents: tuple[Array, ...], x: Array) -> Array:
    return global_avg_pool_forward(tangents[0])[0]


def _max_examples(rng: np.random.Generator, dtype: Any) -> tuple[tuple[Array, ...], dict[str, Any]]:
    # A permutation: no two elements of a window are close.
    x = rng.permutation(2 * 4 * 6 * 2).reshape(2, 4, 6, 2) * 0.125
    return (x.astype(dtype),), {"size": 2}


def _examples(rng: np.random.Generator, dtype: Any) -> tuple[tuple[Array, ...], dict[str, Any]]:
    return (rng.uniform(-2, 2, (2, 4, 6, 3)).astype(dtype),), {"size": 2}


def _global_examples(rng: np.random.Generator, dtype: Any) -> tuple[tuple[Array, ...], dict[str, Any]]:
    return (rng.uniform(-2, 2, (2, 3, 5, 2)).astype(dtype),), {}


_DOMAIN = "sizes divisible by the window"
_TIES = (Kink("several largest elements in a window", "the first of them gets all"),)
for _primitive in (
    Primitive("max_pool2d", max_pool2d_forward, max_pool2d_vjp, max_pool2d_jvp, _DOMAIN, _TIES, _max_examples),
    Primitive("avg_pool2d", avg_pool2d_forward, avg_pool2d_vjp, avg_pool2d_jvp, _DOMAIN, (), _examples),
    Primitive(
        "global_avg_pool",
        global_avg_pool_forward,
        global_avg_pool_vjp,
        global_avg_pool_jvp,
        "all real numbers",
        (),
        _global_examples,
    ),
):
    register(_primitive)
