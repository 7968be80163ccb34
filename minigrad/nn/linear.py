"""Linear layers."""

from __future__ import annotations

import numpy as np

from minigrad.nn.init import normal
from minigrad.nn.module import Module, Parameter
from minigrad.tensor import Tensor, apply

__all__ = ["Linear"]


class Linear(Module):
    """x W + b; x (n, in), W (in, out), b (out). The weights are drawn with variance 1 / in, the bias starts at 0."""

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
        self.weight = Parameter(normal(rng, (in_features, out_features), in_features**-0.5, dtype))
        self.bias = Parameter(np.zeros(out_features, dtype), group="norm") if bias else None

    def forward(self, x: Tensor) -> Tensor:
        y = apply("linear", x, self.weight)
        return y if self.bias is None else y + self.bias

    def macs(self, x: tuple[int, ...], y: tuple[int, ...]) -> int:
        """Multiplications of a run from shape x to shape y."""
        return int(np.prod(y)) * self.weight.shape[0]
