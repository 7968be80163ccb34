"""Numbers given to optimizers and schedules: checks with one-line errors, and powers by a written-down rule."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.errors import InputError

__all__ = ["finite", "integer_power", "positive", "whole"]


def finite(name: str, value: Any, least: float = 0.0, below: float = float("inf")) -> float:
    """``value`` as a Python float in ``least <= value < below``, or InputError.

    A Python float takes the dtype of the array it meets; a NumPy float64 would lift float32 arrays to float64.
    """
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not number or not least <= value < below:
        wanted = f"{least:g} <= {name} < {below:g}"
        if below == float("inf"):
            wanted = f"a finite number of at least {least:g}"
        raise InputError(f"{name}: expected {wanted}, got {value!r}")
    return float(value)


def positive(name: str, value: Any) -> float:
    """``value`` as a Python float, finite and above 0, or InputError."""
    number = finite(name, value)
    if number == 0:
        raise InputError(f"{name}: expected a finite number above 0, got {value!r}")
    return number


def whole(name: str, value: Any, least: int = 0) -> int:
    """``value`` as a Python int of at least ``least``, or InputError."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise InputError(f"{name}: expected a whole number of at least {least}, got {value!r}")
    return int(value)


def integer_power(base: float, exponent: int) -> float:
    """base^exponent by squaring, lowest bit of the exponent first: the same bits everywhere, unlike libm's pow."""
    result = 1.0
    while exponent:
        if exponent & 1:
            result *= base
        base *= base
        exponent >>= 1
    return result
