"""logsumexp, softmax and log_softmax: proven rules, any shift, infinities, and what is refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flint import arb, ctx
from hypothesis import given
from hypothesis import strategies as st

from minigrad import PRIMITIVES, InputError, Tensor, apply
from minigrad.derivatives import hvp

NAMES = ["logsumexp", "softmax", "log_softmax"]
SEEDS = st.integers(0, 2**32)
INF = np.inf


def forward(name: str, x: Any, **options: Any) -> np.ndarray:
    return PRIMITIVES[name].forward(np.asarray(x), **options)[0]


def gradient(name: str, x: Any, gy: Any, **options: Any) -> np.ndarray:
    _, residuals = PRIMITIVES[name].forward(np.asarray(x), **options)
    (g,) = PRIMITIVES[name].vjp(np.asarray(gy, np.float64), residuals, (True,))
    assert g is not None
    return g


def exact(x: np.ndarray) -> dict[str, list[float]]:
    """The three functions of a row, by Arb."""
    with ctx.workprec(300):
        top = arb(float(x.max()))
        shifted = [arb(float(e)) - top for e in x]
        total = sum((e.exp() for e in shifted), arb(0))
        return {
            "logsumexp": [float(total.log() + top)],
            "softmax": [float(e.exp() / total) for e in shifted],
            "log_softmax": [float(e - total.log()) for e in shifted],
        }


@pytest.mark.parametrize("name", NAMES)
@given(seed=SEEDS)
def test_every_rule_is_certified(certify: Callable[[str, int], None], name: str, seed: int) -> None:
    certify(name, seed)


@pytest.mark.parametrize("shift", [0.0, 1e3, -1e3, 1e8, -1e300, 1.7e308])
@pytest.mark.parametrize("spread", [1e-3, 3.0, 600.0])
@pytest.mark.parametrize("name", NAMES)
def test_no_shift_overflows(name: str, spread: float, shift: float) -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-spread, spread, 7) + shift
    expected = np.array(exact(x)[name])
    # What rounding the exponents may do, as an absolute error of logarithms and a relative one of probabilities.
    size = np.abs(x).max() if name == "logsumexp" else np.abs(x - x.max())
    bound = 2.0**-49 * np.maximum(1.0, size) * (expected if name == "softmax" else 1.0)
    assert np.all(np.abs(forward(name, x) - expected) <= bound)


def test_the_ends_of_the_range_do_not_meet() -> None:
    for dtype in (np.float32, np.float64):
        top = np.finfo(dtype).max
        x = np.array([-top, top], dtype)
        assert forward("softmax", x).tolist() == [0, 1]
        assert forward("logsumexp", x) == top
        assert forward("log_softmax", x).tolist() == [-INF, 0]


def test_minus_infinity_is_a_probability_of_zero() -> None:
    x, finite = np.array([-INF, 0.5, -INF, 2.0]), np.array([0.5, 2.0])
    kept = [1, 3]
    for name in NAMES[1:]:
        value = forward(name, x)
        assert np.array_equal(value[kept], forward(name, finite)), name
        assert value[[0, 2]].tolist() == ([0, 0] if name == "softmax" else [-INF, -INF])
        g = gradient(name, x, [0.0, 1.0, 0.0, 3.0])
        assert np.array_equal(g[kept], gradient(name, finite, [1.0, 3.0])), name
        assert g[[0, 2]].tolist() == [0, 0]
        tangent = np.array([7.0, 1.0, 7.0, 3.0])
        along = PRIMITIVES[name].jvp((tangent,), x)
        assert np.array_equal(along[kept], PRIMITIVES[name].jvp((tangent[kept],), finite)), name
    assert forward("logsumexp", x) == forward("logsumexp", finite)
    assert gradient("logsumexp", x, 1.0)[[0, 2]].tolist() == [0, 0]


def test_where_there_is_no_probability_it_is_nan() -> None:
    """Without a warning: the rows beside it are as they are."""
    x = np.array([[-INF, -INF], [INF, 0.0], [np.nan, 0.0], [1.0, 1.0]])
    assert np.isnan(forward("softmax", x)).all(1).tolist() == [True, False, True, False]
    assert np.isnan(forward("softmax", x)).any(1).tolist() == [True, True, True, False]
    assert np.isnan(forward("log_softmax", x)).any(1).tolist() == [True, True, True, False]
    assert np.isnan(gradient("logsumexp", x, np.ones(4), axis=1)).any(1).tolist() == [True, True, True, False]
    value = forward("logsumexp", x, axis=1)
    assert value[:2].tolist() == [-INF, INF]
    assert np.isnan(value[2])


@pytest.mark.parametrize("name", NAMES)
def test_axes(name: str) -> None:
    x = np.random.default_rng(0).standard_normal((3, 4, 5)).astype(np.float32)
    for axis in range(-3, 3):
        moved = np.ascontiguousarray(np.moveaxis(x, axis, -1))
        last = forward(name, moved, axis=-1)
        got = forward(name, x, axis=axis)
        assert got.dtype == np.float32
        assert np.array_equal(got if name == "logsumexp" else np.moveaxis(got, axis, -1), last)


def test_logsumexp_over_several_axes() -> None:
    x = np.random.default_rng(0).standard_normal((3, 4, 5))
    flat = x.transpose(0, 2, 1).reshape(15, 4)
    got = forward("logsumexp", x, axis=(2, 0), keepdims=True)
    assert got.shape == (1, 4, 1)
    assert np.array_equal(got.ravel(), forward("logsumexp", flat, axis=0))
    assert forward("logsumexp", x).shape == ()


@pytest.mark.parametrize("name", NAMES)
def test_the_tape_differentiates_twice(name: str) -> None:
    x, t = np.array([[0.3, -1.0, 2.0], [0.0, 0.5, 0.0]]), np.array([[0.5, 1.5, -1.0], [1.0, -2.0, 0.25]])
    c = np.array([3.0, -2.0]) if name == "logsumexp" else np.array([[1.0, -2.0, 0.5], [0.5, 0.0, 3.0]])

    def function(leaf: Tensor) -> Tensor:
        return (apply(name, leaf, axis=1) * c).sum()

    rule = PRIMITIVES[name].hvp
    assert rule is not None
    (expected,) = rule(c, (t,), x, axis=1)
    assert expected is not None
    (got,) = hvp(function, (x,), (t,))
    assert np.abs(expected).max() > 0.1
    assert np.array_equal(got, expected)


@pytest.mark.parametrize("name", NAMES)
def test_zero_sizes(name: str) -> None:
    empty = np.zeros((0, 3), np.float32)
    assert forward(name, empty, axis=1).shape == ((0,) if name == "logsumexp" else (0, 3))
    with pytest.raises(InputError, match=rf"{name}: the array of shape \(0, 3\) has no elements along axes \(0,\)"):
        forward(name, empty, axis=0)


@pytest.mark.parametrize("name", NAMES[1:])
@pytest.mark.parametrize(
    ("axis", "message"), [(2, "2 is not an axis"), (None, "expected an integer"), ((0,), "expected")]
)
def test_one_axis_is_asked_for(name: str, axis: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"^{name}: axis: {message}"):
        forward(name, np.zeros((2, 3)), axis=axis)
