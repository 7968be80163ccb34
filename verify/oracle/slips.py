"""Known slips, recognised by what they compute: a name is worth more than a mismatch.

A slip predicts the wrong numbers. It is reported when an output fails and equals the prediction at every case to
``LOOSE`` of its terms. Cases where rounding decides what a slip gives are left aside: kinks, one ulp beside a bound,
and for hard variants the ties.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from verify.oracle.dsq_slips import DSQ_SLIPS, DsqPoints
from verify.oracle.table import Table

__all__ = ["Diagnosis", "diagnose", "diagnose_codes"]

LOOSE = 2.0**-20


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong, by name, and the outputs it explains."""

    name: str
    outputs: tuple[str, ...]
    message: str

    def __str__(self) -> str:
        return f"{', '.join(self.outputs)}: {self.message} [{self.name}]"


def _equal(table: Table, output: str, got: np.ndarray, predicted: np.ndarray, varies_at: tuple[str, ...] = ()) -> bool:
    """Whether an output is the prediction wherever no rounding decides."""
    allowed = LOOSE * (table.expected[output].terms + np.abs(predicted))
    decided = ~(table.kink | table.flagged("beside-bound", *varies_at))
    return bool(np.all((np.abs(got - predicted) <= allowed)[decided]))


def _factors(table: Table) -> Iterator[tuple[str, Any]]:
    yield from (("-1", -1.0), ("2", 2.0), ("1/2", 0.5))
    if "alpha" in table.parameters:
        p = DsqPoints(table)
        for name, value in (("N", p.n), ("D", p.step), ("s", p.s), ("K = ln(2/alpha - 1)", p.gain)):
            yield name, value
            yield f"1/({name})" if "=" in name else f"1/{name}", 1 / value


def _covering_flags(table: Table, cases: np.ndarray) -> str:
    """The flags of which every case is among ``cases``, in words."""
    if cases.all():
        return ""
    covering = [
        flag
        for flag in table.vectors.flags
        if all(cases[n] for n, flags in enumerate(table.flags) if flag in flags)
        and any(flag in flags for flags in table.flags)
    ]
    return f" (all that are flagged {', '.join(covering)})" if covering else ""


def _precision(table: Table, output: str, got: np.ndarray) -> Diagnosis | None:
    """A result that is right but for digits, looking at the finite ones."""
    look = np.isfinite(got) & ~table.kink
    expected = table.expected[output]
    error = np.abs(got - expected.value)[look] / (expected.terms[look] + 2.0**-1000)
    worst = float(np.max(error, initial=0.0))
    if not 2.0**-table.vectors.tolerance_bits < worst <= LOOSE:
        return None
    bits = int(-np.log2(worst))
    hint = "as if computed in float32, or with float32 constants" if bits <= 28 else "digits are lost"
    return Diagnosis("precision", (output,), f"right to 2^-{bits} of the terms only: {hint}")


def _leak(table: Table, output: str, got: np.ndarray, wrong: np.ndarray) -> Diagnosis:
    """Only cases outside the range are wrong."""
    if output == "y":
        return Diagnosis("not-clipped", (output,), "wrong only outside [l, u]: the value is not clipped")
    error = float(np.max(np.abs(got - table.expected[output].value)[wrong]))
    message = f"a gradient leaks outside [l, u]: {output} is wrong there by up to {error:.3g}"
    if "l" in table.parameters:
        p = DsqPoints(table)
        beyond = float(np.max(np.maximum(p.l - p.x, p.x - p.u)[wrong] / p.step[wrong]))
        message += f", as far as {beyond:.3g} steps beyond a bound"
    return Diagnosis("leaks-outside", (output,), message)


def _of_one_output(
    table: Table, output: str, got: np.ndarray, wrong: np.ndarray, missing: np.ndarray
) -> list[Diagnosis]:
    """What is wrong with an output, seen on its own."""
    expected = table.expected[output].value
    argument = output[1:]
    if missing.all():
        return [Diagnosis("no-gradient", (output,), f"no gradient reaches {argument} (it is None)")]
    if output != "y" and not got.any():
        return [Diagnosis("no-gradient", (output,), f"no gradient reaches {argument} (it is 0 everywhere)")]
    digits = _precision(table, output, got)
    infinite = ~np.isfinite(got)
    if infinite.any():
        message = f"NaN or infinite at {int(infinite.sum())} cases{_covering_flags(table, infinite)}"
        return [Diagnosis("not-finite", (output,), message), *([digits] if digits else [])]
    if not wrong[~(table.kink | table.flagged("beside-bound"))].any():
        message = "wrong only at kinks: outside the interval of the one-sided derivatives, or of mixed conventions"
        return [Diagnosis("wrong-at-kinks", (output,), message)]
    if not wrong[~table.outside].any():
        return [_leak(table, output, got, wrong)]
    for name, factor in _factors(table):
        if _equal(table, output, got, factor * expected):
            if name == "-1":
                return [Diagnosis("sign", (output,), "the sign is wrong at every case")]
            return [Diagnosis("factor", (output,), f"every value is {name} times what it should be")]
    if digits:
        return [digits]
    shared = set.intersection(*(set(table.flags[case]) for case in np.flatnonzero(wrong)))
    hint = f"; every wrong case is flagged {', '.join(sorted(shared))}" if shared else ""
    return [Diagnosis("unknown", (output,), f"no known slip{hint}")]


def _swapped(table: Table, got: dict[str, np.ndarray], wrong: dict[str, np.ndarray]) -> Iterator[Diagnosis]:
    names = [name for name in got if name != "y" and wrong[name].any()]
    for place, a in enumerate(names):
        for b in names[place + 1 :]:
            if _equal(table, a, got[a], table.expected[b].value) and _equal(table, b, got[b], table.expected[a].value):
                yield Diagnosis("swapped", (a, b), f"{a} and {b} are swapped")


def diagnose(
    table: Table, got: dict[str, np.ndarray], wrong: dict[str, np.ndarray], missing: dict[str, np.ndarray]
) -> list[Diagnosis]:
    """The slips that explain the failing outputs, those that touch several outputs first."""
    failing = [name for name in got if wrong[name].any()]
    found = list(_swapped(table, got, wrong))
    if table.vectors.method == "dsq":
        with np.errstate(all="ignore"):
            for slip in DSQ_SLIPS:
                touched = tuple(
                    output
                    for output, predict in slip.predictions.items()
                    if output in failing
                    and _equal(table, output, got[output], predict(DsqPoints(table)), slip.varies_at)
                )
                if touched:
                    found.append(Diagnosis(slip.name, touched, slip.message))
    explained = {output for diagnosis in found for output in diagnosis.outputs}
    for output in (name for name in failing if name not in explained):
        found += _of_one_output(table, output, got[output], wrong[output], missing[output])
    return found


def diagnose_codes(table: Table, got: np.ndarray) -> list[Diagnosis]:
    """What a wrong list of codes computes instead."""
    p = DsqPoints(table)
    alternatives = [
        ("ties-down", np.ceil(p.v - 0.5), "ties go down; sgn(0) = +1 sends them up"),
        ("ties-to-even", np.rint(p.v), "ties go to the even code (rint); sgn(0) = +1 sends them up"),
        ("floor", np.floor(p.v), "the code is the interval index: rounded down instead of to the nearest"),
        ("signed-codes", p.code - 2.0 ** (p.bits - 1), "codes are signed; they run from 0 to N"),
    ]
    for name, values, message in alternatives:
        predicted = values if name == "signed-codes" else np.clip(values, 0, p.n)
        # Rounding at a tie is not predicted: only where one code is accepted must the slip explain what was returned.
        decided = np.array([len(codes) == 1 for codes in table.codes])
        if np.array_equal(predicted[decided], got[decided]):
            return [Diagnosis(name, ("codes",), message)]
    return []
