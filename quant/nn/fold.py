"""Batch norm into the layer before it, for evaluation and export.

With g = gamma / sqrt(running_variance + eps) and h = beta - running_mean g, one number each an output channel:

    batch norm(op(x, W) + b) = op(x, W g) + (b g + h)                    a layer in full precision
    batch norm(op(Q(x), Q(W)) |s| + b) = op(Q(x), Q(W)) (|s| g) + (b g + h)      a quantized one

The codes of quantized weights stay as they are: g becomes a scale for each channel of the result. g, h and the products
are computed in float64 and rounded once to the layer's dtype. What is left is rounding: with u = 2^-53 in float64, an
output of n products differs from the unfolded one by at most

    2 (n + 8) u (|g| sum |x w| + |g| |b| + |g| |running_mean| + |beta|).
"""

from __future__ import annotations

import copy
from typing import TypeVar, cast

import numpy as np

from minigrad.nn import BatchNorm, Conv2d, Identity, Linear, Module, Parameter, Trace, trace
from minigrad.tensor import Tensor
from quant.nn.convert import input_shape
from quant.nn.layers import QuantizedLayer
from quant.nn.rebuild import rebuilt

__all__ = ["FoldedLayer", "fold_batch_norm"]

M = TypeVar("M", bound=Module)


class FoldedLayer(Module):
    """A quantized layer with a scale and a bias for each channel of its result, both arrays (out,); for evaluation."""

    buffers = ("scale", "bias")

    def __init__(self, layer: QuantizedLayer, scale: np.ndarray, bias: np.ndarray) -> None:
        super().__init__()
        self.layer, self.scale, self.bias = layer, scale, bias

    def forward(self, x: Tensor) -> Tensor:
        return self.layer.operation(*self.layer.operands(x)) * self.scale + self.bias


def fold_batch_norm(model: M, shape: tuple[int, ...] | None = None) -> M:
    """A copy of a network, in evaluation mode, without the batch norms that stand right behind a layer.

    A batch norm is folded into a convolution or linear layer, quantized or not, if it takes that layer's result and
    nothing else does, and both run once; ``Identity`` takes its place. Others stay, such as those behind a pooling.

    Parameters
    ----------
    model : Module
        It stays as it is.
    shape : tuple of int
        Of one input; 32x32 pixels by default, with the channels of the first convolution.

    Raises
    ------
    InputError
        If the model has no convolution or linear layer, or cannot take that shape.
    """
    copied = copy.deepcopy(model)
    copied.eval()
    seen = trace(copied, shape or input_shape(copied), copied.parameters()[0].dtype)
    replacements: dict[Module, list[Module]] = {}
    for layer, norm in _pairs(seen):
        replacements[layer] = [_folded(layer, norm)]
        replacements[norm] = [Identity().eval()]
    return cast(M, rebuilt(copied, replacements))


def _pairs(seen: Trace) -> list[tuple[Module, BatchNorm]]:
    """Each layer whose result goes to a batch norm and nowhere else."""
    runs: dict[int, int] = {}
    for call in seen.calls:
        runs[id(call.module)] = runs.get(id(call.module), 0) + 1
    made = {id(call.y): call for call in seen.calls if isinstance(call.module, (Conv2d, Linear, QuantizedLayer))}
    pairs = []
    for call in seen.calls:
        before = made.get(id(call.x))
        if before is None or not isinstance(call.module, BatchNorm) or seen.uses(call.x) != 1:
            continue
        if runs[id(call.module)] == runs[id(before.module)] == 1:
            pairs.append((before.module, call.module))
    return pairs


def _folded(layer: Module, norm: BatchNorm) -> Module:
    g = norm.gamma.data / np.sqrt(norm.running_variance.astype(np.float64) + norm.eps)
    h = norm.beta.data - norm.running_mean * g
    dtype = norm.gamma.dtype
    assert isinstance(layer, (Conv2d, Linear, QuantizedLayer))
    bias = (h if layer.bias is None else layer.bias.data * g + h).astype(dtype)
    if isinstance(layer, QuantizedLayer) and layer.weight_quantizer is not None:
        output_scale = layer.scale()
        scale = g if output_scale is None else np.abs(output_scale.beta.data) * g
        return FoldedLayer(layer, scale.astype(dtype), bias)
    folded = copy.copy(layer)
    folded.weight = Parameter((layer.weight.data * g).astype(dtype))
    folded.bias = Parameter(bias, group="norm")
    return folded
