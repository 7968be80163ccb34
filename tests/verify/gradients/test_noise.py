"""The measured noise is what rounding does: not less, and not much more."""

import numpy as np
import pytest

from verify.gradients.noise import measure_noise, understated
from verify.gradients.problem import Problem

FUNCTIONS = {
    "one rounding": (lambda x: x * x.dtype.type(1.1), 1.0),
    "tanh": (np.tanh, 1.0),
    "cancellation": (lambda x: (x + x.dtype.type(1000)) - x.dtype.type(1000), 1000.0),
    "two numbers": (lambda x: x[:-1] + x[1:], 1.0),
    "a sum that cancels": (lambda x: np.sum(np.append(x, -np.sum(x[1:]) - x[0] * x.dtype.type(0.999))), 1.0),
}


def bound_of(function, x, seed=0):
    problem = Problem(function, (x,))
    noise = measure_noise(problem.evaluate, problem.point, problem.unit, problem.epsilon, seed)
    return problem, noise


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("seed", range(5))
def test_it_covers_what_rounding_does_and_stays_in_proportion(name, dtype, seed):
    function, terms = FUNCTIONS[name]
    x = np.random.default_rng(seed).uniform(0.5, 1.5, 12).astype(dtype)
    problem, noise = bound_of(function, x, seed)
    if dtype is np.float32:  # float64 knows what float32 should give
        error = np.abs(problem.middle - np.ravel(function(x.astype(np.float64))))
        assert (error <= 2 * noise.bound).all()
    assert (noise.bound >= problem.epsilon * np.abs(problem.middle)).all()
    assert (noise.bound <= 40 * problem.epsilon * (terms + np.abs(problem.middle))).all()


def test_a_rounding_that_repeats_along_a_line_shows():
    """Two numbers of one binade: moved by equal steps, the last bit of their sum would never change."""
    x = np.array([1.5, 1.25 + 2.0**-23], np.float32)
    _, noise = bound_of(lambda x: (x[0] + x[1]) - np.float32(2.75), x)
    assert noise.bound[0] >= 2.0**-24


@pytest.mark.parametrize("scale", [1e-250, 1e250])
def test_very_small_and_large_numbers(scale):
    x = np.random.default_rng(1).uniform(0.5, 1.5, 9)
    (_, plain), (_, scaled) = bound_of(lambda x: np.tanh(x) - 0.5, x), bound_of(lambda x: (np.tanh(x) - 0.5) * scale, x)
    assert scaled.bound == pytest.approx(plain.bound * scale, rel=0.5)


def test_a_kink_at_the_point_is_no_noise():
    x = np.zeros(3)
    for function in (np.abs, lambda x: np.maximum(x, 0), np.sign):
        _, noise = bound_of(function, x)
        assert (noise.bound < 1e-14).all()


def test_an_unlucky_bound_is_doubted():
    problem, noise = bound_of(np.tanh, np.linspace(-2, 2, 9))
    arguments = (problem.evaluate, problem.point, problem.unit, problem.epsilon)
    assert (understated(*arguments, noise) < 4).all()
    halved = type(noise)(noise.bound / 8, noise.size)
    assert (understated(*arguments, halved) > 4).all()
