"""Pooling: the sum of an image, the sum and the largest code of each window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from minigrad.errors import InputError
from quant.integer.checks import INT32_MAX, Values, check_integers, check_values, values_of

__all__ = ["MaxPool", "SumPool", "SumWindows"]


@dataclass(frozen=True)
class SumPool:
    """Sum over all pixels: uint8 (n, height, width, C) to int32 (n, C), at most 255 height width <= 2^31 - 1."""

    name: ClassVar[str] = "sum_pool"
    arity: ClassVar[int] = 1

    def output(self, *inputs: Values) -> Values:
        (x,) = inputs
        check_values("SumPool", x, 3, 255, np.uint8)
        pixels = x.shape[0] * x.shape[1]
        if pixels * 255 > INT32_MAX:
            raise InputError(f"SumPool: {pixels} pixels may sum to more than an int32 holds")
        return Values(x.shape[2:], pixels * x.low, pixels * x.high, np.dtype(np.int32))

    def run(self, x: np.ndarray) -> np.ndarray:
        self.output(values_of("SumPool", x, np.uint8))
        return x.sum(axis=(1, 2), dtype=np.int64).astype(np.int32)


@dataclass(frozen=True)
class _Windows:
    """Windows over an image, outside of which there is nothing.

    Parameters
    ----------
    kernel, stride
        (rows, columns), at least 1.
    pads
        (top, bottom, left, right), top and bottom below kernel[0], left and right below kernel[1]: each window has a
        pixel.
    """

    name: ClassVar[str]
    arity: ClassVar[int] = 1
    kernel: tuple[int, int]
    stride: tuple[int, int]
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)

    def __post_init__(self) -> None:
        for field, count, least in (("kernel", 2, 1), ("stride", 2, 1), ("pads", 4, 0)):
            check_integers(self, field, count, least)
        if max(self.pads[:2]) >= self.kernel[0] or max(self.pads[2:]) >= self.kernel[1]:
            raise InputError(
                f"{type(self).__name__}.pads: expected borders smaller than the kernel {self.kernel}, got {self.pads}"
            )

    def _shape(self, x: Values) -> tuple[int, int, int]:
        check_values(type(self).__name__, x, 3, 255, np.uint8)
        height, width, channels = x.shape
        rows = (height + self.pads[0] + self.pads[1] - self.kernel[0]) // self.stride[0] + 1
        columns = (width + self.pads[2] + self.pads[3] - self.kernel[1]) // self.stride[1] + 1
        if rows < 1 or columns < 1:
            raise InputError(f"{type(self).__name__}: a kernel of {self.kernel} does not fit {height}x{width}")
        return rows, columns, channels

    def _windows(self, x: np.ndarray) -> np.ndarray:
        """(n, rows, columns, C, kernel rows, kernel columns), 0 outside of the image."""
        top, bottom, left, right = self.pads
        padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
        return sliding_window_view(padded, self.kernel, axis=(1, 2))[:, :: self.stride[0], :: self.stride[1]]


class MaxPool(_Windows):
    """The largest code of each window and channel: uint8 (n, height, width, C) to uint8 (n, rows, columns, C).

    Parameters
    ----------
    kernel, stride
        (rows, columns), at least 1.
    pads
        (top, bottom, left, right), top and bottom below kernel[0], left and right below kernel[1]: each window has a
        pixel. Outside of the image there is nothing.
    """

    name: ClassVar[str] = "max_pool"

    def output(self, *inputs: Values) -> Values:
        (x,) = inputs
        return Values(self._shape(x), x.low, x.high, np.dtype(np.uint8))

    def run(self, x: np.ndarray) -> np.ndarray:
        self.output(values_of("MaxPool", x, np.uint8))
        return np.ascontiguousarray(self._windows(x).max(axis=(4, 5)))  # zeros change no largest of codes


class SumWindows(_Windows):
    """The sum of each window and channel: uint8 (n, height, width, C) to int32 (n, rows, columns, C).

    Average pooling is this and a requantization by 1 / (kernel rows times columns), which counts borders as zeros.

    Parameters
    ----------
    kernel, stride
        (rows, columns), at least 1; at most 8,421,504 pixels, so that sums are int32.
    pads
        (top, bottom, left, right), top and bottom below kernel[0], left and right below kernel[1]: each window has a
        pixel. Outside of the image there is nothing.
    """

    name: ClassVar[str] = "sum_windows"

    def output(self, *inputs: Values) -> Values:
        (x,) = inputs
        shape = self._shape(x)
        pixels = self.kernel[0] * self.kernel[1]
        if pixels * 255 > INT32_MAX:
            raise InputError(f"SumWindows: {pixels} pixels may sum to more than an int32 holds")
        low = 0 if any(self.pads) else pixels * x.low
        return Values(shape, low, pixels * x.high, np.dtype(np.int32))

    def run(self, x: np.ndarray) -> np.ndarray:
        self.output(values_of("SumWindows", x, np.uint8))
        return self._windows(x).sum(axis=(4, 5), dtype=np.int64).astype(np.int32)
