"""Arguments of 10 to 100,000 elements, for mutants with one wrong element."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.primitive import Example

__all__ = ["LARGE"]

Rng = np.random.Generator


def _apart(size: int, low: float, high: float, kinks: tuple[float, ...] = ()) -> Callable[[Rng], np.ndarray]:
    """Numbers in [low, high], those within 0.05 of a kink moved up by 0.1."""

    def draw(rng: Rng) -> np.ndarray:
        x = rng.uniform(low, high, size)
        for kink in kinks:
            x = np.where(np.abs(x - kink) < 0.05, x + 0.1, x)
        return x

    return draw


def _unary(low: float, high: float, *kinks: float) -> Callable[[Rng, int], Example]:
    return lambda rng, size: ((_apart(size, low, high, kinks)(rng),), {})


def _binary(rng: Rng, size: int) -> Example:
    return (rng.uniform(-2, 2, size), rng.uniform(0.5, 2, size)), {}


def _reduction(rng: Rng, size: int) -> Example:
    return (rng.uniform(-2, 2, (5, size // 5)),), {"axis": 1}


def _matrices(rng: Rng, size: int) -> Example:
    inner = {10: 2, 100: 4, 1_000: 10, 10_000: 20, 100_000: 50}[size]
    return (rng.uniform(-1, 1, (size // inner, inner)), rng.uniform(-1, 1, (inner, 3))), {}


def _images(rng: Rng, size: int) -> np.ndarray:
    height, width, channels = {
        10: (5, 2, 1),
        100: (5, 5, 4),
        1_000: (10, 10, 10),
        10_000: (40, 25, 10),
        100_000: (125, 80, 10),
    }[size]
    return rng.uniform(-1, 1, (1, height, width, channels))


def _convolution(rng: Rng, size: int) -> Example:
    x = _images(rng, size)
    return (x, rng.uniform(-1, 1, (3, 2, x.shape[3], 2))), {"padding": 1}


def _normalised(rng: Rng, size: int) -> Example:
    x = _images(rng, size)
    channels = (x.shape[3],)
    return (x, rng.uniform(0.5, 2, channels), rng.uniform(-1, 1, channels)), {}


def _quantized(rng: Rng, size: int) -> Example:
    l, u = np.asarray(-1.0), np.asarray(1.5)
    interval, inside = rng.integers(0, 3, size), rng.uniform(0.05, 0.95, size)
    x: np.ndarray = l + (u - l) / 3 * (interval + inside)
    return (x, l, u, np.asarray(0.3)), {"bits": 2}


#: Primitive -> (rng, size) -> arguments, one of which has ``size`` elements.
LARGE: dict[str, Callable[[Rng, int], Example]] = {
    "add": _binary,
    "multiply": _binary,
    "divide": _binary,
    "exp": _unary(-2.0, 2.0),
    "log": _unary(0.2, 4.0),
    "tanh": _unary(-3.0, 3.0),
    "relu": _unary(-2.0, 2.0, 0.0),
    "dsq_soft": _quantized,
    "sum": _reduction,
    "mean": _reduction,
    "linear": _matrices,
    "matmul": _matrices,
    "conv2d": _convolution,
    "batch_norm": _normalised,
}


def large_example(name: str, size: int, seed: int, dtype: Any = np.float64) -> Example:
    """Arguments for a primitive of ``LARGE``."""
    arrays, options = LARGE[name](np.random.Generator(np.random.Philox(key=seed)), size)
    return tuple(a.astype(dtype) if a.dtype.kind == "f" else a for a in arrays), options
