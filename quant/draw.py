"""Examples of quantizers: of a drawn bit width, or of one that is pinned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from minigrad.draw import Draw
from minigrad.errors import InputError

__all__ = ["NoSuchWidth", "PinnedDraw", "draw_bits"]

T = TypeVar("T")


class NoSuchWidth(InputError):
    """The pinned width is none that is drawn here: there is no such example, or no such kink."""


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
    """One of the widths; the pinned one if the draw has it.

    Raises
    ------
    NoSuchWidth
        If the pinned one is none of them.
    """
    if not isinstance(draw, PinnedDraw):
        return draw.choice(widths)
    if draw.bits not in widths:
        raise NoSuchWidth(f"bits: there are examples of {', '.join(map(str, widths))}, not of {draw.bits}")
    return draw.bits
