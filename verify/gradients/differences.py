"""Reverse, forward and second-order derivatives against measured slopes, entry by entry.

Small functions (``n`` elements at about 16 evaluations each fit the budget): the numeric Jacobian, every entry with its
own error, is compared with the rows that the vjp gives for unit vectors and the columns that the jvp gives for unit
vectors, as many of them as the budget allows, and the gradients for random gy with its projections. Large ones: see
``sampling.py`` for the reverse rule; the forward rule is compared in every output, along random directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import numpy as np

from verify.gradients.kinks import SMOOTH, Declaration, Judgement
from verify.gradients.noise import Noise, measure_noise, understated
from verify.gradients.problem import Array, Problem
from verify.gradients.quotient import Coordinate, Diagonal, Ray, Slopes, measure_slopes
from verify.gradients.rules import Rules, judge_rule
from verify.gradients.taylor import draw_direction

__all__ = [
    "PROJECTIONS",
    "Comparison",
    "Jacobian",
    "compare_columns",
    "compare_diagonal",
    "compare_directions",
    "compare_gradients",
]

#: Random incoming gradients, and random directions.
PROJECTIONS = 2
#: With more outputs the numeric Jacobian is kept in its projections only.
MOST_OUTPUTS = 4096


@dataclass(frozen=True)
class Comparison:
    """Derivatives of one kind, judged.

    Attributes
    ----------
    what : of which the entries are: "gradient", "row", "column", "direction"
    given : the vector handed to the rule: gy, or a direction
    coordinates : of the entries of a gradient or row
    analytic : what the rule returned
    slopes, judgement : of its shape
    """

    what: str
    given: Array
    coordinates: Sequence[int]
    analytic: Array
    slopes: Slopes
    judgement: Judgement


def _select(slopes: Slopes, where: Any) -> Slopes:
    return Slopes(*(getattr(slopes, field.name)[where] for field in fields(Slopes)))


class Jacobian:
    """The numeric Jacobian at a problem's point, by some or all of the coordinates.

    Attributes
    ----------
    gys : (PROJECTIONS, m), random incoming gradients
    coordinates : those differentiated by
    outputs : how many of the m outputs are in ``slopes``: all, or none
    slopes : (coordinates, outputs + PROJECTIONS), the last columns those of ``sum(gy * value)``
    noise : of the same columns
    """

    def __init__(self, problem: Problem, coordinates: Sequence[int], seed: int, all_outputs: bool = True) -> None:
        self.problem, self.coordinates = problem, list(coordinates)
        rng = np.random.default_rng([seed, 1])
        drawn = rng.uniform(0.5, 1.0, (PROJECTIONS, len(problem.middle))).astype(problem.dtype).astype(np.float64)
        self.gys = drawn * rng.choice([-1.0, 1.0], drawn.shape)
        self.outputs = len(problem.middle) if all_outputs and len(problem.middle) <= MOST_OUTPUTS else 0
        self.noise = self._with_floor(measure_noise(self.value, problem.point, problem.unit, problem.epsilon, seed))
        middle = np.concatenate([problem.middle[: self.outputs], np.zeros(PROJECTIONS)])
        lines = [Coordinate(problem, self.value, middle, n) for n in self.coordinates]
        self.slopes = measure_slopes(lines, self.noise, problem.epsilon)
        self._doubt: Array | None = None

    def _with_floor(self, noise: Noise) -> Noise:
        """The projections' noise is not below the last places of the outputs, which their changes do not show."""
        floor = self.problem.epsilon * np.sqrt(self.gys**2 @ self.problem.middle**2)
        size = np.abs(self.gys) @ np.abs(self.problem.middle)
        bound, sizes = noise.bound.copy(), noise.size.copy()
        bound[self.outputs :] += floor
        sizes[self.outputs :] = np.maximum(sizes[self.outputs :], size)
        return Noise(bound, sizes)

    def value(self, point: Array) -> Array:
        """The outputs, and how much each projection has changed from the problem's point."""
        found = self.problem.evaluate(point)
        return np.concatenate([found[: self.outputs], self.gys @ (found - self.problem.middle)])

    def doubt(self) -> Array:
        """For each column, by what factor the errors may have been understated (``noise.understated``)."""
        if self._doubt is None:
            problem = self.problem
            self._doubt = understated(self.value, problem.point, problem.unit, problem.epsilon, self.noise)
        return self._doubt

    def projected_noise(self, number: int) -> Noise:
        """The noise of one projection."""
        at = slice(self.outputs + number, self.outputs + number + 1)
        return Noise(self.noise.bound[at], self.noise.size[at])


def _doubt_of(jacobian: Jacobian, columns: Any) -> Array:
    return np.asarray(jacobian.doubt()[columns])


def compare_gradients(
    rules: Rules, jacobian: Jacobian, declaration: Declaration = SMOOTH, rows: int = 0
) -> list[Comparison]:
    """The vjp for the random incoming gradients, and for the unit vectors of the first ``rows`` outputs."""
    problem, found = rules.problem, []
    units = np.eye(len(problem.middle))[: min(rows, jacobian.outputs)] if rows else np.zeros((0, len(problem.middle)))
    columns = [*range(jacobian.outputs, jacobian.outputs + PROJECTIONS), *range(len(units))]
    for gy, column in zip([*jacobian.gys, *units], columns, strict=True):
        slopes = _select(jacobian.slopes, (slice(None), column))

        def rule(gy: Array, point: Array | None) -> Array:
            return rules.gradient(gy, point)[jacobian.coordinates]

        analytic, judgement = judge_rule(
            problem, rule, gy, slopes, declaration, doubt=partial(_doubt_of, jacobian, column)
        )
        what = "gradient" if column >= jacobian.outputs else "row"
        found.append(Comparison(what, gy, jacobian.coordinates, analytic, slopes, judgement))
    return found


def compare_columns(rules: Rules, jacobian: Jacobian, declaration: Declaration = SMOOTH) -> list[Comparison]:
    """The jvp for the unit vector of every coordinate of the Jacobian, in all outputs."""
    problem, found = rules.problem, []
    for row, coordinate in enumerate(jacobian.coordinates):
        unit = np.zeros(len(problem.point))
        unit[coordinate] = 1.0
        slopes = _select(jacobian.slopes, (row, slice(0, jacobian.outputs)))
        analytic, judgement = judge_rule(
            problem,
            rules.tangent,
            unit,
            slopes,
            declaration,
            doubt=partial(_doubt_of, jacobian, slice(0, jacobian.outputs)),
        )
        found.append(Comparison("column", unit, (), analytic, slopes, judgement))
    return found


def compare_directions(rules: Rules, noise: Noise, seed: int, declaration: Declaration = SMOOTH) -> list[Comparison]:
    """The jvp along random directions of all arguments together, in all outputs.

    The numeric slope is reduced by the jvp along the direction that rounding left of it, so that the rounding of the
    points does not count; what remains has to be 0. Of a kink along the line there is then no telling the two slopes,
    so the direction is left to ``compare_columns``: its outputs count as undecided only where nothing else looks.
    """
    problem, rng = rules.problem, np.random.default_rng([seed, 2])
    directions = [draw_direction(problem.reach, rng) for _ in range(PROJECTIONS)]
    rays = [Ray(problem, problem.evaluate, problem.middle, d, rules.tangent) for d in directions]
    slopes = measure_slopes(rays, noise, problem.epsilon)

    def doubt() -> Array:
        return understated(problem.evaluate, problem.point, problem.unit, problem.epsilon, noise)

    found = []
    for number, direction in enumerate(directions):
        one = _select(slopes, number)
        there = rules.tangent(direction)
        analytic, judgement = judge_rule(
            problem, rules.tangent, direction, one, declaration, doubt=doubt, subtracted=there
        )
        whole = Slopes(one.value + analytic, *(getattr(one, f.name) for f in fields(Slopes)[1:]))
        found.append(Comparison("direction", direction, (), analytic, whole, judgement))
    return found


def _is_diagonal(problem: Problem, where: slice) -> bool:
    """Whether the k-th output moves with the k-th element of an argument only.

    The elements whose index has a certain bit (or has it not) move together, bit by bit: an output that also moved with
    another element would move with a group it does not belong to.
    """
    size = where.stop - where.start
    index = np.arange(size)
    for bit in range(max(1, (size - 1).bit_length())):
        for value in (0, 1):
            group = (index >> bit & 1) == value
            moved = problem.point.copy()
            moved[where][group] += problem.reach[where][group] / 16
            changed = ~(problem.evaluate(problem.snap(moved)) == problem.middle)
            if (changed & ~group).any():
                return False
    return True


def compare_diagonal(
    rules: Rules, noise: Noise, gy: Array, declaration: Declaration = SMOOTH
) -> tuple[list[Comparison], Array]:
    """The vjp by every argument that the function is elementwise in, all its elements at once.

    Returns
    -------
    comparisons, others : one an argument; and the coordinates of all other arguments
    """
    problem, found = rules.problem, []
    others = np.ones(len(problem.point), dtype=bool)

    def doubt() -> Array:
        return understated(problem.evaluate, problem.point, problem.unit, problem.epsilon, noise)

    for position in problem.positions:
        where = problem.slice_of(position)
        if np.shape(problem.args[position]) != problem.shape or not _is_diagonal(problem, where):
            continue
        others[where] = False
        one = _select(measure_slopes([Diagonal(problem, where)], noise, problem.epsilon), 0)
        slopes = replace(
            one,
            value=one.value * gy,
            error=one.error * np.abs(gy),
            bend=one.bend * gy,
            bend_error=one.bend_error * np.abs(gy),
        )

        def rule(gy: Array, point: Array | None, where: slice = where) -> Array:
            return rules.gradient(gy, point)[where]

        analytic, judgement = judge_rule(problem, rule, gy, slopes, declaration, doubt=doubt)
        found.append(Comparison("gradient", gy, range(where.start, where.stop), analytic, slopes, judgement))
    return found, np.flatnonzero(others)
