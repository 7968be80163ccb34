"""The end of a network: linear layers and the class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from minigrad.errors import InputError
from quant.integer.checks import INT32_MAX, Values, check_dtype, check_values, check_width, freeze, is_int, values_of
from quant.packing import WIDTHS

__all__ = ["Argmax", "Linear", "LinearInt8"]


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
    arity: ClassVar[int] = 1
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

    def output(self, *inputs: Values) -> Values:
        (x,) = inputs
        check_values("Linear", x, 1, self.x_max, np.int32)
        if x.shape[0] != self.weight_codes.shape[1]:
            raise InputError(f"Linear: expected {self.weight_codes.shape[1]} features, got {x.shape[0]}")
        return Values((len(self.bias),), -self.bound, self.bound, np.dtype(np.int32))

    def run(self, x: np.ndarray) -> np.ndarray:
        self.output(values_of("Linear", x, np.int32))
        weights = 2 * self.weight_codes.astype(np.int64) - ((1 << self.weight_bits) - 1)
        return (x.astype(np.int64) @ weights.T + self.bias).astype(np.int32)


@dataclass(frozen=True, eq=False)
class LinearInt8:
    """Logits: bias[o] + sum of weights[o, i] x[i]. Takes uint8 or int16 (n, in), gives int32 (n, out) in ``+-bound``.

    bound = largest over o of |bias[o]| + the sum of |weights[o, i]| times 255 or 2^15; it is at most 2^31 - 1.

    Parameters
    ----------
    weights
        int8 (out, in).
    bias
        int32 (out,).
    dtype
        The input's: "uint8" or "int16".
    """

    name: ClassVar[str] = "linear_int8"
    arity: ClassVar[int] = 1
    weights: np.ndarray
    bias: np.ndarray
    dtype: str = "uint8"

    def __post_init__(self) -> None:
        freeze(self, "weights", np.int8, 2)
        freeze(self, "bias", np.int32, 1)
        if len(self.bias) != len(self.weights):
            raise InputError(f"LinearInt8.bias: expected {len(self.weights)} integers, got {len(self.bias)}")
        if self.dtype not in ("uint8", "int16"):
            raise InputError(f"LinearInt8.dtype: expected 'uint8' or 'int16', got {self.dtype!r}")
        if self.bound > INT32_MAX:
            raise InputError(f"LinearInt8.weights: sums reach {self.bound}, beyond int32; use fewer or smaller weights")

    @property
    def bound(self) -> int:
        """No logit, nor any part of one in any order, is larger in size."""
        weights = np.abs(self.weights.astype(np.int64)).sum(axis=1)
        largest = {"uint8": 255, "int16": 1 << 15}[self.dtype]
        return int((np.abs(self.bias.astype(np.int64)) + weights * largest).max())

    def output(self, *inputs: Values) -> Values:
        (x,) = inputs
        check_dtype("LinearInt8", x, np.dtype(self.dtype))
        if x.shape != self.weights.shape[1:]:
            raise InputError(f"LinearInt8: expected {self.weights.shape[1]} features, got shape {x.shape}")
        return Values((len(self.bias),), -self.bound, self.bound, np.dtype(np.int32))

    def run(self, x: np.ndarray) -> np.ndarray:
        self.output(values_of("LinearInt8", x, np.dtype(self.dtype)))
        return (x.astype(np.int64) @ self.weights.astype(np.int64).T + self.bias).astype(np.int32)


@dataclass(frozen=True)
class Argmax:
    """Index of the largest logit, the first of equals: int32 (n, count) to int32 (n,)."""

    name: ClassVar[str] = "argmax"
    arity: ClassVar[int] = 1

    def output(self, *inputs: Values) -> Values:
        (x,) = inputs
        check_dtype("Argmax", x, np.int32)
        if len(x.shape) != 1:
            raise InputError(f"Argmax: expected logits, got shape {x.shape}")
        return Values((), 0, x.shape[0] - 1, np.dtype(np.int32))

    def run(self, x: np.ndarray) -> np.ndarray:
        self.output(values_of("Argmax", x, np.int32))
        return x.argmax(axis=1).astype(np.int32)
