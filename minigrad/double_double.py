"""Arithmetic on unevaluated sums of two doubles, about 104 bits; IEEE basic operations only.

A pair ``(high, low)`` stands for high + low, with |low| at most half an ulp of high. Products are split into halves
(Dekker, "A floating-point technique for extending the available precision", 1971), so nothing depends on a fused
multiply-add. No overflow is guarded against: arguments stay below 2^500.
"""

from __future__ import annotations

from typing import Any

__all__ = ["add", "multiply", "product", "quick_sum", "quotient", "two_sum"]

Pair = tuple[Any, Any]

_SPLITTER = 2.0**27 + 1.0


def quick_sum(a: Any, b: Any) -> Pair:
    """a + b exactly, for |a| >= |b|."""
    high = a + b
    return high, b - (high - a)


def two_sum(a: Any, b: Any) -> Pair:
    """a + b exactly (Knuth)."""
    high = a + b
    part = high - a
    return high, (a - (high - part)) + (b - part)


def _halves(a: Any) -> Pair:
    scaled = _SPLITTER * a
    high = scaled - (scaled - a)
    return high, a - high


def product(a: Any, b: Any) -> Pair:
    """a b exactly."""
    value = a * b
    a_high, a_low = _halves(a)
    b_high, b_low = _halves(b)
    return value, ((a_high * b_high - value) + a_high * b_low + a_low * b_high) + a_low * b_low


def add(a: Pair, b: Pair) -> Pair:
    """a + b, to 2^-102 of |a| + |b|."""
    high, low = two_sum(a[0], b[0])
    return quick_sum(high, low + (a[1] + b[1]))


def multiply(a: Pair, b: Pair) -> Pair:
    """a b, to about 2^-102 of itself."""
    high, low = product(a[0], b[0])
    return quick_sum(high, low + (a[0] * b[1] + a[1] * b[0]))


def quotient(a: Any, b: Pair) -> Pair:
    """a / b for one double a, to about 2^-102 of itself."""
    high = a / b[0]
    value, lost = product(high, b[0])
    return quick_sum(high, (((a - value) - lost) - high * b[1]) / b[0])
