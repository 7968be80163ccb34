"""Layers with a quantizer for their weights and one for their activations (their input)."""

from __future__ import annotations

from minigrad.nn import Conv2d, Linear, Module
from minigrad.tensor import Tensor, apply
from quant.quantizer import Quantizer

__all__ = ["QConv2d", "QLinear", "QuantizeActivation"]


class QConv2d(Module):
    """A convolution of quantized activations with quantized weights.

    Parameters
    ----------
    conv : Conv2d
        The float layer; its weight (kh, kw, in, out) is shared, not copied.
    weight, activation : Quantizer or None
        None leaves the weights, or the input, as they are.
    """

    def __init__(self, conv: Conv2d, *, weight: Quantizer | None, activation: Quantizer | None) -> None:
        super().__init__()
        self.weight = conv.weight
        self.stride, self.padding = conv.stride, conv.padding
        self.weight_quantizer, self.activation_quantizer = weight, activation

    def forward(self, x: Tensor) -> Tensor:
        w: Tensor = self.weight
        if self.activation_quantizer is not None:
            x = self.activation_quantizer(x)
        if self.weight_quantizer is not None:
            w = self.weight_quantizer(w)
        return apply("conv2d", x, w, stride=self.stride, padding=self.padding)


class QLinear(Module):
    """A linear layer with quantized weights (in, out) and, optionally, a quantized input; the bias stays."""

    def __init__(self, linear: Linear, *, weight: Quantizer | None, activation: Quantizer | None) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias
        self.weight_quantizer, self.activation_quantizer = weight, activation

    def forward(self, x: Tensor) -> Tensor:
        w: Tensor = self.weight
        if self.activation_quantizer is not None:
            x = self.activation_quantizer(x)
        if self.weight_quantizer is not None:
            w = self.weight_quantizer(w)
        return apply("linear", x, w) + self.bias


class QuantizeActivation(Module):
    """A quantizer on its own, for activations that are pooled before the next layer."""

    def __init__(self, activation: Quantizer) -> None:
        super().__init__()
        self.activation_quantizer = activation

    def forward(self, x: Tensor) -> Tensor:
        return self.activation_quantizer(x)
