"""The module and the record of APoT; ``quant.apot`` has the equations."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

import quant.apot.primitive  # noqa: F401  registers the primitive
from minigrad.errors import InputError
from minigrad.nn import Parameter
from minigrad.tensor import Tensor, apply
from quant.apot.functions import SIGNED, UNSIGNED, codes, levels, magnitudes
from quant.calibration import require_finite
from quant.domain import refuse_nan
from quant.method import Method, Role, register_method
from quant.quantizer import Quantizer, check_dtype, parameter_shape
from quant.smallest import keep_positive
from quant.standardise import mean_and_std, standardise

__all__ = ["APoT"]


class APoT(Quantizer):
    """APoT with a learned end of the range.

    Parameters
    ----------
    bits : int
        3 to 5 signed: magnitude bits and one for the sign; 2 to 4 unsigned.
    signed : bool
        For weights, which are standardised first; unsigned for activations after a ReLU.
    channels : int or None
        One a for each entry of the last axis, each filter of weights standardised on its own; None for one for the
        tensor, as in the paper.

    Raises
    ------
    InputError
        For values other than these; by the forward and ``codes`` for weights that are all the same.
    """

    def __init__(self, bits: int, signed: bool = True, *, channels: int | None = None, dtype: type = np.float32):
        super().__init__()
        check_dtype(dtype)
        magnitudes(bits, signed)
        self.bits, self.signed = bits, signed
        self.a = Parameter(np.full(parameter_shape(channels), 3.0 if signed else 8.0, dtype), group="range")

    def initialise(self, x: np.ndarray) -> None:
        """a = 3 for weights and 8 for activations, whatever the data; weights must not be all the same."""
        require_finite(x)
        self._check_channels(x)
        if self.signed:
            mean_and_std(x, self._per_filter)
        self.a.data[...] = 3.0 if self.signed else 8.0

    @property
    def _per_filter(self) -> bool:
        return self.a.ndim > 0

    def _check_channels(self, x: np.ndarray) -> None:
        if self._per_filter and x.shape[-1:] != self.a.shape:
            raise InputError(f"x: expected {self.a.shape[0]} channels in the last axis, got shape {x.shape}")

    def quantize(self, x: Tensor) -> Tensor:
        self._check_channels(x.data)
        if self.signed:
            x = apply("weight_standardise_frozen", x, per_filter=self._per_filter)
        return apply("apot", x, self.a, bits=self.bits, signed=self.signed)

    def codes(self, x: np.ndarray) -> np.ndarray:
        self._check_channels(x)
        refuse_nan(x)
        if self.signed:
            x = standardise(x, self._per_filter)
        return codes(x, self.a.data, bits=self.bits, signed=self.signed)

    def levels(self, x: np.ndarray | None = None) -> np.ndarray:
        return levels(self.a.data, bits=self.bits, signed=self.signed)

    def project(self) -> None:
        """a at least 2^-60."""
        keep_positive(self.a.data)


def _arguments(bits: int, role: Role) -> tuple[tuple[np.ndarray, ...], dict[str, Any]]:
    return (np.asarray(1.0),), {"bits": bits, "signed": role == "weight"}


METHOD = register_method(
    Method(
        "apot",
        "APoT, Additive Powers-of-Two quantization",
        "Li, Dong, Wang, ICLR 2020, arXiv 1909.13144",
        sys.modules["quant.apot"],
        parameters=("a",),
        weights=SIGNED,
        activations=UNSIGNED,
        make=lambda bits, role, **options: APoT(bits, role == "weight", **options),
        primitives=("apot",),
        arguments=_arguments,
        gradient="surrogate: the rounding residual frozen; that of weights is passed on outside of the range too",
        single_bits=22,
        note="weights of b bits have b - 1 magnitude bits and a sign, 2^b - 1 levels; they are standardised first",
    )
)
