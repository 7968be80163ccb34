"""The differences accept right gradients, find wrong ones, and know where they cannot tell."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.errors import InputError
from verify.gradients.differences import check_adjoint, check_gradients, check_jvp, check_vjp

RNG_SEED = 11


def product(x, w, power):
    return np.tanh(x @ w) ** power


def product_vjp(gy, x, w, power):
    t = np.tanh(x @ w)
    inner = gy * power * t ** (power - 1) * (1 - t * t)
    return inner @ w.T, x.T @ inner


def product_jvp(tangents, x, w, power):
    t = np.tanh(x @ w)
    dx, dw = tangents[0], tangents[1]
    return power * t ** (power - 1) * (1 - t * t) * (dx @ w + x @ dw)


def product_args(scale=1.0, seed=RNG_SEED):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(3, 4)) * scale, rng.normal(size=(4, 2)), 2)


def test_a_right_vjp_and_jvp_pass():
    report = check_gradients("product", product, product_vjp, product_args(), jvp=product_jvp)
    assert (report.compared, report.inconclusive) == (12 + 8 + 6, 0)


@given(st.integers(0, 2**32 - 1), st.sampled_from([1e-6, 1e-3, 1.0, 3.0]))
def test_right_gradients_pass_at_every_scale(seed, scale):
    check_gradients("product", product, product_vjp, product_args(scale, seed), seed=seed, jvp=product_jvp)


@pytest.mark.parametrize("size", [1, 10, 1000])
def test_gradients_that_are_zero_by_cancellation_pass(size):
    """softmax does not move when all logits do: every difference is pure noise."""

    def total(x, shift):
        e = np.exp(x + shift)
        return e / e.sum()

    x = np.random.default_rng(RNG_SEED).normal(size=size)
    check_vjp("softmax", total, lambda gy, x, shift: (np.zeros(()),), (x, 0.5), differentiable=(1,))


MUTANTS = {
    "sign": lambda g: (-g[0], g[1]),
    "factor": lambda g: (g[0], 2 * g[1]),
    "slightly off": lambda g: (g[0] * (1 + 1e-7), g[1]),
    "one entry": lambda g: (g[0] + np.eye(*g[0].shape)[:, ::-1] * 1e-6, g[1]),
    "missing": lambda g: (None, g[1]),
    "transposed": lambda g: (g[0], g[1].T.copy().reshape(g[1].shape)),
    "nan": lambda g: (g[0] * np.nan, g[1]),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_wrong_vjp_is_found(mutant):
    with pytest.raises(AssertionError) as caught:
        check_vjp("product", product, lambda *a: MUTANTS[mutant](product_vjp(*a)), product_args())
    message = str(caught.value)
    position = 1 if mutant in ("factor", "transposed") else 0
    assert f"product: the gradient of argument {position}[" in message
    for part in ("analytic", "numeric", "error of the difference quotient", "np.array(", "default_rng(0)"):
        assert part in message


def test_the_snippet_reproduces_the_arguments():
    with pytest.raises(AssertionError) as caught:
        check_vjp("product", product, lambda *a: MUTANTS["sign"](product_vjp(*a)), product_args(), seed=3)
    code = str(caught.value).split("To reproduce:\n")[1]
    scope: dict = {}
    exec(code, scope)
    assert np.array_equal(scope["args"][0], product_args()[0]) and scope["gy"].shape == (3, 2)


@pytest.mark.parametrize("factor", [-1.0, 2.0, 1 + 1e-7])
def test_a_wrong_jvp_is_found(factor):
    with pytest.raises(AssertionError, match="the jvp's entry"):
        check_jvp("product", product, lambda *a: factor * product_jvp(*a), product_args())
    with pytest.raises(AssertionError, match="<gy, jvp"):
        check_adjoint("product", product, product_vjp, lambda *a: factor * product_jvp(*a), product_args())


def test_a_kink_within_a_step_is_inconclusive_not_silently_right():
    x = np.array([1.0, 1e-7, -2.0, 0.5])

    def relu(x):
        return np.maximum(x, 0)

    def relu_vjp(gy, x):
        return (gy * (x > 0),)

    with pytest.raises(AssertionError, match=r"does not settle for 1 of 4 entries \(a kink"):
        check_vjp("relu", relu, relu_vjp, (x,))
    assert check_vjp("relu", relu, relu_vjp, (x,), inconclusive=0.25).inconclusive == 1
    with pytest.raises(AssertionError, match=r"argument 0\[2\] is wrong"):
        check_vjp("relu", relu, lambda gy, x: (gy,), (x,), inconclusive=0.25)


def test_a_gradient_of_the_wrong_shape_or_number():
    with pytest.raises(AssertionError, match=r"shape \(2, 4\), expected \(4, 2\)"):
        check_vjp("product", product, lambda *a: (product_vjp(*a)[0], product_vjp(*a)[1].T), product_args())
    with pytest.raises(AssertionError, match="returned 4 gradients for 2 arguments"):
        check_vjp("product", product, lambda *a: (1, 2, 3, 4), product_args())


def test_scalars_and_undifferentiated_arguments():
    def scaled(x, indices, s):
        return x[indices] * s

    def vjp(gy, x, indices, s):
        dx = np.zeros_like(x)
        np.add.at(dx, indices, gy * s)
        return dx, None, np.sum(gy * x[indices])

    args = (np.array([1.0, -2.0, 4.0]), np.array([0, 2, 2]), 0.5)
    assert check_vjp("scaled", scaled, vjp, args).compared == 4


def test_bad_arguments():
    with pytest.raises(InputError, match="argument 0: expected finite"):
        check_vjp("product", product, product_vjp, (np.array([[np.nan]]), np.ones((1, 1)), 2))


def test_a_function_may_return_a_view_of_its_argument():
    x = np.random.default_rng(RNG_SEED).normal(size=(2, 3))
    transposed = (lambda x: x.T, lambda gy, x: (gy.T,))
    check_gradients("transpose", *transposed, (x,), jvp=lambda tangents, x: tangents[0].T)


def test_gradients_that_cancel_in_a_sum_pass():
    """The noise comes from the terms, not from their sum."""
    for seed in range(50):
        x = np.random.default_rng(seed).normal(size=7)
        x[0] -= x.sum()
        check_gradients(
            "sum",
            lambda x: np.sum(x),
            lambda gy, x: (np.full(7, gy),),
            (x,),
            seed=seed,
            jvp=lambda t, x: np.sum(t[0]),
        )
