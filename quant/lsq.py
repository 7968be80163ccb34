"""LSQ, Learned Step Size Quantization (Esser et al., ICLR 2020, arXiv 1902.08153).

Equations (Qn, Qp: 0 and 2^bits - 1 unsigned; 2^(bits-1) and 2^(bits-1) - 1 signed):

    v = x/s,   hard = s rint(clip(v, -Qn, Qp)),   ties to even               (eqs 1, 2)
    dx = 1 for -Qn <= v <= Qp, else 0                                        (eq 5)
    ds = rint(v) - v for -Qn <= v <= Qp, -Qn below, Qp above                 (eq 3), times 1/sqrt(count Qp)

``count`` is the number of elements that share s (section 2.2). The gradient is a surrogate's: of ``frozen_residual``,
in which the rounding residual rint(v) - v stays what it is at the arguments; the factor 1/sqrt(count Qp) scales how far
s moves.

One parameter, s > 0: a scalar, or one a channel (the last axis). Codes are rint(v) + Qn.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.draw import Draw, away_from
from minigrad.elementary import clip, floor, select
from minigrad.nn import Parameter
from minigrad.primitive import Example, Kink, KinkPoint, Primitive, register
from minigrad.tensor import Tensor, apply
from quant.calibration import positive_mean_abs
from quant.domain import check_bits, check_positive, check_shapes, refuse_nan, same_dtype
from quant.draw import draw_bits
from quant.method import Method, Role, register_method
from quant.quantizer import Quantizer, check_dtype, parameter_shape
from quant.rules import forward_of, jvp_of, sum_partials, vjp_of
from quant.smallest import keep_positive

__all__ = ["LSQ", "codes", "hard", "hard_vjp", "levels", "partials"]

_SIGNED = tuple(range(2, 9))
_UNSIGNED = tuple(range(1, 9))


def bounds(bits: int, signed: bool) -> tuple[int, int]:
    """Qn and Qp; InputError for a width LSQ has no quantizer of: signed 1 bit would have Qp = 0."""
    check_bits(bits, range(2, 9) if signed else range(1, 9))
    return (1 << (bits - 1), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)


def gradient_scale(count: int, bits: int, signed: bool) -> float:
    """1/sqrt(count Qp)."""
    return 1 / math.sqrt(max(count, 1) * bounds(bits, signed)[1])


def _count(x: Any, s: Any) -> int:
    """Elements that share one s."""
    return np.size(x) // max(np.size(s), 1)


def _place(x: Any, s: Any, bits: int, signed: bool) -> tuple[Any, Any, int, int]:
    low, high = bounds(bits, signed)
    check_shapes(x, s)
    x, s = same_dtype(x, s)
    check_step(s, low, high)
    return x, s, low, high


def check_step(s: Any, low: int, high: int) -> None:
    """InputError unless s > 0 and the outer levels, -low s and high s, are finite, everywhere."""
    check_positive("s", s)
    with np.errstate(over="ignore"):
        check_positive("the outer level", s * max(low, high))


def hard(x: np.ndarray, s: Any, *, bits: int, signed: bool = True) -> np.ndarray:
    """The quantizer (eqs 1 and 2).

    Parameters
    ----------
    x : ndarray, float32 or float64, any shape
    s : step size, s > 0; broadcasts against x
    bits : 1 to 8; from 2 if signed
    signed : whether levels lie on both sides of 0

    Returns
    -------
    ndarray of the shape and dtype of x; NaN where x is NaN.

    Raises
    ------
    InputError
        If a parameter is outside its domain.
    """
    x, s, low, high = _place(x, s, bits, signed)
    with np.errstate(over="ignore"):
        return np.asarray(s * np.rint(clip(x / s, -low, high)))


def partials(x: np.ndarray, s: Any, *, bits: int, signed: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """The derivatives of every element by x and s (eqs 5 and 3), each of the shape of x."""
    x, s, low, high = _place(x, s, bits, signed)
    with np.errstate(over="ignore"):
        v = x / s
    inside = (v >= -low) & (v <= high)
    at = np.rint(clip(v, -low, high))
    with np.errstate(invalid="ignore"):
        ds = np.where(inside, at - v, at) * x.dtype.type(gradient_scale(_count(x, s), bits, signed))
    return np.where(inside, x.dtype.type(1), x.dtype.type(0)), ds


def hard_vjp(gy: np.ndarray, x: np.ndarray, s: Any, *, bits: int, signed: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Gradients of x and s for the incoming gradient ``gy`` (the shape of x)."""
    found = sum_partials(gy, partials(x, s, bits=bits, signed=signed), (x, s))
    return found[0], found[1]


def codes(x: np.ndarray, s: Any, *, bits: int, signed: bool = True) -> np.ndarray:
    """Integer codes rint(clip(v)) + Qn, uint8, ties to even; InputError if x holds NaN."""
    x, s, low, high = _place(x, s, bits, signed)
    refuse_nan(x)
    with np.errstate(over="ignore"):
        return (np.rint(clip(x / s, -low, high)) + low).astype(np.uint8)


def levels(s: Any, *, bits: int, signed: bool = True) -> np.ndarray:
    """The value of each code, (2^bits, ...) in the dtype of s."""
    low, high = bounds(bits, signed)
    s = np.asarray(s)
    check_step(s, low, high)
    steps = np.arange(-low, high + 1).astype(s.dtype).reshape(-1, *([1] * s.ndim))
    return steps * s


# ---------------------------------------------------------------- on the tape


def frozen_residual(x: np.ndarray, s: Any, *, bits: int, signed: bool = True) -> Callable[..., np.ndarray]:
    """The function whose true gradient at (x, s) is ``hard_vjp``.

    S clip(x/S, -Qn, Qp) + S r, where r is the rounding residual at the arguments and S moves from s by the gradient's
    scale times what s does.
    """
    low, high = bounds(bits, signed)
    v = x / s
    inside, code = (v >= -low) & (v <= high), np.rint(clip(v, -low, high))
    scale = 1 / math.sqrt(_count(x, s) * high)

    def element(x: Any, s: Any, inside: Any, code: Any, x0: Any, s0: Any) -> Any:
        # In the numbers of x, not in floats: the rounding of the residual is part of what is measured.
        x0, s0 = x0 + 0 * x, s0 + 0 * s
        moved = s0 + scale * (s - s0)
        # Inside the range moved * clip(x/moved) is x itself.
        return select(inside, x + moved * (code - x0 / s0), moved * code)

    frozen = (inside, code, x, s)

    def surrogate(x: np.ndarray, s: Any) -> np.ndarray:
        run = element if x.dtype != object else np.frompyfunc(element, 6, 1)
        return run(x, s, *frozen)

    return surrogate


def _definition(x: Any, s: Any, *, bits: int, signed: bool = True) -> Any:
    low, high = bounds(bits, signed)
    return np.frompyfunc(lambda x, s: s * clip(floor(x / s + 0.5), -low, high), 2, 1)(x, s)


def _examples(draw: Draw, dtype: Any) -> Example:
    bits = draw_bits(draw, _UNSIGNED)
    signed = bits > 1 and draw.choice((True, False))
    low, high = bounds(bits, signed)
    s = draw.uniform(0.05, 2.0)
    # Away from the ties between neighbouring codes, and so from the ends of the range but by half a step.
    code = np.array([draw.integer(-low - 2, high + 2) for _ in range(5)])
    x = s * (code + away_from(draw, -0.45, 0.45, (5,), [0.0], 0.05))
    return tuple(np.asarray(a, dtype) for a in (x, s)), {"bits": bits, "signed": signed}


def _at_bound(upper: bool) -> Callable[[Draw, Any], KinkPoint]:
    def at(draw: Draw, dtype: Any) -> KinkPoint:
        (x, _), options = _examples(draw, dtype)
        low, high = bounds(**options)
        s = np.asarray(0.25, dtype)
        x[0] = (high if upper else -low) * s
        return KinkPoint((x, s), options, 0, (0,), 0.0 if upper else 1.0)

    return at


register(
    Primitive(
        "lsq",
        forward_of(hard),
        vjp_of(partials),
        jvp_of(partials),
        definition=_definition,
        domain="s > 0",
        kinks=(
            Kink("x = -Qn s", "the slope from inside", _at_bound(False)),
            Kink("x = Qp s", "the slope from inside", _at_bound(True)),
        ),
        examples=_examples,
        surrogate=frozen_residual,
    )
)


class LSQ(Quantizer):
    """LSQ with a learned step size.

    Parameters
    ----------
    bits : int
        1 to 8; from 2 if signed.
    signed : bool
        For weights; unsigned for activations after a ReLU.
    channels : int or None
        One step for each entry of the last axis; None for one for the tensor.

    Raises
    ------
    InputError
        For values other than these.
    """

    def __init__(self, bits: int, signed: bool = True, *, channels: int | None = None, dtype: type = np.float32):
        super().__init__()
        check_dtype(dtype)
        bounds(bits, signed)
        self.bits, self.signed = bits, signed
        self.s = Parameter(np.ones(parameter_shape(channels), dtype), group="range")

    def initialise(self, x: np.ndarray) -> None:
        """s = 2 mean|x| / sqrt(Qp) (section 2.1)."""
        low, high = bounds(self.bits, self.signed)
        with np.errstate(over="ignore"):
            s = (2 * positive_mean_abs(x, self.s.shape) / math.sqrt(high)).astype(self.s.dtype)
        check_step(s, low, high)
        self.s.data[...] = s

    def quantize(self, x: Tensor) -> Tensor:
        return apply("lsq", x, self.s, bits=self.bits, signed=self.signed)

    def codes(self, x: np.ndarray) -> np.ndarray:
        return codes(x, self.s.data, bits=self.bits, signed=self.signed)

    def levels(self, x: np.ndarray | None = None) -> np.ndarray:
        return levels(self.s.data, bits=self.bits, signed=self.signed)

    def project(self) -> None:
        """s at least 2^-60."""
        keep_positive(self.s.data)


def _arguments(bits: int, role: Role) -> tuple[tuple[np.ndarray, ...], dict[str, Any]]:
    signed = role == "weight"
    return (np.asarray(1 / bounds(bits, signed)[1]),), {"bits": bits, "signed": signed}


METHOD = register_method(
    Method(
        "lsq",
        "LSQ, Learned Step Size Quantization",
        "Esser et al., ICLR 2020, arXiv 1902.08153, eqs 1 to 5",
        sys.modules[__name__],
        parameters=("s",),
        weights=_SIGNED,
        activations=_UNSIGNED,
        make=lambda bits, role, **options: LSQ(bits, role == "weight", **options),
        primitives=("lsq",),
        arguments=_arguments,
        gradient="surrogate: the rounding residual frozen; the step's times 1/sqrt(count Qp)",
        laws=frozenset({"idempotent", "scales", "elementwise"}),
    )
)
