"""EWGS on the tape: its primitive, whose definition, formula of gy and surrogate are its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.draw import Draw, away_from
from minigrad.elementary import clip, floor, select, sign
from minigrad.primitive import Example, Kink, KinkPoint, Primitive, register
from quant.draw import draw_bits
from quant.ewgs.functions import DELTA, WIDTHS, hard, hard_vjp, partials
from quant.rules import forward_of, jvp_of

__all__ = ["definition", "modifier", "straight_through"]


def straight_through(
    x: np.ndarray, l: Any, u: Any, *, bits: int, signed: bool = True, delta: float = DELTA
) -> Callable[..., np.ndarray]:
    """The hard quantizer without its rounding, the piece of each element frozen: what the jvp is the derivative of."""
    inside, outside = (x >= l) & (x <= u), np.where(x > u, 1.0, 0.0)

    def element(x: Any, l: Any, u: Any, inside: Any, outside: Any) -> Any:
        v = select(inside, (x - l) / (u - l), outside)
        return 2 * v - 1 if signed else v

    def surrogate(x: np.ndarray, l: Any, u: Any) -> np.ndarray:
        run = element if x.dtype != object else np.frompyfunc(element, 5, 1)
        return run(x, l, u, inside, outside)

    return surrogate


def definition(x: Any, l: Any, u: Any, *, bits: int, signed: bool = True, delta: float = DELTA) -> Any:
    n = 2**bits - 1

    def element(x: Any, l: Any, u: Any) -> Any:
        q = floor(clip((x - l) / (u - l), 0, 1) * n + 0.5) / n
        return 2 * q - 1 if signed else q

    return np.frompyfunc(element, 3, 1)(x, l, u)


def modifier(
    gy: Any, x: Any, l: Any, u: Any, *, bits: int, signed: bool = True, delta: float = DELTA
) -> tuple[Any, Any, Any]:
    """The gradients as formulas of gy: those of x for each element, those of l and u summed over it."""
    n = 2**bits - 1

    def element(g: Any, x: Any, l: Any, u: Any) -> tuple[Any, Any, Any]:
        if x < l or x > u:
            return g * 0, g * 0, g * 0
        v, width = (x - l) / (u - l), u - l
        g = 2 * g if signed else g
        scaled = g * (1 + delta * sign(g) * (v - floor(v * n + 0.5) / n))
        return scaled / width, scaled * (x - u) / (width * width), -scaled * (x - l) / (width * width)

    dx, dl, du = np.frompyfunc(element, 4, 3)(gy, x, l, u)
    axes = tuple(range(np.ndim(x) - np.ndim(l)))
    return dx, np.asarray(np.sum(dl, axis=axes), object), np.asarray(np.sum(du, axis=axes), object)


def _examples(draw: Draw, dtype: Any) -> Example:
    bits = draw_bits(draw, WIDTHS)
    n = (1 << bits) - 1
    shape, channels = draw.choice((((5,), ()), ((3, 2), (2,))))
    scale = 10.0 ** draw.integer(-6, 6)
    l = scale * draw.uniform(-2.0, 0.5, channels)
    u = l + scale * draw.uniform(0.5, 2.0, channels)
    # Away from the ties between neighbouring codes, and from the ends of the range.
    code = np.array([draw.integer(-2, n + 2) for _ in range(math.prod(shape))]).reshape(shape)
    x = l + (u - l) / n * (code + away_from(draw, -0.4, 0.4, shape, [0.0], 0.05))
    options = {"bits": bits, "signed": draw.choice((True, False)), "delta": draw.choice((DELTA, 0.0, 0.25))}
    return tuple(np.asarray(a, dtype) for a in (x, l, u)), options


def _at_end(upper: bool) -> Callable[[Draw, Any], KinkPoint]:
    def at(draw: Draw, dtype: Any) -> KinkPoint:
        bits = draw_bits(draw, WIDTHS)
        l, u = draw.uniform(-2.0, -0.5), draw.uniform(0.5, 2.0)
        arrays = tuple(np.asarray(a, dtype) for a in ([u if upper else l], l, u))
        options = {"bits": bits, "signed": draw.choice((True, False))}
        return KinkPoint(arrays, options, 0, (0,), 0.0 if upper else 1.0)

    return at


def _vjp(gy: np.ndarray, residuals: Any, needs: Sequence[bool]) -> tuple[np.ndarray | None, ...]:
    arrays, options = residuals
    return tuple(g if needed else None for g, needed in zip(hard_vjp(gy, *arrays, **options), needs, strict=True))


register(
    Primitive(
        "ewgs",
        forward_of(hard),
        _vjp,
        jvp_of(partials),
        definition=definition,
        domain="l < u, delta >= 0",
        kinks=(
            Kink("x = l", "the slope from inside", _at_end(False)),
            Kink("x = u", "the slope from inside", _at_end(True)),
        ),
        examples=_examples,
        surrogate=straight_through,
        modifier=modifier,
    )
)
