"""How many parameters a network has, and how many multiplications it takes, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from minigrad.errors import InputError
from minigrad.nn.module import Module
from minigrad.tensor import Tensor, no_grad

__all__ = ["Count", "LayerCount", "count"]

Shape = tuple[int, ...]


@dataclass(frozen=True)
class LayerCount:
    """One layer: its dotted name, its class, the shape it gives for one input, its parameters and its MACs."""

    name: str
    kind: str
    shape: Shape
    parameters: int
    macs: int


@dataclass(frozen=True)
class Count:
    """The layers in the order they ran; those that never ran come last. ``str`` is a table."""

    layers: tuple[LayerCount, ...]

    @property
    def parameters(self) -> int:
        """Learned numbers; one that several layers share counts once."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def macs(self) -> int:
        """Multiplications of convolutions and linear layers for one input."""
        return sum(layer.macs for layer in self.layers)

    def __str__(self) -> str:
        rows = [("layer", "kind", "output", "parameters", "MACs")]
        for layer in self.layers:
            shape = "x".join(str(size) for size in layer.shape)
            rows.append((layer.name, layer.kind, shape, f"{layer.parameters:,}", f"{layer.macs:,}"))
        rows.append(("total", "", "", f"{self.parameters:,}", f"{self.macs:,}"))
        widths = [max(len(row[column]) for row in rows) for column in range(5)]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if column < 3 else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in rows
        )


class _Run:
    """What one layer was seen doing."""

    def __init__(self) -> None:
        self.macs = 0
        self.shape: Shape = ()


def count(model: Module, shape: Shape) -> Count:
    """Count parameters and multiply-accumulates (MACs) by running one input of zeros in evaluation mode.

    A layer that multiplies says how often by a method ``macs(input shape, output shape)``, as ``Conv2d``,
    ``ConvTranspose2d`` and ``Linear`` do; everything else (norms, biases, activations, pooling, additions) counts as
    no MAC, as in the papers' tables. Nothing about the model changes: not its mode, nor its running statistics.

    Parameters
    ----------
    model : Module
    shape : tuple of int
        Of one input, without the batch: (32, 32, 3).

    Raises
    ------
    InputError
        If the shape has a size below 1, or the model cannot take it.
    """
    if not shape or min(shape) < 1:
        raise InputError(f"shape: expected the sizes of one input, each at least 1, got {shape}")
    modules = list(model.modules())
    parameters = model.parameters()
    x = Tensor(np.zeros((1, *shape), parameters[0].dtype if parameters else np.float32))
    with no_grad(), model.evaluating(), _watched(modules) as runs:
        model(x)
    seen: set[int] = set()
    rows = []
    names = {id(module): name for name, module in reversed(modules)}
    unique = {id(module): module for _, module in modules}
    for key in [*runs, *(k for k in unique if k not in runs)]:
        module, run = unique[key], runs.get(key, _Run())
        own = [p for _, p in module.own_parameters() if id(p) not in seen]
        seen.update(id(p) for p in own)
        if own or run.macs or not any(True for _ in module.children()):
            size = sum({id(p): p.data.size for p in own}.values())
            rows.append(LayerCount(names[key], type(module).__name__, run.shape, size, run.macs))
    return Count(tuple(rows))


@contextmanager
def _watched(modules: list[tuple[str, Module]]) -> Iterator[dict[int, _Run]]:
    """Within it every forward is noted, by the module's id, in the order in which they end."""
    runs: dict[int, _Run] = {}

    def watch(module: Module, forward: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        def watched(x: Tensor) -> Tensor:
            y = forward(x)
            run = runs.setdefault(id(module), _Run())
            run.shape = y.shape[1:]
            macs = getattr(module, "macs", None)
            run.macs += 0 if macs is None else macs(x.shape, y.shape)
            return y

        return watched

    wrapped: list[Module] = []
    try:
        for _, module in modules:
            if "forward" not in vars(module):
                # An attribute of the object hides the method of its class until it is deleted again.
                vars(module)["forward"] = watch(module, module.forward)
                wrapped.append(module)
        yield runs
    finally:
        for module in wrapped:
            del vars(module)["forward"]
