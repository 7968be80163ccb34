"""The module and the record of LQ-Nets; ``quant.lq_nets`` has the equations."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

import quant.lq_nets.primitive  # noqa: F401  registers the primitive
from minigrad.errors import InputError
from minigrad.nn import Parameter
from minigrad.tensor import Tensor, apply
from quant.calibration import positive_mean_abs
from quant.domain import check_bits
from quant.lq_nets.functions import BITS, codes, least_squares, level_table, levels
from quant.method import Method, Role, register_method
from quant.quantizer import Quantizer, check_dtype, parameter_shape

__all__ = ["LQNets"]

Array = np.ndarray
_ROUNDS = 20


class LQNets(Quantizer):
    """LQ-Nets: a basis that follows the data by least squares in training.

    Parameters
    ----------
    bits : int
        1 to 8.
    signed : bool
        For weights, coding vectors of -1 and 1; unsigned for activations after a ReLU, of 0 and 1.
    channels : int or None
        One basis for each entry of the last axis (the paper's for weights); None for one for the tensor.
    momentum : float
        The part of v that a step of training keeps, from 0 up to 1.
    learn_v : bool
        Learn v by its gradient in place of least squares.

    Raises
    ------
    InputError
        For values other than these.
    """

    def __init__(
        self,
        bits: int,
        signed: bool = True,
        *,
        channels: int | None = None,
        momentum: float = 0.9,
        learn_v: bool = False,
        dtype: type = np.float32,
    ) -> None:
        super().__init__()
        check_dtype(dtype)
        check_bits(bits)
        number = isinstance(momentum, (int, float, np.integer, np.floating)) and not isinstance(momentum, bool)
        if not number or not 0 <= momentum < 1:
            raise InputError(f"momentum: expected a number from 0 up to 1, got {momentum!r}")
        self.bits, self.signed, self.momentum = bits, signed, float(momentum)
        self.v = Parameter(self._powers(np.ones(parameter_shape(channels))).astype(dtype), group="levels")
        self.v.requires_grad = learn_v
        self._found: Array | None = None

    def _powers(self, mean: Array) -> Array:
        """The basis of even levels for data with that mean |x|, (K, ...)."""
        powers = 2.0 ** np.arange(self.bits).reshape(-1, *([1] * mean.ndim))
        return mean * (powers / 2 ** (self.bits - 1) if self.signed else 2 * powers / ((1 << self.bits) - 1))

    def initialise(self, x: np.ndarray) -> None:
        """Even levels by mean |x|, then 20 rounds of codes and least squares."""
        with np.errstate(over="ignore", under="ignore"):
            v = self._powers(positive_mean_abs(x, self.v.shape[1:]))
            for _ in range(_ROUNDS):
                v = least_squares(x, v, bits=self.bits, signed=self.signed)
            v = v.astype(self.v.dtype)
        level_table(v, bits=self.bits, signed=self.signed)
        self.v.data[...] = v

    def quantize(self, x: Tensor) -> Tensor:
        options: dict[str, Any] = {"bits": self.bits, "signed": self.signed}
        if self.v.requires_grad:
            return apply("lq_nets", x, self.v, **options)
        if self.training and x.data.size and np.isfinite(x.data).all():
            self._found = least_squares(x.data, self.v.data.astype(np.float64), **options)
        # The tape gets a copy, so that v may move before the gradient is asked for.
        return apply("lq_nets", x, self.v.data.copy(), **options)

    def codes(self, x: np.ndarray) -> np.ndarray:
        return codes(x, self.v.data, bits=self.bits, signed=self.signed)

    def levels(self, x: np.ndarray | None = None) -> np.ndarray:
        return levels(self.v.data, bits=self.bits, signed=self.signed)

    def project(self) -> None:
        """v <- momentum v + (1 - momentum) times the least squares of the last forward in training, once for each.

        It stays where there was none, or its x was empty or not finite.
        """
        if self._found is not None:
            self.v.data[...] = self.momentum * self.v.data.astype(np.float64) + (1 - self.momentum) * self._found
            self._found = None


def _arguments(bits: int, role: Role) -> tuple[tuple[np.ndarray, ...], dict[str, Any]]:
    # Near powers of two, so that the levels are not even.
    v = 1.8 ** np.arange(bits)
    return (v / v.sum(),), {"bits": bits, "signed": role == "weight"}


METHOD = register_method(
    Method(
        "lq_nets",
        "LQ-Nets, Learned Quantization",
        "Zhang et al., ECCV 2018, arXiv 1807.10029",
        sys.modules["quant.lq_nets"],
        parameters=("v",),
        weights=BITS,
        activations=BITS,
        make=lambda bits, role, **options: LQNets(bits, role == "weight", **options),
        primitives=("lq_nets",),
        arguments=_arguments,
        gradient="surrogate: codes frozen, x passed straight through; for activations up to the largest level",
        laws=frozenset({"idempotent", "scales", "elementwise"}),
        single_bits=21,
        note="v follows the data by least squares; its gradient is derived here and used with learn_v only",
    )
)
