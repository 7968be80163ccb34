"""From accumulators to codes or to the residual stream: thresholds, and fixed-point requantization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from minigrad.errors import InputError
from quant.integer.checks import INT32_MAX, Values, check_dtype, check_width, freeze, is_int, values_of

__all__ = ["ROUNDINGS", "Requantize", "Thresholds"]

#: Where the half between two integers goes, with the numbers of the header: towards plus infinity, away from zero, to
#: the even one.
ROUNDINGS = {"half_up": 0, "half_away": 1, "half_even": 2}


@dataclass(frozen=True, eq=False)
class Thresholds:
    """Codes from integers: how many k have direction[c] x[..., c] >= thresholds[c, k].

    Takes int32 or int16 (n, ..., C), any of them, gives uint8 of the same shape, below 2^bits.

    Parameters
    ----------
    thresholds
        int32 (C, 2^bits - 1), ascending in each row; equals are allowed.
    direction
        int8 (C,): 1, -1, or 0 for a code that does not depend on x.
    bits
        1 to 8.
    """

    name: ClassVar[str] = "thresholds"
    arity: ClassVar[int] = 1
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
        if not np.isin(self.direction, (1, -1, 0)).all():
            raise InputError("Thresholds.direction: expected only 1, -1 and 0")
        descents = np.nonzero((self.thresholds[:, 1:] < self.thresholds[:, :-1]).any(axis=1))[0]
        if descents.size:
            raise InputError(f"Thresholds.thresholds: those of channel {descents[0]} do not ascend")

    def output(self, *inputs: Values) -> Values:
        (x,) = inputs
        check_dtype("Thresholds", x, np.int32, np.int16)
        if not x.shape or x.shape[-1] != len(self.direction):
            raise InputError(f"Thresholds: expected {len(self.direction)} channels, got shape {x.shape}")
        if x.low < -INT32_MAX - 1 or x.high > INT32_MAX:
            raise InputError(f"Thresholds: expected int32, got integers in [{x.low}, {x.high}]")
        return Values(x.shape, 0, (1 << self.bits) - 1, np.dtype(np.uint8))

    def run(self, x: np.ndarray) -> np.ndarray:
        self.output(values_of("Thresholds", x, np.int32, np.int16))
        codes = np.empty(x.shape, np.uint8)
        for c, (row, direction) in enumerate(zip(self.thresholds, self.direction, strict=True)):
            # the place where x would go behind its equals is the count of thresholds that are at most x
            codes[..., c] = np.searchsorted(row.astype(np.int64), x[..., c] * np.int64(direction), side="right")
        return codes


@dataclass(frozen=True, eq=False)
class Requantize:
    """Fixed point: clip(zero + round((x + bias[c]) multiplier[c] / 2^shift[c]), low, high).

    Takes int32 (n, ..., C) whose sums with the biases are int32, gives uint8 or int16 of the same shape. The product is
    an int64, at most 2^62 in size; nothing but the one rounding and the clip loses anything.

    Parameters
    ----------
    multiplier
        int32 (C,), any.
    shift
        uint8 (C,), 0 to 62.
    low, high
        The ends of the clip, both of the type of the output.
    bias
        int32 (C,), or None for zeros.
    zero
        int32, added after rounding.
    rounding
        One of ROUNDINGS.
    dtype
        "uint8" or "int16".
    """

    name: ClassVar[str] = "requantize"
    arity: ClassVar[int] = 1
    multiplier: np.ndarray
    shift: np.ndarray
    low: int
    high: int
    bias: np.ndarray | None = None
    zero: int = 0
    rounding: str = "half_even"
    dtype: str = "uint8"

    def __post_init__(self) -> None:
        freeze(self, "multiplier", np.int32, 1)
        freeze(self, "shift", np.uint8, 1, 63)
        if self.bias is not None:
            freeze(self, "bias", np.int32, 1)
        channels = len(self.multiplier)
        for field in ("shift", "bias"):
            array = getattr(self, field)
            if array is not None and len(array) != channels:
                raise InputError(f"Requantize.{field}: expected {channels} integers, got {len(array)}")
        if self.rounding not in ROUNDINGS:
            raise InputError(f"Requantize.rounding: {self.rounding!r} is not one of {', '.join(ROUNDINGS)}")
        if self.dtype not in ("uint8", "int16"):
            raise InputError(f"Requantize.dtype: expected 'uint8' or 'int16', got {self.dtype!r}")
        if not is_int(self.zero) or abs(self.zero) > INT32_MAX:
            raise InputError(f"Requantize.zero: expected an int32, got {self.zero!r}")
        limits = np.iinfo(self.dtype)
        if not (is_int(self.low) and is_int(self.high)) or not limits.min <= self.low <= self.high <= limits.max:
            raise InputError(f"Requantize.low: expected low <= high of {self.dtype}, got {self.low!r}, {self.high!r}")

    def output(self, *inputs: Values) -> Values:
        (x,) = inputs
        check_dtype("Requantize", x, np.int32)
        channels = len(self.multiplier)
        if not x.shape or x.shape[-1] != channels:
            raise InputError(f"Requantize: expected {channels} channels, got shape {x.shape}")
        lowest, highest = (0, 0) if self.bias is None else (int(self.bias.min()), int(self.bias.max()))
        if x.low + lowest < -INT32_MAX - 1 or x.high + highest > INT32_MAX:
            raise InputError(f"Requantize.bias: with integers in [{x.low}, {x.high}] sums leave int32")
        return Values(x.shape, self.low, self.high, np.dtype(self.dtype))

    def run(self, x: np.ndarray) -> np.ndarray:
        self.output(values_of("Requantize", x, np.int32))
        biased = x.astype(np.int64) + (0 if self.bias is None else self.bias.astype(np.int64))
        rounded = _round_shift(biased * self.multiplier.astype(np.int64), self.shift.astype(np.int64), self.rounding)
        return np.clip(rounded + self.zero, self.low, self.high).astype(self.dtype)


def _round_shift(product: np.ndarray, shift: np.ndarray, rounding: str) -> np.ndarray:
    """product / 2^shift, rounded; at most 2^62 + 2^61 on the way."""
    unit = np.int64(1) << shift
    half = unit >> 1
    up = (product + half) >> shift
    is_tie = (shift > 0) & ((product & (unit - 1)) == half)
    if rounding == "half_away":
        return up - (is_tie & (product < 0))
    if rounding == "half_even":
        return up - (is_tie & (up % 2 != 0))
    return up
