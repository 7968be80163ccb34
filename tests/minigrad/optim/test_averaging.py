"""Averages of weights against exact sums, swapping without a trace, and statistics taken anew."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import InputError, Tensor
from minigrad.nn import BatchNorm, Dropout, Linear, Module, Parameter, ReLU, Sequential
from minigrad.optim import ExponentialAverage, StochasticAverage, reestimate_statistics

NUMBERS = st.lists(st.floats(-10, 10, width=32), min_size=1, max_size=12)


class One(Module):
    def __init__(self, value: float) -> None:
        super().__init__()
        self.a = Parameter(np.array([value]))


def network(seed: int = 0) -> Sequential:
    rng = np.random.default_rng(seed)
    dtype = np.float64
    return Sequential(
        Linear(rng, 3, 5, dtype), BatchNorm(5, dtype=dtype), ReLU(), Linear(rng, 5, 4, dtype), BatchNorm(4, dtype=dtype)
    )


def bits(model: Module) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in model.state().items()}


@given(NUMBERS, st.sampled_from([0.0, 0.5, 0.95]), st.booleans())
def test_the_exponential_average_is_its_formula(values: list[float], decay: float, warmup: bool) -> None:
    model = One(3.0)
    average = ExponentialAverage(model, decay, warmup=warmup)
    expected = Fraction(3)
    for n, value in enumerate(values):
        model.a.data[...] = value
        average.update()
        d = min(Fraction(decay), Fraction(1 + n, 10 + n)) if warmup else Fraction(decay)
        expected = d * expected + (1 - d) * Fraction(value)
    assert abs(float(average.averages["a"][0] - expected)) <= 8 * 10 * len(values) * 2.0**-52
    assert model.a.data.tolist() == [values[-1]]


@given(NUMBERS)
def test_the_stochastic_average_is_the_mean(values: list[float]) -> None:
    model = One(1000.0)
    average = StochasticAverage(model)
    for value in values:
        model.a.data[...] = value
        average.update()
    mean = sum(map(Fraction, values)) / len(values)
    # The initial weights are forgotten but for the rounding of one difference with them.
    assert abs(float(average.averages["a"][0] - mean)) <= 8 * 1010 * len(values) * 2.0**-52


@given(NUMBERS)
def test_an_average_has_the_bits_of_its_formula(values: list[float]) -> None:
    model = Sequential(Linear(np.random.default_rng(0), 3, 2))
    weight, average = model.parameters()[0], ExponentialAverage(model, 0.9, warmup=False)
    expected = weight.data.copy()
    for value in values:
        weight.data[...] = np.arange(6.0).reshape(3, 2) / 7.0 + value
        average.update()
        expected = expected + (1.0 - 0.9) * (weight.data - expected)
    assert average.averages["layers.0.weight"].tobytes() == expected.tobytes()


def test_an_average_of_equal_weights_stays() -> None:
    model = One(0.1)
    for average in (StochasticAverage(model), ExponentialAverage(model, 0.9)):
        for _ in range(20):
            average.update()
        assert average.averages["a"][0] == 0.1


def test_float32_stays_float32() -> None:
    rng = np.random.default_rng(0)
    model = Linear(rng, 3, 2)
    average = ExponentialAverage(model, np.float64(0.9))
    average.update()
    assert {array.dtype for array in average.averages.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
def test_after_swapping_nothing_is_left(error: type[BaseException] | None) -> None:
    model = network()
    before, arrays = bits(model), model.state()
    average = StochasticAverage(model)
    for array in average.averages.values():
        array += 0.5
    averages = {name: array.copy() for name, array in average.averages.items()}
    try:
        with average.swapped():
            inside = model.state()
            assert all(np.array_equal(inside[name], array) for name, array in averages.items())
            model.train()(Tensor(np.random.default_rng(1).standard_normal((6, 3))))  # moves the running statistics
            model.parameters()[0].data[...] = 7.0
            assert bits(model) != before
            if error is not None:
                raise error
    except (RuntimeError, KeyboardInterrupt):
        assert error is not None
    assert bits(model) == before
    assert all(array is model.state()[name] for name, array in arrays.items())
    assert all(average.averages[name].tobytes() == array.tobytes() for name, array in averages.items())


def test_swapping_does_not_change_a_gradient() -> None:
    """Results from before, inside and held to the end: each backward uses the values of its own forward."""
    model = One(3.0)
    average = StochasticAverage(model)
    average.averages["a"][...] = 5.0
    outer = (model.a * model.a).sum()
    with average.swapped():
        assert model.a.data.tolist() == [5.0]
        inner = (model.a * model.a).sum()
    assert model.a.data.tolist() == [3.0]
    inner.backward()
    assert model.a.grad is not None
    assert model.a.grad.tolist() == [10.0]
    outer.backward()
    assert model.a.grad.tolist() == [16.0]
    assert model.a.data.tolist() == [3.0]


@pytest.mark.parametrize("kind", [StochasticAverage, ExponentialAverage])
def test_an_average_goes_on_from_its_state(kind: Any) -> None:
    def run(model: Module, average: Any, begin: int, end: int) -> None:
        for n in range(begin, end):
            for p in model.parameters():
                p.data[...] = np.sin(p.data + n)
            average.update()

    straight = network()
    expected = kind(straight)
    run(straight, expected, 0, 9)
    first = network()
    half = kind(first)
    run(first, half, 0, 4)
    second = network(1)
    second.load_state(first.state())
    rest = kind(second)
    rest.load_state(half.state())
    run(second, rest, 4, 9)
    assert {n: a.tobytes() for n, a in rest.state().items()} == {n: a.tobytes() for n, a in expected.state().items()}
    with pytest.raises(InputError, match=r"averages: missing \['average.layers.0.bias', .* and 3 more, unknown \[\]"):
        rest.load_state({"updates": rest.updates})


def test_statistics_are_those_of_a_pass() -> None:
    """Batches of different sizes; the second norm sees what the first one makes of each batch."""
    model = network()
    rng = np.random.default_rng(2)
    batches = [rng.standard_normal((n, 3)) * 2 + n for n in (4, 9, 2)]
    given_batches: list[np.ndarray | Tensor] = [Tensor(batches[0]), np.zeros((0, 3)), *batches[1:]]
    model.layers[1].running_mean[...] = np.nan  # type: ignore[attr-defined]
    model.layers[0].training = False
    modes = [module.training for _, module in model.modules()]
    reestimate_statistics(model, iter(given_batches))
    first, second, state = [], [], model.state()
    for x in batches:
        h = x @ state["layers.0.weight"] + state["layers.0.bias"]
        first.append(h)
        h = np.maximum((h - h.mean(0)) / np.sqrt(h.var(0) + 1e-5), 0)
        second.append(h @ state["layers.3.weight"] + state["layers.3.bias"])
    for layer, values in ((1, first), (4, second)):
        mean = np.average([v.mean(0) for v in values], axis=0, weights=[4, 9, 2])
        variance = np.average([v.var(0, ddof=1) for v in values], axis=0, weights=[4, 9, 2])
        assert np.allclose(state[f"layers.{layer}.running_mean"], mean, rtol=1e-12)
        assert np.allclose(state[f"layers.{layer}.running_variance"], variance, rtol=1e-12)
    assert [module.training for _, module in model.modules()] == modes
    assert {m.momentum for m in model.layers if isinstance(m, BatchNorm)} == {0.1}
    assert all(p.grad is None for p in model.parameters())


def test_statistics_are_taken_without_dropout() -> None:
    model = Sequential(Dropout(0.5, seed=0), BatchNorm(3, dtype=np.float64))
    x = np.random.default_rng(0).standard_normal((50, 3))
    reestimate_statistics(model, [x])
    assert np.allclose(model.state()["layers.1.running_mean"], x.mean(0), rtol=1e-12)


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([], "batches: expected at least one example"),
        ([np.zeros((5, 3)), np.zeros((1, 3))], "at least 2 values a channel"),
        ([np.zeros((0, 3))], "batches: expected at least one example"),
        ([np.zeros((5, 3)), np.zeros((5, 2))], "linear"),
    ],
)
def test_a_pass_that_fails_changes_nothing(batches: list[np.ndarray], message: str) -> None:
    model = network()
    model(Tensor(np.random.default_rng(0).standard_normal((6, 3))))
    before, modes = bits(model), [module.training for _, module in model.modules()]
    with pytest.raises(InputError, match=message):
        reestimate_statistics(model, batches)
    assert bits(model) == before
    assert [module.training for _, module in model.modules()] == modes
    assert {m.momentum for m in model.layers if isinstance(m, BatchNorm)} == {0.1}


def test_statistics_are_taken_off_the_tape() -> None:
    class Watched(ReLU):
        def forward(self, x: Tensor) -> Tensor:
            assert not x.requires_grad
            return super().forward(x)

    rng = np.random.default_rng(0)
    model = Sequential(Linear(rng, 3, 3), BatchNorm(3), Watched())
    reestimate_statistics(model, [rng.standard_normal((4, 3)).astype(np.float32)])
    assert model.state()["layers.1.running_mean"].any()


def test_statistics_of_a_net_without_batch_norm() -> None:
    model = Sequential(ReLU())
    reestimate_statistics(model, [])


def test_statistics_belong_to_the_swap() -> None:
    model = network()
    average = StochasticAverage(model)
    before = bits(model)
    with average.swapped():
        reestimate_statistics(model, [np.random.default_rng(0).standard_normal((6, 3))])
        assert bits(model) != before
    assert bits(model) == before


def test_bad_decay_is_named() -> None:
    with pytest.raises(InputError, match=r"decay: expected 0 <= decay < 1, got 1.0"):
        ExponentialAverage(One(1.0), 1.0)
