"""Where kernels run: in this process, and as AArch64 code on an emulated core where this processor is another."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minigrad.errors import InputError
from minigrad.kernels import HEADER
from minigrad.kernels import native as installed
from quant.integer import Operation, Program
from quant.runtime import PATHS, NativeTarget, Target, path_of, run, run_operation
from verify.kernels.build import build
from verify.kernels.emulator import EmulatedTarget

__all__ = ["Kernel", "Runner", "available", "emulated", "kernels", "native", "runners"]


@dataclass(frozen=True)
class Runner:
    """One target on one path."""

    target: Target
    path: str

    @property
    def name(self) -> str:
        """Such as "aarch64 neon"."""
        return f"{self.target.name} {self.path}"

    def path_of(self, op: Operation, image_shape: tuple[int, ...]) -> str:
        """The path of the kernel an operation takes for such images: the scalar one where there is no other."""
        return path_of(op, image_shape, self.target, self.path)

    def run_operation(self, op: Operation, *inputs: np.ndarray) -> np.ndarray:
        """As ``op.run``."""
        return run_operation(op, *inputs, target=self.target, path=self.path)

    def run(self, program: Program, pixels: np.ndarray) -> list[np.ndarray]:
        """As ``program.run``."""
        return run(program, pixels, self.target, self.path)


def native() -> NativeTarget:
    """The installed build, in this process."""
    return NativeTarget(installed())


def emulated(
    library: Path | None = None, name: str = "aarch64", count: bool = False, core: str = "a53"
) -> EmulatedTarget:
    """A build for AArch64 on an emulated core; by default one made from the sources at hand.

    Raises
    ------
    InputError
        If a tool is missing, or the library was built from another header.
    """
    target = EmulatedTarget(library or build("aarch64"), name, count=count, core=core)
    digest = target.read_string(target.call("mgk_header_digest"))
    if digest != hashlib.sha256(HEADER.read_bytes()).hexdigest():
        raise InputError(f"{target.name}: built from another header than {HEADER}")
    return target


class Kernel(NamedTuple):
    """A kernel of the integer convolution, and the path it needs."""

    name: str
    path: str


def kernels(target: Target) -> list[Kernel]:
    """The build's table of kernels, the best first; the first is number 1."""
    names = {number: path for path, number in PATHS.items()}
    return [
        Kernel(target.name_of("mgk_qconv2d_kernel_name", number), names[target.call("mgk_qconv2d_kernel_path", number)])
        for number in range(1, target.call("mgk_qconv2d_kernels") + 1)
    ]


def runners(target: Target) -> list[Runner]:
    """A runner for each path the target has and the table of kernels has kernels for."""
    used = {kernel.path for kernel in kernels(target)}
    return [
        Runner(target, path) for path, number in PATHS.items() if path in used and target.call("mgk_has_path", number)
    ]


def available(say: Callable[[str], None] = lambda message: None) -> list[Runner]:
    """All runners there are here: native scalar, and AArch64's scalar and NEON, emulated unless this is AArch64.

    ``say`` is called with one line if the library for AArch64 has to be built first. Each emulated runner has a core
    of its own, so different runners may run in different threads at once.
    """
    here = runners(native())
    if platform.machine().lower() in ("aarch64", "arm64"):
        return here
    library = build("aarch64", say=say)
    return here + [Runner(emulated(library), runner.path) for runner in runners(emulated(library))]
