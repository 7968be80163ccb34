"""A rule says the same again after it was asked elsewhere: nothing is kept from one call to the next.

The differences call the function at other points, but a rule only at one: one that uses what an earlier call left
behind (a residual, a cached mask) would be right there every time.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from verify.gradients.problem import UNDEFINED, Array, Problem
from verify.gradients.rules import Rules, rule_noise
from verify.gradients.verdict import RIGHT, WRONG, Failure, Result

__all__ = ["check_repeats"]


def check_repeats(rules: Rules, seed: int, code: str) -> Result:
    """The vjp and the jvp at the point, before and after a call at another one."""
    problem = rules.problem
    rng = np.random.default_rng([seed, 14])
    compared = 0
    asked: list[tuple[str, Callable[[Array, Array | None], Array], int]] = []
    if rules.vjp is not None:
        asked.append(("vjp", rules.gradient, len(problem.middle)))
    if rules.jvp is not None:
        asked.append(("jvp", rules.tangent, len(problem.point)))
    for what, rule, count in asked:
        given = np.round(rng.uniform(-1, 1, count) * 256) / 256
        before = rule(given, None)
        _ask_elsewhere(problem, rule, given)
        after = rule(given, None)
        compared += after.size
        error = 4 * problem.epsilon * np.abs(before)
        if _differ(after, before, error).any():
            error = error + 2 * rule_noise(problem, rule, given)
            # The noise was measured elsewhere too.
            _ask_elsewhere(problem, rule, given)
            after = rule(given, None)
        wrong = _differ(after, before, error)
        if wrong.any():
            first = int(np.argmax(wrong))
            pair = float(after[first]), float(before[first])
            reason = "is not the same again after a call with other arguments (analytic: after it; numeric: before)"
            failure = Failure(problem.name, what, (first,), *pair, float(error[first]), None, reason, code)
            return Result("repeats", WRONG, compared, int(wrong.sum()), failure=failure)
    return Result("repeats", RIGHT, compared, note="the same after a call with other arguments")


def _differ(after: Array, before: Array, error: Array) -> Array:
    return ~((np.abs(after - before) <= error) | (after == before) | (np.isnan(after) & np.isnan(before)))


def _ask_elsewhere(problem: Problem, rule: Callable[[Array, Array | None], Array], given: Array) -> None:
    """At the elements in each other's place, or one alone a little larger."""
    elsewhere = problem.point.copy()
    for position in problem.positions:
        where = problem.slice_of(position)
        part = elsewhere[where]
        elsewhere[where] = np.roll(part, 1) if part.size > 1 else part * 1.0625
    try:
        rule(given, problem.snap(elsewhere))
    except UNDEFINED:
        return
