"""Which activations can be negative, and what a method's activation quantizer makes of them."""

from __future__ import annotations

import numpy as np

from minigrad.errors import InputError
from minigrad.nn import Module, Trace
from minigrad.tensor import Tensor
from quant.quantizer import Quantizer

__all__ = ["Signs", "lowest_level"]

#: Primitives whose results are never negative, and those whose results are not if no argument is.
_RECTIFIERS = frozenset({"abs", "relu", "relu6", "sigmoid", "softmax", "softplus"})
_POOLING = frozenset({"avg_pool2d", "global_avg_pool", "global_max_pool", "max_pool2d"})
_MOVING = frozenset({"broadcast_to", "concatenate", "dropout", "pad", "reshape", "slice", "stack", "transpose"})
_KEEPERS = _POOLING | _MOVING | {"add", "max", "maximum", "mean", "multiply", "sum"}
_SAMPLE = 257


class Signs:
    """The signs of the tensors of a traced network.

    Parameters
    ----------
    trace : Trace
    """

    def __init__(self, trace: Trace) -> None:
        self._trace = trace

    def nonnegative(self, tensor: Tensor) -> bool:
        """Whether it is certain that no element is negative: a rectifier made it, with pooling and the like behind."""
        name = self._trace.primitive(tensor)
        if name in _RECTIFIERS:
            return True
        if name not in _KEEPERS or self._trace.options(tensor).get("value", 0.0) < 0:
            return False
        return all(
            self.nonnegative(a) if isinstance(a, Tensor) else bool(np.all(np.asarray(a) >= 0))
            for a in self._trace.arguments(tensor)
        )

    def rectifiers(self, tensor: Tensor) -> list[Module]:
        """The modules that make a tensor non-negative and do nothing else.

        Raises
        ------
        InputError
            If one is no module of its own.
        """
        modules = []
        for rectified in self._rectified(tensor):
            # Calls are in the order of their ends: the first is the innermost.
            call = next((call for call in self._trace.calls if call.y is rectified), None)
            if call is None or call.x is not self._trace.arguments(rectified)[0]:
                name = self._trace.primitive(rectified)
                raise InputError(f"model: a sign quantizer cannot stand in place of a {name} that is no module")
            modules.append(call.module)
        return modules

    def _rectified(self, tensor: Tensor) -> list[Tensor]:
        if not self.nonnegative(tensor):
            return []
        if self._trace.primitive(tensor) in _RECTIFIERS:
            return [tensor]
        return [t for a in self._trace.arguments(tensor) if isinstance(a, Tensor) for t in self._rectified(a)]


def lowest_level(quantizer: Quantizer, low: float) -> float:
    """The lowest level of a float64 quantizer initialised from numbers from ``low`` to 1; 0 if it refuses."""
    sample: np.ndarray = np.linspace(low, 1.0, _SAMPLE)[:, None]
    try:
        quantizer.initialise(sample)
    except InputError:
        return 0.0
    return float(np.min(quantizer.levels(sample)))
