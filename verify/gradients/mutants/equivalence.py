"""When a mutant is no error at all: what it computes is what the rule computes.

The rule for that is stated once, here. A mutant that the judge passes is run beside the original on ``DRAWS`` examples
and on points of every kink, with all arguments at once and with each alone. It is

    "not run"         if no example runs the edited lines (another primitive may share and run them),
    "same bits"       if every result has the same bits,
    "same number"     if it is certified on all the examples, so that rounding is all that differs there, and at the
                      kinks no result differs by more than 2^-40 (of the largest of its array, if that is above 1),

and a survivor otherwise. All three are listed by name in the table, for human eyes; none counts as killed.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any

import numpy as np

from minigrad.draw import SeededDraw
from minigrad.primitive import Primitive
from verify.gradients.mutants.behaviour import other_values
from verify.gradients.primitives import positions_of

__all__ = ["DRAWS", "compare", "lines_run"]

#: Examples on which a mutant is run beside the original.
DRAWS = 120
#: Points of every kink.
_KINK_POINTS = 20
#: What counts as rounding at a kink; and elsewhere, where certificates decide, what need not be certified any more.
_ROUNDING = 2.0**-40
_FAR = 2.0**-20

#: Arrays, options, a seed, and whether it is on a kink.
Arguments = tuple[Sequence[np.ndarray], dict[str, Any], int, bool]


def _points(primitive: Primitive) -> Iterator[Arguments]:
    for seed in range(DRAWS):
        yield *primitive.examples(SeededDraw(seed), np.float64), seed, False
    for kink in primitive.kinks:
        for seed in range(_KINK_POINTS):
            point = kink.at(SeededDraw(seed), np.float64)
            yield point.arrays, point.options, seed, True


def _silent(options: dict[str, Any]) -> dict[str, Any]:
    """Without the observers, which only the forward gets."""
    return {name: value for name, value in options.items() if not callable(value)}


def _results(primitive: Primitive, rule: str, point: Arguments) -> Iterator[np.ndarray | None]:
    """What the rule returns for all arguments together and for each alone; no second derivative on a kink."""
    if rule == "shared":
        yield primitive.forward(*point[0], **point[1])[0]
        for each in ("vjp", "jvp", "hvp"):
            yield from _results(primitive, each, point)
        return
    arrays, options, seed, on_kink = point
    if rule == "hvp" and on_kink:
        return
    rng = np.random.Generator(np.random.Philox(key=seed))
    value, _ = primitive.forward(*arrays, **options)
    gy = rng.standard_normal(np.shape(value))
    positions = positions_of(primitive, len(arrays))
    tangents = {p: rng.standard_normal(np.shape(arrays[p])) for p in positions}
    choices = [positions, *((p,) for p in positions)] if len(positions) > 1 else [positions]
    for chosen in choices:
        some = tuple(tangents[p] if p in chosen else None for p in range(len(arrays)))
        if rule == "vjp":
            needs = [p in chosen for p in range(len(arrays))]
            # Another call before each: a rule may keep that one's residuals.
            primitive.forward(*(other_values(a) for a in arrays), **options)
            _, residuals = primitive.forward(*arrays, **options)
            found = primitive.vjp(gy, residuals, needs)
            yield from (found[p] for p in chosen)
        elif rule == "jvp":
            yield primitive.jvp(some, *arrays, **_silent(options))
        elif primitive.hvp is not None:
            found = primitive.hvp(gy, some, *arrays, **_silent(options))
            yield from (found[p] for p in positions)


def _distance(a: np.ndarray | None, b: np.ndarray | None) -> float:
    """0 for the same bits; else the largest difference, as a share of the largest element if that is above 1."""
    if a is None and b is None:
        return 0.0
    if a is None or b is None:
        given = np.asarray(b if a is None else a)
        return 0.0 if not given.any() else np.inf
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return np.inf
    if a.tobytes() == b.tobytes():
        return 0.0
    largest = float(np.max(np.abs(a), initial=0.0))
    difference = float(np.max(np.abs(a - b), initial=0.0))
    if difference == 0.0:
        # A zero with the other sign is a difference of bits, and the smallest one there is.
        return 2.0**-1074
    return difference / max(largest, 1.0) if np.isfinite(difference) else np.inf


@functools.lru_cache(maxsize=8)
def _expected(original: Primitive, rule: str) -> list[list[np.ndarray | None]]:
    return [[None if g is None else np.array(g) for g in _results(original, rule, p)] for p in _points(original)]


def compare(original: Primitive, mutant: Primitive, rule: str) -> str | None:
    """Returns "same bits", "same number" (if it is certified too, which is for the caller), or None.

    An exception of the mutant is a difference.
    """
    worst = 0.0
    for point, expected in zip(_points(original), _expected(original, rule), strict=True):
        try:
            pairs = zip(expected, _results(mutant, rule, point), strict=True)
            here = max([0.0, *(_distance(a, b) for a, b in pairs)])
        except Exception:
            return None
        on_kink = point[3]
        if not here <= (_ROUNDING if on_kink else _FAR):
            return None
        worst = max(worst, here)
    return "same bits" if worst == 0.0 else "same number"


def lines_run(primitive: Primitive, rule: str, file: str) -> set[int]:
    """The lines of a file that the rule runs on any of the examples that mutants are compared on."""
    lines: set[int] = set()

    def local(frame: FrameType, event: str, _: Any) -> Any:
        lines.add(frame.f_lineno)
        return local

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        return local if frame.f_code.co_filename == file else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        for point in _points(primitive):
            for _ in _results(primitive, rule, point):
                pass
    finally:
        sys.settrace(before)
    return lines
