"""APoT, Additive Powers-of-Two quantization (Li, Dong, Wang, ICLR 2020, arXiv 1909.13144).

Magnitudes are sums of one number of each set, divided by the largest sum; with m magnitude bits there are 2^m:

    m = 2   {0, 1/2, 1/4, 1/8}                                 0, 1, 2, 4 quarters
    m = 3   {0, 1/2, 1/4, 1/16} + {0, 1/8}                     0, 1, 2, 3, 4, 6, 8, 10 tenths
    m = 4   {0, 1/2, 1/8, 1/32} + {0, 1/4, 1/16, 1/64}         0, 1, 2, 3, 4, 6, 8, 9, 12, 16, 18, 24, 32, 33, 36, 48
                                                               forty-eighths

Weights have a sign besides: their ``bits`` are m + 1, 3 to 5, of which one code is not used (2^bits - 1 levels, 0 being
one). Activations have none: their ``bits`` are m, 2 to 4, and all codes are used.

    hard = a sign(x) nearest(clip(|x|/a, 0, 1))   weights;    a nearest(clip(x/a, 0, 1))   activations
    q = hard/a, and inside of -a <= x <= a (0 <= x <= a for activations):
    dx = 1 inside and outside for weights; 1 inside, 0 outside for activations
    da = q - x/a inside, q outside: sign(x), or 0 and 1

"nearest" compares with the magnitudes as floats, exactly; midway between two it takes the smaller. Weights are first
brought to mean 0 and standard deviation 1, both constants of the backward (``quant.standardise``), and not scaled back.
The gradient is a surrogate's, ``frozen_residual``: with r = q - x/a inside and q outside as they are at the arguments,
x + a r for weights, and for activations the same inside and a r outside. The rule for activations below 0, which do
not follow a ReLU, is chosen here: the authors' code passes gradients there.

One parameter, a > 0: a scalar, or one a channel (the last axis); it starts at 3 for weights and 8 for activations.
Codes count the levels from the lowest on.
"""

from __future__ import annotations

import math
import sys
from itertools import product
from typing import Any

import numpy as np

from minigrad.elementary import clip
from minigrad.errors import InputError
from minigrad.nn import Parameter
from minigrad.primitive import Primitive, register
from minigrad.tensor import Tensor, apply
from quant.apot_primitive import KINKS, SIGNED, UNSIGNED, definition, examples, frozen_residual
from quant.calibration import require_finite
from quant.domain import check_bits, check_positive, check_shapes, refuse_nan, same_dtype
from quant.method import Method, Role, register_method
from quant.nearest import nearest_level
from quant.quantizer import Quantizer, check_dtype, parameter_shape
from quant.rules import forward_of, jvp_of, sum_partials, vjp_of
from quant.standardise import mean_and_std, standardise

__all__ = ["APoT", "codes", "hard", "hard_vjp", "levels", "magnitudes", "partials"]

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


register(
    Primitive(
        "apot",
        forward_of(hard),
        vjp_of(partials),
        jvp_of(partials),
        definition=definition,
        domain="a > 0",
        kinks=KINKS,
        examples=examples,
        surrogate=frozen_residual,
    )
)


class APoT(Quantizer):
    """APoT with a learned end of the range.

    Parameters
    ----------
    bits : int
        3 to 5 signed: magnitude bits and one for the sign; 2 to 4 unsigned.
    signed : bool
        For weights, which are standardised first; unsigned for activations after a ReLU.
    channels : int or None
        One a for each entry of the last axis, each filter of weights standardised on its own; None for one for the
        tensor, as in the paper.

    Raises
    ------
    InputError
        For values other than these; by the forward and ``codes`` for weights that are all the same.
    """

    def __init__(self, bits: int, signed: bool = True, *, channels: int | None = None, dtype: type = np.float32):
        super().__init__()
        check_dtype(dtype)
        magnitudes(bits, signed)
        self.bits, self.signed = bits, signed
        self.a = Parameter(np.full(parameter_shape(channels), 3.0 if signed else 8.0, dtype), group="range")

    def initialise(self, x: np.ndarray) -> None:
        """a = 3 for weights and 8 for activations, whatever the data; weights must not be all the same."""
        require_finite(x)
        self._check_channels(x)
        if self.signed:
            mean_and_std(x, self._per_filter)
        self.a.data[...] = 3.0 if self.signed else 8.0

    @property
    def _per_filter(self) -> bool:
        return self.a.ndim > 0

    def _check_channels(self, x: np.ndarray) -> None:
        if self._per_filter and x.shape[-1:] != self.a.shape:
            raise InputError(f"x: expected {self.a.shape[0]} channels in the last axis, got shape {x.shape}")

    def quantize(self, x: Tensor) -> Tensor:
        self._check_channels(x.data)
        if self.signed:
            x = apply("weight_standardise_frozen", x, per_filter=self._per_filter)
        return apply("apot", x, self.a, bits=self.bits, signed=self.signed)

    def codes(self, x: np.ndarray) -> np.ndarray:
        self._check_channels(x)
        refuse_nan(x)
        if self.signed:
            x = standardise(x, self._per_filter)
        return codes(x, self.a.data, bits=self.bits, signed=self.signed)

    def levels(self, x: np.ndarray | None = None) -> np.ndarray:
        return levels(self.a.data, bits=self.bits, signed=self.signed)

    def project(self) -> None:
        """a at least 1e-6."""
        np.maximum(self.a.data, 1e-6, out=self.a.data)


def _arguments(bits: int, role: Role) -> tuple[tuple[np.ndarray, ...], dict[str, Any]]:
    return (np.asarray(1.0),), {"bits": bits, "signed": role == "weight"}


METHOD = register_method(
    Method(
        "apot",
        "APoT, Additive Powers-of-Two quantization",
        "Li, Dong, Wang, ICLR 2020, arXiv 1909.13144",
        sys.modules[__name__],
        parameters=("a",),
        weights=SIGNED,
        activations=UNSIGNED,
        make=lambda bits, role, **options: APoT(bits, role == "weight", **options),
        primitives=("apot",),
        arguments=_arguments,
        gradient="surrogate: the rounding residual frozen; that of weights is passed on outside of the range too",
        single_bits=22,
        note="weights of b bits have b - 1 magnitude bits and a sign, 2^b - 1 levels; they are standardised first",
    )
)
