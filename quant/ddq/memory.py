"""The memory that quantized weights take, as a part of the objective (DDQ; reconstructed from secondary sources).

    zeta = sum over layers of C_out C_in K^2 S_l        bits of weights, S_l the layer's bit width
    loss' = loss (zeta/zeta_target)^a,  a = 0 while zeta <= zeta_target, else 0.02

S_l is the sum of the gates of the layer's DDQ quantizer, whose gradient is straight-through (``quant.ddq.gate``); other
quantizers have their fixed width. Counted are the layers whose weights are quantized; those left in full precision and
biases are not.
"""

from __future__ import annotations

import numpy as np

from minigrad.errors import InputError
from minigrad.nn import Module
from minigrad.optim.numbers import finite, positive
from minigrad.tensor import Tensor
from quant.ddq import DDQ
from quant.nn.layers import QuantizedLayer

__all__ = ["EXPONENT", "memory_factor", "memory_target", "weight_memory"]

#: a, over budget.
EXPONENT = 0.02


def _quantized_layers(model: Module) -> list[QuantizedLayer]:
    """The layers whose weights are quantized; InputError where there is none."""
    layers = [m for _, m in model.modules() if isinstance(m, QuantizedLayer)]
    found = [m for m in layers if m.weight_quantizer is not None and m.weight_quantizer.enabled]
    if not found:
        raise InputError("model: expected a layer whose weights are quantized, found none")
    return found


def _bits(layer: QuantizedLayer) -> int:
    quantizer = layer.weight_quantizer
    assert quantizer is not None
    return int(quantizer.width().item()) if isinstance(quantizer, DDQ) else quantizer.bits


def weight_memory(model: Module) -> int:
    """zeta: the bits that the quantized weights of a model take.

    Raises
    ------
    InputError
        If no layer's weights are quantized.
    """
    return sum(layer.weight.data.size * _bits(layer) for layer in _quantized_layers(model))


def memory_target(model: Module, bits: float) -> float:
    """zeta of the same layers at a mean width, in bits; InputError unless the width is a finite number above 0."""
    return positive("bits", bits) * sum(layer.weight.data.size for layer in _quantized_layers(model))


def memory_factor(model: Module, target: float, *, exponent: float = EXPONENT) -> Tensor:
    """What the loss is multiplied by: (zeta/zeta_target)^a, on the tape, in the dtype of the weights.

    Over budget its gradient by the gates ghat_i in [-1, 1] of a layer with m weights is the factor times a m/zeta.
    Within the budget the factor is 1, with no gradient.

    Parameters
    ----------
    model : with layers whose weights are quantized
    target : zeta_target in bits, above 0
    exponent : a while zeta > zeta_target, at least 0

    Returns
    -------
    Tensor, shape ()

    Raises
    ------
    InputError
        If no layer's weights are quantized, or a number is outside its domain.
    """
    target, exponent = positive("target", target), finite("exponent", exponent)
    layers = _quantized_layers(model)
    dtype = layers[0].weight.dtype
    if weight_memory(model) <= target:
        return Tensor(np.ones((), dtype))
    ratio = Tensor(np.zeros((), dtype))
    for layer in layers:
        share = layer.weight.data.size / target
        quantizer = layer.weight_quantizer
        ratio = ratio + (quantizer.width() * share if isinstance(quantizer, DDQ) else share * _bits(layer))
    return ratio**exponent
