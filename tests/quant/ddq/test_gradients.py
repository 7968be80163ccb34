"""DDQ's gradients as documented, and slips that the checks have to catch."""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.primitive import PRIMITIVES
from quant import ddq
from quant.ddq.relaxed import relaxed, relaxed_vjp
from quant.nearest import nearest_level
from verify.gradients.mutants.judge import judge

WIDTHS = range(1, 9)


def case(bits: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Elements, ascending whole levels and gates."""
    rng = np.random.default_rng([seed, bits])
    q = np.cumsum(rng.integers(1, 9, 1 << bits)).astype(float)
    return rng.uniform(-3, q[-1] + 3, (6, 5)), q, rng.uniform(-1.3, 1.3, bits)


def test_the_gradient_of_x_is_one_on_the_closed_range_and_zero_outside() -> None:
    q = np.array([2.0, -1.0, 0.5, 1.0])  # crossed: its range is what counts, not its ends
    x = np.array([-1.0, np.nextafter(-1, -2), 2.0, np.nextafter(2, 3), 0.3, np.inf, -np.inf])
    dx = ddq.hard_vjp(np.full(7, 3.0), x, q, np.array([1.0, -1.0]), bits=2, correction=0.5)[0]
    assert dx.tolist() == [3, 0, 3, 0, 3, 0, 0]


@pytest.mark.parametrize("bits", WIDTHS)
def test_the_gradient_of_the_levels_is_spread_evenly_over_a_block(bits: int) -> None:
    x, q, ghat = case(bits)
    gy = np.random.default_rng(bits).integers(-8, 9, x.shape).astype(float)
    dq = ddq.hard_vjp(gy, x, q, ghat, bits=bits)[1]
    closed = np.count_nonzero(ghat < 0)
    codes = ddq.codes(x, q, ghat, bits=bits)
    sums = np.array([gy[codes == j].sum() for j in range(1 << (bits - closed))])
    assert np.array_equal(dq, np.repeat(sums / 2**closed, 2**closed))


def test_a_gate_beyond_one_does_not_move() -> None:
    x, q, _ = case(3)
    beyond = np.nextafter(1.0, 2)
    for sign in (1, -1):
        dghat = ddq.hard_vjp(np.ones(x.shape), x, q, sign * np.array([1.0, beyond, 0.5]), bits=3)[2]
        assert (dghat != 0).tolist() == [True, False, True]


@given(st.integers(0, 2**32), st.sampled_from(WIDTHS), st.booleans(), st.sampled_from(["merged", "raw"]))
def test_the_stored_order_of_the_gates_does_not_matter(seed: int, bits: int, norm: bool, assign: str) -> None:
    x, q, ghat = case(bits, seed)
    rng = np.random.default_rng(seed)
    gy, order = rng.standard_normal(x.shape), rng.permutation(bits)
    options: dict[str, Any] = {"bits": bits, "assign": assign, "differentiate_norm": norm, "correction": 0.25}
    dx, dq, dghat = ddq.hard_vjp(gy, x, q, ghat, **options)
    moved = ddq.hard_vjp(gy, x, q, ghat[order], **options)
    assert np.array_equal(moved[0], dx)
    assert np.array_equal(moved[1], dq)
    assert np.array_equal(moved[2], dghat[order])
    g, index = np.abs(ghat) / 2, np.arange(1 << bits)
    dq, dg = relaxed_vjp(q / 3, index, q, g, bits=bits)
    moved_relaxed = relaxed_vjp(q / 3, index, q, g[order], bits=bits)
    assert np.array_equal(moved_relaxed[0], dq)
    assert np.array_equal(moved_relaxed[1], dg[order])


def test_a_differentiated_norm_adds_the_value_over_two_minus_the_gate() -> None:
    x, q, _ = case(3)
    ghat = np.array([0.9, -0.3, 0.4])
    gy = np.random.default_rng(0).standard_normal(x.shape)
    plain, whole = (ddq.hard_vjp(gy, x, q, ghat, bits=3, differentiate_norm=d)[2] for d in (False, True))
    total = float((gy * ddq.hard(x, q, ghat, bits=3)).sum())
    assert whole - plain == pytest.approx(total / (2 - np.array([1.0, 0.0, 1.0])), rel=1e-12)


def test_the_difference_a_gate_makes_is_its_slope_between_open_and_closed() -> None:
    """With Z constant the relaxed value is linear in each gate: its slope is the whole step."""
    rng = np.random.default_rng(3)
    q, index = np.sort(rng.standard_normal(8)), np.arange(8)
    for position in range(3):
        low, high = np.array([1.0, 0.75, 0.25]), np.array([1.0, 0.75, 0.25])
        low[position], high[position] = (0.75, 1.0) if position == 0 else ((0.25, 0.75) if position == 1 else (0, 0.25))
        step = relaxed(index, q, high, bits=3, norm=2.0) - relaxed(index, q, low, bits=3, norm=2.0)
        middle = (low + high) / 2
        slopes = [relaxed_vjp(np.eye(8)[k], index, q, middle, bits=3, norm=2.0)[1][position] for k in index]
        assert np.array(slopes) * (high - low)[position] == pytest.approx(step, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("assign", ["merged", "raw"])
def test_the_correction_is_the_gradient_of_the_added_loss(assign: str, norm: bool) -> None:
    """Differences of sum(gy x_q) + lambda/2 |x_q - x|^2, the assignment frozen, by every level and gate."""
    rng = np.random.default_rng(1)
    x, q = rng.uniform(-2, 2, 40), np.sort(rng.standard_normal(8))
    ghat, gy, weight = np.array([-0.4, 0.7, -0.2]), rng.standard_normal(40), 0.3
    order, g = [1, 2, 0], np.array([0.0, 1.0, 0.0])
    block = ddq.codes(x, q, ghat, bits=3, assign=assign).astype(int)
    index = nearest_level(x, q) if assign == "raw" else block * 4

    def value(q: np.ndarray, g: np.ndarray) -> np.ndarray:
        factors = [np.array([[1, 1 - g[i]], [1 - g[i], 1]]) for i in order]
        return (q @ functools.reduce(np.kron, factors) / (np.prod(2 - g) if norm else 4.0))[index]

    def loss(q: np.ndarray, g: np.ndarray) -> float:
        return float((gy * value(q, g)).sum() + weight / 2 * ((value(q, g) - x) ** 2).sum())

    options: dict[str, Any] = {"bits": 3, "assign": assign, "differentiate_norm": norm}
    found = ddq.hard_vjp(gy, x, q, ghat, correction=weight, **options)
    h = 2.0**-16
    by_level = [(loss(q + h * e, g) - loss(q - h * e, g)) / (2 * h) for e in np.eye(8)]
    by_gate = [(loss(q, g + h * e) - loss(q, g - h * e)) / (2 * h) for e in np.eye(3)]
    assert found[1] == pytest.approx(np.array(by_level), rel=1e-7, abs=1e-7)
    assert found[2] == pytest.approx(np.array(by_gate), rel=1e-7, abs=1e-7)
    assert np.array_equal(found[0], ddq.hard_vjp(gy, x, q, ghat, **options)[0])


def test_sums_over_many_elements_are_within_their_tree() -> None:
    """2^-24 of the terms a step, on a path of 256 + 4 + log2(blocks) additions."""
    rng = np.random.default_rng(0)
    x, gy = rng.standard_normal(200_000).astype(np.float32), rng.standard_normal(200_000).astype(np.float32)
    q, ghat = np.linspace(-2, 2, 8).astype(np.float32), np.array([1, 0.5, -0.5], np.float32)
    dq = ddq.hard_vjp(gy, x, q, ghat, bits=3)[1]
    codes = ddq.codes(x, q, ghat, bits=3)
    for j in range(4):
        mine = gy[codes == j].astype(float)
        assert abs(dq[2 * j] - math.fsum(mine) / 2) <= 270 * 2.0**-24 * math.fsum(np.abs(mine)) / 2


# ---------------------------------------------------------------- slips


def _with_gradients(change: Callable[..., Any]) -> Callable[..., Any]:
    """A vjp whose gradients pass through ``change(gy, gradients, x, q, ghat, options)``."""

    def vjp(gy: np.ndarray, residuals: Any, needs: Any) -> Any:
        x, q, ghat, options = residuals
        return change(gy, list(ddq.hard_vjp(gy, x, q, ghat, **options)), x, q, ghat, options)

    return vjp


def _sorted_order(gy: Any, found: list[Any], x: Any, q: Any, ghat: Any, options: Any) -> Any:
    return [*found[:2], found[2][np.argsort(-ghat, kind="stable")]]


def _no_block_mean(gy: Any, found: list[Any], x: Any, q: Any, ghat: Any, options: Any) -> Any:
    return [found[0], found[1] * 2.0 ** np.count_nonzero(ghat < 0), found[2]]


def _no_mask(gy: Any, found: list[Any], x: Any, q: Any, ghat: Any, options: Any) -> Any:
    return [gy, *found[1:]]


def _step_not_clipped(gy: Any, found: list[Any], x: Any, q: Any, ghat: Any, options: Any) -> Any:
    within = np.clip(ghat, -1, 1)
    return [*found[:2], ddq.hard_vjp(gy, x, q, within, **options)[2]]


def _norm_always_constant(gy: Any, found: list[Any], x: Any, q: Any, ghat: Any, options: Any) -> Any:
    return ddq.hard_vjp(gy, x, q, ghat, **{**options, "differentiate_norm": False})


def _always_merged(gy: Any, found: list[Any], x: Any, q: Any, ghat: Any, options: Any) -> Any:
    return ddq.hard_vjp(gy, x, q, ghat, **{**options, "assign": "merged"})


def _x_corrected(gy: Any, found: list[Any], x: Any, q: Any, ghat: Any, options: Any) -> Any:
    y = ddq.hard(x, q, ghat, bits=options["bits"], assign=options["assign"])
    return [found[0] + options["correction"] * (y - x), *found[1:]]


def _not_corrected(gy: Any, found: list[Any], x: Any, q: Any, ghat: Any, options: Any) -> Any:
    return ddq.hard_vjp(gy, x, q, ghat, **{**options, "correction": 0.0})


def _gates_not_sorted(*arrays: Any, **options: Any) -> Any:
    x, q, ghat = arrays
    factors = [np.eye(2) if g >= 0 else np.ones((2, 2)) for g in ghat]
    u = functools.reduce(np.kron, factors)
    merged = q @ u / u[0].sum()
    return merged[nearest_level(x, q if options["assign"] == "raw" else merged)], (*arrays, options)


def _block_sum_for_mean(*arrays: Any, **options: Any) -> Any:
    x, q, ghat = arrays
    scale = 2.0 ** np.count_nonzero(ghat < 0)
    return ddq.hard(x, q, ghat, bits=options["bits"], assign=options["assign"]) * scale, (*arrays, options)


@pytest.mark.parametrize(
    ("name", "rule", "slip"),
    [
        ("ddq", "vjp", _with_gradients(_sorted_order)),
        ("ddq", "vjp", _with_gradients(_no_block_mean)),
        ("ddq", "vjp", _with_gradients(_no_mask)),
        ("ddq", "vjp", _with_gradients(_step_not_clipped)),
        ("ddq", "vjp", _with_gradients(_norm_always_constant)),
        ("ddq", "vjp", _with_gradients(_always_merged)),
        ("ddq_corrected", "vjp", _with_gradients(_x_corrected)),
        ("ddq_corrected", "vjp", _with_gradients(_not_corrected)),
        ("ddq", "forward", _gates_not_sorted),
        ("ddq", "forward", _block_sum_for_mean),
    ],
)
def test_slips_are_caught(name: str, rule: str, slip: Callable[..., Any]) -> None:
    slipped = dataclasses.replace(PRIMITIVES[name], **{rule: slip})
    with pytest.raises(AssertionError):
        for seed in range(24):
            judge(slipped, seed)
