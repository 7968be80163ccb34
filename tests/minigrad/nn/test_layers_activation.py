"""Activations as layers: each is the function of its name, with its options."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad import InputError, Tensor, apply
from minigrad.nn import ACTIVATIONS, GELU, LeakyReLU, PReLU, make_activation

FORMULAS: dict[str, Callable[[float], float]] = {
    "gelu": lambda x: x / 2 * (1 + math.erf(x / math.sqrt(2))),
    "hardswish": lambda x: x * min(max(x + 3, 0), 6) / 6,
    "hardtanh": lambda x: min(max(x, -1), 1),
    "leaky_relu": lambda x: x if x > 0 else x / 100,
    "relu": lambda x: max(x, 0),
    "relu6": lambda x: min(max(x, 0), 6),
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "silu": lambda x: x / (1 + math.exp(-x)),
    "softplus": lambda x: math.log(1 + math.exp(x)),
    "tanh": math.tanh,
}
POINTS = np.array([-8, -3.5, -2, -1.25, -0.5, 0.25, 0.75, 1.5, 2.5, 4, 7])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FORMULAS)
def test_a_named_activation_is_its_formula(name: str, dtype: type) -> None:
    y = make_activation(name)(Tensor(POINTS.astype(dtype))).data
    assert y.dtype == dtype
    assert np.allclose(y, [FORMULAS[name](float(x)) for x in POINTS], rtol=4 * np.finfo(dtype).eps, atol=1e-7)


def test_all_are_listed() -> None:
    assert set(ACTIVATIONS) == set(FORMULAS)
    assert type(make_activation("tanh")) is ACTIVATIONS["tanh"]
    assert make_activation("relu") is not make_activation("relu")
    with pytest.raises(InputError, match=r"activation: expected one of gelu, .*, tanh, got 'selu'"):
        make_activation("selu")


@pytest.mark.parametrize(
    ("layer", "name", "options"),
    [(LeakyReLU(0.25), "leaky_relu", {"slope": 0.25}), (GELU("tanh"), "gelu", {"approximate": "tanh"})],
)
def test_options_reach_the_primitive(layer: Any, name: str, options: dict[str, Any]) -> None:
    x = Tensor(POINTS)
    assert np.array_equal(layer(x).data, apply(name, x, **options).data)
    assert not np.array_equal(layer(x).data, apply(name, x).data)


def test_prelu_learns_a_slope_a_channel() -> None:
    layer = PReLU(3, dtype=np.float64)
    assert [(name, p.data.tolist()) for name, p in layer.named_parameters()] == [("slope", [0.25] * 3)]
    layer.slope.data[...] = [0.5, -1, 0]
    x = Tensor(-np.ones((2, 4, 4, 3)))
    y = layer(x)
    assert y.data[1, 3, 2].tolist() == [-0.5, 1, 0]
    y.backward(np.ones(y.shape))
    assert layer.slope.grad is not None
    assert layer.slope.grad.tolist() == [-32, -32, -32]
