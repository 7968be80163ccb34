"""The module and the record of N2UQ; ``quant.n2uq`` has the equations."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

import quant.n2uq.primitive  # noqa: F401  registers the primitive
from minigrad.errors import InputError
from minigrad.nn import Parameter
from minigrad.tensor import Tensor, apply
from quant.calibration import least_squares_range, require_finite
from quant.domain import check_bits
from quant.method import Method, Role, register_method
from quant.n2uq.functions import (
    BITS,
    NARROWEST,
    codes,
    hard,
    levels,
)
from quant.quantizer import Quantizer, check_dtype

__all__ = ["N2UQ"]

Array = np.ndarray


class N2UQ(Quantizer):
    """N2UQ with learned scales, start and segments, one set for the tensor.

    Parameters
    ----------
    bits : int
        1 to 8.

    Raises
    ------
    InputError
        For values other than these.
    """

    def __init__(self, bits: int, *, dtype: type = np.float32) -> None:
        super().__init__()
        check_dtype(dtype)
        steps = check_bits(bits)
        self.bits = bits
        self.s1 = Parameter(np.ones((), dtype), group="range")
        self.s2 = Parameter(np.ones((), dtype), group="range")
        self.start = Parameter(np.zeros((), dtype), group="range")
        self.a = Parameter(np.full(steps, 2 / steps, dtype), group="levels")

    def _arrays(self) -> tuple[Array, Array, Array, Array]:
        return self.s1.data, self.s2.data, self.start.data, self.a.data

    def initialise(self, x: np.ndarray) -> None:
        """Even segments from 0 to 2, and the range [0, u] of least squared error on them: s1 = 2/u, s2 = u/2.

        Chosen; the paper starts from s1 = s2 = 1 on batch-normalised activations.
        """
        require_finite(x)
        steps, dtype = check_bits(self.bits), self.s1.dtype
        even = np.full(steps, 2 / steps)
        # Relative to the largest, so that no scale on the way overflows.
        top = float(np.abs(x).max()) or 1.0
        relative = np.asarray(x, np.float64) / top
        u = least_squares_range(relative, lambda x, u: hard(x, 2 / u, u / 2, 0.0, even, bits=self.bits)) * top
        with np.errstate(over="ignore", under="ignore", divide="ignore"):
            s1, s2 = 2 / np.asarray(u, dtype), np.asarray(u / 2, dtype)
        if not (0 < s1 < np.inf and 0 < s2 < np.inf):
            raise InputError(f"x: the range [0, {u}] is too small or too large for the scales 2/u and u/2")
        self.s1.data[...], self.s2.data[...] = s1, s2
        self.start.data[...], self.a.data[...] = 0, even

    def quantize(self, x: Tensor) -> Tensor:
        return apply("n2uq", x, self.s1, self.s2, self.start, self.a, bits=self.bits)

    def codes(self, x: np.ndarray) -> np.ndarray:
        return codes(x, *self._arrays(), bits=self.bits)

    def levels(self, x: np.ndarray | None = None) -> np.ndarray:
        return levels(*self._arrays(), bits=self.bits)

    def project(self) -> None:
        """a_i at least 1e-3, s1 and s2 at least 1e-12."""
        np.maximum(self.a.data, self.a.dtype.type(NARROWEST), out=self.a.data)
        for scale in (self.s1, self.s2):
            np.maximum(scale.data, 1e-12, out=scale.data)


def _arguments(bits: int, role: Role) -> tuple[tuple[np.ndarray, ...], dict[str, Any]]:
    steps = check_bits(bits)
    # Segments that widen, so that the thresholds are not even.
    a = np.arange(1, steps + 1) / (steps * (steps + 1) / 2) * 2
    return (np.asarray(2.0), np.asarray(0.5), np.asarray(0.0), np.maximum(a, NARROWEST)), {"bits": bits}


METHOD = register_method(
    Method(
        "n2uq",
        "N2UQ, Nonuniform-to-Uniform Quantization",
        "Liu et al., CVPR 2022, arXiv 2111.14826",
        sys.modules["quant.n2uq"],
        parameters=("s1", "s2", "start", "a"),
        weights=(),
        activations=BITS,
        make=lambda bits, role, **options: N2UQ(bits, **options),
        primitives=("n2uq",),
        arguments=_arguments,
        gradient="surrogate: the straight-through piecewise linear function P, the rounding residual frozen",
        laws=frozenset({"scales", "elementwise"}),
        per_channel=False,
        note="gradients of the scales, start and the widths are derived here",
    )
)
