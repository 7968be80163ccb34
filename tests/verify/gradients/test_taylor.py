"""Right gradients have the rates of Taylor's theorem, wrong ones have not, and what cannot be told is not passed."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.errors import InputError
from verify.gradients import taylor_rates
from verify.gradients.taylor import _fit

RNG = np.random.default_rng(20)
W1, W2, DATA = RNG.normal(size=(6, 8)), RNG.normal(size=(8,)), RNG.normal(size=(10, 6))


def network(w1, w2):
    return np.mean(np.tanh(DATA @ w1) @ w2 - np.sin(w2).sum() * 0.1) ** 2


def gradients(w1, w2):
    hidden = np.tanh(DATA @ w1)
    outer = 2 * np.mean(hidden @ w2 - np.sin(w2).sum() * 0.1)
    rows = np.full(10, outer / 10)
    return DATA.T @ (rows[:, None] * (1 - hidden**2) * w2), hidden.T @ rows - outer * 0.1 * np.cos(w2)


def second(w1, w2, direction, h=1e-6):
    """The gradient's central difference: 1e-9 exact."""
    above = gradients(w1 + h * direction[0], w2 + h * direction[1])
    below = gradients(w1 - h * direction[0], w2 - h * direction[1])
    return [(a - b) / (2 * h) for a, b in zip(above, below, strict=True)]


def direction_of(seed):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=W1.shape), rng.normal(size=W2.shape)]


@pytest.mark.parametrize("seed", range(20))
def test_a_network_has_the_rates_in_every_direction(seed):
    direction = direction_of(seed)
    rates = taylor_rates(network, gradients, [W1, W2], direction, second(W1, W2, direction))
    assert rates.passed
    assert rates[1].rate == pytest.approx(1, abs=0.02)
    assert rates[2].rate == pytest.approx(2, abs=0.02)
    assert 2.98 <= rates[3].rate < 3.2


WRONG = {
    "sign": lambda g: [-g[0], g[1]],
    "a hundred thousandth": lambda g: [g[0] * (1 + 1e-5), g[1]],
    "one element": lambda g: [g[0] + 1e-5 * np.eye(6, 8), g[1]],
    "missing": lambda g: [g[0], 0 * g[1]],
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("seed", range(3))
def test_a_wrong_gradient_has_not(name, seed):
    rates = taylor_rates(network, WRONG[name](gradients(W1, W2)), [W1, W2], direction_of(seed))
    assert rates[2].verdict in ("wrong", "undecided")
    assert rates[2].rate < 1.95
    assert not rates.passed
    with pytest.raises(AssertionError, match="R1"):
        rates.require()


@pytest.mark.parametrize("factor", [0.0, 0.5, 2.0, -1.0])
def test_a_wrong_second_derivative_has_not(factor):
    direction = direction_of(1)
    wrong = [factor * s for s in second(W1, W2, direction)]
    rates = taylor_rates(network, gradients, [W1, W2], direction, wrong)
    assert rates[2].verdict == "right"
    assert rates[3].verdict == "wrong"
    assert rates[3].rate == pytest.approx(2, abs=0.1)


@given(st.integers(0, 2**32), st.sampled_from([1e-8, 1e-3, 1.0, 1e5]), st.sampled_from([np.float32, np.float64]))
def test_no_false_alarm_at_any_scale(seed, scale, dtype):
    rng = np.random.default_rng(seed)
    x, d = rng.normal(size=5).astype(dtype) * dtype(scale), rng.uniform(0.5, 1, 5) * scale
    rates = taylor_rates(
        lambda x: np.sum(np.sin(x / dtype(scale))), lambda x: np.cos(x / dtype(scale)) / dtype(scale), x, d
    )
    assert all(rate.verdict != "wrong" for rate in rates.rates)
    wrong = taylor_rates(lambda x: np.sum(np.exp(x / dtype(scale))), -np.exp(x / dtype(scale)) / dtype(scale), x, d)
    assert not wrong.passed


def test_polynomials_vanish_at_the_noise_floor():
    x, d = RNG.normal(size=4), RNG.normal(size=4)
    assert taylor_rates(lambda x: np.sum(3 * x), np.full(4, 3.0), x, d)[2].verdict == "vanishes"
    square = taylor_rates(lambda x: np.sum(x * x), 2 * x, x, d, second=2 * d)
    assert (square[2].verdict, square[3].verdict, square.passed) == ("right", "vanishes", True)
    assert not taylor_rates(lambda x: np.sum(3 * x), np.full(4, 3.0 + 1e-9), x, d).passed


def test_a_faster_rate_is_right_too():
    assert taylor_rates(lambda x: np.sum(np.cos(x)), np.zeros(3), np.zeros(3), np.ones(3))[1].rate > 1.9


def test_a_kink_nearby_is_no_wrong_gradient():
    for distance in (0.05, 0.002, 1e-5):
        x, d = np.array([distance, -distance]), np.array([1.0, 1.0])
        rates = taylor_rates(lambda x: np.sum(np.maximum(x, 0)), (x > 0) * 1.0, x, d)
        assert rates[2].verdict == "vanishes"
        assert not taylor_rates(lambda x: np.sum(np.maximum(x, 0)), (x > 0) * 1.001, x, d)[2].passed
    x = np.array([-1e-4])
    beyond = taylor_rates(lambda x: np.sum(1 + np.maximum(x, 0) + 1e-3 * x * x), 2e-3 * x, x, np.ones(1))
    assert beyond[2].verdict == "right" and beyond[2].window[0] < 1e-4
    x, d = np.array([0.05, -0.03]), np.ones(2)
    curved = taylor_rates(lambda x: np.sum(np.maximum(x, 0) ** 2 + np.abs(x)), 2 * x * (x > 0) + np.sign(x), x, d)
    assert curved[2].verdict in ("right", "undecided")


def test_a_remainder_that_is_no_power_yet_is_no_wrong_gradient():
    """That of exp(-u^2) far out, in float32: its local rates fall towards 2 from above, the fit overshoots."""
    remainders = [2.0e-14, 3.1e-19, 3.26e-22, 6.6e-24, 5.95e-25, 9.7e-26, 2.0e-26, 4.58e-27, 1.1e-27, 2.7e-28, 6.6e-29]
    h = 0.25 / 2.0 ** np.arange(len(remainders))
    found = _fit(2, h, np.array(remainders), np.full(h.shape, 6e-29), 0.2)
    assert found.rate < 1.8
    assert found.verdict == "undecided"
    straight = _fit(2, h, h + h**2, np.full(h.shape, 1e-9), 0.2)
    assert straight.verdict == "wrong"


@pytest.mark.parametrize("where", ["value", "gradient", "second", "direction"])
def test_not_a_number_is_said_and_not_passed(where):
    x = np.ones(2)
    arguments = {"gradient": np.ones(2), "direction": np.ones(2), "second": np.zeros(2)}
    if where != "value":
        arguments[where] = np.array([np.nan, 1.0])
    function = (lambda x: np.sum(x)) if where != "value" else (lambda x: np.sum(x) * np.nan)
    rates = taylor_rates(function, arguments["gradient"], x, arguments["direction"], arguments["second"])
    assert not rates.passed
    assert "finite" in rates.problem
    assert str(rates).startswith("no rates: ")


def test_nan_away_from_the_point_leaves_the_smaller_steps():
    x = np.array([0.01])
    rates = taylor_rates(lambda x: np.sum(np.log(x)), 1 / x, x, np.array([-1.0]))
    assert rates.passed and rates[2].rate == pytest.approx(2, abs=0.02)
    nowhere = taylor_rates(lambda x: np.sum(np.where(x == 1, x, np.nan)), np.ones(1), np.ones(1), np.ones(1))
    assert [rate.verdict for rate in nowhere.rates] == ["undecided", "undecided"]
    assert not nowhere.passed and math.isnan(nowhere[2].rate)


def test_bad_arguments():
    with pytest.raises(InputError, match=r"expected a value of one element, got shape \(3,\)"):
        taylor_rates(np.sin, np.ones(3), np.ones(3), np.ones(3))
    with pytest.raises(AssertionError, match=r"gradient of argument 0 has shape \(2,\)"):
        taylor_rates(lambda x: np.sum(x), np.ones(2), np.ones(3), np.ones(3))
