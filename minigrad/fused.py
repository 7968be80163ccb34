"""The multiply-add of convolutions and linear layers: fused in float32, two roundings in float64."""

from __future__ import annotations

import numpy as np

__all__ = ["multiply_add"]

_TIE_MASK = np.int64(0x1FFFFFFF)
_TIE = np.int64(0x10000000)
_SMALLEST_NORMAL = 2.0**-126


def multiply_add(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """a b + c with broadcasting, float32 (one rounding) or float64 (two), with the bits of the C library.

    The product of two float32 is exact in float64. The sum is rounded to float64 and then to float32; the second
    rounding can only go wrong where the first was inexact and left the number exactly between two float32 (or where
    the result is subnormal). There the float64 is rounded to odd instead, which keeps the side it was on.
    """
    if c.dtype == np.float64:
        return c + a * b
    with np.errstate(over="ignore", invalid="ignore"):
        product = a.astype(np.float64) * b.astype(np.float64)
        total = product + c
        suspects = (total.view(np.int64) & _TIE_MASK) == _TIE
        suspects |= np.abs(total) < _SMALLEST_NORMAL
        if suspects.any():
            total = _round_to_odd(product, c.astype(np.float64), total, suspects)
        return total.astype(np.float32)


def _round_to_odd(product: np.ndarray, addend: np.ndarray, total: np.ndarray, where: np.ndarray) -> np.ndarray:
    product = np.broadcast_to(product, total.shape)[where]
    addend = np.broadcast_to(addend, total.shape)[where]
    rounded = total[where]
    part = rounded - product
    error = (product - (rounded - part)) + (addend - part)
    bits = rounded.view(np.int64)
    even = ((bits & 1) == 0) & (error != 0)
    away = np.where((error > 0) == (rounded > 0), 1, -1)
    total[where] = np.where(even, bits + away, bits).view(np.float64)
    return total
