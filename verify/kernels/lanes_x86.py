"""Bounds of the x86 Winograd kernels' lanes, from the algebra alone, and the operands that reach them.

Every transformed code and weight is a linear form over a box, so its extremes are at corners: the sums of the
positive and of the negative coefficients. ``csrc/src/qconv/x86/winograd.h`` has the matrices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["POSITIONS", "Bounds", "bounds", "flush", "worst_operands"]

#: B^T and G (twice the usual one).
INPUT = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
WEIGHT = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]])
POSITIONS = tuple((i, j) for i in range(4) for j in range(4))
#: The position whose codes do not cancel: nothing is added there.
FULL = (1, 1)
_INT16 = 2**15 - 1


@dataclass(frozen=True)
class Bounds:
    """Of one position: the stored codes, lowest and highest, and the size of the weights."""

    code_low: int
    code_high: int
    weight: int


def _forms(position: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    i, j = position
    return np.outer(INPUT[i], INPUT[j]), np.outer(WEIGHT[i], WEIGHT[j])


def bounds(position: tuple[int, int], top: int, weight: int) -> Bounds:
    """Codes are 0 to top, weights at most ``weight`` in size."""
    codes, weights = _forms(position)
    center = 0 if position == FULL else 2 * top
    low = int(np.minimum(codes, 0).sum()) * top + center
    return Bounds(low, int(np.maximum(codes, 0).sum()) * top + center, int(np.abs(weights).sum()) * weight)


def flush(top: int, weight: int) -> int:
    """How many pairs of products the AVX2 kernel adds up in 16 bits: what products.h computes."""
    return _INT16 // (2 * 4 * top * 9 * weight)


def worst_operands(position: tuple[int, int], top: int, weight: int, sign: int) -> tuple[np.ndarray, np.ndarray]:
    """A 4x4 tile and a 3x3 kernel whose product at the position is the largest, times the sign."""
    codes, weights = _forms(position)
    return np.where(codes > 0, top, 0), sign * np.where(weights < 0, -weight, weight)
