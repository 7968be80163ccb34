"""Whole groups in one call with a random incoming gradient: is it multiplied in, and are parameters summed?"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from verify.oracle.adapters import Adapter, located
from verify.oracle.numbers import ulp_distance
from verify.oracle.slips import Diagnosis
from verify.oracle.snippets import Names, sum_call_snippet, sum_snippet
from verify.oracle.table import SMALLEST, Table
from verify.oracle.vectors import Group
from verify.oracle.verdict import Failure, Row

__all__ = ["SumCheck", "incoming"]


def incoming(seed: int, number: int, count: int) -> np.ndarray:
    """The incoming gradient of a group's elements, float64 of shape (count,); ``number`` is the group's."""
    return np.random.default_rng([seed, number]).standard_normal(count)


@dataclass
class SumCheck:
    """The check of whole groups and what it found.

    ``alone`` are the user's own gradients case by case, for the outputs for which these are right: only the sum is in
    question.
    """

    table: Table
    adapter: Adapter
    names: Names
    seed: int
    alone: dict[str, np.ndarray]
    rows: list[Row] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    diagnoses: list[Diagnosis] = field(default_factory=list)

    def run(self) -> None:
        """A call a group, at the cases where no rounding picks a side of a kink."""
        wrong = dict.fromkeys(self.alone, 0)
        explained: dict[str, str] = {}
        groups = self.table.vectors.groups
        for number, group in enumerate(groups):
            look = group.decided
            gy = incoming(self.seed, number, int(look.sum()))
            with located(group, sum_call_snippet(self.names, self.table, number, self.seed)):
                returned = self.adapter.gradients(gy, group.x[look], group.scalars, group.options)
            for place, (name, gradient) in enumerate(zip(self.table.vectors.gradients, returned, strict=True)):
                if name not in self.alone:
                    continue  # already reported case by case
                start = self.table.starts[number]
                alone = self.alone[name][start : start + len(group.ids)][look]
                failure = self._failure(name, place, number, gradient, gy, alone)
                if failure is not None:
                    self.failures.append(failure)
                    wrong[name] += 1
                    explained.setdefault(name, _explain(gradient, gy, alone, place, group))
        for name, count in wrong.items():
            self.rows.append(Row(f"{name}, by group", len(groups), count, np.nan))
            if count:
                self.diagnoses.append(Diagnosis("sum-over-a-group", (name,), explained[name]))

    def _failure(
        self, name: str, place: int, number: int, gradient: np.ndarray | None, gy: np.ndarray, alone: np.ndarray
    ) -> Failure | None:
        """What is wrong with one gradient of a group; of dx, at its worst element."""
        group = self.table.vectors.groups[number]
        terms, right = np.abs(gy) * group.outputs[name].terms[group.decided], gy * alone
        if place:
            terms, right = np.sum(terms, keepdims=True), np.sum(right, keepdims=True)
        got = np.zeros_like(right) if gradient is None else np.reshape(gradient, right.shape)
        slack = np.ldexp(terms, 1 - self.table.vectors.tolerance_bits) + terms * len(gy) * 2.0**-53 + SMALLEST
        with np.errstate(all="ignore"):
            excess = np.where(np.isfinite(got), np.abs(got - right) / slack, np.inf)
        if np.all(excess <= 1):
            return None
        worst = int(np.argmax(excess))
        element = f", element {worst}" if place == 0 else ""
        one, expected = float(got[worst]), float(right[worst])
        return Failure(
            f"{name}, by group",
            f"{group.id} as a whole",
            f"incoming gradients of seed {self.seed}; expected from your own gradients one by one{element}",
            (),
            dict(group.parameters),
            repr(expected),
            one,
            (ulp_distance(one, expected) or None) if np.isfinite(one) else None,
            float(terms[worst]),
            float(slack[worst]),
            sum_snippet(self.names, self.table, number, self.seed, name, worst),
            len(gy),
        )


def _explain(gradient: np.ndarray | None, gy: np.ndarray, alone: np.ndarray, place: int, group: Group) -> str:
    """Why the gradients of a whole group are not those of its cases, weighted by gy and summed."""
    if gradient is None:
        return f"in group {group.id} no gradient arrives (it is None), though it does for its cases alone"
    if place == 0:
        if np.allclose(gradient, alone):
            return "the incoming gradient gy is ignored (right for gy = 1 only)"
        return f"in group {group.id} the entries are not gy times those of each case alone"
    right = np.sum(gy * alone)
    for other, words in (
        (right / len(gy), "the gradient is averaged over the elements instead of summed"),
        (np.sum(alone), "the incoming gradient gy is ignored (right for gy = 1 only)"),
    ):
        if np.isclose(float(gradient), other):
            return words
    return f"in group {group.id} the gradient is {float(gradient)!r}, the sum over the cases alone is {float(right)!r}"
