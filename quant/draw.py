"""Examples of quantizers: of a drawn bit width, or of one that is pinned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from minigrad.draw import Draw

__all__ = ["PinnedDraw", "draw_bits"]

T = TypeVar("T")


class PinnedDraw:
    """A source of choices for which ``draw_bits`` gives one width."""

    def __init__(self, draw: Draw, bits: int) -> None:
        self._draw, self.bits = draw, bits

    def integer(self, low: int, high: int) -> int:
        return self._draw.integer(low, high)

    def choice(self, options: Sequence[T]) -> T:
        return self._draw.choice(options)

    def uniform(self, low: float, high: float, shape: tuple[int, ...] = ()) -> np.ndarray:
        return self._draw.uniform(low, high, shape)

    def permutation(self, count: int) -> np.ndarray:
        return self._draw.permutation(count)


def draw_bits(draw: Draw, widths: Sequence[int]) -> int:
    """One of the widths; the pinned one if the draw has it."""
    return draw.bits if isinstance(draw, PinnedDraw) else draw.choice(widths)
