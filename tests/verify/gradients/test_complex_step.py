"""The complex step is exact where it is allowed, and allowed only where it is exact."""

import numpy as np
import pytest

from verify.gradients import check
from verify.gradients.complex_step import ComplexStep, NotAllowed
from verify.gradients.noise import measure_noise
from verify.gradients.problem import Problem

X = np.array([0.7, -1.2, 0.3, 2.1])
D = np.array([0.5, -0.7, 0.2, 1.4])

ANALYTIC = {
    "sin": (np.sin, np.cos),
    "exp of a square": (lambda x: np.exp(-x * x), lambda x: -2 * x * np.exp(-x * x)),
    "quotient": (lambda x: x / (1 + x * x), lambda x: (1 - x * x) / (1 + x * x) ** 2),
    "log": (lambda x: np.log(3 + x), lambda x: 1 / (3 + x)),
    "linear": (lambda x: 2 * x, lambda x: np.full_like(x, 2)),
    "constant": (lambda x: 0 * x + 1, np.zeros_like),
}

NOT_ANALYTIC = {
    "abs": np.abs,
    "real part": lambda x: np.real(x) + 0 * x,
    "square of the modulus": lambda x: x * np.conj(x),
    "a conjugate inside": lambda x: np.sin(x) + 1e-3 * np.conj(x) * x,
    "norm": lambda x: x / np.sqrt(np.sum(np.abs(x) ** 2)),
    "a comparison": lambda x: np.where(np.abs(x) > 0.3, x, np.conj(x)),
    "not real at real numbers": lambda x: np.sqrt(x + 0j) if np.iscomplexobj(x) else np.sqrt(np.abs(x)),
    "the cast warns": lambda x: x.astype(np.float64) * 2,
    "it raises": lambda x: np.sin(x) if not np.iscomplexobj(x) else [][0],
    "real output": lambda x: np.sin(x.real),
    "imaginary beside the real numbers": lambda x: np.sin(x) + 1e-3j * (x - X) if np.iscomplexobj(x) else np.sin(x),
    "another one at tiny steps": lambda x: np.where(np.abs(x.imag).max() < 1e-25, np.sin(x.real), np.sin(x)),
    "not the same function": lambda x: np.sin(x) if not np.iscomplexobj(x) else np.cos(x),
}


def step_of(function, x=X, direction=D):
    problem = Problem(function, (x,))
    noise = measure_noise(problem.evaluate, problem.point, problem.unit, problem.epsilon)
    return ComplexStep(problem).derivative(direction, noise.bound)


@pytest.mark.parametrize("name", ANALYTIC)
def test_it_is_exact(name):
    function, derivative = ANALYTIC[name]
    value, error = step_of(function)
    assert (np.abs(value - derivative(X) * D) <= error).all()
    assert (error <= 1e-14 * (1 + np.abs(value))).all()


@pytest.mark.parametrize("name", NOT_ANALYTIC)
def test_it_is_not_allowed(name):
    with pytest.raises(NotAllowed):
        step_of(NOT_ANALYTIC[name])


def test_float32_has_no_need_of_it():
    with pytest.raises(NotAllowed, match="float64"):
        step_of(np.sin, X.astype(np.float32))


@pytest.mark.parametrize("rule", ["vjp", "jvp"])
def test_check_uses_it_beyond_what_differences_see(rule):
    """1e-13 is far below the error of any difference quotient."""
    for off, status in ((1e-13, "wrong"), (0.0, "right")):
        rules = {
            "vjp": lambda gy, x, off=off: (gy * np.cos(x) * (1 + off),),
            "jvp": lambda t, x, off=off: t[0] * np.cos(x) * (1 + off),
        }
        verdict = check(np.sin, (X,), **{rule: rules[rule]})
        assert verdict["complex step"].status == status
        assert verdict["reverse" if rule == "vjp" else "forward"].status == "right"


def test_check_does_not_judge_where_it_is_not_allowed():
    verdict = check(np.abs, (X,), vjp=lambda gy, x: (gy * np.sign(x),))
    assert verdict["complex step"].status == "not allowed"
    assert verdict["complex step"].note
    assert verdict.passed
