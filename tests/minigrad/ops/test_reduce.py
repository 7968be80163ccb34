"""Reductions: proven rules, shapes, ties, NaN, and reductions of nothing."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import PRIMITIVES, InputError
from minigrad.reduction import tree_sum

NAMES = ["sum", "mean", "var", "max", "min"]
SEEDS = st.integers(0, 2**32)
AXES = [None, 0, -1, 1, (0, 2), (2, 0), (0, 1, 2), ()]


def forward(name: str, x: np.ndarray, **options: Any) -> np.ndarray:
    return PRIMITIVES[name].forward(x, **options)[0]


def gradient(name: str, x: np.ndarray, gy: Any = None, **options: Any) -> np.ndarray:
    value, residuals = PRIMITIVES[name].forward(x, **options)
    (g,) = PRIMITIVES[name].vjp(np.ones_like(value) if gy is None else np.asarray(gy), residuals, (True,))
    assert g is not None
    return g


@pytest.mark.parametrize("name", NAMES)
@given(seed=SEEDS)
def test_every_rule_is_certified(certify: Callable[[str, int], None], name: str, seed: int) -> None:
    certify(name, seed)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shapes_and_values_are_those_of_numpy(name: str, axis: Any, keepdims: bool, dtype: type) -> None:
    x: np.ndarray = np.random.default_rng(0).standard_normal((3, 2, 4)).astype(dtype)
    got = forward(name, x, axis=axis, keepdims=keepdims)
    expected = getattr(x.astype(np.float64), name)(axis=axis, keepdims=keepdims)
    assert got.dtype == dtype
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() <= 32 * np.finfo(dtype).eps


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sums_are_the_tree(dtype: type) -> None:
    x: np.ndarray = np.random.default_rng(0).standard_normal((5, 7, 3)).astype(dtype)
    rows = x.transpose(0, 2, 1).reshape(15, 7)
    assert forward("sum", x, axis=(0, 2)).tobytes() == tree_sum(rows).tobytes()
    assert forward("mean", x, axis=(2, 0)).tobytes() == (tree_sum(rows) / 15).tobytes()
    centred = rows - tree_sum(rows) / 15
    assert forward("var", x, axis=(0, 2), correction=1).tobytes() == (tree_sum(centred * centred) / 14).tobytes()


def test_the_variance_survives_a_large_mean() -> None:
    x = 1e8 + np.arange(10.0)
    assert forward("var", x) == 8.25
    assert forward("var", x, correction=1) == pytest.approx(82.5 / 9, rel=1e-15)


@pytest.mark.parametrize("name", ["max", "min"])
@given(seed=SEEDS)
def test_ties_are_picked_as_declared(picks_as_declared: Callable[[str, int], None], name: str, seed: int) -> None:
    picks_as_declared(name, seed)


@pytest.mark.parametrize(("name", "sign"), [("max", 1.0), ("min", -1.0)])
def test_equal_winners_share_evenly(name: str, sign: float) -> None:
    x = sign * np.array([[1.0, 5, 5, 2], [3, 3, 3, 3], [4, 1, 2, 4]])
    shares = np.array([[0, 0.5, 0.5, 0], [0.25] * 4, [0.5, 0, 0, 0.5]])
    assert np.array_equal(gradient(name, x, axis=1), shares)
    gy = np.array([[2.0], [4], [8]])
    assert np.array_equal(gradient(name, x, gy, axis=1, keepdims=True), gy * shares)
    tangent = np.arange(12.0).reshape(3, 4)
    assert PRIMITIVES[name].jvp((tangent,), x, axis=1).tolist() == [1.5, 5.5, 9.5]


@pytest.mark.parametrize("name", ["max", "min"])
def test_the_extremum_of_zeros_is_plus_zero(name: str) -> None:
    for x in ([-0.0, -0.0], [0.0, -0.0], [-0.0, 0.0]):
        value = forward(name, np.array(x))
        assert value == 0
        assert not np.signbit(value)
        assert gradient(name, np.array(x)).tolist() == [0.5, 0.5]


@pytest.mark.parametrize("name", ["max", "min"])
def test_nan_wins_and_takes_the_gradient(name: str) -> None:
    x = np.array([[1.0, np.nan, 3, np.nan], [1, 2, 4, 0]])
    value = forward(name, x, axis=1)
    assert np.isnan(value[0])
    assert value[1] == (4 if name == "max" else 0)
    assert gradient(name, x, axis=1)[0].tolist() == [0, 0.5, 0, 0.5]


@pytest.mark.parametrize("name", ["sum", "mean", "var"])
def test_nan_propagates(name: str) -> None:
    x = np.array([[1.0, np.nan], [1, 2]])
    assert np.isnan(forward(name, x, axis=1)).tolist() == [True, False]


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0)])
def test_reductions_of_nothing(shape: tuple[int, ...]) -> None:
    x = np.zeros(shape, np.float32)
    assert forward("sum", x).tobytes() == np.float32(0).tobytes()
    assert gradient("sum", x).shape == shape
    for name in NAMES[1:]:
        with pytest.raises(InputError, match=rf"{name}: the array of shape .* has no elements along axes"):
            forward(name, x)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_beside_the_reduced_axis(name: str) -> None:
    x = np.zeros((0, 3), np.float32)
    value = forward(name, x, axis=1)
    assert (value.shape, value.dtype) == ((0,), np.float32)
    assert gradient(name, x, axis=1).shape == (0, 3)


@pytest.mark.parametrize("name", [*NAMES, "logsumexp"])
@pytest.mark.parametrize(
    ("axis", "message"),
    [
        (2, "2 is not an axis"),
        (-3, "-3 is not an axis"),
        ((0, 2), "2 is not an axis"),
        ((0, -2), "names an axis twice"),
        (1.0, "expected an integer, got 1.0"),
        (True, "expected an integer, got True"),
    ],
)
def test_an_axis_that_is_none_is_named(name: str, axis: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"^{name}: axis.*{message}"):
        forward(name, np.zeros((2, 3)), axis=axis)


@pytest.mark.parametrize("correction", [-1, 3, 0.5, True])
def test_a_correction_leaves_a_divisor(correction: Any) -> None:
    with pytest.raises(InputError, match="var: correction: expected an integer"):
        forward("var", np.zeros((2, 3)), axis=1, correction=correction)
