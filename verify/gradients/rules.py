"""The derivative rules under test, as functions of vectors, with their own rounding measured where it matters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from verify.gradients.kinks import SMOOTH, Declaration, Judgement, judge
from verify.gradients.noise import measure_noise
from verify.gradients.problem import Array, Function, Problem, flatten
from verify.gradients.quotient import Slopes

__all__ = ["Rules", "judge_rule", "rule_noise"]


@dataclass(frozen=True)
class Rules:
    """A vjp, jvp and hvp at the point of a problem; None for those that are not given.

    ``vjp(gy, *args) -> tuple``, ``jvp(tangents, *args) -> array``, ``hvp(gy, tangents, *args) -> tuple``.
    """

    problem: Problem
    vjp: Function | None
    jvp: Function | None
    hvp: Function | None

    def _args(self, point: Array | None) -> list[Any]:
        return self.problem.args if point is None else self.problem.arguments(point)

    def gradient(self, gy: Array, point: Array | None = None) -> Array:
        """The vjp: m to n, at a point (by default the problem's, on the caller's own arrays)."""
        assert self.vjp is not None
        return self.problem.join(self.vjp(self.problem.incoming(gy), *self._args(point)), "vjp")

    def tangent(self, direction: Array, point: Array | None = None) -> Array:
        """The jvp: n to m."""
        assert self.jvp is not None
        found = self.jvp(tuple(self.problem.split(direction)), *self._args(point))
        if np.shape(found) != self.problem.shape:
            raise AssertionError(f"{self.problem.name}: jvp has shape {np.shape(found)}, expected {self.problem.shape}")
        return flatten(found, "jvp")

    def curvature(self, gy: Array, direction: Array, point: Array | None = None) -> Array:
        """The hvp: n to n."""
        assert self.hvp is not None
        tangents = tuple(self.problem.split(direction))
        return self.problem.join(self.hvp(self.problem.incoming(gy), tangents, *self._args(point)), "hvp")


def judge_rule(
    problem: Problem,
    rule: Callable[[Array, Array | None], Array],
    given: Array,
    slopes: Slopes,
    declaration: Declaration = SMOOTH,
    *,
    doubt: Callable[[], Array] | None = None,
    subtracted: Array | None = None,
) -> tuple[Array, Judgement]:
    """Hold a derivative against measured slopes, granting it its own rounding.

    That is four units in the last place; only where this does not settle it, the rule's noise is measured as the
    function's is: at neighbouring points, and for neighbours of what the rule is given.

    Parameters
    ----------
    rule : derivative for a gy or a direction, at a point (None for the problem's own)
    given : the gy or the direction
    slopes : of the derivative's shape
    doubt : by what factor the errors of the slopes may have been understated; asked only where something seems wrong
    subtracted : the derivative that the slopes were already reduced by; then 0 is what is right
    """
    analytic = rule(given, None) if subtracted is None else subtracted
    claimed = analytic if subtracted is None else np.where(np.isfinite(subtracted), 0.0, subtracted)
    allowance = 4 * problem.epsilon * np.abs(analytic)
    found = judge(slopes, claimed, allowance, declaration)
    if found.wrong.any() and np.isfinite(claimed).all():
        allowance = np.maximum(allowance, rule_noise(problem, rule, given))
        if doubt is not None:
            factor = doubt()
            slopes = replace(slopes, error=slopes.error * factor, bend_error=slopes.bend_error * factor)
        found = judge(slopes, claimed, allowance, declaration)
    return analytic, found


def rule_noise(problem: Problem, rule: Callable[[Array, Array | None], Array], given: Array) -> Array:
    """How much rounding moves a derivative (``noise.py``)."""
    n = len(problem.point)
    unit = np.where(given == 0, 0.0, np.spacing(np.abs(given).astype(problem.dtype)).astype(np.float64))
    both, units = np.concatenate([problem.point, given]), np.concatenate([problem.unit, unit])
    return measure_noise(lambda z: rule(z[n:], z[:n]), both, units, problem.epsilon).bound
