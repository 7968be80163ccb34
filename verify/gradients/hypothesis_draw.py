"""Examples drawn by hypothesis, which shrinks a failing one: the other ``Draw`` beside ``SeededDraw``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

__all__ = ["HypothesisDraw"]

T = TypeVar("T")
Shape = tuple[int, ...]

#: Numbers below it in size become 0: hypothesis loves 1e-300, whose square no error bound is about.
_SMALLEST = 2.0**-20


class HypothesisDraw:
    """Draws answered by hypothesis: an argument of a primitive's ``examples``.

    Integers and numbers shrink towards 0 (or the end of the interval that is closer to it), a choice towards the first
    option, a permutation towards the identity, and the elements of an array towards being equal.

    Parameters
    ----------
    data : what ``st.data()`` gives a test
    """

    def __init__(self, data: st.DataObject) -> None:
        self._data = data

    def integer(self, low: int, high: int) -> int:
        return self._data.draw(st.integers(low, high))

    def choice(self, options: Sequence[T]) -> T:
        return options[self.integer(0, len(options) - 1)]

    def uniform(self, low: float, high: float, shape: Shape = ()) -> np.ndarray:
        numbers = st.floats(low, high, allow_nan=False, allow_infinity=False)
        array = self._data.draw(hnp.arrays(np.float64, shape, elements=numbers))
        if low <= 0 <= high:
            array[np.abs(array) < _SMALLEST] = 0.0
        return array

    def permutation(self, count: int) -> np.ndarray:
        return np.array(self._data.draw(st.permutations(range(count))), dtype=np.int64)
