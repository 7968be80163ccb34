"""Standardised weights: the unbiased deviation, one filter at a time, at every scale; and both gradients."""

import dataclasses
import math
import statistics
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import PRIMITIVES, InputError, Tensor, apply
from quant.standardise import mean_and_std, standardise
from verify.gradients.mutants.judge import judge

SEEDS = st.integers(0, 2**32)


def weights(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.3, 2.0, shape)


def gradient(name: str, x: np.ndarray, gy: np.ndarray, **options: Any) -> np.ndarray:
    tensor = Tensor(x, requires_grad=True)
    apply(name, tensor, **options).backward(gy)
    assert tensor.grad is not None
    return tensor.grad


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_deviation_is_the_unbiased_one(dtype: type) -> None:
    x: np.ndarray = np.array([[1.0, 2.0], [3.0, 6.0]], dtype)
    mean, std = mean_and_std(x)
    assert mean.dtype == std.dtype == dtype
    assert mean == 3
    assert std == dtype(math.sqrt(14 / 3))
    mean, std = mean_and_std(x, per_filter=True)
    assert mean.tolist() == [2, 4]
    assert np.array_equal(std, np.sqrt(np.array([2, 8], dtype)))


@given(SEEDS)
def test_a_large_mean_does_not_show_in_the_deviation(seed: int) -> None:
    """Within 8 roundings of float32, though the mean itself is known to some 2^-7 only."""
    x = (2.0**16 + np.random.default_rng(seed).integers(-3, 4, 5)).astype(np.float32)
    if len(set(x.tolist())) > 1:
        assert mean_and_std(x)[1] == pytest.approx(statistics.stdev(x.tolist()), rel=8 * 2.0**-24)


@given(SEEDS)
def test_filters_are_the_entries_of_the_last_axis(seed: int) -> None:
    x, gy = weights(seed, 2, 3, 4), weights(seed + 1, 2, 3, 4)
    together = standardise(x, per_filter=True)
    back = {
        name: gradient(name, x, gy, per_filter=True) for name in ("weight_standardise", "weight_standardise_frozen")
    }
    for n in range(4):
        assert np.array_equal(together[..., n], standardise(x[..., n]))
        assert np.array_equal(together[..., n].ravel(), standardise(x[..., n].ravel(), per_filter=True))
        for name, whole in back.items():
            assert np.array_equal(whole[..., n], gradient(name, x[..., n].copy(), gy[..., n].copy()))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(SEEDS)
def test_a_power_of_two_changes_nothing(dtype: type, seed: int) -> None:
    """Neither where squares would overflow nor where they would vanish."""
    x = weights(seed, 5, 3).astype(dtype)
    info = np.finfo(dtype)
    for exponent in (info.maxexp - 8, 40, -40, info.minexp + 16):
        # Products by powers of two may reach subnormals, where they are rounded.
        moved = np.ldexp(x, exponent)
        kept = np.ldexp(moved, -exponent) == x
        assert kept.all()
        assert np.array_equal(standardise(moved), standardise(x))
        assert np.array_equal(standardise(moved, per_filter=True), standardise(x, per_filter=True))
        assert mean_and_std(moved)[1] == np.ldexp(mean_and_std(x)[1], exponent)


@given(SEEDS)
def test_the_derivative_is_orthogonal_to_ones_and_to_the_result_and_the_frozen_one_is_not(seed: int) -> None:
    """Adding to x and scaling x change nothing: two directions without a derivative."""
    x, gy = weights(seed, 7, 2), weights(seed + 1, 7, 2) + 3
    true, frozen = (gradient(name, x, gy) for name in ("weight_standardise", "weight_standardise_frozen"))
    size = np.abs(gy).sum() / mean_and_std(x)[1]
    assert abs(true.sum()) <= 2.0**-45 * size
    assert abs((true * standardise(x)).sum()) <= 2.0**-43 * size
    assert np.array_equal(frozen, gy / mean_and_std(x)[1])
    assert abs(frozen.sum()) > 0.1 * size


BAD = {
    "empty": (np.zeros((0, 2)), "at least 2 elements to standardise, got 0"),
    "no filters": (np.zeros((3, 0)), "at least 2 elements to standardise, got 0"),
    "one element": (np.ones((1, 1)), "at least 2 elements to standardise, got 1"),
    "constant": (np.full((3, 2), 0.1), "different elements to standardise, got nothing but 0.1"),
    "zeros": (np.zeros(4), "different elements to standardise, got nothing but 0.0"),
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("per_filter", [False, True])
def test_what_has_no_spread_is_refused(kind: str, per_filter: bool) -> None:
    x, expected = BAD[kind]
    with pytest.raises(InputError, match=rf"^x: expected {expected}$"):
        standardise(x, per_filter)


def test_one_constant_filter_is_refused() -> None:
    x = np.array([[1.0, 5.0], [2.0, 5.0]])
    standardise(x)
    with pytest.raises(InputError, match=r"got nothing but 5\.0"):
        standardise(x, per_filter=True)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_filter_with_what_is_no_number_becomes_nan(bad: float) -> None:
    x = weights(0, 4, 2)
    x[1, 0] = bad
    y = standardise(x, per_filter=True)
    assert np.isnan(y[:, 0]).all()
    assert np.array_equal(y[:, 1], standardise(x[:, 1]))
    assert np.isnan(standardise(x)).all()


def test_the_smallest_numbers_have_a_spread() -> None:
    assert np.array_equal(standardise(np.array([0.0, 5e-324])), standardise(np.array([0.0, 1.0])))


def test_slips_are_caught() -> None:
    """The deviation of all, not of a sample; one gradient in the place of the other."""
    true, frozen = PRIMITIVES["weight_standardise"], PRIMITIVES["weight_standardise_frozen"]

    def biased(x: np.ndarray, per_filter: bool = False) -> tuple[np.ndarray, Any]:
        y, (_, std, _) = frozen.forward(x, per_filter)
        count = x.size / max(std.size, 1)
        return y * math.sqrt(count / (count - 1)), (y, std, per_filter)

    def biased_vjp(gy: np.ndarray, residuals: Any, needs: Any) -> Any:
        return tuple(None if g is None else g * math.sqrt(1.5) for g in frozen.vjp(gy, residuals, needs))

    for mutant in (
        dataclasses.replace(frozen, forward=biased),
        dataclasses.replace(frozen, vjp=biased_vjp),
        dataclasses.replace(frozen, vjp=true.vjp),
        dataclasses.replace(true, vjp=frozen.vjp),
    ):
        with pytest.raises(AssertionError, match="is wrong"):
            judge(mutant, 1)
    judge(true, 1)
    judge(frozen, 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_gradient_beyond_the_dtype_is_infinite(dtype: type) -> None:
    """Of numbers as small as subnormals 1 / std is larger than any float; the values are those of any other scale."""
    tiny = np.finfo(dtype).smallest_subnormal
    x = Tensor(np.array([-3, 1, 2], dtype) * tiny, requires_grad=True)
    y = apply("weight_standardise_frozen", x)
    assert np.array_equal(y.data, standardise(np.array([-3, 1, 2], dtype)))
    y.backward(np.array([1, -1, 0.5], dtype))
    assert x.grad is not None
    assert x.grad.tolist() == [np.inf, -np.inf, np.inf]
