"""Derivatives along a direction, and Hessians times a vector."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad import InputError, Tensor, apply, grad, no_grad
from minigrad.derivatives import hvp, jvp
from minigrad.primitive import Primitive


def cubic(x: Tensor) -> Tensor:
    return (x * x * x).sum()


def test_forward_mode_and_hessian_products_of_a_composite() -> None:
    rng = np.random.default_rng(0)
    primals = (rng.standard_normal((3, 4)), rng.standard_normal((4, 2)))
    tangents = (rng.standard_normal((3, 4)), rng.standard_normal((4, 2)))

    def function(x: Tensor, w: Tensor) -> Tensor:
        return (apply("tanh", apply("linear", x, w)) * w.sum()).sum()

    def closed(t: float) -> float:
        x, w = (p + t * d for p, d in zip(primals, tangents, strict=True))
        return float((np.tanh(x @ w) * w.sum()).sum())

    value, slope = jvp(function, primals, tangents)
    h = 2.0**-10
    assert value == pytest.approx(closed(0.0), rel=1e-14)
    assert slope == pytest.approx((closed(h) - closed(-h)) / (2 * h), rel=1e-4)
    bend = sum(float((t * p).sum()) for t, p in zip(tangents, hvp(function, primals, tangents), strict=True))
    assert bend == pytest.approx((closed(h) - 2 * closed(0.0) + closed(-h)) / h**2, rel=1e-4)


def test_functions_that_do_not_depend_on_their_arguments() -> None:
    one, two = np.ones(2), np.full(2, 2.0)
    value, slope = jvp(lambda x: Tensor(3.0), [one], [one])
    assert (value.item(), slope.item()) == (3.0, 0.0)
    assert hvp(lambda x: Tensor(3.0), [one], [one])[0].tolist() == [0.0, 0.0]
    assert hvp(lambda x: (x * 2.0).sum(), [one], [one])[0].tolist() == [0.0, 0.0]
    products = hvp(lambda x, y: cubic(y), [one, two], [one, one])
    assert [p.tolist() for p in products] == [[0.0, 0.0], [12.0, 12.0]]


def test_values_and_tangents_are_the_callers() -> None:
    primal, tangent = np.ones(2), np.full(2, 3.0)
    value, slope = jvp(lambda x: x, [primal], [tangent])
    value[...] = slope[...] = 7.0
    assert primal.tolist() == [1.0, 1.0]
    assert tangent.tolist() == [3.0, 3.0]
    constant = Tensor(np.ones(2))
    value, _ = jvp(lambda x: constant, [primal], [tangent])
    value[...] = 7.0
    assert constant.data.tolist() == [1.0, 1.0]


def test_float32_stays_float32() -> None:
    primal = np.ones(2, np.float32)
    value, slope = jvp(cubic, [primal], [np.ones(2)])
    assert value.dtype == slope.dtype == hvp(cubic, [primal], [np.ones(2)])[0].dtype == np.float32


def test_infinities_and_nan_come_without_warning() -> None:
    def forward(x: np.ndarray) -> tuple[np.ndarray, None]:
        return x, None

    def unused(*_: object) -> tuple[None]:
        return (None,)

    def along(tangents: tuple[np.ndarray], x: np.ndarray) -> np.ndarray:
        return tangents[0] / (x - x)

    loud = Primitive("loud", forward, unused, along, unused, "", (), unused)  # type: ignore[arg-type]
    _, slope = jvp(lambda x: apply(loud, x) * 2.0, [np.ones(2)], [np.array([-1.0, 0.0])])
    assert slope[0] == -np.inf
    assert np.isnan(slope[1])


def test_they_are_taken_under_no_grad_too() -> None:
    with no_grad():
        assert jvp(cubic, [np.full(1, 2.0)], [np.ones(1)])[1] == 12.0
        assert hvp(cubic, [np.full(1, 2.0)], [np.ones(1)])[0].tolist() == [12.0]


def test_a_gradient_inside_the_function_stays_on_the_tape() -> None:
    def slope(x: Tensor) -> Tensor:
        return grad(cubic(x), [x], create_graph=True)[0].sum()

    assert jvp(slope, [np.full(1, 2.0)], [np.ones(1)])[1] == 12.0


def test_a_tape_used_up_inside_the_function_is_named() -> None:
    def spent(x: Tensor) -> Tensor:
        y = cubic(x)
        y.backward()
        return y

    with pytest.raises(RuntimeError, match="jvp: the function called backward on what its result depends on"):
        jvp(spent, [np.ones(2)], [np.ones(2)])


@pytest.mark.parametrize("derivative", [jvp, hvp])
def test_bad_arguments_are_named(derivative: Callable[..., Any]) -> None:
    one = np.ones(2)
    with pytest.raises(InputError, match="tangents: expected 1, one a primal, got 2"):
        derivative(cubic, [one], [one, one])
    with pytest.raises(InputError, match=r"tangents: number 0 has shape \(3,\), expected \(2,\)"):
        derivative(cubic, [one], [np.ones(3)])
    with pytest.raises(InputError, match=r"primals: expected a sequence of arrays, got one; write \[x\]"):
        derivative(cubic, one, [one])
    with pytest.raises(InputError, match=r"tangents: expected a sequence of arrays, got one; write \[x\]"):
        derivative(cubic, [one], one)
    with pytest.raises(InputError, match="function: expected a Tensor as its result, got float"):
        derivative(lambda x: 1.0, [one], [one])
