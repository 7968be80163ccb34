"""DSQ inside PACT's clip: activations clipped to [0, a], a learned by PACT's rule, DSQ in between.

    y = soft or hard(x; l = 0, u = a, alpha)
    dx = DSQ's slope for 0 <= x < a, else 0        da = 1 for x >= a, else 0        dalpha as DSQ's, 0 for x >= a

So a learns from the clipped elements alone, as in PACT, which passes the grid's dependence on a straight through. How
the paper combines the two ("PACT + DSQ", Table 2) it does not write out; this is our reading. The gradient is that of
``frozen_range``: DSQ with its range frozen, and a where x is clipped to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.draw import Draw, away_from
from minigrad.elementary import clip, floor, select
from minigrad.primitive import Example, Kink, KinkPoint, Primitive, register
from minigrad.reduction import sum_to_shape
from quant.domain import check_bits
from quant.draw import draw_bits
from quant.dsq import kernels
from quant.dsq.functions import BITS, codes, soft_partials, soft_vjp
from quant.dsq.primitive import hard_forward, phi, place_on_end, soft_forward, soft_number
from quant.rules import jvp_of

__all__ = ["frozen_range", "pact_partials"]

_Residuals = tuple[np.ndarray, np.ndarray, np.ndarray, int, bool]


def pact_partials(x: np.ndarray, a: Any, alpha: Any, bits: int, soft: bool = False) -> tuple[Any, Any, Any]:
    """The derivatives of every element by x, a and alpha; the same for a soft and a hard forward."""
    clipped = x >= a
    dx, _, _, dalpha = soft_partials(_beyond(x, clipped), 0.0, a, alpha, bits)
    return dx, clipped.astype(x.dtype), dalpha


def _beyond(x: np.ndarray, clipped: np.ndarray) -> np.ndarray:
    """What is clipped put far above the range: at its end too alpha has no say, where DSQ's formula leaves rounding."""
    return np.where(clipped, x.dtype.type(np.inf), x)


def _forward(
    x: np.ndarray, a: np.ndarray, alpha: np.ndarray, bits: int, soft: bool = False
) -> tuple[np.ndarray, _Residuals]:
    """DSQ of what PACT's clip to [0, a] lets through, soft or hard."""
    y, _ = (soft_forward if soft else hard_forward)(x, np.zeros_like(a), a, alpha, bits)
    return y, (x, a, alpha, bits, soft)


def _backward(gy: np.ndarray, residuals: _Residuals, needs: Sequence[bool]) -> tuple[np.ndarray, ...]:
    x, a, alpha, bits, _ = residuals
    run = kernels.vjp if kernels.applies(x, a, alpha) else soft_vjp
    clipped, zero = x >= a, x.dtype.type(0)
    dx, _, _, dalpha = run(gy, _beyond(x, clipped), np.zeros_like(a), a, alpha, bits, q="soft")
    return np.where(clipped, zero, dx), sum_to_shape(np.where(clipped, gy, zero), a.shape), dalpha


# ---------------------------------------------------------------- what is declared


def frozen_range(
    x: np.ndarray, a: Any, alpha: Any, bits: int, soft: bool = False
) -> Callable[[np.ndarray, Any, Any], np.ndarray]:
    """The function whose true gradient at (x, a, alpha) is the vjp: the grid, and hard codes, stay what they are."""
    n = check_bits(bits)
    # What a hard forward adds to phi/2, in steps: that much of it is passed straight through.
    code = codes(x, 0.0, a, alpha, bits).astype(x.dtype)
    interval = np.clip(np.floor(x / (a / n)), 0, n - 1)

    def element(x: Any, a: Any, alpha: Any, *frozen: Any) -> Any:
        code, i, below, clipped, *here = frozen
        # In the numbers of x: as floats they would not cancel.
        x0, a0, alpha0 = (number + 0 * x for number in here)
        base = i + 0.5 if soft else code - phi(x0, 0, a0 / n, alpha0, i) / 2
        inside = a0 / n * (base + phi(x, 0, a0 / n, alpha, i) / 2)
        return select(below, 0 * x, select(clipped, a + 0 * x, inside))

    frozen = (code, interval, x < 0, x >= a, x, a, alpha)

    def surrogate(x: np.ndarray, a: Any, alpha: Any) -> np.ndarray:
        run = element if x.dtype != object else np.frompyfunc(element, 10, 1)
        return run(x, a, alpha, *frozen)

    return surrogate


def _definition(x: Any, a: Any, alpha: Any, bits: int, soft: bool = False) -> Any:
    n = check_bits(bits)

    def number(x: Any, a: Any, alpha: Any) -> Any:
        clipped = clip(x, 0, a)
        return soft_number(clipped, 0, a, alpha, n) if soft else a / n * floor(clipped / (a / n) + 0.5)

    return np.frompyfunc(number, 3, 1)(x, a, alpha)


def _examples(draw: Draw, dtype: Any) -> Example:
    bits = draw_bits(draw, BITS)
    n = check_bits(bits)
    shape, parameters = draw.choice((((5,), ()), ((3, 2), (2,))))
    a = 10.0 ** draw.integer(-6, 6) * draw.uniform(0.5, 2.0, parameters)
    interval = np.array([draw.integer(-1, n) for _ in range(int(np.prod(shape)))]).reshape(shape)
    x = a / n * (interval + away_from(draw, 0.05, 0.95, shape, [0.5], 0.05))
    arrays = (x, a, draw.uniform(0.05, 0.6, parameters))
    return tuple(np.asarray(v, dtype) for v in arrays), {"bits": bits, "soft": draw.choice((False, True))}


def _at_end(position: int, upper: bool, weight: float) -> Callable[[Draw, Any], KinkPoint]:
    """A point with x on an end of the range; looked at along x, or along a."""

    def at(draw: Draw, dtype: Any) -> KinkPoint:
        (x, a, alpha), options = _examples(draw, dtype)
        index = place_on_end(x, a if upper else np.zeros_like(a), alpha)
        return KinkPoint((x, a, alpha), options, position, index if position == 0 else (0,) * a.ndim, weight)

    return at


register(
    Primitive(
        "dsq_pact",
        _forward,
        _backward,
        jvp_of(pact_partials),
        definition=_definition,
        domain="a > 0, 0 < alpha < 1",
        kinks=(
            Kink("x = 0", "the slope from inside", _at_end(0, False, 1.0)),
            Kink("x = a", "0, the slope from above", _at_end(0, True, 1.0)),
            Kink("a = x", "1, the slope from below", _at_end(1, True, 0.0)),
        ),
        examples=_examples,
        surrogate=frozen_range,
    )
)
