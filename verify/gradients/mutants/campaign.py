"""Every mutant of every primitive, on two processes; started again, it goes on where it was ended.

A primitive's outcomes are kept in a file of their own, with a digest of the source they belong to: the engine and the
checks, and the modules that this primitive is made of.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import resource
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from minigrad.primitive import PRIMITIVES
from verify.gradients.mutants.source import source_files

__all__ = ["FOLDER", "Work", "all_names", "outcomes_of", "run_all"]

#: Names the folder of the outcomes to processes that are started.
FOLDER = "MINIGRAD_MUTANTS"

#: The folders whose source decides over all outcomes.
_SOURCES = ("minigrad", "verify/gradients", "verify/gradients/mutants")
#: Files in them that do not: they train, count and show.
_ASIDE = (
    *("__main__.py", "summary.py", "table.py", "command.py", "registry.py", "quantizers.py"),
    *("training.py", "checkpoint.py", "functional.py"),
)
#: Bytes a process may have.
_MEMORY = 6 << 30
_ROOT = Path(__file__).resolve().parents[3]


class Work:
    """What is done for each primitive: ``module:function`` of (name) -> JSON, run in a process of its own."""

    def __init__(self, title: str, function: str, folder: Path, more_sources: Sequence[str] = ()) -> None:
        self.title, self.function, self.folder = title, function, folder
        self._common = _digest_of_folders((*_SOURCES, *more_sources))

    def digest(self, name: str) -> str:
        """Of all source that decides over the outcomes of a primitive."""
        total = hashlib.sha256(self._common)
        for path in source_files(PRIMITIVES[name]):
            total.update(Path(path).read_bytes())
        return total.hexdigest()

    def done(self, name: str) -> Any | None:
        """The result of an earlier run of the same source."""
        path = self.folder / f"{name}.json"
        if not path.exists():
            return None
        kept = json.loads(path.read_text())
        return kept["result"] if kept["digest"] == self.digest(name) else None

    def keep(self, name: str, result: Any) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        unfinished = self.folder / f"{name}.json.part"
        unfinished.write_text(json.dumps({"digest": self.digest(name), "result": result}))
        os.replace(unfinished, self.folder / f"{name}.json")


def _digest_of_folders(folders: Sequence[str]) -> bytes:
    total = hashlib.sha256()
    for folder in folders:
        for path in sorted((_ROOT / folder).glob("*.py")):
            if path.name not in _ASIDE:
                total.update(path.read_bytes())
    return total.digest()


def _call(function: str, name: str) -> Any:
    # A mutant may ask for arrays of any size.
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
    importlib.import_module("quant")
    module, _, attribute = function.partition(":")
    return getattr(importlib.import_module(module), attribute)(name)


def run_all(work: Work, names: Sequence[str], processes: int = 2) -> Iterator[tuple[str, Any]]:
    """Name and result of every primitive, in the order they are finished; what is known already comes first."""
    missing = []
    for name in names:
        result = work.done(name)
        if result is None:
            missing.append(name)
        else:
            yield name, result
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, disable=not sys.stderr.isatty()) as progress, ProcessPoolExecutor(processes) as pool:
        bar = progress.add_task(work.title, total=len(names), completed=len(names) - len(missing))
        # The longest first, so that none is left over at the end.
        order = sorted(missing, key=lambda name: not name.startswith(("dsq", "conv", "matmul", "linear")))
        running = {pool.submit(_call, work.function, name): name for name in order}
        for future in as_completed(running):
            name = running[future]
            result = future.result()
            work.keep(name, result)
            progress.update(bar, advance=1, description=f"{work.title}: {name}")
            yield name, result


def outcomes_of(name: str) -> Any:
    """What became of the mutants of a primitive in this run."""
    folder = Path(os.environ.get(FOLDER, "build/mutants"))
    return json.loads((folder / "ours" / f"{name}.json").read_text())["result"]["outcomes"]


def all_names() -> list[str]:
    """Every registered primitive."""
    importlib.import_module("quant")
    return sorted(PRIMITIVES)
