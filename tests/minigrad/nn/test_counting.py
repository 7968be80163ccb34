"""Counting parameters and MACs: every layer once, and nothing about the model changes."""

import numpy as np
import pytest

from minigrad import InputError, Tensor, apply
from minigrad.models import resnet20, small_cnn
from minigrad.nn import (
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool,
    LayerCount,
    Linear,
    Module,
    ReLU,
    Sequential,
    count,
)
from quant.nn.convert import quantize

RNG = np.random.default_rng(0)


def small() -> Sequential:
    return Sequential(
        Conv2d(RNG, 3, 8, 3, stride=2, bias=True), BatchNorm(8), ReLU(), GlobalAvgPool(), Linear(RNG, 8, 5)
    )


def test_every_layer_has_its_row() -> None:
    counted = count(small(), (9, 7, 3))
    assert counted.layers == (
        LayerCount("layers.0", "Conv2d", (4, 3, 8), 9 * 3 * 8 + 8, 12 * 9 * 3 * 8),
        LayerCount("layers.1", "BatchNorm", (4, 3, 8), 16, 0),
        LayerCount("layers.2", "ReLU", (4, 3, 8), 0, 0),
        LayerCount("layers.3", "GlobalAvgPool", (8,), 0, 0),
        LayerCount("layers.4", "Linear", (5,), 45, 40),
    )
    assert (counted.parameters, counted.macs) == (285, 2632)


def test_the_table_is_aligned_and_has_a_total() -> None:
    lines = str(count(small(), (9, 7, 3))).splitlines()
    assert lines[0].split() == ["layer", "kind", "output", "parameters", "MACs"]
    assert lines[1].split() == ["layers.0", "Conv2d", "4x3x8", "224", "2,592"]
    assert lines[-1].split() == ["total", "285", "2,632"]
    assert len({len(line) for line in lines}) == 1


def test_nothing_about_the_model_changes() -> None:
    model = Sequential(*small().layers, Dropout(0.5, seed=0))
    model.layers[1].eval()
    state = {name: array.tobytes() for name, array in model.state().items()}
    attributes = [sorted(vars(module)) for _, module in model.modules()]
    count(model, (9, 7, 3))
    assert {name: array.tobytes() for name, array in model.state().items()} == state
    assert [sorted(vars(module)) for _, module in model.modules()] == attributes
    assert [module.training for _, module in model.modules()] == [True, True, False, True, True, True, True]


def test_also_after_an_error() -> None:
    model = small()
    with pytest.raises(InputError, match="conv2d"):
        count(model, (9, 7, 4))
    assert all(module.training and "forward" not in vars(module) for _, module in model.modules())


class Odd(Module):
    """One layer twice, one parameter in two layers, one layer never, a parameter of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.again = Linear(RNG, 4, 4)
        self.tied = Linear(RNG, 4, 4)
        self.tied.weight = self.again.weight
        self.unused = Linear(RNG, 4, 2)
        self.gain = BatchNorm(4).gamma

    def forward(self, x: Tensor) -> Tensor:
        return apply("multiply", self.tied(self.again(self.again(x))), self.gain)


def test_shared_and_unused_parameters_count_once() -> None:
    model = Odd()
    counted = count(model, (4,))
    assert [(row.name, row.shape, row.parameters, row.macs) for row in counted.layers] == [
        ("again", (4,), 20, 32),
        ("tied", (4,), 4, 16),
        ("", (4,), 4, 0),
        ("unused", (), 10, 0),
    ]
    assert counted.parameters == sum(p.data.size for p in model.parameters()) == 38


def test_a_quantized_network_has_the_macs_of_its_float_network() -> None:
    floating = count(small_cnn(0), (32, 32, 3))
    quantized = count(quantize(small_cnn(0)), (32, 32, 3))
    assert quantized.macs == floating.macs > 0
    assert quantized.parameters > floating.parameters


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_add_up_to_all_parameters(dtype: type) -> None:
    model = resnet20(0, dtype=dtype, shortcut="B")
    assert count(model, (32, 32, 3)).parameters == sum(p.data.size for p in model.parameters())


def test_layers_without_parameters_count_too() -> None:
    assert count(Sequential(Flatten()), (2, 3)).layers == (LayerCount("layers.0", "Flatten", (6,), 0, 0),)


@pytest.mark.parametrize("shape", [(), (0, 3), (4, -1)])
def test_bad_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="shape: expected the sizes of one input, each at least 1"):
        count(small(), shape)
