"""Batch norm folding: the folded layer is the unfolded one, within the stated bound; what is not folded, and why."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor
from minigrad.models import mobilenet_v2, resnet20, small_cnn, vgg_small
from minigrad.nn import BatchNorm, Conv2d, Identity, Linear, MaxPool2d, Module, ReLU, Sequential
from quant.nn.convert import quantize
from quant.nn.fold import FoldedLayer, fold_batch_norm
from quant.nn.layers import QConv2d, QLinear, QuantizedLayer

RNG = np.random.default_rng
UNIT = {np.dtype(np.float32): 2.0**-24, np.dtype(np.float64): 2.0**-53}


def disturb(model: Module, seed: int) -> None:
    """Statistics and parameters as after training: none is 0 or 1."""
    rng = RNG(seed)
    for _, module in model.modules():
        if isinstance(module, BatchNorm):
            shape = module.gamma.shape
            module.gamma.data[...] = rng.uniform(0.5, 1.5, shape) * rng.choice([-1, 1], shape)
            module.beta.data[...] = rng.normal(size=shape)
            module.running_mean[...] = rng.normal(size=shape)
            module.running_variance[...] = rng.uniform(0.1, 3, shape)
        elif isinstance(module, (Conv2d, Linear, QuantizedLayer)) and module.bias is not None:
            module.bias.data[...] = rng.normal(size=module.bias.shape)


def magnitude(layer: Any, x: np.ndarray) -> tuple[np.ndarray, int]:
    """sum |x w| of each output in float64, and how many products it has."""
    quantized = isinstance(layer, QuantizedLayer)
    left, right = layer.operands(Tensor(x)) if quantized else (Tensor(x), layer.weight)
    as_float: Any = Conv2d if isinstance(layer, (Conv2d, QConv2d)) else Linear
    sizes = (
        (layer.weight.shape[2] * layer.groups, layer.weight.shape[3], 1) if as_float is Conv2d else layer.weight.shape
    )
    plain = as_float(RNG(0), *sizes, dtype=np.float64)
    plain.bias = None
    plain.weight = Tensor(np.abs(right.data.astype(np.float64)))
    if as_float is Conv2d:
        for name in ("stride", "padding", "dilation", "groups"):
            setattr(plain, name, getattr(layer, name))
    terms = plain(Tensor(np.abs(left.data.astype(np.float64)))).data
    scale = layer.scale() if quantized else None
    size = 1.0 if scale is None else abs(float(scale.beta.data))
    return terms * size, int(np.prod(layer.weight.shape[:-1]))


def bound(layer: Any, norm: BatchNorm, x: np.ndarray) -> np.ndarray:
    """The bound that the module states."""
    terms, count = magnitude(layer, x)
    g = np.abs(norm.gamma.data) / np.sqrt(norm.running_variance.astype(np.float64) + norm.eps)
    bias = 0.0 if layer.bias is None else np.abs(layer.bias.data)
    sizes = g * (terms + bias + np.abs(norm.running_mean)) + np.abs(norm.beta.data)
    return 2 * (count + 8) * UNIT[x.dtype] * sizes


OPERATIONS: dict[str, Callable[[type], Any]] = {
    "plain": lambda dtype: Conv2d(RNG(0), 4, 8, 3, dtype=dtype),
    "bias, groups, stride": lambda dtype: Conv2d(
        RNG(0), 4, 8, 3, stride=2, groups=2, padding=1, bias=True, dtype=dtype
    ),
    "depthwise, dilation": lambda dtype: Conv2d(RNG(0), 4, 4, 3, groups=4, dilation=2, dtype=dtype),
    "linear": lambda dtype: Linear(RNG(0), 4, 6, dtype),
    "linear without bias": lambda dtype: Linear(RNG(0), 4, 6, dtype, bias=False),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_a_layer_in_full_precision_takes_the_norm_into_its_weights(name: str, dtype: type) -> None:
    layer = OPERATIONS[name](dtype)
    model = Sequential(layer, BatchNorm(layer.weight.shape[-1], eps=0.1, dtype=dtype))
    disturb(model, 1)
    norm: Any = model.layers[1]
    shape = (7, 7, 4) if isinstance(layer, Conv2d) else (4,)
    x = RNG(2).normal(size=(3, *shape)).astype(dtype)
    before = layer.weight.data.copy()
    folded = fold_batch_norm(model, shape)
    assert type(folded.layers[0]) is type(layer)
    assert type(folded.layers[1]) is Identity
    g = norm.gamma.data / np.sqrt(norm.running_variance.astype(np.float64) + norm.eps)
    assert np.array_equal(folded.layers[0].weight.data, (before * g).astype(dtype))  # type: ignore[attr-defined]
    assert np.array_equal(layer.weight.data, before)
    difference = np.abs(folded(Tensor(x)).data - model.eval()(Tensor(x)).data)
    assert (difference <= bound(layer, norm, x)).all()
    assert folded(Tensor(x)).dtype == dtype


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("method", ["lsq", "daq", "qn", "xnor"])
@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_a_quantized_layer_gets_a_scale_for_each_channel(name: str, method: str, dtype: type) -> None:
    layer = OPERATIONS[name](dtype)
    norm = BatchNorm(layer.weight.shape[-1], dtype=dtype)
    bits = 1 if method == "xnor" else 2
    shape = (7, 7, 4) if isinstance(layer, Conv2d) else (4,)
    model: Any = quantize(Sequential(layer, norm), method, "lsq", layers={0: (bits, 3)}, shape=shape)
    x = RNG(2).normal(size=(3, *shape)).astype(dtype)
    model(Tensor(x))
    disturb(model, 1)
    quantized = model.layers[0]
    folded: Any = fold_batch_norm(model, shape)
    assert type(folded.layers[0]) is FoldedLayer
    assert folded.layers[0].scale.shape == layer.weight.shape[-1:]
    if method != "xnor":
        inner = folded.layers[0].layer
        codes = inner.weight_quantizer.codes(inner.weight.data)
        assert np.array_equal(codes, quantized.weight_quantizer.codes(layer.weight.data))
    model.eval()
    difference = np.abs(folded(Tensor(x)).data - model(Tensor(x)).data)
    assert (difference <= bound(quantized, norm, x)).all()


MODELS: dict[str, tuple[Callable[[], Module], int]] = {
    "small_cnn": (lambda: small_cnn(0, dtype=np.float64), 5),
    "resnet20 B": (lambda: resnet20(0, dtype=np.float64, shortcut="B"), 21),
    "mobilenet_v2": (lambda: mobilenet_v2(0, dtype=np.float64, width=0.25), 52),
}


@pytest.mark.parametrize("name", sorted(MODELS))
def test_whole_networks(name: str) -> None:
    """Float networks, in float64: only rounding, which grows from layer to layer, is left."""
    make, count = MODELS[name]
    model = make()
    x = Tensor(RNG(0).normal(size=(2, 16, 16, 3)))
    for _ in range(3):  # statistics that keep the signal's size
        model(x)
    described = model.describe()
    folded = fold_batch_norm(model)
    assert model.describe() == described
    assert not any(isinstance(m, BatchNorm) for _, m in folded.modules())
    assert sum(isinstance(m, Conv2d) and m.bias is not None for _, m in folded.modules()) == count
    expected = model.eval()(x).data
    assert np.abs(folded(x).data - expected).max() <= 2.0**-40 * np.abs(expected).max()


def test_a_quantized_network() -> None:
    model = quantize(resnet20(0, dtype=np.float64), "daq", bits=2, edge_bits=None)
    x = Tensor(RNG(0).normal(size=(2, 16, 16, 3)))
    for _ in range(3):
        model(x)
    folded = fold_batch_norm(model)
    kinds = [type(m) for _, m in folded.modules()]
    assert kinds.count(FoldedLayer) == 18
    assert not any(isinstance(m, BatchNorm) for _, m in folded.modules())
    # The first convolution and the last layer are in full precision.
    first: Any = folded.layers[0]
    assert type(first) is QConv2d
    assert first.bias is not None
    assert type(folded.layers[-1]) is QLinear
    expected = model.eval()(x).data
    assert np.abs(folded(x).data - expected).max() <= 2.0**-40 * np.abs(expected).max()


class Skip(Module):
    def __init__(self, conv: Module, norm: Module) -> None:
        super().__init__()
        self.conv, self.norm = conv, norm

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.norm(y) + y


def test_what_is_not_folded() -> None:
    conv, norm = Conv2d(RNG(0), 3, 3, 3, padding=1), BatchNorm(3)
    networks = (
        Sequential(Skip(conv, norm)),  # the result goes elsewhere too
        Sequential(conv, norm, conv, norm),  # one layer, one norm, twice
        Sequential(conv, MaxPool2d(2), norm),  # not right behind
        Sequential(conv, ReLU(), norm),
        Sequential(norm, conv),
    )
    x = Tensor(RNG(0).normal(size=(2, 8, 8, 3)).astype(np.float32))
    for n, model in enumerate(networks):
        disturb(model, n)
        folded = fold_batch_norm(model)
        assert any(isinstance(m, BatchNorm) for _, m in folded.modules())
        assert np.array_equal(folded(x).data, model.eval()(x).data)


def test_pooling_before_the_norm_stays() -> None:
    folded = fold_batch_norm(vgg_small(0))
    assert [isinstance(layer, BatchNorm) for layer in folded.layers].count(True) == 3


def test_the_result_is_in_evaluation_mode_and_apart() -> None:
    model = small_cnn(0)
    folded = fold_batch_norm(model)
    assert not any(m.training for _, m in folded.modules())
    assert all(m.training for _, m in model.modules())
    own = {id(p) for p in model.parameters()}
    assert not any(id(p) in own for p in folded.parameters())
