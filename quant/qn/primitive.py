"""The primitives of QN: their rules, textbook formulas and examples, and the jumps of the hard one."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.draw import Draw, away_from
from minigrad.elementary import exp
from minigrad.primitive import Example, Kink, KinkPoint, Primitive, register
from quant.draw import draw_bits
from quant.qn.functions import hard, hard_vjp, soft_backward, soft_forward, soft_jvp
from quant.qn.level_sets import level_set
from quant.rules import forward_of

__all__ = ["BITS"]

Array = np.ndarray

#: Bit widths the method takes.
BITS = tuple(range(1, 9))

# How large |v| may be in examples: every slope e^-|v| stays a number that is not subnormal after all factors. Beyond,
# the gradient of a threshold that no element is near underflows, and so does what its error is measured by.
_FARTHEST = {np.dtype(np.float32): 40.0, np.dtype(np.float64): 600.0}


def _sigma(v: Any) -> Any:
    """1/(1 + e^-v), written so that no power overflows."""
    if v >= 0:
        return 1 / (1 + exp(-v))
    e = exp(v)
    return e / (1 + e)


def _step(v: Any) -> int:
    return 1 if v >= 0 else 0


def _soft_definition(x: Any, alpha: Any, beta: Any, b: Any, *, temperature: float, **options: Any) -> Any:
    """Eq 7, with o = -Y_1."""
    return _sum_of_steps(x, alpha, beta, b, lambda v: _sigma(temperature * v), **options)


def _hard_definition(x: Any, alpha: Any, beta: Any, b: Any, **options: Any) -> Any:
    """Eq 12, with o = -Y_1."""
    return _sum_of_steps(x, alpha, beta, b, _step, **options)


def _sum_of_steps(
    x: Any, alpha: Any, beta: Any, b: Any, step: Any, *, bits: int, values: Any = None, signed: bool = True
) -> Any:
    levels = level_set(values, bits, signed)
    gaps = [high - low for low, high in itertools.pairwise(levels)]

    def element(x: Any, alpha: Any, beta: Any) -> Any:
        y = sum(s * step(beta * x - b_i) for s, b_i in zip(gaps, b.tolist(), strict=True))
        return alpha * (y + levels[0])

    return np.frompyfunc(element, 3, 1)(x, alpha, beta)


def _drawn_set(draw: Draw, bits: int) -> Sequence[int] | None:
    """None for the set of the width, or one of some other number of levels with gaps of two sizes."""
    if draw.choice((True, False)):
        return None
    count = draw.integer((1 << (bits - 1)) + 1, 1 << bits)
    first, wider = draw.integer(-3, 1), draw.choice((1, 2, 3))
    return tuple(first + n + n // wider for n in range(count))


def _drawn(draw: Draw, dtype: Any) -> tuple[np.ndarray, tuple[Any, Any], dict[str, Any]]:
    """Thresholds in float64, alpha and beta for scales of x from 1e-6 to 1e6, and options."""
    bits = draw_bits(draw, BITS)
    signed = draw.choice((True, False))
    values = _drawn_set(draw, bits)
    count = len(level_set(values, bits, signed)) - 1
    b = np.cumsum(draw.uniform(0.25, 2.0, (count,))) - draw.uniform(0.0, 2.0) - count / 2
    shape = draw.choice(((), (2,)))
    scale = 10.0 ** draw.integer(-6, 6)
    alpha, beta = scale * draw.uniform(0.5, 2.0, shape), draw.uniform(0.5, 2.0, shape) / scale
    return (
        b.astype(dtype),
        (alpha.astype(dtype), beta.astype(dtype)),
        {"bits": bits, "values": values, "signed": signed},
    )


def _soft_examples(draw: Draw, dtype: Any) -> Example:
    b, (alpha, beta), options = _drawn(draw, dtype)
    # Spread over the thresholds and a little beyond.
    count = 4 if len(b) < 64 else 2
    ends = np.linspace(float(b[0]) - 1, float(b[-1]) + 1, count + 1)
    u = ends[:-1] + np.diff(ends) * draw.uniform(0.0, 1.0, (count,))
    x = np.asarray(u.reshape(-1, *beta.shape) / beta, dtype)
    farthest = np.abs((x * beta).reshape(-1, 1) - b).max()
    temperature = float(_FARTHEST[np.dtype(dtype)] / farthest * 2.0 ** -draw.integer(0, 12))
    return (x, alpha, beta, b), {**options, "temperature": temperature}


def _hard_examples(draw: Draw, dtype: Any) -> Example:
    b, (alpha, beta), options = _drawn(draw, dtype)
    edges = np.concatenate([b[:1] - 1, b, b[-1:] + 1])
    # Away from the thresholds, where the value jumps.
    place = np.array([draw.integer(0, len(b)) for _ in range(4)])
    u = edges[place] + np.diff(edges)[place] * away_from(draw, 0.1, 0.9, (4,), [], 0.0)
    return (np.asarray(u.reshape(-1, *beta.shape) / beta, dtype), alpha, beta, b), options


def _at_threshold(draw: Draw, dtype: Any) -> KinkPoint:
    (x, alpha, _, b), options = _hard_examples(draw, dtype)
    beta = np.ones((), dtype)
    index = (0,) * x.ndim
    x = np.full_like(x, b[0] - 1)
    x[index] = b[draw.integer(0, len(b) - 1)]
    return KinkPoint((x, alpha, beta, b), options, 0, index, 0.0)


def _hard_backward(gy: Array, residuals: Any, needs: Sequence[bool]) -> tuple[Array | None, ...]:
    arrays, options = residuals
    found = hard_vjp(gy, *arrays, **options)
    return tuple(g if needed else None for g, needed in zip(found, needs, strict=True))


def _hard_jvp(tangents: Sequence[Array | None], x: Array, alpha: Array, beta: Array, b: Array, **options: Any) -> Array:
    slope = hard(x, 1.0, beta, b, **options)
    return np.zeros_like(slope) if tangents[1] is None else slope * tangents[1]


_DOMAIN = "alpha > 0, beta > 0, b ascending"
register(
    Primitive(
        "qn_soft",
        soft_forward,
        soft_backward,
        soft_jvp,
        definition=_soft_definition,
        domain=f"{_DOMAIN}, T > 0",
        kinks=(),
        examples=_soft_examples,
    )
)
register(
    Primitive(
        "qn_hard",
        forward_of(hard),
        _hard_backward,
        _hard_jvp,
        definition=_hard_definition,
        domain=_DOMAIN,
        kinks=(Kink("beta x = b_i", "0", _at_threshold, jump=True),),
        examples=_hard_examples,
    )
)
