"""Where examples come from: what a primitive draws its arguments with.

A primitive's examples are written once against ``Draw``. ``SeededDraw`` answers from a seed; the tests answer with
hypothesis, which also shrinks a failing example (``verify/gradients/hypothesis_draw.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

import numpy as np

from minigrad.errors import InputError

__all__ = ["Draw", "SeededDraw", "away_from", "distinct", "floats", "shape_of"]

T = TypeVar("T")
Shape = tuple[int, ...]


class Draw(Protocol):
    """A source of choices."""

    def integer(self, low: int, high: int) -> int:
        """A whole number, low <= n <= high."""
        ...

    def choice(self, options: Sequence[T]) -> T:
        """One of the options."""
        ...

    def uniform(self, low: float, high: float, shape: Shape = ()) -> np.ndarray:
        """Float64 numbers in [low, high]; zeros and equal elements may be among them."""
        ...

    def permutation(self, count: int) -> np.ndarray:
        """The numbers 0 to count - 1 in some order."""
        ...


class SeededDraw:
    """Draws that follow from a seed alone."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.Generator(np.random.Philox(key=seed))

    def integer(self, low: int, high: int) -> int:
        return int(self._rng.integers(low, high, endpoint=True))

    def choice(self, options: Sequence[T]) -> T:
        return options[self.integer(0, len(options) - 1)]

    def uniform(self, low: float, high: float, shape: Shape = ()) -> np.ndarray:
        return np.asarray(self._rng.uniform(low, high, shape))

    def permutation(self, count: int) -> np.ndarray:
        return self._rng.permutation(count)


def away_from(draw: Draw, low: float, high: float, shape: Shape, points: Sequence[float], gap: float) -> np.ndarray:
    """Numbers in [low, high], none closer than ``gap`` to any of the (ascending) points.

    The pieces of [low, high] that remain are laid end to end and a number is drawn from their whole length.

    Raises
    ------
    InputError
        If nothing remains.
    """
    edges = [low, *(min(max(edge, low), high) for p in points for edge in (p - gap, p + gap)), high]
    pieces = [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b > a]
    if not pieces:
        raise InputError(f"gap: {gap} on either side of {list(points)} leaves nothing of [{low}, {high}]")
    lengths = np.array([b - a for a, b in pieces])
    position = draw.uniform(0.0, float(lengths.sum()), shape)
    ends = np.cumsum(lengths)
    piece = np.minimum(np.searchsorted(ends, position, side="left"), len(pieces) - 1)
    starts = np.array([a for a, _ in pieces])
    inside = starts[piece] + (position - (ends - lengths)[piece])
    return np.asarray(np.clip(inside, starts[piece], np.array([b for _, b in pieces])[piece]))


def distinct(draw: Draw, shape: Shape, step: float = 0.125) -> np.ndarray:
    """Numbers around 0 of which no two are closer than half a step."""
    count = int(np.prod(shape, dtype=np.int64))
    grid = (draw.permutation(count) - count / 2) * step
    return np.asarray(grid.reshape(shape) + draw.uniform(0.0, step / 2, shape))


def shape_of(draw: Draw, dimensions: tuple[int, int] = (1, 3), size: tuple[int, int] = (1, 4)) -> Shape:
    """A shape with so many dimensions of such sizes."""
    return tuple(draw.integer(*size) for _ in range(draw.integer(*dimensions)))


def floats(draw: Draw, low: float, high: float, shape: Shape, dtype: Any) -> np.ndarray:
    """``uniform`` in a dtype."""
    return draw.uniform(low, high, shape).astype(dtype)
