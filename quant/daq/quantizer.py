"""The module and the record of DAQ; ``quant.daq`` has the equations."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

import quant.daq.primitive  # noqa: F401  registers the primitives
from minigrad.nn import Parameter
from minigrad.tensor import Tensor, apply
from quant.calibration import for_each_channel, require_finite
from quant.daq.functions import (
    check_constant,
    check_ends,
    check_options,
    codes,
    levels,
)
from quant.domain import check_bits, refuse_nan
from quant.method import ROLES, Method, Role, register_method
from quant.quantizer import Quantizer, check_dtype, check_option, parameter_shape
from quant.smallest import keep_positive, smallest_width
from quant.standardise import mean_and_std, standardise

__all__ = ["DAQ"]

_WIDTHS = tuple(range(1, 9))


class DAQ(Quantizer):
    """DAQ with a learned range: l and u of standardised weights, u of activations, whose l is 0.

    Parameters
    ----------
    bits : int
        1 to 8.
    role : str
        "weight": standardised, levels in [-1, 1]; "activation": after a ReLU, levels in [0, 1].
    channels : int or None
        One range, and of weights one mean and standard deviation, for each entry of the last axis; None for one for the
        tensor.
    sigma : float or None
        Width of the kernel; None: 1 for weights, 2 for activations.
    gamma : float
        Sharpness of the temperature controller.
    temperature : float or None
        None: the controller. A number: training uses the soft argmax with that temperature (the ablation).

    Attributes
    ----------
    output_scale : bool
        True: a layer with such a weight quantizer multiplies its output by |beta|, beta a learned number that starts at
        mean |op(x, W)| / mean |op(Q(x), Q(W))| of the first batch.

    Raises
    ------
    InputError
        For values other than these.
    """

    output_scale = True

    def __init__(
        self,
        bits: int,
        role: Role = "weight",
        *,
        channels: int | None = None,
        sigma: float | None = None,
        gamma: float = 2.0,
        temperature: float | None = None,
        dtype: type = np.float32,
    ) -> None:
        super().__init__()
        check_dtype(dtype)
        check_option("role", role, ROLES)
        self.signed = role == "weight"
        self.sigma = (1.0 if self.signed else 2.0) if sigma is None else sigma
        self.bits, self.gamma, self.temperature = bits, gamma, temperature
        check_options(bits, self.sigma, gamma)
        if temperature is not None:
            check_constant("temperature", temperature)
        shape = parameter_shape(channels)
        if self.signed:
            self.l = Parameter(-np.ones(shape, dtype), group="range")
        self.u = Parameter(np.ones(shape, dtype), group="range")

    def lower(self) -> Tensor | np.ndarray:
        """l, as a tensor where it is learned."""
        return self.l if self.signed else np.zeros(self.u.shape, self.u.dtype)

    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """l and u as arrays."""
        return (self.l.data if self.signed else np.zeros(self.u.shape, self.u.dtype)), self.u.data

    def initialise(self, x: np.ndarray) -> None:
        """l, u = -3, 3 standard deviations of the weights; u = 3 std(x) of activations."""
        require_finite(x)
        std = for_each_channel(x, self.u.shape, lambda x: float(mean_and_std(x)[1]))
        if self.signed:
            self.l.data[...], self.u.data[...] = -3, 3
            return
        with np.errstate(over="ignore"):
            u = np.asarray(3 * std, self.u.dtype)
        check_ends(u, np.zeros_like(u), u, check_bits(self.bits))
        self.u.data[...] = u

    def quantize(self, x: Tensor) -> Tensor:
        if self.signed:
            x = apply("weight_standardise_frozen", x, per_filter=self.u.ndim > 0)
        options: dict[str, Any] = {"bits": self.bits, "signed": self.signed, "sigma": self.sigma}
        if self.training and self.temperature is not None:
            name = "daq_constant_temperature"
            return apply(name, x, self.lower(), self.u, temperature=self.temperature, **options)
        return apply("daq", x, self.lower(), self.u, gamma=self.gamma, **options)

    def codes(self, x: np.ndarray) -> np.ndarray:
        refuse_nan(x)
        x = standardise(x, per_filter=self.u.ndim > 0) if self.signed else x
        return codes(x, *self.ends(), bits=self.bits, signed=self.signed)

    def levels(self, x: np.ndarray | None = None) -> np.ndarray:
        return levels(*self.ends(), bits=self.bits, signed=self.signed)

    def project(self) -> None:
        """u of activations at least 2^-60; u - l of weights at least 1e-6 of the larger one (at least 2^-60).

        A range of weights that is smaller is opened around its middle.
        """
        if not self.signed:
            keep_positive(self.u.data)
            return
        l, u = (end.astype(np.float64) for end in self.ends())
        gap = smallest_width(l, u)
        closed = u - l < gap
        middle = 0.5 * (l + u)
        self.l.data[...], self.u.data[...] = np.where(closed, middle - gap, l), np.where(closed, middle + gap, u)


def _arguments(bits: int, role: Role) -> tuple[tuple[np.ndarray, ...], dict[str, Any]]:
    signed = role == "weight"
    ends = (np.asarray(-1.0 if signed else 0.0), np.asarray(1.0))
    return ends, {"bits": bits, "signed": signed, "sigma": 1.0 if signed else 2.0, "gamma": 2.0}


METHOD = register_method(
    Method(
        "daq",
        "DAQ, Distance-aware Quantizer",
        "Kim, Lee and Ham, ICCV 2021, arXiv 2108.06983; equations as in the official implementation",
        sys.modules["quant.daq"],
        parameters=("l", "u"),
        weights=_WIDTHS,
        activations=_WIDTHS,
        make=DAQ,
        primitives=("daq", "daq_constant_temperature", "weight_standardise_frozen"),
        arguments=_arguments,
        gradient="surrogate: the soft argmax with its temperature, its candidates and its kernel frozen",
        laws=frozenset(),
        note="Weights are standardised, over the layer, or over each filter if ranges are; results lie in [-1, 1] "
        "(weights) or [0, 1] (activations), and the layer's output is scaled by a learned number. With one temperature "
        "for all, the ablation, the last pair of candidates is N - 1, N (chosen).",
    )
)
