"""Layers with a quantizer for their weights and one for their activations (their input).

    y = op(Q_a(x), Q_w(W)) |beta| + b

``op`` is the convolution or the matrix product of the float layer. The factor |beta| is there if the weights' quantizer
asks for it (its class has ``output_scale = True``): one learned number for the layer (DAQ), so that levels in [-1, 1]
need not carry the scale of the result. The bias b is not quantized.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.nn import Conv2d, Linear, Module, Parameter
from minigrad.tensor import Tensor, apply, no_grad
from quant.calibration import positive_mean_abs
from quant.quantizer import Quantizer

__all__ = ["OutputScale", "QConv2d", "QLinear", "QuantizeActivation", "QuantizedLayer"]


class OutputScale(Module):
    """|beta| times its input; beta is a learned number."""

    buffers = ("initialised",)

    def __init__(self, dtype: Any = np.float32) -> None:
        super().__init__()
        self.beta = Parameter(np.ones((), dtype), group="range")
        self.initialised = np.zeros((), np.uint8)

    def initialise(self, wanted: np.ndarray, got: np.ndarray) -> None:
        """beta = mean |wanted| / mean |got|.

        Raises
        ------
        InputError
            If one of them is empty, not finite, or all zero.
        """
        self.beta.data[...] = positive_mean_abs(wanted, ()) / positive_mean_abs(got, ())
        self.initialised[...] = 1

    def forward(self, x: Tensor) -> Tensor:
        return x * apply("abs", self.beta)


class QuantizedLayer(Module):
    """A layer's weight and bias with the quantizers of its two operands; None leaves an operand as it is.

    On the first batch in training that it meets, each quantizer chooses its parameters, and then beta becomes
    mean |op(x, W)| / mean |op(Q_a(x), Q_w(W))|. ``quant.nn.calibrate`` does that before training.
    """

    def __init__(self, layer: Conv2d | Linear, weight: Quantizer | None, activation: Quantizer | None) -> None:
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias
        self.weight_quantizer, self.activation_quantizer = weight, activation
        scaled = getattr(weight, "output_scale", False)
        self.output_scale = OutputScale(layer.weight.dtype.type) if scaled else None

    def operation(self, x: Tensor, weight: Tensor) -> Tensor:
        """The product of two operands, without scale and bias."""
        raise NotImplementedError(f"{type(self).__name__} defines no operation")

    def operands(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The quantized input and the quantized weights."""
        if self.activation_quantizer is not None:
            x = self.activation_quantizer(x)
        return x, self.weight if self.weight_quantizer is None else self.weight_quantizer(self.weight)

    def scale(self) -> OutputScale | None:
        """The output's scale, where it applies: not while the weights are left in full precision."""
        enabled = self.weight_quantizer is not None and self.weight_quantizer.enabled
        return self.output_scale if enabled else None

    def initialise(self, x: np.ndarray) -> None:
        """Choose the parameters of the quantizers that are enabled, and beta, from the weights and the input ``x``.

        Raises
        ------
        InputError
            If a quantizer cannot choose its parameters from them, or nothing comes out of the layer.
        """
        _initialise(self.activation_quantizer, x)
        _initialise(self.weight_quantizer, self.weight.data)
        scale = self.scale()
        if scale is not None:
            with no_grad():
                self._initialise_scale(scale, x, self.operation(*self.operands(Tensor(x))).data)

    def _initialise_scale(self, scale: OutputScale, x: np.ndarray, got: np.ndarray) -> None:
        with no_grad():
            scale.initialise(self.operation(Tensor(x), self.weight).data, got)

    def forward(self, x: Tensor) -> Tensor:
        y = self.operation(*self.operands(x))
        scale = self.scale()
        if scale is not None:
            if self.training and not scale.initialised:
                self._initialise_scale(scale, x.data, y.data)
            y = scale(y)
        return y if self.bias is None else y + self.bias

    def project(self) -> None:
        """The quantizers' parameters into their domains, and the weights, where their quantizer limits them."""
        super().project()
        clip_weights = getattr(self.weight_quantizer, "clip_weights", None)
        if clip_weights is not None and self.weight_quantizer is not None and self.weight_quantizer.enabled:
            clip_weights(self.weight)

    def macs(self, x: tuple[int, ...], y: tuple[int, ...]) -> int:
        """Multiplications of a run from shape x to shape y: every output element meets each weight of its channel."""
        return int(np.prod(y)) * int(np.prod(self.weight.shape[:-1]))


class QConv2d(QuantizedLayer):
    """A convolution of quantized activations with quantized weights (kh, kw, in / groups, out).

    Weights and bias are shared with the float layer, of whatever stride, padding, dilation and groups.
    """

    def __init__(self, conv: Conv2d, *, weight: Quantizer | None, activation: Quantizer | None) -> None:
        super().__init__(conv, weight, activation)
        self.stride, self.padding, self.dilation, self.groups = conv.stride, conv.padding, conv.dilation, conv.groups

    def operation(self, x: Tensor, weight: Tensor) -> Tensor:
        options = {"stride": self.stride, "padding": self.padding, "dilation": self.dilation, "groups": self.groups}
        return apply("conv2d", x, weight, **options)


class QLinear(QuantizedLayer):
    """A linear layer with quantized weights (in, out) and a quantized input; weights and bias are the float layer's."""

    def __init__(self, linear: Linear, *, weight: Quantizer | None, activation: Quantizer | None) -> None:
        super().__init__(linear, weight, activation)

    def operation(self, x: Tensor, weight: Tensor) -> Tensor:
        return apply("linear", x, weight)


class QuantizeActivation(Module):
    """A quantizer on its own, for activations that are pooled before the next layer."""

    def __init__(self, activation: Quantizer) -> None:
        super().__init__()
        self.activation_quantizer = activation

    def initialise(self, x: np.ndarray) -> None:
        """Choose the quantizer's parameters from the input ``x``; InputError as the quantizer's."""
        _initialise(self.activation_quantizer, x)

    def forward(self, x: Tensor) -> Tensor:
        return self.activation_quantizer(x)


def _initialise(quantizer: Quantizer | None, x: np.ndarray) -> None:
    if quantizer is not None and quantizer.enabled:
        quantizer.initialise(x)
        quantizer.initialised[...] = 1
