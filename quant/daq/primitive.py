"""DAQ on the tape: its primitives, whose definitions and surrogate owe nothing to ``quant.daq.functions``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.draw import Draw, away_from
from minigrad.elementary import clip, exp, expm1, floor, select, sigmoid
from minigrad.primitive import Example, Kink, KinkPoint, Primitive, register
from quant.daq import functions as daq
from quant.draw import draw_bits
from quant.rules import forward_of, jvp_of, vjp_of

__all__ = ["definition", "frozen_temperature", "soft_definition"]

_WIDTHS = range(1, 9)


def _scores(r: Any, sigma: float) -> tuple[Any, Any]:
    """exp(-distance) of either candidate; that of the farther one times the kernel exp(-1/sigma^2)."""
    one = r * 0 + 1
    kernel = exp(-(one / sigma) / sigma)
    lower, upper = exp(-r), exp(r - 1)
    return (lower, upper * kernel) if r <= 0.5 else (lower * kernel, upper)


def _output(phi: Any, n: int, signed: bool) -> Any:
    return (2 * phi - n) / n if signed else phi / n


def definition(
    x: Any, l: Any, u: Any, *, bits: int, signed: bool = True, sigma: float = 1.0, gamma: float = 2.0
) -> Any:
    """The soft argmax as published: its temperature makes it the discretiser."""
    n = (1 << bits) - 1

    def element(x: Any, l: Any, u: Any) -> Any:
        place = clip((x - l) * n / (u - l), 0, n)
        one = (x - l) * 0 + 1
        f = floor(place)
        r = place - f + one * 0
        lower, upper = _scores(r, sigma)
        temperature = gamma / abs(lower - upper)
        share = 1 / (1 + exp(temperature * (lower - upper)))
        delta = 1 / expm1(one * gamma)
        return _output((f - delta) * (1 - share) + (f + 1 + delta) * share, n, signed)

    return np.frompyfunc(element, 3, 1)(x, l, u)


def frozen_temperature(
    x: np.ndarray, l: Any, u: Any, *, bits: int, signed: bool = True, sigma: float = 1.0, gamma: float = 2.0
) -> Callable[..., np.ndarray]:
    """The function whose true gradient at (x, l, u) is ``quant.daq.functions.hard_vjp``.

    The soft argmax of the two candidates, rescaled with delta; frozen are the candidates, which of them is farther (and
    so multiplied by the kernel), and the temperature that makes the result the discretiser's at (x, l, u).
    """
    n = (1 << bits) - 1
    wide, low, high = (np.asarray(a, np.float64) for a in (x, l, u))
    place = np.clip((wide - low) * n / (high - low), 0, n)
    f = np.floor(place)
    r = place - f
    kernel = exp(-((1 / sigma) / sigma))
    of_lower, of_upper = np.where(r <= 0.5, 1, kernel), np.where(r <= 0.5, kernel, 1)
    temperature = gamma / np.abs(of_lower * exp(-r) - of_upper * exp(r - 1))
    delta = 1 / expm1(gamma)
    inside, end = (x >= l) & (x <= u), np.where(x < l, 0, n)

    def element(x: Any, l: Any, u: Any, f: Any, a: Any, b: Any, temperature: Any, inside: Any, end: Any) -> Any:
        r = (x - l) * n / (u - l) - f
        share = sigmoid(temperature * (b * exp(r - 1) - a * exp(-r)))
        phi = (f - delta) * (1 - share) + (f + 1 + delta) * share
        # 0 in the numbers of x: outside, the result is a constant.
        return _output(select(inside, phi, end + 0 * (x - x)), n, signed)

    frozen = (f, of_lower, of_upper, temperature, inside, end)

    def surrogate(x: np.ndarray, l: Any, u: Any) -> np.ndarray:
        run = element if x.dtype != object else np.frompyfunc(element, 9, 1)
        return run(x, l, u, *frozen)

    return surrogate


def soft_definition(
    x: Any, l: Any, u: Any, *, bits: int, temperature: float, signed: bool = True, sigma: float = 1.0
) -> Any:
    """The soft argmax of one temperature, without rescaling."""
    n = (1 << bits) - 1

    def element(x: Any, l: Any, u: Any) -> Any:
        place = clip((x - l) * n / (u - l), 0, n)
        f = clip(floor(place), 0, n - 1)
        lower, upper = _scores(place - f + (x - l) * 0, sigma)
        share = 1 / (1 + exp((lower - upper) * temperature))
        return _output(f * (1 - share) + (f + 1) * share, n, signed)

    return np.frompyfunc(element, 3, 1)(x, l, u)


def _examples(draw: Draw, dtype: Any) -> Example:
    """Away from the ends of the range, from the places where the candidates change, and from ties."""
    bits = draw_bits(draw, _WIDTHS)
    n = (1 << bits) - 1
    shape = draw.choice([(5,), (3, 2)])
    ranges = draw.choice([(), shape[-1:]])
    size = 10.0 ** draw.integer(-6, 6)
    l, u = -size * draw.uniform(0.5, 2.0, ranges), size * draw.uniform(0.5, 2.0, ranges)
    f = np.array([draw.integer(-1, n) for _ in range(int(np.prod(shape)))]).reshape(shape)
    x = l + (u - l) / n * (f + away_from(draw, 0.05, 0.95, shape, [0.5], 0.05))
    options = {
        "bits": bits,
        "signed": draw.choice((True, False)),
        "sigma": draw.choice((1.0, 2.0, 8.0, 0.3)),
        "gamma": draw.choice((2.0, 0.1, 10.0)),
    }
    return tuple(np.asarray(a, dtype) for a in (x, l, u)), options


def _soft_examples(draw: Draw, dtype: Any) -> Example:
    """Those of the discretiser, with a temperature."""
    arrays, options = _examples(draw, dtype)
    del options["gamma"]
    return arrays, {**options, "temperature": draw.choice((0.5, 4.0, 30.0))}


def _gentle(draw: Draw, dtype: Any) -> Example:
    """Of temperatures at which slopes at the ends and jumps show beside rounding."""
    arrays, options = _soft_examples(draw, dtype)
    return arrays, {**options, "temperature": draw.choice((0.5, 4.0)), "sigma": draw.choice((1.0, 2.0))}


def _at_bound(drawn: Callable[[Draw, Any], Example], upper: bool) -> Callable[[Draw, Any], KinkPoint]:
    def at(draw: Draw, dtype: Any) -> KinkPoint:
        (x, l, u), options = drawn(draw, dtype)
        x.flat[0] = (u if upper else l).flat[0]
        return KinkPoint((x, l, u), options, 0, (0,) * x.ndim, 0.0 if upper else 1.0)

    return at


def _at_jump(r: float) -> Callable[[Draw, Any], KinkPoint]:
    """A place where the soft argmax of one temperature jumps; the slope is the same on both sides."""

    def at(draw: Draw, dtype: Any) -> KinkPoint:
        _, options = _gentle(draw, dtype)
        if r == 0:  # the range of one step has no level between its ends
            options["bits"] = draw_bits(draw, _WIDTHS[1:])
        n = (1 << options["bits"]) - 1
        x = np.array([draw.integer(0 if r else 1, n - 1) + r, 0.3], dtype)
        t, kernel = options["temperature"], exp(-((1 / options["sigma"]) / options["sigma"]))
        near, far = exp(-r), kernel * exp(r - 1)
        share = sigmoid(t * (far - near))
        slope = t * share * (1 - share) * (near + far) * (2 / n if options["signed"] else 1 / n)
        return KinkPoint((x, np.zeros((), dtype), np.asarray(n, dtype)), options, 0, (0,), float(slope))

    return at


register(
    Primitive(
        "daq",
        forward_of(daq.hard),
        vjp_of(daq.partials),
        jvp_of(daq.partials),
        definition=definition,
        domain="l < u",
        kinks=(
            Kink("x = l", "the slope from inside", _at_bound(_examples, False)),
            Kink("x = u", "the slope from inside", _at_bound(_examples, True)),
        ),
        examples=_examples,
        surrogate=frozen_temperature,
    )
)
register(
    Primitive(
        "daq_constant_temperature",
        forward_of(daq.soft),
        vjp_of(daq.soft_partials),
        jvp_of(daq.soft_partials),
        definition=soft_definition,
        domain="l < u",
        kinks=(
            Kink("x = l", "the slope from inside", _at_bound(_gentle, False)),
            Kink("x = u", "the slope from inside", _at_bound(_gentle, True)),
            Kink("x on a level between the ends", "the slope of either side", _at_jump(0.0), jump=True),
            Kink("x midway between two levels", "the slope of either side", _at_jump(0.5), jump=True),
        ),
        examples=_soft_examples,
    )
)
