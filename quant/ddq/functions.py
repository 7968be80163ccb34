"""The pure functions of DDQ; ``quant.ddq`` has the equations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.errors import InputError
from minigrad.optim.numbers import finite
from minigrad.reduction import tree_sum
from quant.codebook import Codebook, make_codebook
from quant.ddq.relaxed import check_levels, gate_slopes, sum_by_index
from quant.domain import refuse_nan, same_dtype
from quant.nearest import nearest_level
from quant.quantizer import check_option

__all__ = ["ASSIGN", "check_options", "codebook", "codes", "hard", "hard_jvp", "hard_vjp", "levels"]

Array = np.ndarray
#: What elements may be assigned to the nearest of.
ASSIGN = ("merged", "raw")


def _place(x: Any, q: Any, ghat: Any, bits: int) -> tuple[Array, Array, Array]:
    """Checked arguments in the dtype of x."""
    x, q, ghat = same_dtype(np.asarray(x), q, ghat)
    check_levels(q, bits)
    if ghat.shape != (bits,) or not np.isfinite(ghat).all():
        raise InputError(f"ghat: expected {bits} finite numbers, one a gate, got {ghat.dtype} {ghat.shape}")
    return x, q, ghat


def _closed(ghat: Array) -> int:
    """How many gates are closed, b - S."""
    return int(np.count_nonzero(ghat < 0))


def _block_sums(v: Array, closed: int) -> Array:
    """The sums of the blocks of 2^closed neighbours, joined pairwise."""
    for _ in range(closed):
        v = v[0::2] + v[1::2]
    return v


def _assign(x: Array, q: Array, ghat: Array, assign: str) -> tuple[Array, Array]:
    """The level of q that each element is assigned to, and the merged levels."""
    check_option("assign", assign, ASSIGN)
    closed = _closed(ghat)
    merged = _block_sums(q, closed) / (1 << closed)
    return nearest_level(x, q) if assign == "raw" else nearest_level(x, merged) << closed, merged


def _value(x: Array, index: Array, merged: Array, closed: int) -> Array:
    return np.where(np.isnan(x), x, merged[index >> closed])


def hard(x: Array, q: Any, ghat: Any, *, bits: int, assign: str = "merged") -> Array:
    """The quantizer.

    Parameters
    ----------
    x : ndarray, float32 or float64, any shape
    q : (2^bits,), the levels, in any order
    ghat : (bits,), the gates; those below 0 are closed
    bits : 1 to 8
    assign : "merged" or "raw", the levels of which x is assigned to the nearest

    Returns
    -------
    ndarray of the shape and dtype of x; NaN where x is NaN.

    Raises
    ------
    InputError
        If an argument is outside its domain.
    """
    x, q, ghat = _place(x, q, ghat, bits)
    index, merged = _assign(x, q, ghat, assign)
    return _value(x, index, merged, _closed(ghat))


@np.errstate(over="ignore", invalid="ignore")
def hard_vjp(
    gy: Array,
    x: Array,
    q: Any,
    ghat: Any,
    *,
    bits: int,
    assign: str = "merged",
    differentiate_norm: bool = False,
    correction: float = 0.0,
) -> tuple[Array, Array, Array]:
    """Gradients of x, q and ghat for the incoming gradient ``gy`` (the shape of x).

    Parameters
    ----------
    differentiate_norm : whether Z is a function of the gates
    correction : lambda, at least 0; what it adds to the gradients of q and ghat is no function's of x_q alone

    Raises
    ------
    InputError
        If an argument is outside its domain.
    """
    x, q, ghat = _place(x, q, ghat, bits)
    check_options(differentiate_norm, correction)
    index, merged = _assign(x, q, ghat, assign)
    closed = _closed(ghat)
    pulled = gy
    if correction:
        pulled = gy + x.dtype.type(correction) * (_value(x, index, merged, closed) - x)
    s = sum_by_index(np.where(np.isnan(x), x, pulled), index, len(q))
    dq = np.repeat(_block_sums(s, closed) / (1 << closed), 1 << closed)
    order, slopes = _slopes(q, ghat, differentiate_norm)
    dghat = np.empty_like(ghat)
    dghat[order] = tree_sum((slopes * s).T)
    return np.where(_inside(x, q), gy, x.dtype.type(0)), dq, np.where(np.abs(ghat) <= 1, dghat, x.dtype.type(0))


def hard_jvp(
    tangents: Sequence[Array | None],
    x: Array,
    q: Array,
    ghat: Array,
    *,
    bits: int,
    assign: str = "merged",
    differentiate_norm: bool = False,
    correction: float = 0.0,
) -> Array:
    """What ``hard`` moves by for tangents of x, q and ghat, the assignment frozen; a correction is no part of it."""
    tx, tq, tghat = tangents
    index, _ = _assign(x, q, ghat, assign)
    closed = _closed(ghat)
    slope = np.zeros_like(q)
    if tq is not None:
        slope = slope + np.repeat(_block_sums(tq, closed) / (1 << closed), 1 << closed)
    if tghat is not None:
        order, slopes = _slopes(q, ghat, differentiate_norm)
        slope = slope + tree_sum(slopes * np.where(np.abs(ghat) <= 1, tghat, 0)[order][:, None])
    y = slope[index]
    return np.asarray(y if tx is None else y + np.where(_inside(x, q), tx, x.dtype.type(0)))


def check_options(differentiate_norm: bool, correction: float) -> None:
    check_option("differentiate_norm", differentiate_norm, (False, True))
    finite("correction", correction)


def _inside(x: Array, q: Array) -> Array:
    return (x >= q.min()) & (x <= q.max())


def _slopes(q: Array, ghat: Array, differentiate_norm: bool) -> tuple[Array, Array]:
    """The order of the gates, and the derivative of x_q by each in that order, for each level of q, (b, 2^b)."""
    order = np.argsort(-ghat, kind="stable")
    g = (ghat[order] >= 0).astype(q.dtype)
    return order, gate_slopes(q, g, q.dtype.type(1 << _closed(ghat)), differentiate_norm)


def codes(x: Array, q: Any, ghat: Any, *, bits: int, assign: str = "merged") -> Array:
    """The block of each element, uint8, ties to the lower index; InputError if x holds NaN."""
    x, q, ghat = _place(x, q, ghat, bits)
    refuse_nan(x)
    return (_assign(x, q, ghat, assign)[0] >> _closed(ghat)).astype(np.uint8)


def levels(q: Any, ghat: Any, *, bits: int) -> Array:
    """The value of each code: the merged levels, (2^S,) in the dtype of q and in its order."""
    _, q, ghat = _place(np.zeros((), np.asarray(q).dtype), q, ghat, bits)
    return _block_sums(q, _closed(ghat)) / (1 << _closed(ghat))


def codebook(q: Any, ghat: Any, *, bits: int, x_min: float | None = None, x_max: float | None = None) -> Codebook:
    """The merged levels in an int8 codebook, which is a quantizer with levels of its own (``quant.codebook``)."""
    return make_codebook(levels(q, ghat, bits=bits), x_min=x_min, x_max=x_max)
