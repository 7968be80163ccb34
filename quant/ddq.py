"""DDQ, Differentiable Dynamic Quantization (Zhang et al., ICML 2021, arXiv 2106.02295).

Reconstructed from the abstract and secondary sources: the paper's own text was not at hand beyond its introduction, and
no public implementation exists. The equations carry no numbers for that reason. What is certain is that the levels'
range and steps and each layer's bit width are learned by gradient; the rest is the reading below.

With n = 2^b levels q, gates g_i = 1 for ghat_i >= 0 else 0, sorted in descending order (of ghat; equal ones in stored
order), the Kronecker product U = U_1 x ... x U_b of U_i = g_i I + (1 - g_i) 1 (2 x 2), and Z the norm of a column:

    x_q = q^T (U/Z) x_o,  x_o one-hot: the level that x is assigned to;  S = sum g_i is the learned bit width

The closed gates come last, so the 2^S blocks of 2^(b-S) neighbouring q merge into their means, the *merged levels*. The
product is never formed: block means in the forward, one pass over q for each gate in the backward.

    dq = (U/Z) s,  s_k the sum of gy over the elements assigned to k
    dg_i = sum_k s_k [q^T U_1 x ... x (I - 1) x ... x U_b / Z]_k,  dghat_i = dg_i where |ghat_i| <= 1, else 0
    dx = gy where min q <= x <= max q, else 0
    correction: s from gy + lambda (x_q - x) in place of gy, the gradient of L + lambda/2 |x_q - x|^2; dx stays

Choices that the sources leave open, as options:
- ``assign``: x goes to the nearest "merged" level (default), or to the block of the nearest "raw" q. Ties go to the
  lower index. Of a block's equal entries "merged" takes the first, so a closed gate that splits a block in halves hears
  of the upper half; "raw" takes the level that x would have were all gates open.
- ``differentiate_norm``: Z = 2^(b-S) is a constant (default), or prod(2 - g_i), which adds x_q/(2 - g_i) to dg_i.

Levels that cross are no error. q is taken as it is: codes are block indices and ``levels`` the blocks' means in stored
order. Both ascend if q does, and only then is a code monotone in x. With "merged" the value of an element is monotone
in x all the same, so the module ranks ``codes`` and ``levels`` by value; with "raw" and crossed levels no order of the
codes is monotone. Equal levels are one: the lower index wins.

Everything is of one tensor: a width and a codebook a channel would be another method.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.errors import InputError
from minigrad.nn import Parameter
from minigrad.optim.numbers import finite
from minigrad.primitive import Primitive, register
from minigrad.reduction import tree_sum
from minigrad.tensor import Tensor, apply
from quant import ddq_primitive
from quant.calibration import require_finite
from quant.codebook import Codebook, make_codebook
from quant.ddq_relaxed import check_levels, gate_slopes, sum_by_index
from quant.domain import check_bits, refuse_nan, same_dtype
from quant.method import Method, Role, register_method
from quant.nearest import nearest_level
from quant.quantizer import Quantizer, check_dtype, check_option

__all__ = ["DDQ", "codebook", "codes", "hard", "hard_vjp", "levels"]

Array = np.ndarray
_ASSIGN = ("merged", "raw")
_INITIAL = ("uniform", "powers")


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
    check_option("assign", assign, _ASSIGN)
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
    _check_options(differentiate_norm, correction)
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


def _check_options(differentiate_norm: bool, correction: float) -> None:
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


# ---------------------------------------------------------------- on the tape


def _forward(x: Array, q: Array, ghat: Array, **options: Any) -> tuple[Array, Any]:
    """``hard``, on the tape."""
    value = hard(x, q, ghat, bits=options["bits"], assign=options.get("assign", "merged"))
    _check_options(options.get("differentiate_norm", False), options.get("correction", 0.0))
    return value, (x, q, ghat, options)


def _vjp(gy: Array, residuals: Any, needs: Sequence[bool]) -> tuple[Array | None, ...]:
    x, q, ghat, options = residuals
    return hard_vjp(gy, x, q, ghat, **options)


def _jvp(
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
    """Of the frozen assignment; a correction is no part of it."""
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


_RECORD: dict[str, Any] = {
    "definition": ddq_primitive.definition,
    "domain": "q and ghat finite",
    "kinks": ddq_primitive.KINKS,
    "surrogate": ddq_primitive.frozen_assignment,
}
register(Primitive("ddq", _forward, _vjp, _jvp, examples=ddq_primitive.examples, **_RECORD))
register(
    Primitive(
        "ddq_corrected",
        _forward,
        _vjp,
        _jvp,
        examples=ddq_primitive.corrected_examples,
        modifier=ddq_primitive.corrected_gradients,
        **_RECORD,
    )
)


class DDQ(Quantizer):
    """DDQ with learned levels and a learned bit width, one of each for the tensor.

    Parameters
    ----------
    bits : int
        1 to 8, the width with all gates open.
    signed : bool
        Where "powers" puts its levels: on both sides of 0, or from 0 up.
    initial : str
        "uniform": levels evenly from the least to the largest element; "powers": 0 and powers of two times max|x|, down
        to 2^-(2^bits - 2) unsigned, or +-2^-(2^(bits-1) - 2) with 0 twice (from 2 bits). Those that vanish in the dtype
        are 0.
    learn_bits : bool
        Whether the gates are learned; otherwise they stay as they are, all open at first.
    assign, differentiate_norm, correction
        As in ``hard_vjp``.

    Attributes
    ----------
    q, ghat : Parameter, (2^bits,) in the group "levels" and (bits,) in the group "shape"
        The gates start at 1, (b - 1)/b, ... 1/b, so the last one closes first.

    Raises
    ------
    InputError
        For values other than these.
    """

    def __init__(
        self,
        bits: int,
        signed: bool = True,
        *,
        initial: str = "uniform",
        learn_bits: bool = True,
        assign: str = "merged",
        differentiate_norm: bool = False,
        correction: float = 0.0,
        dtype: type = np.float32,
    ) -> None:
        super().__init__()
        check_dtype(dtype)
        n = check_bits(bits) + 1
        check_option("initial", initial, _INITIAL)
        check_option("assign", assign, _ASSIGN)
        _check_options(differentiate_norm, correction)
        if initial == "powers" and signed and bits < 2:
            raise InputError(f"bits: powers of two on both sides of 0 need at least 2, got {bits}")
        self.bits, self.signed, self.initial, self.assign = bits, signed, initial, assign
        self.differentiate_norm, self.correction = differentiate_norm, correction
        self.q = Parameter(np.linspace(-1.0 if signed else 0.0, 1.0, n).astype(dtype), group="levels")
        self.ghat = Parameter(np.arange(bits, 0, -1).astype(dtype) / bits, group="shape")
        self.ghat.requires_grad = learn_bits

    def initialise(self, x: Array) -> None:
        """The levels from the range of x; the gates stay."""
        require_finite(x)
        low, high, n = float(x.min()), float(x.max()), len(self.q)
        if not max(-low, high) <= float(np.finfo(self.q.dtype).max) / n:
            raise InputError(f"x: expected at most the largest number of {self.q.dtype} / {n}; scale the data")
        if self.initial == "uniform":
            start = low + (high - low) * (np.arange(n) / (n - 1))
            start[-1] = high
        else:
            top = max(-low, high) if self.signed else high
            powers = top * 2.0 ** -np.arange(n // 2 - 1 if self.signed else n - 1)
            start = np.concatenate([-powers, [0.0, 0.0], powers[::-1]] if self.signed else [[0.0], powers[::-1]])
        start = start.astype(self.q.dtype)
        if not start[0] < start[-1]:
            raise InputError(f"x: elements from {low} to {high} give no two different levels")
        self.q.data[...] = start

    def width(self) -> Tensor:
        """S, the learned bit width, on the tape: the sum of the gates, passed straight through."""
        return apply("ddq_gate", self.ghat).sum()

    def quantize(self, x: Tensor) -> Tensor:
        options: dict[str, Any] = {"bits": self.bits, "assign": self.assign}
        options["differentiate_norm"] = self.differentiate_norm
        if self.correction:
            return apply("ddq_corrected", x, self.q, self.ghat, correction=self.correction, **options)
        return apply("ddq", x, self.q, self.ghat, **options)

    def codes(self, x: Array) -> Array:
        """The rank of each element's block by value: its index where q ascends."""
        order = np.argsort(levels(self.q.data, self.ghat.data, bits=self.bits), kind="stable")
        rank = np.empty(len(order), np.uint8)
        rank[order] = np.arange(len(order))
        return rank[codes(x, self.q.data, self.ghat.data, bits=self.bits, assign=self.assign)]

    def levels(self, x: Array | None = None) -> Array:
        """The merged levels, ascending, (2^S,)."""
        return np.sort(levels(self.q.data, self.ghat.data, bits=self.bits), kind="stable")

    def codebook(self, **ends: float) -> Codebook:
        """The levels in an int8 codebook; ``x_min`` and ``x_max`` as in ``quant.codebook.make_codebook``."""
        return codebook(self.q.data, self.ghat.data, bits=self.bits, **ends)

    def project(self) -> None:
        """Gates in [-1, 1], beyond which none would move again, and at least one open: S >= 1."""
        np.clip(self.ghat.data, -1, 1, out=self.ghat.data)
        largest = int(np.argmax(self.ghat.data))
        self.ghat.data[largest] = max(self.ghat.data[largest], 0)


def _arguments(bits: int, role: Role) -> tuple[tuple[Array, ...], dict[str, Any]]:
    q = np.linspace(-1.0 if role == "weight" else 0.0, 1.0, 1 << bits)
    return (q, np.arange(bits, 0, -1) / bits), {"bits": bits}


_WIDTHS = tuple(range(1, 9))

METHOD = register_method(
    Method(
        "ddq",
        "DDQ, Differentiable Dynamic Quantization",
        "Zhang et al., ICML 2021, arXiv 2106.02295; reconstructed from the abstract and secondary sources",
        sys.modules[__name__],
        parameters=("q", "ghat"),
        weights=_WIDTHS,
        activations=_WIDTHS,
        make=lambda bits, role, **options: DDQ(bits, role == "weight", **options),
        primitives=("ddq", "ddq_corrected", "ddq_relaxed", "ddq_gate"),
        arguments=_arguments,
        gradient="surrogate: the assignment frozen, the gates' steps straight through within [-1, 1]; "
        "with a correction, the formula of its gradients",
        laws=frozenset({"idempotent", "scales", "shifts", "elementwise"}),
        per_channel=False,
        single_bits=22,
        note="Reconstructed from the abstract and secondary sources. Levels and width are of the whole tensor. The bit "
        "width is learned: there are 2^S codes, S <= bits.",
    )
)
