"""The module and the record of QIL; ``quant.qil`` has the equations."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

import quant.qil.primitive  # noqa: F401  registers the primitive
from minigrad.nn import Parameter
from minigrad.tensor import Tensor, apply
from quant.calibration import for_each_channel, least_squares_range, require_finite
from quant.method import Method, Role, register_method
from quant.qil.functions import SIGNED, UNSIGNED, check_interval, codes, hard, levels, steps_of
from quant.quantizer import Quantizer, check_dtype, parameter_shape
from quant.smallest import smallest_width

__all__ = ["QIL"]


class QIL(Quantizer):
    """QIL with learned interval and, for weights, learned exponent.

    Parameters
    ----------
    bits : int
        1 to 8; from 2 if signed.
    signed : bool
        For weights, gamma learned from 1 on; unsigned for activations, gamma = 1.
    channels : int or None
        An interval and exponent for each entry of the last axis; None for one for the tensor.

    Raises
    ------
    InputError
        For values other than these.
    """

    def __init__(self, bits: int, signed: bool = True, *, channels: int | None = None, dtype: type = np.float32):
        super().__init__()
        check_dtype(dtype)
        steps_of(bits, signed)
        self.bits, self.signed = bits, signed
        shape = parameter_shape(channels)
        self.c = Parameter(np.full(shape, 0.5, dtype), group="range")
        self.d = Parameter(np.full(shape, 0.5, dtype), group="range")
        self.gamma = Parameter(np.ones(shape, dtype), group="shape")
        self.gamma.requires_grad = signed

    def parameters_now(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """c, d and gamma as arrays."""
        return self.c.data, self.d.data, self.gamma.data

    def initialise(self, x: np.ndarray) -> None:
        """c = d = u/2: the interval [0, u] for which u times the quantized x/u is closest to x, with gamma = 1."""
        require_finite(x)

        def scaled(x: np.ndarray, u: float) -> np.ndarray:
            return u * hard(x, u / 2, u / 2, 1.0, bits=self.bits, signed=self.signed)

        ends = for_each_channel(x, self.c.shape, lambda x: least_squares_range(x, scaled))
        half = (ends / 2).astype(self.c.dtype)
        check_interval(half, half, 1, self.signed)
        self.c.data[...], self.d.data[...], self.gamma.data[...] = half, half, 1

    def quantize(self, x: Tensor) -> Tensor:
        return apply("qil", x, self.c, self.d, self.gamma, bits=self.bits, signed=self.signed)

    def codes(self, x: np.ndarray) -> np.ndarray:
        return codes(x, *self.parameters_now(), bits=self.bits, signed=self.signed)

    def levels(self, x: np.ndarray | None = None) -> np.ndarray:
        return levels(*self.parameters_now(), bits=self.bits, signed=self.signed)

    def project(self) -> None:
        """d at least 1e-6 of |c| (at least 2^-60), gamma at least 0.01, and c >= d for weights."""
        c, d, gamma = self.parameters_now()
        np.maximum(d, smallest_width(c, c), out=d)
        np.maximum(gamma, 0.01, out=gamma)
        if self.signed:
            np.maximum(c, d, out=c)


def _arguments(bits: int, role: Role) -> tuple[tuple[np.ndarray, ...], dict[str, Any]]:
    signed = role == "weight"
    parameters = (0.5, 0.4, 0.8 if signed else 1.0)
    return tuple(np.asarray(p) for p in parameters), {"bits": bits, "signed": signed}


METHOD = register_method(
    Method(
        "qil",
        "QIL, Quantization Interval Learning",
        "Jung et al., CVPR 2019, arXiv 1808.05779, section 3",
        sys.modules["quant.qil"],
        parameters=("c", "d", "gamma"),
        weights=SIGNED,
        activations=UNSIGNED,
        make=lambda bits, role, **options: QIL(bits, role == "weight", **options),
        primitives=("qil",),
        arguments=_arguments,
        gradient="surrogate: the transformer's own, the final rounding passed straight through",
        laws=frozenset({"elementwise"}),
        single_bits=22,
        note="values are in [-1, 1] or [0, 1] whatever the scale of x; the first interval [0, u] is chosen here",
    )
)
