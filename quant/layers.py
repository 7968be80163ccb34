"""Layers with a quantizer for their weights and one for their activations (their input)."""

from __future__ import annotations

import numpy as np

from minigrad.errors import InputError
from minigrad.nn import Conv2d, Linear, Module, Parameter
from minigrad.tensor import Tensor, apply
from quant.quantizer import Quantizer

__all__ = ["QConv2d", "QLinear", "QuantizeActivation"]


class _QuantizedLayer(Module):
    """A layer's weight with the quantizers of its two operands; None leaves an operand as it is."""

    def __init__(self, weights: Parameter, weight: Quantizer | None, activation: Quantizer | None) -> None:
        super().__init__()
        self.weight = weights
        self.weight_quantizer, self.activation_quantizer = weight, activation

    def operands(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The quantized input and the quantized weights."""
        if self.activation_quantizer is not None:
            x = self.activation_quantizer(x)
        return x, self.weight if self.weight_quantizer is None else self.weight_quantizer(self.weight)

    def macs(self, x: tuple[int, ...], y: tuple[int, ...]) -> int:
        """Multiplications of a run from shape x to shape y: every output element meets each weight of its channel."""
        return int(np.prod(y)) * int(np.prod(self.weight.shape[:-1]))


class QConv2d(_QuantizedLayer):
    """A convolution of quantized activations with quantized weights (kh, kw, in, out), shared with the float layer.

    Raises
    ------
    InputError
        If the convolution has a bias, groups or a dilation, which have no meaning on integers yet.
    """

    def __init__(self, conv: Conv2d, *, weight: Quantizer | None, activation: Quantizer | None) -> None:
        if conv.bias is not None or conv.groups != 1 or conv.dilation not in (1, (1, 1)):
            raise InputError("conv: expected a convolution without bias, groups and dilation; others are not quantized")
        super().__init__(conv.weight, weight, activation)
        self.stride, self.padding = conv.stride, conv.padding

    def forward(self, x: Tensor) -> Tensor:
        return apply("conv2d", *self.operands(x), stride=self.stride, padding=self.padding)


class QLinear(_QuantizedLayer):
    """A linear layer with quantized weights (in, out) and, optionally, a quantized input; the bias stays.

    Raises
    ------
    InputError
        If the layer has no bias.
    """

    def __init__(self, linear: Linear, *, weight: Quantizer | None, activation: Quantizer | None) -> None:
        if linear.bias is None:
            raise InputError("linear: expected a linear layer with a bias; others are not quantized")
        super().__init__(linear.weight, weight, activation)
        self.bias = linear.bias

    def forward(self, x: Tensor) -> Tensor:
        return apply("linear", *self.operands(x)) + self.bias


class QuantizeActivation(Module):
    """A quantizer on its own, for activations that are pooled before the next layer."""

    def __init__(self, activation: Quantizer) -> None:
        super().__init__()
        self.activation_quantizer = activation

    def forward(self, x: Tensor) -> Tensor:
        return self.activation_quantizer(x)
