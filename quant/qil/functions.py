"""The pure functions of QIL; ``quant.qil`` has the equations."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.elementary import clip, log, power
from minigrad.errors import InputError
from quant.domain import check_bits, check_positive, check_shapes, refuse_nan, same_dtype
from quant.rules import sum_partials

__all__ = ["SIGNED", "UNSIGNED", "check_interval", "codes", "hard", "hard_vjp", "levels", "partials", "steps_of"]

SIGNED = tuple(range(2, 9))
UNSIGNED = tuple(range(1, 9))


def steps_of(bits: int, signed: bool) -> int:
    """q, the number of levels above 0; InputError for a width that is not defined: signed 1 bit would have q = 0."""
    check_bits(bits, range(2, 9) if signed else range(1, 9))
    return (1 << (bits - 1 if signed else bits)) - 1


# A point far outside the interval may overflow on the way to a result that is 0 or 1.
_quiet = np.errstate(over="ignore", invalid="ignore")


def check_interval(c: Any, d: Any, gamma: Any, signed: bool) -> None:
    """InputError unless d and gamma are above 0, the interval has two finite ends, and c >= d for weights."""
    check_positive("d", d)
    check_positive("gamma", gamma)
    with np.errstate(over="ignore", invalid="ignore"):
        if not (np.all(c - d < c + d) and np.all(abs(c - d) < np.inf) and np.all(abs(c + d) + d < np.inf)):
            raise InputError(f"c, d: expected an interval c - d < c + d of finite numbers, got c = {c} and d = {d}")
    if signed and not np.all(c >= d):
        raise InputError(f"c, d: expected c >= d for weights, got c = {c} and d = {d}")


def _place(x: Any, c: Any, d: Any, gamma: Any, bits: int, signed: bool) -> tuple[Any, ...]:
    """Checked arguments in one dtype, then m, h cut off at 0 and 1, and q."""
    q = steps_of(bits, signed)
    x, c, d, gamma = same_dtype(x, c, d, gamma)
    check_shapes(x, c, d, gamma)
    check_interval(c, d, gamma, signed)
    m = np.abs(x) if signed else x
    return x, c, d, gamma, m, clip((m - (c - d)) / (d + d), 0, 1), q


@_quiet
def _integers(x: Any, c: Any, d: Any, gamma: Any, bits: int, signed: bool) -> tuple[Any, Any, int]:
    """x, rint(T q) and q."""
    x, _, _, gamma, _, h, q = _place(x, c, d, gamma, bits, signed)
    steps = np.rint(power(h, gamma) * q)
    # Adding 0 makes -0 +0.
    return x, (np.where(x < 0, -steps, steps) if signed else steps) + x.dtype.type(0), q


def hard(x: np.ndarray, c: Any, d: Any, gamma: Any, *, bits: int, signed: bool = True) -> np.ndarray:
    """The quantizer: rint(T q)/q.

    Parameters
    ----------
    x : ndarray, float32 or float64, any shape
    c, d : centre and half width of the interval, d > 0; c >= d where signed
    gamma : exponent, gamma > 0
    bits : 1 to 8; from 2 if signed
    signed : weights, with levels on both sides of 0

    Returns
    -------
    ndarray of the shape and dtype of x; NaN where x is NaN.

    Raises
    ------
    InputError
        If a parameter is outside its domain.
    """
    _, integers, q = _integers(x, c, d, gamma, bits, signed)
    return np.asarray(integers / q)


@_quiet
def partials(
    x: np.ndarray, c: Any, d: Any, gamma: Any, *, bits: int, signed: bool = True
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The derivatives of every element by x, c, d and gamma, each of the shape of x."""
    x, c, d, gamma, m, h, _ = _place(x, c, d, gamma, bits, signed)
    inside = (m >= c - d) & (m <= c + d)
    zero, one = x.dtype.type(0), x.dtype.type(1)
    at_zero = h == 0
    positive = np.where(at_zero, one, h)
    # At h = 0 the power is 0, 1 or infinite, and h^gamma ln(h) tends to 0.
    rate = np.where(at_zero, np.where(gamma == 1, one, zero), gamma * power(positive, gamma - 1))
    rate = np.where(inside, rate / (d + d), zero)
    signs = np.sign(x) if signed else one
    dgamma = np.where(inside & ~at_zero, signs * power(positive, gamma) * log(positive), zero)
    off_centre = np.where(inside, (c - m) / d, zero)
    return rate, -signs * rate, signs * rate * off_centre, dgamma


def hard_vjp(
    gy: np.ndarray, x: np.ndarray, c: Any, d: Any, gamma: Any, *, bits: int, signed: bool = True
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of x, c, d and gamma for the incoming gradient ``gy`` (the shape of x)."""
    found = sum_partials(gy, partials(x, c, d, gamma, bits=bits, signed=signed), (x, c, d, gamma))
    return found[0], found[1], found[2], found[3]


def codes(x: np.ndarray, c: Any, d: Any, gamma: Any, *, bits: int, signed: bool = True) -> np.ndarray:
    """Integer codes rint(T q), plus q if signed, uint8, ties to even; InputError if x holds NaN."""
    x, integers, q = _integers(x, c, d, gamma, bits, signed)
    refuse_nan(x)
    return np.asarray(integers + (q if signed else 0)).astype(np.uint8)


def levels(c: Any, d: Any, gamma: Any, *, bits: int, signed: bool = True) -> np.ndarray:
    """The value of each code, (2^bits, ...) unsigned and (2^bits - 1, ...) signed, in the dtype and shape of c."""
    q = steps_of(bits, signed)
    c = np.asarray(c)
    check_interval(c, d, gamma, signed)
    values = np.arange(-q if signed else 0, q + 1).astype(c.dtype) / c.dtype.type(q)
    return np.ascontiguousarray(np.broadcast_to(values.reshape(-1, *([1] * c.ndim)), (len(values), *c.shape)))
