"""The comparisons of first and second order that one function gets, by its size and the budget."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from verify.gradients.differences import (
    PROJECTIONS,
    Comparison,
    Jacobian,
    compare_columns,
    compare_diagonal,
    compare_directions,
    compare_gradients,
)
from verify.gradients.failure import Context, summarize
from verify.gradients.kinks import Declaration
from verify.gradients.noise import measure_noise
from verify.gradients.problem import Array, Problem
from verify.gradients.rules import Rules
from verify.gradients.sampling import Groups, detection_probability, sample_elements, test_groups
from verify.gradients.snippet import Names
from verify.gradients.verdict import UNDECIDED, WRONG, Failure, Result

__all__ = ["check_first_order", "check_second_order"]

#: Evaluations that an element costs, about.
_EACH = 20
#: Rows and columns of the Jacobian are compared up to so many.
_MOST_ROWS = 512


def _slots(rules: Rules) -> dict[int, int]:
    """Which of the arrays a vjp returns belongs to an argument."""
    problem = rules.problem
    if rules.vjp is None:
        return {n: n for n in problem.positions}
    returned = rules.vjp(problem.incoming(np.ones(problem.middle.shape)), *problem.args)
    count = len(returned) if isinstance(returned, (tuple, list)) else 1
    if count == len(problem.args):
        return {n: n for n in problem.positions}
    return {n: slot for slot, n in enumerate(problem.positions)}


def check_first_order(
    rules: Rules, declaration: Declaration, names: Names, seed: int, budget: int, code: str
) -> tuple[list[Result], Jacobian, Context]:
    """The vjp and the jvp against the numeric Jacobian, which is handed on; ``code`` runs all of it again."""
    problem = rules.problem
    n, m = len(problem.point), len(problem.middle)
    everything = _EACH * n <= budget
    rng = np.random.default_rng([seed, 3])
    coordinates = np.arange(n) if everything else sample_elements(n, min(n, budget // (4 * _EACH)), rng)
    jacobian = Jacobian(problem, [int(c) for c in coordinates], seed)
    context = Context(problem, names, _slots(rules), jacobian)
    results = []
    groups: Groups | None = None
    if rules.vjp is not None:
        rows = m if m <= _MOST_ROWS and (everything or m * m <= budget) else 0
        comparisons = compare_gradients(rules, jacobian, declaration, rows)
        note = "every element" + (", every row of the Jacobian" if rows else "")
        if not everything:
            more, groups, note = _groups(rules, jacobian, declaration, seed, budget // 2)
            comparisons += more
            k = max(1, n // 1000)
            chance = detection_probability(n, k, len(coordinates))
            note += f"; {len(coordinates)} alone: {k} wrong of {n:,} are among them with probability {chance:.3g}"
        results.append(_with_groups(summarize("reverse", context, comparisons, note), groups, problem, code))
    if rules.jvp is not None:
        columns = jacobian.outputs and len(coordinates) <= _MOST_ROWS
        comparisons = compare_columns(rules, jacobian, declaration) if columns else []
        kinks = bool(jacobian.slopes.kink.any() or jacobian.slopes.jump.any())
        if not (kinks and columns):
            noise = measure_noise(problem.evaluate, problem.point, problem.unit, problem.epsilon, seed)
            comparisons += compare_directions(rules, noise, seed, declaration)
        note = f"{PROJECTIONS} directions, every output" + (", every column" if columns and everything else "")
        results.append(summarize("forward", context, comparisons, note))
    return results, jacobian, context


def _with_groups(result: Result, groups: Groups | None, problem: Problem, code: str) -> Result:
    """A result that is right so far, with what the groups alone showed."""
    if groups is None or not result.passed:
        return result
    if groups.unexplained:
        (first, last), *_ = groups.unexplained
        reason = f"is wrong among elements {first} to {last} together (analytic and numeric: not of one element)"
        failure = Failure(problem.name, "gradient", (), math.nan, math.nan, groups.tolerance, None, reason, code)
        return replace(result, status=WRONG, wrong=len(groups.unexplained), failure=failure)
    if groups.undecided:
        note = f"{groups.undecided} groups do not settle: a larger budget reaches their elements; {result.note}"
        return replace(result, status=UNDECIDED, undecided=groups.undecided, note=note)
    return result


def _groups(
    rules: Rules, jacobian: Jacobian, declaration: Declaration, seed: int, evaluations: int
) -> tuple[list[Comparison], Groups | None, str]:
    """All elements: those of arguments the function is elementwise in one by one, the others by groups."""
    problem = rules.problem
    rng = np.random.default_rng([seed, 4])
    gy = jacobian.gys[0]
    outputs = measure_noise(problem.evaluate, problem.point, problem.unit, problem.epsilon, seed)
    found, others = compare_diagonal(rules, outputs, gy, declaration)
    if not others.size:
        return found, None, "every element: the function is elementwise"

    def alone(element: int) -> list[Comparison]:
        one = Jacobian(problem, [element], seed, all_outputs=False)
        return compare_gradients(rules, one, declaration)

    def judge_one(element: int) -> bool:
        return any(c.judgement.wrong.any() or c.judgement.undeclared.any() for c in alone(element))

    gradient, noises = rules.gradient(gy), (outputs, jacobian.projected_noise(0))
    groups = test_groups(problem, gy, gradient, noises, others, rng, evaluations, judge_one)
    found += [c for element in groups.suspects for c in alone(element)]
    return found, groups, groups.statement(gradient, problem.reach, others)


def check_second_order(rules: Rules, names: Names, seed: int, budget: int) -> Result:
    """The hvp as the jvp of the vjp, for one random gy."""
    problem = rules.problem
    gy = np.random.default_rng([seed, 5]).uniform(-1, 1, problem.middle.shape)
    gy = gy.astype(problem.dtype).astype(np.float64)

    def gradient(*args: Any) -> Array:
        assert rules.vjp is not None
        return problem.join(rules.vjp(problem.incoming(gy), *args), "vjp").astype(problem.dtype)

    def second(tangents: Any, *args: Any) -> Array:
        assert rules.hvp is not None
        return problem.join(rules.hvp(problem.incoming(gy), tangents, *args), "hvp")

    inner = Problem(gradient, problem.args, name=problem.name, differentiable=problem.positions)
    inner_rules = Rules(inner, None, second, None)
    coordinates = range(len(inner.point)) if _EACH * len(inner.point) <= budget else range(0)
    jacobian = Jacobian(inner, coordinates, seed)
    comparisons = compare_columns(inner_rules, jacobian) if len(coordinates) <= _MOST_ROWS else []
    noise = measure_noise(inner.evaluate, inner.point, inner.unit, inner.epsilon, seed)
    comparisons += compare_directions(inner_rules, noise, seed)
    context = Context(inner, names, _slots(rules), jacobian, problem.incoming(gy))
    return summarize("second order", context, comparisons, "the hvp against differences of the vjp")
