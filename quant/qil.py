"""QIL, Quantization Interval Learning (Jung et al., CVPR 2019, arXiv 1808.05779, section 3).

Equations (m = |x| for weights and x for activations; the sign is +1 for activations; q = 2^(bits-1) - 1 for weights and
2^bits - 1 for activations; a = 1/(2d), e = 1/2 - c/(2d)):

    transformer   T = 0 for m < c - d,  sign(x) for m > c + d,  sign(x) h^gamma otherwise,  h = a m + e
    hard          rint(T q)/q,   ties to even

    dx = a gamma h^(gamma-1)                     dc = -a gamma h^(gamma-1) sign(x)
    dd = (a/d)(c - m) gamma h^(gamma-1) sign(x)  dgamma = h^gamma ln(h) sign(x)

inside the interval, its two ends included; outside of it all four are 0. At the lower end h = 0: where gamma < 1 the
slope from inside is infinite, and dx, dc and dd are 0 there.

The gradient is a surrogate's: of ``transformer``, the final rounding being passed straight through.

Chosen here: h is computed as (m - (c - d))/(2d), which is above 0 exactly for m > c - d; the interval of weights does
not reach below 0 (c >= d), where the transformer would jump; and ``initialise`` takes [0, u] of least squared error.
The quantized values are in [-1, 1] or [0, 1], whatever the scale of x: what follows has to scale (batch norm does).

Parameters, in this order, scalars or one a channel (the last axis): c and d > 0, the centre of the interval and half
its width; gamma > 0, which the paper learns for weights and keeps at 1 for activations. Codes are rint(T q), plus q for
weights.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from minigrad.elementary import clip, log, power
from minigrad.errors import InputError
from minigrad.nn import Parameter
from minigrad.primitive import Primitive, register
from minigrad.tensor import Tensor, apply
from quant.calibration import for_each_channel, least_squares_range, require_finite
from quant.domain import check_positive, check_shapes, refuse_nan, same_dtype
from quant.method import Method, Role, register_method
from quant.qil_primitive import KINKS, SIGNED, UNSIGNED, definition, examples, steps_of, transformer
from quant.quantizer import Quantizer, check_dtype, parameter_shape
from quant.rules import forward_of, jvp_of, sum_partials, vjp_of

__all__ = ["QIL", "codes", "hard", "hard_vjp", "levels", "partials"]

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


# ---------------------------------------------------------------- on the tape


register(
    Primitive(
        "qil",
        forward_of(hard),
        vjp_of(partials),
        jvp_of(partials),
        definition=definition,
        domain="d > 0, gamma > 0; c >= d if signed",
        kinks=KINKS,
        examples=examples,
        surrogate=transformer,
    )
)


class QIL(Quantizer):
    """QIL with learned interval and, for weights, learned exponent.

    Parameters
    ----------
    bits : int
        1 to 8; from 2 if signed.
    signed : bool
        For weights, gamma learned from 1 on; unsigned for activations, gamma = 1.
    channels : int or None
        An interval and exponent for each entry of the last axis; None for one for the tensor.

    Raises
    ------
    InputError
        For values other than these.
    """

    def __init__(self, bits: int, signed: bool = True, *, channels: int | None = None, dtype: type = np.float32):
        super().__init__()
        check_dtype(dtype)
        steps_of(bits, signed)
        self.bits, self.signed = bits, signed
        shape = parameter_shape(channels)
        self.c = Parameter(np.full(shape, 0.5, dtype), group="range")
        self.d = Parameter(np.full(shape, 0.5, dtype), group="range")
        self.gamma = Parameter(np.ones(shape, dtype), group="shape")
        self.gamma.requires_grad = signed

    def parameters_now(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """c, d and gamma as arrays."""
        return self.c.data, self.d.data, self.gamma.data

    def initialise(self, x: np.ndarray) -> None:
        """c = d = u/2: the interval [0, u] for which u times the quantized x/u is closest to x, with gamma = 1."""
        require_finite(x)

        def scaled(x: np.ndarray, u: float) -> np.ndarray:
            return u * hard(x, u / 2, u / 2, 1.0, bits=self.bits, signed=self.signed)

        ends = for_each_channel(x, self.c.shape, lambda x: least_squares_range(x, scaled))
        half = (ends / 2).astype(self.c.dtype)
        check_interval(half, half, 1, self.signed)
        self.c.data[...], self.d.data[...], self.gamma.data[...] = half, half, 1

    def quantize(self, x: Tensor) -> Tensor:
        return apply("qil", x, self.c, self.d, self.gamma, bits=self.bits, signed=self.signed)

    def codes(self, x: np.ndarray) -> np.ndarray:
        return codes(x, *self.parameters_now(), bits=self.bits, signed=self.signed)

    def levels(self, x: np.ndarray | None = None) -> np.ndarray:
        return levels(*self.parameters_now(), bits=self.bits, signed=self.signed)

    def project(self) -> None:
        """d at least 1e-6 of |c| (at least of 1), gamma at least 0.01, and c >= d for weights."""
        c, d, gamma = self.parameters_now()
        np.maximum(d, 1e-6 * np.maximum(np.abs(c), 1), out=d)
        np.maximum(gamma, 0.01, out=gamma)
        if self.signed:
            np.maximum(c, d, out=c)


def _arguments(bits: int, role: Role) -> tuple[tuple[np.ndarray, ...], dict[str, Any]]:
    signed = role == "weight"
    parameters = (0.5, 0.4, 0.8 if signed else 1.0)
    return tuple(np.asarray(p) for p in parameters), {"bits": bits, "signed": signed}


METHOD = register_method(
    Method(
        "qil",
        "QIL, Quantization Interval Learning",
        "Jung et al., CVPR 2019, arXiv 1808.05779, section 3",
        sys.modules[__name__],
        parameters=("c", "d", "gamma"),
        weights=SIGNED,
        activations=UNSIGNED,
        make=lambda bits, role, **options: QIL(bits, role == "weight", **options),
        primitives=("qil",),
        arguments=_arguments,
        gradient="surrogate: the transformer's own, the final rounding passed straight through",
        laws=frozenset({"elementwise"}),
        single_bits=22,
        note="values are in [-1, 1] or [0, 1] whatever the scale of x; the first interval [0, u] is chosen here",
    )
)
