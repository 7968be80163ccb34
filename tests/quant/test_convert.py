"""Conversion: which quantizer goes where, with which options, and what layers do with them."""

import numpy as np
import pytest

from minigrad import InputError, Tensor, apply
from minigrad.models import lenet, resnet20, small_cnn
from minigrad.nn import Conv2d, Linear, Sequential
from quant.convert import quantize
from quant.dsq import DSQ
from quant.layers import QConv2d, QLinear

RNG = np.random.default_rng


def quantizers(model: Sequential) -> dict[str, DSQ]:
    return {name: module for name, module in model.modules() if isinstance(module, DSQ)}


def test_every_quantizer_has_its_place_and_its_options() -> None:
    floating = small_cnn(0)
    model = quantize(floating, bits=3, edge_bits=5, alpha=0.3, forward="soft")
    inner = {f"layers.{n}.weight_quantizer": (3, "symmetric") for n in (3, 6, 9, 12)}
    inputs = {f"layers.{n}.activation_quantizer": (3, "positive") for n in (3, 6, 9, 12)}
    edges = {
        "layers.0.weight_quantizer": (5, "symmetric"),
        "layers.15.activation_quantizer": (5, "positive"),
        "layers.17.weight_quantizer": (5, "symmetric"),
    }
    found = quantizers(model)
    assert {name: (q.bits, q.range) for name, q in found.items()} == inner | inputs | edges
    assert {q.mode for q in found.values()} == {"soft"}
    assert {q.alpha.data.item() for q in found.values()} == {float(np.float32(0.3))}
    weights = [p for p in model.parameters() if p.group in ("weight", "norm")]
    assert [id(p) for p in weights] == [id(p) for p in floating.parameters()]


@pytest.mark.parametrize("stride", [1, 2])
def test_conversion_keeps_stride_and_padding(stride: int) -> None:
    conv = Conv2d(RNG(0), 3, 4, 3, stride=stride, padding=2)
    layer = quantize(Sequential(conv)).layers[0]
    x = Tensor(np.ones((1, 8, 8, 3), np.float32))
    assert layer(x).shape == conv(x).shape == (1, 10 // stride, 10 // stride, 4)


def test_ranges_are_chosen_in_training_only() -> None:
    layer = QConv2d(Conv2d(RNG(0), 3, 4, 3), weight=DSQ(2), activation=DSQ(2, "positive"))
    x = Tensor(RNG(1).uniform(0, 9, (2, 5, 5, 3)).astype(np.float32))
    first, second = (q for _, q in layer.modules() if isinstance(q, DSQ))
    layer.eval()(x)
    assert [q.initialised.item() for q in (first, second)] == [0, 0]
    assert [q.u.data.item() for q in (first, second)] == [1.0, 1.0]
    layer.train()(x)
    assert [q.initialised.item() for q in (first, second)] == [1, 1]
    chosen = [q.u.data.item() for q in (first, second)]
    assert 1.0 not in chosen
    layer(Tensor(x.data * 2))
    assert [q.u.data.item() for q in (first, second)] == chosen


def test_that_a_range_is_chosen_is_part_of_the_state() -> None:
    assert quantize(small_cnn(0)).state()["layers.0.weight_quantizer.initialised"].item() == 0


@pytest.mark.parametrize("training", [True, False])
def test_a_quantized_convolution_is_that_of_quantized_operands(training: bool) -> None:
    weight, activation = DSQ(2), DSQ(3, "positive")
    conv = Conv2d(RNG(0), 3, 4, 3, stride=2, padding=1)
    layer = QConv2d(conv, weight=weight, activation=activation)
    x = Tensor(RNG(1).uniform(0, 2, (2, 7, 7, 3)).astype(np.float32))
    layer(x)
    got = layer.train(training)(x).data
    assert np.array_equal(got, apply("conv2d", activation(x), weight(conv.weight), stride=2, padding=1).data)
    assert not np.array_equal(got, conv(x).data)


def test_a_quantized_linear_layer_adds_its_bias() -> None:
    linear = Linear(RNG(0), 6, 3)
    linear.bias.data[...] = [10.0, 20.0, 30.0]
    weight, activation = DSQ(2), DSQ(3, "positive")
    layer = QLinear(linear, weight=weight, activation=activation)
    x = Tensor(RNG(1).uniform(0, 2, (4, 6)).astype(np.float32))
    got = layer(x).data
    assert np.array_equal(got, (apply("linear", activation(x), weight(linear.weight)) + linear.bias).data)
    assert np.array_equal(QLinear(linear, weight=None, activation=None)(x).data, linear(x).data)


def test_what_cannot_be_quantized_is_named() -> None:
    for options in ({"bias": True}, {"groups": 2}, {"dilation": 2}):
        with pytest.raises(InputError, match="conv: expected a convolution without bias, groups and dilation"):
            quantize(Sequential(Conv2d(RNG(0), 4, 4, 3, **options)))
    with pytest.raises(InputError, match="conv: expected a convolution without bias"):
        quantize(lenet(0))
    with pytest.raises(InputError, match="linear: expected a linear layer with a bias"):
        quantize(Sequential(Conv2d(RNG(0), 4, 4, 3), Linear(RNG(0), 4, 2, bias=False)))
    with pytest.raises(InputError, match=r"model: expected plain layers, got BasicBlock \(layer 3\)"):
        quantize(resnet20(0))
