"""The bit-for-bit comparison: what a target computes against the NumPy reference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from quant.integer import Operation, Program
from verify.kernels.targets import Runner

__all__ = ["Mismatch", "Row", "compare_operation", "compare_program"]


@dataclass(frozen=True)
class Mismatch:
    """Where two arrays differ first, in the order of memory."""

    index: tuple[int, ...]
    expected: int
    got: int

    def __str__(self) -> str:
        return f"at {list(self.index)} expected {self.expected}, got {self.got}"


@dataclass
class Row:
    """The verdict on one operation on one target."""

    operation: str
    target: str
    path: str
    runner: str = ""
    images: int = 0
    compared: int = 0
    mismatches: int = 0
    first: Mismatch | None = None

    def add(self, expected: np.ndarray, got: np.ndarray) -> None:
        """Count what differs in the results for some more images."""
        if expected.dtype != got.dtype or expected.shape != got.shape:
            raise TypeError(
                f"{self.target} {self.path} {self.operation}: expected {expected.dtype} {expected.shape}, "
                f"got {got.dtype} {got.shape}"
            )
        differing = expected != got
        count = int(np.count_nonzero(differing))
        if count and self.first is None:
            index = tuple(int(i) for i in np.unravel_index(int(np.argmax(differing)), differing.shape))
            self.first = Mismatch((index[0] + self.images, *index[1:]), int(expected[index]), int(got[index]))
        self.images += len(expected)
        self.compared += expected.size
        self.mismatches += count


def compare_operation(op: Operation, x: np.ndarray, runner: Runner) -> Row:
    """One operation on one input: does the runner give the bits of ``op.run``?"""
    row = Row(op.name, runner.target.name, runner.path_of(op), runner.name)
    row.add(op.run(x), runner.run_operation(op, x))
    return row


def compare_program(
    program: Program,
    pixels: np.ndarray,
    runner: Runner,
    on_images: Callable[[int], None] = lambda count: None,
    batch: int = 64,
) -> list[Row]:
    """A whole program, every integer of every operation; each operation gets what the runner's own gave before it.

    Parameters
    ----------
    program, pixels
        The program, and uint8 images (n, *input_shape).
    runner
        What is held against the NumPy reference.
    on_images
        Called with the number of images after each batch.
    batch
        Images a call.

    Returns
    -------
    list of Row
        One an operation, in their order.
    """
    program.check(pixels)
    rows = [
        Row(f"{position} {op.name}", runner.target.name, runner.path_of(op), runner.name)
        for position, op in enumerate(program.ops)
    ]
    for begin in range(0, len(pixels), batch):
        part = pixels[begin : begin + batch]
        for row, expected, got in zip(rows, program.run(part), runner.run(program, part), strict=True):
            row.add(expected, got)
        on_images(len(part))
    return rows
