"""Hard evaluation: what a trained, quantized network computes, defined on exact integers.

A quantized layer accumulates codes exactly. Then one float64 expression, in this order of operations, gives the next
codes (all arrays a channel each, computed once in float64 from the trained parameters):

    y = accumulator * scale                       scale = step of the weights times step of the activations
    y = ((y - mean) * inverse) * gamma + beta     batch norm; inverse = 1 / sqrt(variance + eps)
    y = max(y, 0)                                 ReLU
    code = clip(floor(y / step + 1/2), 0, N)      the next activation quantizer, l = 0, step = u / N

Each operation is monotone in its argument even after rounding, so a code is a monotone function of one integer and has
thresholds (``quant.export``). Weights have symmetric ranges: a code j stands for the odd integer 2 j - N times u / N.
The input is the uint8 pixel p with an integer mean m: (p - m) / 64. The last layer's bias is rounded (half to even)
to a whole number of steps of its accumulator: its logits are integers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minigrad.data import INPUT_SCALE
from minigrad.errors import InputError
from minigrad.nn import BatchNorm, GlobalAvgPool, ReLU, Sequential
from minigrad.ops.conv_geometry import pair, quadruple
from quant.dsq import DSQ
from quant.integer import Conv2d, Linear, SumPool
from quant.nn.layers import QConv2d, QLinear, QuantizeActivation

__all__ = ["Epilogue", "ExportError", "HardLayer", "HardNetwork", "evaluate_on_integers"]


class ExportError(InputError):
    """The network has a part that is no integer operation."""


@dataclass(frozen=True)
class Epilogue:
    """From accumulators (..., channels) to the codes of the next layer; float64 arrays (channels,), a float64 step."""

    scale: float
    mean: np.ndarray
    inverse: np.ndarray
    gamma: np.ndarray
    beta: np.ndarray
    step: float
    bits: int

    def position(self, accumulators: np.ndarray) -> np.ndarray:
        """y / step: the place on the grid of codes, before rounding."""
        y = accumulators.astype(np.float64) * self.scale
        y = ((y - self.mean) * self.inverse) * self.gamma + self.beta
        return np.maximum(y, 0.0) / self.step

    def codes(self, accumulators: np.ndarray) -> np.ndarray:
        """uint8 codes of the shape of the accumulators."""
        top = (1 << self.bits) - 1
        return np.minimum(np.floor(self.position(accumulators) + 0.5), top).astype(np.uint8)


@dataclass(frozen=True)
class HardLayer:
    """A convolution on codes with its epilogue, and the module it was made from."""

    name: str
    accumulate: Conv2d
    epilogue: Epilogue
    conv: QConv2d
    norm: BatchNorm
    next_quantizer: DSQ


@dataclass(frozen=True)
class HardNetwork:
    """The layers, the pooled linear layer at the end, and the input's integer means."""

    layers: tuple[HardLayer, ...]
    linear: Linear
    linear_module: QLinear
    logit_scale: float
    means: np.ndarray

    def run(self, pixels: np.ndarray) -> list[np.ndarray]:
        """Codes (n, h, w, c) of every layer, then the logits' integers (n, classes)."""
        x, results = pixels, []
        for layer in self.layers:
            x = layer.epilogue.codes(layer.accumulate.run(x))
            results.append(x)
        results.append(self.linear.run(SumPool().run(x)))
        return results


def _finite(norm: BatchNorm, where: str) -> None:
    parts = {"gamma": norm.gamma.data, "beta": norm.beta.data, "mean": norm.running_mean}
    for name, array in parts.items():
        if not np.isfinite(array).all():
            raise ExportError(f"{where}: the batch norm's {name} is not finite")
    if not (np.isfinite(norm.running_variance) & (norm.running_variance >= 0)).all():
        raise ExportError(f"{where}: the batch norm's variance is negative or not finite")


def _plain(conv: QConv2d, where: str) -> None:
    if conv.bias is not None or conv.groups != 1 or pair(conv.dilation, "dilation") != (1, 1):
        raise ExportError(f"{where}: expected a convolution without bias, groups and dilation")
    if conv.output_scale is not None:
        raise ExportError(f"{where}: a learned scale of the output is no integer operation yet")


def _symmetric(quantizer: object, where: str) -> DSQ:
    if not isinstance(quantizer, DSQ):
        raise ExportError(f"{where}: expected weights quantized by DSQ, got {type(quantizer).__name__}")
    if quantizer.range != "symmetric":
        raise ExportError(
            f"{where}: a range of weights that is {quantizer.range!r} makes the output depend on two integers"
        )
    return _of_the_tensor(quantizer, where)


def _of_the_tensor(quantizer: DSQ, where: str) -> DSQ:
    if quantizer.u.shape != ():
        count = quantizer.u.data.size
        raise ExportError(f"{where}: expected one range for the tensor, got one for each of {count} channels")
    return quantizer


def _from_zero(quantizer: object, where: str) -> DSQ:
    if not isinstance(quantizer, DSQ):
        raise ExportError(f"{where}: expected activations quantized by DSQ, got {type(quantizer).__name__}")
    if quantizer.range != "positive":
        raise ExportError(f"{where}: activations need l = 0, got a range that is {quantizer.range!r}")
    return _of_the_tensor(quantizer, where)


def _step(quantizer: DSQ) -> float:
    """Distance of neighbouring integers: of codes (l = 0), or half of that of codes (odd integers)."""
    return float(quantizer.u.data) / ((1 << quantizer.bits) - 1)


def _epilogue(scale: float, norm: BatchNorm, quantizer: DSQ) -> Epilogue:
    variance = norm.running_variance.astype(np.float64)
    return Epilogue(
        scale=scale,
        mean=norm.running_mean.astype(np.float64),
        inverse=1.0 / np.sqrt(variance + norm.eps),
        gamma=norm.gamma.data.astype(np.float64),
        beta=norm.beta.data.astype(np.float64),
        step=_step(quantizer),
        bits=quantizer.bits,
    )


def evaluate_on_integers(model: Sequential, means: np.ndarray) -> HardNetwork:
    """Define the hard evaluation of a trained network.

    Parameters
    ----------
    model : Sequential
        QConv2d, BatchNorm, ReLU, repeated; then QuantizeActivation, GlobalAvgPool, QLinear (``quant.nn.quantize``).
    means : uint8 (channels,)
        The input's means, from ``minigrad.data.channel_means``.

    Raises
    ------
    ExportError
        If a part of the network has no meaning on integers; it is named.
    """
    body, tail = model.layers[:-3], model.layers[-3:]
    if len(model.layers) < 6 or len(body) % 3:
        raise ExportError("model: expected convolution, batch norm and ReLU repeated, then three layers")
    quantize, pool, linear = tail
    if not (
        isinstance(quantize, QuantizeActivation) and isinstance(pool, GlobalAvgPool) and isinstance(linear, QLinear)
    ):
        found = ", ".join(type(layer).__name__ for layer in tail)
        raise ExportError(f"model: expected QuantizeActivation, GlobalAvgPool, QLinear at the end, got {found}")
    layers: list[HardLayer] = []
    activation_step, activation_bits = 1.0 / INPUT_SCALE, 8
    for n in range(0, len(body), 3):
        conv, norm, relu = body[n : n + 3]
        where = f"layer {n // 3 + 1}"
        if not (isinstance(conv, QConv2d) and isinstance(norm, BatchNorm) and isinstance(relu, ReLU)):
            found = ", ".join(type(layer).__name__ for layer in body[n : n + 3])
            raise ExportError(f"{where}: expected QConv2d, BatchNorm, ReLU, got {found}")
        _plain(conv, where)
        weight = _symmetric(conv.weight_quantizer, where)
        if n == 0 and conv.activation_quantizer is not None:
            raise ExportError(f"{where}: the input is uint8 pixels, it cannot be quantized again")
        source = body[n + 3] if n + 3 < len(body) else quantize
        following = getattr(source, "activation_quantizer", None)
        following = _from_zero(following, f"the input of layer {n // 3 + 2}")
        accumulate = Conv2d(
            weight_codes=np.ascontiguousarray(weight.codes(conv.weight.data).transpose(3, 0, 1, 2)),
            weight_bits=weight.bits,
            activation_bits=activation_bits,
            zero=means if n == 0 else None,
            stride=pair(conv.stride, "stride"),
            pads=quadruple(conv.padding, "padding"),
        )
        _finite(norm, where)
        epilogue = _epilogue(_step(weight) * activation_step, norm, following)
        layers.append(HardLayer(f"conv{n // 3 + 1}", accumulate, epilogue, conv, norm, following))
        activation_step, activation_bits = _step(following), following.bits
    return _with_linear(layers, linear, activation_step, activation_bits, means)


def _with_linear(
    layers: list[HardLayer], linear: QLinear, activation_step: float, activation_bits: int, means: np.ndarray
) -> HardNetwork:
    weight = _symmetric(linear.weight_quantizer, "the linear layer")
    if linear.bias is None:
        raise ExportError("the linear layer: expected a bias")
    if linear.activation_quantizer is not None:
        raise ExportError("the linear layer: activations are quantized before pooling, not after")
    pixels = _pixels(layers)
    logit_scale = _step(weight) * (activation_step / pixels)
    bias = np.rint(linear.bias.data.astype(np.float64) / logit_scale)
    if not np.abs(bias).max() < 2**31:
        raise ExportError(
            f"the linear layer: a bias of {np.abs(bias).max():.3g} steps of {logit_scale:.3g} is beyond int32"
        )
    try:
        operation = Linear(
            weight_codes=np.ascontiguousarray(weight.codes(linear.weight.data).T),
            weight_bits=weight.bits,
            x_max=pixels * ((1 << activation_bits) - 1),
            bias=bias.astype(np.int32),
        )
    except InputError as error:
        raise ExportError(f"the linear layer, largest bias {np.abs(bias).max():.3g}: {error}") from None
    return HardNetwork(tuple(layers), operation, linear, logit_scale, means)


def _pixels(layers: list[HardLayer]) -> int:
    """Pixels of the last convolution's output, for 32x32 images."""
    from quant.integer import Values

    values = Values((32, 32, layers[0].accumulate.weight_codes.shape[3]), 0, 255)
    for layer in layers:
        shape = layer.accumulate.output(values).shape
        values = Values(shape, 0, (1 << layer.epilogue.bits) - 1)
    return values.shape[0] * values.shape[1]
