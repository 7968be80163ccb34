"""Dropout with a given mask: proven rules, the order of operations, masks that broadcast, and what is refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import PRIMITIVES, InputError, Tensor, apply

RULE = PRIMITIVES["dropout"]
X = np.random.default_rng(0).standard_normal((4, 5))
KEEP = np.random.default_rng(1).uniform(size=(4, 5)) < 0.7


@given(seed=st.integers(0, 2**32))
def test_every_rule_is_certified(certify: Callable[[str, int], None], seed: int) -> None:
    certify("dropout", seed)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_kept_grows(dtype: type) -> None:
    x: np.ndarray = X.astype(dtype)
    value, residuals = RULE.forward(x, KEEP, rate=0.3)
    expected = np.where(KEEP, x / dtype(1 - 0.3), dtype(0))
    assert value.dtype == dtype
    assert np.array_equal(value, expected)
    g, none = RULE.vjp(x, residuals, (True, False))
    assert none is None
    assert np.array_equal(g, expected)  # type: ignore[arg-type]
    assert np.array_equal(RULE.jvp((x, None), x, KEEP, rate=0.3), expected)


def test_nothing_dropped_is_the_identity() -> None:
    assert np.array_equal(RULE.forward(X, np.ones_like(KEEP), rate=0.0)[0], X)


def test_a_mask_of_channels() -> None:
    keep = np.array([True, False, True, True, False])
    leaf = Tensor(X, requires_grad=True)
    value = apply("dropout", leaf, keep, rate=0.5)
    assert np.array_equal(value.data, X * [2, 0, 2, 2, 0])
    value.backward(np.ones_like(X))
    assert np.array_equal(leaf.grad, np.tile([2.0, 0, 2, 2, 0], (4, 1)))  # type: ignore[arg-type]


def test_nan_propagates_even_where_dropped() -> None:
    value, _ = RULE.forward(np.array([np.nan, np.nan, 1.0]), np.array([True, False, False]), rate=0.5)
    assert np.isnan(value).tolist() == [True, True, False]


def test_zero_sizes() -> None:
    value, residuals = RULE.forward(X[:0], KEEP[:0], rate=0.5)
    assert value.shape == (0, 5)
    assert RULE.vjp(value, residuals, (True, False))[0].shape == (0, 5)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("keep", "rate", "message"),
    [
        (KEEP.astype(float), 0.5, "keep: expected an array of bool, got float64"),
        (KEEP.astype(int), 0.5, "keep: expected an array of bool"),
        (KEEP[:3], 0.5, r"keep: expected a shape that broadcasts to that of x, \(4, 5\), got \(3, 5\)"),
        (KEEP[None], 0.5, "keep: expected a shape"),
        (KEEP, 1.0, r"rate: expected a number in \[0, 1\), got 1.0"),
        (KEEP, -0.1, "rate: expected"),
        (KEEP, np.nan, "rate: expected"),
    ],
)
def test_what_does_not_fit_is_named(keep: Any, rate: float, message: str) -> None:
    with pytest.raises(InputError, match=f"^dropout: {message}"):
        RULE.forward(X, keep, rate=rate)
