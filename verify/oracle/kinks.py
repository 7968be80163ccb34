"""Gradients at kinks: any one-sided convention is a subgradient, provided all gradients follow the same one."""

from __future__ import annotations

import numpy as np

from verify.oracle.table import Table

__all__ = ["judge_kinks"]


def _share(got: float, ours: float, other: float) -> float:
    """0 where the gradient is our pick, 1 where it is the other side's, between for a mixture."""
    return (got - ours) / (other - ours)


def judge_kinks(table: Table, got: dict[str, np.ndarray], wrong: dict[str, np.ndarray]) -> list[str]:
    """Mark kink cases whose gradients follow different conventions as wrong, and tell the conventions found.

    At a bound of DSQ the gradients are those inside, those outside, or one mixture of both (some frameworks split a tie
    in halves); whichever it is, they sum to 1, as shifting x, l and u together shifts y.
    """
    seen: dict[str, set[str]] = {}
    # Where an output is wrong anyway, its kinks say nothing about conventions.
    coupled = all(name in got and not wrong[name].any() for name in ("dx", "dl", "du"))
    for case in np.flatnonzero(table.kink):
        expected = table.expected["dx"]
        ours, low, high = (float(a[case]) for a in (expected.value, expected.low, expected.high))
        gradient = float(got["dx"][case])
        if wrong["dx"][case]:
            continue
        if coupled:
            total = float(got["dx"][case] + got["dl"][case] + got["du"][case])
            allowed = sum(float(table.tolerance(name)[case]) for name in ("dx", "dl", "du"))
            if not abs(total - 1) <= allowed:
                for name in ("dx", "dl", "du"):
                    wrong[name][case] = True
                continue
        share = _share(gradient, ours, low if ours == high else high)
        seen.setdefault(_place(table, int(case)), set()).add(_words(share, "dl" in got))
    return [f"at {place} the gradients are {' or '.join(sorted(words))}" for place, words in sorted(seen.items())]


def _place(table: Table, case: int) -> str:
    for name in ("l", "u"):
        if name in table.parameters and table.x[case] == table.parameters[name][case]:
            return f"x = {name}"
    return f"x = {float(table.x[case])!r}"


def _words(share: float, bounded: bool) -> str:
    if abs(share) < 2.0**-20:
        return "those inside, as ours" if bounded else "our pick"
    if abs(share - 1) < 2.0**-20:
        return "those outside" if bounded else "the other side's"
    return f"a mixture ({share:.3g} of the other side)"
