"""The bit-for-bit comparison: what a target computes against the NumPy reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from minigrad import threads
from quant.integer import Conv2d, Operation, Program
from quant.runtime import Epilogue, run_layer
from verify.kernels.targets import Runner

__all__ = ["Mismatch", "Row", "compare_layer", "compare_operation", "compare_program"]


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


def compare_operation(op: Operation, inputs: tuple[np.ndarray, ...], runner: Runner) -> Row:
    """One operation on its inputs: does the runner give the bits of ``op.run``?"""
    row = Row(op.name, runner.target.name, runner.path_of(op, inputs[0].shape[1:]), runner.name)
    row.add(op.run(*inputs), runner.run_operation(op, *inputs))
    return row


def compare_layer(
    op: Conv2d, epilogue: Epilogue | None, x: np.ndarray, runner: Runner, kernel: int = 0, from_weights: bool = False
) -> Row:
    """A convolution and its epilogue in one kernel, the given one of the table or the best."""
    sums = op.run(x)
    row = Row(op.name, runner.target.name, runner.path, runner.name)
    got = run_layer(op, x, runner.target, runner.path, epilogue, kernel, from_weights)
    row.add(sums if epilogue is None else epilogue.run(sums), got)
    return row


def compare_program(
    program: Program,
    pixels: np.ndarray,
    runners: Sequence[Runner],
    on_images: Callable[[Runner, int], None] = lambda runner, count: None,
    batch: int = 64,
) -> list[list[Row]]:
    """A whole program, every integer of every operation; each operation gets what the runner's own gave before it.

    Parameters
    ----------
    program, pixels
        The program, and uint8 images (n, *input_shape).
    runners
        What is held against the NumPy reference, side by side in threads.
    on_images
        Called with a runner and the number of images after each of its batches.
    batch
        Images a call.

    Returns
    -------
    list of lists of Row
        For each runner one row an operation, in their order.
    """
    program.check(pixels)
    shapes = [program.input_shape, *(values.shape for values in program.values()[:-1])]
    rows = [
        [
            Row(f"{position} {op.name}", runner.target.name, runner.path_of(op, shape), runner.name)
            for position, (op, shape) in enumerate(zip(program.ops, shapes, strict=True))
        ]
        for runner in runners
    ]

    def compare(runner: Runner, rows: list[Row], part: np.ndarray, expected: list[np.ndarray]) -> None:
        for row, reference, got in zip(rows, expected, runner.run(program, part), strict=True):
            row.add(reference, got)
        on_images(runner, len(part))

    with ThreadPoolExecutor(threads.count()) as pool:
        for begin in range(0, len(pixels), batch):
            part = pixels[begin : begin + batch]
            expected = program.run(part)
            for done in [pool.submit(compare, *pair, part, expected) for pair in zip(runners, rows, strict=True)]:
                done.result()
    return rows
