"""The module and the record of DDQ; ``quant.ddq`` has the equations."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

import quant.ddq.primitive  # noqa: F401  registers the primitives
from minigrad.errors import InputError
from minigrad.nn import Parameter
from minigrad.tensor import Tensor, apply
from quant.calibration import require_finite
from quant.codebook import Codebook
from quant.ddq.functions import ASSIGN, check_options, codebook, codes, levels
from quant.domain import check_bits
from quant.method import Method, Role, register_method
from quant.quantizer import Quantizer, check_dtype, check_option

__all__ = ["DDQ"]

Array = np.ndarray
_INITIAL = ("uniform", "powers")


class DDQ(Quantizer):
    """DDQ with learned levels and a learned bit width, one of each for the tensor.

    Parameters
    ----------
    bits : int
        1 to 8, the width with all gates open.
    signed : bool
        Where "powers" puts its levels: on both sides of 0, or from 0 up.
    initial : str
        "uniform": levels evenly from the least to the largest element; "powers": 0 and powers of two times max|x|, down
        to 2^-(2^bits - 2) unsigned, or +-2^-(2^(bits-1) - 2) with 0 twice (from 2 bits). Those that vanish in the dtype
        are 0.
    learn_bits : bool
        Whether the gates are learned; otherwise they stay as they are, all open at first.
    assign, differentiate_norm, correction
        As in ``hard_vjp``.

    Attributes
    ----------
    q, ghat : Parameter, (2^bits,) in the group "levels" and (bits,) in the group "shape"
        The gates start at 1, (b - 1)/b, ... 1/b, so the last one closes first.

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
        initial: str = "uniform",
        learn_bits: bool = True,
        assign: str = "merged",
        differentiate_norm: bool = False,
        correction: float = 0.0,
        dtype: type = np.float32,
    ) -> None:
        super().__init__()
        check_dtype(dtype)
        n = check_bits(bits) + 1
        check_option("initial", initial, _INITIAL)
        check_option("assign", assign, ASSIGN)
        check_options(differentiate_norm, correction)
        if initial == "powers" and signed and bits < 2:
            raise InputError(f"bits: powers of two on both sides of 0 need at least 2, got {bits}")
        self.bits, self.signed, self.initial, self.assign = bits, signed, initial, assign
        self.differentiate_norm, self.correction = differentiate_norm, correction
        self.q = Parameter(np.linspace(-1.0 if signed else 0.0, 1.0, n).astype(dtype), group="levels")
        self.ghat = Parameter(np.arange(bits, 0, -1).astype(dtype) / bits, group="shape")
        self.ghat.requires_grad = learn_bits

    def initialise(self, x: Array) -> None:
        """The levels from the range of x; the gates stay."""
        require_finite(x)
        low, high, n = float(x.min()), float(x.max()), len(self.q)
        if not max(-low, high) <= float(np.finfo(self.q.dtype).max) / n:
            raise InputError(f"x: expected at most the largest number of {self.q.dtype} / {n}; scale the data")
        if self.initial == "uniform":
            start = low + (high - low) * (np.arange(n) / (n - 1))
            start[-1] = high
        else:
            top = max(-low, high) if self.signed else high
            powers = top * 2.0 ** -np.arange(n // 2 - 1 if self.signed else n - 1)
            start = np.concatenate([-powers, [0.0, 0.0], powers[::-1]] if self.signed else [[0.0], powers[::-1]])
        start = start.astype(self.q.dtype)
        if not start[0] < start[-1]:
            raise InputError(f"x: elements from {low} to {high} give no two different levels")
        self.q.data[...] = start

    def width(self) -> Tensor:
        """S, the learned bit width, on the tape: the sum of the gates, passed straight through."""
        return apply("ddq_gate", self.ghat).sum()

    def quantize(self, x: Tensor) -> Tensor:
        options: dict[str, Any] = {"bits": self.bits, "assign": self.assign}
        options["differentiate_norm"] = self.differentiate_norm
        if self.correction:
            return apply("ddq_corrected", x, self.q, self.ghat, correction=self.correction, **options)
        return apply("ddq", x, self.q, self.ghat, **options)

    def codes(self, x: Array) -> Array:
        """The rank of each element's block by value: its index where q ascends."""
        order = np.argsort(levels(self.q.data, self.ghat.data, bits=self.bits), kind="stable")
        rank = np.empty(len(order), np.uint8)
        rank[order] = np.arange(len(order))
        return rank[codes(x, self.q.data, self.ghat.data, bits=self.bits, assign=self.assign)]

    def levels(self, x: Array | None = None) -> Array:
        """The merged levels, ascending, (2^S,)."""
        return np.sort(levels(self.q.data, self.ghat.data, bits=self.bits), kind="stable")

    def codebook(self, **ends: float) -> Codebook:
        """The levels in an int8 codebook; ``x_min`` and ``x_max`` as in ``quant.codebook.make_codebook``."""
        return codebook(self.q.data, self.ghat.data, bits=self.bits, **ends)

    def project(self) -> None:
        """Gates in [-1, 1], beyond which none would move again, and at least one open: S >= 1."""
        np.clip(self.ghat.data, -1, 1, out=self.ghat.data)
        largest = int(np.argmax(self.ghat.data))
        self.ghat.data[largest] = max(self.ghat.data[largest], 0)


def _arguments(bits: int, role: Role) -> tuple[tuple[Array, ...], dict[str, Any]]:
    q = np.linspace(-1.0 if role == "weight" else 0.0, 1.0, 1 << bits)
    return (q, np.arange(bits, 0, -1) / bits), {"bits": bits}


_WIDTHS = tuple(range(1, 9))

METHOD = register_method(
    Method(
        "ddq",
        "DDQ, Differentiable Dynamic Quantization",
        "Zhang et al., ICML 2021, arXiv 2106.02295; reconstructed from the abstract and secondary sources",
        sys.modules["quant.ddq"],
        parameters=("q", "ghat"),
        weights=_WIDTHS,
        activations=_WIDTHS,
        make=lambda bits, role, **options: DDQ(bits, role == "weight", **options),
        primitives=("ddq", "ddq_corrected", "ddq_relaxed", "ddq_gate"),
        arguments=_arguments,
        gradient="surrogate: the assignment frozen, the gates' steps straight through within [-1, 1]; "
        "with a correction, the formula of its gradients",
        laws=frozenset({"idempotent", "scales", "shifts", "elementwise"}),
        per_channel=False,
        single_bits=22,
        note="Reconstructed from the abstract and secondary sources. Levels and width are of the whole tensor. The bit "
        "width is learned: there are 2^S codes, S <= bits.",
    )
)
