"""Counting a layer on the emulated core, and holding its bits against the reference in the same run."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from quant.runtime import prepare, run_prepared
from verify.kernels.bench.instructions import Count, count_blocks
from verify.kernels.bench.layers import Layer, Width
from verify.kernels.bench.operands import OPERANDS, epilogue_for, operands
from verify.kernels.emulator import EmulatedTarget
from verify.kernels.targets import emulated

__all__ = ["COUNTED_PATHS", "Cell", "count_layer"]

#: Paths the emulated cores run, with the core: the A53 stops at a dot product.
COUNTED_PATHS = {"scalar": "a53", "neon": "a53", "dotprod": "max", "i8mm": "max"}
_TIME_LIMIT = 900.0


@dataclass(frozen=True)
class Cell:
    """What one layer takes at one width on one path, all of it, and whether its bits are the reference's."""

    layer: Layer
    width: Width
    path: str
    kernel: str
    count: Count
    #: The operands, of ``OPERANDS``, whose output is not the reference's.
    wrong: tuple[str, ...]

    @property
    def per_mac(self) -> tuple[float, float, float]:
        """Instructions, vector operations, and instructions with plain loads and stores only."""
        instructions, vector, plain = (number / self.layer.macs for number in self.count)
        return instructions, vector, plain


@functools.cache
def _target(library: Path, core: str, count: bool) -> EmulatedTarget:
    target = emulated(library, f"aarch64 {core}", count=count, core=core)
    target.time_limit = _TIME_LIMIT
    return target


def count_layer(library: Path, layer: Layer, width: Width, paths: Sequence[str]) -> list[Cell]:
    """A cell for each path.

    The kernels have no state, so that one run is the steady state: what preparing the layer takes is not in it. The
    first operands are counted, the others only compared.

    Parameters
    ----------
    library
        A build for AArch64.
    layer, width
        What to run.
    paths
        Of ``COUNTED_PATHS``.

    Returns
    -------
    list of Cell
        In the order of the paths.

    Raises
    ------
    EmulationError
        If a kernel touches memory it must not, or does not end.
    """
    cases = []
    for number, (op, x) in enumerate(operands(layer, width)):
        sums = op.run(x)
        epilogue = epilogue_for(sums, width, mixed=number > 0)
        cases.append((op, x, epilogue, epilogue.run(sums)))
    known: dict[str, Cell] = {}  # by kernel: paths that take the same one differ in nothing
    cells = []
    for path in paths:
        plain, counting = (_target(library, COUNTED_PATHS[path], count) for count in (False, True))
        kernel, prepared = "", np.empty(0, np.uint8)
        wrong: list[str] = []
        count = Count(0, 0, 0)
        for name, (op, x, epilogue, right) in zip(OPERANDS, cases, strict=True):
            prepared = prepare(op, x.shape, plain, path, epilogue, from_weights=width.from_weights)
            if not kernel:
                kernel = _kernel_of(prepared, plain)
                if kernel in known:
                    break
            target = plain if count.instructions else counting
            if not np.array_equal(run_prepared(prepared, op, x, target, epilogue), right):
                wrong.append(name)
            if target is counting:
                count = count_blocks(counting.blocks, counting.code)
        known.setdefault(kernel, Cell(layer, width, path, kernel, count, tuple(wrong)))
        cells.append(Cell(layer, width, path, kernel, known[kernel].count, known[kernel].wrong))
    return cells


def _kernel_of(prepared: np.ndarray, target: EmulatedTarget) -> str:
    return target.name_of("mgk_qconv2d_kernel_name", target.call("mgk_qconv2d_kernel_of", prepared, prepared.size))
