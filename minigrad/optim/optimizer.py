"""What every optimizer has in common: groups of parameters, one memory a parameter, and its state by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from minigrad.errors import InputError
from minigrad.nn.module import Module, Parameter
from minigrad.nn.state import take_over
from minigrad.optim.numbers import finite, positive

__all__ = ["Group", "Optimizer"]


@dataclass(frozen=True)
class Group:
    """Settings of the parameters of one group.

    rate : factor on the learning rate; weight_decay : of SGD and Adam, factor of the parameter that is added to its
    gradient (an L2 penalty of half of it times the squared norm), of AdamW see there; clip : bound on the gradient's
    absolute value, or None. The gradient is clipped first, the decay is added after.
    """

    rate: float = 1.0
    weight_decay: float = 0.0
    clip: float | None = None

    def __post_init__(self) -> None:
        # Python floats, whatever was given (see ``finite``).
        for name in ("rate", "weight_decay"):
            object.__setattr__(self, name, finite(name, getattr(self, name)))
        if self.clip is not None:
            object.__setattr__(self, "clip", positive("clip", self.clip))


class Optimizer:
    """Base of the optimizers: a subclass says what it remembers of a parameter (``start``) and how it moves (``move``).

    All arithmetic is in the parameter's dtype, with IEEE basic operations and square roots in the order the subclass
    writes down, so the same gradients give the same bits everywhere. A number such as the rate is formed in double and
    rounded to that dtype where it meets an array.

    Parameters
    ----------
    model : Module
        Its parameters, each once.
    groups : mapping of str to Group
        Settings for every group that occurs among them.

    Raises
    ------
    InputError
        If a parameter's group has no settings.
    """

    def __init__(self, model: Module, groups: Mapping[str, Group]) -> None:
        self.model = model
        self.parameters = dict(model.named_parameters())
        for name, parameter in self.parameters.items():
            if parameter.group not in groups:
                raise InputError(f"groups: no settings for group {parameter.group!r} of parameter {name}")
        self.groups = dict(groups)
        self.memory = {name: self.start(parameter.data) for name, parameter in self.parameters.items()}

    def start(self, data: np.ndarray) -> dict[str, np.ndarray]:
        """What is remembered of a parameter before its first step: arrays by kind, changed in place later."""
        raise NotImplementedError(f"{type(self).__name__} defines no start")

    def move(
        self, data: np.ndarray, gradient: np.ndarray, memory: dict[str, np.ndarray], rate: float, decay: float
    ) -> None:
        """Change ``data`` and ``memory`` in place; ``gradient`` stays as it is."""
        raise NotImplementedError(f"{type(self).__name__} defines no move")

    def step(self, rate: float) -> None:
        """Move every parameter that has a gradient, at the learning rate ``rate`` times its group's.

        Others keep their values and their memory: no decay, no fading of momentum.

        Raises
        ------
        InputError
            If the rate is negative or not finite; or a gradient has NaN or infinite elements or another shape or dtype
            than its parameter, or the parameter is still held by a tape; or the model has got another parameter since.
            Nothing is moved then. Without these checks one NaN would spread to all weights and the next checkpoint, and
            be seen only in the next loss; and the other parameter would never learn.
        """
        rate = finite("rate", rate)
        known = {id(parameter) for parameter in self.parameters.values()}
        for name, parameter in self.model.named_parameters():
            if id(parameter) not in known:
                raise InputError(f"parameter {name}: the model got it after this optimizer was made; make another one")
        gradients = {name: p.grad for name, p in self.parameters.items() if p.grad is not None}
        for name, gradient in gradients.items():
            _check(name, self.parameters[name], gradient)
        for name, gradient in gradients.items():
            parameter = self.parameters[name]
            group = self.groups[parameter.group]
            if group.clip is not None:
                gradient = np.clip(gradient, -group.clip, group.clip)
            self.move(parameter.data, gradient, self.memory[name], rate * group.rate, group.weight_decay)

    def state(self) -> dict[str, np.ndarray]:
        """What is remembered, as ``kind.parameter`` (the arrays themselves, not copies)."""
        return {f"{kind}.{name}": array for name, memory in self.memory.items() for kind, array in memory.items()}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from another optimizer's ``state``, with the same bits.

        Raises
        ------
        InputError
            If a name is missing or unknown, or a shape or dtype differs; nothing is changed then.
        """
        take_over(self.state(), state, "optimizer state")


def _check(name: str, parameter: Parameter, gradient: np.ndarray) -> None:
    data = parameter.data
    if gradient.shape != data.shape or gradient.dtype != data.dtype:
        raise InputError(
            f"gradient of {name}: expected {data.dtype} {data.shape}, got {gradient.dtype} {gradient.shape}"
        )
    if not np.isfinite(gradient).all():
        raise InputError(f"gradient of {name}: expected finite numbers, got NaN or infinity; lower the learning rate?")
    if not data.flags.writeable:
        raise InputError(f"parameter {name}: the tape still needs its values; call backward before step")
