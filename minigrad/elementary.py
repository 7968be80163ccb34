"""Elementary functions whose bits follow from a written formula, and generic branching.

NumPy's own ``exp``, ``log`` and ``tanh`` choose their code by processor, so their bits differ between machines.
These use IEEE basic operations in float64 only, in one fixed order; a float32 argument is evaluated in float64 and
rounded once. Float64 results are within 3 ulp of the truth where nothing closer is said (measured against ball
arithmetic, and asserted by the tests).

Formulas written with these functions also run on exact and interval numbers and on object arrays of them: an argument
that is neither a float nor an array of floats is asked for the method of the same name (``z.tanh()``), element by
element, so a formula is written once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.dispatch import elementwise, in_double, is_float, map_objects
from minigrad.double import exp_double, expm1_double, log_double, power_of_two, reduce_exp
from minigrad.error_function import erf, erf_slope, normal_cdf, normal_pdf
from minigrad.power import power

__all__ = [
    "clip",
    "erf",
    "erf_slope",
    "exp",
    "expm1",
    "floor",
    "log",
    "log1p",
    "normal_cdf",
    "normal_pdf",
    "power",
    "sech2",
    "select",
    "sigmoid",
    "sign",
    "softplus",
    "sqrt",
    "tanh",
    "tanh_sech2",
    "within",
]


@elementwise()
def exp(x: Any) -> Any:
    """e^x."""
    value, dtype = in_double(x)
    with np.errstate(over="ignore", under="ignore"):
        return exp_double(value).astype(dtype, copy=False)


@elementwise()
def expm1(x: Any) -> Any:
    """e^x - 1, accurate near 0."""
    value, dtype = in_double(x)
    with np.errstate(over="ignore", under="ignore"):
        return expm1_double(value).astype(dtype, copy=False)


@elementwise()
def log(x: Any) -> Any:
    """Natural logarithm; -inf at 0, NaN below."""
    value, dtype = in_double(x)
    regular = (value > 0) & (value < np.inf)
    y = log_double(np.where(regular, value, 1.0))
    special = np.where(value == 0, -np.inf, np.where(value == np.inf, np.inf, np.nan))
    return np.where(regular, y, special).astype(dtype, copy=False)


@elementwise()
def log1p(x: Any) -> Any:
    """log(1 + x), accurate near 0; -inf at -1, NaN below."""
    value, dtype = in_double(x)
    regular = (value > -1) & (value < np.inf)
    safe = np.where(regular, value, 0.0)
    one_plus = 1.0 + safe
    # What rounding 1 + x has lost, relative to it.
    lost = np.where(safe >= 1.0, 1.0 - (one_plus - safe), safe - (one_plus - 1.0)) / one_plus
    y = np.where(safe == 0, safe, log_double(one_plus, lost))
    special = np.where(value == -1, -np.inf, np.where(value == np.inf, np.inf, np.nan))
    return np.where(regular, y, special).astype(dtype, copy=False)


@elementwise()
def sqrt(x: Any) -> Any:
    """The square root, correctly rounded (IEEE); NaN below 0, -0 at -0."""
    with np.errstate(invalid="ignore"):
        return np.sqrt(x)


@elementwise()
def tanh(x: Any) -> Any:
    """Hyperbolic tangent."""
    value, dtype = in_double(x)
    m = expm1_double(-2.0 * np.abs(value))
    return np.copysign(m / (2.0 + m), value).astype(dtype, copy=False)


def tanh_sech2(x: Any) -> tuple[Any, Any]:
    """tanh x and its slope 1 - tanh^2 x, from e = exp(-2|x|) and m = expm1(-2|x|), each rounded to the dtype of x.

    Where t is close to 1, ``(1 - t)(1 + t)`` has lost the slope's relative accuracy, and so has ``1 + m``; e has not.
    Its argument stops at -700, so the slope does not fall below 4 e^-700.
    """
    if not is_float(x):
        return tanh(x), sech2(x)
    value, dtype = in_double(-2 * abs(x))
    nan = np.isnan(value)
    k, p = reduce_exp(np.where(nan, 0.0, np.maximum(value, -700.0)))
    s = power_of_two(k)
    e = np.where(nan, np.nan, s + s * p).astype(dtype, copy=False)
    m = np.where(nan, np.nan, s * p + (s - 1.0)).astype(dtype, copy=False)
    return np.copysign(m / (2 + m), x), 4 * e / ((1 + e) * (1 + e))


def _sech2_of_number(x: Any) -> Any:
    e = exp(-2 * abs(x))
    return 4 * e / ((1 + e) * (1 + e))


@elementwise(formula=_sech2_of_number)
def sech2(x: Any) -> Any:
    """The slope of tanh, 1 - tanh^2 x = 1 / cosh^2 x, within 5 ulp of the truth at both ends too."""
    value, dtype = in_double(x)
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(_sech2_of_number(value)).astype(dtype, copy=False)


@elementwise(formula=lambda x: 1 / (1 + exp(-x)))
def sigmoid(x: Any) -> Any:
    """The logistic function 1 / (1 + e^-x), within 3 ulp of the truth at both ends too."""
    value, dtype = in_double(x)
    with np.errstate(over="ignore", under="ignore"):
        e = exp_double(-np.abs(value))
        return (np.where(value < 0, e, 1.0) / (1.0 + e)).astype(dtype, copy=False)


@elementwise(formula=lambda x: log1p(exp(x)))
def softplus(x: Any) -> Any:
    """log(1 + e^x), within 2 ulp of the truth at both ends too."""
    value, dtype = in_double(x)
    with np.errstate(over="ignore", under="ignore"):
        return (np.maximum(value, 0.0) + log1p(exp_double(-np.abs(value)))).astype(dtype, copy=False)


@elementwise()
def floor(x: Any) -> Any:
    """Largest integer not above x, in the type of x."""
    return np.floor(x)


@elementwise()
def sign(x: Any) -> Any:
    """-1, 0 or +1, in the type of x."""
    return np.sign(x)


def _clip_number(x: Any, low: Any, high: Any) -> Any:
    if not is_float(x):
        return x.clip(low, high)
    if x < low:
        return low
    return high if x > high else x


def clip(x: Any, low: Any, high: Any) -> Any:
    """x limited to [low, high]; the bounds broadcast."""
    if is_float(x) and is_float(low) and is_float(high):
        return np.minimum(np.maximum(x, low), high)
    if any(isinstance(a, np.ndarray) for a in (x, low, high)):
        return map_objects(_clip_number, x, low, high)
    return _clip_number(x, low, high)


def within(x: Any, low: Any, high: Any) -> Any:
    """x, which lies in [low, high] as a real number, kept there in spite of rounding (exact numbers need no guard)."""
    return np.minimum(np.maximum(x, low), high) if is_float(x) else x


def select(condition: Any, a: Any, b: Any) -> Any:
    """a where the condition holds, else b; arrays broadcast.

    Both are computed before: a branch that is not taken must have a value all the same.
    """
    arrays = any(isinstance(v, np.ndarray) for v in (a, b))
    if isinstance(condition, (bool, np.bool_)) and not arrays and not (is_float(a) and is_float(b)):
        return a if condition else b
    return np.where(np.asarray(condition, dtype=bool), a, b)
