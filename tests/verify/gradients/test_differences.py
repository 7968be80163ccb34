"""The numeric Jacobian, and each way a rule is held against it."""

import numpy as np
import pytest

from verify.gradients.differences import (
    Jacobian,
    compare_columns,
    compare_diagonal,
    compare_directions,
    compare_gradients,
)
from verify.gradients.linear import check_adjoint, check_linear, check_linear_in_gy, coarse
from verify.gradients.noise import measure_noise
from verify.gradients.problem import Problem
from verify.gradients.rules import Rules

X = np.random.default_rng(11).normal(size=(3, 4))
W = np.random.default_rng(12).normal(size=(4, 2))


def layer(x, w):
    return np.tanh(x @ w)


def layer_vjp(gy, x, w):
    inner = gy * (1 - np.tanh(x @ w) ** 2)
    return inner @ w.T, x.T @ inner


def layer_jvp(tangents, x, w):
    moved = 0 if tangents[0] is None else tangents[0] @ w
    moved = moved + (0 if tangents[1] is None else x @ tangents[1])
    return (1 - np.tanh(x @ w) ** 2) * moved


def exact_jacobian():
    rows = [np.concatenate([g.ravel() for g in layer_vjp(e.reshape(3, 2), X, W)]) for e in np.eye(6)]
    return np.stack(rows, axis=1)


def rules(vjp=layer_vjp, jvp=layer_jvp, function=layer, args=(X, W)):
    return Rules(Problem(function, args), vjp, jvp, None)


def noise_of(problem):
    return measure_noise(problem.evaluate, problem.point, problem.unit, problem.epsilon)


def test_the_numeric_jacobian_is_the_exact_one():
    jacobian = Jacobian(Problem(layer, (X, W)), range(20), seed=1)
    error = np.abs(jacobian.slopes.value[:, :6] - exact_jacobian())
    assert (error <= jacobian.slopes.error[:, :6] + 1e-15).all()
    assert jacobian.slopes.error.max() < 1e-8
    projected = exact_jacobian() @ jacobian.gys.T
    assert (np.abs(jacobian.slopes.value[:, 6:] - projected) <= jacobian.slopes.error[:, 6:] + 1e-15).all()


def wrong_entry(row, column, factor):
    """The vjp with one entry of the Jacobian wrong."""

    def vjp(gy, x, w):
        jacobian = exact_jacobian()
        jacobian[column, row] *= factor
        flat = jacobian @ np.ravel(gy)
        return flat[:12].reshape(3, 4), flat[12:].reshape(4, 2)

    return vjp


@pytest.mark.parametrize("factor", [0.0, -1.0, 1.5, 1 + 1e-6])
def test_each_entry_of_the_jacobian_is_under_test(factor):
    """Every row is compared, so the projections cannot hide an entry."""
    jacobian = Jacobian(Problem(layer, (X, W)), range(20), seed=1)
    for row in range(6):
        for column in np.flatnonzero(exact_jacobian()[:, row])[:3]:
            found = compare_gradients(rules(wrong_entry(row, column, factor)), jacobian, rows=6)
            gradients, rows = found[:2], found[2:]
            assert [bool(c.judgement.wrong.any()) for c in rows] == [n == row for n in range(6)]
            assert np.flatnonzero(rows[row].judgement.wrong).tolist() == [column]
            assert all(c.judgement.wrong.any() for c in gradients)


def test_right_rules_pass_every_comparison():
    jacobian = Jacobian(Problem(layer, (X, W)), range(20), seed=1)
    right = rules()
    found = compare_gradients(right, jacobian, rows=6) + compare_columns(right, jacobian)
    found += compare_directions(right, noise_of(right.problem), seed=2)
    assert [c.what for c in found] == ["gradient"] * 2 + ["row"] * 6 + ["column"] * 20 + ["direction"] * 2
    assert all(c.judgement.status == "right" for c in found)


@pytest.mark.parametrize("output", range(6))
def test_each_output_of_the_jvp_is_under_test(output):
    def jvp(tangents, x, w):
        moved = np.array(layer_jvp(tangents, x, w))
        moved.flat[output] *= 1 + 1e-6
        return moved

    jacobian = Jacobian(Problem(layer, (X, W)), range(20), seed=1)
    for found in (
        compare_columns(rules(jvp=jvp), jacobian),
        compare_directions(rules(jvp=jvp), noise_of(jacobian.problem), seed=2),
    ):
        wrong = np.any([c.judgement.wrong for c in found], axis=0)
        assert np.flatnonzero(wrong).tolist() == [output]


def test_gradients_of_cancelling_sums_are_granted_their_own_rounding():
    """Overlapping windows add incoming gradients that cancel; the value does not show that rounding."""
    spread = np.array([0.0, 1.0, 2.0, 0.5])
    for seed in range(40):
        x = np.random.default_rng(seed).normal(size=1)
        right = rules(lambda gy, x: (np.array([gy.sum()]),), None, lambda x: x[0] + spread, (x,))
        found = compare_gradients(right, Jacobian(right.problem, [0], seed), rows=4)
        assert all(c.judgement.status == "right" for c in found)


def test_a_rule_is_granted_its_own_rounding_and_no_more():
    """A backward pass that cancels: 1e-10 of rounding where the differences see 1e-12."""
    x = np.random.default_rng(16).normal(size=5)
    for off, status in ((0.0, "right"), (1e-7, "wrong")):

        def vjp(gy, x, off=off):
            return ((gy * 1e6 + gy * np.cos(x) * (1 + off)) - gy * 1e6,)

        rough = rules(vjp, None, np.sin, (x,))
        found = compare_gradients(rough, Jacobian(rough.problem, range(5), 1), rows=5)
        assert {c.judgement.status for c in found[:2]} == {status}


def elementwise(x, y):
    return np.sin(x) * y


def elementwise_vjp(gy, x, y):
    return gy * np.cos(x) * y, np.sum(gy * np.sin(x))


def test_arguments_that_act_elementwise_are_recognised_and_judged_element_by_element():
    x = np.random.default_rng(13).normal(size=1000)
    right = rules(elementwise_vjp, None, elementwise, (x, np.array(1.5)))
    gy = np.random.default_rng(14).uniform(0.5, 1, 1000)
    found, others = compare_diagonal(right, noise_of(right.problem), gy)
    assert len(found) == 1 and found[0].judgement.status == "right"
    assert others.tolist() == [1000]
    for element in (0, 511, 999):

        def wrong(gy, x, y, element=element):
            g = np.array(elementwise_vjp(gy, x, y)[0])
            g[element] *= 1 + 1e-7
            return g, elementwise_vjp(gy, x, y)[1]

        bad = Rules(right.problem, wrong, None, None)
        found, _ = compare_diagonal(bad, noise_of(right.problem), gy)
        assert np.flatnonzero(found[0].judgement.wrong).tolist() == [element]


@pytest.mark.parametrize("pair", [(0, 1), (5, 900), (999, 0), (512, 511)])
def test_one_element_that_moves_another_output_is_not_elementwise(pair):
    source, target = pair

    def function(x):
        y = np.sin(x)
        y[target] += 1e-9 * x[source]
        return y

    right = rules(lambda gy, x: (gy * np.cos(x),), None, function, (np.random.default_rng(15).normal(size=1000),))
    found, others = compare_diagonal(right, noise_of(right.problem), np.ones(1000))
    assert not found and len(others) == 1000


# ---- identities ----


def test_adjoint_and_linear_in_gy():
    for seed in range(20):
        assert check_adjoint(rules(), seed, "").passed
        assert check_linear_in_gy(rules(), seed, "").passed
    one_element = rules(wrong_entry(2, 5, 1 + 1e-10))
    assert not check_adjoint(one_element, 0, "").passed
    assert not check_adjoint(rules(jvp=lambda *a: layer_jvp(*a) * np.nan), 0, "").passed
    for bad in (
        lambda gy, x, w: tuple(g * np.abs(gy).mean() for g in layer_vjp(gy, x, w)),
        lambda gy, x, w: tuple(g + 1e-12 for g in layer_vjp(gy, x, w)),
        lambda gy, x, w: layer_vjp(np.maximum(gy, 0), x, w),
    ):
        assert not check_linear_in_gy(rules(bad), 0, "").passed


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_linear_functions_are_linear_and_others_are_not(dtype):
    matrix = np.random.default_rng(3).normal(size=(5, 7)).astype(dtype)
    x = np.random.default_rng(4).normal(size=7).astype(dtype)
    small = dtype(1e-3)
    for seed in range(20):
        assert check_linear(Problem(lambda x: matrix @ x, (x,)), seed, "").passed
    for function in (
        lambda x: matrix @ x + small,
        lambda x: matrix @ (x + small * x * x),
        lambda x: matrix @ np.abs(x),
        lambda x: np.floor(x) + x,
    ):
        assert not check_linear(Problem(function, (x,)), 0, "").passed


def test_coarse_numbers_add_exactly():
    a = coarse(np.random.default_rng(1).normal(size=100), 2.0**-23)
    assert np.array_equal((a + a).astype(np.float32), a + a)
    assert (np.abs(a - np.random.default_rng(1).normal(size=100)) <= 2.0**-11 * np.abs(a)).all()
