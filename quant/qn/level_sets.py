"""The level sets of QN, and where its thresholds start: k-means of the data, or a rule for few levels."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Sequence

import numpy as np
from scipy.cluster.vq import kmeans2

from minigrad.errors import InputError
from quant.domain import check_bits

__all__ = ["PRESETS", "level_set", "middles", "start_thresholds"]

#: The paper's sets by name; "ternary" is its "2 bit", "pm2" and "pm4" its "3 bit (+-2)" and "3 bit (+-4)".
PRESETS: dict[str, tuple[int, ...]] = {
    "binary": (-1, 1),
    "ternary": (-1, 0, 1),
    "pm2": (-2, -1, 0, 1, 2),
    "pm4": (-4, -2, -1, 0, 1, 2, 4),
    "pm15": tuple(range(-15, 16)),
    "unsigned1": (0, 1),
    "unsigned2": (0, 1, 2, 3),
}

#: Differences and sums of levels up to this are exact in float32.
_LARGEST = 1 << 15
_ITERATIONS = 20
_SAMPLE = 1 << 16


def level_set(values: str | Sequence[int] | None, bits: int, signed: bool = True) -> tuple[int, ...]:
    """The levels Y, ascending.

    Parameters
    ----------
    values : the integers themselves, the name of one of ``PRESETS``, or None for the set of that width:
        signed {-1, 1}, {-1, 0, 1}, {-4, -2, -1, 0, 1, 2, 4} and, from 4 bits, -(2^(bits-1) - 1) to 2^(bits-1) - 1
        (at 1, 2, 3 and 5 bits the paper's; of its two sets of 3 bits the better one); unsigned 0 to 2^bits - 1
    bits : ceil(log2(number of levels)), 1 to 8

    Raises
    ------
    InputError
        If there is no such set: levels that are not whole, not ascending, beyond 2^15, or of another width.
    """
    top = check_bits(bits)
    if values is None:
        if not signed:
            return tuple(range(top + 1))
        half = (1 << (bits - 1)) - 1
        return {1: PRESETS["binary"], 3: PRESETS["pm4"]}.get(int(bits)) or tuple(range(-half, half + 1))
    if isinstance(values, str):
        if values not in PRESETS:
            raise InputError(f"values: expected whole numbers or one of {', '.join(PRESETS)}, got {values!r}")
        values = PRESETS[values]
    try:
        chosen = tuple(values)
    except TypeError:
        named = ", ".join(PRESETS)
        raise InputError(f"values: expected whole numbers or one of {named}, got {values!r}") from None
    whole = all(isinstance(v, (int, np.integer)) and not isinstance(v, bool) and abs(v) <= _LARGEST for v in chosen)
    if not whole or any(low >= high for low, high in itertools.pairwise(chosen)):
        raise InputError(f"values: expected ascending whole numbers within 2^15, all different, got {chosen}")
    width = math.ceil(math.log2(len(chosen))) if len(chosen) > 1 else 0
    if width != bits:
        raise InputError(f"values: {len(chosen)} levels are {width} bits wide, expected {bits}")
    return tuple(int(v) for v in chosen)


def start_thresholds(u: np.ndarray, values: tuple[int, ...], dtype: type) -> np.ndarray:
    """The thresholds b, shape (n,), strictly ascending in ``dtype``, for u = beta x.

    0 for the set {-a, a}, -0.05 and 0.05 for {-a, 0, a}; otherwise the middles between the centres of n + 1 clusters
    (k-means on at most 65,536 evenly spaced elements, 20 iterations from even quantiles of the distinct ones), of which
    the two around the level 0 become -0.05 and 0.05 where 0 is the middle level.

    Chosen, where the paper says nothing: data with fewer distinct elements than levels get the middles between the
    levels themselves; the rule of +-0.05 is left out where the thresholds would not ascend with it.

    Raises
    ------
    InputError
        If k-means is needed and all elements are equal.
    """
    if len(values) <= 3 and values[0] == -values[-1]:
        if len(values) == 2:
            return np.zeros(1, dtype)
        if values[1] == 0:
            return np.array([-0.05, 0.05], dtype)
    flat = np.asarray(u, np.float64).ravel()
    # An odd stride meets every channel in turn, whatever power of two their number is.
    flat = flat[:: -(-flat.size // _SAMPLE) | 1]
    distinct = np.unique(flat)
    if distinct.size < 2:
        raise InputError(f"x: every element is the same; {len(values)} levels need different ones to start from")
    between_levels = middles(np.array(values, np.float64))
    if distinct.size < len(values):
        return between_levels.astype(dtype)
    b: np.ndarray = middles(_centres(flat, distinct, len(values))).astype(dtype)
    middle = len(values) // 2
    if len(values) % 2 and values[middle] == 0:
        ruled = b.copy()
        ruled[middle - 1 : middle + 1] = (-0.05, 0.05)
        b = ruled if _ascends(ruled) else b
    return b if _ascends(b) else between_levels.astype(dtype)


def _centres(u: np.ndarray, distinct: np.ndarray, count: int) -> np.ndarray:
    """Sorted centres of the clusters; one that lost its elements stays where it was."""
    start = distinct[np.linspace(0, distinct.size - 1, count).astype(np.int64)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        centres, _ = kmeans2(u, start, iter=_ITERATIONS, minit="matrix")
    return np.sort(centres)


def middles(a: np.ndarray) -> np.ndarray:
    """Half-way between neighbours: (n + 1,) to (n,)."""
    return (a[:-1] + a[1:]) / 2


def _ascends(b: np.ndarray) -> bool:
    return bool((b[:-1] < b[1:]).all())
