"""Float64 kernels of the elementary functions: IEEE basic operations in one fixed order, no library function.

Arguments and results are float64 arrays; special values are the callers' where a docstring says so.
"""

from __future__ import annotations

from math import factorial
from typing import Any

import numpy as np

from minigrad.double_double import quick_sum, two_sum

__all__ = [
    "exp_double",
    "exp_of_pair",
    "expm1_double",
    "log_double",
    "polynomial",
    "power_of_two",
    "reduce_exp",
    "split_exponent",
]

LOG2_E = float.fromhex("0x1.71547652b82fep+0")
#: ln 2 = high + low; high has 41 bits, so that k * high is exact for every exponent k.
LN2_HIGH = float.fromhex("0x1.62e42fefa4p-1")
LN2_LOW = float.fromhex("-0x1.8432a1b0e2634p-43")
#: Adding and subtracting it rounds a double below 2^51 to an integer, half to even.
ROUNDER = float.fromhex("0x1.8p52")
_SQRT_HALF_BITS = 0x3FE6A09E667F3BCD
_EXPM1_TERMS = [1.0 / factorial(n) for n in range(14, 1, -1)]
_LOG_TERMS = [2.0 / (2 * n + 1) for n in range(11, 0, -1)]


def polynomial(terms: list[float], x: np.ndarray) -> np.ndarray:
    """Horner's rule; the first term belongs to the highest power."""
    value = np.full_like(x, terms[0])
    for term in terms[1:]:
        value *= x
        value += term
    return value


def power_of_two(k: np.ndarray) -> np.ndarray:
    """2^k for the exponents of normal numbers."""
    return ((k + 1023) << 52).view(np.float64)


def reduce_exp(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """k and expm1(r) with x = k ln 2 + r, |r| <= ln 2 / 2."""
    k = (x * LOG2_E + ROUNDER) - ROUNDER
    r = (x - k * LN2_HIGH) - k * LN2_LOW
    return k.astype(np.int64), r + r * r * polynomial(_EXPM1_TERMS, r)


def exp_double(x: np.ndarray) -> np.ndarray:
    """e^x for every x."""
    # Beyond these bounds the result has overflowed or is zero; NaN passes through minimum and maximum.
    nan = np.isnan(x)
    x = np.where(nan, 0.0, np.minimum(np.maximum(x, -750.0), 720.0))
    k, p = reduce_exp(x)
    half = k >> 1
    with np.errstate(over="ignore", under="ignore"):
        y = ((1.0 + p) * power_of_two(half)) * power_of_two(k - half)
    return np.where(nan, np.nan, y)


def expm1_double(x: np.ndarray) -> np.ndarray:
    """e^x - 1 for every x."""
    nan = np.isnan(x)
    bounded = np.where(nan, 0.0, np.minimum(np.maximum(x, -60.0), 60.0))
    k, p = reduce_exp(bounded)
    s = power_of_two(k)
    # Adding the argument's own sign of zero keeps expm1(-0) = -0.
    y = np.where(x == 0, x, s * p + (s - 1.0))
    if (x > 60.0).any():
        y = np.where(x > 60.0, exp_double(x), y)
    return np.where(nan, np.nan, y)


def exp_of_pair(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """e^(high + low), rounded from a value good to about 2^-57 of itself; |low| is at most half an ulp of high."""
    bounded = np.minimum(np.maximum(high, -750.0), 720.0)
    k = (bounded * LOG2_E + ROUNDER) - ROUNDER
    r, lost = two_sum(bounded - k * LN2_HIGH, -k * LN2_LOW)
    r, low = two_sum(r, np.where(bounded == high, low, 0.0) + lost)
    one_plus, rest = quick_sum(1.0, r)
    y = one_plus + (rest + (r * r * polynomial(_EXPM1_TERMS, r) + (low + low * r)))
    exponent = k.astype(np.int64)
    half = exponent >> 1
    return (y * power_of_two(half)) * power_of_two(exponent - half)


def split_exponent(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """k (as a double) and m in [sqrt 1/2, sqrt 2) with x = 2^k m, for positive finite x."""
    subnormal = x < 2.0**-1022
    bits = (x * np.where(subnormal, 2.0**54, 1.0)).view(np.int64)
    e = (bits - _SQRT_HALF_BITS) >> 52
    m = (bits - (e << 52)).view(np.float64)
    return (e - 54 * subnormal).astype(np.float64), m


def log_double(x: np.ndarray, correction: Any = 0.0) -> np.ndarray:
    """log(x) + correction for positive finite x; the correction is below an ulp of x / x."""
    k, m = split_exponent(x)
    f = m - 1.0
    s = f / (2.0 + f)
    s2 = s * s
    half_square = 0.5 * f * f
    tail = s * (half_square + s2 * polynomial(_LOG_TERMS, s2)) + (k * LN2_LOW + correction)
    return k * LN2_HIGH - ((half_square - tail) - f)
