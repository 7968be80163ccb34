"""QIL on the tape: its primitive, with its definition, its surrogate, and points to try."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.draw import Draw
from minigrad.elementary import floor, power, select, sign
from minigrad.primitive import Example, Kink, KinkPoint, Primitive, register
from quant.draw import draw_bits
from quant.qil.functions import UNSIGNED, hard, partials, steps_of
from quant.rules import forward_of, jvp_of, vjp_of

__all__ = ["definition", "transformer"]


def transformer(
    x: np.ndarray, c: Any, d: Any, gamma: Any, *, bits: int, signed: bool = True
) -> Callable[..., np.ndarray]:
    """The function whose true gradient at (x, c, d, gamma) is ``hard_vjp``: T, the piece of each element frozen."""
    m = np.abs(x) if signed else x
    inside = (m >= c - d) & (m <= c + d)
    signs = np.sign(x) if signed else np.ones_like(x)

    def element(x: Any, c: Any, d: Any, gamma: Any, inside: Any, side: Any, outside: Any) -> Any:
        h = select(inside, (side * x - c) / (2 * d) + 0.5, 1.0)
        return select(inside, side * power(h, gamma), outside)

    frozen = (inside, signs, np.where(m > c, signs, 0.0))

    def surrogate(x: np.ndarray, c: Any, d: Any, gamma: Any) -> np.ndarray:
        run = element if x.dtype != object else np.frompyfunc(element, 7, 1)
        return run(x, c, d, gamma, *frozen)

    return surrogate


def definition(x: Any, c: Any, d: Any, gamma: Any, *, bits: int, signed: bool = True) -> Any:
    q = 2 ** (bits - 1) - 1 if signed else 2**bits - 1

    def element(x: Any, c: Any, d: Any, gamma: Any) -> Any:
        m, side = (abs(x), sign(x)) if signed else (x, 1)
        if m < c - d:
            return x * 0
        if m > c + d:
            return x * 0 + side
        a, e = 1 / (2 * d), 0.5 - c / (2 * d)
        return floor(power(a * m + e, gamma) * q + 0.5) / q * side

    return np.frompyfunc(element, 4, 1)(x, c, d, gamma)


def _examples(draw: Draw, dtype: Any) -> Example:
    bits = draw_bits(draw, UNSIGNED)
    signed = bits > 1 and draw.choice((True, False))
    q = steps_of(bits, signed)
    shape = draw.choice(((), (2,)))
    c = 10.0 ** draw.integer(-6, 6) * draw.uniform(1.0, 2.0, shape)
    from_zero = signed and draw.choice((False, True))
    d = c if from_zero else c * draw.uniform(0.3, 0.9 if signed else 2.0, shape)
    gamma = draw.uniform(0.5, 2.0, shape) if draw.choice((True, False)) else np.ones(shape)
    # Away from the ends of the interval, and inside of it from the ties between neighbouring codes.
    position = draw.uniform(0.1, 0.9, (3, *shape)) ** gamma * q
    code = np.rint(position)
    m = c - d + 2 * d * ((code + np.clip(position - code, -0.4, 0.4)) / q) ** (1 / gamma)
    outside = draw.choice(("none", "above", "below"))
    if outside == "above":
        m[0] = c + 1.5 * d
    elif outside == "below" and not from_zero:
        m[0] = (c - d) / 2 if signed else c - 1.5 * d
    if signed:
        m[1] *= draw.choice((1.0, -1.0))
    return tuple(np.asarray(a, dtype) for a in (m, c, d, gamma)), {"bits": bits, "signed": signed}


def _at_end(upper: bool) -> Callable[[Draw, Any], KinkPoint]:
    def at(draw: Draw, dtype: Any) -> KinkPoint:
        bits = draw_bits(draw, UNSIGNED)
        signed = bits > 1 and draw.choice((True, False))
        side = draw.choice((1.0, -1.0)) if signed else 1.0
        # At the lower end only gamma = 1 has a finite kink.
        gamma = draw.uniform(0.5, 2.0) if upper else 1.0
        arrays = ([side * (0.75 if upper else 0.25)], 0.5, 0.25, gamma)
        weight = float((side > 0) != upper)
        options = {"bits": bits, "signed": signed}
        return KinkPoint(tuple(np.asarray(a, dtype) for a in arrays), options, 0, (0,), weight)

    return at


register(
    Primitive(
        "qil",
        forward_of(hard),
        vjp_of(partials),
        jvp_of(partials),
        definition=definition,
        domain="d > 0, gamma > 0; c >= d if signed",
        kinks=(
            Kink("m = c - d", "the slope from inside; 0 where that is infinite (gamma < 1)", _at_end(False)),
            Kink("m = c + d", "the slope from inside", _at_end(True)),
        ),
        examples=_examples,
        surrogate=transformer,
    )
)
