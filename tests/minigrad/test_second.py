"""Gradients of gradients: exact on polynomials, where a difference has no error; what is refused, and by which name."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import quant  # noqa: F401  registers the quantizers' primitives
from minigrad import InputError, Tensor, apply, functional, grad
from minigrad.derivatives import hvp, jvp
from minigrad.primitive import PRIMITIVES
from minigrad.second import vjp_of

Arrays = tuple[np.ndarray, ...]


def leaf(*values: float) -> Tensor:
    return Tensor(np.array(values), requires_grad=True)


def cubic(x: Tensor) -> Tensor:
    return (x * x * x).sum()


# ---- polynomials of degree 3 with small whole numbers: every operation is exact, and so are their differences

LINEAR: list[Callable[[Tensor], Tensor]] = [
    lambda t: -t,
    lambda t: t * 3.0 - t,
    lambda t: t.transpose(),
    lambda t: t.reshape(2, 2, 1)[::-1].reshape(2, 2),
    lambda t: functional.pad(t, 1, 2.0)[1:3, :2],
    lambda t: functional.concatenate(t[1:], t[:1], axis=0),
    lambda t: t.sum(0) + functional.broadcast_to(t.sum(1, keepdims=True), (2, 2)),
    lambda t: t - t.mean(axis=1, keepdims=True) * 2.0,
    lambda t: functional.gather(t, np.array([[0, 0], [1, 0]]), axis=1),
    lambda t: functional.stack(t[0], t[1], axis=1),
    lambda t: 2.0 - t / 2.0,
]
PRODUCTS: list[Callable[[Tensor, Tensor], Tensor]] = [
    lambda a, b: a * b,
    lambda a, b: a @ b,
    lambda a, b: functional.linear(a, b),
    lambda a, b: a[0] * b,
    lambda a, b: a.sum() * b,
    lambda a, b: functional.conv2d(a.reshape(1, 2, 2, 1), b.reshape(2, 2, 1, 1), padding=1)[0, :2, 1:, 0],
]
PLANS = st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=8)
MATRICES = st.lists(st.integers(-2, 2), min_size=16, max_size=16).map(
    lambda values: np.array(values, np.float64).reshape(4, 2, 2)
)


def polynomial(plan: list[tuple[int, int, int]]) -> Callable[[Tensor, Tensor], Tensor]:
    """A polynomial of degree 3 at most in two matrices; the plan says which operation comes next, and of what."""

    def function(x: Tensor, y: Tensor) -> Tensor:
        made = [(x, 1), (y, 1)]
        for operation, first, second in plan:
            a, degree = made[first % len(made)]
            b, other = made[-1 - second % len(made)]
            if operation % 2 and degree + other <= 3:
                made.append((PRODUCTS[operation % len(PRODUCTS)](a, b), degree + other))
            elif operation % 3:
                made.append((LINEAR[operation % len(LINEAR)](a), degree))
            else:
                made.append((a + b, max(degree, other)))
        return sum((t.sum() for t, _ in made[-3:]), Tensor(0.0))

    return function


def gradients(function: Callable[..., Tensor], point: Arrays) -> Arrays:
    leaves = [Tensor(p, requires_grad=True) for p in point]
    return grad(function(*leaves), leaves)


@given(PLANS, MATRICES)
def test_polynomials_have_the_derivatives_of_their_differences(
    plan: list[tuple[int, int, int]], matrices: np.ndarray
) -> None:
    function, point, along = polynomial(plan), matrices[:2], matrices[2:]

    def value(t: float) -> float:
        return function(*(Tensor(p + t * d) for p, d in zip(point, along, strict=True))).item()

    def gradient(t: float) -> Arrays:
        return gradients(function, tuple(p + t * d for p, d in zip(point, along, strict=True)))

    slope = (8 * (value(1.0) - value(-1.0)) - (value(2.0) - value(-2.0))) / 12
    bend = [(a - b) / 2 for a, b in zip(gradient(1.0), gradient(-1.0), strict=True)]
    assert sum(float((g * d).sum()) for g, d in zip(gradient(0.0), along, strict=True)) == slope
    assert jvp(function, list(point), list(along))[1] == slope
    products = hvp(function, list(point), list(along))
    assert [p.tolist() for p in products] == [b.tolist() for b in bend]
    # A penalty on the gradient: half the gradient of |g|^2 is the Hessian times g.
    leaves = [Tensor(p, requires_grad=True) for p in point]
    found = grad(function(*leaves), leaves, create_graph=True)
    penalty = sum(((g * g).sum() for g in found), Tensor(0.0))
    if penalty.requires_grad:
        penalty.backward()
        expected = hvp(function, list(point), [g.data for g in found])
        assert [np.array(t.grad).tolist() for t in leaves if t.grad is not None] == [
            (2 * e).tolist() for t, e in zip(leaves, expected, strict=True) if t.grad is not None
        ]
        assert all(not e.any() for t, e in zip(leaves, expected, strict=True) if t.grad is None)


# ---- closed forms


SMOOTH: list[tuple[str, Any, Any]] = [  # name, the second derivative, its error's scale
    ("exp", np.exp, np.exp),
    ("tanh", lambda x: -2 * np.tanh(x) * (1 - np.tanh(x) ** 2), lambda x: 2 + 0 * x),
    ("log", lambda x: -1 / x**2, lambda x: 1 / x**2),
    ("sqrt", lambda x: -0.25 * x**-1.5, lambda x: x**-1.5),
]


@pytest.mark.parametrize(("name", "bend", "scale"), SMOOTH)
def test_second_derivatives_of_functions_of_one_element(name: str, bend: Any, scale: Any) -> None:
    x = Tensor(np.linspace(0.1, 3.0, 11), requires_grad=True)
    (g,) = grad(apply(name, x).sum(), [x], create_graph=True)
    (h,) = grad(g.sum(), [x])
    assert np.all(np.abs(h - bend(x.data)) <= 32 * 2.0**-52 * scale(x.data))


def test_powers_have_second_derivatives_at_zero() -> None:
    x = leaf(0.0, -1.0, 2.0)
    for exponent, expected in ((2, [2.0, 2.0, 2.0]), (3.0, [0.0, -6.0, 12.0]), (1, [0.0] * 3), (0, [0.0] * 3)):
        (g,) = grad((x**exponent).sum(), [x], create_graph=True)
        assert grad(g.sum(), [x])[0].tolist() == expected


def test_a_gradient_can_be_differentiated() -> None:
    x = leaf(2.0, -3.0)
    (g,) = grad(cubic(x), [x], create_graph=True)
    assert g.data.tolist() == [12.0, 27.0]
    (h,) = grad(g.sum(), [x])
    assert h.tolist() == [12.0, -18.0]


def test_a_penalty_on_the_gradient_trains() -> None:
    x = leaf(2.0)
    (g,) = grad(cubic(x), [x], create_graph=True)
    (g * g).sum().backward()  # d/dx (3 x^2)^2 = 36 x^3
    assert x.grad is not None
    assert x.grad.tolist() == [288.0]


def test_a_whole_hessian_row_by_row() -> None:
    x, y = leaf(2.0), leaf(5.0)
    found = grad((x * x * y).sum(), [x, y], create_graph=True)
    rows = [[h.item() for h in grad(g, [x, y], retain_graph=True)] for g in found]
    assert rows == [[10.0, 4.0], [4.0, 0.0]]


def test_a_gradient_is_linear_in_the_incoming_one() -> None:
    """Differentiating by the incoming gradient is the derivative along a direction: two walks back make one forward."""
    x, v = leaf(0.5, -2.0), Tensor(np.ones(2), requires_grad=True)
    (g,) = grad(x * x * x, [x], gradient=v, create_graph=True)
    (along,) = grad(g, [v], gradient=np.array([2.0, 3.0]))
    assert along.tolist() == [3 * 0.25 * 2.0, 3 * 4.0 * 3.0]


def test_hooks_are_part_of_the_graph() -> None:
    x = leaf(2.0)
    y = x * x
    y.register_hook(lambda g: g * x if isinstance(g, Tensor) else None)
    (g,) = grad((y * y).sum(), [x], create_graph=True)  # 2 y x 2 x = 4 x^4
    assert g.item() == 64.0
    assert grad(g, [x])[0].tolist() == [128.0]


def test_observers_are_shown_one_forward_only() -> None:
    calls: list[np.ndarray] = []
    x = Tensor(np.random.default_rng(0).standard_normal((4, 3)), requires_grad=True)
    gamma, beta = Tensor(np.ones(3)), Tensor(np.zeros(3))
    y = apply("batch_norm", x, gamma, beta, observe=lambda mean, variance: calls.append(mean))
    (g,) = grad((y * y * y).sum(), [x], create_graph=True)
    grad((g * g).sum(), [x])
    assert len(calls) == 1


# ---- what is refused


def test_the_third_derivative_is_refused_by_name() -> None:
    x = leaf(2.0)
    (g,) = grad(cubic(x), [x], create_graph=True)
    (h,) = grad(g.sum(), [x], create_graph=True)
    with pytest.raises(InputError, match="sum_vjp0: has no second derivative"):
        grad(h.sum(), [x])


def test_a_primitive_without_second_derivative_says_so() -> None:
    x = leaf(0.3)
    l, u, alpha = (Tensor(np.array(v)) for v in (-1.0, 1.0, 0.2))
    (g,) = grad(apply("dsq_soft", x, l, u, alpha, bits=2).sum(), [x], create_graph=True)
    with pytest.raises(InputError, match="dsq_soft: has no second derivative"):
        grad(g.sum(), [x])


def test_what_has_no_gradient_has_no_second_one() -> None:
    x, scale = Tensor(np.ones((4, 2)), requires_grad=True), Tensor(np.ones(2), requires_grad=True)
    one = np.ones(2)
    (g,) = grad(apply("affine_norm", x, scale, one, one, one).sum(), [x], create_graph=True)
    assert grad(g.sum(), [scale])[0].shape == (2,)
    positions = vjp_of(PRIMITIVES["affine_norm"], 0).differentiable
    assert positions == (0, 1, 2, 3)  # the incoming gradient, x, gamma, beta


def test_only_the_gradient_that_is_wanted_is_computed() -> None:
    asked: list[list[bool]] = []
    matmul = PRIMITIVES["matmul"]

    def vjp(gy: np.ndarray, residuals: Any, needs: list[bool]) -> Any:
        asked.append(list(needs))
        return matmul.vjp(gy, residuals, needs)

    x, y = Tensor(np.ones((2, 2)), requires_grad=True), Tensor(np.ones((2, 2)), requires_grad=True)
    grad(apply(replace(matmul, vjp=vjp), x, y).sum(), [y], create_graph=True)
    assert asked == [[False, True]]


def test_the_gradient_of_a_rule_is_made_once() -> None:
    assert vjp_of(PRIMITIVES["exp"], 0) is vjp_of(PRIMITIVES["exp"], 0)
    with pytest.raises(InputError, match="exp: its gradient is no entry of the registry"):
        vjp_of(PRIMITIVES["exp"], 0).examples(None, None)  # type: ignore[arg-type]
