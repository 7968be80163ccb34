"""Operations one after another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.errors import InputError
from quant.integer.checks import Values
from quant.integer.conv2d import Conv2d
from quant.integer.epilogue import Requantize, Thresholds
from quant.integer.linear import Argmax, Linear, LinearInt8
from quant.integer.operation import Operation
from quant.integer.pool import MaxPool, SumPool, SumWindows
from quant.integer.residual import ResidualAdd

__all__ = ["OPERATIONS", "Program"]

_KINDS = (Conv2d, Thresholds, Requantize, ResidualAdd, MaxPool, SumPool, SumWindows, Linear, LinearInt8, Argmax)
#: The operations by name.
OPERATIONS: dict[str, Any] = {kind.name: kind for kind in _KINDS}


@dataclass(frozen=True, eq=False)
class Program:
    """Operations one after another, from uint8 pixels (n, height, width, channels) on.

    Raises
    ------
    InputError
        If an operation does not take what the one before it gives.
    """

    ops: tuple[Operation, ...]
    input_shape: tuple[int, int, int]
    name: str = "program"

    def __post_init__(self) -> None:
        object.__setattr__(self, "ops", tuple(self.ops))
        object.__setattr__(self, "input_shape", tuple(int(size) for size in self.input_shape))
        if len(self.input_shape) != 3 or min(self.input_shape) < 1:
            raise InputError(f"Program.input_shape: expected (height, width, channels), got {self.input_shape}")
        if not self.ops:
            raise InputError("Program.ops: expected at least one operation")
        self.values()

    def values(self) -> list[Values]:
        """What each operation gives."""
        given = []
        x = Values(self.input_shape, 0, 255, np.dtype(np.uint8))
        for position, op in enumerate(self.ops):
            try:
                if op.arity != 1:
                    raise InputError(f"{op.name} takes {op.arity} inputs, a list of operations gives one")
                x = op.output(x)
            except InputError as error:
                raise InputError(f"Program {self.name}, operation {position}: {error}") from None
            given.append(x)
        return given

    def check(self, pixels: np.ndarray) -> np.ndarray:
        """The pixels, if they are uint8 (n, *input_shape); InputError otherwise."""
        if pixels.dtype != np.uint8 or pixels.shape[1:] != self.input_shape or len(pixels) == 0:
            raise InputError(
                f"pixels: expected uint8 images of shape {self.input_shape}, got {pixels.dtype} {pixels.shape}"
            )
        return pixels

    def save(self, path: str | Path) -> None:
        """Write the program to a safetensors file; see ``quant.program_file``."""
        from quant.program_file import save  # which imports this file

        save(self, path)

    @staticmethod
    def load(path: str | Path) -> Program:
        """Read a program from a file; InputError if there is none."""
        from quant.program_file import load

        return load(path)

    def run(self, pixels: np.ndarray) -> list[np.ndarray]:
        """What each operation gives for these images, in NumPy."""
        x = self.check(pixels)
        results = []
        for op in self.ops:
            x = op.run(x)
            results.append(x)
        return results
