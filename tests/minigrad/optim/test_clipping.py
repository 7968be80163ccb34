"""The norm of all gradients, and scaling to a bound."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import InputError
from minigrad.nn import Parameter
from minigrad.optim import clip_norm, gradient_norm


def parameters(gradients: list[Any], dtype: type = np.float64) -> dict[str, Parameter]:
    found = {}
    for n, gradient in enumerate(gradients):
        parameter = Parameter(np.zeros(np.shape(gradient), dtype) if gradient is not None else np.zeros(3, dtype))
        parameter.grad = None if gradient is None else np.asarray(gradient, dtype)
        found[f"p{n}"] = parameter
    return found


def expected_norm(found: dict[str, Parameter]) -> float:
    elements = [float(x) for p in found.values() if p.grad is not None for x in p.grad.ravel()]
    return math.hypot(*elements)


@given(st.integers(0, 2**32), st.sampled_from([np.float32, np.float64]), st.sampled_from([1.0, 1e-30, 1e30]))
def test_the_norm_is_that_of_one_long_vector(seed: int, dtype: type, scale: float) -> None:
    rng = np.random.default_rng(seed)
    shapes: list[tuple[int, ...]] = [(), (3,), (5, 7), (0, 2), (4097,)]
    found = parameters([*(scale * rng.standard_normal(shape) for shape in shapes), None], dtype)
    norm = expected_norm(found)
    # Sums of positive terms: the relative error is below that of the longest chain of additions.
    assert gradient_norm(found) == pytest.approx(norm, rel=300 * 2.0**-52)
    before = {name: p.grad for name, p in found.items()}
    limit = 0.25 * norm
    assert clip_norm(found, limit) == gradient_norm(parameters(list(before.values()), dtype))
    for name, gradient in before.items():
        clipped = found[name].grad
        if gradient is None:
            assert clipped is None
        else:
            assert clipped is not None
            assert clipped.dtype == dtype
            assert clipped.shape == gradient.shape
            assert np.allclose(clipped, 0.25 * gradient, rtol=4 * np.finfo(dtype).eps, atol=0)


def test_the_largest_gradient_may_be_any() -> None:
    assert gradient_norm(parameters([[1.0], [3e200, 4e200], [1.0]])) == pytest.approx(5e200, rel=1e-15)


@pytest.mark.parametrize("scale", [1e-200, 1e-320, 1e200, 1e308])
def test_squares_neither_overflow_nor_vanish(scale: float) -> None:
    found = parameters([[0.3 * scale], [0.4 * scale]])
    assert gradient_norm(found) == pytest.approx(0.5 * scale, rel=1e-3 if scale < 1e-300 else 1e-15)


def test_a_norm_within_the_limit_changes_nothing() -> None:
    found = parameters([[3.0], [4.0]])
    before = [p.grad for p in found.values()]
    assert clip_norm(found, 5.0) == 5.0
    assert all(p.grad is gradient for p, gradient in zip(found.values(), before, strict=True))
    assert clip_norm(found, 2.5) == 5.0
    assert [p.grad.tolist() for p in found.values() if p.grad is not None] == [[1.5], [2.0]]
    assert before[0] is not None
    assert before[0].tolist() == [3.0]


def test_one_parameter_alone() -> None:
    found = parameters([[3.0, 4.0], [12.0]])
    clip_norm({"p0": found["p0"]}, 1.0)
    assert found["p0"].grad == pytest.approx([0.6, 0.8])
    assert found["p1"].grad is not None
    assert found["p1"].grad.tolist() == [12.0]


def test_nothing_to_clip() -> None:
    assert clip_norm({}, 1.0) == 0.0
    assert clip_norm(parameters([None, np.zeros((0, 3)), [0.0, -0.0]]), 1.0) == 0.0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_norm_that_is_none_is_an_error_and_changes_nothing(bad: float) -> None:
    found = parameters([[3.0], [4.0, bad]])
    with pytest.raises(InputError, match="gradient of p1: expected finite numbers, got NaN or infinity"):
        clip_norm(found, 1.0)
    assert found["p0"].grad is not None
    assert found["p0"].grad.tolist() == [3.0]
    with pytest.raises(InputError, match="gradients: their norm is above the largest float64"):
        gradient_norm(parameters([[1.7e308], [1.7e308]]))


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan"), float("inf"), "1"])
def test_a_limit_that_is_none_is_named(limit: Any) -> None:
    with pytest.raises(InputError, match="limit: expected a finite number"):
        clip_norm(parameters([[1.0]]), limit)
