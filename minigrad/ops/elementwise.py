"""Arithmetic with broadcasting, and functions of one element."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.elementary import exp, log, tanh
from minigrad.primitive import Kink, Primitive, register
from minigrad.reduction import sum_to_shape

Array = np.ndarray
Needs = Sequence[bool]
Examples = Callable[[np.random.Generator, Any], tuple[tuple[Array, ...], dict[str, Any]]]


def _two(low: float, high: float) -> Examples:
    """Two arrays of broadcasting shapes, the second one away from zero."""

    def examples(rng: np.random.Generator, dtype: Any) -> tuple[tuple[Array, ...], dict[str, Any]]:
        shapes = [((3, 4), (3, 4)), ((2, 3), (3,)), ((4,), ()), ((2, 1, 3), (4, 1)), ((1,), (5,))]
        first, second = shapes[rng.integers(len(shapes))]
        b = rng.uniform(low, high, second) * rng.choice([-1, 1], second)
        return (rng.uniform(-high, high, first).astype(dtype), b.astype(dtype)), {}

    return examples


def _one(low: float, high: float, gap: float = 0.0) -> Examples:
    """An array in [low, high], no element closer than ``gap`` to zero."""

    def examples(rng: np.random.Generator, dtype: Any) -> tuple[tuple[Array, ...], dict[str, Any]]:
        x = rng.uniform(low, high, tuple(rng.integers(1, 5, rng.integers(1, 4))))
        return (np.where(np.abs(x) < gap, gap, x).astype(dtype),), {}

    return examples


def _tangent(t: Array | None, like: Array) -> Array:
    return np.zeros_like(like) if t is None else t


def add_forward(a: Array, b: Array) -> tuple[Array, Any]:
    return a + b, (a.shape, b.shape)


def add_vjp(gy: Array, shapes: Any, needs: Needs) -> tuple[Array | None, ...]:
    return sum_to_shape(gy, shapes[0]) if needs[0] else None, sum_to_shape(gy, shapes[1]) if needs[1] else None


def add_jvp(tangents: tuple[Array | None, ...], a: Array, b: Array) -> Array:
    return _tangent(tangents[0], a) + _tangent(tangents[1], b)


def subtract_forward(a: Array, b: Array) -> tuple[Array, Any]:
    return a - b, (a.shape, b.shape)


def subtract_vjp(gy: Array, shapes: Any, needs: Needs) -> tuple[Array | None, ...]:
    return sum_to_shape(gy, shapes[0]) if needs[0] else None, -sum_to_shape(gy, shapes[1]) if needs[1] else None


def subtract_jvp(tangents: tuple[Array | None, ...], a: Array, b: Array) -> Array:
    return _tangent(tangents[0], a) - _tangent(tangents[1], b)


def multiply_forward(a: Array, b: Array) -> tuple[Array, Any]:
    return a * b, (a, b)


def multiply_vjp(gy: Array, residuals: Any, needs: Needs) -> tuple[Array | None, ...]:
    a, b = residuals
    return (
        sum_to_shape(gy * b, a.shape) if needs[0] else None,
        sum_to_shape(gy * a, b.shape) if needs[1] else None,
    )


def multiply_jvp(tangents: tuple[Array | None, ...], a: Array, b: Array) -> Array:
    return _tangent(tangents[0], a) * b + a * _tangent(tangents[1], b)


def divide_forward(a: Array, b: Array) -> tuple[Array, Any]:
    y = a / b
    return y, (a.shape, b, y)


def divide_vjp(gy: Array, residuals: Any, needs: Needs) -> tuple[Array | None, ...]:
    shape, b, y = residuals
    g = gy / b
    return sum_to_shape(g, shape) if needs[0] else None, -sum_to_shape(g * y, b.shape) if needs[1] else None


def divide_jvp(tangents: tuple[Array | None, ...], a: Array, b: Array) -> Array:
    return (_tangent(tangents[0], a) - a / b * _tangent(tangents[1], b)) / b


def negative_forward(a: Array) -> tuple[Array, Any]:
    return -a, None


def negative_vjp(gy: Array, residuals: Any, needs: Needs) -> tuple[Array | None, ...]:
    return (-gy,)


def negative_jvp(tangents: tuple[Array, ...], a: Array) -> Array:
    return -tangents[0]


def exp_forward(x: Array) -> tuple[Array, Any]:
    y = exp(x)
    return y, y


def exp_vjp(gy: Array, y: Any, needs: Needs) -> tuple[Array | None, ...]:
    return (gy * y,)


def exp_jvp(tangents: tuple[Array, ...], x: Array) -> Array:
    return tangents[0] * exp(x)


def log_forward(x: Array) -> tuple[Array, Any]:
    return log(x), x


def log_vjp(gy: Array, x: Any, needs: Needs) -> tuple[Array | None, ...]:
    return (gy / x,)


def log_jvp(tangents: tuple[Array, ...], x: Array) -> Array:
    return tangents[0] / x


def tanh_forward(x: Array) -> tuple[Array, Any]:
    y = tanh(x)
    return y, y


def tanh_vjp(gy: Array, y: Any, needs: Needs) -> tuple[Array | None, ...]:
    return (gy * ((1 - y) * (1 + y)),)


def tanh_jvp(tangents: tuple[Array, ...], x: Array) -> Array:
    y = tanh(x)
    return tangents[0] * ((1 - y) * (1 + y))


def relu_forward(x: Array) -> tuple[Array, Any]:
    # NaN stays NaN. Adding 0 makes -0 +0: which zero maximum returns depends on the processor.
    return np.maximum(x, 0) + x.dtype.type(0), x > 0


def relu_vjp(gy: Array, positive: Any, needs: Needs) -> tuple[Array | None, ...]:
    return (np.where(positive, gy, gy.dtype.type(0)),)


def relu_jvp(tangents: tuple[Array, ...], x: Array) -> Array:
    return np.where(x > 0, tangents[0], x.dtype.type(0))


_REAL = "all real numbers"
_KINK_RELU = (Kink("x = 0", "0"),)
_TABLE: tuple[tuple[Any, ...], ...] = (
    ("add", add_forward, add_vjp, add_jvp, _REAL, (), _two(0.1, 2.0)),
    ("subtract", subtract_forward, subtract_vjp, subtract_jvp, _REAL, (), _two(0.1, 2.0)),
    ("multiply", multiply_forward, multiply_vjp, multiply_jvp, _REAL, (), _two(0.1, 2.0)),
    ("divide", divide_forward, divide_vjp, divide_jvp, "divisor not 0", (), _two(0.5, 2.0)),
    ("negative", negative_forward, negative_vjp, negative_jvp, _REAL, (), _one(-2.0, 2.0)),
    ("exp", exp_forward, exp_vjp, exp_jvp, _REAL, (), _one(-2.0, 2.0)),
    ("log", log_forward, log_vjp, log_jvp, "x > 0", (), _one(0.2, 4.0)),
    ("tanh", tanh_forward, tanh_vjp, tanh_jvp, _REAL, (), _one(-3.0, 3.0)),
    ("relu", relu_forward, relu_vjp, relu_jvp, _REAL, _KINK_RELU, _one(-2.0, 2.0, gap=0.01)),
)
for _row in _TABLE:
    register(Primitive(*_row))
