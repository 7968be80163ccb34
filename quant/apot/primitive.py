"""APoT on the tape: its primitive, whose definition and surrogate owe nothing to ``quant.apot.functions``."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from minigrad.draw import Draw
from minigrad.elementary import select, sign
from minigrad.primitive import Example, Kink, KinkPoint, Primitive, register
from quant.apot.functions import SIGNED, UNSIGNED, hard, partials
from quant.draw import draw_bits
from quant.rules import forward_of, jvp_of, vjp_of

__all__ = ["definition", "frozen_residual"]


def _sums(bits: int, signed: bool) -> list[float]:
    """The sums of one number of each set, ascending, before they are divided by the largest."""
    first, second = {
        2: ((0, 1 / 2, 1 / 4, 1 / 8), (0,)),
        3: ((0, 1 / 2, 1 / 4, 1 / 16), (0, 1 / 8)),
        4: ((0, 1 / 2, 1 / 8, 1 / 32), (0, 1 / 4, 1 / 16, 1 / 64)),
    }[bits - 1 if signed else bits]
    return sorted(p + q for p in first for q in second)


def definition(x: Any, a: Any, *, bits: int, signed: bool = True) -> Any:
    sums = _sums(bits, signed)

    def element(x: Any, a: Any) -> Any:
        m, side = (abs(x), sign(x)) if signed else (x, 1)
        nearest = 0.0
        for low, high in pairwise(sums):
            if 2 * sums[-1] * m > a * (low + high):
                nearest = high
        return a * nearest / sums[-1] * side

    return np.frompyfunc(element, 2, 1)(x, a)


def frozen_residual(x: np.ndarray, a: Any, *, bits: int, signed: bool = True) -> Callable[..., np.ndarray]:
    """The function whose true gradient at (x, a) is ``hard_vjp``: x + a r, with r as it is at the arguments.

    r = q - x/a inside of the range and q outside, where activations leave x out of the sum.
    """
    sums = _sums(bits, signed)
    m, side = (np.abs(x), np.sign(x)) if signed else (x, 1.0)
    inside = m <= a if signed else (x >= 0) & (x <= a)
    nearest = np.zeros_like(x)
    for low, high in pairwise(sums):
        nearest = np.where(2 * sums[-1] * m > a * (low + high), high, nearest)
    passes = inside | signed

    def element(x: Any, a: Any, inside: Any, passes: Any, nearest: Any, x0: Any, a0: Any) -> Any:
        level = a * nearest / sums[-1] + select(passes, x, x * 0)
        return select(inside, level - a / a0 * x0, level)

    frozen = (inside, passes, nearest * side, x, a)

    def surrogate(x: np.ndarray, a: Any) -> np.ndarray:
        run = element if x.dtype != object else np.frompyfunc(element, 7, 1)
        return run(x, a, *frozen)

    return surrogate


def _examples(draw: Draw, dtype: Any) -> Example:
    bits = draw_bits(draw, (*UNSIGNED, SIGNED[-1]))
    signed = bits not in UNSIGNED or (bits in SIGNED and draw.choice((True, False)))
    sums = np.array(_sums(bits, signed))
    shape, channels = draw.choice((((5,), ()), ((3, 2), (2,)), ((4,), (1,)), ((), ())))
    a = 10.0 ** draw.integer(-6, 6) * draw.uniform(1.0, 3.0, channels)
    # Between the ties around a level, away from them and from the ends of the range; or beyond the upper end.
    edges = np.concatenate([[0], (sums[1:] + sums[:-1]) / 2, [sums[-1]], [2 * sums[-1]]]) / sums[-1]
    last = len(edges) - 2
    drawn = [last if draw.choice((False, False, True)) else draw.integer(0, last) for _ in range(math.prod(shape))]
    interval = np.array(drawn, np.intp).reshape(shape)
    x = a * (edges[interval] + (edges[interval + 1] - edges[interval]) * draw.uniform(0.1, 0.9, shape))
    side = np.array([draw.choice((1.0, -1.0)) for _ in range(x.size)]).reshape(shape)
    return tuple(np.asarray(v, dtype) for v in (x * side, a)), {"bits": bits, "signed": signed}


def _by_x(upper: bool) -> Callable[[Draw, Any], KinkPoint]:
    def at(draw: Draw, dtype: Any) -> KinkPoint:
        bits = draw_bits(draw, UNSIGNED)
        a = np.asarray(draw.uniform(0.5, 4.0), dtype)
        # The second element tells the check how far to move the first one, which may be 0.
        x = np.asarray([float(a) if upper else 0.0, 0.4 * float(a)], dtype)
        return KinkPoint((x, a), {"bits": bits, "signed": False}, 0, (0,), 0.0 if upper else 1.0)

    return at


def _by_a(draw: Draw, dtype: Any) -> KinkPoint:
    bits = draw_bits(draw, SIGNED)
    a = np.asarray(draw.uniform(0.5, 4.0), dtype)
    x = np.asarray([draw.choice((1.0, -1.0)) * float(a)], dtype)
    return KinkPoint((x, a), {"bits": bits, "signed": True}, 1, (), 1.0)


register(
    Primitive(
        "apot",
        forward_of(hard),
        vjp_of(partials),
        jvp_of(partials),
        definition=definition,
        domain="a > 0",
        kinks=(
            Kink("a = |x|, weights, by a", "0, the slope from inside (a >= |x|)", _by_a),
            Kink("x = 0, activations", "1, the slope from inside", _by_x(False)),
            Kink("x = a, activations", "1, the slope from inside", _by_x(True)),
        ),
        examples=_examples,
        surrogate=frozen_residual,
    )
)
