"""From judged derivatives to results: what was compared, and the worst entry with what is needed to see it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from verify.gradients.differences import Comparison, Jacobian
from verify.gradients.kinks import describe
from verify.gradients.problem import Array, Problem
from verify.gradients.snippet import Names, forward_snippet, reverse_snippet, second_snippet
from verify.gradients.taylor import measure_rates
from verify.gradients.verdict import NOT_DIFFERENTIABLE, RIGHT, UNDECIDED, WRONG, Failure, Result

__all__ = ["Context", "summarize"]


@dataclass(frozen=True)
class Context:
    """What a failure needs to be described: the problem, the names for snippets, and gy where the rule is an hvp."""

    problem: Problem
    names: Names
    slots: dict[int, int]
    jacobian: Jacobian | None = None
    gy: Any = None


def _worst(comparisons: Sequence[Comparison]) -> tuple[Comparison, int]:
    """The entry that is furthest from right; wrong before undeclared before undecided."""
    for kind in ("wrong", "undeclared", "undecided"):
        best: tuple[float, Comparison, int] | None = None
        for c in comparisons:
            mask = getattr(c.judgement, kind)
            if not mask.any():
                continue
            distance = np.abs(c.analytic - c.slopes.value) / (c.judgement.tolerance + np.finfo(np.float64).tiny)
            distance = np.where(mask, np.nan_to_num(distance, nan=np.inf, posinf=np.inf), -1.0)
            entry = int(np.argmax(distance))
            if best is None or distance[entry] > best[0]:
                best = float(distance[entry]), c, entry
        if best is not None:
            return best[1], best[2]
    raise ValueError("comparisons: none failed")


def _reason(c: Comparison, entry: int) -> str:
    if c.judgement.wrong[entry]:
        if c.slopes.kink[entry]:
            sides = f"one-sided slopes {c.slopes.left[entry]:.6g} and {c.slopes.right[entry]:.6g}"
            return f"is not what is declared for this kink, {sides}"
        if c.slopes.jump[entry]:
            return f"is not what is declared for this jump, {c.judgement.expected[entry]:.6g}"
        return "is wrong"
    if c.judgement.undeclared[entry]:
        return "is " + describe(c.slopes, (entry,), float(c.analytic[entry]))
    return "cannot be decided: the difference quotient does not settle (a kink or a jump too near?)"


def _rate(context: Context, c: Comparison, entry: int) -> float | None:
    """The rate of R1 along the failing entry, by a noise that is measured already."""
    problem, jacobian = context.problem, context.jacobian
    if jacobian is None or not c.judgement.wrong[entry] or not np.isfinite(c.analytic[entry]):
        return None
    if c.what in ("gradient", "row"):
        coordinate = c.coordinates[entry]
        direction = np.zeros(len(problem.point))
        direction[coordinate] = problem.reach[coordinate]
        gradient = np.where(direction != 0, c.analytic[entry], 0.0)
        noise = float(np.sum(np.abs(c.given) * jacobian.noise.bound[: jacobian.outputs])) if jacobian.outputs else None
        if noise is None:
            noise = float(jacobian.noise.bound[-1])

        def change(z: Array) -> Array:
            return np.atleast_1d(np.sum(c.given * (problem.evaluate(z) - problem.middle)))

    else:
        if not jacobian.outputs:
            return None
        direction = c.given if c.what == "direction" else c.given * problem.reach
        scale = 1.0 if c.what == "direction" else float(problem.reach[c.given != 0][0])
        gradient = direction * (scale * c.analytic[entry] / float(direction @ direction))
        noise = float(jacobian.noise.bound[entry])

        def change(z: Array) -> Array:
            return np.atleast_1d(problem.evaluate(z)[entry] - problem.middle[entry])

    rate = measure_rates(problem, change, gradient, direction, None, noise)[2].rate
    return float(rate) if np.isfinite(rate) else None


def _describe(context: Context, c: Comparison, entry: int) -> Failure:
    problem, names = context.problem, context.names
    if c.what in ("gradient", "row"):
        coordinate = c.coordinates[entry]
        position, index = problem.locate(coordinate)
        what = f"gradient of argument {position}"
        gy = problem.incoming(c.given)
        reach = float(problem.reach[coordinate])
        slot = context.slots[position]
        code = reverse_snippet(names, problem.args, gy, position, slot, index, reach, problem.epsilon)
    elif context.gy is not None:
        position, index = problem.locate(entry)
        what = f"hvp of argument {position}"
        tangents = problem.split(c.given)
        slot = context.slots[position]
        code = second_snippet(names, problem.args, context.gy, tangents, slot, index, problem.epsilon)
    else:
        index, what = problem.output_index(entry), "jvp"
        code = forward_snippet(names, problem.args, problem.split(c.given), index, problem.epsilon)
    judgement = c.judgement
    numeric = float(c.slopes.value[entry])
    if c.slopes.kink[entry] or c.slopes.jump[entry]:
        shift = c.slopes.value[entry] - judgement.expected[entry] if c.what != "direction" else 0.0
        numeric = float(c.slopes.value[entry] - shift)
    return Failure(
        problem.name,
        what,
        index,
        float(c.analytic[entry]),
        numeric,
        float(judgement.tolerance[entry]),
        _rate(context, c, entry),
        _reason(c, entry),
        code,
    )


def _resolution(comparisons: Sequence[Comparison]) -> float:
    """The largest tolerance, as a share of the typical derivative of its comparison."""
    shares = []
    for c in comparisons:
        sizes = np.abs(c.slopes.value[np.isfinite(c.slopes.value) & (c.slopes.value != 0)])
        tolerance = c.judgement.tolerance[np.isfinite(c.judgement.tolerance)]
        if sizes.size and tolerance.size:
            shares.append(float(tolerance.max() / np.median(sizes)))
    return max(shares, default=float("nan"))


def summarize(check: str, context: Context, comparisons: Sequence[Comparison], note: str = "") -> Result:
    """One result of all comparisons of one rule."""
    wrong = sum(int(c.judgement.wrong.sum()) for c in comparisons)
    undeclared = sum(int(c.judgement.undeclared.sum()) for c in comparisons)
    undecided = sum(int(c.judgement.undecided.sum()) for c in comparisons)
    status = WRONG if wrong else NOT_DIFFERENTIABLE if undeclared else UNDECIDED if undecided else RIGHT
    compared = sum(c.analytic.size for c in comparisons)
    kinks = sum(int((c.slopes.kink | c.slopes.jump).sum()) for c in comparisons)
    if kinks and not undeclared:
        note = "; ".join(filter(None, [note, f"{kinks} at a declared kink or jump"]))
    failure = None if status == RIGHT else _describe(context, *_worst(comparisons))
    return Result(check, status, compared, wrong, undecided, _resolution(comparisons), note, failure)
