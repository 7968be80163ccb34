"""The pure functions of LQ-Nets; ``quant.lq_nets`` has the equations."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minigrad.errors import InputError
from minigrad.reduction import sum_to_shape, tree_sum
from quant.domain import check_bits, refuse_nan, same_dtype

__all__ = ["BITS", "codes", "hard", "hard_vjp", "least_squares", "level_table", "levels", "partials"]

Array = np.ndarray
#: Bit widths the method takes.
BITS = tuple(range(1, 9))
#: How strongly least squares holds on to the v it had.
_RIDGE = 1e-4


class LevelTable(NamedTuple):
    """The levels ascending (2^K, ...), the coding vector of each (2^K, K, ...) and the thresholds (2^K - 1, ...)."""

    levels: Array
    vectors: Array
    thresholds: Array


def check_basis(v: Array, bits: int) -> None:
    """InputError unless v is finite, of shape (bits,) or (bits, channels)."""
    if v.ndim not in (1, 2) or v.shape[0] != bits:
        raise InputError(f"v: expected shape ({bits},) or ({bits}, channels), got {v.shape}")
    if not np.isfinite(v).all():
        raise InputError("v: expected finite numbers")


def level_table(v: Array, *, bits: int, signed: bool = True) -> LevelTable:
    """All levels of a basis, in order; equal ones in the order of their coding vectors.

    Parameters
    ----------
    v : (K,) or (K, channels), float32 or float64; any sign and order
    bits : K, 1 to 8
    signed : coding vectors of -1 and 1; unsigned of 0 and 1

    Raises
    ------
    InputError
        If v is not finite or of another shape.
    """
    check_bits(bits)
    v = np.asarray(v)
    check_basis(v, bits)
    vectors = (np.arange(1 << bits)[:, None] >> np.arange(bits) & 1).astype(v.dtype)
    vectors = 2 * vectors - 1 if signed else vectors
    columns = vectors.reshape(-1, bits, *([1] * (v.ndim - 1)))
    values = columns[:, 0] * v[0]
    with np.errstate(over="ignore", invalid="ignore"):
        for k in range(1, bits):
            values = values + columns[:, k] * v[k]
        order = np.argsort(values, axis=0, kind="stable")
        values = np.take_along_axis(values, order, axis=0)
        low, high = values[:-1], values[1:]
        middle = (low + high) / 2
    if not (np.isfinite(values).all() and np.isfinite(middle).all()):
        raise InputError("v: sums of the levels overflow; scale the data")
    # Between neighbouring floats the middle may be rounded to the upper one, which would fall to the lower level.
    return LevelTable(values, np.moveaxis(vectors[order], -1, 1), np.where(middle < high, middle, low))


def _place(x: Any, v: Any, bits: int, signed: bool) -> tuple[Array, Array, LevelTable]:
    x, v = same_dtype(x, v)
    x, v = np.asarray(x), np.asarray(v)
    table = level_table(v, bits=bits, signed=signed)
    if v.ndim == 2 and x.shape[-1:] != v.shape[1:]:
        raise InputError(f"x: expected {v.shape[1]} channels in the last axis, got shape {x.shape}")
    return x, v, table


def _codes(x: Array, table: LevelTable) -> Array:
    """The number of thresholds below each element; all for NaN."""
    if table.levels.ndim == 1:
        return np.asarray(np.searchsorted(table.thresholds, x, side="left"))
    found = np.empty(x.shape, np.int64)
    for channel, thresholds in enumerate(table.thresholds.T):
        found[..., channel] = np.searchsorted(thresholds, x[..., channel], side="left")
    return found


def _of_codes(values: Array, code: Array) -> Array:
    """The entry (2^K, ...) of each code; of its channel, where ``values`` has channels."""
    return np.asarray(values[code] if values.ndim == 1 else values[code, np.arange(values.shape[1])])


def hard(x: Array, v: Any, *, bits: int, signed: bool = True) -> Array:
    """The quantizer: the nearest level, of two equally near ones the lower.

    Parameters
    ----------
    x : ndarray, float32 or float64, any shape
    v : (bits,), or (bits, channels) with the channels the last axis of x
    bits : K, 1 to 8
    signed : coding vectors of -1 and 1; unsigned of 0 and 1

    Returns
    -------
    ndarray of the shape and dtype of x; NaN where x is NaN.

    Raises
    ------
    InputError
        If v is not finite, or shapes do not fit.
    """
    x, _, table = _place(x, v, bits, signed)
    return np.asarray(np.where(np.isnan(x), x, _of_codes(table.levels, _codes(x, table))))


def partials(x: Array, v: Any, *, bits: int, signed: bool = True) -> tuple[Array, Array]:
    """The derivatives that training uses: by x, of its shape, and by v: (K, ...), the coding vector."""
    x, _, table = _place(x, v, bits, signed)
    code = _codes(x, table)
    inside = np.ones(x.shape, bool) if signed else np.asarray(x <= table.levels[-1])
    return inside.astype(x.dtype), np.stack([_of_codes(table.vectors[:, k], code) for k in range(bits)])


def hard_vjp(gy: Array, x: Array, v: Any, *, bits: int, signed: bool = True) -> tuple[Array, Array]:
    """Gradients of x and v for the incoming gradient ``gy`` (the shape of x)."""
    dx, dv = partials(x, v, bits=bits, signed=signed)
    shape = np.shape(v)[1:]
    return np.asarray(gy * dx), np.stack([sum_to_shape(np.asarray(gy * d), shape) for d in dv])


def codes(x: Array, v: Any, *, bits: int, signed: bool = True) -> Array:
    """The number of thresholds below each element, uint8: ties go down; InputError if x holds NaN."""
    x, _, table = _place(x, v, bits, signed)
    refuse_nan(x)
    return _codes(x, table).astype(np.uint8)


def levels(v: Any, *, bits: int, signed: bool = True) -> Array:
    """The value of each code, (2^bits,) or (2^bits, channels), in the dtype of v."""
    return level_table(np.asarray(v), bits=bits, signed=signed).levels


def least_squares(x: Array, v: Any, *, bits: int, signed: bool = True) -> Array:
    """The basis of least squared error for the codes that v gives, float64 of the shape of v.

    (B^T B + 1e-4) w = B^T x + 1e-4 v, B the coding vectors of the elements: where they leave w open, it stays v. The
    entries of B^T B are counts, exact; those of B^T x are summed in a fixed order.

    Raises
    ------
    InputError
        If shapes do not fit, or x holds NaN.
    """
    x, v, table = _place(np.asarray(x, np.float64), v, bits, signed)
    refuse_nan(x)
    code, channels = _codes(x, table), v.shape[1:]
    size = 1 << bits
    if channels:
        flat = (code + size * np.arange(channels[0])).ravel()
        counts = np.bincount(flat, minlength=size * channels[0]).reshape(channels[0], size).T
    else:
        counts = np.bincount(code.ravel(), minlength=size)
    vectors = table.vectors.astype(np.int64)
    # Relative to the largest, so that no sum overflows.
    top = max(float(np.abs(x).max(initial=0.0)), float(np.abs(v).max())) or 1.0
    rows = x.reshape(-1, *channels) / top
    gram = np.empty((bits, bits, *channels))
    right = np.empty((bits, *channels))
    for k in range(bits):
        for other in range(bits):
            gram[k, other] = (counts * vectors[:, k] * vectors[:, other]).sum(axis=0)
        gram[k, k] += _RIDGE
        right[k] = tree_sum(_of_codes(table.vectors[:, k], code).reshape(rows.shape) * rows) + _RIDGE * (v[k] / top)
    with np.errstate(over="ignore"):
        return _solve(gram, right) * top


def _solve(m: Array, right: Array) -> Array:
    """Gaussian elimination of positive definite systems (n, n, ...) and (n, ...), in place."""
    n = len(right)
    for k in range(n):
        for i in range(k + 1, n):
            factor = m[i, k] / m[k, k]
            m[i, k:] -= factor * m[k, k:]
            right[i] -= factor * right[k]
    for k in reversed(range(n)):
        for j in range(k + 1, n):
            right[k] -= m[k, j] * right[j]
        right[k] /= m[k, k]
    return right
