"""When a mutant is no error at all: what it computes is what the rule computes.

The rule for that is stated once, here. A mutant that the judge passes is run beside the original on ``DRAWS`` examples
and on points of every kink, with all arguments at once and with each alone. It is

    "not run"         if no example runs the edited lines (another primitive may share and run them),
    "same bits"       if every result has the same bits,
    "same number"     if it is certified on all the examples and no result, at the kinks either, differs by more than
                      2^-40 of the largest of its array (a sum of parts that cancel may differ by more than 2^-45 of it),

and a survivor otherwise. All three are listed by name in the table, for human eyes; none counts as killed.
"""

from __future__ import annotations

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
DRAWS = 200
#: Points of every kink.
_KINK_POINTS = 20
#: Every so many-th example is traced for the lines it runs.
_TRACED = 4
#: What counts as rounding.
_ROUNDING = 2.0**-40

Arguments = tuple[Sequence[np.ndarray], dict[str, Any], int]


def _points(primitive: Primitive) -> Iterator[Arguments]:
    for seed in range(DRAWS):
        yield *primitive.examples(SeededDraw(seed), np.float64), seed
    for kink in primitive.kinks:
        for seed in range(_KINK_POINTS):
            point = kink.at(SeededDraw(seed), np.float64)
            yield point.arrays, point.options, seed


def _silent(options: dict[str, Any]) -> dict[str, Any]:
    """Without the observers, which only the forward gets."""
    return {name: value for name, value in options.items() if not callable(value)}


def _results(primitive: Primitive, rule: str, point: Arguments) -> Iterator[np.ndarray | None]:
    """What the rule returns for all arguments together and for each alone."""
    if rule == "shared":
        yield primitive.forward(*point[0], **point[1])[0]
        for each in ("vjp", "jvp", "hvp"):
            yield from _results(primitive, each, point)
        return
    arrays, options, seed = point
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
    """0 for the same bits; else the largest difference as a share of the largest element; infinite if incomparable."""
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
    return difference / largest if largest > 0 and np.isfinite(difference) else np.inf


def compare(original: Primitive, mutant: Primitive, rule: str) -> str | None:
    """Returns "same bits", "same number", or None where the results differ."""
    worst = 0.0
    for point in _points(original):
        try:
            pairs = zip(_results(original, rule, point), _results(mutant, rule, point), strict=True)
            worst = max([worst, *(_distance(a, b) for a, b in pairs)])
        except Exception:
            return None
        if not worst <= _ROUNDING:
            return None
    return "same bits" if worst == 0.0 else "same number"


def lines_run(primitive: Primitive, rule: str, file: str) -> set[int]:
    """The lines of a file that the rule runs on a quarter of the examples."""
    lines: set[int] = set()

    def local(frame: FrameType, event: str, _: Any) -> Any:
        lines.add(frame.f_lineno)
        return local

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        return local if frame.f_code.co_filename == file else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        for number, point in enumerate(_points(primitive)):
            if number % _TRACED == 0:
                for _ in _results(primitive, rule, point):
                    pass
    finally:
        sys.settrace(before)
    return lines
