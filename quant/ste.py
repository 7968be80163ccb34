"""STE, the straight-through estimator: rounding, or the sign, whose gradient is passed on as if it were not there.

Equations (Qn, Qp: 0 and 2^bits - 1 unsigned; 2^(bits-1) and 2^(bits-1) - 1 signed; 1 and 1 for the sign):

    v = x/s,   hard = s rint(clip(v, -Qn, Qp)),   ties to even
    hard = s where x >= 0, else -s                            signed, 1 bit: the sign, with sign(0) = +1
    dx = 1 for -Qn <= v <= Qp, else 0

One parameter, s > 0: a scalar, or one a channel (the last axis). It is not learned and its gradient is 0: a module
chooses it once, from the first batch. The gradient is a surrogate's, of the clipping alone: ``clipped``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.draw import Draw, away_from
from minigrad.elementary import clip, floor, select
from minigrad.primitive import Example, Kink, KinkPoint, Primitive, register
from minigrad.tensor import Tensor, apply
from quant.calibration import for_each_channel, least_squares_range, positive_mean_abs, require_finite
from quant.domain import check_bits, check_positive, check_shapes, refuse_nan, same_dtype
from quant.draw import draw_bits
from quant.method import Method, Role, register_method
from quant.quantizer import Quantizer, check_dtype, parameter_shape
from quant.rules import forward_of, jvp_of, sum_partials, vjp_of

__all__ = ["STE", "codes", "hard", "hard_vjp", "levels", "partials", "plus_or_minus"]

_WIDTHS = tuple(range(1, 9))


def plus_or_minus(x: np.ndarray) -> np.ndarray:
    """The sign that has no zero: +1 where x >= 0, else -1; NaN where x is NaN."""
    one = x.dtype.type(1)
    return np.where(x >= 0, one, np.where(np.isnan(x), x, -one))


def bounds(bits: int, signed: bool) -> tuple[int, int]:
    """Qn and Qp."""
    check_bits(bits)
    if not signed:
        return 0, (1 << bits) - 1
    return (1, 1) if bits == 1 else (1 << (bits - 1), (1 << (bits - 1)) - 1)


def _place(x: Any, s: Any, bits: int, signed: bool) -> tuple[Any, Any, Any, int, int]:
    low, high = bounds(bits, signed)
    x, s = same_dtype(x, s)
    check_shapes(x, s)
    check_positive("s", s)
    with np.errstate(over="ignore"):
        return x, s, x / s, low, high


def hard(x: np.ndarray, s: Any, *, bits: int, signed: bool = True) -> np.ndarray:
    """The quantizer.

    Parameters
    ----------
    x : ndarray, float32 or float64, any shape
    s : step size, s > 0; broadcasts against x
    bits : 1 to 8
    signed : whether levels lie on both sides of 0; with 1 bit they are -s and s

    Returns
    -------
    ndarray of the shape and dtype of x; NaN where x is NaN.

    Raises
    ------
    InputError
        If a parameter is outside its domain.
    """
    x, s, v, low, high = _place(x, s, bits, signed)
    with np.errstate(over="ignore"):
        return np.asarray(s * (plus_or_minus(x) if signed and bits == 1 else np.rint(clip(v, -low, high))))


def partials(x: np.ndarray, s: Any, *, bits: int, signed: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """What stands for the derivatives of every element by x and s, each of the shape of x; by s it is 0."""
    x, _, v, low, high = _place(x, s, bits, signed)
    inside = (v >= -low) & (v <= high)
    return np.where(inside, x.dtype.type(1), x.dtype.type(0)), np.zeros_like(x)


def hard_vjp(gy: np.ndarray, x: np.ndarray, s: Any, *, bits: int, signed: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Gradients of x and s for the incoming gradient ``gy`` (the shape of x); that of s is 0."""
    found = sum_partials(gy, partials(x, s, bits=bits, signed=signed), (x, s))
    return found[0], found[1]


def codes(x: np.ndarray, s: Any, *, bits: int, signed: bool = True) -> np.ndarray:
    """Integer codes rint(clip(v)) + Qn, uint8; for the sign 1 where x >= 0, else 0. InputError if x holds NaN."""
    x, s, v, low, high = _place(x, s, bits, signed)
    refuse_nan(x)
    if signed and bits == 1:
        return np.asarray(x >= 0).astype(np.uint8)
    return np.asarray(np.rint(clip(v, -low, high)) + low).astype(np.uint8)


def levels(s: Any, *, bits: int, signed: bool = True) -> np.ndarray:
    """The value of each code, (2^bits, ...) in the dtype of s."""
    low, high = bounds(bits, signed)
    s = np.asarray(s)
    check_positive("s", s)
    steps = np.arange(-low, high + 1, 2 if signed and bits == 1 else 1)
    return steps.astype(s.dtype).reshape(-1, *([1] * s.ndim)) * s


# ---------------------------------------------------------------- on the tape


def clipped(x: np.ndarray, s: Any, *, bits: int, signed: bool = True) -> Callable[..., np.ndarray]:
    """The function whose true gradient at (x, s) is ``hard_vjp``: x limited to the range as it is at s."""
    low, high = bounds(bits, signed)
    v = x / s
    inside, end = (v >= -low) & (v <= high), np.where(v < 0, -low * s, high * s)

    def surrogate(x: np.ndarray, s: Any) -> np.ndarray:
        run = select if x.dtype != object else np.frompyfunc(select, 3, 1)
        return run(inside, x, end)

    return surrogate


def _definition(x: Any, s: Any, *, bits: int, signed: bool = True) -> Any:
    low, high = bounds(bits, signed)
    if signed and bits == 1:
        return np.frompyfunc(lambda x, s: s if x >= 0 else -s, 2, 1)(x, s)
    return np.frompyfunc(lambda x, s: s * clip(floor(x / s + 0.5), -low, high), 2, 1)(x, s)


def _examples(draw: Draw, dtype: Any) -> Example:
    bits = draw_bits(draw, _WIDTHS)
    signed = draw.choice((True, False))
    low, high = bounds(bits, signed)
    shape = draw.choice([(5,), (3, 2)])
    s = draw.uniform(0.5, 2.0, draw.choice([(), shape[-1:]])) * 10.0 ** draw.integer(-6, 6)
    # Away from the ties between neighbouring codes, and so from the ends of the range but by half a step.
    code = np.array([draw.integer(-low - 2, high + 2) for _ in range(int(np.prod(shape)))]).reshape(shape)
    x = s * (code + away_from(draw, -0.45, 0.45, shape, [0.0], 0.05))
    return tuple(np.asarray(a, dtype) for a in (x, s)), {"bits": bits, "signed": signed}


def _at_bound(upper: bool) -> Callable[[Draw, Any], KinkPoint]:
    def at(draw: Draw, dtype: Any) -> KinkPoint:
        (x, _), options = _examples(draw, dtype)
        low, high = bounds(**options)
        s = np.asarray(0.25, dtype)
        x.flat[0] = (high if upper else -low) * s
        return KinkPoint((x, s), options, 0, (0,) * x.ndim, 0.0 if upper else 1.0)

    return at


register(
    Primitive(
        "ste",
        forward_of(hard),
        vjp_of(partials),
        jvp_of(partials),
        definition=_definition,
        domain="s > 0",
        kinks=(
            Kink("x = -Qn s", "the slope from inside, 1", _at_bound(False)),
            Kink("x = Qp s", "the slope from inside, 1", _at_bound(True)),
        ),
        examples=_examples,
        surrogate=clipped,
    )
)


class STE(Quantizer):
    """Rounding to a fixed grid, or the sign, passed straight through.

    Parameters
    ----------
    bits : int
        1 to 8.
    signed : bool
        For weights; unsigned for activations after a ReLU.
    channels : int or None
        One step for each entry of the last axis; None for one for the tensor.

    Raises
    ------
    InputError
        For values other than these.
    """

    buffers = ("initialised", "s")

    def __init__(self, bits: int, signed: bool = True, *, channels: int | None = None, dtype: type = np.float32):
        super().__init__()
        check_dtype(dtype)
        bounds(bits, signed)
        self.bits, self.signed = bits, signed
        self.s: np.ndarray = np.ones(parameter_shape(channels), dtype)

    def initialise(self, x: np.ndarray) -> None:
        """The step of least squared error: mean |x| for the sign, else the best of 64 ranges."""
        require_finite(x)
        if self.signed and self.bits == 1:
            self.s[...] = positive_mean_abs(x, self.s.shape)
            return
        top = bounds(self.bits, self.signed)[1]

        def rounded(x: np.ndarray, u: float) -> np.ndarray:
            return hard(x, u / top, bits=self.bits, signed=self.signed)

        self.s[...] = for_each_channel(x, self.s.shape, lambda x: least_squares_range(x, rounded) / top)

    def quantize(self, x: Tensor) -> Tensor:
        return apply("ste", x, self.s, bits=self.bits, signed=self.signed)

    def codes(self, x: np.ndarray) -> np.ndarray:
        return codes(x, self.s, bits=self.bits, signed=self.signed)

    def levels(self, x: np.ndarray | None = None) -> np.ndarray:
        return levels(self.s, bits=self.bits, signed=self.signed)


def _arguments(bits: int, role: Role) -> tuple[tuple[np.ndarray, ...], dict[str, Any]]:
    signed = role == "weight"
    return (np.asarray(1 / bounds(bits, signed)[1]),), {"bits": bits, "signed": signed}


METHOD = register_method(
    Method(
        "ste",
        "Straight-through estimator: rounding and the sign",
        "Bengio et al., arXiv 1308.3432; Hubara et al., NIPS 2016, arXiv 1602.02830",
        sys.modules[__name__],
        parameters=("s",),
        weights=_WIDTHS,
        activations=_WIDTHS,
        make=lambda bits, role, **options: STE(bits, role == "weight", **options),
        primitives=("ste",),
        arguments=_arguments,
        gradient="surrogate: clipping to the range, without the rounding; s is a constant",
        laws=frozenset({"idempotent", "scales", "elementwise"}),
        note="The step is chosen from the first batch and not learned; scaling the rounded grid by it is chosen here.",
    )
)
