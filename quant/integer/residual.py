"""The residual stream: int16 on one step for the whole network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from minigrad.errors import InputError
from quant.integer.checks import Values, check_dtype, values_of

__all__ = ["ResidualAdd"]

_LOW, _HIGH = -(1 << 15), (1 << 15) - 1


@dataclass(frozen=True)
class ResidualAdd:
    """The sum of two int16 arrays of one shape (n, ...), int16. Nothing saturates: a sum beyond int16 is an error."""

    name: ClassVar[str] = "residual_add"
    arity: ClassVar[int] = 2

    def output(self, *inputs: Values) -> Values:
        """The proven range: InputError if the ranges of the inputs allow a sum beyond int16."""
        self._check(*inputs)
        low, high = (sum(bound) for bound in zip(*((x.low, x.high) for x in inputs), strict=True))
        if low < _LOW or high > _HIGH:
            raise InputError(f"ResidualAdd: sums in [{low}, {high}] do not fit int16; use a coarser step")
        return Values(inputs[0].shape, low, high, np.dtype(np.int16))

    def run(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """The sum; InputError if one of these very sums is no int16."""
        self._check(values_of("ResidualAdd", a, np.int16), values_of("ResidualAdd", b, np.int16))
        if len(a) != len(b):
            raise InputError(f"ResidualAdd: expected as many images on both sides, got {len(a)} and {len(b)}")
        sums = a.astype(np.int64) + b
        if sums.min() < _LOW or sums.max() > _HIGH:
            raise InputError(f"ResidualAdd: a sum of {max(sums.max(), sums.min(), key=abs)} does not fit int16")
        return sums.astype(np.int16)

    def _check(self, *inputs: Values) -> None:
        if len(inputs) != 2:
            raise InputError(f"ResidualAdd: expected 2 inputs, got {len(inputs)}")
        for x in inputs:
            check_dtype("ResidualAdd", x, np.int16)
        if inputs[0].shape != inputs[1].shape:
            raise InputError(f"ResidualAdd: expected one shape, got {inputs[0].shape} and {inputs[1].shape}")
