"""Windows of a pooling: which pixels of the padded images each tap of the window meets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from minigrad.errors import InputError
from minigrad.ops.conv_geometry import pair, quadruple

__all__ = ["Pair", "Quadruple", "Windows"]

Array = np.ndarray
Pair = int | tuple[int, int]
Quadruple = int | tuple[int, ...]
Tap = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Windows:
    """Windows of one size over images (n, h, w, c), a stride apart; a last one that does not fit is left out."""

    shape: tuple[int, int, int, int]
    size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]

    @classmethod
    def of(
        cls, name: str, shape: tuple[int, ...], size: Pair, stride: Pair | None = None, padding: Quadruple = 0
    ) -> Windows:
        """From the options of a pooling; InputError where they are out of range or there is no window."""
        if len(shape) != 4:
            raise InputError(f"{name}: expected images (n, h, w, c), got shape {shape}")
        sizes = pair(size, f"{name}: size")
        strides = sizes if stride is None else pair(stride, f"{name}: stride")
        four = quadruple(padding, f"{name}: padding")
        if max(four[:2]) >= sizes[0] or max(four[2:]) >= sizes[1]:
            raise InputError(f"{name}: padding: expected less than the size {sizes}, got {padding!r}")
        windows = cls((shape[0], shape[1], shape[2], shape[3]), sizes, strides, four)
        if min(shape[1:3]) < 1 or min(windows.output) < 1:
            raise InputError(f"{name}: size {size} is larger than the padded images {shape}, padding {padding}")
        return windows

    @property
    def output(self) -> tuple[int, int]:
        """Height and width of the output."""
        top, bottom, left, right = self.padding
        return (
            (self.shape[1] + top + bottom - self.size[0]) // self.stride[0] + 1,
            (self.shape[2] + left + right - self.size[1]) // self.stride[1] + 1,
        )

    @property
    def output_shape(self) -> tuple[int, int, int, int]:
        return self.shape[0], *self.output, self.shape[3]

    @property
    def padded_shape(self) -> tuple[int, int, int, int]:
        (n, h, w, c), (top, bottom, left, right) = self.shape, self.padding
        return n, h + top + bottom, w + left + right, c

    @property
    def overlap(self) -> bool:
        """Whether a pixel can be in two windows."""
        return self.size[0] > self.stride[0] or self.size[1] > self.stride[1]

    @property
    def tile(self) -> bool:
        """Whether every pixel is in exactly one window."""
        (oh, ow), (height, width) = self.output, self.shape[1:3]
        covered = (oh * self.size[0], ow * self.size[1])
        return self.size == self.stride and covered == (height, width) and not any(self.padding)

    def taps(self) -> Iterator[Tap]:
        """What each tap meets in the padded images, row by row of the window."""
        (oh, ow), (sy, sx) = self.output, self.stride
        for y in range(self.size[0]):
            rows = slice(y, y + (oh - 1) * sy + 1, sy)
            for x in range(self.size[1]):
                yield slice(None), rows, slice(x, x + (ow - 1) * sx + 1, sx)

    def pad(self, x: Array, fill: float) -> Array:
        """The images inside of a border."""
        if not any(self.padding):
            return x
        padded = np.full(self.padded_shape, fill, x.dtype)
        self.crop(padded)[...] = x
        return padded

    def crop(self, padded: Array) -> Array:
        """The images of padded ones, as a view."""
        top, _, left, _ = self.padding
        return padded[:, top : top + self.shape[1], left : left + self.shape[2]]

    def inside(self) -> Array:
        """Which pixels of a padded image belong to the image: (1, height, width, 1)."""
        _, height, width, _ = self.padded_shape
        mask = np.zeros((1, height, width, 1), bool)
        self.crop(mask)[...] = True
        return mask
