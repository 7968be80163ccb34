"""Elementary functions of one argument: their formulas, the points they are looked at, and the flags of those."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from minigrad.elementary import exp, expm1, log, log1p, select, tanh

__all__ = ["FLAGS", "FUNCTIONS", "Elementary", "flags_of", "points"]

FLAGS = {
    "zero": "x is 0.",
    "kink": "The function has no derivative at x; the interval of its one-sided slopes is listed.",
    "tiny": "|x| <= 2^-30: exp(x) - 1 and the like are lost if formed by subtraction.",
    "near-pole": "x is within 2^-40 of a point where the function is infinite.",
    "near-root": "x is within 2^-40 of a root that is not 0: the result is much smaller than the terms.",
    "large": "|x| >= 30: the result is huge, or within 2^-43 of a limit.",
    "subnormal": "x is subnormal.",
}


@dataclass(frozen=True)
class Elementary:
    """A function of one number: its formula, its equation for people, its domain, and points of its own.

    ``one_sided`` are the slopes on either side where the function has a kink, by point. ``slope`` is the derivative as
    frameworks write it where that loses digits the formula's own derivative keeps: its terms count too.
    """

    name: str
    formula: Callable[[Any], Any]
    equation: str
    low: float
    high: float
    special: tuple[float, ...]
    root: float | None = None
    pole: float | None = None
    one_sided: tuple[tuple[float, float, float], ...] = ()
    slope: Callable[[Any], Any] | None = None


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + exp(-x))


def _sigmoid_slope(x: Any) -> Any:
    return _sigmoid(x) * (1 - _sigmoid(x))


def _relu(x: Any) -> Any:
    return select(x > 0, x, x * 0)


_ULP = 2.0**-52
_COMMON = (0.0, 2.0**-1074, 2.0**-1022, 2.0**-500, 2.0**-60, 2.0**-30, 0.1, 0.5, 1.0, 2.0, 10.0, 30.0)
_SIGNED = tuple(sorted({s * x + 0.0 for x in _COMMON for s in (-1.0, 1.0)}))
_POSITIVE = tuple(x for x in _COMMON if x > 0)

FUNCTIONS = [
    Elementary("exp", exp, "y = e^x, dx = e^x", -700.0, 650.0, (*_SIGNED, -700.0, 650.0)),
    Elementary("expm1", expm1, "y = e^x - 1, dx = e^x", -60.0, 650.0, (*_SIGNED, -60.0, 650.0)),
    Elementary(
        "log",
        log,
        "y = ln x, dx = 1/x",
        1e-3,
        100.0,
        (*(x for x in _POSITIVE if x >= 2.0**-500), 1 - _ULP / 2, 1 + _ULP, 1e280),
        root=1.0,
        pole=0.0,
    ),
    Elementary(
        "log1p",
        log1p,
        "y = ln(1 + x), dx = 1/(1 + x)",
        -0.99,
        100.0,
        (*(x for x in _SIGNED if x > -1), -1 + _ULP / 2, -1 + _ULP, 1e280),
        pole=-1.0,
    ),
    Elementary("tanh", tanh, "y = tanh x, dx = 1 - tanh^2 x", -20.0, 20.0, (*_SIGNED, -700.0, 700.0)),
    Elementary(
        "sigmoid",
        _sigmoid,
        "y = 1/(1 + e^-x), dx = y (1 - y)",
        -40.0,
        40.0,
        (*_SIGNED, -600.0, 600.0),
        slope=_sigmoid_slope,
    ),
    Elementary(
        "relu",
        _relu,
        "y = max(x, 0), dx = 1 for x > 0, else 0",
        -3.0,
        3.0,
        (*_SIGNED, -1e300, 1e300),
        one_sided=((0.0, 0.0, 1.0),),
    ),
]


def points(function: Elementary) -> list[float]:
    """The special points and ten random ones, in ascending order."""
    rng = random.Random(function.name)
    inside = [function.low + rng.random() * (function.high - function.low) for _ in range(10)]
    return sorted({*function.special, *inside})


def flags_of(function: Elementary, x: float) -> list[str]:
    """The flags of a case, in the order of ``FLAGS``."""

    def near(place: float | None) -> bool:
        return place is not None and x != place and math.fabs(x - place) <= 2.0**-40

    holds = {
        "zero": x == 0,
        "kink": any(x == place for place, _, _ in function.one_sided),
        "tiny": 0 < abs(x) <= 2.0**-30,
        "near-pole": near(function.pole),
        "near-root": near(function.root),
        "large": abs(x) >= 30,
        "subnormal": 0 < abs(x) < 2.0**-1022,
    }
    return [flag for flag in FLAGS if holds[flag]]
