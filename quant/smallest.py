"""The smallest scale and range that ``project`` leaves, where an optimizer's step went to zero or beyond."""

import numpy as np

__all__ = ["SMALLEST", "keep_positive", "smallest_width"]

#: Far below the scale of data, whatever its unit; its square and the inverse of that are normal float32 numbers.
SMALLEST = 2.0**-60


def keep_positive(scale: np.ndarray) -> None:
    """Raise what is below ``SMALLEST`` to it, in place."""
    np.maximum(scale, SMALLEST, out=scale)


def smallest_width(l: np.ndarray, u: np.ndarray) -> np.ndarray:
    """What u - l has to be at least: 1e-6 of the larger end, several ulps of float32, or ``SMALLEST``."""
    return np.maximum(SMALLEST, 1e-6 * np.maximum(np.abs(l), np.abs(u)))
