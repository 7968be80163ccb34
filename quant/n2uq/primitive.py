"""N2UQ on the tape: its primitive, the straight-through function it is the gradient of, and points to try."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.draw import Draw, away_from
from minigrad.primitive import Example, Kink, KinkPoint, Primitive, register
from quant.draw import draw_bits
from quant.n2uq.functions import (
    BITS,
    gradients,
    hard,
    partials,
    piecewise_linear,
    segments,
)
from quant.rules import forward_of

__all__ = ["straight_through"]

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
