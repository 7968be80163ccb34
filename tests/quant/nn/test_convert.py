"""Conversion: which quantizer goes where, of which method, width and sign, and what is refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad import InputError, Tensor, apply
from minigrad.models import lenet, mobilenet_v2, resnet20, resnet32, resnet56, small_cnn, vgg_small
from minigrad.nn import (
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Flatten,
    GlobalAvgPool,
    Identity,
    Linear,
    MaxPool2d,
    Module,
    ReLU,
    Sequential,
    Tanh,
)
from quant.bireal import BiReal
from quant.dsq import DSQ
from quant.lsq import LSQ
from quant.nn.convert import quantize
from quant.nn.layers import QConv2d, QLinear, QuantizedLayer
from quant.quantizer import Quantizer

RNG = np.random.default_rng

MODELS: dict[str, Callable[[], Sequential]] = {
    "small_cnn": lambda: small_cnn(0),
    "lenet": lambda: lenet(0),
    "vgg_small": lambda: vgg_small(0),
    "resnet20 A": lambda: resnet20(0),
    "resnet20 B": lambda: resnet20(0, shortcut="B"),
    "resnet32 A": lambda: resnet32(0),
    "resnet56 B": lambda: resnet56(0, shortcut="B"),
    "mobilenet_v2": lambda: mobilenet_v2(0, width=0.25),
}


def quantizers(model: Module) -> dict[str, Any]:
    return {name: module for name, module in model.modules() if isinstance(module, Quantizer)}


def layers(model: Module) -> dict[str, QuantizedLayer]:
    return {name: module for name, module in model.modules() if isinstance(module, QuantizedLayer)}


def widths(layer: QuantizedLayer) -> tuple[int | None, int | None]:
    weight, activation = layer.weight_quantizer, layer.activation_quantizer
    return (None if weight is None else weight.bits), (None if activation is None else activation.bits)


def empty(shape: tuple[int, ...] = (32, 32, 3)) -> Tensor:
    return Tensor(np.zeros((0, *shape), np.float32))


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


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_convolution_and_linear_layer_of_every_model_is_quantized(name: str) -> None:
    floating = MODELS[name]()
    described = floating.describe()
    model = quantize(floating, "lsq", "dsq", bits=(3, 2), edge_bits=None)
    assert floating.describe() == described
    assert not [m for _, m in model.modules() if isinstance(m, (Conv2d, Linear))]
    found = layers(model)
    expected = {n: m for n, m in floating.modules() if isinstance(m, (Conv2d, Linear))}
    assert {n: m.weight for n, m in found.items()} == {n: m.weight for n, m in expected.items()}
    names = list(found)
    assert {widths(found[n]) for n in names[1:-1]} == {(3, 2)}
    assert widths(found[names[0]]) == widths(found[names[-1]]) == (None, None)
    assert all(isinstance(found[n].weight_quantizer, LSQ) for n in names[1:-1])
    assert all(isinstance(found[n].activation_quantizer, DSQ) for n in names[1:-1])
    assert model.eval()(empty()).shape == (0, 10)


@pytest.mark.parametrize("shortcut", ["A", "B"])
def test_a_residual_network_learns(shortcut: str) -> None:
    floating = resnet20(0, shortcut=shortcut)
    model = quantize(floating, "lsq", bits=2, edge_bits=4, shape=(8, 8, 3))
    y = model(Tensor(RNG(0).normal(size=(2, 8, 8, 3)).astype(np.float32)))
    (y * y).sum().backward()
    assert all(q.initialised.item() for q in quantizers(model).values())
    assert all(p.grad is not None and np.isfinite(p.grad).all() for p in model.parameters())
    assert {id(p) for p in floating.parameters()} < {id(p) for p in model.parameters()}


def test_widths_of_single_layers_by_name_and_by_number() -> None:
    # In the order in which they run, a block's shortcut comes last.
    single = {0: (None, 8), "layers.3.first": 5, 2: (4, None), -1: (7, 6), -2: None, "layers.6.shortcut.layers.0": 1}
    model = quantize(resnet20(0, shortcut="B"), "dsq", bits=2, edge_bits=3, layers=single)
    found = {name: widths(layer) for name, layer in layers(model).items()}
    assert found["layers.0"] == (None, 8)
    assert found["layers.3.first"] == (5, 5)
    assert found["layers.3.second"] == (4, None)
    assert found["layers.11.second"] == (None, None)
    assert found["layers.6.shortcut.layers.0"] == (1, 1)
    assert found["layers.14"] == (7, None)  # behind the pooling, which is one place further now
    assert quantizers(model)["layers.12.activation_quantizer"].bits == 6
    assert list(found.values()).count((2, 2)) == len(found) - 6


def test_activations_are_quantized_before_they_are_averaged() -> None:
    rng = RNG(0)

    class Head(Module):
        def __init__(self) -> None:
            super().__init__()
            self.pool = GlobalAvgPool()
            self.linear = Linear(rng, 4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.linear(self.pool(x))

    model = quantize(Sequential(Conv2d(rng, 3, 4, 3), ReLU(), Head()), "lsq")
    assert list(quantizers(model)) == [
        "layers.0.weight_quantizer",
        "layers.2.pool.layers.0.activation_quantizer",
        "layers.2.linear.weight_quantizer",
    ]

    class TwoHeads(Module):
        def __init__(self) -> None:
            super().__init__()
            self.pool = GlobalAvgPool()
            self.first, self.second = Linear(rng, 4, 2), Linear(rng, 4, 2)

        def forward(self, x: Tensor) -> Tensor:
            pooled = self.pool(x)
            return self.first(pooled) + self.second(pooled)

    two = quantize(Sequential(Conv2d(rng, 3, 4, 3), ReLU(), TwoHeads()), "lsq", layers={1: (2, 4)})
    assert {name: q.bits for name, q in quantizers(two).items() if "activation" in name} == {
        "layers.2.first.activation_quantizer": 4,
        "layers.2.second.activation_quantizer": 8,
    }
    shared = Linear(rng, 4, 4)
    twice = Sequential(Conv2d(rng, 3, 4, 3), ReLU(), GlobalAvgPool(), shared, ReLU(), shared)
    assert "layers.3.activation_quantizer" in quantizers(quantize(twice, "lsq"))
    flat = quantize(Sequential(Conv2d(rng, 3, 4, 3), ReLU(), Flatten(), Linear(rng, 3600, 2)), "lsq")
    assert "layers.3.activation_quantizer" in quantizers(flat)


def test_a_layer_that_runs_twice_is_quantized_once() -> None:
    shared = Conv2d(RNG(0), 4, 4, 3, padding=1)
    floating = Sequential(
        Conv2d(RNG(0), 3, 4, 3), ReLU(), shared, ReLU(), shared, ReLU(), Flatten(), Linear(RNG(0), 4, 2)
    )
    model = quantize(floating, "lsq", shape=(3, 3, 3))
    assert model.eval()(empty((3, 3, 3))).shape == (0, 2)
    assert model.layers[2] is model.layers[4]
    assert len(layers(model)) == 4  # by two names
    block = Sequential(Conv2d(RNG(0), 3, 3, 1), ReLU())
    model = quantize(Sequential(block, block, Conv2d(RNG(0), 3, 2, 1)), "lsq")
    assert model.layers[0] is model.layers[1] is not block


def test_parameters_of_each_channel() -> None:
    model = quantize(mobilenet_v2(0, width=0.25), "lsq", edge_bits=None, per_channel=("weight", "activation"))
    for layer in layers(model).values():
        if layer.weight_quantizer is not None:
            inputs = layer.weight.shape[2] * layer.groups  # type: ignore[attr-defined]
            assert layer.weight_quantizer.s.shape == layer.weight.shape[-1:]  # type: ignore[attr-defined]
            assert layer.activation_quantizer.s.shape == (inputs,)  # type: ignore[union-attr]


def test_options_of_one_role_come_before_those_of_both() -> None:
    model = quantize(small_cnn(0), edge_bits=None, alpha=0.3, weight_options={"alpha": 0.1})
    layer: Any = model.layers[3]
    assert layer.weight_quantizer.alpha.data.item() == np.float32(0.1)
    assert layer.activation_quantizer.alpha.data.item() == np.float32(0.3)


def test_quantizers_have_the_dtype_of_the_weights() -> None:
    model = quantize(small_cnn(0, dtype=np.float64), "lsq")
    assert {q.s.dtype for q in quantizers(model).values()} == {np.dtype(np.float64)}
    assert model(Tensor(RNG(0).normal(size=(1, 32, 32, 3)))).dtype == np.float64


# ---------------------------------------------------------------- signs


def signed(*before: Module, inputs: int = 4) -> bool:
    """Whether LSQ's quantizer of what comes behind these layers has levels below 0."""
    rng = RNG(0)
    model = Sequential(Conv2d(rng, 3, 4, 3, padding=1), *before, Conv2d(rng, inputs, 4, 1), Conv2d(rng, 4, 2, 1))
    layer: Any = quantize(model, "lsq", shape=(8, 8, 3)).layers[len(before) + 1]
    return bool(layer.activation_quantizer.signed)


class Negated(Module):
    def forward(self, x: Tensor) -> Tensor:
        return -x


class Twice(Module):
    """What a ReLU gives, and itself."""

    def __init__(self, other: Module) -> None:
        super().__init__()
        self.relu, self.other = ReLU(), other

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(x) + self.other(x)


class Shifted(Module):
    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = np.full(4, by, np.float32)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.by


class Padded(Module):
    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, x: Tensor) -> Tensor:
        return apply("pad", x, widths=((0, 0), (1, 1), (1, 1), (0, 0)), value=self.value)


def test_inputs_that_can_be_negative_get_levels_on_both_sides() -> None:
    assert signed()
    assert signed(BatchNorm(4))
    assert signed(Tanh())
    assert signed(ReLU(), Negated())
    assert signed(Twice(Identity()))
    assert signed(ReLU(), Shifted(-0.5))
    assert signed(ReLU(), Padded(-1.0))
    assert not signed(ReLU())
    assert not signed(ReLU(), MaxPool2d(2), AvgPool2d(2))
    assert not signed(Twice(ReLU()))
    assert not signed(ReLU(), Shifted(0.5))
    assert not signed(ReLU(), Padded(1.0))


def test_the_linear_bottlenecks_of_mobilenet() -> None:
    """The widening convolutions behind them have signed inputs, all others have not."""
    model = quantize(mobilenet_v2(0, width=0.25), "lsq", edge_bits=None)
    for name, layer in layers(model).items():
        quantizer: Any = layer.activation_quantizer
        if quantizer is not None:
            place = name.split(".")
            behind_bottleneck = place[1:] == ["20"] or (place[1] != "3" and place[2:] == ["branch", "layers", "0"])
            assert quantizer.signed == behind_bottleneck, name


def test_a_method_that_chooses_levels_below_0_is_used_as_it_is() -> None:
    rng = RNG(0)
    model = Sequential(Conv2d(rng, 3, 4, 3), BatchNorm(4), Conv2d(rng, 4, 4, 3), Conv2d(rng, 4, 2, 3))
    x = Tensor(RNG(0).normal(size=(2, 8, 8, 3)).astype(np.float32))
    for method, name in (("lsq_plus", "LSQPlus"), ("ddq", "DDQ")):
        converted = quantize(model, method, edge_bits=None)
        converted(x)
        quantizer: Any = converted.layers[2].activation_quantizer  # type: ignore[attr-defined]
        assert type(quantizer).__name__ == name
        assert not quantizer.signed  # the one for activations
        assert quantizer.levels().min() < 0


def test_a_sign_stands_in_place_of_the_relu() -> None:
    model = quantize(small_cnn(0), "xnor", "bireal", bits=1, edge_bits=None)
    kinds = [type(layer).__name__ for layer in model.layers]
    # The last one is before the pooling, where nothing is quantized.
    assert [n for n, kind in enumerate(kinds) if kind == "ReLU"] == [14]
    assert [n for n, kind in enumerate(kinds) if kind == "Identity"] == [2, 5, 8, 11]
    assert isinstance(model.layers[3].activation_quantizer, BiReal)  # type: ignore[attr-defined]


def test_a_sign_in_blocks_takes_both_activations_out() -> None:
    floating = resnet20(0)
    model = quantize(floating, "xnor", "bireal", bits=1, edge_bits=None)
    blocks: list[Any] = [layer for layer in model.layers if hasattr(layer, "second_activation")]
    assert {type(block.first_activation) for block in blocks} == {Identity}
    assert {type(block.second_activation) for block in blocks[:-1]} == {Identity}
    assert type(blocks[-1].second_activation) is ReLU
    originals: list[Any] = [layer for layer in floating.layers if hasattr(layer, "second_activation")]
    assert {type(block.second_activation) for block in originals} == {ReLU}
    pooled = quantize(small_cnn(0), "ir_net", bits=1, edge_bits=1)
    assert not [m for _, m in pooled.modules() if isinstance(m, ReLU)]


def test_a_layer_that_meets_both_signs_gets_both() -> None:
    shared = Conv2d(RNG(0), 4, 4, 1)
    rectified = Sequential(Conv2d(RNG(0), 3, 4, 3), ReLU(), shared, ReLU(), shared, Conv2d(RNG(0), 4, 2, 1))
    one: Any = quantize(rectified, "lsq").layers[2]
    assert not one.activation_quantizer.signed
    mixed = Sequential(Conv2d(RNG(0), 3, 4, 3), ReLU(), shared, BatchNorm(4), shared, Conv2d(RNG(0), 4, 2, 1))
    one = quantize(mixed, "lsq").layers[2]
    assert one.activation_quantizer.signed


# ---------------------------------------------------------------- refusals


class Functional(Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = Conv2d(RNG(0), 3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return apply("relu", self.conv(x))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weights": "nothing"}, "weights: expected one of .*lsq.*, got 'nothing'"),
        ({"activations": "nothing"}, "activations: expected one of .*lsq.*, got 'nothing'"),
        ({"bits": 9}, r"layers\.3: bits: dsq takes 1, 2, 3, 4, 5, 6, 7, 8 for activations, got 9"),
        ({"bits": (2.5, 2)}, r"layers\.3: bits: dsq takes .* for weights, got 2\.5"),
        ({"bits": (2, True)}, r"layers\.3: bits: dsq takes .* for activations, got True"),
        ({"bits": (2, 2, 2)}, r"bits: expected a width, or one of weights and one of activations, got \(2, 2, 2\)"),
        ({"edge_bits": 0}, r"layers\.16: bits: dsq takes .* for activations, got 0"),
        ({"weights": "xnor", "bits": 1}, "xnor takes none: it is not defined for activations"),
        ({"weights": "xnor", "activations": "lsq", "bits": 1}, r"layers\.0: bits: xnor takes 1 for weights, got 8"),
        ({"layers": {6: 2}}, r"layers: expected a number below 6 or a name among layers\.0, .*, got 6"),
        ({"layers": {"layers.1": 2}}, "layers: expected a number below 6 .*, got 'layers.1'"),
        ({"layers": {True: 2}}, "layers: expected a number below 6 .*, got True"),
        ({"layers": {1: (1, 2, 3)}}, r"layers\[1\]: expected a width"),
        ({"per_channel": "weight"}, "per_channel: expected a collection of weight and activation, got 'weight'"),
        ({"per_channel": ("weights",)}, "per_channel: expected a collection"),
        ({"weights": "ddq", "per_channel": ("weight",)}, "channels: ddq has its parameters for the whole tensor"),
        ({"alpha": 2.0}, "alpha: expected 0 < alpha < 1"),
        ({"weights": "lsq", "alpha": 0.2}, "options of lsq:"),
        ({"shape": (32, 32, 4)}, "conv2d"),
    ],
)
def test_what_makes_no_sense_is_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        quantize(small_cnn(0), **arguments)


def test_inputs_a_method_has_no_quantizer_for_are_named() -> None:
    with pytest.raises(InputError, match=r"layers\.4\.branch\.layers\.0: its input can be negative, and dorefa has no"):
        quantize(mobilenet_v2(0, width=0.25), "dorefa", edge_bits=None)
    with pytest.raises(InputError, match=r"layers=\{'layers\.3': \(2, None\)\}") as error:
        quantize(lenet(0), "lsq", "n2uq", edge_bits=None)
    assert "n2uq has no quantizer for that at 2 bits" in str(error.value)
    quantize(lenet(0), "lsq", "n2uq", edge_bits=None, layers={"layers.3": (2, None), 2: (2, None), 3: (2, None)})


def test_a_relu_that_is_no_module_cannot_be_taken_out() -> None:
    rng = RNG(0)
    model = Sequential(Functional(), Conv2d(rng, 4, 4, 3), Conv2d(rng, 4, 2, 3))
    with pytest.raises(InputError, match="model: a sign quantizer cannot stand in place of a relu that is no module"):
        quantize(model, "xnor", "bireal", bits=1, edge_bits=None)
    quantize(model, "lsq")


def test_a_model_without_layers_is_named() -> None:
    with pytest.raises(InputError, match="model: expected a convolution or a linear layer, it has none"):
        quantize(Sequential(ReLU()))
    with pytest.raises(InputError, match="model: expected a convolution or a linear layer without quantizers"):
        quantize(quantize(small_cnn(0)))


def test_a_single_layer_is_first_and_last() -> None:
    model: Any = quantize(Sequential(Conv2d(RNG(0), 3, 4, 3, stride=2, padding=2)), edge_bits=4)
    assert widths(model.layers[0]) == (4, None)
    assert model(Tensor(np.ones((1, 8, 8, 3), np.float32))).shape == (1, 5, 5, 4)
    linear: Any = quantize(Sequential(Linear(RNG(0), 6, 3)), edge_bits=(4, 8))
    assert isinstance(linear.layers[0], QLinear)
    assert not isinstance(linear.layers[0], QConv2d)
