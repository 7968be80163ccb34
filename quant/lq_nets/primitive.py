"""LQ-Nets on the tape: its primitive, the function its gradient belongs to, and points to try."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.draw import Draw, away_from
from minigrad.primitive import Example, Kink, KinkPoint, Primitive, register
from quant.draw import draw_bits
from quant.lq_nets.functions import BITS, hard, hard_vjp, level_table, partials
from quant.rules import forward_of

__all__ = ["frozen_codes"]

Array = np.ndarray


def _vjp(gy: Array, residuals: Any, needs: Sequence[bool]) -> tuple[Array | None, ...]:
    arrays, options = residuals
    found = hard_vjp(gy, *arrays, **options)
    return tuple(g if needed else None for g, needed in zip(found, needs, strict=True))


def _jvp(tangents: Sequence[Array | None], x: Array, v: Array, **options: Any) -> Array:
    dx, dv = partials(x, v, **options)
    y = np.zeros_like(dx) if tangents[0] is None else dx * tangents[0]
    if tangents[1] is not None:
        for partial, moved in zip(dv, tangents[1], strict=True):
            y = y + partial * moved
    return y


def frozen_codes(x: Array, v: Array, *, bits: int, signed: bool = True) -> Callable[..., Array]:
    """The function whose true gradient at (x, v) is ``hard_vjp``: B v, B frozen, and what x moves where it passes."""
    passes, vectors = partials(x, v, bits=bits, signed=signed)

    def surrogate(x_now: Array, v_now: Array) -> Array:
        y = passes * (x_now - x)
        for k, vector in enumerate(vectors):
            y = y + vector * v_now[k : k + 1]
        return y

    return surrogate


def _definition(x: Any, v: Any, *, bits: int, signed: bool = True) -> Any:
    digits = (-1, 1) if signed else (0, 1)

    def all_levels(basis: list[Any]) -> list[Any]:
        found = [0]
        for component in basis:
            found = [level + digit * component for level in found for digit in digits]
        return sorted(found)

    def nearest(x: Any, ascending: list[Any]) -> Any:
        at = ascending[0]
        for level in ascending[1:]:
            at = level if level - x < x - at else at
        return at

    if v.ndim == 1:
        ascending = all_levels(v.tolist())
        return np.frompyfunc(lambda x: nearest(x, ascending), 1, 1)(x)
    found = np.empty(x.shape, object)
    for channel in range(v.shape[1]):
        ascending = all_levels(v[:, channel].tolist())
        found[..., channel] = [nearest(one, ascending) for one in x[..., channel].tolist()]
    return found


def _drawn_basis(draw: Draw, bits: int, signed: bool, channels: int) -> Array:
    """(K, channels), whose levels are all different: near powers of two in any order, or 2, 3, 4."""
    near = np.array([2.0, 3.0, 4.0]) if bits == 3 and draw.choice((True, False)) else 2.0 ** np.arange(bits)
    v = near[draw.permutation(bits), None] + draw.uniform(-0.05, 0.05, (bits, channels))
    signs = np.array([draw.choice((1, -1)) if signed else 1 for _ in range(bits)])
    return v * signs[:, None]


def _examples(draw: Draw, dtype: Any) -> Example:
    bits = draw_bits(draw, BITS)
    signed, channels = draw.choice((True, False)), draw.choice((1, 2))
    v = 10.0 ** draw.integer(-6, 6) * draw.uniform(0.5, 2.0) * _drawn_basis(draw, bits, signed, channels)
    ascending = np.sort(level_table(v, bits=bits, signed=signed).levels, axis=0)
    # Near a level, away from the middles between levels, and from the largest level, where the slope jumps.
    place = np.array([draw.integer(0, (1 << bits) - 1) for _ in range(6)]).reshape(3, 2)[:, :channels]
    gap = np.diff(ascending, axis=0).min(axis=0)
    offset = away_from(draw, -0.45, 0.45, (3, channels), [0.0], 0.05)
    x = ascending[place, np.arange(channels)] + gap * offset
    if channels == 1:
        x, v = x[:, 0], v[:, 0]
    return (np.asarray(x, dtype), np.asarray(v, dtype)), {"bits": bits, "signed": signed}


def _at_top(draw: Draw, dtype: Any) -> KinkPoint:
    bits = draw_bits(draw, BITS)
    v = np.asarray(2.0 ** np.arange(bits), dtype)
    x = np.asarray([0.25, 0.25], dtype)
    x[0] = (1 << bits) - 1
    return KinkPoint((x, v), {"bits": bits, "signed": False}, 0, (0,), 0.0)


register(
    Primitive(
        "lq_nets",
        forward_of(hard),
        _vjp,
        _jvp,
        definition=_definition,
        domain="v finite",
        kinks=(Kink("unsigned: x = the largest level", "1, the slope from inside", _at_top),),
        examples=_examples,
        surrogate=frozen_codes,
    )
)
