"""Ranges from data."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minigrad.errors import InputError
from minigrad.reduction import tree_sum

__all__ = ["for_each_channel", "least_squares_range", "positive_mean_abs", "require_finite"]

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


def require_finite(x: np.ndarray) -> None:
    """InputError if x is empty, is no array of real numbers, or holds NaN or an infinity."""
    if x.dtype.kind not in "fiu":
        raise InputError(f"x: expected real numbers to choose parameters from, got dtype {x.dtype}")
    if x.size == 0:
        raise InputError("x: expected elements to choose parameters from, got none")
    if not np.isfinite(x).all():
        raise InputError("x: expected finite numbers to choose parameters from")


def positive_mean_abs(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The mean of |x|, float64: of the tensor for shape (), or for each entry of the last axis.

    Raises
    ------
    InputError
        If x is empty or not finite, its last axis is another one, or a mean is 0.
    """
    require_finite(x)
    if shape and x.shape[-1:] != shape:
        raise InputError(f"x: expected {shape[0]} channels in the last axis, got shape {x.shape}")
    terms = np.abs(np.asarray(x, np.float64)).reshape(-1, *shape)
    # Relative to the largest, so that the sum does not overflow.
    top = float(terms.max())
    mean = tree_sum(terms / top) / len(terms) * top if top > 0 else np.zeros(shape)
    if not (mean > 0).all():
        raise InputError("x: expected elements other than 0 to choose parameters from")
    return np.asarray(mean)


def for_each_channel(x: np.ndarray, shape: tuple[int, ...], choose: Callable[[np.ndarray], float]) -> np.ndarray:
    """``choose`` of the tensor for shape (), or of each entry of the last axis: float64 of that shape.

    Raises
    ------
    InputError
        If the last axis is another one, and what ``choose`` raises.
    """
    if not shape:
        return np.asarray(choose(x), np.float64)
    if x.shape[-1:] != shape:
        raise InputError(f"x: expected {shape[0]} channels in the last axis, got shape {x.shape}")
    return np.array([choose(x[..., channel]) for channel in range(shape[0])], np.float64)
