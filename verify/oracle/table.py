"""All cases of a method in one table, what a user's function gave for them, and which of it is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from verify.oracle.vectors import Expected, Vectors

__all__ = ["Table", "judge", "worst_bits"]

#: Added to every tolerance: results below float64's normal range have an absolute error.
SMALLEST = 2.0**-1074


@dataclass(frozen=True)
class Table:
    """The cases of all groups, one after the other; arrays have the shape (cases,).

    ``parameters`` repeats a group's parameters for each of its cases; ``starts`` are the first cases of the groups,
    ``outside`` and ``kink`` mark cases.
    """

    vectors: Vectors
    ids: list[str]
    comments: list[str]
    flags: list[list[str]]
    starts: list[int]
    x: np.ndarray
    parameters: dict[str, np.ndarray]
    kink: np.ndarray
    outside: np.ndarray
    expected: dict[str, Expected]
    codes: list[list[int]]

    @classmethod
    def of(cls, vectors: Vectors) -> Table:
        groups = vectors.groups
        flags = [f for g in groups for f in g.flags]
        expected = {
            name: Expected(
                *(
                    np.concatenate([getattr(g.outputs[name], part) for g in groups])
                    for part in ("value", "terms", "low", "high")
                )
            )
            for name in groups[0].outputs
        }
        return cls(
            vectors,
            [i for g in groups for i in g.ids],
            [c for g in groups for c in g.comments],
            flags,
            list(np.cumsum([0, *(len(g.ids) for g in groups)])),
            np.concatenate([g.x for g in groups]),
            {
                name: np.concatenate([np.full(len(g.ids), g.parameters[name]) for g in groups])
                for name in groups[0].parameters
            },
            np.concatenate([g.kink for g in groups]),
            np.array(["outside" in f for f in flags], dtype=bool),
            expected,
            [c for g in groups for c in (g.codes or [])],
        )

    def arguments(self, case: int) -> dict[str, Any]:
        """The arguments of a case by name, in the order of a call."""
        parameters = {name: array[case].item() for name, array in self.parameters.items()}
        return {self.vectors.arguments[0]: float(self.x[case]), **parameters}

    def flagged(self, *flags: str) -> np.ndarray:
        """Which cases have one of the flags."""
        return np.array([not found.isdisjoint(flags) for found in map(set, self.flags)], dtype=bool)

    def tolerance(self, output: str) -> np.ndarray:
        """How far a result may be from what is expected."""
        return np.ldexp(self.expected[output].terms, -self.vectors.tolerance_bits) + SMALLEST


def judge(table: Table, output: str, got: np.ndarray) -> np.ndarray:
    """Which cases are wrong. NaN is."""
    expected, tolerance = table.expected[output], table.tolerance(output)
    return ~((got >= expected.low - tolerance) & (got <= expected.high + tolerance))


def worst_bits(table: Table, output: str, got: np.ndarray, cleared: np.ndarray | None = None) -> float:
    """The largest k with |got - expected| <= 2^-k terms over the cases that are no kinks (float arithmetic).

    ``cleared`` marks further cases, where a gradient is accepted that is not the expected one.
    """
    expected = table.expected[output]
    look = ~table.kink if cleared is None else ~(table.kink | cleared)
    error, terms = np.abs(got - expected.value)[look], expected.terms[look] + SMALLEST
    if not np.isfinite(error).all():
        return -np.inf
    with np.errstate(over="ignore"):  # an error where nothing may be wrong is infinitely many terms
        worst = float(np.max(error / terms, initial=0.0))
    if worst == 0 or np.isinf(worst):
        return -np.inf if worst else np.inf
    return float(np.floor(-np.log2(worst)))
