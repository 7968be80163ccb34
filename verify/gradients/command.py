"""``minigrad verify gradients``: primitives or quantization methods judged, as a table, JSON, plots and a page."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from minigrad.checkpoint import check_writable, write_atomically
from minigrad.errors import InputError
from minigrad.primitive import PRIMITIVES
from verify.gradients.quantizers import Judgement, Summary, jobs_of, judge_quantizers, select_methods, summaries
from verify.gradients.registry import REQUIRED_BITS, RESULTS, Entry, judge_all, select

__all__ = ["bits_of", "least_of", "rates_of", "verify_gradients", "verify_quantizers", "widths_in_words"]

T = TypeVar("T")

_KINDS = (".png", ".svg", ".pdf")


def bits_of(entry: Entry, result: str) -> str:
    """The bits proven of one result, for a table; "none" where the primitive does not have it."""
    bits = entry.bits.get(result)
    if bits is None:
        return "none"
    return "exact" if bits == math.inf else f"2^{-bits:g}"


def rates_of(entry: Entry) -> str:
    """The Taylor rates, for a table: three numbers, 0 where nothing but rounding remains."""
    found = re.findall(r"R\d (at the noise floor|[-\w.]+)", entry.rates)
    return " ".join("0" if rate == "at the noise floor" else f"{float(rate):.2f}" for rate in found)


def least_of(summary: Summary, result: str) -> str:
    """The least bits proven of a result over the widths, and the width where that was, for a table."""
    bits, width = summary.bits.get(result, (None, None))
    if bits is None:
        return "none"
    return "exact" if bits == math.inf else f"2^{-bits:g}" + ("" if width is None else f" at {width}")


def widths_in_words(widths: Sequence[int]) -> str:
    """The widths as "1-8", where there is no gap, or "1, 2, 4"; "any" where there is none."""
    if len(widths) > 2 and list(widths) == list(range(widths[0], widths[-1] + 1)):
        return f"{widths[0]}-{widths[-1]}"
    return ", ".join(map(str, widths)) or "any"


def _name(entry: Entry) -> str:
    return entry.name


def _verdict(passed: bool) -> str:
    return "[green]holds[/]" if passed else "[bold red]FAILS[/]"


def _rows(entries: Sequence[Entry]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [
        ("primitive", "gradient", *RESULTS, "float32", "compared", "Taylor rates", "time", "")
    ]
    for e in entries:
        bits = [bits_of(e, result) for result in RESULTS]
        bits.append("exact" if e.bits_single == math.inf else f"2^-{e.bits_single:g}")
        rows.append((e.name, e.kind, *bits, f"{e.compared:,}", rates_of(e), f"{e.seconds:.1f} s", _verdict(e.passed)))
    return rows


def _quantizer_rows(found: Sequence[Summary]) -> list[tuple[str, ...]]:
    results = [result for result in RESULTS if any(result in s.bits for s in found)]
    rows: list[tuple[str, ...]] = [
        ("method", "primitive", "gradient", "bits", *results, "float32", "stated", "compared", "time", "")
    ]
    for s in found:
        bits = [least_of(s, result) for result in (*results, "float32")]
        about = (s.method, s.primitive, s.kind, widths_in_words(s.widths))
        numbers = (f"2^-{s.stated}", f"{s.compared:,}", f"{s.seconds:.1f} s")
        rows.append((*about, *bits, *numbers, _verdict(s.passed)))
    return rows


def _print_table(rows: Sequence[tuple[str, ...]], text_columns: int, console: Console) -> None:
    """Columns as wide as they must be: a terminal that is too narrow wraps lines, not cells."""
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    for number, row in enumerate(rows):
        pairs = enumerate(zip(row[:-1], widths, strict=False))
        cells = [c.ljust(w) if n < text_columns else c.rjust(w) for n, (c, w) in pairs]
        line = "  ".join(cells) + "  " + row[-1]
        console.print(f"[bold]{line}[/]" if number == 0 else line, highlight=False, soft_wrap=True)


def _followed(judged: Iterator[T], total: int, name_of: Callable[[T], str], console: Console) -> list[T]:
    """Everything an iterator gives, under a bar of progress."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    found = []
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("judging", total=total)
        for item in judged:
            found.append(item)
            progress.update(task, advance=1, description=f"judged {name_of(item)}")
    return found


def _check_numbers(points: int, seed: int, processes: int) -> None:
    if points < 1 or processes < 1 or seed < 0:
        raise InputError(
            f"--points, --processes, --seed: expected at least 1, 1 and 0, got {points}, {processes}, {seed}"
        )


def verify_gradients(
    names: Sequence[str],
    *,
    points: int = 20,
    seed: int = 0,
    processes: int = 2,
    as_json: bool = False,
    plot: Path | None = None,
    report: Path | None = None,
    console: Console,
) -> bool:
    """Judge the primitives of these names (all where there is none), print the table, write what was asked for.

    Parameters
    ----------
    names : of primitives in the registry
    points, seed, processes : how many examples to certify, their seed, and how many to judge at a time
    as_json : print JSON in place of the table
    plot : a file, for one primitive, or a folder, for one plot a primitive
    report : file of the HTML page

    Returns
    -------
    bool, whether everything holds

    Raises
    ------
    InputError
        For an unknown name, a number below 1, a plot's suffix, or a place that cannot be written to.
    """
    selected = select(names)
    _check_numbers(points, seed, processes)
    plots = _plot_files(plot, selected)
    for path in (*plots.values(), *([report] if report else [])):
        check_writable(path)
    start = time.perf_counter()
    judged = judge_all(selected, points, seed, processes)
    shown = console if not as_json else Console(quiet=True)
    entries = sorted(_followed(judged, len(selected), _name, shown), key=_name)
    elapsed = time.perf_counter() - start
    passed = all(entry.passed for entry in entries)
    if as_json:
        print(json.dumps(_record(entries, points, seed, elapsed), indent=1))
    else:
        _print(entries, elapsed, console)
    for name, path in plots.items():
        from verify.report.gradient_plots import gradient_plot

        write_atomically(path, gradient_plot(PRIMITIVES[name], path.suffix[1:], seed))
    if plot is not None and not as_json:
        console.print(f"plots: {plot}", soft_wrap=True)
    if report is not None:
        from verify.report.gradients import page

        write_atomically(report, page(entries, points, seed).encode())
        if not as_json:
            console.print(f"report: {report}", soft_wrap=True)
    return passed


def _plot_files(plot: Path | None, names: Sequence[str]) -> dict[str, Path]:
    if plot is None:
        return {}
    if plot.suffix in _KINDS:
        if len(names) > 1:
            raise InputError(f"--plot: expected a folder for {len(names)} primitives, got the file {plot}")
        return {names[0]: plot}
    if plot.suffix:
        raise InputError(f"--plot: expected a folder or a file ending in {', '.join(_KINDS)}, got {plot}")
    return {name: plot / f"{name}.png" for name in names}


def _record(entries: Sequence[Entry], points: int, seed: int, elapsed: float) -> dict[str, object]:
    return {
        "points": points,
        "seed": seed,
        "required_bits": REQUIRED_BITS,
        "seconds": round(elapsed, 3),
        "passed": all(entry.passed for entry in entries),
        "primitives": [entry.to_json() for entry in entries],
    }


def _print(entries: Sequence[Entry], elapsed: float, console: Console) -> None:
    _print_table(_rows(entries), 2, console)
    for entry in entries:
        for where, found in entry.kinks.items():
            console.print(f"{entry.name} at {where}: {found}", highlight=False, soft_wrap=True)
    for entry in entries:
        _print_failures(entry.name, entry, console)
    failing = [entry.name for entry in entries if not entry.passed]
    numbers = sum(entry.compared for entry in entries)
    console.print(
        f"{len(entries)} primitives, {sum(e.points for e in entries):,} points certified to 2^-{REQUIRED_BITS} of the "
        f"sum of the terms or better, {numbers:,} numbers held against differences: "
        + (f"[bold red]{', '.join(failing)} FAIL[/]" if failing else "[green]all hold[/]")
        + f" ({elapsed:.0f} s)",
        highlight=False,
        soft_wrap=True,
    )


def _print_failures(name: str, entry: Entry, console: Console) -> None:
    for failure in entry.failures:
        console.print(f"\n[bold red]{name}[/]", highlight=False)
        console.print(failure, highlight=False, markup=False, soft_wrap=True)


def verify_quantizers(
    names: Sequence[str],
    *,
    points: int = 20,
    seed: int = 0,
    processes: int = 2,
    as_json: bool = False,
    report: Path | None = None,
    console: Console,
) -> bool:
    """Judge methods (all where there is none) at every width they are defined for; print the table, write the page.

    Parameters
    ----------
    names : of quantization methods
    points, seed, processes : how many examples to certify at each width, their seed, and how many widths at a time
    as_json : print JSON, one entry a primitive and width, in place of the table
    report : file of the HTML page

    Returns
    -------
    bool, whether everything holds

    Raises
    ------
    InputError
        For an unknown name, a number below 1, or a place that cannot be written to.
    """
    methods = select_methods(names)
    _check_numbers(points, seed, processes)
    if report is not None:
        check_writable(report)
    jobs = [job for method in methods for job in jobs_of(method)]
    start = time.perf_counter()
    judged = judge_quantizers(jobs, points, seed, processes)
    shown = console if not as_json else Console(quiet=True)
    judgements = _followed(judged, len(jobs), lambda judgement: str(judgement.job), shown)
    judgements.sort(key=lambda judgement: jobs.index(judgement.job))
    elapsed = time.perf_counter() - start
    if as_json:
        print(json.dumps(_quantizer_record(judgements, points, seed, elapsed), indent=1))
    else:
        _print_quantizers(judgements, elapsed, console)
    if report is not None:
        from verify.report.quantizers import page

        write_atomically(report, page(judgements, points, seed).encode())
        if not as_json:
            console.print(f"report: {report}", soft_wrap=True)
    return all(judgement.entry.passed for judgement in judgements)


def _quantizer_record(judgements: Sequence[Judgement], points: int, seed: int, elapsed: float) -> dict[str, Any]:
    return {
        "points": points,
        "seed": seed,
        "required_bits": REQUIRED_BITS,
        "seconds": round(elapsed, 3),
        "passed": all(judgement.entry.passed for judgement in judgements),
        "quantizers": [judgement.to_json() for judgement in judgements],
    }


def _print_quantizers(judgements: Sequence[Judgement], elapsed: float, console: Console) -> None:
    found = summaries(judgements)
    _print_table(_quantizer_rows(found), 4, console)
    for judgement in judgements:
        _print_failures(str(judgement.job), judgement.entry, console)
    failing = [str(judgement.job) for judgement in judgements if not judgement.entry.passed]
    console.print(
        f"{len({s.method for s in found})} methods, {len(judgements)} primitives and widths, "
        f"{sum(s.points for s in found):,} points certified to 2^-{REQUIRED_BITS} of the sum of the terms or better, "
        f"{sum(s.compared for s in found):,} numbers held against differences: "
        + (f"[bold red]{', '.join(failing)} FAIL[/]" if failing else "[green]all hold[/]")
        + f" ({elapsed:.0f} s)",
        highlight=False,
        soft_wrap=True,
    )
