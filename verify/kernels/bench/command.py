"""``minigrad bench kernels``: count, time, print, write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from minigrad.checkpoint import check_writable, write_atomically
from minigrad.errors import InputError
from verify.kernels.bench.count import COUNTED_PATHS, Cell, count_layer
from verify.kernels.bench.layers import DEFAULT_WIDTHS, Layer, Width, select
from verify.kernels.bench.record import Record, tools, write_record
from verify.kernels.bench.table import TITLES, Rows, host_rows, instruction_rows, plain_rows
from verify.kernels.bench.wall import host_paths, time_layer
from verify.kernels.build import build

__all__ = ["bench_kernels"]

_PLOTS = (".png", ".svg", ".pdf")


def bench_kernels(
    *,
    layers: str = "",
    bits: str = "",
    paths: str = "neon,dotprod,i8mm",
    json: Path | None = None,
    plot: Path | None = None,
    host: bool = True,
    processes: int = 2,
    console: Console,
) -> bool:
    """Count whole layers on an emulated AArch64 core, time them here, and hold every output against the reference.

    Parameters
    ----------
    layers : parts of names, separated by commas; all for none
    bits : such as "2,4x8,1b,2w"; the usual ones for none
    paths : of "scalar", "neon", "dotprod", "i8mm"
    json, plot : files to write
    host : whether to time this machine's paths too
    processes : layers counted at a time
    console : where tables and progress go

    Returns
    -------
    bool, whether every output had the reference's bits

    Raises
    ------
    InputError
        For an unknown layer, width or path, a plot's suffix, or a place that cannot be written to.
    """
    chosen = select([name for name in layers.split(",") if name.strip()])
    widths = [Width.of(text.strip()) for text in bits.split(",")] if bits.strip() else list(DEFAULT_WIDTHS)
    wanted = [path.strip() for path in paths.split(",")]
    for path in wanted:
        if path not in COUNTED_PATHS:
            raise InputError(f"--paths: {path!r} is not one of {', '.join(COUNTED_PATHS)}")
    if processes < 1:
        raise InputError(f"--processes: expected at least 1, got {processes}")
    if plot is not None and plot.suffix not in _PLOTS:
        raise InputError(f"--plot: expected a file ending in {', '.join(_PLOTS)}, got {plot}")
    for file in (json, plot):
        if file is not None:
            check_writable(file)

    record = Record(tools=tools())
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    units = [(layer, width) for layer in chosen for width in dict.fromkeys(widths)]
    library = build("aarch64", say=console.print)
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("counting", total=len(units))
        found = {}
        for layer, width, cells in _count(library, units, wanted, processes):
            found[layer, width] = cells
            progress.update(task, advance=1, description=f"counted {layer.name}, {width.name} bit")
        record.cells = [cell for unit in units for cell in found[unit]]
        if host:
            task = progress.add_task("timing", total=len(units))
            here = host_paths()
            for layer, width in units:
                record.timings += time_layer(layer, width, here)
                progress.update(task, advance=1, description=f"timed {layer.name}, {width.name} bit")
    _print(record, wanted, console)
    if json is not None:
        write_record(record, json)
        console.print(f"record: {json}", soft_wrap=True)
    if plot is not None:
        from verify.kernels.bench.plot import draw  # matplotlib takes its time

        write_atomically(plot, draw(record, plot.suffix[1:]))
        console.print(f"plot: {plot}", soft_wrap=True)
    return record.passed


def _count(
    library: Path, units: Sequence[tuple[Layer, Width]], paths: Sequence[str], processes: int
) -> Iterator[tuple[Layer, Width, list[Cell]]]:
    """The cells of each unit, in the order in which they are done."""
    if processes == 1 or len(units) == 1:
        for unit in units:
            yield *unit, count_layer(library, *unit, paths)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        largest_first = sorted(units, key=lambda unit: -unit[0].macs * unit[1].weights)
        running = {pool.submit(count_layer, library, *unit, paths): unit for unit in largest_first}
        for done in as_completed(running):
            yield *running[done], done.result()


def _print(record: Record, paths: Sequence[str], console: Console) -> None:
    for path in paths:
        title = f"AArch64, {TITLES[path]}"
        _print_rows(f"{title}: instructions (vector operations) per MAC", instruction_rows(record, path), console)
        _print_rows(
            f"{title}: instructions per MAC with plain loads and stores only", plain_rows(record, path), console
        )
    if record.timings:
        _print_rows("this machine, one thread: 10^9 MAC/s, wall time", host_rows(record), console)
    for cell in record.cells:
        for name in cell.wrong:
            console.print(
                f"[bold red]WRONG[/]: {cell.layer.name}, {cell.width.name} bit, {cell.path} ({cell.kernel}): the bits "
                f"for {name} are not the reference's"
            )
    if record.passed:
        console.print("every output has the reference's bits")


def _print_rows(title: str, rows: Rows, console: Console) -> None:
    """Columns as wide as they must be: a terminal that is too narrow wraps lines, not cells."""
    console.print(f"[bold]{title}[/]", soft_wrap=True, highlight=False)
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    for row in rows:
        cells = [text.rjust(width) for text, width in zip(row[1:], widths[1:], strict=True)]
        console.print("  ".join((row[0].ljust(widths[0]), *cells)), soft_wrap=True, highlight=False)
    console.print()
