"""Numeric derivatives with their error: a ladder of steps, extrapolated, the step chosen by error balance.

Along a line through the point the function is evaluated at t and -t for t = 1/2, 1/8, ... (times the element's size).
From each pair come

    the central difference   D(t) = (f(t) - f(-t)) / 2t            = f' + O(t^2), O(t) beside a kink
    the bend                 G(t) = (f(t) - 2 f(0) + f(-t)) / t    = right slope - left slope + O(t)

Richardson's extrapolation (a Neville table each, for the powers t^2, t^4, ... and t, t^3, ...) gives candidates. The
error of a candidate is the larger of its distances to the two it is made from, which is above its truncation, plus the
rounding of the differences carried through the table, by the function's measured noise (``noise.py``). The ladder ends
where rounding alone exceeds the error of the best candidate: the balance is found, not assumed.

What a coarse step cannot see is looked for by two much smaller ones, sqrt(eps) and eps^(3/4): where one of them
contradicts the candidate by more than its own rounding, the ladder goes on to the end, and every candidate's error
grows by the largest contradiction of a smaller step. So a kink nearby, fine structure or understated noise
make the error larger; they never pass for precision. A slope is *settled* where its error is below eps^(1/5) (2^-10 in
float64, 2^-5 in float32) of it, or of the function's size; where it is not, the function jumps or has no slope there
that its precision could show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np

from verify.gradients.noise import Noise
from verify.gradients.problem import Array, Problem, Rule
from verify.gradients.richardson import RATIO, Observed, Table

__all__ = ["Coordinate", "Diagonal", "Line", "Pair", "Ray", "Slopes", "measure_slopes"]

#: A slope is settled where its error is below this power of epsilon, as a share of it.
_SETTLED = 0.2
_FIRST = 0.5
#: The ladder has at least three steps.
_FEWEST = 2
#: A bend is one where it exceeds its error by this factor.
_BENT = 2.0
#: So many numbers of one kind are handled at once.
_BLOCK = 1 << 15


@dataclass(frozen=True)
class Pair:
    """Values on either side: at ``ahead`` and at ``-behind`` along the line, for all outputs or for each.

    ``known`` is subtracted from the slope.
    """

    plus: Array
    minus: Array
    ahead: Array | float
    behind: Array | float
    known: Array | float = 0.0


class Line(Protocol):
    """A line through the point. ``length`` times a slope along it is comparable with the function's value."""

    @property
    def middle(self) -> Array: ...

    @property
    def length(self) -> Array | float: ...

    def pair(self, t: float) -> Pair: ...


class Coordinate:
    """The line along one coordinate; slopes are per unit of it.

    The steps are multiples of the grid's spacing, so that both points are exact, wherever the point's size allows it.
    """

    def __init__(self, problem: Problem, function: Rule, middle: Array, coordinate: int) -> None:
        self.middle = middle
        self._problem, self._function, self._coordinate = problem, function, coordinate
        # Not the same steps for all: no period of the function meets them.
        self._reach = float(problem.reach[coordinate]) * (0.7 + 0.3 * ((coordinate * 0.6180339887498949) % 1.0))
        self.length = float(problem.reach[coordinate])

    def pair(self, t: float) -> Pair:
        z, i = self._problem.point, self._coordinate
        step, quantum = t * self._reach, float(self._problem.unit[i]) * 2.0
        if step > quantum:
            step = np.round(step / quantum) * quantum
        above, below = z.copy(), z.copy()
        above[i] += step
        below[i] -= step
        above, below = self._problem.snap(above), self._problem.snap(below)
        return Pair(self._function(above), self._function(below), float(above[i] - z[i]), float(z[i] - below[i]))


class Ray:
    """The line along a direction (of the size of the point); slopes are per t.

    ``known`` maps the direction moved along, as rounded, to a derivative; the slopes are then those of what is left.
    """

    def __init__(
        self, problem: Problem, function: Rule, middle: Array, direction: Array, known: Rule | None = None
    ) -> None:
        self.middle, self.length = middle, 1.0
        self._problem, self._function, self._direction, self._known = problem, function, direction, known
        self._last: tuple[Array, Array] | None = None

    def _derivative(self, tangent: Array) -> Array | float:
        if self._known is None:
            return 0.0
        if self._last is None or not np.array_equal(self._last[0], tangent):
            self._last = tangent, self._known(tangent)
        return self._last[1]

    def pair(self, t: float) -> Pair:
        z = self._problem.point
        above, below = self._problem.snap(z + t * self._direction), self._problem.snap(z - t * self._direction)
        known = self._derivative((above - below) / (2 * t))
        return Pair(self._function(above), self._function(below), t, t, known)


class Diagonal:
    """All coordinates of one argument at once, for a function whose k-th output moves with the k-th of them alone.

    The slopes are per unit of each coordinate.
    """

    def __init__(self, problem: Problem, where: slice) -> None:
        self.middle, self.length = problem.middle, problem.reach[where]
        self._problem, self._where = problem, where

    def pair(self, t: float) -> Pair:
        problem, where = self._problem, self._where
        above, below = problem.point.copy(), problem.point.copy()
        step = (
            np.round(t * self.length / problem.unit[where]) * problem.unit[where] if t > 2.0**-20 else t * self.length
        )
        above[where] += step
        below[where] -= step
        above, below = problem.snap(above), problem.snap(below)
        ahead, behind = (above - problem.point)[where], (problem.point - below)[where]
        return Pair(problem.evaluate(above), problem.evaluate(below), ahead, behind)


@dataclass(frozen=True)
class Slopes:
    """What was found along each line for each output, arrays of shape (lines, m).

    ``value`` and ``error`` of the slope, the mean of the two sides' where there is a kink; ``bend`` and ``bend_error``,
    the right slope minus the left one; whether there is a ``kink`` or a ``jump`` at the point; whether the slope
    ``settled``.
    """

    value: Array
    error: Array
    bend: Array
    bend_error: Array
    kink: Array
    jump: Array
    settled: Array

    @property
    def left(self) -> Array:
        """The slope on the left, meaningful at a kink."""
        return self.value - self.bend / 2

    @property
    def right(self) -> Array:
        """The slope on the right, meaningful at a kink."""
        return self.value + self.bend / 2


class _Ladder:
    """The ladder of some lines, all outputs at once."""

    def __init__(self, lines: Sequence[Line], noise: Noise, epsilon: float) -> None:
        self._lines, self._noise, self._epsilon = lines, noise, epsilon
        self._middle = np.stack([line.middle for line in lines])
        self._steps = [t for n in range(40) if (t := _FIRST / RATIO**n) > epsilon**0.9]
        self._deep = (epsilon**0.5, epsilon**0.75)
        self._known = np.zeros(self._middle.shape)
        self._sizes: list[Array] = []

    def _at(self, t: float, active: Array) -> tuple[Observed, Observed, Array]:
        """The central difference, the bend, and how far the two sides are apart."""
        slope, bend, rounding, rise, sizes = (np.full(self._middle.shape, np.nan) for _ in range(5))
        for row in map(int, np.flatnonzero(active)):
            p = self._lines[row].pair(t)
            if not (np.all(p.ahead) and np.all(p.behind)):
                continue
            width, middle = p.ahead + p.behind, self._middle[row]
            rise[row], sizes[row] = np.abs(p.plus - p.minus), np.maximum(np.abs(p.plus), np.abs(p.minus))
            self._known[row] = p.known
            slope[row] = (p.plus - p.minus) / width - p.known
            bend[row] = (p.plus - middle) / p.ahead - (middle - p.minus) / p.behind
            rounding[row] = 2 * self._noise.at(p.plus, p.minus) / width
        self._sizes.append(sizes)
        return Observed(t, slope, rounding), Observed(t, bend, 4 * rounding), rise

    def _climb(self, keep: bool) -> tuple[Table, Table]:
        """All steps where ``keep``; else each line until rounding alone exceeds the best candidate's error."""
        central = Table(self._middle.shape, 2, 2, keep)
        bends = Table(self._middle.shape, 1, 2, keep)
        active = np.ones(len(self._lines), dtype=bool)
        for level, t in enumerate(self._steps):
            slope, bend, _ = self._at(t, active)
            balanced = (slope.rounding >= central.error) & (bend.rounding >= bends.error)
            central.add(slope)
            bends.add(bend)
            if not keep and level >= _FEWEST:
                active &= ~balanced.all(axis=1)
                if not active.any():
                    break
        return central, bends

    def run(self, thorough: bool = False) -> tuple[Slopes, Array]:
        """The slopes, and which lines are contradicted by a small step (none where thorough)."""
        central, bends = self._climb(keep=thorough)
        everything = np.ones(len(self._lines), dtype=bool)
        slopes, turns, rises = zip(*(self._at(t, everything) for t in self._deep), strict=True)
        contradicted = np.zeros(len(self._lines), dtype=bool)
        results: list[Array] = []
        for table, checks in ((central, slopes), (bends, turns)):
            if thorough:
                results += table.consistent(checks)
                continue
            doubt = np.max([seen.contradicts(table.value) for seen in checks], axis=0)
            contradicted |= (~(doubt <= table.error) | ~np.isfinite(table.error)).any(axis=1)
            results += [table.value, table.error + doubt]
        value, error, bend, bend_error = results
        return self._judge(value, error, bend, bend_error, rises), contradicted

    def _judge(self, value: Array, error: Array, bend: Array, bend_error: Array, rises: Sequence[Array]) -> Slopes:
        length = np.stack([np.broadcast_to(line.length, value.shape[1:]) for line in self._lines])
        # How large the function is near the point, where it may be 0, and how steep along the other lines.
        size = np.fmax(self._noise.size, np.fmax.reduce(self._sizes)) / length
        size = np.fmax(size, np.fmax.reduce(np.abs(value) * length, axis=0, keepdims=True) / length)
        bent = np.abs(bend) > _BENT * bend_error
        size = np.fmax(np.maximum(size, np.abs(value + self._known)), np.where(bent, np.abs(bend) / 2, 0.0))
        settled = error <= self._epsilon**_SETTLED * size
        jump = (rises[1] > 4 * self._noise.bound) & (np.abs(rises[1] - rises[0]) < rises[0] / 4)
        return Slopes(value, error, bend, bend_error, bent & settled & ~jump, jump, settled & ~jump)


def measure_slopes(lines: Sequence[Line], noise: Noise, epsilon: float) -> Slopes:
    """The slopes of the outputs along lines that all run through one point.

    Parameters
    ----------
    lines : of one function with m outputs
    noise : of that function at the point
    epsilon : of the dtype it computes in
    """
    if not lines:
        empty = np.zeros((0, len(noise.bound)))
        return Slopes(empty, empty, empty, empty, *(empty.astype(bool) for _ in range(3)))
    block = max(1, _BLOCK // max(1, len(noise.bound)))
    parts = []
    for start in range(0, len(lines), block):
        some = lines[start : start + block]
        found, contradicted = _Ladder(some, noise, epsilon).run()
        if contradicted.any():
            doubtful = [line for line, doubt in zip(some, contradicted, strict=True) if doubt]
            again, _ = _Ladder(doubtful, noise, epsilon).run(thorough=True)
            for field in fields(Slopes):
                getattr(found, field.name)[contradicted] = getattr(again, field.name)
        parts.append(found)
    return Slopes(*(np.concatenate([getattr(p, field.name) for p in parts]) for field in fields(Slopes)))
