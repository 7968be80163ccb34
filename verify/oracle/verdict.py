"""What a check found, as data and as text."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from verify.oracle.slips import Diagnosis

__all__ = ["Failure", "Row", "Verdict"]


@dataclass(frozen=True)
class Row:
    """One output: how many cases were judged, how many are wrong, and the bits its worst case agrees to.

    ``bits`` is the largest k with |got - expected| <= 2^-k terms everywhere: infinite where all is exact, minus
    infinite where a result is not finite, NaN for outputs that are compared in another way.
    """

    output: str
    cases: int
    wrong: int
    bits: float


def _agreement(bits: float) -> str:
    if math.isnan(bits):
        return ""
    if math.isinf(bits):
        return "the last bit" if bits > 0 else "nothing"
    return f"2^{-bits:g} of its terms"


@dataclass(frozen=True)
class Failure:
    """A wrong result: the case, what was expected and got, how far apart, and code that shows it.

    ``elements`` is how many values of x the call had; where it is not 1, ``arguments`` are the others.
    """

    output: str
    case: str
    comment: str
    flags: tuple[str, ...]
    arguments: dict[str, Any]
    expected: str
    got: float | int
    ulps: int | None
    terms: float | None
    tolerance: float | None
    snippet: str
    elements: int = 1

    def lines(self) -> list[str]:
        values = [f"{name} = {value!r}" for name, value in self.arguments.items()]
        if self.elements != 1:
            values.insert(0, f"{self.elements} values of x")
        lines = [
            f"case {self.case}: {self.comment}" + (f" ({', '.join(self.flags)})" if self.flags else ""),
            f"  input     {', '.join(values)}",
            f"  {self.output} expected {self.expected}",
            f"  {' ' * len(self.output)} got      {self.got!r}",
        ]
        if self.ulps is not None:
            lines.append(f"  distance  {self.ulps} ulp, allowed {self.tolerance:.3g} (terms {self.terms:.6g})")
        return lines


@dataclass(frozen=True)
class Verdict:
    """The result of a check; ``passed`` is the answer.

    Attributes
    ----------
    rows : one an output
    diagnoses : known slips that explain the failures
    first, smallest : the first failing case of the file, and the one with the simplest input
    problem : what kept the check from going on (the function raised, or returned something else than a result)
    notes : what a reader should know: what was not checked, which convention holds at kinks, the seed
    """

    name: str
    method: str
    framework: str
    version: str
    rows: tuple[Row, ...]
    diagnoses: tuple[Diagnosis, ...] = ()
    first: Failure | None = None
    smallest: Failure | None = None
    problem: str | None = None
    problem_snippet: str | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def passed(self) -> bool:
        return self.problem is None and not any(row.wrong for row in self.rows)

    def text(self) -> str:
        """The verdict in plain text."""
        head = f"{'PASS' if self.passed else 'FAIL'}  {self.name}  ({self.method}, {self.framework}, {self.version})"
        lines = [head]
        if self.rows:
            lines += ["", f"  {'output':<17}{'cases':>7}{'wrong':>7}   agrees to"]
        for row in self.rows:
            lines.append(f"  {row.output:<17}{row.cases:>7}{row.wrong:>7}   {_agreement(row.bits)}".rstrip())
        if self.problem:
            lines += ["", f"Stopped: {self.problem}"]
            if self.problem_snippet:
                lines += ["", "To reproduce:", self.problem_snippet]
        if self.diagnoses:
            lines += ["", "Diagnosis:", *(f"  {diagnosis}" for diagnosis in self.diagnoses)]
        if self.first is not None:
            lines += ["", "First failing " + self.first.lines()[0], *self.first.lines()[1:]]
        if self.smallest is not None:
            if self.first is not None and self.smallest.case == self.first.case:
                lines += ["", "It is the smallest failing case too."]
            else:
                lines += ["", "Smallest failing " + self.smallest.lines()[0], *self.smallest.lines()[1:]]
            lines += ["", "To reproduce the smallest:", self.smallest.snippet]
        if self.notes:
            lines += ["", *(f"Note: {note}" for note in self.notes)]
        return "\n".join(lines)
