"""Measured slopes are within their stated errors, the errors are small, and what has no slope is recognised."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from verify.gradients.noise import Noise, measure_noise
from verify.gradients.problem import Problem, quiet
from verify.gradients.quotient import Coordinate, Diagonal, Ray, measure_slopes
from verify.gradients.richardson import RATIO, Observed, Table

FUNCTIONS = {
    "tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "sin of much": (lambda x: np.sin(20 * x), lambda x: 20 * np.cos(20 * x)),
    "square": (lambda x: x * x, lambda x: 2 * x),
    "gauss": (lambda x: np.exp(-x * x), lambda x: -2 * x * np.exp(-x * x)),
    "log": (lambda x: np.log(np.abs(x)), lambda x: 1 / x),
    "cancelling": (lambda x: (x + 1000) - 1000, np.ones_like),
    "constant": (lambda x: 0 * x + 3, np.zeros_like),
    "leaky": (lambda x: np.maximum(x, x / 8), lambda x: np.where(x > 0, 1, 0.125)),
}


def slopes_of(function, x, **arguments):
    problem = Problem(function, (x,), **arguments)
    with quiet():
        noise = measure_noise(problem.evaluate, problem.point, problem.unit, problem.epsilon)
        lines = [Coordinate(problem, problem.evaluate, problem.middle, n) for n in range(problem.point.size)]
        return problem, measure_slopes(lines, noise, problem.epsilon)


def along(slopes, name):
    return np.diagonal(getattr(slopes, name))


@given(
    st.sampled_from(sorted(FUNCTIONS)),
    st.sampled_from([np.float32, np.float64]),
    st.integers(-6, 6),
    st.integers(0, 2**32),
)
def test_the_error_covers_and_is_small(name, dtype, exponent, seed):
    """At every scale of the argument."""
    function, derivative = FUNCTIONS[name]
    scale = dtype(10.0**exponent)
    rng = np.random.default_rng(seed)
    # Of one size: a cancelling function's own grid is not to be coarser than the arguments.
    x = (rng.uniform(0.3, 2, 6) * rng.choice([-1, 1], 6)).astype(dtype) * scale
    problem, slopes = slopes_of(lambda x: function(x / scale), x)
    expected = derivative(problem.point / float(scale)) / float(scale)
    error = along(slopes, "error")
    assert (np.abs(along(slopes, "value") - expected) <= error).all()
    assert not slopes.kink.any() and not slopes.jump.any()
    strict = {"cancelling": 1e-1 if dtype is np.float32 else 1e-8}.get(name, 3e-2 if dtype is np.float32 else 1e-7)
    assert np.median(error) <= strict * max(1.0, np.abs(expected * scale).max()) / scale


def test_steps_follow_the_function_where_the_argument_tells_nothing_of_its_scale():
    for steep in (1e3, 1e6, 1e9):
        problem, slopes = slopes_of(lambda x, steep=steep: np.tanh(steep * x), np.array([0.0, 1.0, 0.3 / steep]))
        exact = steep * (1 - np.tanh(steep * problem.point) ** 2)
        assert (np.abs(along(slopes, "value") - exact) <= along(slopes, "error")).all()
        assert along(slopes, "error")[2] < 2e-2 * steep


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_kinks_and_jumps_are_recognised(dtype):
    x = np.array([0.0, 0.5, -0.5], dtype)
    for function, sides in ((np.abs, (-1, 1)), (lambda x: np.maximum(x, 0), (0, 1)), (lambda x: -np.abs(x), (1, -1))):
        _, slopes = slopes_of(function, x)
        assert along(slopes, "kink").tolist() == [True, False, False]
        assert (slopes.left[0, 0], slopes.right[0, 0]) == pytest.approx(sides)
        assert slopes.settled.all()
    for function in (np.sign, np.floor, lambda x: np.where(x > 0, x + 1, x)):
        _, slopes = slopes_of(function, x)
        assert along(slopes, "jump").tolist() == [True, False, False]


@pytest.mark.parametrize("distance", [1e-2, 1e-4, 1e-7, 1e-9])
def test_a_kink_nearby_is_not_taken_for_one_here(distance):
    _, slopes = slopes_of(lambda x: np.maximum(x, 0) + 0 * x, np.array([1.0, distance, -distance]))
    assert along(slopes, "value") == pytest.approx([1, 1, 0], abs=1e-4)
    assert not slopes.kink.any()
    assert (np.abs(along(slopes, "value") - [1, 1, 0]) <= along(slopes, "error")).all()


def test_smooth_but_sharper_than_any_step_that_rounding_allows_is_no_kink_where_it_is_seen():
    _, slopes = slopes_of(lambda x: np.sqrt(x * x + 1e-18), np.array([0.0, 1.0]))
    assert not slopes.kink.any()
    assert abs(slopes.value[0, 0]) <= slopes.error[0, 0]


def test_a_vertical_tangent_has_no_precise_slope():
    _, slopes = slopes_of(np.cbrt, np.array([0.0, 1.0]))
    assert slopes.error[0, 0] > np.abs(slopes.value[0, 0])


def test_fine_structure_is_not_overlooked():
    """A slope that only steps of 1e-8 see, under a larger one."""
    _, slopes = slopes_of(lambda x: x + 1e-12 * np.tanh(1e8 * x), np.array([0.0]))
    assert abs(slopes.value[0, 0] - 1.0001) <= slopes.error[0, 0]
    assert slopes.error[0, 0] < 1e-4


def test_elements_that_are_zero_are_moved_by_the_size_of_the_others():
    for others in (1e-6, 1e6):
        _, slopes = slopes_of(lambda x, scale=others: 1 + np.tanh(x / scale), np.array([0.0, 1.0, -1.0]) * others)
        assert slopes.error[0, 0] * others < 1e-9


def test_points_that_are_not_as_far_on_either_side():
    """Above 2 the grid is coarser, so x + h is rounded and x - h is not; nothing else is inexact here."""
    for x in np.random.default_rng(4).uniform(1.5, 2, 50):
        _, slopes = slopes_of(lambda y, x=x: (y - x) ** 2, np.array([x]))
        assert np.abs(slopes.value[0, 0]) <= slopes.error[0, 0]


def test_understated_noise_makes_the_error_larger():
    for x in np.linspace(0.1, 1, 50):
        problem = Problem(lambda x: x * x + 1e-10 * np.sin(1e17 * x), (np.array([x]),))
        line = Coordinate(problem, problem.evaluate, problem.middle, 0)
        slopes = measure_slopes([line], Noise(np.array([1e-17]), np.array([x])), problem.epsilon)
        assert abs(slopes.value[0, 0] - 2 * x) <= slopes.error[0, 0]
        assert slopes.error[0, 0] < 1e-5


def test_outside_of_the_domain_steps_get_smaller():
    def strict_log(x):
        if (x <= 0).any():
            raise ValueError("x: expected positive numbers")
        return np.log(x)

    x = np.array([1e-3, 1.0, 30.0])
    for function in (np.log, strict_log):
        _, slopes = slopes_of(function, x)
        assert along(slopes, "value") == pytest.approx(1 / x, rel=1e-8)


def test_rays_and_diagonals_agree_with_coordinates():
    x = np.random.default_rng(3).normal(size=(2, 3))
    problem, slopes = slopes_of(np.sin, x)
    noise = measure_noise(problem.evaluate, problem.point, problem.unit, problem.epsilon)
    together = measure_slopes([Diagonal(problem, slice(0, 6))], noise, problem.epsilon)
    assert together.value[0] == pytest.approx(along(slopes, "value"), rel=1e-9)
    direction = problem.reach * np.array([1, -1, 0.5, 1, 1, -1])
    ray = measure_slopes([Ray(problem, problem.evaluate, problem.middle, direction)], noise, problem.epsilon)
    assert ray.value[0] == pytest.approx(slopes.value.T @ direction, rel=1e-9)
    known = Ray(problem, problem.evaluate, problem.middle, direction, lambda t: np.cos(problem.point) * t)
    rest = measure_slopes([known], noise, problem.epsilon)
    assert (np.abs(rest.value) <= rest.error).all()


def test_no_lines_and_no_outputs():
    problem = Problem(np.tanh, (np.ones(2),))
    noise = measure_noise(problem.evaluate, problem.point, problem.unit, problem.epsilon)
    assert measure_slopes([], noise, problem.epsilon).value.shape == (0, 2)


def table_of(differences):
    table = Table((), 2, 2)
    for n, difference in enumerate(differences):
        table.add(Observed(RATIO**-n, np.asarray(float(difference)), np.asarray(0.0)))
    return table


def test_a_polynomial_is_extrapolated_exactly():
    for degree in range(1, 4):
        steps = [Fraction(1, 4**n) for n in range(6)]
        table = table_of([2 + sum(h ** (2 * k) for k in range(1, degree + 1)) for h in steps])
        assert abs(float(table.value) - 2) <= float(table.error) + 1e-15
        assert float(table.error) < 1e-8


def test_two_values_that_agree_by_chance_are_not_believed():
    """The truncation c h^2 + d h^4 is the same at two steps where c = -17 d h^2, h the smaller one."""
    h = [Fraction(1, 4**n) for n in range(3)]
    c = -17 * h[2] ** 2
    table = table_of([5 + c * s**2 + s**4 for s in h])
    assert abs(float(table.value) - 5) <= float(table.error)


def test_nor_are_two_extrapolated_values():
    """The first extrapolation removes s^2; what it makes of d s^4 + s^6 is the same at two steps for one d."""
    h = [Fraction(1, 4**n) for n in range(3)]

    def extrapolated(power):
        first = [s**power for s in h]
        return [b + (b - a) / 15 for a, b in pairwise(first)]

    fourth, sixth = extrapolated(4), extrapolated(6)
    d = -(sixth[1] - sixth[0]) / (fourth[1] - fourth[0])
    table = table_of([5 + s**2 + d * s**4 + s**6 for s in h])
    assert abs(float(table.value) - 5) <= float(table.error)


def test_no_extrapolation_from_one_step_to_the_next_alone():
    table = table_of([3, 3])
    assert table.error == np.inf
