"""Holding a user's function against the vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigrad.errors import InputError
from verify.oracle.adapters import Adapter, Misbehaved, integer_codes, located, make_adapter
from verify.oracle.kinks import accept_beside_bounds, judge_kinks
from verify.oracle.numbers import ulp_distance
from verify.oracle.slips import Diagnosis, diagnose, diagnose_codes
from verify.oracle.snippets import (
    Names,
    codes_call_snippet,
    codes_snippet,
    gradient_call_snippet,
    gradient_snippet,
    value_call_snippet,
    value_snippet,
)
from verify.oracle.sums import SumCheck
from verify.oracle.table import Table, judge, worst_bits
from verify.oracle.vectors import Group, load
from verify.oracle.verdict import Failure, Row, Verdict

__all__ = ["check", "require_seed"]

Function = Callable[..., Any]


@dataclass
class _Run:
    """A check under way: what was got, case by case, and what was found."""

    table: Table
    adapter: Adapter
    names: Names
    seed: int
    got: dict[str, np.ndarray] = field(default_factory=dict)
    missing: dict[str, np.ndarray] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    diagnoses: list[Diagnosis] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def groups(self) -> Iterator[tuple[Group, int]]:
        """Each group and the number of its first case."""
        return zip(self.table.vectors.groups, self.table.starts, strict=False)

    def collect_values(self) -> None:
        """The function's value, a call a group."""
        self.got["y"] = np.full(len(self.table.ids), np.nan)
        self.missing["y"] = np.zeros(len(self.table.ids), bool)
        for number, (group, start) in enumerate(self.groups()):
            with located(group, value_call_snippet(self.names, self.table, number)):
                y = self.adapter.value(group.x, group.scalars, group.options)
            self.got["y"][start : start + len(group.ids)] = y

    def collect_gradients(self) -> None:
        """Every partial derivative: a call a case, as parameter gradients are sums over the cases of a call."""
        names, one = self.table.vectors.gradients, np.ones(1)
        for name in names:
            self.got[name] = np.zeros(len(self.table.ids))
            self.missing[name] = np.zeros(len(self.table.ids), bool)
        for group, start in self.groups():
            for case in range(start, start + len(group.ids)):
                x = self.table.x[case : case + 1]
                with located(group, gradient_call_snippet(self.names, self.table, case)):
                    gradients = self.adapter.gradients(one, x, group.scalars, group.options)
                for name, gradient in zip(names, gradients, strict=True):
                    # No gradient at all is the gradient 0; whether it should be is judged as for any number.
                    self.got[name][case] = 0.0 if gradient is None else gradient.item()
                    self.missing[name][case] = gradient is None

    def judge_cases(self) -> None:
        """Compare what was collected, and explain what is wrong."""
        wrong = {name: judge(self.table, name, got) for name, got in self.got.items()}
        cleared: dict[str, np.ndarray] = {}
        if self.adapter.has_gradients:
            cleared, notes = accept_beside_bounds(self.table, self.got, wrong)
            self.notes += judge_kinks(self.table, self.got, wrong) + notes
        for name, got in self.got.items():
            bits = worst_bits(self.table, name, got, cleared.get(name))
            self.rows.append(Row(name, len(got), int(wrong[name].sum()), bits))
            self.failures += [self.failure(name, case) for case in map(int, np.flatnonzero(wrong[name]))]
        self.diagnoses += diagnose(self.table, self.got, wrong, self.missing)

    def failure(self, output: str, case: int) -> Failure:
        expected = self.table.expected[output]
        value, low, high = (float(a[case]) for a in (expected.value, expected.low, expected.high))
        got = float(self.got[output][case])
        if output == "y":
            snippet = value_snippet(self.names, self.table, case)
        else:
            snippet = gradient_snippet(self.names, self.table, case, output)
        return Failure(
            output,
            self.table.ids[case],
            self.table.comments[case],
            tuple(self.table.flags[case]),
            self.table.arguments(case),
            repr(value) if low == high else f"from {low!r} to {high!r} (a kink)",
            got,
            # To the nearest accepted number; inside a kink's interval (mixed conventions) there is no distance.
            ulp_distance(got, min(max(got, low), high)) or None if np.isfinite(got) else None,
            float(expected.terms[case]),
            float(self.table.tolerance(output)[case]),
            snippet,
        )

    def check_sums(self) -> None:
        """A call a group, for the gradients that are right case by case."""
        right = {row.output for row in self.rows if not row.wrong}
        alone = {name: self.got[name] for name in self.table.vectors.gradients if name in right}
        sums = SumCheck(self.table, self.adapter, self.names, self.seed, alone)
        self.notes.append(f"incoming gradients of whole groups were drawn with seed {self.seed}")
        sums.run()
        self.rows += sums.rows
        self.failures += sums.failures
        self.diagnoses += sums.diagnoses

    def check_codes(self, function: Function) -> None:
        """The codes of the hard quantizer, a call a group."""
        if not self.table.codes:
            raise InputError(f"--codes: {self.table.vectors.method} has no codes")
        found = []
        for number, (group, _) in enumerate(self.groups()):
            with located(group, codes_call_snippet(self.names, self.table, number)):
                found.append(integer_codes(function, group.x, group.scalars, group.options))
        got = np.concatenate(found)
        wrong = np.array([int(c) not in accepted for c, accepted in zip(got, self.table.codes, strict=True)])
        self.rows.append(Row("codes", len(got), int(wrong.sum()), np.nan))
        for case in map(int, np.flatnonzero(wrong)):
            accepted = " or ".join(str(code) for code in self.table.codes[case])
            self.failures.append(
                Failure(
                    "codes",
                    self.table.ids[case],
                    self.table.comments[case],
                    tuple(self.table.flags[case]),
                    self.table.arguments(case),
                    accepted,
                    int(got[case]),
                    None,
                    None,
                    None,
                    codes_snippet(self.names, self.table, case),
                )
            )
        if wrong.any():
            self.diagnoses += diagnose_codes(self.table, got)


def require_seed(seed: int) -> None:
    """InputError where NumPy's generators do not take a seed."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise InputError(f"--seed: expected an integer from 0 up, got {seed!r}")


def _simplicity(failure: Failure) -> tuple[Any, ...]:
    """One element, no kink if possible, fewer bits, the shortest decimals, the smallest |x|."""
    values = list(failure.arguments.values()) or [0.0]
    kink = "clip-bound" in failure.flags or "kink" in failure.flags
    return (failure.elements, kink, failure.arguments.get("bits", 0), sum(len(repr(v)) for v in values), abs(values[0]))


def check(
    function: Function,
    method: str = "dsq",
    framework: str = "numpy",
    vjp: Function | None = None,
    *,
    codes: Function | None = None,
    seed: int = 0,
    names: Names | None = None,
) -> Verdict:
    """Run a user's function on the vectors of a method and say whether it is right, and where and why not.

    Parameters
    ----------
    function : called as ``soft`` is: ``function(x, l, u, alpha, bits)`` with x of shape (n,) in float64, l, u, alpha
        floats (torch: 0-dimensional float64 tensors that require gradients) and bits an int; elementary functions are
        called with x alone
    method : a name from ``verify.oracle.vectors.methods()``
    framework : "numpy" or "torch" (gradients through autograd)
    vjp : for NumPy: ``vjp(gy, x, l, u, alpha, bits) -> (dx, dl, du, dalpha)``; without it only values are checked
    codes : ``codes(x, l, u, alpha, bits)`` -> integers of the hard quantizer, in NumPy
    seed : of the incoming gradients of whole groups, from 0 up
    names : how the snippets import the functions

    Raises
    ------
    InputError
        If the method or framework is not known, the seed is below 0, or a function cannot be called with these
        arguments.
    """
    require_seed(seed)
    table = Table.of(load(method))
    count = 1 + len(table.parameters)
    adapter = make_adapter(framework, function, vjp, table.vectors.gradients, count)
    names = names or Names.of(function, vjp, codes, framework)
    run = _Run(table, adapter, names, seed)
    problem: tuple[Any, ...] = (None, None)
    try:
        run.collect_values()
        if adapter.has_gradients:
            run.collect_gradients()
        run.judge_cases()
        if adapter.has_gradients:
            run.check_sums()
        if codes is not None:
            run.check_codes(codes)
    except Misbehaved as error:
        problem = (*error.args, None)[:2]
    if not adapter.has_gradients:
        run.notes.append("gradients were not checked: name the function that computes them with --vjp")
    return Verdict(
        names.function,
        method,
        framework,
        f"vectors {table.vectors.version}",
        tuple(run.rows),
        tuple(run.diagnoses),
        run.failures[0] if run.failures else None,
        min(run.failures, key=_simplicity) if run.failures else None,
        problem[0],
        problem[1],
        tuple(run.notes),
    )
