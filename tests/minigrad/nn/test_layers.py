"""Options of layers: each of them reaches the primitive."""

from typing import Any

import numpy as np
import pytest

from minigrad import InputError, Tensor, apply
from minigrad.nn import (
    AvgPool2d,
    BatchNorm,
    Conv2d,
    ConvTranspose2d,
    Flatten,
    GlobalAvgPool,
    GlobalMaxPool,
    GroupNorm,
    Identity,
    LayerNorm,
    Linear,
    MaxPool2d,
    Module,
    PReLU,
)
from quant.nn.layers import QConv2d

RNG = np.random.default_rng


def images(*shape: int, dtype: type = np.float32) -> Tensor:
    return Tensor(RNG(1).standard_normal(shape).astype(dtype))


def fill(module: Module) -> Module:
    """Every parameter another one than it starts with."""
    for number, parameter in enumerate(module.parameters()):
        parameter.data += RNG(number).uniform(0.5, 1.5, parameter.shape).astype(parameter.dtype)
    return module


def test_batch_norm_uses_its_eps() -> None:
    norm = BatchNorm(2, eps=0.1, dtype=np.float64)
    x = RNG(0).standard_normal((3, 4, 4, 2)) * 0.1
    trained = norm(Tensor(x)).data
    assert np.allclose(trained, (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + 0.1))
    norm.running_variance[...] = 0.01
    evaluated = norm.eval()(Tensor(x)).data
    assert np.allclose(evaluated, (x - norm.running_mean) / np.sqrt(0.01 + 0.1))


@pytest.mark.parametrize(("stride", "padding", "size"), [(1, 2, 9), (2, 1, 4), (3, 0, 2), (1, 0, 5)])
def test_convolutions_use_their_stride_and_padding(stride: int, padding: int, size: int) -> None:
    conv = Conv2d(RNG(0), 2, 3, 3, stride=stride, padding=padding)
    x = images(1, 7, 7, 2)
    expected = apply("conv2d", x, conv.weight, stride=stride, padding=padding).data
    assert expected.shape == (1, size, size, 3)
    for layer in (conv, QConv2d(conv, weight=None, activation=None)):
        assert np.array_equal(layer(x).data, expected)


@pytest.mark.parametrize(
    ("kernel", "options", "shape"),
    [
        (3, {"dilation": 2}, (1, 3, 4, 6)),
        ((1, 3), {"stride": (1, 2), "padding": (0, 1, 2, 3)}, (1, 8, 6, 6)),
        (2, {"groups": 2}, (1, 6, 7, 6)),
        ((3, 2), {"groups": 2, "stride": 2, "padding": 1, "dilation": (1, 2)}, (1, 4, 4, 6)),
    ],
)
@pytest.mark.parametrize("bias", [False, True])
def test_convolutions_use_every_option(kernel: Any, options: dict[str, Any], shape: Any, bias: bool) -> None:
    conv = fill(Conv2d(RNG(0), 4, 6, kernel, bias=bias, **options))
    x = images(1, 7, 8, 4)
    y = apply("conv2d", x, conv.weight, **options).data  # type: ignore[attr-defined]
    assert y.shape == shape
    assert np.array_equal(conv(x).data, y + conv.bias.data if bias else y)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("kernel", "options"), [(3, {}), (4, {"stride": 2, "padding": 1}), ((2, 3), {"groups": 2, "dilation": (2, 1)})]
)
@pytest.mark.parametrize("bias", [False, True])
def test_the_transposed_convolution_is_the_adjoint(kernel: Any, options: dict[str, Any], bias: bool) -> None:
    layer = fill(ConvTranspose2d(RNG(0), 4, 6, kernel, bias=bias, dtype=np.float64, **options))
    x = images(2, 5, 6, 4, dtype=np.float64)
    y = layer(x).data - (layer.bias.data if bias else 0)  # type: ignore[attr-defined]
    z = Tensor(RNG(2).standard_normal(y.shape))
    back = apply("conv2d", z, layer.weight, **options).data  # type: ignore[attr-defined]
    assert back.shape == x.shape
    assert np.sum(y * z.data) == pytest.approx(np.sum(x.data * back), rel=1e-11)


def test_initial_weights_keep_the_variance() -> None:
    assert np.std(Linear(RNG(0), 400, 500).weight.data) == pytest.approx(1 / 20, rel=0.01)
    assert np.std(Conv2d(RNG(0), 64, 64, 3, groups=8).weight.data) == pytest.approx(np.sqrt(2 / 72), rel=0.02)
    # Two terms in every direction for each output pixel at a kernel of 4 and a stride of 2.
    transposed = ConvTranspose2d(RNG(0), 64, 96, 4, stride=2)
    assert np.std(transposed.weight.data) == pytest.approx(np.sqrt(2 / (4 * 64)), rel=0.02)
    y = transposed(images(1, 8, 8, 64)).data[:, 4:-4, 4:-4]
    assert np.std(y) == pytest.approx(np.sqrt(2), rel=0.05)


def test_groups_divide_both_channels() -> None:
    for kind in (Conv2d, ConvTranspose2d):
        for into, out, groups in ((4, 6, 4), (6, 4, 4), (4, 4, 0), (4, 4, -2)):
            with pytest.raises(InputError, match=f"groups: expected a divisor of {into} and of {out} channels"):
                kind(RNG(0), into, out, 3, groups=groups)
    with pytest.raises(InputError, match="groups: expected a divisor of 4 channels, got 3"):
        GroupNorm(3, 4)


def test_a_linear_layer_can_do_without_a_bias() -> None:
    with_bias, without = Linear(RNG(0), 4, 3), Linear(RNG(0), 4, 3, bias=False)
    assert [name for name, _ in without.named_parameters()] == ["weight"]
    assert np.array_equal(with_bias.weight.data, without.weight.data)
    x = images(5, 4)
    with_bias.bias.data[...] = [1, 2, 3]  # type: ignore[union-attr]
    assert np.array_equal(with_bias(x).data, without(x).data + np.array([1, 2, 3], np.float32))


def test_layer_and_group_norm_use_their_options() -> None:
    x = images(2, 4, 5, 6)
    layer, group = fill(LayerNorm((5, 6), eps=0.5)), fill(GroupNorm(3, 6, eps=0.25))
    for norm, name, options in ((layer, "layer_norm", {"eps": 0.5}), (group, "group_norm", {"eps": 0.25, "groups": 3})):
        gamma, beta = norm.parameters()
        expected = apply(name, x, gamma, beta, **options).data
        assert np.array_equal(norm(x).data, expected)
        assert np.array_equal(norm.eval()(x).data, expected)
        assert {p.group for p in norm.parameters()} == {"norm"}
    assert LayerNorm(6).gamma.shape == (6,)
    assert np.allclose(LayerNorm(6)(x).data.mean(-1), 0, atol=1e-6)


@pytest.mark.parametrize(("kind", "name"), [(MaxPool2d, "max_pool2d"), (AvgPool2d, "avg_pool2d")])
def test_pooling_uses_its_options(kind: Any, name: str) -> None:
    x = images(1, 8, 8, 3)
    assert kind()(x).shape == (1, 4, 4, 3)
    assert np.array_equal(kind(4)(x).data, apply(name, x, size=4, stride=4, padding=0).data)
    options = {"size": (3, 2), "stride": (2, 1), "padding": (1, 0)}
    y = kind(**options)(x).data
    assert y.shape == (1, 4, 7, 3)
    assert np.array_equal(y, apply(name, x, **options).data)


def test_means_can_leave_the_padding_out() -> None:
    x = Tensor(np.ones((1, 2, 2, 1)))
    assert AvgPool2d(2, padding=1)(x).data.ravel().tolist() == [0.25] * 4
    assert AvgPool2d(2, padding=1, count_include_pad=False)(x).data.ravel().tolist() == [1.0] * 4


def test_global_pooling_leaves_one_number_a_channel() -> None:
    x = images(2, 3, 4, 5)
    assert np.allclose(GlobalAvgPool()(x).data, x.data.mean((1, 2)), atol=1e-6)
    assert np.array_equal(GlobalMaxPool()(x).data, x.data.max((1, 2)))


def test_flatten_and_identity() -> None:
    x = images(2, 3, 4, 5)
    assert np.array_equal(Flatten()(x).data, x.data.reshape(2, 60))
    assert Flatten()(Tensor(np.zeros((0, 3, 2)))).shape == (0, 6)
    assert Identity()(x) is x


@pytest.mark.parametrize("size", [0, -1, 2.0, "2", None, True])
def test_sizes_are_whole_numbers_of_at_least_1(size: Any) -> None:
    makers = {
        "in_features": lambda: Linear(RNG(0), size, 2),
        "out_features": lambda: Linear(RNG(0), 2, size),
        "in_channels": lambda: Conv2d(RNG(0), size, 2, 1),
        "out_channels": lambda: ConvTranspose2d(RNG(0), 2, size, 1),
        "channels": lambda: BatchNorm(size),
    }
    for name, make in makers.items():
        with pytest.raises(InputError, match=f"^{name}: expected a whole number of at least 1, got {size!r}"):
            make()
    for make in (lambda: PReLU(size), lambda: GroupNorm(1, size)):
        with pytest.raises(InputError, match=r"^channels: expected a whole number of at least 1"):
            make()
    for make in (lambda: Conv2d(RNG(0), 4, 4, 1, groups=size), lambda: GroupNorm(size, 4)):
        with pytest.raises(InputError, match=r"^groups: expected a divisor of 4"):
            make()


@pytest.mark.parametrize("momentum", [-0.1, 1.5, float("nan"), "0.1"])
def test_a_momentum_is_a_share(momentum: Any) -> None:
    with pytest.raises(InputError, match="momentum: expected 0 <= momentum <= 1"):
        BatchNorm(3, momentum=momentum)
