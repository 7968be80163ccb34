"""From a trained float network to one with quantizers."""

from __future__ import annotations

from minigrad.errors import InputError
from minigrad.nn import Conv2d, GlobalAvgPool, Linear, Module, Sequential
from quant.dsq import DSQ
from quant.layers import QConv2d, QLinear, QuantizeActivation

__all__ = ["quantize"]


def quantize(
    model: Sequential, *, bits: int = 2, edge_bits: int | None = 8, alpha: float = 0.2, forward: str = "hard"
) -> Sequential:
    """A network whose convolutions and linear layer carry DSQ quantizers; parameters are shared with ``model``.

    All convolutions but the first have weights and input activations of ``bits``. The first convolution's weights, the
    linear layer's, and the pooled activations have ``edge_bits``; None leaves them in full precision.

    Raises
    ------
    InputError
        If the model does not start with a convolution, or has layers inside of layers (as a residual block has), or a
        convolution with a bias, groups or a dilation, or a bit width or alpha is outside its domain.
    """

    def quantizer(bits: int | None, range: str) -> DSQ | None:
        return None if bits is None else DSQ(bits, range, alpha=alpha, forward=forward)

    layers: list[Module] = []
    for n, layer in enumerate(model.layers):
        if n == 0 and not isinstance(layer, Conv2d):
            raise InputError(f"model: expected a convolution first, got {type(layer).__name__}")
        if any(True for _ in layer.children()):
            raise InputError(f"model: expected plain layers, got {type(layer).__name__} (layer {n}), which has its own")
        if isinstance(layer, Conv2d):
            weight = quantizer(edge_bits if n == 0 else bits, "symmetric")
            layer = QConv2d(layer, weight=weight, activation=None if n == 0 else quantizer(bits, "positive"))
        elif isinstance(layer, GlobalAvgPool) and edge_bits is not None:
            layers.append(QuantizeActivation(DSQ(edge_bits, "positive", alpha=alpha, forward=forward)))
        elif isinstance(layer, Linear):
            layer = QLinear(layer, weight=quantizer(edge_bits, "symmetric"), activation=None)
        layers.append(layer)
    return Sequential(*layers)
