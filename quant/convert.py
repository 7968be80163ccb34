"""From a trained float network to one with quantizers."""

from __future__ import annotations

from minigrad.errors import InputError
from minigrad.nn import Conv2d, GlobalAvgPool, Linear, Module, Sequential
from quant.dsq import DSQ
from quant.layers import QConv2d, QLinear, QuantizeActivation

__all__ = ["quantize"]


def quantize(
    model: Sequential, *, bits: int = 2, edge_bits: int = 8, alpha: float = 0.2, forward: str = "hard"
) -> Sequential:
    """A network whose convolutions and linear layer carry DSQ quantizers; parameters are shared with ``model``.

    The first convolution and the linear layer have weights of ``edge_bits``; the pooled activations too. All others
    have weights and input activations of ``bits``.

    Raises
    ------
    InputError
        If the model does not start with a convolution, or a bit width or alpha is outside its domain.
    """
    layers: list[Module] = []
    for n, layer in enumerate(model.layers):
        if isinstance(layer, Conv2d):
            first = n == 0
            weight = DSQ(edge_bits if first else bits, "symmetric", alpha=alpha, forward=forward)
            activation = None if first else DSQ(bits, "positive", alpha=alpha, forward=forward)
            layer = QConv2d(layer, weight=weight, activation=activation)
        elif n == 0:
            raise InputError(f"model: expected a convolution first, got {type(layer).__name__}")
        elif isinstance(layer, GlobalAvgPool):
            layers.append(QuantizeActivation(DSQ(edge_bits, "positive", alpha=alpha, forward=forward)))
        elif isinstance(layer, Linear):
            weight = DSQ(edge_bits, "symmetric", alpha=alpha, forward=forward)
            layer = QLinear(layer, weight=weight, activation=None)
        layers.append(layer)
    return Sequential(*layers)
