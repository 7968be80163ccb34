"""Elementary functions whose bits follow from a written formula, and generic branching.

NumPy's own ``exp``, ``log`` and ``tanh`` choose their code by processor, so their bits differ between machines.
These use IEEE basic operations in float64 only, in one fixed order; a float32 argument is evaluated in float64 and
rounded once. Float64 results are within 3 ulp of the truth.

Formulas written with these functions also run on exact and interval numbers: an argument that is neither a float nor
an array of floats is asked for the method of the same name (``z.tanh()``), so a formula is written once.
"""

from __future__ import annotations

from math import factorial
from typing import Any

import numpy as np

__all__ = ["clip", "exp", "expm1", "floor", "log", "log1p", "select", "sign", "tanh", "tanh_sech2", "within"]

_LOG2_E = float.fromhex("0x1.71547652b82fep+0")
#: ln 2 = high + low; high has 41 bits, so that k * high is exact for every exponent k.
_LN2_HIGH = float.fromhex("0x1.62e42fefa4p-1")
_LN2_LOW = float.fromhex("-0x1.8432a1b0e2634p-43")
#: Adding and subtracting it rounds a double below 2^51 to an integer, half to even.
_ROUNDER = float.fromhex("0x1.8p52")
_SQRT_HALF_BITS = 0x3FE6A09E667F3BCD
_EXPM1_TERMS = [1.0 / factorial(n) for n in range(14, 1, -1)]
_LOG_TERMS = [2.0 / (2 * n + 1) for n in range(11, 0, -1)]


def _is_float(x: Any) -> bool:
    return isinstance(x, (np.ndarray, np.generic, float, int))


def _in_double(x: Any) -> tuple[np.ndarray, Any]:
    """The argument as a float64 array, and the dtype its result is rounded to."""
    array = np.asarray(x)
    dtype = array.dtype if array.dtype in (np.float32, np.float64) else np.dtype(np.float64)
    return array.astype(np.float64, copy=False), dtype


def _polynomial(terms: list[float], x: np.ndarray) -> np.ndarray:
    """Horner's rule; the first term belongs to the highest power."""
    value = np.full_like(x, terms[0])
    for term in terms[1:]:
        value *= x
        value += term
    return value


def _power_of_two(k: np.ndarray) -> np.ndarray:
    return ((k + 1023) << 52).view(np.float64)


def _reduce_exp(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """k and expm1(r) with x = k ln 2 + r, |r| <= ln 2 / 2."""
    k = (x * _LOG2_E + _ROUNDER) - _ROUNDER
    r = (x - k * _LN2_HIGH) - k * _LN2_LOW
    return k.astype(np.int64), r + r * r * _polynomial(_EXPM1_TERMS, r)


def _exp_double(x: np.ndarray) -> np.ndarray:
    # Beyond these bounds the result has overflowed or is zero; NaN passes through minimum and maximum.
    nan = np.isnan(x)
    x = np.where(nan, 0.0, np.minimum(np.maximum(x, -750.0), 720.0))
    k, p = _reduce_exp(x)
    half = k >> 1
    with np.errstate(over="ignore", under="ignore"):
        y = ((1.0 + p) * _power_of_two(half)) * _power_of_two(k - half)
    return np.where(nan, np.nan, y)


def _expm1_double(x: np.ndarray) -> np.ndarray:
    nan = np.isnan(x)
    bounded = np.where(nan, 0.0, np.minimum(np.maximum(x, -60.0), 60.0))
    k, p = _reduce_exp(bounded)
    s = _power_of_two(k)
    # Adding the argument's own sign of zero keeps expm1(-0) = -0.
    y = np.where(x == 0, x, s * p + (s - 1.0))
    if (x > 60.0).any():
        y = np.where(x > 60.0, _exp_double(x), y)
    return np.where(nan, np.nan, y)


def _log_double(x: np.ndarray, correction: Any = 0.0) -> np.ndarray:
    """log(x) + correction for positive finite x; the correction is below an ulp of x / x."""
    subnormal = x < 2.0**-1022
    bits = (x * np.where(subnormal, 2.0**54, 1.0)).view(np.int64)
    e = (bits - _SQRT_HALF_BITS) >> 52
    m = (bits - (e << 52)).view(np.float64)
    k = (e - 54 * subnormal).astype(np.float64)
    f = m - 1.0
    s = f / (2.0 + f)
    s2 = s * s
    half_square = 0.5 * f * f
    tail = s * (half_square + s2 * _polynomial(_LOG_TERMS, s2)) + (k * _LN2_LOW + correction)
    return k * _LN2_HIGH - ((half_square - tail) - f)


def exp(x: Any) -> Any:
    """e^x."""
    if not _is_float(x):
        return x.exp()
    value, dtype = _in_double(x)
    with np.errstate(over="ignore", under="ignore"):
        return _exp_double(value).astype(dtype, copy=False)


def expm1(x: Any) -> Any:
    """e^x - 1, accurate near 0."""
    if not _is_float(x):
        return x.expm1()
    value, dtype = _in_double(x)
    with np.errstate(over="ignore", under="ignore"):
        return _expm1_double(value).astype(dtype, copy=False)


def log(x: Any) -> Any:
    """Natural logarithm; -inf at 0, NaN below."""
    if not _is_float(x):
        return x.log()
    value, dtype = _in_double(x)
    regular = (value > 0) & (value < np.inf)
    y = _log_double(np.where(regular, value, 1.0))
    special = np.where(value == 0, -np.inf, np.where(value == np.inf, np.inf, np.nan))
    return np.where(regular, y, special).astype(dtype, copy=False)


def log1p(x: Any) -> Any:
    """log(1 + x), accurate near 0; -inf at -1, NaN below."""
    if not _is_float(x):
        return x.log1p()
    value, dtype = _in_double(x)
    regular = (value > -1) & (value < np.inf)
    safe = np.where(regular, value, 0.0)
    one_plus = 1.0 + safe
    # What rounding 1 + x has lost, relative to it.
    lost = np.where(safe >= 1.0, 1.0 - (one_plus - safe), safe - (one_plus - 1.0)) / one_plus
    y = np.where(safe == 0, safe, _log_double(one_plus, lost))
    special = np.where(value == -1, -np.inf, np.where(value == np.inf, np.inf, np.nan))
    return np.where(regular, y, special).astype(dtype, copy=False)


def tanh(x: Any) -> Any:
    """Hyperbolic tangent."""
    if not _is_float(x):
        return x.tanh()
    value, dtype = _in_double(x)
    m = _expm1_double(-2.0 * np.abs(value))
    return np.copysign(m / (2.0 + m), value).astype(dtype, copy=False)


def tanh_sech2(x: Any) -> tuple[Any, Any]:
    """tanh x and its slope 1 - tanh^2 x, from e = exp(-2|x|) and m = expm1(-2|x|), each rounded to the dtype of x.

    Where t is close to 1, ``(1 - t)(1 + t)`` has lost the slope's relative accuracy, and so has ``1 + m``; e has not.
    """
    if not _is_float(x):
        e = (-2 * abs(x)).exp()
        return x.tanh(), 4 * e / ((1 + e) * (1 + e))
    value, dtype = _in_double(-2 * abs(x))
    nan = np.isnan(value)
    k, p = _reduce_exp(np.where(nan, 0.0, np.maximum(value, -700.0)))
    s = _power_of_two(k)
    e = np.where(nan, np.nan, s + s * p).astype(dtype, copy=False)
    m = np.where(nan, np.nan, s * p + (s - 1.0)).astype(dtype, copy=False)
    return np.copysign(m / (2 + m), x), 4 * e / ((1 + e) * (1 + e))


def floor(x: Any) -> Any:
    """Largest integer not above x, in the type of x."""
    return np.floor(x) if _is_float(x) else x.floor()


def sign(x: Any) -> Any:
    """-1, 0 or +1, in the type of x."""
    return np.sign(x) if _is_float(x) else x.sign()


def clip(x: Any, low: Any, high: Any) -> Any:
    """x limited to [low, high]."""
    return np.minimum(np.maximum(x, low), high) if _is_float(x) else x.clip(low, high)


def within(x: Any, low: Any, high: Any) -> Any:
    """x, which lies in [low, high] as a real number, kept there in spite of rounding (exact numbers need no guard)."""
    return np.minimum(np.maximum(x, low), high) if _is_float(x) else x


def select(condition: Any, a: Any, b: Any) -> Any:
    """a where the condition holds, else b."""
    if isinstance(condition, (bool, np.bool_)) and not (_is_float(a) and _is_float(b)):
        return a if condition else b
    return np.where(condition, a, b)
