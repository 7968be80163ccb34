"""PACT, Parameterized Clipping Activation (Choi et al., 2018, arXiv 1805.06085), for activations after a ReLU.

Equations (N = 2^bits - 1):

    y = clip(x, 0, a) = (|x| - |x - a| + a)/2            (eq 1)
    hard = rint(y N/a) a/N,   ties to even               (eq 2)
    dx = 1 for 0 <= x < a, else 0,   da = 1 for x >= a, else 0     (eq 3)

The rounding is passed straight through: the gradient is that of ``frozen_residual``, the clip plus what the rounding
adds at the arguments. So it is the clip's own, and the clip is a primitive alone too (``pact_clip``). In floats the
code is rint(clip(x, 0, a)/D) with D = a/N, a true division, and the highest level is a itself.

One parameter, a > 0: a scalar, or one a channel (the last axis). The paper starts it at 10 and has an L2 penalty on it
with the lambda of the weights (section 3.2), so that it comes down: ``PACT.penalty``, or the weight decay of the
optimizer's group "range". The quantizer of the weights that it comes with is DoReFa's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.draw import Draw, away_from
from minigrad.elementary import clip, floor, select
from minigrad.errors import InputError
from minigrad.nn import Parameter
from minigrad.primitive import Example, Kink, KinkPoint, Primitive, register
from minigrad.tensor import Tensor, apply
from quant.calibration import for_each_channel, least_squares_range
from quant.domain import as_number, check_bits, check_positive, check_shapes, refuse_nan, same_dtype
from quant.draw import draw_bits
from quant.method import Method, Role, register_method
from quant.quantizer import Quantizer, check_dtype, parameter_shape
from quant.rules import forward_of, jvp_of, sum_partials, vjp_of
from quant.smallest import keep_positive

__all__ = ["PACT", "clip_partials", "clipped", "codes", "hard", "hard_vjp", "levels", "partials"]

_WIDTHS = tuple(range(1, 9))


def _steps(x: Any, a: Any, bits: int) -> tuple[Any, Any, int, Any]:
    """Checked arguments in one dtype, N and a/N."""
    n = check_bits(bits)
    check_shapes(x, a)
    x, a = same_dtype(x, a)
    check_positive("a", a)
    step = a / n
    check_positive("a / N", step)  # the smallest subnormals underflow
    return x, a, n, step


def clipped(x: np.ndarray, a: Any) -> np.ndarray:
    """x limited to [0, a] (eq 1); float32 or float64, NaN where x is NaN; InputError unless a > 0."""
    check_shapes(x, a)
    x, a = same_dtype(x, a)
    check_positive("a", a)
    return np.asarray(clip(x, x.dtype.type(0), a))


def clip_partials(x: np.ndarray, a: Any) -> tuple[np.ndarray, np.ndarray]:
    """The derivatives of every element of ``clipped`` by x and a (eq 3), each of the shape of x."""
    check_shapes(x, a)
    x, a = same_dtype(x, a)
    check_positive("a", a)
    return ((x >= 0) & (x < a)).astype(x.dtype), (x >= a).astype(x.dtype)


def hard(x: np.ndarray, a: Any, *, bits: int) -> np.ndarray:
    """The quantizer (eq 2).

    Parameters
    ----------
    x : ndarray, float32 or float64, any shape
    a : end of the range, a > 0; broadcasts against x
    bits : 1 to 8

    Returns
    -------
    ndarray of the shape and dtype of x; NaN where x is NaN.

    Raises
    ------
    InputError
        If a parameter is outside its domain.
    """
    x, a, n, step = _steps(x, a, bits)
    code = np.rint(clip(x, x.dtype.type(0), a) / step)
    return np.where(code == n, a, code * step)


def partials(x: np.ndarray, a: Any, *, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """The derivatives of every element by x and a that training passes on: the clip's."""
    x, a, _, _ = _steps(x, a, bits)
    return clip_partials(x, a)


def hard_vjp(gy: np.ndarray, x: np.ndarray, a: Any, *, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Gradients of x and a for the incoming gradient ``gy`` (the shape of x)."""
    found = sum_partials(gy, partials(x, a, bits=bits), (x, a))
    return found[0], found[1]


def codes(x: np.ndarray, a: Any, *, bits: int) -> np.ndarray:
    """Integer codes rint(clip(x, 0, a)/D), uint8, ties to even; InputError if x holds NaN."""
    x, a, _, step = _steps(x, a, bits)
    refuse_nan(x)
    return np.asarray(np.rint(clip(x, x.dtype.type(0), a) / step)).astype(np.uint8)


def levels(a: Any, *, bits: int) -> np.ndarray:
    """The value of each code, (2^bits, ...) in the dtype of a; the last is a itself."""
    _, a, n, step = _steps(np.asarray(a), a, bits)
    values = np.arange(n + 1).astype(a.dtype).reshape(-1, *([1] * np.ndim(a))) * step
    values[n] = a
    return values


# ---------------------------------------------------------------- on the tape


def _definition(x: Any, a: Any, *, bits: int | None = None) -> Any:
    """Eq 1 as the paper writes it; eq 2 where there are bits."""

    def number(x: Any, a: Any) -> Any:
        y = (abs(x) - abs(x - a) + a) / 2
        if bits is None:
            return y
        n = check_bits(bits)
        return floor(y * n / a + 0.5) * a / n

    return np.frompyfunc(number, 2, 1)(x, a)


def frozen_residual(x: np.ndarray, a: Any, *, bits: int) -> Callable[..., np.ndarray]:
    """The function whose true gradient at (x, a) is ``hard_vjp``: the clip, plus what the rounding adds here."""
    residual = hard(x, a, bits=bits) - clipped(x, a)
    below, above = x < 0, x >= a

    def element(x: Any, a: Any, below: Any, above: Any, residual: Any) -> Any:
        return select(below, 0 * x, select(above, a + 0 * x, x)) + residual

    def surrogate(x: np.ndarray, a: Any) -> np.ndarray:
        run = element if x.dtype != object else np.frompyfunc(element, 5, 1)
        return run(x, a, below, above, residual)

    return surrogate


def _examples(draw: Draw, dtype: Any) -> Example:
    bits = draw_bits(draw, _WIDTHS)
    n = check_bits(bits)
    shape, parameters = draw.choice((((5,), ()), ((3, 2), (2,))))
    a = 10.0 ** draw.integer(-6, 6) * draw.uniform(0.5, 2.0, parameters)
    # Away from the ties between neighbouring codes, and from the ends of the range.
    code = np.array([draw.integer(-2, n + 2) for _ in range(int(np.prod(shape)))]).reshape(shape)
    x = a / n * (code + away_from(draw, -0.45, 0.45, shape, [0.0], 0.05))
    return tuple(np.asarray(v, dtype) for v in (x, a)), {"bits": bits}


def _clip_examples(draw: Draw, dtype: Any) -> Example:
    return _examples(draw, dtype)[0], {}


def _at_end(
    examples: Callable[[Draw, Any], Example], position: int, upper: bool, weight: float
) -> Callable[[Draw, Any], KinkPoint]:
    """A point with x on an end of the range; looked at along x, or along a."""

    def at(draw: Draw, dtype: Any) -> KinkPoint:
        (x, a), options = examples(draw, dtype)
        index = (0,) * x.ndim
        x[index] = a[(0,) * a.ndim] if upper else 0
        return KinkPoint((x, a), options, position, index if position == 0 else (0,) * a.ndim, weight)

    return at


def _kinks(examples: Callable[[Draw, Any], Example]) -> tuple[Kink, ...]:
    return (
        Kink("x = 0", "1, the slope from inside", _at_end(examples, 0, False, 1.0)),
        Kink("x = a", "0, the slope from above", _at_end(examples, 0, True, 1.0)),
        Kink("a = x", "1, the slope from below", _at_end(examples, 1, True, 0.0)),
    )


register(
    Primitive(
        "pact",
        forward_of(hard),
        vjp_of(partials),
        jvp_of(partials),
        definition=_definition,
        domain="a > 0",
        kinks=_kinks(_examples),
        examples=_examples,
        surrogate=frozen_residual,
    )
)
register(
    Primitive(
        "pact_clip",
        forward_of(clipped),
        vjp_of(clip_partials),
        jvp_of(clip_partials),
        definition=_definition,
        domain="a > 0",
        kinks=_kinks(_clip_examples),
        examples=_clip_examples,
    )
)


class PACT(Quantizer):
    """PACT with a learned end of the range.

    Parameters
    ----------
    bits : int
        1 to 8.
    start : float or None
        Where a starts; the paper's 10. None: at the range of least squared error on the first tensor, as the paper's
        start leaves few codes in use at 1 or 2 bits.
    penalty_weight : float
        lambda of the L2 penalty on a, for ``penalty``.
    channels : int or None
        One a for each entry of the last axis; None for one for the tensor.

    Raises
    ------
    InputError
        For values other than these.
    """

    def __init__(
        self,
        bits: int,
        *,
        start: float | None = 10.0,
        penalty_weight: float = 0.0,
        channels: int | None = None,
        dtype: type = np.float32,
    ):
        super().__init__()
        check_dtype(dtype)
        check_bits(bits)
        if start is not None:
            check_positive("start", np.asarray(as_number("start", start), dtype))
        if as_number("penalty_weight", penalty_weight) < 0:
            raise InputError(f"penalty_weight: expected a number of at least 0, got {penalty_weight!r}")
        self.bits, self.start, self.penalty_weight = bits, start, penalty_weight
        self.a = Parameter(np.full(parameter_shape(channels), 10.0 if start is None else start, dtype), group="range")

    def initialise(self, x: np.ndarray) -> None:
        """a where it starts; from the data only where ``start`` is None."""
        if self.a.shape and x.shape[-1:] != self.a.shape:
            raise InputError(f"x: expected {self.a.shape[0]} channels in the last axis, got shape {x.shape}")
        if self.start is None:
            self.a.data[...] = for_each_channel(
                np.maximum(x, 0),
                self.a.shape,
                lambda part: least_squares_range(part, lambda flat, a: hard(flat, a, bits=self.bits)),
            )

    def quantize(self, x: Tensor) -> Tensor:
        return apply("pact", x, self.a, bits=self.bits)

    def codes(self, x: np.ndarray) -> np.ndarray:
        return codes(x, self.a.data, bits=self.bits)

    def levels(self, x: np.ndarray | None = None) -> np.ndarray:
        return levels(self.a.data, bits=self.bits)

    def penalty(self) -> Tensor:
        """lambda/2 sum a^2, to be added to the loss (section 3.2)."""
        return (self.a * self.a).sum() * (0.5 * self.penalty_weight)

    def project(self) -> None:
        """a at least 2^-60."""
        keep_positive(self.a.data)


def _make(bits: int, role: Role, **options: Any) -> PACT:
    return PACT(bits, **options)


def _arguments(bits: int, role: Role) -> tuple[tuple[np.ndarray, ...], dict[str, Any]]:
    return (np.asarray(1.0),), {"bits": bits}


METHOD = register_method(
    Method(
        "pact",
        "PACT, Parameterized Clipping Activation",
        "Choi et al., 2018, arXiv 1805.06085, eqs 1 to 3",
        sys.modules[__name__],
        parameters=("a",),
        weights=(),
        activations=_WIDTHS,
        make=_make,
        primitives=("pact", "pact_clip"),
        arguments=_arguments,
        gradient="surrogate: the clip, plus the rounding residual frozen",
        laws=frozenset({"idempotent", "elementwise"}),
        single_bits=23,
        note="The paper quantizes weights by DoReFa. With start=None the end of the range starts from data.",
    )
)
