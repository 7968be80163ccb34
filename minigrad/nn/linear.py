"""Linear layers."""

from __future__ import annotations

import numpy as np

from minigrad.nn.arguments import checked_size
from minigrad.nn.init import normal
from minigrad.nn.module import Module, Parameter
from minigrad.tensor import Tensor, apply

__all__ = ["Linear"]


class Linear(Module):
    """x W + b; x (n, in), W (in, out), b (out). The weights are drawn with variance 1 / in, the bias starts at 0.

    Raises
    ------
    InputError
        If a size is no whole number of at least 1.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        in_features: int,
        out_features: int,
        dtype: type = np.float32,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        shape = checked_size("in_features", in_features), checked_size("out_features", out_features)
        self.weight = Parameter(normal(rng, shape, shape[0] ** -0.5, dtype))
        self.bias = Parameter(np.zeros(shape[1], dtype), group="norm") if bias else None

    def forward(self, x: Tensor) -> Tensor:
        y = apply("linear", x, self.weight)
        return y if self.bias is None else y + self.bias

    def macs(self, x: tuple[int, ...], y: tuple[int, ...]) -> int:
        """Multiplications of a run from shape x to shape y."""
        return int(np.prod(y)) * self.weight.shape[0]
