"""Quantized layers: any method for either operand, any convolution, the output's scale, weights that are clipped."""

from typing import Any

import numpy as np
import pytest

from minigrad import InputError, Tensor, apply
from minigrad.nn import Conv2d, Linear
from quant import METHODS
from quant.binary_connect import BinaryConnect
from quant.daq import DAQ
from quant.dsq import DSQ
from quant.lsq import LSQ
from quant.method import ROLES, Role
from quant.nn.layers import QConv2d, QLinear, QuantizeActivation

RNG = np.random.default_rng


def images(seed: int, dtype: type = np.float32, channels: int = 4) -> Tensor:
    """Not negative, as behind a ReLU."""
    return Tensor(np.maximum(RNG(seed).normal(size=(3, 7, 7, channels)), 0).astype(dtype))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "options",
    [
        {"stride": 2, "padding": 1},
        {"dilation": 2, "bias": True},
        {"groups": 2, "bias": True, "padding": (1, 0)},
        {"groups": 4, "stride": (1, 2)},
    ],
)
def test_a_quantized_convolution_is_that_of_its_quantized_operands(options: dict[str, Any], training: bool) -> None:
    conv = Conv2d(RNG(0), 4, 8, 3, **options)
    if conv.bias is not None:
        conv.bias.data[...] = np.arange(8)
    weight, activation = LSQ(3), DSQ(2, "positive")
    layer = QConv2d(conv, weight=weight, activation=activation)
    x = images(1)
    layer(x)
    layer.train(training)
    plain = {name: value for name, value in options.items() if name != "bias"}
    expected = apply("conv2d", activation(x), weight(conv.weight), **plain).data
    expected = expected if conv.bias is None else expected + conv.bias.data
    assert np.array_equal(layer(x).data, expected)
    assert not np.array_equal(layer(x).data, conv(x).data)


@pytest.mark.parametrize("training", [True, False])
def test_a_quantized_linear_layer_is_the_product_and_its_bias(training: bool) -> None:
    for bias in (True, False):
        linear = Linear(RNG(0), 6, 3, bias=bias)
        if linear.bias is not None:
            linear.bias.data[...] = [10.0, 20.0, 30.0]
        weight, activation = LSQ(3), LSQ(2, signed=False)
        layer = QLinear(linear, weight=weight, activation=activation)
        x = Tensor(RNG(1).uniform(0, 2, (4, 6)).astype(np.float32))
        layer(x)
        layer.train(training)
        expected = apply("linear", activation(x), weight(linear.weight)).data
        assert np.array_equal(layer(x).data, expected + np.float32([10, 20, 30]) * bias)


def test_without_quantizers_they_are_the_float_layers() -> None:
    conv, linear = Conv2d(RNG(0), 4, 8, 3, groups=2, dilation=2, bias=True), Linear(RNG(0), 4, 3)
    x = images(1)
    assert np.array_equal(QConv2d(conv, weight=None, activation=None)(x).data, conv(x).data)
    assert np.array_equal(QLinear(linear, weight=None, activation=None)(x).data, linear(x).data)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", sorted(METHODS))
def test_any_method_takes_either_place(name: str, role: Role, dtype: type) -> None:
    """Forward and backward of a convolution in groups and of a linear layer."""
    method = METHODS[name]
    for bits in method.widths(role)[:2]:
        for layer in (
            QConv2d(Conv2d(RNG(0), 4, 8, 3, groups=2, bias=True, dtype=dtype), weight=None, activation=None),
            QLinear(Linear(RNG(0), 4, 5, dtype), weight=None, activation=None),
        ):
            quantizer = method.quantizer(bits, role, dtype=dtype)
            wanted = {"weight": None, "activation": None, role: quantizer}
            layer = type(layer)(layer, **wanted)  # type: ignore[arg-type]
            x = Tensor(6 * images(2, dtype).data, requires_grad=True)
            y = layer(x)
            (y * y).sum().backward()
            assert y.dtype == dtype
            learned = [p for p in layer.parameters() if p.requires_grad]
            found = [t.grad for t in [*learned, x]]
            assert all(g is not None and g.dtype == dtype and np.isfinite(g).all() for g in found)
            assert np.any(layer.weight.grad != 0)
            layer.project()
            assert np.isfinite(layer.eval()(x).data).all()


# ---------------------------------------------------------------- the output's scale


def scaled(seed: int = 0) -> tuple[QConv2d, Conv2d]:
    conv = Conv2d(RNG(seed), 4, 8, 3, bias=True)
    return QConv2d(conv, weight=DAQ(2), activation=DAQ(2, "activation")), conv


def plain(layer: QConv2d, x: Tensor) -> np.ndarray:
    return layer.operation(*layer.operands(x)).data


def test_the_scale_makes_up_for_what_the_levels_lost() -> None:
    layer, conv = scaled()
    conv.bias.data[...] = 5.0  # type: ignore[union-attr]
    x = images(1)
    layer(x)
    wanted = np.abs(apply("conv2d", x, conv.weight).data.astype(np.float64)).mean()
    got = np.abs(plain(layer, x).astype(np.float64)).mean()
    assert layer.output_scale is not None
    beta = layer.output_scale.beta
    assert beta.group == "range"
    assert float(beta.data) == np.float32(wanted / got) != 1
    assert np.array_equal(layer(x).data, plain(layer, x) * beta.data + np.float32(5))
    first = beta.data.copy()
    layer(images(2))
    assert np.array_equal(beta.data, first)


def test_the_scale_is_chosen_in_training_and_is_part_of_the_state() -> None:
    layer, _ = scaled()
    layer.eval()(images(1))
    assert layer.output_scale is not None
    assert float(layer.output_scale.beta.data) == 1
    assert {"output_scale.beta", "output_scale.initialised"} <= layer.state().keys()
    assert layer.state()["output_scale.initialised"].item() == 0
    layer.train()(images(1))
    assert layer.state()["output_scale.initialised"].item() == 1


def test_the_sign_of_the_scale_only_turns_its_gradient() -> None:
    layer, _ = scaled()
    x = images(1)
    layer(x)
    gy = RNG(3).normal(size=layer(x).shape).astype(np.float32)
    beta, found = layer.output_scale.beta, []  # type: ignore[union-attr]
    size = abs(float(beta.data))
    for sign in (1, -1):
        beta.data[...] = sign * size
        layer.zero_grad()
        y = layer(x)
        y.backward(gy)
        found.append((y.data, float(beta.grad)))  # type: ignore[arg-type]
    assert np.array_equal(found[0][0], found[1][0])
    assert found[0][1] == -found[1][1]
    exact = float((gy.astype(np.float64) * plain(layer, x)).sum())
    # A bound of any order of summation in float32.
    slack = gy.size * 2.0**-24 * float(np.abs(gy.astype(np.float64) * plain(layer, x)).sum())
    assert abs(found[0][1] - exact) <= slack


def test_who_asks_for_no_scale_has_none() -> None:
    layer = QConv2d(Conv2d(RNG(0), 4, 8, 3), weight=LSQ(2), activation=DAQ(2, "activation"))
    assert layer.output_scale is None


def test_no_scale_while_weights_are_in_full_precision() -> None:
    layer, conv = scaled()
    layer.weight_quantizer.enabled = False  # type: ignore[union-attr]
    x = images(1)
    y = layer(x).data
    assert layer.output_scale.initialised.item() == 0  # type: ignore[union-attr]
    assert np.array_equal(y, apply("conv2d", layer.activation_quantizer(x), conv.weight).data)  # type: ignore[misc]


def test_nothing_to_scale_is_named() -> None:
    layer, conv = scaled()
    with pytest.raises(InputError, match="x:"):
        layer(Tensor(np.zeros((1, 7, 7, 4), np.float32)))
    layer = QConv2d(conv, weight=DAQ(2), activation=None)
    with pytest.raises(InputError, match="x: expected elements other than 0"):
        layer(Tensor(np.zeros((1, 7, 7, 4), np.float32)))


# ---------------------------------------------------------------- other


def test_weights_are_clipped_where_their_quantizer_does() -> None:
    for weight, limit in ((BinaryConnect(), 1.0), (LSQ(2), 3.0), (None, 3.0)):
        conv = Conv2d(RNG(0), 4, 8, 3)
        layer = QConv2d(conv, weight=weight, activation=None)
        layer(images(1))
        conv.weight.data[0, 0, 0, :2] = [3.0, -3.0]
        inside = conv.weight.data[1].copy()
        layer.project()
        assert conv.weight.data[0, 0, 0, :2].tolist() == [limit, -limit]
        assert np.array_equal(conv.weight.data[1], np.clip(inside, -limit, limit))


def test_weights_are_not_clipped_while_their_quantizer_is_off() -> None:
    conv, weight = Conv2d(RNG(0), 4, 8, 3), BinaryConnect()
    weight.enabled = False
    conv.weight.data[0, 0, 0, 0] = 3.0
    QConv2d(conv, weight=weight, activation=None).project()
    assert conv.weight.data[0, 0, 0, 0] == 3.0


def test_initialising_a_layer_is_what_its_first_batch_does() -> None:
    x = images(1)
    first, second = scaled()[0], scaled()[0]
    first(x)
    second.initialise(x.data)
    assert first.state().keys() == second.state().keys()
    assert all(np.array_equal(array, second.state()[name]) for name, array in first.state().items())
    changed = second.output_scale.beta.data.copy()  # type: ignore[union-attr]
    second(Tensor(3 * x.data))
    assert np.array_equal(second.output_scale.beta.data, changed)  # type: ignore[union-attr]


def test_a_quantizer_that_is_off_is_not_initialised() -> None:
    layer = QuantizeActivation(LSQ(2, signed=False))
    layer.activation_quantizer.enabled = False
    layer.initialise(images(1).data)
    assert layer.activation_quantizer.initialised.item() == 0
    layer.activation_quantizer.enabled = True
    layer.initialise(images(1).data)
    assert layer.activation_quantizer.initialised.item() == 1


def test_multiplications_are_the_float_layers() -> None:
    for options in ({}, {"groups": 2}, {"groups": 4, "stride": 2}):
        conv = Conv2d(RNG(0), 4, 8, 3, **options)
        shape = conv(images(1)).shape
        layer = QConv2d(conv, weight=LSQ(2), activation=None)
        assert layer.macs((1, 7, 7, 4), (1, *shape[1:])) == conv.macs((1, 7, 7, 4), (1, *shape[1:]))
