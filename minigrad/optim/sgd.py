"""Stochastic gradient descent with momentum and weight decay."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minigrad.errors import InputError
from minigrad.nn.module import Module

__all__ = ["SGD", "Group"]


@dataclass(frozen=True)
class Group:
    """Settings of the parameters of one group.

    rate : factor on the learning rate; weight_decay : factor of the parameter that is added to its gradient (an L2
    penalty of half of it times the squared norm); clip : bound on the gradient's absolute value, or None.
    """

    rate: float = 1.0
    weight_decay: float = 0.0
    clip: float | None = None

    def __post_init__(self) -> None:
        for name in ("rate", "weight_decay"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InputError(f"{name}: expected a finite number of at least 0, got {getattr(self, name)!r}")
        if self.clip is not None and not self.clip > 0:
            raise InputError(f"clip: expected a number above 0 or None, got {self.clip!r}")


class SGD:
    """velocity <- (momentum velocity + gradient) + weight_decay parameter; parameter <- parameter - rate velocity."""

    def __init__(self, model: Module, groups: dict[str, Group], *, momentum: float = 0.9) -> None:
        if not 0 <= momentum < 1:
            raise InputError(f"momentum: expected 0 <= momentum < 1, got {momentum}")
        self.momentum = momentum
        self.parameters = dict(model.named_parameters())
        for name, parameter in self.parameters.items():
            if parameter.group not in groups:
                raise InputError(f"groups: no settings for group {parameter.group!r} of parameter {name}")
        self.groups = groups
        self.velocity = {name: np.zeros_like(p.data) for name, p in self.parameters.items()}

    def step(self, rate: float) -> None:
        """Move every parameter that has a gradient."""
        for name, parameter in self.parameters.items():
            if parameter.grad is None:
                continue
            group = self.groups[parameter.group]
            gradient = parameter.grad
            if group.clip is not None:
                gradient = np.clip(gradient, -group.clip, group.clip)
            velocity = self.velocity[name]
            velocity *= self.momentum
            velocity += gradient
            velocity += group.weight_decay * parameter.data
            parameter.data -= (rate * group.rate) * velocity
