"""LSQ+, LSQ with a learned offset (Bhalgat et al., CVPR workshops 2020, arXiv 2004.09576).

Equations (low, high: 0 and 2^bits - 1 unsigned; -2^(bits-1) and 2^(bits-1) - 1 signed):

    v = (x - c)/s,   hard = s rint(clip(v, low, high)) + c,   ties to even
    dx = 1 for low <= v <= high, else 0
    ds = rint(v) - v inside, low below, high above           times 1/sqrt(count high)
    dc = 0 inside, 1 outside                                 times 1/sqrt(count high)

``count`` is the number of elements that share s and c; their gradients are scaled as LSQ's is. The gradient is a
surrogate's: of ``frozen_residual``, in which the rounding residual rint(v) - v stays what it is at the arguments.

Parameters in the order s, c: the step s > 0 and the offset c, scalars or one a channel (the last axis). Codes are
rint(v) - low. Weights are signed and keep c = 0, activations are unsigned with c the lowest level.

Initialisation: weights as in the paper, s = max(|mean - 3 std|, |mean + 3 std|)/2^(bits-1). For activations the paper
asks for least squared error and finds it by gradient descent; here c is put at the smallest element, as in the
minimum-maximum start it improves on, and s is the best of 64 for that criterion.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.draw import Draw, away_from
from minigrad.elementary import clip, floor, select
from minigrad.errors import InputError
from minigrad.nn import Parameter
from minigrad.primitive import Example, Kink, KinkPoint, Primitive, register
from minigrad.reduction import tree_sum
from minigrad.tensor import Tensor, apply
from quant.calibration import for_each_channel, least_squares_range, require_finite
from quant.domain import check_shapes, refuse_nan, same_dtype
from quant.draw import draw_bits
from quant.lsq import bounds, check_step
from quant.method import ROLES, Method, Role, register_method
from quant.quantizer import Quantizer, check_dtype, check_option, parameter_shape
from quant.rules import forward_of, jvp_of, sum_partials, vjp_of
from quant.smallest import keep_positive

__all__ = ["LSQPlus", "codes", "hard", "hard_vjp", "levels", "partials"]

_SIGNED = tuple(range(2, 9))
_UNSIGNED = tuple(range(1, 9))


def _place(x: Any, s: Any, c: Any, bits: int, signed: bool) -> tuple[Any, ...]:
    """Checked arguments in one dtype, v, and the lowest and the highest of its roundings."""
    negative, high = bounds(bits, signed)
    check_shapes(x, s, c)
    x, s, c = same_dtype(x, s, c)
    check_step(s, negative, high)
    with np.errstate(over="ignore", invalid="ignore"):
        if not (np.isfinite(c - negative * s).all() and np.isfinite(c + high * s).all()):
            raise InputError(f"c: expected finite numbers, and finite levels around them, got {c} with steps of {s}")
        return x, s, c, (x - c) / s, -negative, high


def _gradient_scale(x: Any, parameter: Any, high: int) -> float:
    """1/sqrt(count high), count the number of elements that share an entry of the parameter."""
    return 1 / math.sqrt(max(np.size(x) // max(np.size(parameter), 1), 1) * high)


def hard(x: np.ndarray, s: Any, c: Any, *, bits: int, signed: bool = False) -> np.ndarray:
    """The quantizer.

    Parameters
    ----------
    x : ndarray, float32 or float64, any shape
    s, c : step size, s > 0, and offset; broadcast against x
    bits : 1 to 8; from 2 if signed
    signed : whether the codes lie on both sides of the offset

    Returns
    -------
    ndarray of the shape and dtype of x; NaN where x is NaN.

    Raises
    ------
    InputError
        If a parameter is outside its domain.
    """
    x, s, c, v, low, high = _place(x, s, c, bits, signed)
    return np.asarray(s * np.rint(clip(v, low, high)) + c)


def partials(
    x: np.ndarray, s: Any, c: Any, *, bits: int, signed: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The derivatives of every element by x, s and c, each of the shape of x; those of s and c scaled."""
    x, s, c, v, low, high = _place(x, s, c, bits, signed)
    inside = (v >= low) & (v <= high)
    at = np.rint(clip(v, low, high))
    one, zero = x.dtype.type(1), x.dtype.type(0)
    with np.errstate(invalid="ignore"):
        ds = np.where(inside, at - v, at) * x.dtype.type(_gradient_scale(x, s, high))
    return np.where(inside, one, zero), ds, np.where(inside, zero, one) * x.dtype.type(_gradient_scale(x, c, high))


def hard_vjp(
    gy: np.ndarray, x: np.ndarray, s: Any, c: Any, *, bits: int, signed: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of x, s and c for the incoming gradient ``gy`` (the shape of x)."""
    dx, ds, dc = sum_partials(gy, partials(x, s, c, bits=bits, signed=signed), (x, s, c))
    return dx, ds, dc


def codes(x: np.ndarray, s: Any, c: Any, *, bits: int, signed: bool = False) -> np.ndarray:
    """Integer codes rint(clip(v)) - low, uint8, ties to even; InputError if x holds NaN."""
    x, s, c, v, low, high = _place(x, s, c, bits, signed)
    refuse_nan(x)
    return np.asarray(np.rint(clip(v, low, high)) - low).astype(np.uint8)


def levels(s: Any, c: Any, *, bits: int, signed: bool = False) -> np.ndarray:
    """The value of each code, (2^bits, ...) in the dtype of s."""
    _, s, c, _, low, high = _place(np.asarray(s), s, c, bits, signed)
    s, c = np.broadcast_arrays(s, c)
    steps = np.arange(low, high + 1).astype(s.dtype).reshape(-1, *([1] * s.ndim))
    return steps * s + c


# ---------------------------------------------------------------- on the tape


def frozen_residual(x: np.ndarray, s: Any, c: Any, *, bits: int, signed: bool = False) -> Callable[..., np.ndarray]:
    """The function whose true gradient at (x, s, c) is ``hard_vjp``.

    S clip((x - C)/S, low, high) + S r + C, where r is the rounding residual at the arguments, and S and C move from s
    and c by the gradient's scale times what those do.
    """
    _, _, _, v, low, high = _place(x, s, c, bits, signed)
    inside, code = (v >= low) & (v <= high), np.rint(clip(v, low, high))
    by_s, by_c = _gradient_scale(x, s, high), _gradient_scale(x, c, high)

    def element(x: Any, s: Any, c: Any, inside: Any, code: Any, *here: Any) -> Any:
        # In the numbers of x, not in floats: the rounding of the residual is part of what is measured.
        x0, s0, c0 = (number + 0 * x for number in here)
        step, offset = s0 + by_s * (s - s0), c0 + by_c * (c - c0)
        # Inside the range S clip((x - C)/S) + C is x itself.
        return select(inside, x + step * (code - (x0 - c0) / s0), step * code + offset)

    frozen = (inside, code, x, s, c)

    def surrogate(x: np.ndarray, s: Any, c: Any) -> np.ndarray:
        run = element if x.dtype != object else np.frompyfunc(element, 8, 1)
        return run(x, s, c, *frozen)

    return surrogate


def _definition(x: Any, s: Any, c: Any, *, bits: int, signed: bool = False) -> Any:
    negative, high = bounds(bits, signed)
    return np.frompyfunc(lambda x, s, c: s * clip(floor((x - c) / s + 0.5), -negative, high) + c, 3, 1)(x, s, c)


def _examples(draw: Draw, dtype: Any) -> Example:
    bits = draw_bits(draw, _UNSIGNED)
    signed = bits > 1 and draw.choice((False, True))
    negative, high = bounds(bits, signed)
    shape, parameters = draw.choice((((5,), ()), ((3, 2), (2,))))
    s = 10.0 ** draw.integer(-6, 6) * draw.uniform(0.5, 2.0, parameters)
    c = s * draw.choice((-1, 1)) * draw.uniform(0.5, 4.0, parameters)
    # Away from the ties between neighbouring codes, and so from the ends of the range but by half a step.
    code = np.array([draw.integer(-negative - 2, high + 2) for _ in range(int(np.prod(shape)))]).reshape(shape)
    x = c + s * (code + away_from(draw, -0.45, 0.45, shape, [0.0], 0.05))
    return tuple(np.asarray(a, dtype) for a in (x, s, c)), {"bits": bits, "signed": signed}


def _at_bound(upper: bool) -> Callable[[Draw, Any], KinkPoint]:
    def at(draw: Draw, dtype: Any) -> KinkPoint:
        (x, s, c), options = _examples(draw, dtype)
        negative, high = bounds(**options)
        # Exact, and next to a bound x - c shows x's neighbours.
        s, c = np.full_like(s, 0.25), np.full_like(c, 96.0)
        x = (96.0 + 0.25 * (high + 1.25)) * np.ones_like(x)
        x[(0,) * x.ndim] = 96.0 + 0.25 * (high if upper else -negative)
        return KinkPoint((x, s, c), options, 0, (0,) * x.ndim, 0.0 if upper else 1.0)

    return at


register(
    Primitive(
        "lsq_plus",
        forward_of(hard),
        vjp_of(partials),
        jvp_of(partials),
        definition=_definition,
        domain="s > 0",
        kinks=(
            Kink("x = c + low s", "the slope from inside", _at_bound(False)),
            Kink("x = c + high s", "the slope from inside", _at_bound(True)),
        ),
        examples=_examples,
        surrogate=frozen_residual,
    )
)


class LSQPlus(Quantizer):
    """LSQ+ with a learned step size and offset.

    Parameters
    ----------
    bits : int
        1 to 8; from 2 if signed.
    role : str
        "activation": unsigned codes above a learned offset; "weight": signed codes and no offset, as in the paper.
    channels : int or None
        One step and offset for each entry of the last axis; None for one of each for the tensor.

    Raises
    ------
    InputError
        For values other than these.
    """

    def __init__(
        self, bits: int, role: Role = "activation", *, channels: int | None = None, dtype: type = np.float32
    ) -> None:
        super().__init__()
        check_dtype(dtype)
        check_option("role", role, ROLES)
        self.signed = role == "weight"
        bounds(bits, self.signed)
        self.bits = bits
        shape = parameter_shape(channels)
        self.s = Parameter(np.ones(shape, dtype), group="range")
        self.c: Tensor = Tensor(np.zeros(shape, dtype))
        if not self.signed:
            self.c = Parameter(np.zeros(shape, dtype), group="range")

    def initialise(self, x: np.ndarray) -> None:
        """s and c from the data: see the top of the file."""
        require_finite(x)
        shape = self.s.shape
        if self.signed:
            s, c = for_each_channel(x, shape, _three_deviations) / (1 << (self.bits - 1)), np.zeros(shape)
        else:
            c = for_each_channel(x, shape, np.min)
            s = self._best_steps(x, c)
        _place(x[:0], s.astype(self.s.dtype), c, self.bits, self.signed)
        self.s.data[...], self.c.data[...] = s, c

    def _best_steps(self, x: np.ndarray, c: np.ndarray) -> np.ndarray:
        """The step of least squared error above the lowest level c."""
        shape, top = self.s.shape, bounds(self.bits, self.signed)[1]
        with np.errstate(over="ignore"):
            above = np.asarray(x, np.float64) - c
        if (for_each_channel(above, shape, np.max) == 0).any():
            raise InputError("x: expected two different elements to choose a range from")

        def end(part: np.ndarray) -> float:
            return least_squares_range(part, lambda flat, u: hard(flat, u / top, 0.0, bits=self.bits))

        return for_each_channel(above, shape, end) / top

    def quantize(self, x: Tensor) -> Tensor:
        return apply("lsq_plus", x, self.s, self.c, bits=self.bits, signed=self.signed)

    def codes(self, x: np.ndarray) -> np.ndarray:
        return codes(x, self.s.data, self.c.data, bits=self.bits, signed=self.signed)

    def levels(self, x: np.ndarray | None = None) -> np.ndarray:
        return levels(self.s.data, self.c.data, bits=self.bits, signed=self.signed)

    def project(self) -> None:
        """s at least 2^-60."""
        keep_positive(self.s.data)


def _three_deviations(x: np.ndarray) -> float:
    """max(|mean - 3 std|, |mean + 3 std|), float64; infinite where it overflows."""
    flat = np.asarray(x, np.float64).ravel()
    # Relative to a power of two, so that squares neither overflow nor vanish.
    exponent = np.frexp(np.abs(flat).max())[1]
    flat = np.ldexp(flat, -exponent)
    mean = float(tree_sum(flat)) / flat.size
    deviation = math.sqrt(float(tree_sum((flat - mean) ** 2)) / flat.size)
    with np.errstate(over="ignore"):
        return float(np.ldexp(abs(mean) + 3 * deviation, exponent))


def _make(bits: int, role: Role, **options: Any) -> LSQPlus:
    return LSQPlus(bits, role, **options)


def _arguments(bits: int, role: Role) -> tuple[tuple[np.ndarray, ...], dict[str, Any]]:
    signed = role == "weight"
    step = 1 / bounds(bits, signed)[1]
    return (np.asarray(step), np.asarray(0.0)), {"bits": bits, "signed": signed}


METHOD = register_method(
    Method(
        "lsq_plus",
        "LSQ+, LSQ with a learned offset",
        "Bhalgat et al., CVPR workshops 2020, arXiv 2004.09576",
        sys.modules[__name__],
        parameters=("s", "c"),
        weights=_SIGNED,
        activations=_UNSIGNED,
        make=_make,
        primitives=("lsq_plus",),
        arguments=_arguments,
        gradient="surrogate: the rounding residual frozen; those of the step and the offset times 1/sqrt(count high)",
        laws=frozenset({"idempotent", "scales", "elementwise"}),
        single_bits=22,
        note="Weights have no offset. The start of the activations' step is found by search, not by gradient descent.",
    )
)
