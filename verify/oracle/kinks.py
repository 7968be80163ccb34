"""Gradients at kinks: any one-sided convention is a subgradient, provided all gradients follow the same one.

One ulp beside a bound the side is a matter of rounding: a function that limits y instead of x compares a y that may
round onto or past the bound there. The interval of the kink is accepted at these cases too, and nowhere further out.
"""

from __future__ import annotations

import numpy as np

from verify.oracle.table import Table

__all__ = ["accept_beside_bounds", "judge_kinks"]

#: The gradients that jump at a bound, and add up to 1 on either side: shifting x, l and u together shifts y.
_COUPLED = ("dx", "dl", "du")


def _share(got: float, ours: float, other: float) -> float:
    """0 where the gradient is our pick, 1 where it is the other side's, between for a mixture."""
    return (got - ours) / (other - ours)


def _add_up(table: Table, got: dict[str, np.ndarray], case: int) -> bool:
    """Whether the gradients of one case follow one convention."""
    total = float(sum(got[name][case] for name in _COUPLED))
    allowed = sum(float(table.tolerance(name)[case]) for name in _COUPLED)
    return abs(total - 1) <= allowed


def judge_kinks(table: Table, got: dict[str, np.ndarray], wrong: dict[str, np.ndarray]) -> list[str]:
    """Mark kink cases whose gradients follow different conventions as wrong, and tell the conventions found.

    At a bound of DSQ the gradients are those inside, those outside, or one mixture of both (some frameworks split a tie
    in halves); whichever it is, they sum to 1, as shifting x, l and u together shifts y.
    """
    seen: dict[str, set[str]] = {}
    # Where an output is wrong anyway, its kinks say nothing about conventions.
    coupled = all(name in got and not wrong[name].any() for name in _COUPLED)
    for case in map(int, np.flatnonzero(table.kink)):
        expected = table.expected["dx"]
        ours, low, high = (float(a[case]) for a in (expected.value, expected.low, expected.high))
        if wrong["dx"][case]:
            continue
        if coupled and not _add_up(table, got, case):
            for name in _COUPLED:
                wrong[name][case] = True
            continue
        share = _share(float(got["dx"][case]), ours, low if ours == high else high)
        seen.setdefault(_place(table, case), set()).add(_words(share, "dl" in got))
    return [f"at {place} the gradients are {_listed(words)}" for place, words in sorted(seen.items())]


def accept_beside_bounds(
    table: Table, got: dict[str, np.ndarray], wrong: dict[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Clear the cases one ulp beside a bound whose gradients are of the kink's interval.

    dx, dl and du must each be in the interval and sum to 1. A gradient that is wrong elsewhere (one that leaks, say)
    gets no allowance here, and tells nothing about the others: these are then taken one by one.

    Returns
    -------
    cleared : for each gradient, bool of shape (cases,)
    notes : how many there are at each bound
    """
    if any(name not in got for name in _COUPLED):
        return {}, []
    before = {name: wrong[name].copy() for name in _COUPLED}
    beside = table.flagged("beside-bound")
    sound = [name for name in _COUPLED if not wrong[name][~(beside | table.kink)].any()]
    if not sound:
        return {}, []
    coupled = len(sound) == len(_COUPLED)
    for case in map(int, np.flatnonzero(beside & np.any([wrong[name] for name in sound], axis=0))):
        within = [name for name in sound if _within(table, name, case, float(got[name][case]))]
        if coupled and not (within == sound and _add_up(table, got, case)):
            continue
        for name in within:
            wrong[name][case] = False
    cleared = {name: before[name] & ~wrong[name] for name in _COUPLED}
    counts: dict[str, int] = {}
    for case in map(int, np.flatnonzero(np.any(list(cleared.values()), axis=0))):
        place = _place(table, _nearest_kink(table, case))
        counts[place] = counts.get(place, 0) + 1
    return cleared, [
        f"one ulp beside {place} the gradients of {count} cases are those of the other side or a mixture: accepted as "
        "at the bound itself, as y rounds onto or past it there"
        for place, count in sorted(counts.items())
    ]


def _nearest_kink(table: Table, case: int) -> int:
    """The case of the same group that lies on the bound next to this one."""
    group = int(np.searchsorted(table.starts, case, side="right")) - 1
    first, end = table.starts[group : group + 2]
    kinks = first + np.flatnonzero(table.kink[first:end])
    return int(kinks[np.argmin(np.abs(table.x[kinks] - table.x[case]))])


def _within(table: Table, name: str, case: int, gradient: float) -> bool:
    """Whether a gradient lies between what is expected here and the one-sided values at the bound."""
    expected, kink = table.expected[name], _nearest_kink(table, case)
    low = min(float(expected.low[kink]), float(expected.value[case]))
    high = max(float(expected.high[kink]), float(expected.value[case]))
    tolerance = float(table.tolerance(name)[case])
    return low - tolerance <= gradient <= high + tolerance


def _place(table: Table, case: int) -> str:
    for name in ("l", "u"):
        if name in table.parameters and table.x[case] == table.parameters[name][case]:
            return f"x = {name}"
    return f"x = {float(table.x[case])!r}"


def _listed(words: set[str]) -> str:
    return " or ".join(sorted(words)) if len(words) <= 3 else "mixtures that differ from case to case"


def _words(share: float, bounded: bool) -> str:
    if abs(share) < 2.0**-20:
        return "those inside, as ours" if bounded else "our pick"
    if abs(share - 1) < 2.0**-20:
        return "those outside" if bounded else "the other side's"
    return f"a mixture ({share:.3g} of the other side)"
