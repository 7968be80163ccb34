"""The thresholds of a monotone epilogue, by bisection over the integers an accumulator can be."""

from __future__ import annotations

import numpy as np

from minigrad.errors import InputError
from quant.evaluation import Epilogue

__all__ = ["bisect"]


def bisect(epilogue: Epilogue, bound: int) -> tuple[np.ndarray, np.ndarray]:
    """Thresholds int32 (channels, 2^bits - 1), ascending, and direction int8 (channels,).

    ``epilogue.codes(a)[c]`` is the number of k with direction[c] * a >= thresholds[c, k], for every integer a in
    [-bound, bound]. A channel with negative gamma descends (direction -1); a code that is never reached has the
    threshold bound + 1, one that is always reached has -bound.
    """
    if bound >= 2**31 - 1:
        raise InputError(f"bound: {bound} leaves no int32 for a code that is never reached")
    channels, top = epilogue.gamma.size, (1 << epilogue.bits) - 1
    direction = np.where(epilogue.gamma < 0, -1, 1).astype(np.int8)
    wanted = np.arange(1, top + 1)[:, None]
    low = np.full((top, channels), -bound, np.int64)  # everything below is known to miss the code
    high = np.full((top, channels), bound + 1, np.int64)  # is known, or taken, to reach it
    while (low < high).any():
        middle = (low + high) >> 1
        reached = epilogue.codes(middle * direction) >= wanted
        active = low < high
        high = np.where(active & reached, middle, high)
        low = np.where(active & ~reached, middle + 1, low)
    return np.ascontiguousarray(high.T.astype(np.int32)), direction
