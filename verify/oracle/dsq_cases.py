"""Where DSQ is looked at: groups of parameters, and in each every point at which an implementation can go wrong.

Only inputs and flags are made here, with exact rationals; ``generate.py`` adds what is expected.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

__all__ = ["FLAGS", "GROUPS", "Parameters", "accepted_codes", "flags_of", "points"]

FLAGS = {
    "reference": "The parameters of the method's published reference table.",
    "interval-edge": "x is exactly the boundary of two intervals (a level): the function is C1 here but not C2. "
    "y = x, and the gradient of alpha is exactly 0.",
    "near-edge": "x is within a few ulp of a level: rounding may put it into either interval. Value and gradient are "
    "continuous, so both are judged strictly.",
    "middle": "x is the float64 nearest to the middle of an interval, where the hard quantizer has its tie.",
    "tie": "x is exactly a middle and the code's definition is exact in float64: the tie goes up, strictly.",
    "near-tie": "x is within float64's own error of a tie: either neighbouring code is accepted.",
    "clip-bound": "x is exactly l or u: inside by the method's convention, with a kink. Each gradient lists the "
    "interval of its one-sided values.",
    "beside-bound": "One ulp from l or u. Where y is limited instead of x, y may round onto or past the bound here, "
    "and the gradients be those of the other side: what is accepted at the bound is accepted here too.",
    "outside": "x < l or x > u: the output is the bound and only the bound's own gradient is 1.",
    "far-outside": "A thousand ranges outside.",
    "tiny-alpha": "alpha <= 0.001: the steepest tanh; 1 - tanh^2 loses its relative accuracy if formed by subtraction.",
    "large-alpha": "alpha >= 0.9: nearly the clipped identity; 1/(1 - alpha) is large and ln(2/alpha - 1) small.",
    "wide-offset": "|l| is more than a hundred times u - l: x - l cancels.",
    "tiny-scale": "The range is about 2^-300: k = ln(2/alpha - 1)/D is about 2^300.",
    "huge-scale": "The range is about 2^300.",
}

_FAR = 1000


@dataclass(frozen=True)
class Parameters:
    """The parameters a group of cases shares."""

    id: str
    comment: str
    bits: int
    l: float
    u: float
    alpha: float

    @property
    def steps(self) -> int:
        return (1 << self.bits) - 1

    @property
    def exact_step(self) -> Fraction:
        return (Fraction(self.u) - Fraction(self.l)) / self.steps

    def position(self, x: float) -> Fraction:
        """v = (x - l)/D as a rational."""
        return (Fraction(x) - Fraction(self.l)) / self.exact_step

    def at(self, position: Fraction) -> float:
        """The float64 nearest to l + v D."""
        return float(Fraction(self.l) + position * self.exact_step)


_SMALL, _LARGE = 2.0**-300, 2.0**300

GROUPS = [
    Parameters("reference", "the method's reference table", 2, -1.0, 1.0, 0.2),
    Parameters("unit", "one bit on [0, 1]", 1, 0.0, 1.0, 0.5),
    Parameters("integers-2", "levels 0, 1, 2, 3: all arithmetic exact", 2, 0.0, 3.0, 0.25),
    Parameters("integers-3", "levels 0 to 7: all arithmetic exact", 3, 0.0, 7.0, 0.125),
    Parameters("binary", "a binary net: the hard quantizer is the sign", 1, -1.0, 1.0, 0.2),
    Parameters("weights-2", "an asymmetric learned range", 2, -0.73, 0.61, 0.1873),
    Parameters("negative-2", "a range below 0", 2, -5.5, -1.25, 0.2),
    Parameters("activations-3", "3 bits", 3, -0.25, 1.7, 0.35),
    Parameters("relu6-4", "4 bits on [0, 6]", 4, 0.0, 6.0, 0.2),
    Parameters("weights-5", "5 bits", 5, -0.9, 0.8, 0.05),
    Parameters("weights-6", "6 bits", 6, -3.3, 2.2, 0.45),
    Parameters("positive-7", "7 bits, a range above 0", 7, 0.1, 0.9, 0.3),
    Parameters("symmetric-8", "8 bits", 8, -1.0, 1.0, 0.2),
    Parameters("activations-8", "8 bits, asymmetric", 8, -0.013, 2.9, 0.42),
    Parameters("tiny-alpha-1", "the smallest alpha training allows, one bit", 1, -0.5, 0.75, 1e-6),
    Parameters("tiny-alpha-2", "the smallest alpha training allows", 2, -0.5, 0.5, 1e-6),
    Parameters("small-alpha-3", "alpha 0.001", 3, -1.0, 2.0, 0.001),
    Parameters("tiny-alpha-8", "the smallest alpha, 8 bits", 8, -1.7, 1.3, 1e-6),
    Parameters("large-alpha-2", "alpha 0.9", 2, -1.0, 1.0, 0.9),
    Parameters("large-alpha-4", "alpha 0.999", 4, -0.6, 1.1, 0.999),
    Parameters("tiny-scale", "a range of about 2^-300", 2, -0.73 * _SMALL, 0.61 * _SMALL, 0.2),
    Parameters("huge-scale", "a range of about 2^300", 2, -0.73 * _LARGE, 0.61 * _LARGE, 0.2),
    Parameters("wide-offset-2", "a small range far from 0, levels exact", 2, 1000.0, 1003.0, 0.2),
    Parameters("wide-offset-4", "a small range far from 0", 4, -1000.3, -999.1, 0.3),
]


def _chosen(last: int) -> list[int]:
    """All of 0..last, or where those are many the ends and the middle."""
    if last <= 7:
        return list(range(last + 1))
    return sorted({0, 1, last // 2, last // 2 + 1, last - 1, last})


def _candidates(p: Parameters) -> Iterator[tuple[float, str]]:
    n, half = p.steps, Fraction(1, 2)
    for j in _chosen(n):
        level = p.at(Fraction(j))
        yield level, {0: "l, the lowest level", n: "u, the highest level"}.get(j, f"level {j}")
        if 0 < j < n:
            yield math.nextafter(level, -math.inf), f"one ulp below level {j}"
            yield math.nextafter(level, math.inf), f"one ulp above level {j}"
    for i in _chosen(n - 1):
        middle = p.at(i + half)
        yield middle, f"the middle of interval {i}"
        if i in (0, n // 2, n - 1):
            yield math.nextafter(middle, -math.inf), f"one ulp below the middle of interval {i}"
            yield math.nextafter(middle, math.inf), f"one ulp above the middle of interval {i}"
    for bound, name, inwards in ((p.l, "l", 1), (p.u, "u", -1)):
        outwards = -inwards * math.inf
        yield math.nextafter(bound, -outwards), f"one ulp inside {name}"
        yield math.nextafter(bound, outwards), f"one ulp outside {name}"
        edge = Fraction(0) if name == "l" else Fraction(n)
        for offset, words in ((Fraction(1, 4), "a quarter step"), (Fraction(1), "a step")):
            yield p.at(edge - inwards * offset), f"{words} outside {name}"
        yield p.at(edge - inwards * _FAR * n), f"{_FAR} ranges outside {name}"
        yield p.at(edge + inwards * Fraction(1, 4)), f"a quarter step inside {name}"
    rng = random.Random(p.id)
    for _ in range(4):
        yield p.at(Fraction(rng.random()) * n), "inside"
    if p.id == "reference":
        for x in (-1.2, -0.9, -0.6, 0.25, 0.7, 1.3):
            yield x, "a row of the method's table"
    if p.l < 0 < p.u:
        yield 0.0, "zero"


def points(p: Parameters) -> list[tuple[float, str]]:
    """The inputs of a group with their comments, each input once."""
    seen: dict[float, str] = {}
    for x, comment in _candidates(p):
        seen.setdefault(x + 0.0, comment)
    return sorted(seen.items())


def _definition_is_exact(p: Parameters, x: float) -> bool:
    """Whether every operation of the code's definition is exact in float64 at x."""
    width, offset = p.u - p.l, x - p.l
    step = width / p.steps
    if Fraction(width) != Fraction(p.u) - Fraction(p.l) or Fraction(step) != p.exact_step:
        return False
    v = offset / step
    return Fraction(offset) == Fraction(x) - Fraction(p.l) and Fraction(v) == p.position(x) == Fraction(v + 0.5) - (
        Fraction(1, 2)
    )


def _rounding(p: Parameters, x: float) -> Fraction:
    """What rounding may do to v, in steps: five roundings of v, and x - l formed from rounded middles."""
    cancelled = (abs(Fraction(x)) + abs(Fraction(p.l)) + abs(Fraction(p.u))) / p.exact_step
    return (5 * (abs(p.position(x)) + 1) + 2 * cancelled) / 2**53


def accepted_codes(p: Parameters, x: float) -> list[int]:
    """The codes of the hard quantizer at x: its definition's first, then a neighbour that rounding may give."""
    step = (p.u - p.l) / p.steps
    code = min(max(math.floor((x - p.l) / step + 0.5), 0), p.steps)
    shifted = p.position(x) + Fraction(1, 2)
    slack = Fraction(0) if _definition_is_exact(p, x) else _rounding(p, x)
    possible = {min(max(math.floor(shifted + d), 0), p.steps) for d in (-slack, slack)}
    return [code, *sorted(possible - {code})]


def flags_of(p: Parameters, x: float, comment: str) -> list[str]:
    """The flags of a case, in the order of ``FLAGS``."""
    v, slack = p.position(x), _rounding(p, x)
    inside, rounded = p.l < x < p.u, round(v)
    width = Fraction(p.u) - Fraction(p.l)
    middle = inside and x == p.at(math.floor(v) + Fraction(1, 2))
    holds = {
        "reference": p.id == "reference",
        "interval-edge": inside and v == rounded,
        "near-edge": inside and v != rounded and abs(v - rounded) <= slack,
        "middle": middle,
        "tie": middle and v - math.floor(v) == Fraction(1, 2) and _definition_is_exact(p, x),
        "near-tie": len(accepted_codes(p, x)) > 1,
        "clip-bound": x in (p.l, p.u),
        "beside-bound": any(x == math.nextafter(b, d) for b in (p.l, p.u) for d in (-math.inf, math.inf)),
        "outside": x < p.l or x > p.u,
        "far-outside": comment.startswith(f"{_FAR} ranges"),
        "tiny-alpha": p.alpha <= 0.001,
        "large-alpha": p.alpha >= 0.9,
        "wide-offset": abs(Fraction(p.l)) > 100 * width,
        "tiny-scale": p.id == "tiny-scale",
        "huge-scale": p.id == "huge-scale",
    }
    return [flag for flag in FLAGS if holds[flag]]
