"""N2UQ, Nonuniform-to-Uniform Quantization (Liu et al., CVPR 2022, arXiv 2111.14826).

Learned, unevenly spaced thresholds in; even levels out. Equations (L = 2^bits - 1, I = 2/L, v = s1 x, segments of
widths a_1, ..., a_L from ``start`` on, e_i = start + a_1 + ... + a_{i-1} the lower end of segment i):

    t_1 = start + a_1/2,   t_i = t_{i-1} + (a_{i-1}/2 + a_i/2)         the middle of each segment
    hard = s2 I #{i: v > t_i}                                          a tie takes the lower level
    P(v) = 0 for v <= e_1,  I (i - 1) + (I/a_i) (v - e_i) on segment i,  2 for v > e_{L+1}

The gradient is a surrogate's: the hard value in front of s2, P behind it for everything else, which is the
straight-through estimator that the paper derives from stochastic rounding. So dx = s2 s1 I/a_i on segment i and 0
outside of all. The other gradients are derived here from the same surrogate, for v on segment i (0 outside):

    ds1 = s2 x I/a_i          da_i = -s2 I (v - e_i)/a_i^2      da_j = -s2 I/a_i for j < i, 0 for j > i
    ds2 = hard/s2 everywhere  dstart = -s2 I/a_i

An end of segments belongs to the one below, as P has it.

Parameters: s1 > 0, s2 > 0 and start, numbers, and a of shape (L,), a_i >= 1e-3 (``project`` sees to it). Defined for
activations after a ReLU, unsigned. The paper quantizes weights evenly, which other methods here do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.draw import Draw, away_from
from minigrad.errors import InputError
from minigrad.nn import Parameter
from minigrad.primitive import Example, Kink, KinkPoint, Primitive, register
from minigrad.tensor import Tensor, apply
from quant.calibration import least_squares_range, require_finite
from quant.domain import check_bits
from quant.draw import draw_bits
from quant.method import Method, Role, register_method
from quant.n2uq_functions import (
    BITS,
    NARROWEST,
    codes,
    gradients,
    hard,
    hard_vjp,
    levels,
    partials,
    piecewise_linear,
    segments,
    thresholds,
)
from quant.quantizer import Quantizer, check_dtype
from quant.rules import forward_of

__all__ = ["N2UQ", "codes", "hard", "hard_vjp", "levels", "partials", "piecewise_linear", "segments", "thresholds"]

Array = np.ndarray


def _vjp(gy: Array, residuals: Any, needs: Sequence[bool]) -> tuple[Array | None, ...]:
    arrays, options = residuals
    return gradients(gy, arrays, options["bits"], needs)


def _jvp(tangents: Sequence[Array | None], *arrays: Array, bits: int) -> Array:
    *first, by_widths = partials(*arrays, bits=bits)
    y = np.zeros_like(first[0])
    for partial, tangent in zip(first, tangents[:4], strict=True):
        if tangent is not None:
            y = y + partial * tangent
    if tangents[4] is not None:
        for partial, moved in zip(by_widths, tangents[4], strict=True):
            y = y + partial * moved
    return y


def straight_through(x: Array, s1: Array, s2: Array, start: Array, a: Array, *, bits: int) -> Callable[..., Array]:
    """The function whose true gradient at the arguments is ``hard_vjp``: s2 (P(s1 x) + r).

    r, what the hard value differs from P there, and the segment of each element are frozen.
    """
    v = np.asarray(x * s1)
    segment = segments(v, start, a)
    residual = hard(x, s1, 1.0, start, a, bits=bits) - piecewise_linear(v, start, a, segment)

    def surrogate(x: Array, s1: Any, s2: Any, start: Any, a: Array) -> Array:
        return s2 * (piecewise_linear(x * s1, start, a, segment) + residual)

    return surrogate


def _definition(x: Any, s1: Any, s2: Any, start: Any, a: Any, *, bits: int) -> Any:
    steps, widths = (1 << bits) - 1, a.tolist()

    def element(x: Any, s1: Any, s2: Any, start: Any) -> Any:
        end, passed = start, 0
        for width in widths:
            passed += 1 if x * s1 > end + width / 2 else 0
            end = end + width
        return s2 * (2 * passed) / steps

    return np.frompyfunc(element, 4, 1)(x, s1, s2, start)


def _drawn(draw: Draw, dtype: Any) -> tuple[Array, tuple[Array, ...], int]:
    """The lower ends of the segments and the last one's upper end, s1, s2, start and a, and the width."""
    bits = draw_bits(draw, BITS)
    a = draw.uniform(0.25, 2.0, ((1 << bits) - 1,))
    start = draw.uniform(-1.0, 1.0)
    scale = 10.0 ** draw.integer(-6, 6)
    s1, s2 = draw.uniform(0.5, 2.0) / scale, draw.uniform(0.5, 2.0) * scale
    edges = start + np.concatenate([[0.0], np.cumsum(a)])
    return edges, tuple(np.asarray(p, dtype) for p in (s1, s2, start, a)), bits


def _examples(draw: Draw, dtype: Any) -> Example:
    edges, parameters, bits = _drawn(draw, dtype)
    edges = np.concatenate([edges[:1] - 1, edges, edges[-1:] + 1])
    # Away from the ends of segments, where the slope jumps, and from their middles, where the value does.
    place = np.array([draw.integer(0, len(edges) - 2) for _ in range(5)])
    v = edges[place] + np.diff(edges)[place] * away_from(draw, 0.1, 0.9, (5,), [0.5], 0.1)
    return (np.asarray(v / parameters[0], dtype), *parameters), {"bits": bits}


def _at_end(last: bool) -> Callable[[Draw, Any], KinkPoint]:
    """s1 x on ``start``, or on the upper end of a segment whose upper neighbour has another slope."""

    def at(draw: Draw, dtype: Any) -> KinkPoint:
        (x, *_), options = _examples(draw, dtype)
        steps = (1 << options["bits"]) - 1
        # Widths 1/2, 1, 1/2, ...: every sum is exact, and slopes differ from one to the next.
        a = (np.arange(steps) % 2 + 1) / 2
        edges = np.concatenate([[0.0], np.cumsum(a)])
        x = np.full_like(x, -1.0)
        x[0] = edges[draw.integer(1, steps)] if last else 0.0
        parameters = tuple(np.asarray(p, dtype) for p in (1.0, 0.5, 0.0, a))
        return KinkPoint((x, *parameters), options, 0, (0,), 0.0)

    return at


register(
    Primitive(
        "n2uq",
        forward_of(hard),
        _vjp,
        _jvp,
        definition=_definition,
        domain="s1 > 0, s2 > 0, a_i >= 1e-3",
        kinks=(
            Kink("s1 x = start", "0, the slope from below", _at_end(False)),
            Kink("s1 x = the upper end of a segment", "that segment's slope", _at_end(True)),
        ),
        examples=_examples,
        surrogate=straight_through,
    )
)


class N2UQ(Quantizer):
    """N2UQ with learned scales, start and segments, one set for the tensor.

    Parameters
    ----------
    bits : int
        1 to 8.

    Raises
    ------
    InputError
        For values other than these.
    """

    def __init__(self, bits: int, *, dtype: type = np.float32) -> None:
        super().__init__()
        check_dtype(dtype)
        steps = check_bits(bits)
        self.bits = bits
        self.s1 = Parameter(np.ones((), dtype), group="range")
        self.s2 = Parameter(np.ones((), dtype), group="range")
        self.start = Parameter(np.zeros((), dtype), group="range")
        self.a = Parameter(np.full(steps, 2 / steps, dtype), group="levels")

    def _arrays(self) -> tuple[Array, Array, Array, Array]:
        return self.s1.data, self.s2.data, self.start.data, self.a.data

    def initialise(self, x: np.ndarray) -> None:
        """Even segments from 0 to 2, and the range [0, u] of least squared error on them: s1 = 2/u, s2 = u/2.

        Chosen; the paper starts from s1 = s2 = 1 on batch-normalised activations.
        """
        require_finite(x)
        steps, dtype = check_bits(self.bits), self.s1.dtype
        even = np.full(steps, 2 / steps)
        # Relative to the largest, so that no scale on the way overflows.
        top = float(np.abs(x).max()) or 1.0
        relative = np.asarray(x, np.float64) / top
        u = least_squares_range(relative, lambda x, u: hard(x, 2 / u, u / 2, 0.0, even, bits=self.bits)) * top
        with np.errstate(over="ignore", under="ignore", divide="ignore"):
            s1, s2 = 2 / np.asarray(u, dtype), np.asarray(u / 2, dtype)
        if not (0 < s1 < np.inf and 0 < s2 < np.inf):
            raise InputError(f"x: the range [0, {u}] is too small or too large for the scales 2/u and u/2")
        self.s1.data[...], self.s2.data[...] = s1, s2
        self.start.data[...], self.a.data[...] = 0, even

    def quantize(self, x: Tensor) -> Tensor:
        return apply("n2uq", x, self.s1, self.s2, self.start, self.a, bits=self.bits)

    def codes(self, x: np.ndarray) -> np.ndarray:
        return codes(x, *self._arrays(), bits=self.bits)

    def levels(self, x: np.ndarray | None = None) -> np.ndarray:
        return levels(*self._arrays(), bits=self.bits)

    def project(self) -> None:
        """a_i at least 1e-3, s1 and s2 at least 1e-12."""
        np.maximum(self.a.data, self.a.dtype.type(NARROWEST), out=self.a.data)
        for scale in (self.s1, self.s2):
            np.maximum(scale.data, 1e-12, out=scale.data)


def _arguments(bits: int, role: Role) -> tuple[tuple[np.ndarray, ...], dict[str, Any]]:
    steps = check_bits(bits)
    # Segments that widen, so that the thresholds are not even.
    a = np.arange(1, steps + 1) / (steps * (steps + 1) / 2) * 2
    return (np.asarray(2.0), np.asarray(0.5), np.asarray(0.0), np.maximum(a, NARROWEST)), {"bits": bits}


METHOD = register_method(
    Method(
        "n2uq",
        "N2UQ, Nonuniform-to-Uniform Quantization",
        "Liu et al., CVPR 2022, arXiv 2111.14826",
        sys.modules[__name__],
        parameters=("s1", "s2", "start", "a"),
        weights=(),
        activations=BITS,
        make=lambda bits, role, **options: N2UQ(bits, **options),
        primitives=("n2uq",),
        arguments=_arguments,
        gradient="surrogate: the straight-through piecewise linear function P, the rounding residual frozen",
        laws=frozenset({"scales", "elementwise"}),
        per_channel=False,
        note="gradients of the scales, start and the widths are derived here",
    )
)
