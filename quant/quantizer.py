"""What every quantizer module has in common."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.errors import InputError
from minigrad.nn import Module
from minigrad.tensor import Tensor

__all__ = ["Quantizer", "check_dtype", "check_option", "parameter_shape"]


class Quantizer(Module):
    """A layer that quantizes a tensor: weights, or the activations of one layer.

    ``forward`` is differentiable in training and hard in evaluation. ``initialise`` sets the parameters from a tensor;
    a quantizer does it by itself on the first one it sees in training.

    Attributes
    ----------
    bits : int
        The width of the codes.
    enabled : bool
        Whether it quantizes; otherwise it hands its input on as it is (training in phases).
    """

    buffers: tuple[str, ...] = ("initialised",)
    bits: int

    def __init__(self) -> None:
        super().__init__()
        self.initialised = np.zeros((), np.uint8)
        self.enabled = True

    def initialise(self, x: np.ndarray) -> None:
        """Set the parameters from data.

        Raises
        ------
        InputError
            If they cannot be chosen from it: it is empty, not finite, or constant where a spread is needed.
        """
        raise NotImplementedError

    def codes(self, x: np.ndarray) -> np.ndarray:
        """Integer codes, uint8, of the shape of x; InputError if x holds NaN."""
        raise NotImplementedError

    def levels(self, x: np.ndarray | None = None) -> np.ndarray:
        """The value of each code, ascending along the first axis; the other axes broadcast against x.

        ``x`` is the tensor, for methods whose levels depend on it (a scale of mean |x|); others ignore it.
        """
        raise NotImplementedError

    def quantize(self, x: Tensor) -> Tensor:
        """The forward of training (``self.training``) or evaluation."""
        raise NotImplementedError

    def set_progress(self, epoch: int, epochs: int) -> None:
        """Take note that epoch ``epoch`` of ``epochs`` begins, counted from 1 (temperatures, slopes); no-op here."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.enabled:
            return x
        if self.training and not self.initialised:
            self.initialise(x.data)
            self.initialised[...] = 1
        return self.quantize(x)


def check_dtype(dtype: Any) -> None:
    """InputError unless it is float32 or float64."""
    if dtype not in (np.float32, np.float64):
        raise InputError(f"dtype: expected float32 or float64, got {dtype!r}")


def check_option(name: str, value: Any, valid: tuple[Any, ...]) -> None:
    """InputError unless the value is one of the valid ones."""
    if value not in valid:
        raise InputError(f"{name}: expected one of {', '.join(map(str, valid))}, got {value!r}")


def parameter_shape(channels: int | None) -> tuple[int, ...]:
    """The shape of a range or scale: one for the tensor, or one a channel; InputError for a number below 1."""
    if channels is None:
        return ()
    if isinstance(channels, bool) or not isinstance(channels, (int, np.integer)) or channels < 1:
        raise InputError(f"channels: expected a whole number of at least 1, or None, got {channels!r}")
    return (int(channels),)
