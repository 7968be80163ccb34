"""Options of layers: each of them reaches the primitive."""

import numpy as np
import pytest

from minigrad import Tensor, apply
from minigrad.nn import BatchNorm, Conv2d, Linear
from quant.layers import QConv2d

RNG = np.random.default_rng


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
    x = Tensor(RNG(1).standard_normal((1, 7, 7, 2)).astype(np.float32))
    expected = apply("conv2d", x, conv.weight, stride=stride, padding=padding).data
    assert expected.shape == (1, size, size, 3)
    for layer in (conv, QConv2d(conv, weight=None, activation=None)):
        assert np.array_equal(layer(x).data, expected)


def test_a_linear_layer_keeps_the_variance_of_its_input() -> None:
    weight = Linear(RNG(0), 400, 500).weight.data
    assert np.std(weight) == pytest.approx(1 / 20, rel=0.01)
    assert abs(np.mean(weight)) < 1e-3
