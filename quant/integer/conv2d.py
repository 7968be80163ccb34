"""The integer convolution."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from minigrad.errors import InputError
from quant.integer.checks import INT32_MAX, Values, check_integers, check_values, check_width, freeze, is_int, values_of
from quant.integer.encoding import Codebook, Encoding, Odd, Offset
from quant.packing import WIDTHS

__all__ = ["Conv2d"]


@dataclass(frozen=True, eq=False)
class Conv2d:
    """Convolution of codes: sum of weight (code - zero) over the taps; outside of the image the difference is 0.

    Takes uint8 (n, height, width, IC) below 2^activation_bits, gives int32 (n, height, width, OC) in ``+-bound``. No
    sum of some of the terms, in any order, is larger in size than bound, which is at most 2^31 - 2.

    Parameters
    ----------
    weight_codes
        uint8 (OC, KH, KW, IC / groups), below 2^weight_bits.
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
    groups
        Divides IC and OC; output channel o reads the input channels of group o groups // OC.
    bipolar
        An activation of bit b is 2 b - 1; needs activation_bits 1 and no zero. Outside of the image it is 0.
    encoding
        What the code of a weight stands for.
    """

    name: ClassVar[str] = "conv2d"
    arity: ClassVar[int] = 1
    weight_codes: np.ndarray
    weight_bits: int
    activation_bits: int
    zero: np.ndarray | None = None
    stride: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    bipolar: bool = False
    encoding: Encoding = field(default_factory=Odd)

    def __post_init__(self) -> None:
        check_width("Conv2d.weight_bits", self.weight_bits, WIDTHS)
        check_width("Conv2d.activation_bits", self.activation_bits, range(1, 9))
        freeze(self, "weight_codes", np.uint8, 4, 1 << self.weight_bits)
        for name, count, least in (("stride", 2, 1), ("pads", 4, 0), ("dilation", 2, 1)):
            check_integers(self, name, count, least)
        if not is_int(self.groups) or self.groups < 1 or len(self.weight_codes) % self.groups:
            raise InputError(
                f"Conv2d.groups: expected a divisor of {len(self.weight_codes)} output channels, got {self.groups!r}"
            )
        if not isinstance(self.bipolar, (bool, np.bool_)) or (
            self.bipolar and (self.activation_bits != 1 or self.zero is not None)
        ):
            raise InputError(f"Conv2d.bipolar: expected activations of 1 bit and no zero, got {self.bipolar!r}")
        if not isinstance(self.encoding, (Odd, Offset, Codebook)):
            raise InputError(f"Conv2d.encoding: expected Odd, Offset or Codebook, got {self.encoding!r}")
        if self.zero is not None:
            freeze(self, "zero", np.uint8, 1, 1 << self.activation_bits)
            if len(self.zero) != self.in_channels:
                raise InputError(f"Conv2d.zero: expected {self.in_channels} codes, got {len(self.zero)}")
        if self.bound >= INT32_MAX:
            raise InputError(f"Conv2d.weight_codes: sums reach {self.bound}, beyond int32; use fewer terms or bits")

    @property
    def in_channels(self) -> int:
        """Input channels of all groups together."""
        return self.weight_codes.shape[3] * self.groups

    @property
    def bound(self) -> int:
        """No sum, nor any part of one in any order, is larger in size."""
        terms = int(np.prod(self.weight_codes.shape[1:]))
        largest = int(np.abs(self.encoding.values(self.weight_bits)).max())
        return terms * largest * (1 if self.bipolar else (1 << self.activation_bits) - 1)

    def output(self, *inputs: Values) -> Values:
        (x,) = inputs
        check_values("Conv2d", x, 3, (1 << self.activation_bits) - 1, np.uint8)
        out_channels, kernel_height, kernel_width, _ = self.weight_codes.shape
        height, width, channels = x.shape
        if channels != self.in_channels:
            raise InputError(f"Conv2d: expected {self.in_channels} input channels, got {channels}")
        top, bottom, left, right = self.pads
        rows = (height + top + bottom - (kernel_height - 1) * self.dilation[0] - 1) // self.stride[0] + 1
        columns = (width + left + right - (kernel_width - 1) * self.dilation[1] - 1) // self.stride[1] + 1
        if rows < 1 or columns < 1:
            raise InputError(f"Conv2d: a kernel of {kernel_height}x{kernel_width} does not fit {height}x{width}")
        return Values((rows, columns, out_channels), -self.bound, self.bound, np.dtype(np.int32))

    def run(self, x: np.ndarray) -> np.ndarray:
        rows, columns, out_channels = self.output(values_of("Conv2d", x, np.uint8)).shape
        # Integers up to 2^24 and 2^53 are exact in the float types, so products of matrices may use BLAS.
        exact: Any = np.float32 if self.bound <= 1 << 24 else np.float64
        table = self.encoding.values(self.weight_bits).astype(exact)
        weights = table[self.weight_codes].reshape(self.groups, out_channels // self.groups, -1).transpose(0, 2, 1)
        sums = np.empty((len(x), rows, columns, out_channels), np.int32)
        batch = max(1, (1 << 22) // (rows * columns * self.weight_codes[0].size * self.groups))
        for begin in range(0, len(x), batch):
            part = self._columns(self._differences(x[begin : begin + batch], exact)) @ weights
            sums[begin : begin + batch] = part.transpose(1, 0, 2).reshape(-1, rows, columns, out_channels)
        return sums

    def _differences(self, codes: np.ndarray, exact: Any) -> np.ndarray:
        """What is multiplied: codes less zero, or signs."""
        if self.bipolar:
            return 2 * codes.astype(exact) - 1
        return codes.astype(exact) - (np.zeros(1, exact) if self.zero is None else self.zero.astype(exact))

    def _columns(self, differences: np.ndarray) -> np.ndarray:
        """The terms of each group's output pixels as rows, (group, pixel, term), in the order of the weights."""
        top, bottom, left, right = self.pads
        padded = np.pad(differences, ((0, 0), (top, bottom), (left, right), (0, 0)))
        _, kernel_height, kernel_width, of_group = self.weight_codes.shape
        reach = ((kernel_height - 1) * self.dilation[0] + 1, (kernel_width - 1) * self.dilation[1] + 1)
        windows = sliding_window_view(padded, reach, axis=(1, 2))
        taps = windows[:, :: self.stride[0], :: self.stride[1], :, :: self.dilation[0], :: self.dilation[1]]
        grouped = taps.reshape(*taps.shape[:3], self.groups, of_group, kernel_height, kernel_width)
        return grouped.transpose(3, 0, 1, 2, 5, 6, 4).reshape(self.groups, -1, self.weight_codes[0].size)
