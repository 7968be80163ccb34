"""What every quantizer module has in common."""

from __future__ import annotations

import numpy as np

from minigrad.nn import Module
from minigrad.tensor import Tensor

__all__ = ["Quantizer"]


class Quantizer(Module):
    """A layer that quantizes a tensor: weights, or the activations of one layer.

    ``forward`` is differentiable in training and hard in evaluation. ``initialise`` sets the parameters from a tensor;
    a quantizer does it by itself on the first one it sees in training.
    """

    buffers = ("initialised",)
    bits: int

    def __init__(self) -> None:
        super().__init__()
        self.initialised = np.zeros((), np.uint8)

    def initialise(self, x: np.ndarray) -> None:
        """Set the parameters from data."""
        raise NotImplementedError

    def codes(self, x: np.ndarray) -> np.ndarray:
        """Integer codes, uint8."""
        raise NotImplementedError

    def levels(self) -> np.ndarray:
        """The value of each code, (2^bits,)."""
        raise NotImplementedError

    def quantize(self, x: Tensor) -> Tensor:
        """The forward of training (``self.training``) or evaluation."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        if self.training and not self.initialised:
            self.initialise(x.data)
            self.initialised[...] = 1
        return self.quantize(x)
