"""Activations as layers, and by name."""

from __future__ import annotations

import numpy as np

from minigrad.errors import InputError
from minigrad.nn.arguments import checked_size
from minigrad.nn.module import Module, Parameter
from minigrad.tensor import Tensor, apply

__all__ = [
    "ACTIVATIONS",
    "GELU",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "PReLU",
    "ReLU",
    "ReLU6",
    "SiLU",
    "Sigmoid",
    "Softplus",
    "Tanh",
    "make_activation",
]


class _Plain(Module):
    """An activation without options."""

    primitive: str

    def forward(self, x: Tensor) -> Tensor:
        return apply(self.primitive, x)


class ReLU(_Plain):
    """max(x, 0)."""

    primitive = "relu"


class ReLU6(_Plain):
    """min(max(x, 0), 6)."""

    primitive = "relu6"


class Tanh(_Plain):
    """Hyperbolic tangent."""

    primitive = "tanh"


class Sigmoid(_Plain):
    """1 / (1 + e^-x)."""

    primitive = "sigmoid"


class Softplus(_Plain):
    """log(1 + e^x)."""

    primitive = "softplus"


class SiLU(_Plain):
    """x sigmoid(x)."""

    primitive = "silu"


class Hardswish(_Plain):
    """x relu6(x + 3) / 6."""

    primitive = "hardswish"


class Hardtanh(_Plain):
    """x limited to [-1, 1]."""

    primitive = "hardtanh"


class LeakyReLU(Module):
    """x above 0, ``slope`` x below."""

    def __init__(self, slope: float = 0.01) -> None:
        super().__init__()
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        return apply("leaky_relu", x, slope=self.slope)


class PReLU(Module):
    """x above 0, ``slope`` x below; the slopes are learned, one a channel, from 1/4 on (He et al., ICCV 2015, eq 1)."""

    def __init__(self, channels: int, dtype: type = np.float32) -> None:
        super().__init__()
        self.slope = Parameter(np.full(checked_size("channels", channels), 0.25, dtype), group="norm")

    def forward(self, x: Tensor) -> Tensor:
        return apply("prelu", x, self.slope)


class GELU(Module):
    """x Phi(x), or its approximation by tanh (``approximate="tanh"``)."""

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, x: Tensor) -> Tensor:
        return apply("gelu", x, approximate=self.approximate)


#: Those that need no arguments, by name.
ACTIVATIONS: dict[str, type[Module]] = {
    "gelu": GELU,
    "hardswish": Hardswish,
    "hardtanh": Hardtanh,
    "leaky_relu": LeakyReLU,
    "relu": ReLU,
    "relu6": ReLU6,
    "sigmoid": Sigmoid,
    "silu": SiLU,
    "softplus": Softplus,
    "tanh": Tanh,
}


def make_activation(name: str) -> Module:
    """A new layer by its primitive's name; InputError for a name that is not in ``ACTIVATIONS``."""
    if name not in ACTIVATIONS:
        raise InputError(f"activation: expected one of {', '.join(ACTIVATIONS)}, got {name!r}")
    return ACTIVATIONS[name]()
