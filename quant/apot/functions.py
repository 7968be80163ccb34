"""The pure functions of APoT; ``quant.apot`` has the equations."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np

from minigrad.elementary import clip
from minigrad.errors import InputError
from quant.domain import check_bits, check_positive, check_shapes, refuse_nan, same_dtype
from quant.nearest import nearest_level
from quant.rules import sum_partials

__all__ = ["SIGNED", "UNSIGNED", "codes", "hard", "hard_vjp", "levels", "magnitudes", "partials"]

SIGNED = (3, 4, 5)
UNSIGNED = (2, 3, 4)

#: The sets, as exponents of 1/2, for each number of magnitude bits; 0 is in every set.
_EXPONENTS = {2: ((1, 2, 3),), 3: ((1, 2, 4), (3,)), 4: ((1, 3, 5), (2, 4, 6))}


def magnitudes(bits: int, signed: bool = True) -> list[int]:
    """The magnitudes as whole numbers, ascending from 0; over the last one they are those of the method.

    Raises
    ------
    InputError
        If the width is not 3 to 5 (signed) or 2 to 4.
    """
    if not isinstance(signed, (bool, np.bool_)):
        raise InputError(f"signed: expected True or False, got {signed!r}")
    widths = SIGNED if signed else UNSIGNED
    check_bits(bits, range(widths[0], widths[-1] + 1))
    sets = _EXPONENTS[int(bits) - 1 if signed else int(bits)]
    sums = sorted(sum(terms) for terms in product(*([0, *(64 >> n for n in exponents)] for exponents in sets)))
    unit = math.gcd(*sums)
    return [number // unit for number in sums]


def _table(bits: int, signed: bool, dtype: Any) -> np.ndarray:
    """The magnitudes, each rounded once."""
    numbers = np.array(magnitudes(bits, signed)).astype(dtype)
    return numbers / numbers[-1]


def _place(x: Any, a: Any, bits: int, signed: bool) -> tuple[Any, Any, Any, Any]:
    """x and a in one dtype, x/a, and the indices of the nearest magnitudes."""
    magnitudes(bits, signed)
    x, a = same_dtype(x, a)
    check_shapes(x, a)
    check_positive("a", a)
    with np.errstate(over="ignore"):
        v = np.asarray(x / a)
    size = np.asarray(clip(np.abs(v) if signed else v, 0, 1))
    return x, a, v, nearest_level(size, _table(bits, signed, x.dtype))


def _quantized(v: Any, index: Any, bits: int, signed: bool) -> np.ndarray:
    """q: the magnitude with the sign of v; NaN where v is."""
    q = _table(bits, signed, v.dtype)[index]
    # Adding 0 makes -0 +0.
    q = np.where(v < 0, -q, q) + v.dtype.type(0) if signed else q
    return np.where(np.isnan(v), v, q)


def hard(x: np.ndarray, a: Any, *, bits: int, signed: bool = True) -> np.ndarray:
    """The quantizer, of weights that are standardised already.

    Parameters
    ----------
    x : ndarray, float32 or float64, any shape
    a : end of the range, a > 0; broadcasts against x
    bits : 3 to 5 signed, 2 to 4 unsigned
    signed : whether levels lie on both sides of 0

    Returns
    -------
    ndarray of the shape and dtype of x; NaN where x is NaN.

    Raises
    ------
    InputError
        If a parameter is outside its domain.
    """
    _, a, v, index = _place(x, a, bits, signed)
    return np.asarray(a * _quantized(v, index, bits, signed))


def partials(x: np.ndarray, a: Any, *, bits: int, signed: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """The derivatives of every element by x and a, each of the shape of x."""
    x, a, v, index = _place(x, a, bits, signed)
    q = _quantized(v, index, bits, signed)
    inside = np.abs(x) <= a if signed else (x >= 0) & (x <= a)
    with np.errstate(invalid="ignore"):
        da = np.where(inside, q - v, q)
    return np.where(inside | signed, x.dtype.type(1), x.dtype.type(0)), da


def hard_vjp(gy: np.ndarray, x: np.ndarray, a: Any, *, bits: int, signed: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Gradients of x and a for the incoming gradient ``gy`` (the shape of x)."""
    found = sum_partials(gy, partials(x, a, bits=bits, signed=signed), (x, a))
    return found[0], found[1]


def codes(x: np.ndarray, a: Any, *, bits: int, signed: bool = True) -> np.ndarray:
    """Integer codes, uint8: the number of levels below; InputError if x holds NaN."""
    x, _, v, index = _place(x, a, bits, signed)
    refuse_nan(x)
    if signed:
        index = (len(magnitudes(bits, signed)) - 1) + np.where(v < 0, -index, index)
    return index.astype(np.uint8)


def levels(a: Any, *, bits: int, signed: bool = True) -> np.ndarray:
    """The value of each code, (2^bits, ...) unsigned and (2^bits - 1, ...) signed, in the dtype of a."""
    a = np.asarray(a)
    check_positive("a", a)
    table = _table(bits, signed, a.dtype)
    if signed:
        table = np.concatenate([-table[:0:-1], table])
    return table.reshape(-1, *([1] * a.ndim)) * a
