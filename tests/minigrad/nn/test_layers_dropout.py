"""Dropout: what it drops, and that its generator is part of the state."""

from pathlib import Path

import numpy as np
import pytest

from minigrad import InputError, Tensor
from minigrad.nn import Dropout, Linear, Module, Sequential

ONES = Tensor(np.ones((100, 200), np.float32))


def masks(module: Module, count: int) -> list[bytes]:
    return [module(ONES).data.tobytes() for _ in range(count)]


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_it_drops_its_rate_and_keeps_the_mean(rate: float) -> None:
    y = Dropout(rate, seed=0)(ONES).data
    assert y.dtype == np.float32
    assert set(np.unique(y)) == {np.float32(0), np.float32(1) / np.float32(1 - rate)}
    # Six standard deviations of 20,000 independent draws.
    assert abs(np.mean(y == 0) - rate) < 6 * np.sqrt(rate * (1 - rate) / y.size)
    rows = np.mean(y == 0, axis=1)
    assert np.all(np.abs(rows - rate) < 6 * np.sqrt(rate * (1 - rate) / y.shape[1]))


def test_evaluation_is_the_identity_and_draws_nothing() -> None:
    layer = Dropout(0.5, seed=3)
    first = masks(layer, 1)
    assert layer.eval()(ONES) is ONES
    assert layer.train()(ONES).data.tobytes() not in first
    assert layer.drawn.item() == 2
    assert Dropout(0.0, seed=3)(ONES) is ONES


def test_masks_follow_from_seed_and_number() -> None:
    assert masks(Dropout(0.5, seed=7), 3) == masks(Dropout(0.5, seed=7), 3)
    assert len({*masks(Dropout(0.5, seed=7), 3), *masks(Dropout(0.5, seed=8), 3)}) == 6
    numbers = np.random.Generator(np.random.Philox(key=7, counter=[0, 0, 0, 2])).random(ONES.shape)
    assert np.array_equal(np.frombuffer(masks(Dropout(0.25, seed=7), 3)[2], np.float32) != 0, numbers.ravel() >= 0.25)


def test_a_network_taken_up_from_its_file_draws_the_same_masks(tmp_path: Path) -> None:
    def network(seed: int) -> Sequential:
        return Sequential(Dropout(0.5, seed=seed), Linear(np.random.default_rng(seed), 200, 3))

    straight = network(1)
    masks(straight, 2)
    straight.save(tmp_path / "state.safetensors")
    resumed = network(2)
    resumed.load(tmp_path / "state.safetensors")
    assert masks(straight, 3) == masks(resumed, 3)
    assert set(straight.state()) == {"layers.0.seed", "layers.0.drawn", "layers.1.weight", "layers.1.bias"}


def test_the_gradient_passes_where_the_value_did() -> None:
    x = Tensor(np.ones((4, 5)), requires_grad=True)
    y = Dropout(0.5, seed=0)(x)
    y.backward(np.full((4, 5), 3.0))
    assert x.grad is not None
    assert np.array_equal(x.grad, 3 * y.data)
    assert 0 < np.count_nonzero(x.grad) < 20


@pytest.mark.parametrize(
    ("rate", "seed", "message"),
    [
        (1.0, 0, "rate"),
        (-0.1, 0, "rate"),
        (float("nan"), 0, "rate"),
        ("0.5", 0, "rate"),
        (0.5, -1, "seed"),
        (0.5, 1 << 64, "seed"),
        (0.5, 1.5, "seed"),
        (0.5, "1", "seed"),
    ],
)
def test_bad_options_are_refused(rate: float, seed: int, message: str) -> None:
    with pytest.raises(InputError, match=f"{message}: expected 0 <= {message} <"):
        Dropout(rate, seed=seed)
