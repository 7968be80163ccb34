"""Modules: names, states, modes; batch norm; the small network."""

import copy
import pickle

import numpy as np
import pytest

from minigrad import InputError, Tensor
from minigrad.models import small_cnn
from minigrad.nn import BatchNorm, Linear, MaxPool2d, Module, Parameter, ReLU, Sequential
from minigrad.nn.init import kaiming_normal, normal


def test_names_and_groups_of_parameters() -> None:
    model = small_cnn(0)
    names = [name for name, _ in model.named_parameters()]
    assert names[:4] == ["layers.0.weight", "layers.1.gamma", "layers.1.beta", "layers.3.weight"]
    assert {p.group for p in model.parameters()} == {"weight", "norm"}
    assert {name for name in model.state() if "running" in name} == {
        f"layers.{n}.running_{s}" for n in (1, 4, 7, 10, 13) for s in ("mean", "variance")
    }


def test_sizes_of_the_small_network() -> None:
    model = small_cnn(0)
    weights = sum(p.data.size for p in model.parameters() if p.data.ndim > 1)
    assert weights == 9 * (3 * 16 + 16 * 32 + 32 * 32 + 32 * 64 + 64 * 64) + 640
    assert model(Tensor(np.zeros((2, 32, 32, 3), np.float32))).shape == (2, 10)


def test_state_round_trip() -> None:
    first, second = small_cnn(0), small_cnn(1)
    second.load_state(first.state())
    for name, array in first.state().items():
        assert np.array_equal(second.state()[name], array)
    assert not np.shares_memory(first.parameters()[0].data, second.parameters()[0].data)


def test_a_state_that_does_not_fit_changes_nothing() -> None:
    model = small_cnn(0)
    before = copy.deepcopy(model.state())
    state = copy.deepcopy(before)
    for change, message in (
        (lambda s: s.pop("layers.0.weight"), r"missing \['layers.0.weight'\]"),
        (lambda s: s.update(extra=np.zeros(1)), r"unknown \['extra'\]"),
        (lambda s: s.update({"layers.1.beta": np.zeros(5, np.float32)}), r"layers.1.beta is float32 \(5,\)"),
        (lambda s: s.update({"layers.1.beta": np.zeros(16)}), r"layers.1.beta is float64"),
    ):
        wrong = {name: array + 1 for name, array in state.items()}
        change(wrong)
        with pytest.raises(InputError, match=message):
            model.load_state(wrong)
    for name, array in model.state().items():
        assert np.array_equal(array, before[name])


def test_batch_norm_follows_its_definition() -> None:
    rng = np.random.default_rng(0)
    norm = BatchNorm(3, momentum=0.25, dtype=np.float64)
    norm.gamma.data[...] = [1.0, -2.0, 0.5]
    norm.beta.data[...] = [0.1, 0.2, 0.3]
    x = rng.standard_normal((4, 5, 5, 3)) * 3 + 1
    mean, variance = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))
    y = norm(Tensor(x)).data
    assert np.allclose(y, (x - mean) / np.sqrt(variance + 1e-5) * norm.gamma.data + norm.beta.data)
    assert np.allclose(norm.running_mean, 0.25 * mean)
    assert np.allclose(norm.running_variance, 0.75 + 0.25 * variance * 100 / 99)
    running = norm.running_mean.copy()
    y = norm.eval()(Tensor(x)).data
    scaled = (x - norm.running_mean) / np.sqrt(norm.running_variance + 1e-5)
    assert np.allclose(y, scaled * norm.gamma.data + norm.beta.data)
    assert np.array_equal(norm.running_mean, running)


def test_batch_norm_of_one_value_is_refused() -> None:
    with pytest.raises(InputError, match="at least 2 values a channel"):
        BatchNorm(3)(Tensor(np.zeros((1, 1, 1, 3), np.float32)))


def test_modes_reach_all_modules() -> None:
    model = small_cnn(0)
    model.eval()
    assert not any(module.training for _, module in model.modules())
    model.train()
    assert all(module.training for _, module in model.modules())


def test_a_module_without_forward_says_so() -> None:
    with pytest.raises(NotImplementedError, match="Module defines no forward"):
        Module()(Tensor(np.zeros(1)))


def test_linear_and_pooling() -> None:
    rng = np.random.default_rng(0)
    layer = Linear(rng, 4, 2, np.float64)
    layer.bias.data[...] = [1.0, 2.0]
    x = rng.standard_normal((3, 4))
    assert np.allclose(layer(Tensor(x)).data, x @ layer.weight.data + [1.0, 2.0])
    pooled = Sequential(MaxPool2d(2))(Tensor(np.arange(16.0).reshape(1, 4, 4, 1))).data
    assert pooled.ravel().tolist() == [5.0, 7.0, 13.0, 15.0]


def test_initial_weights_have_the_stated_spread() -> None:
    rng = np.random.default_rng(0)
    w = kaiming_normal(rng, (3, 3, 64, 128))
    assert w.dtype == np.float32
    assert np.std(w) == pytest.approx(np.sqrt(2 / (9 * 64)), rel=0.01)
    assert abs(np.mean(w)) < 1e-3
    sample = normal(rng, (100_000,), 1.0, np.float64)
    assert np.mean(np.abs(sample) < 1) == pytest.approx(0.6827, abs=0.01)


class Nested(Module):
    """Modules and parameters in every kind of container, besides options that are containers too."""

    def __init__(self) -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        shared = Linear(rng, 2, 2, bias=False)
        self.pair = (Linear(rng, 2, 2), ReLU())
        self.named = {"a": Linear(rng, 2, 2), "deep": [[Parameter(np.ones(3))], shared]}
        self.scales = [Parameter(np.ones(1)), Parameter(np.ones(2))]
        self.mixed = (1, Parameter(np.ones(4)))
        self.again = shared
        self.sizes = (3, 4)
        self.options = {"rate": 0.5}


def test_parts_are_found_in_lists_tuples_and_dicts() -> None:
    model = Nested()
    assert [name for name, _ in model.named_parameters()] == [
        "named.deep.0.0",
        "scales.0",
        "scales.1",
        "mixed.1",
        "pair.0.weight",
        "pair.0.bias",
        "named.a.weight",
        "named.a.bias",
        "named.deep.1.weight",
    ]
    assert [name for name, _ in model.modules()] == ["", "pair.0", "pair.1", "named.a", "named.deep.1", "again"]
    assert sorted(model.state()) == sorted(name for name, _ in model.named_parameters())
    assert model.describe()[0] == ["", "Nested", [("sizes", (3, 4))]]


def test_evaluating_puts_every_mode_back() -> None:
    model = Sequential(BatchNorm(2), Sequential(BatchNorm(2), ReLU()))
    frozen = model.layers[1].layers[0]  # type: ignore[attr-defined]
    frozen.training = False
    modes = [module.training for _, module in model.modules()]
    assert modes == [True, True, True, False, True]
    with pytest.raises(KeyError), model.evaluating():
        assert not any(module.training for _, module in model.modules())
        raise KeyError
    assert [module.training for _, module in model.modules()] == modes


def test_projection_reaches_all_modules() -> None:
    class Bounded(Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = Parameter(np.full(1, 5.0))

        def project(self) -> None:
            np.minimum(self.a.data, 1.0, out=self.a.data)

    model = Sequential(Sequential(Bounded()), Bounded())
    model.project()
    assert [p.item() for p in model.parameters()] == [1.0, 1.0]


def test_a_copy_of_a_model_is_its_own() -> None:
    layer = Linear(np.random.default_rng(0), 2, 2)
    model = Sequential(layer, ReLU(), layer)
    y = model(Tensor(np.ones((1, 2), np.float32))).sum()  # the parameters are held meanwhile
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert len(twin.parameters()) == 2
        assert twin.layers[0] is twin.layers[2]
        twin.parameters()[0].data[...] = 0.0
        assert [p.group for p in twin.parameters()] == [p.group for p in model.parameters()]
    assert layer.weight.data.all()
    y.backward()
