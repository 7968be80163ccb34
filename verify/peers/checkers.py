"""``python -m verify.peers.checkers``: our mutants before PyTorch's and JAX's gradient checkers.

It runs in the environment of ``make peers``, after ``python -m verify.gradients.mutants`` has left its outcomes; like
that on two processes and restartable. The counts are stored, and ``docs/gradients-mutants.md`` is written anew.

``gradcheck`` is documented for float64 alone, with no tolerances for float32: its row of right rules shows why.
"""

from __future__ import annotations

import argparse
import functools
import importlib.metadata
import logging
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from verify.gradients.mutants.campaign import FOLDER, Work, all_names, outcomes_of, run_all
from verify.gradients.mutants.comparison import Maker, compare_checkers
from verify.gradients.mutants.summary import count_comparison, load, merge, store
from verify.gradients.mutants.table import DOCUMENT, PEERS, write_document

__all__ = ["makers", "measure"]

#: The Jacobian that gradcheck's default mode works out has no more elements.
_MOST_JACOBIAN = 2_000_000
#: It evaluates the function twice for each input element.
_MOST_INPUTS = 20_000


def makers() -> dict[str, Maker]:
    """The checkers by name, as the table heads them."""
    from verify.peers.check_grads import CheckGrads
    from verify.peers.gradcheck import Gradcheck

    return {
        "gradcheck": Maker(Gradcheck, most=_MOST_JACOBIAN, most_inputs=_MOST_INPUTS),
        "gradcheck fast": Maker(functools.partial(Gradcheck, fast=True)),
        "gradcheck float32": Maker(Gradcheck, np.float32, most=_MOST_JACOBIAN, most_inputs=_MOST_INPUTS),
        "check_grads float32": Maker(CheckGrads, np.float32),
        "check_grads float64": Maker(CheckGrads, np.float64),
    }


def measure(name: str) -> dict[str, Any]:
    """What the checkers let through of a primitive's mutants."""
    import torch

    torch.set_num_threads(1)
    # JAX logs every exception of a callback; mutants raise.
    logging.getLogger("jax").setLevel(logging.CRITICAL)
    return {"comparison": compare_checkers(name, makers(), outcomes_of(name))}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m verify.peers.checkers", description=__doc__)
    parser.add_argument("names", nargs="*", help="primitives; all by default")
    parser.add_argument(
        "--out", type=Path, default=Path("build/mutants"), help="folder of the outcomes, ours and these"
    )
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    os.environ[FOLDER] = str(given.out)
    console = Console()
    work = Work("checkers", "verify.peers.checkers:measure", given.out / "peers", ("verify/peers",))
    results = {}
    for name, result in run_all(work, given.names or all_names(), given.processes):
        results[name] = result
        console.print(f"{name}: {len(result['comparison']['mutants'])} mutants")
    versions = {name: importlib.metadata.version(name) for name in ("torch", "jax", "jaxlib", "numpy")}
    kept = (load(PEERS) or {}).get("primitives")
    store(PEERS, {"versions": versions, "primitives": merge(kept, count_comparison(results), all_names())})
    write_document()
    console.print(f"stored in {PEERS.name} and {DOCUMENT.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
