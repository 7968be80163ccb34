"""SGD against its formula, schedules against theirs."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import InputError
from minigrad.nn import Module, Parameter
from minigrad.optim import SGD, Group, cosine, step


class Two(Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = Parameter(np.array([1.0, 2.0]))
        self.b = Parameter(np.array([3.0]), group="norm")


def test_sgd_is_its_formula() -> None:
    model = Two()
    optimizer = SGD(model, {"weight": Group(0.5, weight_decay=0.1), "norm": Group(clip=0.2)}, momentum=0.9)
    a, b = np.array([1.0, 2.0]), np.array([3.0])
    va, vb = np.zeros(2), np.zeros(1)
    for n in range(5):
        ga, gb = np.array([0.3, -0.4]) * n, np.array([1.0 * n])
        model.a.grad, model.b.grad = ga, gb
        optimizer.step(0.1)
        va = 0.9 * va + ga + 0.1 * a
        a = a - 0.05 * va
        vb = 0.9 * vb + np.clip(gb, -0.2, 0.2)
        b = b - 0.1 * vb
    assert np.allclose(model.a.data, a, rtol=1e-14)
    assert np.allclose(model.b.data, b, rtol=1e-14)


def test_a_parameter_without_gradient_stays() -> None:
    model = Two()
    optimizer = SGD(model, {"weight": Group(weight_decay=1.0), "norm": Group()})
    model.b.grad = np.array([1.0])
    optimizer.step(0.5)
    assert model.a.data.tolist() == [1.0, 2.0]
    assert model.b.data.tolist() == [2.5]


def test_bad_settings_are_named() -> None:
    with pytest.raises(InputError, match="groups: no settings for group 'norm' of parameter b"):
        SGD(Two(), {"weight": Group()})
    with pytest.raises(InputError, match="momentum: expected 0 <= momentum < 1, got 1"):
        SGD(Two(), {"weight": Group(), "norm": Group()}, momentum=1)
    with pytest.raises(InputError, match="steps: expected at least 1, got 0"):
        cosine(0.1, 0)
    with pytest.raises(InputError, match="milestones: expected ascending"):
        step(0.1, [5, 2])


@given(st.integers(1, 10_000), st.data())
def test_cosine_is_a_cosine(steps: int, data: st.DataObject) -> None:
    n = data.draw(st.integers(0, steps + 10))
    expected = 0.5 * 0.3 * (1 + math.cos(math.pi * min(n, steps) / steps))
    assert cosine(0.3, steps)(n) == pytest.approx(expected, abs=1e-14)


def test_step_schedule() -> None:
    at = step(1.0, [3, 5], factor=0.5)
    assert [at(n) for n in range(7)] == [1.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
