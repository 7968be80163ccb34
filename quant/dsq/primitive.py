"""DSQ on the tape: the primitives ``dsq_soft`` (eq 5) and ``dsq_hard`` (Algorithm 1)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.draw import Draw, away_from
from minigrad.elementary import clip, floor, log, select, tanh
from minigrad.primitive import Example, Kink, KinkPoint, Primitive, register
from quant.domain import check_bits
from quant.draw import draw_bits
from quant.dsq import kernels
from quant.dsq.functions import BITS, codes, hard, soft, soft_partials, soft_vjp
from quant.rules import jvp_of

__all__ = ["dsq_examples", "frozen_code", "hard_forward", "phi", "place_on_end", "soft_forward", "soft_number"]

_Residuals = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]


def soft_forward(
    x: np.ndarray, l: np.ndarray, u: np.ndarray, alpha: np.ndarray, bits: int
) -> tuple[np.ndarray, _Residuals]:
    """``soft`` by the C library where it applies."""
    run = kernels.soft if kernels.applies(x, l, u, alpha) else soft
    return run(x, l, u, alpha, bits), (x, l, u, alpha, bits)


def hard_forward(
    x: np.ndarray, l: np.ndarray, u: np.ndarray, alpha: np.ndarray, bits: int
) -> tuple[np.ndarray, _Residuals]:
    """``hard`` by the C library where it applies."""
    run = kernels.hard if kernels.applies(x, l, u, alpha) else hard
    return run(x, l, u, alpha, bits), (x, l, u, alpha, bits)


def _backward(gy: np.ndarray, residuals: _Residuals, q: str) -> tuple[np.ndarray, ...]:
    x, l, u, alpha, bits = residuals
    run = kernels.vjp if kernels.applies(x, l, u, alpha) else soft_vjp
    return run(gy, x, l, u, alpha, bits, q=q)


def _soft_backward(gy: np.ndarray, residuals: _Residuals, needs: Sequence[bool]) -> tuple[np.ndarray, ...]:
    return _backward(gy, residuals, "soft")


def _hard_backward(gy: np.ndarray, residuals: _Residuals, needs: Sequence[bool]) -> tuple[np.ndarray, ...]:
    return _backward(gy, residuals, "hard")


# ---------------------------------------------------------------- what is declared


def soft_number(x: Any, l: Any, u: Any, alpha: Any, n: int) -> Any:
    """Eqs 3, 5, 7 and 8 for one number of any kind; n is 2^bits - 1."""
    if x < l:
        return l
    if x > u:
        return u
    delta = (u - l) / n
    i = clip(floor((x - l) / delta), 0, n - 1)
    return l + delta * (i + (phi(x, l, delta, alpha, i) + 1) / 2)


def phi(x: Any, l: Any, delta: Any, alpha: Any, i: Any) -> Any:
    """s tanh(k (x - m_i)) (eqs 3, 7 and 8) for the interval i of width delta."""
    s, k = 1 / (1 - alpha), log(2 / alpha - 1) / delta
    return s * tanh(k * (x - (l + (i + 0.5) * delta)))


def _soft_definition(x: Any, l: Any, u: Any, alpha: Any, bits: int) -> Any:
    return np.frompyfunc(functools.partial(soft_number, n=check_bits(bits)), 4, 1)(x, l, u, alpha)


def _hard_definition(x: Any, l: Any, u: Any, alpha: Any, bits: int) -> Any:
    n = check_bits(bits)

    def level(x: Any, l: Any, u: Any) -> Any:
        code = clip(floor((x - l) / ((u - l) / n) + 0.5), 0, n)
        return l + code * ((u - l) / n)

    return np.frompyfunc(level, 3, 1)(x, l, u)


def frozen_code(
    x: np.ndarray, l: Any, u: Any, alpha: Any, bits: int
) -> Callable[[np.ndarray, Any, Any, Any], np.ndarray]:
    """The function whose true gradient at (x, l, u, alpha) is ``hard_vjp``.

    The code is frozen, and what phi changes from its value here is passed straight through:
    l + D (code + (phi - phi here)/2).
    """
    n = check_bits(bits)
    code = codes(x, l, u, alpha, bits).astype(x.dtype)
    interval = np.clip(np.floor((x - l) / ((u - l) / n)), 0, n - 1)

    def element(x: Any, l: Any, u: Any, alpha: Any, *frozen: Any) -> Any:
        code, i, below, above, *here = frozen
        # In the numbers of x: as floats they would not cancel.
        x0, l0, u0, alpha0 = (number + 0 * x for number in here)
        residual = code - phi(x0, l0, (u0 - l0) / n, alpha0, i) / 2
        inside = l + (u - l) / n * (phi(x, l, (u - l) / n, alpha, i) / 2 + residual)
        return select(below, l, select(above, u, inside))

    frozen = (code, interval, x < l, x > u, x, l, u, alpha)

    def surrogate(x: np.ndarray, l: Any, u: Any, alpha: Any) -> np.ndarray:
        run = element if x.dtype != object else np.frompyfunc(element, 12, 1)
        return run(x, l, u, alpha, *frozen)

    return surrogate


def dsq_examples(draw: Draw, dtype: Any) -> Example:
    """Arguments at a drawn scale, the range around 0 or beside it; parameters of the tensor or of each channel.

    Away from the bounds, where the slope jumps, from the interval edges, where the second derivative does, and from the
    middles, where the hard quantizer does.
    """
    bits = draw_bits(draw, BITS)
    n = check_bits(bits)
    shape, parameters = draw.choice((((5,), ()), ((3, 2), (2,))))
    scale = 10.0 ** draw.integer(-6, 6)
    lowest, width = draw.choice((((-2.0, -0.2), 2.2), ((0.2, 1.0), 0.3), ((-3.5, -2.5), 0.3)))
    l = scale * draw.uniform(*lowest, parameters)
    u = l + scale * draw.uniform(width, width + 2.0, parameters)
    interval = np.array([draw.integer(-1, n) for _ in range(int(np.prod(shape)))]).reshape(shape)
    x = l + (u - l) / n * (interval + away_from(draw, 0.05, 0.95, shape, [0.5], 0.05))
    alpha = draw.choice(((0.05, 0.6), (1e-4, 1e-3), (0.7, 0.85)))
    arrays = (x, l, u, draw.uniform(*alpha, parameters))
    return tuple(np.asarray(a, dtype) for a in arrays), {"bits": bits}


def place_on_end(x: np.ndarray, end: np.ndarray, alpha: np.ndarray) -> tuple[int, ...]:
    """Put the first element on that end of the range, alpha where the slope there is seen; the element's index."""
    x[(0,) * x.ndim] = end[(0,) * end.ndim]
    alpha[...] = 0.3
    return (0,) * x.ndim


def _at_bound(upper: bool) -> Callable[[Draw, Any], KinkPoint]:
    def at(draw: Draw, dtype: Any) -> KinkPoint:
        (x, *parameters), options = dsq_examples(draw, dtype)
        index = place_on_end(x, parameters[int(upper)], parameters[2])
        return KinkPoint((x, *parameters), options, 0, index, 0.0 if upper else 1.0)

    return at


_KINKS = (
    Kink("x = l", "the slope from inside", _at_bound(False)),
    Kink("x = u", "the slope from inside", _at_bound(True)),
)
for _name, _forward, _vjp, _definition, _surrogate in (
    ("dsq_soft", soft_forward, _soft_backward, _soft_definition, None),
    ("dsq_hard", hard_forward, _hard_backward, _hard_definition, frozen_code),
):
    register(
        Primitive(
            _name,
            _forward,
            _vjp,
            jvp_of(functools.partial(soft_partials, q=_name.removeprefix("dsq_"))),
            definition=_definition,
            domain="l < u, 0 < alpha < 1",
            kinks=_KINKS,
            examples=dsq_examples,
            surrogate=_surrogate,
        )
    )
