"""The integer program: the normative meaning of every integer operation.

Each operation is a frozen record of integers with ``run``, its meaning in NumPy, exact: sums are formed in int64, or in
a float type whose every partial sum is an integer it holds exactly. ``output`` says which integers an operation takes
and gives; no promise is left to chance, a shape that could leave int32 is refused when a program is made.
C, NEON and generated code are compared with ``run`` bit for bit.

A weight of code j and b bits is the odd integer 2 j - N with N = 2^b - 1; activations are unsigned codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from minigrad.errors import InputError
from quant.integer_checks import INT32_MAX, Values, check_values, check_width, freeze, is_int, values_of
from quant.packing import WIDTHS

__all__ = ["OPERATIONS", "Argmax", "Conv2d", "Linear", "Operation", "Program", "SumPool", "Thresholds", "Values"]


class Operation(Protocol):
    """What every operation offers."""

    name: ClassVar[str]

    def output(self, x: Values) -> Values:
        """What the operation gives for such an input; InputError if it does not take it."""
        ...

    def run(self, x: np.ndarray) -> np.ndarray:
        """The operation itself, on an array whose first axis counts the images."""
        ...


@dataclass(frozen=True, eq=False)
class Conv2d:
    """Convolution of codes: sum of (2 j - N) (code - zero) over the taps; outside of the image the difference is 0.

    Takes uint8 (n, height, width, IC) below 2^activation_bits, gives int32 (n, height, width, OC) in ``+-bound``, where
    bound = KH KW IC (2^weight_bits - 1) (2^activation_bits - 1) is at most 2^31 - 1.

    Parameters
    ----------
    weight_codes
        uint8 (OC, KH, KW, IC), below 2^weight_bits.
    weight_bits
        1, 2, 3, 4 or 8.
    activation_bits
        1 to 8.
    zero
        uint8 (IC,): the code of zero in each input channel, or None for 0.
    stride, dilation
        (rows, columns), at least 1.
    pads
        (top, bottom, left, right).
    """

    name: ClassVar[str] = "conv2d"
    weight_codes: np.ndarray
    weight_bits: int
    activation_bits: int
    zero: np.ndarray | None = None
    stride: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        check_width("Conv2d.weight_bits", self.weight_bits, WIDTHS)
        check_width("Conv2d.activation_bits", self.activation_bits, range(1, 9))
        freeze(self, "weight_codes", np.uint8, 4, 1 << self.weight_bits)
        for field, count, least in (("stride", 2, 1), ("pads", 4, 0), ("dilation", 2, 1)):
            value = getattr(self, field)
            if len(value) != count or not all(is_int(v) and v >= least for v in value):
                raise InputError(f"Conv2d.{field}: expected {count} integers of at least {least}, got {value!r}")
            object.__setattr__(self, field, tuple(int(v) for v in value))
        if self.zero is not None:
            freeze(self, "zero", np.uint8, 1, 1 << self.activation_bits)
            if len(self.zero) != self.weight_codes.shape[3]:
                raise InputError(f"Conv2d.zero: expected {self.weight_codes.shape[3]} codes, got {len(self.zero)}")
        if self.bound > INT32_MAX:
            raise InputError(f"Conv2d.weight_codes: sums reach {self.bound}, beyond int32; use fewer terms or bits")

    @property
    def bound(self) -> int:
        """No sum, nor any part of one in any order, is larger in size."""
        terms = int(np.prod(self.weight_codes.shape[1:]))
        return terms * ((1 << self.weight_bits) - 1) * ((1 << self.activation_bits) - 1)

    def output(self, x: Values) -> Values:
        check_values("Conv2d", x, 3, (1 << self.activation_bits) - 1)
        out_channels, kernel_height, kernel_width, in_channels = self.weight_codes.shape
        height, width, channels = x.shape
        if channels != in_channels:
            raise InputError(f"Conv2d: expected {in_channels} input channels, got {channels}")
        top, bottom, left, right = self.pads
        rows = (height + top + bottom - (kernel_height - 1) * self.dilation[0] - 1) // self.stride[0] + 1
        columns = (width + left + right - (kernel_width - 1) * self.dilation[1] - 1) // self.stride[1] + 1
        if rows < 1 or columns < 1:
            raise InputError(f"Conv2d: a kernel of {kernel_height}x{kernel_width} does not fit {height}x{width}")
        return Values((rows, columns, out_channels), -self.bound, self.bound)

    def run(self, x: np.ndarray) -> np.ndarray:
        out_shape = self.output(values_of("Conv2d", x, np.uint8)).shape
        # Integers up to 2^24 and 2^53 are exact in the float types, so products of matrices may use BLAS.
        exact: Any = np.float32 if self.bound <= 1 << 24 else np.float64
        out_channels = len(self.weight_codes)
        weights = (2 * self.weight_codes.astype(exact) - ((1 << self.weight_bits) - 1)).reshape(out_channels, -1)
        zero = np.zeros(1, exact) if self.zero is None else self.zero.astype(exact)
        sums = np.empty((len(x), *out_shape), np.int32)
        batch = max(1, (1 << 22) // (out_shape[0] * out_shape[1] * weights.shape[1]))
        for begin in range(0, len(x), batch):
            part = self._columns(x[begin : begin + batch].astype(exact) - zero) @ weights.T
            sums[begin : begin + batch] = part.reshape(-1, *out_shape)
        return sums

    def _columns(self, differences: np.ndarray) -> np.ndarray:
        """The terms of each output pixel as a row, in the order of the weights."""
        top, bottom, left, right = self.pads
        padded = np.pad(differences, ((0, 0), (top, bottom), (left, right), (0, 0)))
        _, kernel_height, kernel_width, _ = self.weight_codes.shape
        reach = ((kernel_height - 1) * self.dilation[0] + 1, (kernel_width - 1) * self.dilation[1] + 1)
        windows = sliding_window_view(padded, reach, axis=(1, 2))
        taps = windows[:, :: self.stride[0], :: self.stride[1], :, :: self.dilation[0], :: self.dilation[1]]
        return taps.transpose(0, 1, 2, 4, 5, 3).reshape(-1, self.weight_codes[0].size)


@dataclass(frozen=True, eq=False)
class Thresholds:
    """Codes from integers: how many k have direction[c] x[..., c] >= thresholds[c, k].

    Takes int32 (n, ..., C), any of them, gives uint8 of the same shape, below 2^bits.

    Parameters
    ----------
    thresholds
        int32 (C, 2^bits - 1), ascending in each row; equals are allowed.
    direction
        int8 (C,), +1 or -1.
    bits
        1 to 8.
    """

    name: ClassVar[str] = "thresholds"
    thresholds: np.ndarray
    direction: np.ndarray
    bits: int

    def __post_init__(self) -> None:
        check_width("Thresholds.bits", self.bits, range(1, 9))
        freeze(self, "thresholds", np.int32, 2)
        freeze(self, "direction", np.int8, 1)
        channels, levels = len(self.direction), (1 << self.bits) - 1
        if self.thresholds.shape != (channels, levels):
            raise InputError(f"Thresholds.thresholds: expected shape {(channels, levels)}, got {self.thresholds.shape}")
        if not np.isin(self.direction, (1, -1)).all():
            raise InputError("Thresholds.direction: expected only 1 and -1")
        descents = np.nonzero((self.thresholds[:, 1:] < self.thresholds[:, :-1]).any(axis=1))[0]
        if descents.size:
            raise InputError(f"Thresholds.thresholds: those of channel {descents[0]} do not ascend")

    def output(self, x: Values) -> Values:
        if not x.shape or x.shape[-1] != len(self.direction):
            raise InputError(f"Thresholds: expected {len(self.direction)} channels, got shape {x.shape}")
        if x.low < -INT32_MAX - 1 or x.high > INT32_MAX:
            raise InputError(f"Thresholds: expected int32, got integers in [{x.low}, {x.high}]")
        return Values(x.shape, 0, (1 << self.bits) - 1)

    def run(self, x: np.ndarray) -> np.ndarray:
        self.output(values_of("Thresholds", x, np.int32))
        codes = np.empty(x.shape, np.uint8)
        for c, (row, direction) in enumerate(zip(self.thresholds, self.direction, strict=True)):
            # the place where x would go behind its equals is the count of thresholds that are at most x
            codes[..., c] = np.searchsorted(row.astype(np.int64), x[..., c] * np.int64(direction), side="right")
        return codes


@dataclass(frozen=True)
class SumPool:
    """Sum over all pixels: uint8 (n, height, width, C) to int32 (n, C), at most 255 height width <= 2^31 - 1."""

    name: ClassVar[str] = "sum_pool"

    def output(self, x: Values) -> Values:
        check_values("SumPool", x, 3, 255)
        pixels = x.shape[0] * x.shape[1]
        if pixels * 255 > INT32_MAX:
            raise InputError(f"SumPool: {pixels} pixels may sum to more than an int32 holds")
        return Values(x.shape[2:], pixels * x.low, pixels * x.high)

    def run(self, x: np.ndarray) -> np.ndarray:
        self.output(values_of("SumPool", x, np.uint8))
        return x.sum(axis=(1, 2), dtype=np.int64).astype(np.int32)


@dataclass(frozen=True, eq=False)
class Linear:
    """Logits: bias[o] + sum of (2 j - N) x[i]. Takes int32 (n, in) in [0, x_max], gives int32 (n, out) in ``+-bound``.

    bound = largest |bias| + in (2^weight_bits - 1) x_max is at most 2^31 - 1.

    Parameters
    ----------
    weight_codes
        uint8 (out, in), below 2^weight_bits.
    weight_bits
        1, 2, 3, 4 or 8.
    x_max
        The largest input there may be.
    bias
        int32 (out,).
    """

    name: ClassVar[str] = "linear"
    weight_codes: np.ndarray
    weight_bits: int
    x_max: int
    bias: np.ndarray

    def __post_init__(self) -> None:
        check_width("Linear.weight_bits", self.weight_bits, WIDTHS)
        freeze(self, "weight_codes", np.uint8, 2, 1 << self.weight_bits)
        freeze(self, "bias", np.int32, 1)
        if len(self.bias) != len(self.weight_codes):
            raise InputError(f"Linear.bias: expected {len(self.weight_codes)} integers, got {len(self.bias)}")
        if not is_int(self.x_max) or not 0 <= self.x_max <= INT32_MAX:
            raise InputError(f"Linear.x_max: expected an integer from 0 to {INT32_MAX}, got {self.x_max!r}")
        if self.bound > INT32_MAX:
            raise InputError(f"Linear.weight_codes: sums reach {self.bound}, beyond int32; use fewer terms or bits")

    @property
    def bound(self) -> int:
        """No logit, nor any part of one in any order, is larger in size."""
        largest_bias = int(np.abs(self.bias.astype(np.int64)).max())
        return largest_bias + self.weight_codes.shape[1] * ((1 << self.weight_bits) - 1) * self.x_max

    def output(self, x: Values) -> Values:
        check_values("Linear", x, 1, self.x_max)
        if x.shape[0] != self.weight_codes.shape[1]:
            raise InputError(f"Linear: expected {self.weight_codes.shape[1]} features, got {x.shape[0]}")
        return Values((len(self.bias),), -self.bound, self.bound)

    def run(self, x: np.ndarray) -> np.ndarray:
        self.output(values_of("Linear", x, np.int32))
        weights = 2 * self.weight_codes.astype(np.int64) - ((1 << self.weight_bits) - 1)
        return (x.astype(np.int64) @ weights.T + self.bias).astype(np.int32)


@dataclass(frozen=True)
class Argmax:
    """Index of the largest logit, the first of equals: int32 (n, count) to int32 (n,)."""

    name: ClassVar[str] = "argmax"

    def output(self, x: Values) -> Values:
        if len(x.shape) != 1:
            raise InputError(f"Argmax: expected logits, got shape {x.shape}")
        return Values((), 0, x.shape[0] - 1)

    def run(self, x: np.ndarray) -> np.ndarray:
        self.output(values_of("Argmax", x, np.int32))
        return x.argmax(axis=1).astype(np.int32)


#: The operations by name.
OPERATIONS: dict[str, Any] = {kind.name: kind for kind in (Conv2d, Thresholds, SumPool, Linear, Argmax)}


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
        x = Values(self.input_shape, 0, 255)
        for position, op in enumerate(self.ops):
            try:
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
