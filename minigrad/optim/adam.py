"""Adam, and AdamW, whose weight decay is decoupled from the gradient."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from minigrad.errors import InputError
from minigrad.nn.module import Module
from minigrad.optim.numbers import finite
from minigrad.optim.optimizer import Group, Optimizer

__all__ = ["Adam", "AdamW"]

#: Below it eps would be subnormal in float32, or vanish.
_LEAST_EPS = float(np.finfo(np.float32).tiny)


class Adam(Optimizer):
    """Adam (Kingma and Ba, ICLR 2015, Algorithm 1, with bias correction); weight decay is added to the gradient.

    g = gradient + weight_decay parameter; m <- b1 m + (1 - b1) g; v <- b2 v + (1 - b2) (g g);
    parameter <- parameter - rate (m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)).

    t counts the steps of this parameter, those in which it had a gradient. b1^t and b2^t are products of t factors,
    kept in double. Squares are formed in the parameter's dtype: in float32 those of gradients above 1.8e19 overflow and
    stop the parameter, and those below 1e-23 vanish.

    Parameters
    ----------
    betas : two floats
        b1 and b2, 0 <= b < 1.
    eps : float
        At least 1.2e-38, the smallest normal float32.
    """

    def __init__(
        self,
        model: Module,
        groups: Mapping[str, Group],
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise InputError(f"betas: expected two numbers, got {betas!r}")
        self.betas = finite("betas", betas[0], below=1.0), finite("betas", betas[1], below=1.0)
        self.eps = finite("eps", eps, least=_LEAST_EPS)
        super().__init__(model, groups)

    def start(self, data: np.ndarray) -> dict[str, np.ndarray]:
        return {"first": np.zeros_like(data), "second": np.zeros_like(data), "powers": np.ones(2)}

    def move(
        self, data: np.ndarray, gradient: np.ndarray, memory: dict[str, np.ndarray], rate: float, decay: float
    ) -> None:
        data -= rate * self.direction(gradient + decay * data, memory)

    def direction(self, gradient: np.ndarray, memory: dict[str, np.ndarray]) -> np.ndarray:
        """Take in a gradient; the corrected first moment over the root of the corrected second."""
        first, second, powers = memory["first"], memory["second"], memory["powers"]
        (b1, b2), (c1, c2) = self.betas, self._corrections(powers)
        first *= b1
        first += (1.0 - b1) * gradient
        second *= b2
        second += (1.0 - b2) * (gradient * gradient)
        return (first / c1) / (np.sqrt(second / c2) + self.eps)

    def _corrections(self, powers: np.ndarray) -> tuple[float, float]:
        powers *= self.betas
        return 1.0 - float(powers[0]), 1.0 - float(powers[1])


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, ICLR 2019, Algorithm 2).

    parameter <- parameter - rate (m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps) + weight_decay parameter), where the
    moments are those of the gradient alone. As in PyTorch the rate multiplies the decay too: the paper's lambda is
    weight_decay times its alpha, and its schedule multiplier eta is our rate over alpha.
    """

    def move(
        self, data: np.ndarray, gradient: np.ndarray, memory: dict[str, np.ndarray], rate: float, decay: float
    ) -> None:
        data -= rate * (self.direction(gradient, memory) + decay * data)
