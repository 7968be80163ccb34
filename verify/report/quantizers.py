"""The page of ``minigrad verify gradients --quantizers``: what was proven of every method at every width."""

from __future__ import annotations

from collections.abc import Sequence

from minigrad.primitive import PRIMITIVES
from quant import METHODS
from verify.gradients.quantizers import Judgement, Summary, summaries
from verify.gradients.registry import REQUIRED_BITS, RESULTS
from verify.report.page import Page, power_of_two

__all__ = ["page"]


def page(judgements: Sequence[Judgement], points: int, seed: int) -> str:
    """The whole page as HTML text."""
    found = summaries(judgements)
    holding = sum(judgement.entry.passed for judgement in judgements)
    least = min((bits for judgement in judgements for bits in judgement.entry.bits.values()), default=0)
    methods = list(dict.fromkeys(judgement.job.method for judgement in judgements))
    out = Page(
        "Every quantizer's gradients at every bit width",
        f"{len(methods)} methods, {points} examples of each primitive at each width, drawn by hypothesis with seed "
        f"{seed}.",
    )
    out.cards(
        [
            (f"{holding} of {len(judgements)}", "primitives and widths hold in every check"),
            (power_of_two(least), "of the sum of the terms: the largest proven error of a value or derivative"),
            (f"{sum(s.compared for s in found):,}", "numbers held against differences"),
        ]
    )
    rows = [(METHODS[name].title, METHODS[name].gradient, METHODS[name].source) for name in methods]
    out.section("What the gradients are declared to be", "What is checked below is this declaration.")
    out.table(("method", "gradient", "source"), rows, text_columns=3)
    _table(out, judgements)
    _kinks(out, found, judgements)
    for judgement in judgements:
        for failure in judgement.entry.failures:
            out.section(f"{judgement.job} fails", *failure.splitlines())
    return out.html()


def _table(out: Page, judgements: Sequence[Judgement]) -> None:
    out.section(
        "What is proven",
        "Value, vjp and jvp in float64 are certified in ball arithmetic: |error| is at most this part of the sum of "
        f"the absolute values of the terms, at every point; {power_of_two(REQUIRED_BITS)} is required. In float32 what "
        "is required of all of them is what the method states.",
    )
    results = [result for result in RESULTS if any(result in j.entry.bits for j in judgements)]
    rows: list[tuple[str | tuple[str, str], ...]] = []
    for judgement in judgements:
        job, entry = judgement.job, judgement.entry
        bits = [power_of_two(entry.bits[result]) if result in entry.bits else "none" for result in results]
        single = (power_of_two(entry.bits_single), power_of_two(judgement.stated))
        verdict = ("holds", "good") if entry.passed else ("FAILS", "bad")
        width = "any" if job.bits is None else str(job.bits)
        rows.append((job.method, job.primitive, entry.kind, width, *bits, *single, f"{entry.compared:,}", verdict))
    header = ("method", "primitive", "gradient", "bits", *results, "float32", "stated", "compared", "verdict")
    out.table(header, rows, text_columns=3)


def _kinks(out: Page, found: Sequence[Summary], judgements: Sequence[Judgement]) -> None:
    measured = {(j.job.primitive, where): note for j in judgements for where, note in j.entry.kinks.items()}
    rows = [
        (summary.primitive, kink.where, kink.pick, measured.get((summary.primitive, kink.where), ""))
        for summary in found
        for kink in PRIMITIVES[summary.primitive].kinks
    ]
    if rows:
        out.section("Where there is no derivative", "Vjp and jvp were held against the declared pick at every width.")
        out.table(("primitive", "where", "declared", "measured"), rows, text_columns=4)
