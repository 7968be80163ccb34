"""Known slips, recognised by what they compute: a name is worth more than a mismatch.

A slip predicts the wrong numbers. It is reported when an output fails and equals the prediction at every case (kinks
aside) to ``LOOSE`` of its terms. The DSQ slips are those found in public implementations (methods/dsq.md) and the usual
mistakes of a hand-written backward.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

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


class DsqPoints:
    """The intermediate quantities of DSQ at every case, float64, as the vectors' equations name them."""

    def __init__(self, table: Table) -> None:
        self.x = table.x
        self.l, self.u, self.alpha, self.bits = (table.parameters[k] for k in ("l", "u", "alpha", "bits"))
        self.set_steps(2.0**self.bits - 1)

    def set_steps(self, n: np.ndarray) -> None:
        self.n = n
        self.step = (self.u - self.l) / n
        self.v = (self.x - self.l) / self.step
        self.i = np.clip(np.floor(self.v), 0, n - 1)
        self.z = self.v - self.i - 0.5
        self.gain = np.log1p(2 * (1 - self.alpha) / self.alpha)
        self.s = 1 / (1 - self.alpha)
        self.t = np.tanh(self.gain * self.z)
        self.d2 = 1 / np.cosh(np.clip(self.gain * self.z, -300, 300)) ** 2
        self.slope = self.gain * self.s * self.d2 / 2
        self.q = self.i + (self.s * self.t + 1) / 2
        self.code = np.clip(np.floor(self.v + 0.5), 0, n)

    def inside(self, value: Any, below: Any = 0.0, above: Any = 0.0) -> np.ndarray:
        """``value`` in [l, u], the constants elsewhere."""
        return np.where(self.x < self.l, below, np.where(self.x > self.u, above, value))

    def soft(self, gain: Any, s: Any) -> np.ndarray:
        """The forward with another gain or scale."""
        y = self.l + self.step * (self.i + (s * np.tanh(gain * self.z) + 1) / 2)
        return self.inside(y, self.l, self.u)


def _more_levels(p: DsqPoints) -> np.ndarray:
    p.set_steps(2.0**p.bits)
    return p.soft(p.gain, p.s)


Predict = Callable[[DsqPoints], np.ndarray]

#: (name, what it predicts for each output it touches, message)
_DSQ_SLIPS: list[tuple[str, dict[str, Predict], str]] = [
    (
        "straight-through-index",
        {"dx": lambda p: p.inside(1.0)},
        "your dx is plain straight-through (1 inside [l, u]): the interval index carries a gradient, so the tanh never "
        "shapes dx; take the index out of the graph",
    ),
    (
        "straight-through-index",
        {
            "dl": lambda p: p.inside((p.v - p.q) / p.n, 1.0, 0.0),
            "du": lambda p: p.inside((p.q - p.v) / p.n, 0.0, 1.0),
        },
        "your dl is -du inside [l, u], which is what an interval index with a straight-through gradient gives",
    ),
    (
        "hard-q",
        {
            "dl": lambda p: p.inside(1 - p.code / p.n + p.slope * (p.v / p.n - 1), 1.0, 0.0),
            "du": lambda p: p.inside(p.code / p.n - p.slope * p.v / p.n, 0.0, 1.0),
        },
        "the code stands in place of q = i + (phi + 1)/2: the variant for a hard forward (Algorithm 1, step 6), not "
        "the gradient of the soft one (eq 13)",
    ),
    (
        "step-detached",
        {"dl": lambda p: p.inside(1 - p.slope, 1.0, 0.0), "du": lambda p: p.inside(0.0, 0.0, 1.0)},
        "the step D = (u - l)/N is treated as a constant: l and u only shift the range and do not scale it",
    ),
    (
        "position-detached",
        {"dl": lambda p: p.inside(1 - p.q / p.n, 1.0, 0.0), "du": lambda p: p.inside(p.q / p.n, 0.0, 1.0)},
        "the position (x - l)/D inside the tanh carries no gradient to l and u; only the outer l + D q does",
    ),
    (
        "alpha-through-s-only",
        {"dalpha": lambda p: p.inside(p.step / 2 * p.s**2 * p.t)},
        "alpha's gradient comes through s = 1/(1 - alpha) only; the one through k = ln(2/alpha - 1)/D is missing",
    ),
    (
        "alpha-through-k-only",
        {"dalpha": lambda p: p.inside(-p.step * p.s * p.z * p.d2 / (p.alpha * (2 - p.alpha)))},
        "alpha's gradient comes through k = ln(2/alpha - 1)/D only; the one through s = 1/(1 - alpha) is missing",
    ),
    ("hard-forward", {"y": lambda p: p.l + p.step * p.code}, "this is the hard quantizer, not the soft one"),
    (
        "clipped-identity",
        {"y": lambda p: np.clip(p.x, p.l, p.u)},
        "this is x limited to [l, u]: nothing is quantized",
    ),
    (
        "offset-missing",
        {"y": lambda p: p.soft(p.gain, p.s) - p.l},
        "the grid has no offset: levels are l + j D (equation 2 of the paper leaves the l out)",
    ),
    (
        "levels-for-steps",
        {"y": _more_levels},
        "the range is cut into 2^bits intervals; there are N = 2^bits - 1 (2^bits levels)",
    ),
    ("s-missing", {"y": lambda p: p.soft(p.gain, 1.0)}, "phi lacks the factor s = 1/(1 - alpha) (eq 7)"),
    (
        "log-base-2",
        {"y": lambda p: p.soft(p.gain / np.log(2), p.s)},
        "k is formed with the logarithm to base 2; eq 8 has the natural one",
    ),
    (
        "log-base-10",
        {"y": lambda p: p.soft(p.gain / np.log(10), p.s)},
        "k is formed with the logarithm to base 10; eq 8 has the natural one",
    ),
    (
        "k-without-minus-one",
        {"y": lambda p: p.soft(np.log(2 / p.alpha), p.s)},
        "k is formed with ln(2/alpha); eq 8 has ln(2/alpha - 1)",
    ),
]


def _equal(table: Table, output: str, got: np.ndarray, predicted: np.ndarray) -> bool:
    """Whether an output is the prediction at every case that is no kink."""
    allowed = LOOSE * (table.expected[output].terms + np.abs(predicted))
    return bool(np.all((np.abs(got - predicted) <= allowed)[~table.kink]))


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
    if not wrong[~table.kink].any():
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
            for name, predictions, message in _DSQ_SLIPS:
                touched = tuple(
                    output
                    for output, predict in predictions.items()
                    if output in failing and _equal(table, output, got[output], predict(DsqPoints(table)))
                )
                if touched:
                    found.append(Diagnosis(name, touched, message))
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
