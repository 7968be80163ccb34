"""The nearest of a set of levels, exactly: the midpoints of the sorted levels are searched, elements x log(levels).

x is nearer to the lower of two neighbouring levels a < c, or as near, if and only if x <= (a + c)/2. That midpoint is
seldom a float, but the largest float that is not above it decides every float x just as well.
"""

from __future__ import annotations

import numpy as np

__all__ = ["nearest_level"]


def nearest_level(x: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """The index of the level with the least distance to each element; of several, the lowest index.

    Parameters
    ----------
    x : ndarray, float32 or float64, any shape
        Of infinities the distance's limit decides: the index of the largest or smallest level.
    levels : ndarray (n,), the dtype of x, n >= 1
        Finite, in any order, equal ones among them; no sum of two overflows.

    Returns
    -------
    ndarray of intp, the shape of x; where x is NaN, the index of a largest level.
    """
    distinct, first = np.unique(levels, return_index=True)
    return np.asarray(first[np.searchsorted(_thresholds(distinct, first), x, side="left")])


def _thresholds(levels: np.ndarray, index: np.ndarray) -> np.ndarray:
    """For each pair of neighbours the largest float that belongs to the lower one, for ascending levels.

    The midpoint itself belongs to the one with the lower index.
    """
    low, high = levels[:-1], levels[1:]
    total = low + high
    # What rounding the sum has lost (Knuth's two-sum, exact).
    back = total - low
    lost = (low - (total - back)) + (high - back)
    half = total * levels.dtype.type(0.5)
    above = (half * 2 > total) | ((half * 2 == total) & (lost < 0))
    on_midpoint = (half * 2 == total) & (lost == 0)
    down = above | (on_midpoint & (index[:-1] > index[1:]))
    return np.where(down, np.nextafter(half, levels.dtype.type(-np.inf)), half)
