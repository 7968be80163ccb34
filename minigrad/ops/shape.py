"""Primitives that move elements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.primitive import Primitive, register

Array = np.ndarray
Needs = Sequence[bool]


def reshape_forward(x: Array, shape: tuple[int, ...]) -> tuple[Array, Any]:
    return x.reshape(shape), x.shape


def reshape_vjp(gy: Array, shape: Any, needs: Needs) -> tuple[Array | None, ...]:
    return (gy.reshape(shape),)


def reshape_jvp(tangents: tuple[Array, ...], x: Array, shape: tuple[int, ...]) -> Array:
    return tangents[0].reshape(shape)


def transpose_forward(x: Array, axes: tuple[int, ...]) -> tuple[Array, Any]:
    return x.transpose(axes), [n % x.ndim for n in axes]


def transpose_vjp(gy: Array, axes: Any, needs: Needs) -> tuple[Array | None, ...]:
    return (gy.transpose(np.argsort(axes)),)


def transpose_jvp(tangents: tuple[Array, ...], x: Array, axes: tuple[int, ...]) -> Array:
    return tangents[0].transpose(axes)


def _reshape_examples(rng: np.random.Generator, dtype: Any) -> tuple[tuple[Array, ...], dict[str, Any]]:
    shape = [(6, 4), (24,), (2, -1), (4, 3, 2)][rng.integers(4)]
    return (rng.uniform(-2, 2, (2, 3, 4)).astype(dtype),), {"shape": shape}


def _transpose_examples(rng: np.random.Generator, dtype: Any) -> tuple[tuple[Array, ...], dict[str, Any]]:
    return (rng.uniform(-2, 2, (2, 3, 4)).astype(dtype),), {"axes": tuple(int(n) for n in rng.permutation(3))}


register(Primitive("reshape", reshape_forward, reshape_vjp, reshape_jvp, "all real numbers", (), _reshape_examples))
register(
    Primitive("transpose", transpose_forward, transpose_vjp, transpose_jvp, "all real numbers", (), _transpose_examples)
)
