"""The module and the record of EWGS; ``quant.ewgs`` has the equations."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

import quant.ewgs.primitive  # noqa: F401  registers the primitive
from minigrad.errors import InputError
from minigrad.nn import Parameter
from minigrad.tensor import Tensor, apply
from quant.calibration import require_finite
from quant.domain import check_bits, check_range
from quant.ewgs.functions import DELTA, WIDTHS, check_delta, codes, delta_of_traces, levels
from quant.method import Method, Role, register_method
from quant.quantizer import Quantizer, check_dtype, check_option, parameter_shape
from quant.smallest import smallest_width
from quant.standardise import mean_and_std

__all__ = ["EWGS"]


class EWGS(Quantizer):
    """EWGS with a learned range.

    Parameters
    ----------
    bits : int
        1 to 8.
    signed : bool
        Values in [-1, 1], for weights; or in [0, 1], for activations.
    range : str or None
        "symmetric": l = -u (signed only, the default there); "positive": l = 0, for activations after a ReLU (unsigned
        only, the default there); "free": l and u are learned apart, as the authors do.
    delta : float
        Strength of the gradient's scaling, at least 0; 0 is straight-through.
    channels : int or None
        A range for each entry of the last axis; None for one for the tensor.

    Attributes
    ----------
    delta : ndarray, float64, 0-d
        The strength now; part of the state.

    Raises
    ------
    InputError
        For values other than these.
    """

    buffers = ("initialised", "delta")

    def __init__(
        self,
        bits: int,
        signed: bool = True,
        *,
        range: str | None = None,
        delta: float = DELTA,
        channels: int | None = None,
        dtype: type = np.float32,
    ) -> None:
        super().__init__()
        check_dtype(dtype)
        check_bits(bits)
        default = "symmetric" if signed else "positive"
        self.bits, self.signed, self.range = bits, signed, default if range is None else range
        check_option("range", self.range, (default, "free"))
        self.delta = np.array(check_delta(delta))
        shape = parameter_shape(channels)
        self.u = Parameter(np.ones(shape, dtype), group="range")
        if self.range == "free":
            self.l = Parameter(np.full(shape, -1 if signed else 0, dtype), group="range")

    def lower(self) -> Tensor | np.ndarray:
        """l, as a tensor where it is learned."""
        if self.range == "free":
            return self.l
        return -self.u if self.range == "symmetric" else np.zeros(self.u.shape, self.u.dtype)

    def parameters_now(self) -> tuple[np.ndarray, np.ndarray]:
        """l and u as arrays."""
        l = self.lower()
        return (l.data if isinstance(l, Tensor) else l), self.u.data

    @np.errstate(over="ignore", invalid="ignore")
    def initialise(self, x: np.ndarray) -> None:
        """Three standard deviations: weights -3 std to 3 std, "free" ones around their mean; activations 0 to 3 s.

        s = std / sqrt(1 - 2/pi) is the standard deviation of a normal variable whose size has the one of x; a "free"
        range of activations begins at the smallest one.
        """
        require_finite(x)
        shape = self.u.shape
        if shape and x.shape[-1:] != shape:
            raise InputError(f"x: expected {shape[0]} channels in the last axis, got shape {x.shape}")
        double = np.asarray(x, np.float64).reshape(-1, *shape)
        mean, std = (statistic.reshape(shape) for statistic in mean_and_std(double, per_filter=bool(shape)))
        width = 3 * std if self.signed else 3 * std / math.sqrt(1 - 2 / math.pi)
        low, high = -width if self.signed else 0 * width, width
        if self.range == "free":
            centre = mean if self.signed else double.min(axis=0)
            low, high = low + centre, high + centre
        low, high = (end.astype(self.u.dtype) for end in (low, high))
        check_range(low, high)
        self.u.data[...] = high
        if self.range == "free":
            self.l.data[...] = low

    def update_delta(self, traces: Sequence[float], gradients: Sequence[np.ndarray]) -> None:
        """Set delta by ``delta_of_traces``, from traces and gradients by this module's output, one of each a batch.

        The rule is about x_q, of which the output is 2 x_q - 1 for weights: g doubles, Tr(H) is four times as large.
        """
        self.delta[...] = (2 if self.signed else 1) * delta_of_traces(traces, gradients)

    def _options(self) -> dict[str, Any]:
        return {"bits": self.bits, "signed": self.signed, "delta": float(self.delta)}

    def quantize(self, x: Tensor) -> Tensor:
        return apply("ewgs", x, self.lower(), self.u, **self._options())

    def codes(self, x: np.ndarray) -> np.ndarray:
        return codes(x, *self.parameters_now(), **self._options())

    def levels(self, x: np.ndarray | None = None) -> np.ndarray:
        return levels(*self.parameters_now(), **self._options())

    def project(self) -> None:
        """u - l at least 1e-6 of the larger end (at least 2^-60), opened around their middle."""
        l, u = self.parameters_now()
        gap = smallest_width(l, u)
        crossed = u - l < gap
        middle = 0.5 * (l + u) if self.range == "free" else 0 * u
        self.u.data[...] = np.where(crossed, middle + gap, u)
        if self.range == "free":
            self.l.data[...] = np.where(crossed, middle - gap, l)


def _arguments(bits: int, role: Role) -> tuple[tuple[np.ndarray, ...], dict[str, Any]]:
    signed = role == "weight"
    return (np.asarray(-1.0 if signed else 0.0), np.asarray(1.0)), {"bits": bits, "signed": signed}


METHOD = register_method(
    Method(
        "ewgs",
        "EWGS, Element-Wise Gradient Scaling",
        "Lee, Kim, Ham, CVPR 2021, arXiv 2104.00903",
        sys.modules["quant.ewgs"],
        parameters=("l", "u"),
        weights=WIDTHS,
        activations=WIDTHS,
        make=lambda bits, role, **options: EWGS(bits, role == "weight", **options),
        primitives=("ewgs",),
        arguments=_arguments,
        gradient="modifier: g (1 + delta sign(g) (x_n - x_q)) in the place of the rounding's gradient",
        laws=frozenset({"elementwise"}),
        single_bits=21,
        note="values are in [-1, 1] or [0, 1] whatever the scale of x; the scale of the layer's output is left out",
    )
)
