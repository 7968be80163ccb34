"""Levels rounded to the entries of an int8 codebook, which table look-ups of kernels read.

With N = 2^8 - 1 steps on [x_min, x_max], as DDQ represents its levels (reconstructed; any set of levels will do):

    code = rint((level - x_min)/scale),  scale = (x_max - x_min)/N,  entry = code - 128
    level of an entry = (entry + 128) scale + x_min

The rounded levels make a quantizer of their own: each element goes to the nearest *rounded* level, the lower one of two
that are as near. Levels that round to the same entry become one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.errors import InputError
from quant.domain import refuse_nan
from quant.nearest import nearest_level

__all__ = ["Codebook", "make_codebook"]

_STEPS = 255


@dataclass(frozen=True, eq=False)
class Codebook:
    """An int8 codebook and what its entries stand for; made by ``make_codebook``.

    Attributes
    ----------
    entries : ndarray (m,), int8, ascending, no two equal
    scale, x_min : float
        The level of an entry is (entry + 128) scale + x_min, in float64.
    """

    entries: np.ndarray
    scale: float
    x_min: float

    def levels(self, dtype: Any = np.float64) -> np.ndarray:
        """The value of each entry, (m,), rounded once to the dtype."""
        codes = self.entries.astype(np.float64) + 128
        return (codes * self.scale + self.x_min).astype(dtype)

    def codes(self, x: np.ndarray) -> np.ndarray:
        """The index of the entry of each element, uint8; InputError if x holds NaN."""
        refuse_nan(x)
        return nearest_level(x, self.levels(x.dtype)).astype(np.uint8)

    def hard(self, x: np.ndarray) -> np.ndarray:
        """The level of the entry of each element, in the dtype of x; NaN where x is NaN."""
        levels = self.levels(x.dtype)
        return np.where(np.isnan(x), x, levels[nearest_level(x, levels)])


def make_codebook(levels: np.ndarray, *, x_min: float | None = None, x_max: float | None = None) -> Codebook:
    """The codebook of a set of levels.

    Parameters
    ----------
    levels : ndarray (m,), 1 <= m <= 256, any order
    x_min, x_max : ends of the range that the 256 entries divide; the least and the largest level by default.
        With x_min = -128 s and x_max = 127 s the level of an entry is s times the entry.

    Raises
    ------
    InputError
        If the levels are not finite or not within the range, or x_min > x_max, or the range's width overflows or is
        so small that its 255th part is 0. The range may be one point if all levels are there; the scale is 1 then.
    """
    values = np.asarray(levels, np.float64)
    if values.ndim != 1 or not 1 <= values.size <= _STEPS + 1 or not np.isfinite(values).all():
        raise InputError(f"levels: expected 1 to 256 finite numbers in one axis, got shape {values.shape}")
    low = float(values.min() if x_min is None else x_min)
    high = float(values.max() if x_max is None else x_max)
    if not (-np.inf < low <= values.min() and values.max() <= high < np.inf):
        raise InputError(f"x_min, x_max: expected a finite range around all levels, got {low} and {high}")
    width = high - low
    scale = width / _STEPS if width > 0 else 1.0
    if not 0 < scale < np.inf:
        raise InputError(f"x_min, x_max: the width of [{low}, {high}] overflows or underflows; scale the data")
    codes = np.rint((values - low) / scale)
    return Codebook(np.unique(np.clip(codes, 0, _STEPS) - 128).astype(np.int8), scale, low)
