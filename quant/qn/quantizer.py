"""The module and the record of QN; ``quant.qn`` has the equations."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.errors import InputError
from minigrad.nn import Parameter
from minigrad.tensor import Tensor, apply
from quant.calibration import require_finite
from quant.domain import check_positive
from quant.method import Method, Role, register_method
from quant.qn.functions import codes, levels
from quant.qn.level_sets import level_set, middles, start_thresholds
from quant.qn.primitive import BITS
from quant.quantizer import Quantizer, check_dtype, parameter_shape

__all__ = ["QN"]


class QN(Quantizer):
    """QN with learned alpha and beta: soft in training, with a temperature that rises, and hard in evaluation.

    The paper trains in three phases, which ``enabled`` and ``requires_grad`` give: weights only; activations only, the
    weights' quantizers fixed; both.

    Parameters
    ----------
    bits : int
        1 to 8.
    signed : bool
        For weights; unsigned for activations after a ReLU. It picks the set of that width (``level_set``).
    values : sequence of int, str or None
        Other levels Y of that width, or the name of a set in ``PRESETS``.
    temperature : float
        T0. ``set_progress`` makes the temperature epoch T0; before it is called, T0. The paper has 5 (ResNet), 10
        (AlexNet), 20 and 40.
    learn_b : bool
        Whether the thresholds are learned; the paper keeps them where they start.
    channels : int or None
        One alpha and one beta for each entry of the last axis (an extension); None for one for the tensor, as in the
        paper. The thresholds are the tensor's.

    Raises
    ------
    InputError
        For values other than these.
    """

    buffers = (*Quantizer.buffers, "temperature", "lowest")

    def __init__(
        self,
        bits: int,
        signed: bool = True,
        *,
        values: str | Sequence[int] | None = None,
        temperature: float = 5.0,
        learn_b: bool = False,
        channels: int | None = None,
        dtype: type = np.float32,
    ) -> None:
        super().__init__()
        check_dtype(dtype)
        self.bits, self.signed, self.values = bits, signed, level_set(values, bits, signed)
        if isinstance(temperature, bool) or not isinstance(temperature, (int, float, np.integer, np.floating)):
            raise InputError(f"temperature: expected a number, got {temperature!r}")
        check_positive("temperature", float(temperature))
        shape = parameter_shape(channels)
        self.start_temperature = float(temperature)
        self.temperature = np.array(self.start_temperature)
        # What ``project`` keeps alpha and beta above.
        self.lowest = np.full((2, *shape), 1e-6)
        self.alpha = Parameter(np.ones(shape, dtype), group="range")
        self.beta = Parameter(np.ones(shape, dtype), group="range")
        self.b = Parameter(middles(np.array(self.values, np.float64)).astype(dtype), group="levels")
        self.b.requires_grad = learn_b

    def initialise(self, x: np.ndarray) -> None:
        """beta = 5 p/(4 q), p = max|Y|, q = max|x| (of the tensor, or a channel); alpha = 1/beta; b by k-means or rule.

        See ``start_thresholds``.
        """
        require_finite(x)
        if self.beta.shape and x.shape[-1:] != self.beta.shape:
            raise InputError(f"x: expected {self.beta.shape[0]} channels in the last axis, got shape {x.shape}")
        dtype = self.beta.dtype.type
        q = np.abs(np.asarray(x, np.float64)).reshape(-1, *self.beta.shape).max(axis=0)
        with np.errstate(over="ignore", under="ignore", divide="ignore"):
            beta = np.asarray(5 * max(map(abs, self.values)) / (4 * q), dtype)
            alpha = 1 / beta
        if not (np.isfinite(beta) & (beta > 0) & np.isfinite(alpha) & (alpha > 0)).all():
            raise InputError(f"x: the largest |x| is {q}; expected one that beta = 5 p/(4 |x|) and 1/beta exist for")
        b = start_thresholds(beta.astype(np.float64) * x, self.values, dtype)
        self.alpha.data[...], self.beta.data[...], self.b.data[...] = alpha, beta, b
        self.lowest[...] = 1e-6 * np.stack([alpha, beta]).astype(np.float64)

    def set_progress(self, epoch: int, epochs: int) -> None:
        """T = epoch T0; the quantizer is hard once training is over."""
        if isinstance(epoch, bool) or not isinstance(epoch, (int, np.integer)) or epoch < 1:
            raise InputError(f"epoch: expected a whole number from 1 on, got {epoch!r}")
        self.temperature[...] = epoch * self.start_temperature

    def _options(self) -> dict[str, Any]:
        return {"bits": self.bits, "values": self.values, "signed": self.signed}

    def quantize(self, x: Tensor) -> Tensor:
        arguments = (x, self.alpha, self.beta, self.b)
        if self.training:
            return apply("qn_soft", *arguments, temperature=float(self.temperature), **self._options())
        return apply("qn_hard", *arguments, **self._options())

    def codes(self, x: np.ndarray) -> np.ndarray:
        return codes(x, self.alpha.data, self.beta.data, self.b.data, **self._options())

    def levels(self, x: np.ndarray | None = None) -> np.ndarray:
        return levels(self.alpha.data, self.beta.data, self.b.data, **self._options())

    def project(self) -> None:
        """alpha and beta at least 1e-6 of what they started from; b sorted, equal ones an ulp apart."""
        low = self.lowest.astype(self.alpha.dtype)
        np.maximum(self.alpha.data, low[0], out=self.alpha.data)
        np.maximum(self.beta.data, low[1], out=self.beta.data)
        if self.b.requires_grad:
            b = np.sort(self.b.data)
            for i in range(1, len(b)):
                b[i] = max(b[i], np.nextafter(b[i - 1], np.inf))
            self.b.data[...] = b


def _arguments(bits: int, role: Role) -> tuple[tuple[np.ndarray, ...], dict[str, Any]]:
    values = level_set(None, bits, role == "weight")
    top = float(max(values))
    options = {"bits": bits, "signed": role == "weight", "temperature": 10.0}
    return (np.asarray(1 / top), np.asarray(top), middles(np.array(values, np.float64))), options


METHOD = register_method(
    Method(
        "qn",
        "QN, Quantization Networks",
        "Yang et al., CVPR 2019, arXiv 1911.09464, eqs 1 to 12",
        sys.modules["quant.qn"],
        parameters=("alpha", "beta", "b"),
        weights=BITS,
        activations=BITS,
        make=lambda bits, role, **options: QN(bits, role == "weight", **options),
        primitives=("qn_soft", "qn_hard"),
        arguments=_arguments,
        gradient="smooth: the derivative of the soft forward; of the hard one its own, 0 but for alpha",
        laws=frozenset({"scales", "elementwise"}),
        note="o = -Y_1, which is the paper's for its sets; thresholds are frozen unless learn_b; alpha and beta a "
        "channel are an extension",
    )
)
