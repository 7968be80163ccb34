"""The page of ``minigrad verify gradients``: what was proven of every primitive, with its plot."""

from __future__ import annotations

from collections.abc import Sequence

from minigrad.primitive import PRIMITIVES
from verify.gradients.command import rates_of
from verify.gradients.registry import REQUIRED_BITS, REQUIRED_BITS_SINGLE, RESULTS, Entry
from verify.report.gradient_plots import gradient_plot
from verify.report.page import Page, power_of_two

__all__ = ["page"]


def page(entries: Sequence[Entry], points: int, seed: int) -> str:
    """The whole page as HTML text."""
    failing = [entry.name for entry in entries if not entry.passed]
    least = min((bits for entry in entries for bits in entry.bits.values()), default=0)
    out = Page(
        "Every gradient, held against the truth",
        f"{len(entries)} primitives, {points} examples each, drawn by hypothesis with seed {seed}.",
    )
    out.cards(
        [
            (f"{len(entries) - len(failing)} of {len(entries)}", "primitives hold in every check"),
            (power_of_two(least), "of the sum of the terms: the largest proven error of a value or derivative"),
            (f"{sum(entry.compared for entry in entries):,}", "numbers held against differences"),
        ]
    )
    _table(out, entries)
    _kinks(out, entries)
    _failures(out, entries)
    out.section(
        "Function, gradient, differences, Taylor remainders",
        "Left: the function and its gradient by the vjp or jvp rule, with central differences as dots. Middle: their "
        "distance. Right: what remains of f(x + t d) after 0, 1 and 2 terms of its Taylor series, which has to vanish "
        "with rate 1, 2 and 3 until rounding is all that is left.",
    )
    for entry in entries:
        svg = gradient_plot(PRIMITIVES[entry.name], "svg", seed).decode()
        out.plot(svg[svg.index("<svg") :])
    return out.html()


def _table(out: Page, entries: Sequence[Entry]) -> None:
    out.section(
        "What is proven",
        "Value, vjp, jvp and hvp (the second derivative) in float64 are certified in ball arithmetic against the "
        "textbook definition: |error| is at most this part of the sum of the absolute values of the terms, at every "
        f"point; {power_of_two(REQUIRED_BITS)} is required, and {power_of_two(REQUIRED_BITS_SINGLE)} of all of them in "
        "float32. Taylor rates: 1, 2 and 3 belong to a right gradient and a right second derivative; 0 stands for a "
        "remainder that is nothing but rounding.",
    )
    rows: list[tuple[str | tuple[str, str], ...]] = []
    for e in entries:
        bits = [power_of_two(e.bits[result]) if result in e.bits else "none" for result in RESULTS]
        verdict = ("holds", "good") if e.passed else ("FAILS", "bad")
        bits.append(power_of_two(e.bits_single))
        about = (e.name, e.kind, PRIMITIVES[e.name].domain, str(e.points))
        rows.append((*about, *bits, f"{e.compared:,}", rates_of(e), verdict))
    header = ("primitive", "gradient", "domain", "points", *RESULTS, "float32", "compared", "Taylor rates", "verdict")
    out.table(header, rows, text_columns=3)


def _kinks(out: Page, entries: Sequence[Entry]) -> None:
    out.section(
        "Where there is no derivative",
        "At a kink the slopes of the two sides differ; what the vjp and the jvp give there is a convention, which was "
        "held against its declaration.",
    )
    rows = []
    for entry in entries:
        picks = {kink.where: kink.pick for kink in PRIMITIVES[entry.name].kinks}
        rows += [(entry.name, where, picks[where], entry.kinks.get(where, "")) for where in picks]
    out.table(("primitive", "where", "declared", "measured"), rows, text_columns=4)


def _failures(out: Page, entries: Sequence[Entry]) -> None:
    for entry in entries:
        for failure in entry.failures:
            out.section(f"{entry.name} fails", *failure.splitlines())
