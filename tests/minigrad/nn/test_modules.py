"""Modules: names, states, modes; batch norm; the small network."""

import copy

import numpy as np
import pytest

from minigrad import InputError, Tensor
from minigrad.models import small_cnn
from minigrad.nn import BatchNorm, Linear, MaxPool2d, Module, Sequential
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
