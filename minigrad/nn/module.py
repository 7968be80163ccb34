"""Modules: named parameters and buffers, training and evaluation mode, state dicts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.nn.state import load_arrays, save_arrays, take_over
from minigrad.tensor import Tensor

__all__ = ["Module", "Parameter", "Sequential"]


class Parameter(Tensor):
    """A tensor that a module learns.

    ``group`` names the settings an optimizer gives it ("weight", "norm", "range", "shape", ...).
    """

    __slots__ = ("group",)

    def __init__(self, data: Any, group: str = "weight") -> None:
        super().__init__(data, requires_grad=True)
        self.group = group


def _found(name: str, value: Any, kind: type) -> Iterator[tuple[str, Any]]:
    """What an attribute holds of a kind: itself, or what is in its lists, tuples and dicts, by dotted names."""
    if isinstance(value, kind):
        yield name, value
    elif isinstance(value, (list, tuple, dict)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _found(f"{name}.{key}", item, kind)


def _has_parts(value: Any) -> bool:
    return any(True for kind in (Module, Parameter) for _ in _found("", value, kind))


class Module:
    """Base of all layers: parameters and modules are found by the name of their attribute.

    They may also be in lists, tuples and dicts, whose numbers and keys are then part of the name. Arrays that are state
    but not learned (running statistics) are listed in ``buffers``.
    """

    buffers: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.training = True

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} defines no forward")

    def __call__(self, x: Tensor) -> Tensor:
        return self.forward(x)

    def children(self) -> Iterator[tuple[str, Module]]:
        """Direct submodules by name."""
        for name, value in vars(self).items():
            yield from _found(name, value, Module)

    def own_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """The parameters of this module itself by name; one that has several names comes several times."""
        for name, value in vars(self).items():
            yield from _found(name, value, Parameter)

    def modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and everything below, depth first, with dotted names."""
        yield prefix, self
        for name, child in self.children():
            yield from child.modules(f"{prefix}.{name}" if prefix else name)

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Every parameter once, by the first name it is found under."""
        seen: set[int] = set()
        for prefix, module in self.modules():
            for name, value in module.own_parameters():
                if id(value) not in seen:
                    seen.add(id(value))
                    yield (f"{prefix}.{name}" if prefix else name), value

    def parameters(self) -> list[Parameter]:
        return [p for _, p in self.named_parameters()]

    def train(self, mode: bool = True) -> Module:
        """Switch this module and all below to training (or evaluation)."""
        for _, module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Module:
        return self.train(False)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Within it everything is in evaluation mode; afterwards each module has its own mode again."""
        modes = [(module, module.training) for _, module in self.modules()]
        self.eval()
        try:
            yield
        finally:
            for module, training in modes:
                module.training = training

    def describe(self) -> list[list[Any]]:
        """Every module's name, kind and plain options, which with ``state`` make it what it is."""
        found = []
        for prefix, module in self.modules():
            plain = {
                k: v
                for k, v in vars(module).items()
                if isinstance(v, (int, float, str, tuple)) and k != "training" and not _has_parts(v)
            }
            found.append([prefix, type(module).__name__, sorted(plain.items())])
        return found

    def zero_grad(self) -> None:
        for parameter in self.parameters():
            parameter.grad = None

    def project(self) -> None:
        """Bring every parameter back into its domain; called after each optimizer step."""
        for _, child in self.children():
            child.project()

    def state(self) -> dict[str, np.ndarray]:
        """Every parameter and buffer by dotted name (the arrays themselves, not copies)."""
        arrays: dict[str, np.ndarray] = {name: p.data for name, p in self.named_parameters()}
        for prefix, module in self.modules():
            for name in module.buffers:
                arrays[f"{prefix}.{name}" if prefix else name] = getattr(module, name)
        return arrays

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Take over parameters and buffers.

        Raises
        ------
        InputError
            If a name is missing or unknown, a shape or dtype differs, or a tape still needs a parameter's values;
            nothing is changed then.
        """
        take_over(self.state(), state)

    def save(self, path: str | Path) -> None:
        """Write ``state`` as a safetensors file, its names as keys (``minigrad.nn.state``); the old file or the new one
        is there at every moment.

        Raises
        ------
        InputError
            If the file cannot be written.
        """
        save_arrays(path, self.state())

    def load(self, path: str | Path) -> None:
        """Take over parameters and buffers from a file of ``save``, or any safetensors file with the same names.

        Raises
        ------
        InputError
            If the file cannot be read, or its arrays do not fit (as ``load_state``); nothing is changed then.
        """
        take_over(self.state(), load_arrays(path), f"{path}: state")


class Sequential(Module):
    """Layers one after the other."""

    def __init__(self, *layers: Module) -> None:
        super().__init__()
        self.layers = list(layers)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x
