"""Every kernel of the table, forced by its number, on every machine there is: bit for bit, with the smallest failure.

Layers are drawn by hypothesis, which also makes those that fail small; a few that are always the same, and the worst
operands of each lane, follow.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import hypothesis
from hypothesis import HealthCheck, settings

from minigrad.errors import InputError
from minigrad.kernels import KernelError
from quant.runtime import PATHS, Epilogue, run_layer
from quant.target import Target
from verify.kernels.bench.layers import DEFAULT_WIDTHS
from verify.kernels.bench.layers import Layer as Shape
from verify.kernels.bench.operands import epilogue_for, operands
from verify.kernels.compare import Row
from verify.kernels.draws import Layer, layers, typical_layers
from verify.kernels.emulator import EmulationError
from verify.kernels.targets import Kernel, emulated, kernels, native
from verify.kernels.user_process import MACHINES as USER_MACHINES
from verify.kernels.user_process import ProcessTarget, missing_emulator

__all__ = ["MACHINES", "Verdict", "judge", "judge_all", "missing", "runnable"]

#: This one; AArch64 on a core emulated in this process, with dot and matrix products; and what QEMU emulates.
MACHINES = ("native", "aarch64", *(f"qemu-{name}" for name in USER_MACHINES))

#: Layers whose worst operands are tried: with channels and pixels beyond a tile.
_WORST = (Shape(3, 1, 64, 40, 9), Shape(3, 2, 32, 33, 9), Shape(1, 1, 64, 20, 5), Shape(3, 1, 256, 8, 4))
#: Drawn layers a unit of work has.
_PART = 25


@dataclass
class Verdict:
    """What became of one kernel on one machine."""

    machine: str
    kernel: str
    path: str
    #: Layers it took, and numbers they gave.
    layers: int = 0
    compared: int = 0
    #: The smallest layer that fails and what is wrong with it, or empty.
    failure: str = ""

    @property
    def passed(self) -> bool:
        """It took layers, and all bits are the reference's."""
        return self.layers > 0 and not self.failure

    def add(self, other: Verdict) -> None:
        """Count another part of the work."""
        self.layers += other.layers
        self.compared += other.compared
        self.failure = self.failure or other.failure


class Unit(NamedTuple):
    """A part of the work: some layers of one machine."""

    machine: str
    library: Path | None
    names: tuple[str, ...]
    layers: int
    seed: int
    fixed: bool


class _Wrong(Exception):
    def __init__(self, kernel: str, text: str) -> None:
        super().__init__(text)
        self.kernel = kernel


def missing(machine: str) -> str:
    """Why a machine cannot be had here, or an empty string."""
    if machine == "native":
        return ""
    absent = [name for name in ("ziglang", "unicorn") if importlib.util.find_spec(name) is None]
    if absent:
        return f"{', '.join(absent)} not installed: the extra 'cross'"
    return "" if machine == "aarch64" else missing_emulator(machine.removeprefix("qemu-"))


@functools.cache
def _open(machine: str, library: Path | None) -> Target:
    if machine == "native":
        return native()
    return emulated(library, core="max") if machine == "aarch64" else ProcessTarget(machine.removeprefix("qemu-"))


def runnable(machine: str, library: Path | None = None) -> list[Kernel]:
    """The kernels of a machine's build that its processor runs."""
    target = _open(machine, library)
    return [kernel for kernel in kernels(target) if target.call("mgk_has_path", PATHS[kernel.path])]


def judge(unit: Unit) -> list[Verdict]:
    """Hold some layers of every kernel against the reference.

    Returns
    -------
    list of Verdict
        One a kernel; after a failure it has no more layers.

    Raises
    ------
    InputError
        If the machine cannot be had here.
    """
    target = _open(unit.machine, unit.library)
    numbers = {kernel.name: number for number, kernel in enumerate(kernels(target), 1)}
    verdicts = {
        kernel.name: Verdict(unit.machine, kernel.name, kernel.path)
        for kernel in runnable(unit.machine, unit.library)
        if kernel.name in unit.names
    }
    while left := [verdict for verdict in verdicts.values() if not verdict.failure]:
        for verdict in left:  # counted again, without the one that failed
            verdict.layers = verdict.compared = 0
        try:
            _compare_drawn(target, left, numbers, unit)
            if unit.fixed:
                for layer in _fixed_layers():
                    _compare(target, left, numbers, layer)
        except _Wrong as wrong:
            verdicts[wrong.kernel].failure = str(wrong)
        else:
            break
    return list(verdicts.values())


def _compare_drawn(target: Target, verdicts: Sequence[Verdict], numbers: dict[str, int], unit: Unit) -> None:
    @hypothesis.seed(unit.seed)
    @settings(
        max_examples=unit.layers,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        verbosity=hypothesis.Verbosity.quiet,
    )
    @hypothesis.given(layers())
    def check(layer: Layer) -> None:
        _compare(target, verdicts, numbers, layer)

    check()


def _fixed_layers() -> Iterator[Layer]:
    yield from typical_layers()
    for shape in _WORST:
        for width in DEFAULT_WIDTHS:
            for op, x in operands(shape, width):
                yield Layer(op, epilogue_for(op.run(x), width, mixed=True), x, width.from_weights)


def _compare(target: Target, verdicts: Sequence[Verdict], numbers: dict[str, int], layer: Layer) -> None:
    sums = layer.op.run(layer.x)
    expected = sums if layer.epilogue is None else layer.epilogue.run(sums)
    for verdict in verdicts:
        row = Row(layer.op.name, verdict.machine, verdict.path)
        number, arguments = numbers[verdict.kernel], (layer.op, layer.x, target, verdict.path, layer.epilogue)
        try:
            row.add(expected, run_layer(*arguments, number, layer.from_weights))
        except (KernelError, EmulationError) as error:
            if "MGK_BAD_PATH" in str(error):  # not a layer for this kernel
                continue
            raise _Wrong(verdict.kernel, f"{_describe(layer)}: {error}") from None
        if row.mismatches:
            text = f"{_describe(layer)}: {row.mismatches} of {row.compared} numbers differ, {row.first}"
            raise _Wrong(verdict.kernel, text)
        verdict.layers += 1
        verdict.compared += row.compared


def _describe(layer: Layer) -> str:
    op, x = layer.op, layer.x
    out, height, width, channels = op.weight_codes.shape
    parts = [
        f"{height}x{width}",
        f"stride {_pair(op.stride)}",
        f"pads {'+'.join(map(str, op.pads))}",
        f"dilation {_pair(op.dilation)}",
        f"{channels * op.groups} to {out} channels" + (f" in {op.groups} groups" if op.groups > 1 else ""),
        f"images {'x'.join(map(str, x.shape[:3]))}",
        f"{op.activation_bits}-bit codes"
        + (", bipolar" if op.bipolar else ", with codes of zero" if op.zero is not None and op.zero.any() else ""),
        f"{op.weight_bits}-bit weights, {op.encoding.kind}",
        "to " + _epilogue(layer.epilogue),
    ]
    return ", ".join(parts) + (", flush counts from the weights" if layer.from_weights else "")


def _pair(numbers: tuple[int, int]) -> str:
    return str(numbers[0]) if numbers[0] == numbers[1] else f"{numbers[0]}x{numbers[1]}"


def _epilogue(epilogue: Epilogue | None) -> str:
    return "int32" if epilogue is None else epilogue.name


def judge_all(
    machines: Sequence[str],
    names: Sequence[str],
    count: int,
    seed: int,
    processes: int,
    library: Path | None = None,
    on_part: Callable[[str, int], None] = lambda machine, count: None,
) -> list[Verdict]:
    """Judge the kernels of these names on these machines.

    Parameters
    ----------
    machines : of ``MACHINES``
    names : of kernels
    count, seed : how many layers to draw for each machine, and what they are drawn from
    processes : how many parts of the work to do at a time
    library : a build of one's own for the machine "aarch64"
    on_part : called with a machine and how many layers it is done with

    Returns
    -------
    list of Verdict, in the order of the machines and of their tables
    """
    units = [
        Unit(machine, library, tuple(names), min(_PART, count - begin), seed + begin, fixed=begin == 0)
        for machine in machines
        for begin in range(0, count, _PART)
    ]
    verdicts = {
        (machine, kernel.name): Verdict(machine, kernel.name, kernel.path)
        for machine in machines
        for kernel in runnable(machine, library)
        if kernel.name in names
    }
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(judge, unit): unit for unit in units}
        for future in as_completed(futures):
            unit = futures[future]
            try:
                found = future.result()
            except BrokenProcessPool:
                raise InputError(
                    f"{unit.machine}: a kernel ended the process it ran in; the machine 'aarch64' says where one "
                    "touches what it must not, 'make ctest' has sanitizers"
                ) from None
            for verdict in found:
                verdicts[verdict.machine, verdict.kernel].add(verdict)
            on_part(unit.machine, unit.layers)
    return list(verdicts.values())
