"""Schedules against their formulas."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import InputError
from minigrad.optim import constant, cosine, exponential, multi_step, one_cycle, step, warmup
from minigrad.optim.numbers import integer_power
from minigrad.optim.schedule import SCHEDULES, named_schedule


@given(st.integers(1, 10_000), st.data())
def test_cosine_is_a_cosine(steps: int, data: st.DataObject) -> None:
    n, least = data.draw(st.integers(0, steps + 10)), data.draw(st.sampled_from([0.0, 0.1]))
    expected = least + 0.5 * (0.3 - least) * (1 + math.cos(math.pi * min(n, steps) / steps))
    assert cosine(0.3, steps, least=least)(n) == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("name", SCHEDULES)
def test_no_schedule_falls_below_zero(name: str) -> None:
    """A cosine of pi that is a little below -1 gave a negative rate at the end."""
    given_options: dict[str, dict[str, Any]] = {"step": {"every": 7}, "exponential": {"factor": 0.5}}
    for steps in (1, 2, 3, 10, 97, 1000):
        at = named_schedule(name, 0.1, steps, given_options.get(name, {}))
        assert all(at(n) >= 0 for n in range(steps + 2))


def test_constant_step_multi_step_and_exponential() -> None:
    assert [constant(0.3)(n) for n in (0, 1000)] == [0.3, 0.3]
    assert [step(1.0, every=3, factor=0.5)(n) for n in range(8)] == [1.0] * 3 + [0.5] * 3 + [0.25] * 2
    at = multi_step(1.0, milestones=[3, 5], factor=0.5)
    assert [at(n) for n in range(7)] == [1.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    assert [exponential(4.0, factor=0.5)(n) for n in range(4)] == [4.0, 2.0, 1.0, 0.5]


@given(st.floats(0, 2), st.integers(0, 5000))
def test_integer_powers(base: float, exponent: int) -> None:
    """Squaring k times makes relative errors below exponent ulp."""
    assert integer_power(base, 3) == base * (base * base)
    try:
        expected = base**exponent
    except OverflowError:
        expected = math.inf
    tiny = 2.0**-1022
    assert integer_power(base, exponent) == pytest.approx(expected, rel=(exponent + 1) * 2.0**-52, abs=tiny)


@given(st.integers(1, 400), st.sampled_from([0.0, 0.1, 0.3, 0.5]), st.booleans(), st.sampled_from([2, 3]))
def test_one_cycle_goes_through_its_corners(steps: int, rise: float, linear: bool, phases: int) -> None:
    at = one_cycle(2.0, steps, rise=rise, start=4.0, end=8.0, anneal="linear" if linear else "cosine", phases=phases)
    top, last = rise * steps - 1, steps - 1
    corners = [(0.0, 0.5), (top, 2.0)] + [(2 * top, 0.5)] * (phases == 3) + [(last, 0.0625)]
    for n in range(steps):
        index = next(k for k in range(1, len(corners)) if n <= corners[k][0])
        (left, before), (right, after) = corners[index - 1 : index + 1]
        if right == left:
            continue
        part = (n - left) / (right - left)
        weight = part if linear else (1 - math.cos(math.pi * part)) / 2
        assert at(n) == pytest.approx((1 - weight) * before + weight * after, rel=1e-12)
    assert at(steps) == at(last)
    if steps > 1:
        assert at(last) == pytest.approx(0.0625, rel=1e-12)


def test_one_cycle_by_hand() -> None:
    linear = one_cycle(1.0, 11, rise=5 / 11, start=4.0, end=4.0, anneal="linear")
    assert [linear(n) for n in (0, 2, 4, 7, 10)] == pytest.approx([0.25, 0.625, 1.0, 0.53125, 0.0625])
    three = one_cycle(1.0, 11, rise=5 / 11, start=4.0, end=4.0, anneal="linear", phases=3)
    assert [three(n) for n in (0, 2, 4, 6, 8, 9, 10)] == pytest.approx([0.25, 0.625, 1, 0.625, 0.25, 0.15625, 0.0625])
    default = one_cycle(1.0, 100)
    assert [default(n) for n in (0, 29, 99)] == pytest.approx([0.04, 1.0, 4e-6])


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_warmup_rises_in_equal_steps_to_the_schedule(steps: int) -> None:
    inner = cosine(0.6, 10)
    at = warmup(inner, steps)
    rates = [at(n) for n in range(steps + 1)]
    assert rates == pytest.approx([0.6 * (n + 1) / (steps + 1) for n in range(steps + 1)])
    assert [at(steps + n) for n in range(11)] == [inner(n) for n in range(11)]
    assert warmup(inner, 0)(0) == inner(0)


def test_named_schedules_end_with_the_run() -> None:
    assert named_schedule("cosine", 1.0, 12, {}, rise=4)(8) == pytest.approx(0.5)
    assert named_schedule("one_cycle", 1.0, 12, {"start": 2.0}, rise=2)(2) == pytest.approx(0.5)
    rates = [named_schedule("multi_step", 1.0, 8, {})(n) for n in range(8)]
    assert rates == pytest.approx([1.0] * 4 + [0.1] * 2 + [0.01] * 2)
    rates = [named_schedule("multi_step", 1.0, 8, {"milestones": [1], "factor": 0.5})(n) for n in range(3)]
    assert rates == [1.0, 0.5, 0.5]
    assert named_schedule("step", 1.0, 8, {"every": 2})(3) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("function", "arguments", "options", "message"),
    [
        (cosine, (0.1, 0), {}, "steps: expected a whole number of at least 1, got 0"),
        (cosine, (0.1, 2.5), {}, "steps: expected a whole number of at least 1, got 2.5"),
        (cosine, (0.1, 5), {"least": -1}, "least: expected a finite number of at least 0, got -1"),
        (constant, (float("nan"),), {}, "rate: expected a finite number of at least 0, got nan"),
        (step, (0.1,), {"every": 0}, "every: expected a whole number of at least 1, got 0"),
        (step, (0.1,), {"every": 1, "factor": "x"}, "factor: expected a finite number of at least 0, got 'x'"),
        (exponential, (0.1,), {"factor": -1.0}, "factor: expected a finite number of at least 0, got -1.0"),
        (multi_step, (0.1,), {"milestones": [5, 2]}, r"milestones: expected ascending steps, got \[5, 2\]"),
        (multi_step, (0.1,), {"milestones": [0.5]}, "milestones: expected a whole number of at least 0, got 0.5"),
        (multi_step, (0.1,), {"milestones": 3}, "milestones: expected a list of steps, got 3"),
        (one_cycle, (0.1, 5), {"rise": 1.5}, "rise: expected at most 1.0 with 2 phases, got 1.5"),
        (one_cycle, (0.1, 5), {"rise": 0.6, "phases": 3}, "rise: expected at most 0.5 with 3 phases, got 0.6"),
        (one_cycle, (0.1, 5), {"start": 0.5}, "start: expected a finite number of at least 1, got 0.5"),
        (one_cycle, (0.1, 5), {"end": 0}, "end: expected a finite number of at least 1, got 0"),
        (one_cycle, (0.1, 5), {"anneal": "cos"}, "anneal: expected 'cosine' or 'linear', got 'cos'"),
        (one_cycle, (0.1, 5), {"phases": 1}, "phases: expected 2 or 3, got 1"),
        (warmup, (constant(0.1), -1), {}, "steps: expected a whole number of at least 0, got -1"),
        (constant(0.1), (-1,), {}, "step: expected a whole number of at least 0, got -1"),
        (warmup(cosine(0.1, 5), 2), (1.5,), {}, "step: expected a whole number of at least 0, got 1.5"),
        (named_schedule, ("linear", 0.1, 5, {}), {}, "schedule: expected one of constant, cosine, .*, got 'linear'"),
        (named_schedule, ("cosine", 0.1, 5, {}), {"rise": 5}, "warmup: expected less than the run's 5 steps, got 5"),
        (
            named_schedule,
            ("cosine", 0.1, 5, {"low": 1}),
            {},
            "schedule cosine: expected options among least, got 'low'",
        ),
        (named_schedule, ("constant", 0.1, 5, {"x": 1}), {}, "schedule constant: expected options among none, got 'x'"),
        (named_schedule, ("step", 0.1, 5, {}), {}, "schedule step: option 'every' is missing"),
    ],
)
def test_bad_arguments_are_named(function: Any, arguments: tuple[Any, ...], options: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}$"):
        function(*arguments, **options)
