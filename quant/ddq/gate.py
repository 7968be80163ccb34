"""DDQ's gates: the step g = 1 for ghat >= 0, else 0, with a clipped straight-through gradient.

    dghat = dg for |ghat| <= 1, else 0

The gradient is that of ``frozen_step``. The sum of a layer's gates is its learned bit width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.draw import Draw
from minigrad.primitive import Example, Kink, KinkPoint, Primitive, register

__all__ = ["draw_gates", "frozen_step"]

Array = np.ndarray


def _forward(ghat: Array) -> tuple[Array, Any]:
    """1 for ghat >= 0, else 0; NaN for NaN."""
    return np.where(np.isnan(ghat), ghat, (ghat >= 0).astype(ghat.dtype)), ghat


def _vjp(gy: Array, ghat: Array, needs: Sequence[bool]) -> tuple[Array | None, ...]:
    return (np.where(np.abs(ghat) <= 1, gy, ghat.dtype.type(0)),)


def _jvp(tangents: Sequence[Array | None], ghat: Array) -> Array:
    return np.asarray(np.where(np.abs(ghat) <= 1, tangents[0], ghat.dtype.type(0)))


def _definition(ghat: Any) -> Any:
    return np.frompyfunc(lambda g: 1 if g >= 0 else 0, 1, 1)(ghat)


def frozen_step(ghat: Array) -> Callable[..., Any]:
    """The step passed straight through within [-1, 1]: its value here, plus what ghat has moved where it is within."""
    value, within = (ghat >= 0).astype(ghat.dtype), (np.abs(ghat) <= 1).astype(ghat.dtype)

    def surrogate(moved: Any) -> Any:
        return value + within * (moved - ghat)

    return surrogate


def draw_gates(draw: Draw, bits: int) -> Array:
    """Distinct gates away from 0 and from the ends of [-1, 1], beyond which the step passes nothing."""
    ranges = [draw.choice(((0.1, 0.9), (-0.9, -0.1), (1.1, 1.4), (-1.4, -1.1))) for _ in range(bits)]
    low, high = np.array(ranges).T
    return low + (high - low) * (draw.permutation(bits) + draw.uniform(0.25, 0.75, (bits,))) / bits


def _examples(draw: Draw, dtype: Any) -> Example:
    return (draw_gates(draw, draw.integer(1, 8)).astype(dtype),), {}


def _at(end: float) -> Callable[[Draw, Any], KinkPoint]:
    def at(draw: Draw, dtype: Any) -> KinkPoint:
        (ghat,), options = _examples(draw, dtype)
        ghat[0] = end
        return KinkPoint((ghat,), options, 0, (0,), 0.0 if end > 0 else 1.0)

    return at


register(
    Primitive(
        "ddq_gate",
        _forward,
        _vjp,
        _jvp,
        definition=_definition,
        domain="all numbers",
        kinks=(
            Kink("ghat = -1", "the slope from inside", _at(-1.0)),
            Kink("ghat = 1", "the slope from inside", _at(1.0)),
        ),
        examples=_examples,
        surrogate=frozen_step,
    )
)
