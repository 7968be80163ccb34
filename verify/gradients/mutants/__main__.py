"""``python -m verify.gradients.mutants [NAME ...]``: every mutant, on two processes, restartable.

The counts of these primitives are stored, and ``docs/gradients-mutants.md`` is written anew.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console

from minigrad.primitive import PRIMITIVES
from verify.gradients.mutants.campaign import FOLDER, Work, all_names, outcomes_of, run_all
from verify.gradients.mutants.comparison import OURS, compare_checkers
from verify.gradients.mutants.run import mutants_of, outcome_of
from verify.gradients.mutants.summary import MEASURED, count_comparison, count_outcomes, load, merge, store
from verify.gradients.mutants.table import DOCUMENT, write_document


def measure(name: str) -> dict[str, Any]:
    """The outcome of every mutant of a primitive."""
    primitive = PRIMITIVES[name]
    return {"outcomes": [outcome_of(primitive, mutant).as_dict() for mutant in mutants_of(primitive)]}


def measure_check(name: str) -> dict[str, Any]:
    """What ``check``, ours for any function, lets through."""
    return {"comparison": compare_checkers(name, OURS, outcomes_of(name))}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m verify.gradients.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="primitives; all by default")
    parser.add_argument("--out", type=Path, default=Path("build/mutants"), help="folder of the outcomes")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--judge-only", action="store_true", help="leave out the comparison with other checkers")
    parser.add_argument("--document", action="store_true", help="only write the document from what is stored")
    given = parser.parse_args()
    console = Console()
    if given.document:
        write_document()
        return 0
    os.environ[FOLDER] = str(given.out)
    names = given.names or all_names()
    results = {}
    work = Work("mutants", "verify.gradients.mutants.__main__:measure", given.out / "ours")
    for name, result in run_all(work, names, given.processes):
        results[name] = result
        fates = Counter(outcome["fate"] for outcome in result["outcomes"])
        console.print(f"{name}: {', '.join(f'{n} {fate}' for fate, n in sorted(fates.items()))}")
        for outcome in result["outcomes"]:
            if outcome["fate"] == "survived":
                console.print(f"  survived: {outcome['rule']}: {outcome['kind']}: {outcome['edit']}", markup=False)
    if not given.judge_only:
        work = Work("check", "verify.gradients.mutants.__main__:measure_check", given.out / "check")
        compared = dict(run_all(work, names, given.processes))
        known, kept = all_names(), load(MEASURED) or {}
        primitives = merge(kept.get("primitives"), count_outcomes(results), known)
        store(
            MEASURED, {"primitives": primitives, "check": merge(kept.get("check"), count_comparison(compared), known)}
        )
        write_document()
        console.print(f"stored in {MEASURED.name} and {DOCUMENT.name}")
    return int(any(o["fate"] == "survived" for r in results.values() for o in r["outcomes"]))


if __name__ == "__main__":
    sys.exit(main())
