"""What flows where in a network: the tensor each module takes and gives, and what every tensor is made from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.backward import from_first_to_last
from minigrad.errors import InputError
from minigrad.nn.module import Module
from minigrad.record import recording
from minigrad.tensor import Tensor

__all__ = ["Call", "Trace", "trace"]


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a module: its dotted name, what it took and what it gave (the same tensor where it did nothing)."""

    name: str
    module: Module
    x: Tensor
    y: Tensor


class Trace:
    """The calls of a network, in the order in which they ended, and the tape behind its result.

    It holds every tensor, and with them the parameters (which cannot be written to), for as long as it lives.
    """

    def __init__(self, calls: list[Call], result: Tensor) -> None:
        self.calls = calls
        tensors = from_first_to_last(result)
        self._uses = Counter(id(parent) for t in tensors if t._record for _, parent in t._record.parents())

    def primitive(self, tensor: Tensor) -> str | None:
        """The name of the primitive that made a tensor; None for inputs and parameters."""
        return None if tensor._record is None else tensor._record.primitive.name

    def arguments(self, tensor: Tensor) -> tuple[Any, ...]:
        """What its primitive was given: tensors where a gradient is required, else arrays."""
        return () if tensor._record is None else tensor._record.arguments

    def options(self, tensor: Tensor) -> dict[str, Any]:
        """The options its primitive was given."""
        return {} if tensor._record is None else tensor._record.options

    def uses(self, tensor: Tensor) -> int:
        """How many times primitives on the way to the result take the tensor."""
        return self._uses[id(tensor)]


def trace(model: Module, shape: tuple[int, ...], dtype: Any = np.float32) -> Trace:
    """Run no images, an array (0, ``*shape``), in evaluation mode, and look on; nothing about the model changes.

    Parameters
    ----------
    model : Module
    shape : tuple of int
        Of one input, without the batch: (32, 32, 3).
    dtype : numpy.float32 or numpy.float64
        The model's.

    Raises
    ------
    InputError
        If the shape has a size below 1, or the model cannot take it.
    """
    if not shape or min(shape) < 1:
        raise InputError(f"shape: expected the sizes of one input, each at least 1, got {shape}")
    calls: list[Call] = []
    with recording(True), model.evaluating(), _watched(model, calls):
        result = model(Tensor(np.zeros((0, *shape), dtype), requires_grad=True))
    return Trace(calls, result)


@contextmanager
def _watched(model: Module, calls: list[Call]) -> Iterator[None]:
    """Within it every call of a module is noted, by the first name the module is found under."""

    def watch(name: str, module: Module, forward: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        def watched(x: Tensor) -> Tensor:
            y = forward(x)
            calls.append(Call(name, module, x, y))
            return y

        return watched

    wrapped: list[Module] = []
    try:
        for name, module in model.modules():
            if "forward" not in vars(module):
                # An attribute of the object hides the method of its class until it is deleted again.
                vars(module)["forward"] = watch(name, module, module.forward)
                wrapped.append(module)
        yield
    finally:
        for module in wrapped:
            del vars(module)["forward"]
