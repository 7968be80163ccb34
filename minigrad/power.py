"""x^y for real numbers, with the bits of a written formula.

    |x|^y = exp(y log |x|),   log |x| = k ln 2 + 2 s (1 + s^2/3 + s^4/5 + ...),   s = (m - 1)/(m + 1)

with |x| = 2^k m and m in [sqrt 1/2, sqrt 2). An error of y log |x| is a relative error of the result, and y log |x|
goes up to 745: so the logarithm is a sum of two doubles, of which the series' first terms, the multiplication by y and
the sum with k ln 2 keep both; its relative error is below 2^-66.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.dispatch import is_float, map_objects
from minigrad.double import LN2_HIGH, LN2_LOW, exp_of_pair, polynomial, split_exponent
from minigrad.double_double import add, multiply, product, quick_sum, quotient, two_sum

__all__ = ["power"]

#: 1/3 and 1/5 as pairs: the double nearest to it, and the double nearest to the rest (1/3 - 1/3 rounded is 2^-54/3).
_THIRD = (1.0 / 3.0, 2.0**-54 / 3.0)
_FIFTH = (1.0 / 5.0, -(2.0**-54) / 5.0)
#: From s^28/29 down to s^6/7; the next term is below 2^-80 of the sum.
_TAIL = [1.0 / (2 * n + 1) for n in range(14, 2, -1)]
#: The largest exponent that is told apart: |log x| is at least 2^-53, unless it is 0.
_LARGEST_EXPONENT = 2.0**65


def _log_pair(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """log x of positive finite doubles as a pair."""
    k, m = split_exponent(x)
    s = quotient(m - 1.0, two_sum(m, 1.0))
    z = multiply(s, s)
    inner = add(_FIFTH, (z[0] * polynomial(_TAIL, z[0]), 0.0))
    inner = add(_THIRD, multiply(z, inner))
    correction = multiply(s, multiply(z, inner))
    log_m = add((2.0 * s[0], 2.0 * s[1]), (2.0 * correction[0], 2.0 * correction[1]))
    return add(two_sum(k * LN2_HIGH, k * LN2_LOW), log_m)


def _magnitude(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x^y of positive finite x and finite y."""
    y = np.minimum(np.maximum(y, -_LARGEST_EXPONENT), _LARGEST_EXPONENT)
    log_high, log_low = _log_pair(x)
    high, low = product(y, log_high)
    return exp_of_pair(*quick_sum(high, low + y * log_low))


def _power_double(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    size = np.abs(x)
    regular = (size > 0) & (size < np.inf) & np.isfinite(y)
    value = _magnitude(np.where(regular, size, 1.0), np.where(regular, y, 1.0))
    # 0, infinity, or an infinite exponent: the limit, of which only the direction matters.
    grows = (size > 1) == (y > 0)
    value = np.where(regular, value, np.where(size == 1, 1.0, np.where(grows, np.inf, 0.0)))
    whole = np.floor(y) == y
    odd = whole & (np.floor(0.5 * y) != 0.5 * y)
    value = np.where(np.signbit(x) & odd, -value, value)
    undefined = (x < 0) & np.isfinite(x) & ~whole
    value = np.where(undefined | np.isnan(x) | np.isnan(y), np.nan, value)
    return np.where((y == 0) | (x == 1), 1.0, value)


def _power_of_numbers(x: Any, y: Any) -> Any:
    """x^y of two numbers of any kind; an exact one to a whole power stays exact."""
    # elementary.py imports this module.
    from minigrad.elementary import exp, floor, log

    if is_float(x) and is_float(y):
        return float(power(float(x), float(y)))
    if is_float(y) and float(y).is_integer():
        return x ** int(y)
    if x > 0:
        return exp(y * log(x))
    return x ** floor(y) if y == floor(y) else x**y


def power(x: Any, y: Any) -> Any:
    """x^y, broadcasting.

    Special values are those of IEEE 754 ``pow``: x^0 = 1 and 1^y = 1 for every x and y, NaN included; elsewhere NaN
    stays NaN. NaN for a finite x < 0 and a y that is not whole. 0^y is 0 for y > 0 and infinity for y < 0, with the
    sign of x where y is an odd integer. (-1)^(+-inf) = 1.

    Parameters
    ----------
    x, y : floats or float arrays, or exact numbers, or object arrays of them
        Of exact numbers y must be whole where x is not positive.

    Returns
    -------
    array of float32 where the arguments promote to that, else of float64; within 0.65 ulp in float64 (1 ulp where the
    result is subnormal), and exact where the result is a float64; for float32 rounded once more.
    """
    if not (is_float(x) and is_float(y)):
        if isinstance(x, np.ndarray) or isinstance(y, np.ndarray):
            return map_objects(_power_of_numbers, x, y)
        return _power_of_numbers(x, y)
    dtype = np.result_type(x, y, np.float32) if np.result_type(x, y) == np.float32 else np.dtype(np.float64)
    base, exponent = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(y, np.float64))
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return _power_double(base, exponent).astype(dtype, copy=False)
