"""``check``: is this gradient right? For any function of arrays, whoever wrote it and in whatever framework."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from minigrad.errors import InputError
from verify.gradients.complex_step import ComplexStep, NotAllowed
from verify.gradients.differences import PROJECTIONS, Comparison, Jacobian
from verify.gradients.failure import Context, summarize
from verify.gradients.kinks import SMOOTH, Declaration
from verify.gradients.linear import check_adjoint, check_linear, check_linear_in_gy
from verify.gradients.orders import check_first_order, check_second_order
from verify.gradients.problem import Array, Function, Problem, quiet
from verify.gradients.quotient import Slopes
from verify.gradients.repeat import check_repeats
from verify.gradients.rules import Rules, judge_rule
from verify.gradients.snippet import Names, check_snippet
from verify.gradients.taylor import Rates, draw_direction, measure_rates
from verify.gradients.verdict import NOT_ALLOWED, RIGHT, WRONG, Failure, Result, Verdict

__all__ = ["check"]

#: Coordinates of the complex step.
_MOST_COMPLEX = 16


def check(
    function: Function,
    args: Sequence[Any],
    *,
    vjp: Function | None = None,
    jvp: Function | None = None,
    hvp: Function | None = None,
    name: str | None = None,
    differentiable: Sequence[int] | None = None,
    linear: bool = False,
    declaration: Declaration = SMOOTH,
    seed: int = 0,
    budget: int = 20_000,
    names: Names | None = None,
) -> Verdict:
    """Judge the derivative rules of a function at a point by all checks that apply.

    There is no step and no tolerance to choose: a derivative is right where it is within the error of the numeric one,
    which is measured (``quotient.py``), in the dtype the function computes in.

    Parameters
    ----------
    function : ``function(*args)`` returns an array of float32 or float64, or a number
    args : the arguments; arrays of floats (any shape) and floats are differentiated by
    vjp : ``vjp(gy, *args)`` returns the gradients of ``sum(gy * value)``: one an argument, or one a differentiable one;
        None for zero
    jvp : ``jvp(tangents, *args)`` returns the directional derivative; one tangent an argument, None where there is none
    hvp : ``hvp(gy, tangents, *args)`` returns the derivative of the vjp along the tangents, shaped as the vjp; it needs
        ``vjp``
    name : of the function, for messages
    differentiable : positions of the arguments to differentiate by, if not all arrays of floats
    linear : whether the function is declared linear in all its arguments together
    declaration : what the gradient is: ``SMOOTH``, ``kink(pick)``, ``jump(pick)`` or ``surrogate(name, function)``
    seed : of all random choices
    budget : about how many evaluations of the function may be spent. It decides whether every element is differentiated
        by alone (n elements cost about 20 n), or all in groups and some alone (``sampling.py``)
    names : how snippets call the functions; by default by their own names

    Returns
    -------
    Verdict

    Raises
    ------
    InputError
        If the arguments are not finite floats, the value is not, or no rule is given.
    AssertionError
        If a rule returns the wrong number of arrays, or one of the wrong shape.
    """
    if vjp is None and jvp is None and not linear:
        raise InputError("vjp, jvp: expected at least one of them")
    if hvp is not None and vjp is None:
        raise InputError("hvp: it is compared with differences of the vjp, which is not given")
    names = names or Names.of(function, vjp, jvp, hvp)
    with quiet():
        own = Problem(function, args, name=name, differentiable=differentiable)
        problem = own
        if declaration.function is not None:
            problem = Problem(declaration.function, args, name=own.name, differentiable=differentiable)
            if problem.shape != own.shape:
                raise InputError(f"surrogate: expected a value of shape {own.shape}, got {problem.shape}")
        rules = Rules(problem, vjp, jvp, hvp)
        if not problem.point.size or not problem.middle.size:
            return Verdict(own.name, (_nothing(rules),), own.evaluations)
        parts = {"vjp": vjp, "jvp": jvp, "hvp": hvp}
        given = [(key, getattr(names, key) if rule is not None else None) for key, rule in parts.items()]
        given += [("differentiable", differentiable), ("linear", linear or None), ("seed", seed)]
        code = check_snippet(names, problem.args, given)
        repeats = check_repeats(rules, seed, code) if vjp is not None or jvp is not None else None
        results, jacobian, context = check_first_order(rules, declaration, names, seed, budget, code)
        if hvp is not None:
            results.append(check_second_order(rules, names, seed, budget))
        if vjp is not None:
            results.append(_taylor(rules, jacobian, seed, code))
        results.append(_complex(rules, jacobian, context, seed))
        if vjp is not None:
            results.append(check_linear_in_gy(rules, seed, code))
            if jvp is not None:
                results.append(check_adjoint(rules, seed, code))
        if linear:
            results.append(check_linear(problem, seed, code))
        if repeats is not None:
            results.append(repeats)
        note = f"the gradient of {declaration.name}" if declaration.function is not None else ""
        if note and results:
            results[0] = replace(results[0], note="; ".join(filter(None, [note, results[0].note])))
    evaluations = problem.evaluations + (own.evaluations if own is not problem else 0)
    return Verdict(own.name, tuple(results), evaluations)


def _nothing(rules: Rules) -> Result:
    """No elements: only shapes can be wrong, and asking for the derivatives shows that."""
    if rules.vjp is not None:
        rules.gradient(np.zeros(rules.problem.middle.shape))
    if rules.jvp is not None:
        rules.tangent(np.zeros(rules.problem.point.shape))
    return Result("shapes", RIGHT, note="there are no elements")


def _taylor(rules: Rules, jacobian: Jacobian, seed: int, code: str) -> Result:
    """The Taylor rates of each projection along a random direction."""
    problem = rules.problem
    if jacobian.slopes.kink.any() or jacobian.slopes.jump.any():
        return Result("Taylor", NOT_ALLOWED, note="the point is on a kink or a jump")
    rng = np.random.default_rng([seed, 6])
    found: list[Rates] = []
    for number, gy in enumerate(jacobian.gys):
        gradient, direction = rules.gradient(gy), draw_direction(problem.reach, rng)
        if not np.isfinite(gradient).all():
            return Result("Taylor", WRONG, 1, 1, note="the gradient is not finite")
        curvature = None
        if rules.hvp is not None:
            curvature = float(rules.curvature(gy, direction) @ direction)

        def change(z: Array, gy: Array = gy) -> Array:
            return np.atleast_1d(np.sum(gy * (problem.evaluate(z) - problem.middle)))

        noise = float(jacobian.projected_noise(number).bound[0])
        found.append(measure_rates(problem, change, gradient, direction, curvature, noise))
    wrong = [r for r in found if any(rate.verdict == "wrong" for rate in r.rates)]
    shown = str((wrong or found)[0])
    if not wrong:
        return Result("Taylor", RIGHT, sum(len(r.rates) for r in found), note=shown)
    worst = next(rate for rate in wrong[0].rates if rate.verdict == "wrong")
    failure = Failure(
        problem.name,
        f"R{worst.order - 1}",
        (),
        worst.rate,
        float(worst.order),
        wrong[0].band,
        None,
        "vanishes too slowly along a random direction (analytic: the rate fitted; numeric: what it has to be)",
        code,
    )
    return Result("Taylor", WRONG, sum(len(r.rates) for r in found), len(wrong), note=shown, failure=failure)


def _complex(rules: Rules, jacobian: Jacobian, context: Context, seed: int) -> Result:
    """Directions, and the coordinates of a small function, by the complex step."""
    problem, rng = rules.problem, np.random.default_rng([seed, 7])
    n = len(problem.point)
    lines = list(np.diag(problem.reach)) if n <= _MOST_COMPLEX else []
    outputs = jacobian.noise.bound[: jacobian.outputs]
    if not jacobian.outputs or len(jacobian.coordinates) < n:
        return Result("complex step", NOT_ALLOWED, note="the function is too large")
    try:
        step = ComplexStep(problem)
        directions = [draw_direction(problem.reach, rng) for _ in range(PROJECTIONS)]
        measured = [step.derivative(d, outputs) for d in [*directions, *lines]]
    except NotAllowed as reason:
        return Result("complex step", NOT_ALLOWED, note=str(reason))
    comparisons = []
    for direction, (value, error) in zip(directions, measured, strict=False):
        if rules.jvp is not None:
            analytic, judged = judge_rule(problem, rules.tangent, direction, _exact(value, error))
            comparisons.append(Comparison("direction", direction, (), analytic, _exact(value, error), judged))
    if rules.vjp is not None and lines:
        columns = np.stack([value for value, _ in measured[PROJECTIONS:]]) / problem.reach[:, None]
        errors = np.stack([error for _, error in measured[PROJECTIONS:]]) / problem.reach[:, None]
        for gy in jacobian.gys:
            slopes = _exact(columns @ gy, errors @ np.abs(gy) + problem.epsilon * np.abs(columns) @ np.abs(gy))
            analytic, judged = judge_rule(problem, rules.gradient, gy, slopes)
            comparisons.append(Comparison("gradient", gy, range(n), analytic, slopes, judged))
    return summarize("complex step", context, comparisons)


def _exact(value: Array, error: Array) -> Slopes:
    """Slopes of a smooth function, known that well."""
    no, yes = np.zeros(value.shape, bool), np.ones(value.shape, bool)
    return Slopes(value, error, 0 * value, 0 * value, no, no, yes)
