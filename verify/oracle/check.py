"""Holding a user's function against the vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigrad.errors import InputError
from verify.oracle.adapters import Adapter, Misbehaved, integer_codes, make_adapter
from verify.oracle.kinks import judge_kinks
from verify.oracle.numbers import ulp_distance
from verify.oracle.slips import Diagnosis, diagnose, diagnose_codes
from verify.oracle.snippets import Names, codes_snippet, gradient_snippet, sum_snippet, value_snippet
from verify.oracle.table import Table, judge, worst_bits
from verify.oracle.vectors import Group, load
from verify.oracle.verdict import Failure, Row, Verdict

__all__ = ["check"]

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
        for group, start in self.groups():
            with _located(group, value_snippet(self.names, self.table, start)):
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
                with _located(group, gradient_snippet(self.names, self.table, case, names[0])):
                    gradients = self.adapter.gradients(one, x, group.scalars, group.options)
                for name, gradient in zip(names, gradients, strict=True):
                    # No gradient at all is the gradient 0; whether it should be is judged as for any number.
                    self.got[name][case] = 0.0 if gradient is None else gradient.item()
                    self.missing[name][case] = gradient is None

    def judge_cases(self) -> None:
        """Compare what was collected, and explain what is wrong."""
        wrong = {name: judge(self.table, name, got) for name, got in self.got.items()}
        if self.adapter.has_gradients:
            self.notes += judge_kinks(self.table, self.got, wrong)
        for name, got in self.got.items():
            bits = worst_bits(self.table, name, got)
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
        """One call a group with a random incoming gradient: is it multiplied in, and are parameters summed?"""
        rng = np.random.default_rng(self.seed)
        wrong_alone = {row.output for row in self.rows if row.wrong}
        wrong = {name: 0 for name in self.table.vectors.gradients if name not in wrong_alone}
        explained: dict[str, str] = {}
        for group, start in self.groups():
            smooth = ~group.kink
            gy = rng.standard_normal(int(smooth.sum()))
            with _located(group, sum_snippet(self.names, self.table, group, self.seed)):
                returned = self.adapter.gradients(gy, group.x[smooth], group.scalars, group.options)
            for place, (name, gradient) in enumerate(zip(self.table.vectors.gradients, returned, strict=True)):
                if name not in wrong:
                    continue  # already reported case by case
                got = np.zeros(()) if gradient is None else gradient
                alone = self.got[name][start : start + len(group.ids)][smooth]
                size = np.abs(gy) * group.outputs[name].terms[smooth]
                # Against the user's own gradients case by case, which are right: only the sum is in question.
                right = gy * alone if place == 0 else np.sum(gy * alone)
                size = size if place == 0 else np.sum(size)
                slack = np.ldexp(size, 1 - self.table.vectors.tolerance_bits) + size * len(gy) * 2.0**-53
                if not np.all(np.abs(got - right) <= slack + 2.0**-1074):
                    wrong[name] += 1
                    explained.setdefault(name, _sum_slip(got, gy, alone, place, group))
        self.notes.append(f"incoming gradients of whole groups were drawn with seed {self.seed}")
        for name, count in wrong.items():
            self.rows.append(Row(f"{name}, by group", len(self.table.vectors.groups), count, np.nan))
            if count:
                self.diagnoses.append(Diagnosis("sum-over-a-group", (name,), explained[name]))

    def check_codes(self, function: Function) -> None:
        """The codes of the hard quantizer, a call a group."""
        if not self.table.codes:
            raise InputError(f"--codes: {self.table.vectors.method} has no codes")
        found = []
        for group, start in self.groups():
            with _located(group, codes_snippet(self.names, self.table, start)):
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


class _located:
    """Adds the group to what the user's function did wrong."""

    def __init__(self, group: Group, snippet: str) -> None:
        self.group, self.snippet = group, snippet

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, Misbehaved):
            values = ", ".join(f"{name} = {value!r}" for name, value in self.group.parameters.items())
            error.args = (f"{error} in group {self.group.id} ({values})" if values else str(error), self.snippet)


def _sum_slip(got: np.ndarray, gy: np.ndarray, alone: np.ndarray, place: int, group: Group) -> str:
    """Why the gradients of a whole group are not those of its cases, weighted by gy and summed."""
    right = np.sum(gy * alone)
    if place == 0:
        if np.allclose(got, alone):
            return "the incoming gradient gy is ignored (right for gy = 1 only)"
        return f"in group {group.id} the entries are not gy times those of each case alone"
    for other, words in (
        (right / len(gy), "the gradient is averaged over the elements instead of summed"),
        (np.sum(alone), "the incoming gradient gy is ignored (right for gy = 1 only)"),
    ):
        if np.isclose(float(got), other):
            return words
    return f"in group {group.id} the gradient is {float(got)!r}, the sum over the cases alone is {float(right)!r}"


def _simplicity(failure: Failure) -> tuple[Any, ...]:
    """No kink if possible, fewer bits, the shortest decimals, the smallest |x|."""
    values = list(failure.arguments.values())
    kink = "clip-bound" in failure.flags or "kink" in failure.flags
    return (kink, failure.arguments.get("bits", 0), sum(len(repr(v)) for v in values), abs(values[0]))


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
    seed : of the incoming gradients of whole groups
    names : how the snippets import the functions

    Raises
    ------
    InputError
        If the method or framework is not known, or a function cannot be called with these arguments.
    """
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
