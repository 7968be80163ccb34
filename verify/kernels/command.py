"""``minigrad verify kernels``: every kernel on every machine that can be had here, as a table or JSON."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from minigrad.errors import InputError
from verify.kernels.build import build
from verify.kernels.judge import MACHINES, Verdict, judge_all, missing, runnable

__all__ = ["verify_kernels"]


def verify_kernels(
    names: Sequence[str],
    *,
    machines: str = "",
    layers: int = 100,
    seed: int = 0,
    processes: int = 2,
    library: Path | None = None,
    as_json: bool = False,
    console: Console,
) -> bool:
    """Hold the kernels of these names (all where there is none) against the reference, bit for bit.

    Parameters
    ----------
    names : of kernels, as the build's table has them
    machines : of ``MACHINES``, separated by commas; all that can be had here for none
    layers, seed : how many layers to draw for each machine, and what they are drawn from
    processes : how many parts of the work to do at a time
    library : a shared library of one's own for AArch64, in the place of the one that is built here
    as_json : print JSON in place of the table

    Returns
    -------
    bool, whether every kernel took layers and gave the reference's bits

    Raises
    ------
    InputError
        For an unknown name or machine, a machine that cannot be had here, a number below 1, a library that is none.
    """
    for option, number, least in (("--layers", layers, 1), ("--seed", seed, 0), ("--processes", processes, 1)):
        if number < least:
            raise InputError(f"{option}: expected at least {least}, got {number}")
    chosen, absent = _choose(machines, library)
    shown = Console(quiet=True) if as_json else console
    for machine in chosen:
        if machine != "native" and library is None:
            build(machine.removeprefix("qemu-"), say=shown.print, static=machine != "aarch64")
    wanted = _select(names, chosen, library)
    start = time.perf_counter()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=shown, transient=True) as progress:
        tasks = {machine: progress.add_task(machine, total=layers) for machine in chosen}
        verdicts = judge_all(
            chosen, wanted, layers, seed, processes, library, lambda machine, n: progress.advance(tasks[machine], n)
        )
    if as_json:
        print(json.dumps({"layers": layers, "seed": seed, "verdicts": [asdict(v) for v in verdicts]}, indent=1))
    else:
        _print(verdicts, absent, time.perf_counter() - start, console)
        for verdict in verdicts:
            if verdict.failure:
                again = ["minigrad", "verify", "kernels", verdict.kernel, "--machines", verdict.machine]
                again += [
                    "--layers",
                    str(layers),
                    "--seed",
                    str(seed),
                    *(["--library", str(library)] if library else []),
                ]
                console.print(f"again: {shlex.join(again)}", soft_wrap=True, highlight=False)
    return all(verdict.passed for verdict in verdicts)


def _choose(machines: str, library: Path | None) -> tuple[list[str], dict[str, str]]:
    """Those that are wanted, and why others are not here."""
    named = [name.strip() for name in machines.split(",") if name.strip()]
    for name in named:
        if name not in MACHINES:
            raise InputError(f"--machines: {name!r} is not one of {', '.join(MACHINES)}")
        if why := missing(name):
            raise InputError(f"--machines: {name}: {why}")
    if library is not None:
        if named not in ([], ["aarch64"]):
            raise InputError(f"--library: runs on the machine aarch64 alone, got --machines {machines}")
        if why := missing("aarch64"):
            raise InputError(f"--library: {why}")
        return ["aarch64"], {}
    if named:
        return list(dict.fromkeys(named)), {}
    absent = {name: why for name in MACHINES if (why := missing(name))}
    return [name for name in MACHINES if name not in absent], absent


def _select(names: Sequence[str], machines: Sequence[str], library: Path | None) -> list[str]:
    known = dict.fromkeys(kernel.name for machine in machines for kernel in runnable(machine, library))
    for name in names:
        if name not in known:
            raise InputError(f"NAME: {name!r} is not one of {', '.join(known)}")
    return list(names or known)


def _print(verdicts: Sequence[Verdict], absent: dict[str, str], elapsed: float, console: Console) -> None:
    rows = [("machine", "kernel", "path", "layers", "numbers")]
    rows += [(v.machine, v.kernel, v.path, f"{v.layers:,}", f"{v.compared:,}") for v in verdicts]
    widths = [max(len(row[n]) for row in rows) for n in range(5)]
    for row, verdict in zip(rows, [None, *verdicts], strict=True):
        pairs = enumerate(zip(row, widths, strict=True))
        line = "  ".join(cell.ljust(width) if n < 3 else cell.rjust(width) for n, (cell, width) in pairs)
        if verdict is None:
            console.print(f"[bold]{line}[/]", highlight=False, soft_wrap=True)
            continue
        console.print(
            line + "  " + ("[green]same bits[/]" if verdict.passed else "[bold red]WRONG[/]"), highlight=False
        )
        if not verdict.passed:
            failure = verdict.failure or "no layer that was drawn is one it takes: --layers for more"
            console.print(f"  {failure}", soft_wrap=True, highlight=False, markup=False)
    for machine, why in absent.items():
        console.print(f"without {machine}: {why}", soft_wrap=True, highlight=False)
    wrong = sum(not verdict.passed for verdict in verdicts)
    total = sum(verdict.compared for verdict in verdicts)
    result = f"{wrong} of {len(verdicts)} are WRONG" if wrong else f"all {len(verdicts)} have the reference's bits"
    console.print(f"{result}, {total:,} numbers compared, {elapsed:.0f} s", highlight=False)
