"""Ranges from data."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minigrad.errors import InputError
from minigrad.reduction import tree_sum

__all__ = ["least_squares_range"]

_CANDIDATES = 64
_SAMPLE = 1 << 16


def least_squares_range(x: np.ndarray, hard: Callable[[np.ndarray, float], np.ndarray]) -> float:
    """The upper end u of the range for which ``hard(x, u)`` is closest to x in the least-squares sense.

    Tried are 64 even fractions of max|x|, on at most 65,536 evenly spaced elements.

    Raises
    ------
    InputError
        If x is empty, all zero, or not finite.
    """
    flat = np.asarray(x, np.float64).ravel()
    # An odd stride meets every channel in turn, whatever power of two their number is.
    flat = flat[:: -(-flat.size // _SAMPLE) | 1] if flat.size else flat
    top = float(np.abs(flat).max()) if flat.size else 0.0
    if not 0 < top < np.inf:
        raise InputError(f"x: expected finite numbers, not all zero, to choose a range from; largest is {top}")
    tried = [top * n / _CANDIDATES for n in range(1, _CANDIDATES + 1)]
    # Relative to the largest, so that squares neither overflow nor vanish.
    errors = [float(tree_sum(((hard(flat, u) - flat) / top) ** 2)) for u in tried]
    return tried[int(np.argmin(errors))]
