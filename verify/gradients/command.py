"""``minigrad verify gradients``: the registry judged, as a table, JSON, plots and a page."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from minigrad.checkpoint import check_writable, write_atomically
from minigrad.errors import InputError
from minigrad.primitive import PRIMITIVES
from verify.gradients.registry import REQUIRED_BITS, RESULTS, Entry, judge_all, select

__all__ = ["bits_of", "rates_of", "verify_gradients"]

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


def _rows(entries: Sequence[Entry]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [
        ("primitive", "gradient", *RESULTS, "float32", "compared", "Taylor rates", "time", "")
    ]
    for e in entries:
        bits = [bits_of(e, result) for result in RESULTS]
        bits.append("exact" if e.bits_single == math.inf else f"2^-{e.bits_single:g}")
        verdict = "[green]holds[/]" if e.passed else "[bold red]FAILS[/]"
        rows.append((e.name, e.kind, *bits, f"{e.compared:,}", rates_of(e), f"{e.seconds:.1f} s", verdict))
    return rows


def _print_table(entries: Sequence[Entry], console: Console) -> None:
    """Columns as wide as they must be: a terminal that is too narrow wraps lines, not cells."""
    rows = _rows(entries)
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    for number, row in enumerate(rows):
        cells = [c.ljust(w) if n < 2 else c.rjust(w) for n, (c, w) in enumerate(zip(row[:-1], widths, strict=False))]
        line = "  ".join(cells) + "  " + row[-1]
        console.print(f"[bold]{line}[/]" if number == 0 else line, highlight=False, soft_wrap=True)


def _judged(names: list[str], points: int, seed: int, processes: int, console: Console) -> list[Entry]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    entries = []
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("judging", total=len(names))
        for entry in judge_all(names, points, seed, processes):
            entries.append(entry)
            progress.update(task, advance=1, description=f"judged {entry.name}")
    return sorted(entries, key=lambda entry: entry.name)


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
    if points < 1 or processes < 1 or seed < 0:
        raise InputError(
            f"--points, --processes, --seed: expected at least 1, 1 and 0, got {points}, {processes}, {seed}"
        )
    plots = _plot_files(plot, selected)
    for path in (*plots.values(), *([report] if report else [])):
        check_writable(path)
    start = time.perf_counter()
    entries = _judged(selected, points, seed, processes, console if not as_json else Console(quiet=True))
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
    _print_table(entries, console)
    for entry in entries:
        for where, found in entry.kinks.items():
            console.print(f"{entry.name} at {where}: {found}", highlight=False, soft_wrap=True)
    for entry in entries:
        for failure in entry.failures:
            console.print(f"\n[bold red]{entry.name}[/]", highlight=False)
            console.print(failure, highlight=False, markup=False, soft_wrap=True)
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
