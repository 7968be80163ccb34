"""Stochastic gradient descent with momentum and weight decay."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from minigrad.errors import InputError
from minigrad.nn.module import Module
from minigrad.optim.numbers import finite
from minigrad.optim.optimizer import Group, Optimizer

__all__ = ["SGD"]


class SGD(Optimizer):
    """velocity <- (momentum velocity + gradient) + weight_decay parameter; parameter <- parameter - rate velocity.

    With ``nesterov`` the parameter moves by (momentum velocity + gradient) + weight_decay parameter instead, with the
    new velocity. That is PyTorch's convention for Nesterov's gradient (Sutskever et al., ICML 2013, eq 3 and 4, where
    the gradient is taken at theta + mu v): our parameter is that point theta + mu v, where the gradient is taken, and
    our velocity is -v / rate. Where the rate changes the two differ: here a step's rate multiplies the whole velocity,
    there each gradient is multiplied by the rate of its own step.

    Parameters
    ----------
    momentum : float
        0 <= momentum < 1. There is no dampening.
    nesterov : bool
        Needs a momentum above 0.
    """

    def __init__(
        self, model: Module, groups: Mapping[str, Group], *, momentum: float = 0.9, nesterov: bool = False
    ) -> None:
        self.momentum = finite("momentum", momentum, below=1.0)
        if not isinstance(nesterov, bool) or (nesterov and self.momentum == 0):
            raise InputError(
                f"nesterov: expected False, or True and momentum above 0, got {nesterov!r}, momentum {momentum}"
            )
        self.nesterov = nesterov
        super().__init__(model, groups)

    def start(self, data: np.ndarray) -> dict[str, np.ndarray]:
        return {"velocity": np.zeros_like(data)}

    def move(
        self, data: np.ndarray, gradient: np.ndarray, memory: dict[str, np.ndarray], rate: float, decay: float
    ) -> None:
        velocity = memory["velocity"]
        velocity *= self.momentum
        velocity += gradient
        velocity += decay * data
        direction = velocity
        if self.nesterov:
            direction = self.momentum * velocity
            direction += gradient
            direction += decay * data
        data -= rate * direction
