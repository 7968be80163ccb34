"""Declarations hold where they are true, and where they are not the verdict says what was measured."""

import numpy as np
import pytest

from minigrad.errors import InputError
from verify.gradients import SMOOTH, Declaration, check, jump, kink, surrogate

X = np.array([0.0, 1.5, -0.7])


def relu(x):
    return np.maximum(x, 0)


def relu_vjp(at_zero):
    return lambda gy, x: (gy * np.where(x == 0, at_zero, x > 0),)


def relu_jvp(at_zero):
    return lambda t, x: t[0] * np.where(x == 0, at_zero, x > 0)


def relu_check(at_zero, declaration, x=X):
    return check(relu, (x,), vjp=relu_vjp(at_zero), jvp=relu_jvp(at_zero), declaration=declaration)


@pytest.mark.parametrize("at_zero", [0.0, 0.5, 1.0, 0.3])
def test_every_subgradient_holds_where_a_kink_is_declared_and_only_the_pick_where_it_is_too(at_zero):
    assert relu_check(at_zero, kink()).passed
    assert relu_check(at_zero, kink(at_zero)).passed
    assert not relu_check(at_zero, kink((at_zero + 0.5) % 1 + 1e-6)).passed


@pytest.mark.parametrize("at_zero", [-0.01, 1.01, -1.0, np.nan])
def test_no_other_number_is_a_subgradient(at_zero):
    verdict = relu_check(at_zero, kink())
    assert verdict["reverse"].status == "wrong"
    assert verdict["forward"].status == "wrong"
    assert verdict["reverse"].failure.index == (0,)


def test_what_is_smooth_there_stays_under_test_where_a_kink_is_declared():
    verdict = check(relu, (X,), vjp=lambda gy, x: (gy * (x > -1),), declaration=kink())
    assert verdict["reverse"].failure.index == (2,)


def test_an_undeclared_kink_is_reported_with_its_slopes():
    verdict = relu_check(0.25, SMOOTH)
    assert verdict["reverse"].status == verdict["forward"].status == "not differentiable"
    assert not verdict.passed
    assert relu_check(np.nan, SMOOTH, X[:1])["reverse"].status == "wrong"
    reason = verdict["forward"].failure.reason
    assert "not differentiable here: one-sided slopes 0 and 1, gradient given 0.25" in reason
    with pytest.raises(AssertionError, match="one-sided slopes 0 and 1"):
        verdict.require()


def test_a_negative_bend_too():
    verdict = check(lambda x: -np.abs(x), (X,), vjp=lambda gy, x: (-gy * np.sign(x),), declaration=kink(0.5))
    assert verdict.passed
    verdict = check(
        lambda x: -np.abs(x), (X,), vjp=lambda gy, x: (-gy * np.where(x >= 0, 1, -1),), declaration=kink(0.5)
    )
    assert not verdict.passed


def test_jumps():
    step = lambda x: np.where(x >= 0, 1.0, 0.0)  # noqa: E731
    zero = lambda gy, x: (np.zeros_like(x),)  # noqa: E731
    assert check(step, (X,), vjp=zero, declaration=jump(0.0)).passed
    assert check(step, (X,), vjp=zero, declaration=jump()).passed
    assert "the function jumps" in check(step, (X,), vjp=zero)["reverse"].failure.reason
    assert not check(step, (X,), vjp=zero, declaration=kink()).passed
    beside = lambda t, x: t[0] * (x == 0)  # noqa: E731
    assert check(step, (X,), jvp=beside, declaration=jump(1.0)).passed
    assert not check(step, (X,), jvp=beside, declaration=jump(0.5)).passed
    assert not check(step, (X,), jvp=lambda t, x: t[0] * np.nan, declaration=jump()).passed


def test_a_straight_through_gradient_is_that_of_its_surrogate():
    x = np.array([0.2, 1.7, -2.4])
    through = lambda gy, x: (gy,)  # noqa: E731
    verdict = check(np.round, (x,), vjp=through, declaration=surrogate("identity", lambda x: x * 1))
    assert verdict.passed
    assert "the gradient of identity" in str(verdict)
    assert not check(np.round, (x,), vjp=through).passed
    clipped = surrogate("clip", lambda x: np.clip(x, -2, 2))
    assert check(np.round, (x,), vjp=through, declaration=clipped)["reverse"].failure.index == (2,)
    assert check(np.round, (x,), vjp=lambda gy, x: (gy * (np.abs(x) < 2),), declaration=clipped).passed


def test_bad_declarations():
    with pytest.raises(InputError, match="pick: expected a share"):
        kink(1.5)
    with pytest.raises(InputError, match="declaration: expected smooth"):
        Declaration("rough")
    with pytest.raises(InputError, match="a surrogate, and only that"):
        Declaration("surrogate")
    with pytest.raises(InputError, match=r"surrogate: expected a value of shape \(3,\)"):
        check(np.round, (X,), vjp=lambda gy, x: (gy,), declaration=surrogate("sum", lambda x: x.sum()))
