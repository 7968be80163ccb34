"""The stated probabilities are those with which wrong elements are found; groups find one in 100,000."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.errors import InputError
from verify.gradients import check
from verify.gradients.noise import measure_noise
from verify.gradients.orders import _with_groups
from verify.gradients.problem import Problem
from verify.gradients.sampling import DRAWS, Groups, _Tester, detection_probability, sample_elements
from verify.gradients.verdict import Result


@given(st.integers(1, 60), st.data())
def test_the_probability_is_the_hypergeometric_one(elements, data):
    wrong, sampled = (data.draw(st.integers(0, elements)) for _ in range(2))
    exact = 1 - Fraction(math.comb(elements - wrong, sampled), math.comb(elements, sampled))
    assert detection_probability(elements, wrong, sampled) == pytest.approx(float(exact), rel=1e-12, abs=1e-15)


def test_bad_counts():
    for counts in ((10, 11, 1), (10, 1, 11), (10, -1, 1)):
        with pytest.raises(InputError, match="expected 0 to 10"):
            detection_probability(*counts)


@pytest.mark.parametrize(
    ("elements", "wrong", "sampled"),
    [(10, 1, 3), (400, 1, 40), (400, 3, 100), (10_000, 10, 250), (100_000, 1, 5_000), (100_000, 100, 1_000)],
)
def test_wrong_elements_are_in_the_sample_as_often_as_stated(elements, wrong, sampled):
    """2,000 times: the share is within 5 standard deviations."""
    rng = np.random.default_rng(elements + wrong)
    stated = detection_probability(elements, wrong, sampled)
    found = 0
    for _ in range(2000):
        bad = rng.choice(elements, wrong, replace=False)
        found += np.isin(bad, sample_elements(elements, sampled, rng), assume_unique=True).any()
    assert abs(found / 2000 - stated) <= 5 * math.sqrt(stated * (1 - stated) / 2000) + 1e-9


def test_a_sample_has_different_elements_of_all():
    rng = np.random.default_rng(0)
    sample = sample_elements(1000, 600, rng)
    assert len(set(sample.tolist())) == 600 and sample.min() >= 0 and sample.max() < 1000
    counts = sum(np.bincount(sample_elements(20, 5, rng), minlength=20) for _ in range(4000))
    assert np.abs(counts - 1000).max() < 6 * math.sqrt(1000)


def total(x):
    """Every element moves the value, so that no element can be looked at apart from the others."""
    return np.sum(np.sin(x), dtype=x.dtype) + np.sum(x[::2] * x[1::2], dtype=x.dtype)


def total_vjp(gy, x):
    g = np.cos(x)
    g[::2] += x[1::2]
    g[1::2] += x[::2]
    return (gy * g,)


def planted(vjp, elements, change):
    def wrong(gy, *args):
        first, *rest = vjp(gy, *args)
        g = np.array(first)
        g.flat[elements] = change(g.flat[elements])
        return (g, *rest)

    return wrong


@pytest.mark.parametrize("size", [2_000, 100_000])
def test_one_wrong_element_of_many_is_found_by_groups(size):
    rng = np.random.default_rng(size)
    x = rng.normal(size=size)
    for element in rng.choice(size, 1 if size > 20_000 else 2):
        wrong = planted(total_vjp, [element], lambda g: g + 1e-3)
        verdict = check(total, (x,), vjp=wrong, budget=2_000)
        assert verdict["reverse"].failure.index == (element,)
        assert verdict["reverse"].failure.rate == pytest.approx(1, abs=0.1)
    if size > 20_000:
        return
    verdict = check(total, (x,), vjp=total_vjp, budget=2_000)
    assert verdict.passed
    assert "1 groups, 2 draws: one alone in its group is seen if it is off by" in verdict["reverse"].note
    assert "; 25 alone: " in verdict["reverse"].note


@pytest.mark.parametrize("factor", [1.5, 0.5, -1.0, np.nan])
def test_several_wrong_elements_too(factor):
    x = np.random.default_rng(5).normal(size=5_000)
    wrong = planted(total_vjp, [7, 8, 4_000], lambda g: g * factor)
    assert not check(total, (x,), vjp=wrong, budget=2_000)["reverse"].passed


def test_float32_is_as_strict_as_its_noise_allows():
    x = np.random.default_rng(6).normal(size=3_000).astype(np.float32)
    verdict = check(total, (x,), vjp=total_vjp, budget=4_000)
    assert verdict.passed
    assert verdict.evaluations < 2_500, "halving a group whose noise is that of the whole is of no use"
    wrong = planted(total_vjp, [17], lambda g: g + np.float32(2))
    assert not check(total, (x,), vjp=wrong, budget=4_000)["reverse"].passed


def test_groups_that_disagree_or_do_not_settle_are_not_passed_over():
    problem = Problem(total, (np.ones(8),))
    right = Result("reverse", "right", 8)
    plain = Groups((), (), 3, np.full(8, 1e-9), 0, 1e-10)
    assert _with_groups(right, plain, problem, "") is right
    together = _with_groups(right, replace(plain, unexplained=((4, 7),)), problem, "the code")
    assert together.status == "wrong"
    assert "among elements 4 to 7 together" in together.failure.reason and together.failure.snippet == "the code"
    open_ends = _with_groups(right, replace(plain, undecided=1), problem, "")
    assert open_ends.status == "undecided" and "a larger budget" in open_ends.note


def test_an_element_too_near_a_kink_is_isolated():
    """Only one of 3,000 elements is on the kink; the rest is judged all the same."""
    x = np.random.default_rng(8).normal(size=3_000)
    x[1234] = 0
    function = lambda x: np.sum(np.abs(x)) + 0 * np.sum(x) ** 2  # noqa: E731
    verdict = check(function, (x,), vjp=lambda gy, x: (gy * np.sign(x),), budget=4_000)
    assert verdict["reverse"].status == "not differentiable"
    assert verdict["reverse"].failure.index == (1234,)


def test_two_equal_mistakes_in_one_group_do_not_hide_each_other():
    """Random shares, not signs alone: with signs, half of the draws would miss them."""
    x = np.random.default_rng(9).uniform(0.5, 1, 64)
    problem = Problem(total, (x,))
    noise = measure_noise(problem.evaluate, problem.point, problem.unit, problem.epsilon)
    gradient = total_vjp(1.0, x)[0]
    gradient[[3, 30]] += 1e-4 / problem.reach[[3, 30]]
    missed = 0
    for seed in range(200):
        tester = _Tester(problem, np.ones(1), gradient, noise, noise, np.random.default_rng(seed))
        missed += not tester.test(np.arange(64))[0]
    assert missed == 0
    assert DRAWS == 2


def test_the_miss_probability_bound_holds():
    """Two mistakes of size R E each: at most 4 / R of the draws miss them."""
    x = np.random.default_rng(10).uniform(0.5, 1, 8)
    problem = Problem(total, (x,))
    noise = measure_noise(problem.evaluate, problem.point, problem.unit, problem.epsilon)
    right = total_vjp(1.0, x)[0]
    ratio = 10.0
    error = _Tester(problem, np.ones(1), right, noise, noise, np.random.default_rng(0)).test(np.arange(8))[2]
    gradient = right + ratio * error / problem.reach * np.isin(np.arange(8), [2, 5])
    missed = sum(
        not _Tester(problem, np.ones(1), gradient, noise, noise, np.random.default_rng(seed)).test(np.arange(8))[0]
        for seed in range(300)
    )
    assert missed / 300 <= 4 / ratio + 0.1
