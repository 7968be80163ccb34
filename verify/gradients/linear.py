"""Identities that hold without any step: adjointness, and linearity.

Both sides are computed from the same numbers, so they differ by rounding only, and that is measured: the noise of each
rule (``noise.py``), summed over the terms. Points are chosen so that forming them rounds nothing. ``code`` is the
snippet of a failure.
"""

from __future__ import annotations

import math

import numpy as np

from verify.gradients.noise import measure_noise
from verify.gradients.problem import Array, Problem
from verify.gradients.rules import Rules, rule_noise
from verify.gradients.taylor import draw_direction
from verify.gradients.verdict import RIGHT, WRONG, Failure, Result

__all__ = ["check_adjoint", "check_linear", "check_linear_in_gy", "coarse"]

_DRAWS = 3


def coarse(numbers: Array, epsilon: float) -> Array:
    """The numbers rounded to half of the mantissa, so that sums of a few and their doubles are exact."""
    mantissa, exponent = np.frexp(numbers)
    bits = round(-np.log2(epsilon) / 2)
    return np.ldexp(np.round(np.ldexp(mantissa, bits)), exponent - bits)


def _noise(problem: Problem, point: Array) -> Array:
    return measure_noise(problem.evaluate, point, problem.unit, problem.epsilon).bound


def check_adjoint(rules: Rules, seed: int, code: str) -> Result:
    """The dot-product test ``<gy, jvp(t)> = <vjp(gy), t>`` for random gy and t.

    The bound is the sum of |gy| times the jvp's noise and |t| times the vjp's, plus the rounding of the terms.
    """
    problem = rules.problem
    rng = np.random.default_rng([seed, 11])
    noises: list[Array] | None = None
    for _ in range(_DRAWS):
        gy = coarse(rng.standard_normal(problem.middle.shape), problem.epsilon)
        t = coarse(draw_direction(problem.reach, rng), problem.epsilon)
        forward, backward = gy * rules.tangent(t), rules.gradient(gy) * t
        difference = math.fsum([*forward, *-backward])
        terms = float(np.abs(forward).sum() + np.abs(backward).sum())
        error = 2 * problem.epsilon * terms
        if abs(difference) > error and noises is None:
            noises = [rule_noise(problem, rules.tangent, t), rule_noise(problem, rules.gradient, gy)]
        if noises is not None:
            error += float(np.abs(gy) @ noises[0] + np.abs(t) @ noises[1])
        if not abs(difference) <= error:
            pair = math.fsum(backward), math.fsum(forward)
            reason = "is not adjoint to the jvp: <vjp(gy), t> and <gy, jvp(t)> differ"
            failure = Failure(problem.name, "vjp", (), *pair, error, None, reason, code)
            return Result("adjoint", WRONG, _DRAWS, 1, failure=failure)
    return Result("adjoint", RIGHT, _DRAWS, note="<gy, jvp(t)> = <vjp(gy), t>")


def _compare(
    problem: Problem, check: str, what: str, sums: tuple[Array, Array], error: Array, reason: str, code: str
) -> Result:
    got, expected = sums
    wrong = ~(np.abs(got - expected) <= error)
    if not wrong.any():
        return Result(check, RIGHT, got.size)
    first = int(np.argmax(wrong))
    pair = float(got[first]), float(expected[first])
    failure = Failure(problem.name, what, (first,), *pair, float(error[first]), None, reason, code)
    return Result(check, WRONG, got.size, int(wrong.sum()), failure=failure)


def check_linear(problem: Problem, seed: int, code: str) -> Result:
    """A function declared linear in all its arguments together: f(x + y) = f(x) + f(y)."""
    rng = np.random.default_rng([seed, 12])
    x, y = (coarse(draw_direction(problem.reach, rng), problem.epsilon) for _ in range(2))
    points = [problem.snap(z) for z in (x, y, x + y)]
    of_x, of_y, of_sum = (problem.evaluate(z) for z in points)
    rounding = problem.epsilon * (np.abs(of_x) + np.abs(of_y) + np.abs(of_sum))
    error = 2 * (sum(_noise(problem, z) for z in points) + rounding)
    reason = "is not linear: f(x + y) is not f(x) + f(y)"
    return _compare(problem, "linear", "value", (of_sum, of_x + of_y), error, reason, code)


def check_linear_in_gy(rules: Rules, seed: int, code: str) -> Result:
    """Every vjp is linear in the incoming gradient."""
    problem = rules.problem
    rng = np.random.default_rng([seed, 13])
    a, b = (np.round(rng.uniform(-1, 1, problem.middle.shape) * 256) / 256 for _ in range(2))
    found = [rules.gradient(gy) for gy in (a, b, a + b, 2 * a)]
    sums, expected = np.concatenate(found[2:]), np.concatenate([found[0] + found[1], 2 * found[0]])
    error = 4 * problem.epsilon * (np.abs(found[0]) + np.abs(found[1]) + np.abs(found[2]))
    if not (np.abs(sums - expected) <= np.concatenate([error, error])).all():
        for gy in (a, b, a + b):
            error = error + 2 * rule_noise(problem, rules.gradient, gy)
    reason = "is not linear in gy: vjp(a + b) or vjp(2a) is not vjp(a) + vjp(b) or 2 vjp(a)"
    return _compare(problem, "linear in gy", "vjp", (sums, expected), np.concatenate([error, error]), reason, code)
