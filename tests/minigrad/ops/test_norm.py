"""Norms: their sets, their orders of operations, second derivatives, and what they refuse."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import PRIMITIVES, InputError
from minigrad.draw import SeededDraw
from minigrad.reduction import tree_sum

NAMES = ["batch_norm", "affine_norm", "layer_norm", "group_norm"]
SEEDS = st.integers(0, 2**32)
RNG = np.random.default_rng


def forward(name: str, *arrays: Any, **options: Any) -> np.ndarray:
    return PRIMITIVES[name].forward(*arrays, **options)[0]


def gradient(name: str, gy: np.ndarray, arrays: Any, options: dict[str, Any]) -> tuple[Any, ...]:
    primitive = PRIMITIVES[name]
    _, residuals = primitive.forward(*arrays, **options)
    return primitive.vjp(gy, residuals, [True] * len(arrays))[:3]


def case(name: str, seed: int) -> tuple[Any, dict[str, Any], np.ndarray, tuple[Any, ...], tuple[Any, ...]]:
    """Arguments, options, an incoming gradient and two directions."""
    arrays, options = PRIMITIVES[name].examples(SeededDraw(seed), np.float64)
    rng = RNG(seed)
    tangents = [tuple(rng.standard_normal(a.shape) if n < 3 else None for n, a in enumerate(arrays)) for _ in range(2)]
    return arrays, options, rng.standard_normal(arrays[0].shape), tangents[0], tangents[1]


def only(tangents: tuple[Any, ...], position: int) -> tuple[Any, ...]:
    return tuple(t if n == position else None for n, t in enumerate(tangents))


def inner(a: tuple[Any, ...], b: tuple[Any, ...]) -> tuple[float, float]:
    """The sum of products, and that of their absolute values."""
    products = [x * y for x, y in zip(a, b, strict=False) if x is not None and y is not None]
    return sum(float(p.sum()) for p in products), sum(float(np.abs(p).sum()) for p in products)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("name", NAMES)
def test_every_rule_is_certified(certify: Callable[[str, int], None], name: str, seed: int) -> None:
    certify(name, seed)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_batch_norm_has_this_order_of_operations(dtype: type) -> None:
    rng = RNG(0)
    x, gy = (rng.standard_normal((5, 7, 7, 4)).astype(dtype) for _ in range(2))
    gamma, beta = rng.uniform(-2, 2, (2, 4)).astype(dtype)
    rows, count = x.reshape(-1, 4), 5 * 7 * 7
    mean = tree_sum(rows) / count
    variance = tree_sum((rows - mean) * (rows - mean)) / count
    inverse = dtype(1) / np.sqrt(variance + dtype(1e-5))
    normalised = (x - mean) * inverse
    value, residuals = PRIMITIVES["batch_norm"].forward(x, gamma, beta)
    assert value.tobytes() == (normalised * gamma + beta).tobytes()
    dgamma, dbeta = tree_sum((gy * normalised).reshape(-1, 4)), tree_sum(gy.reshape(-1, 4))
    dx = (gamma * inverse) * (gy - (dbeta / count) - normalised * (dgamma / count))
    found = PRIMITIVES["batch_norm"].vjp(gy, residuals, [True] * 3)
    assert [g.tobytes() for g in found if g is not None] == [g.tobytes() for g in (dx, dgamma, dbeta)]


def test_of_two_values_almost_nothing_reaches_the_input() -> None:
    """The values are n and -n whatever they are, but for eps: dx = +-gamma (g1 - g2) / 2 eps r^3."""
    rng = RNG(0)
    x, gy = rng.uniform(-3, 3, (2, 50)), rng.standard_normal((2, 50))
    gamma, eps = rng.uniform(0.5, 2, 50), 1e-5
    dx, _, _ = gradient("batch_norm", gy, (x, gamma, np.zeros(50)), {"eps": eps})
    r = 1 / np.sqrt((x[0] - x[1]) ** 2 / 4 + eps)
    expected = gamma * (gy[0] - gy[1]) / 2 * eps * r**3
    # Where the two are close the factor r multiplies what the subtraction of the mean has rounded.
    terms = gamma * r * np.abs(gy).sum(0) * (1 + np.abs(x).sum(0) * r)
    assert np.all(np.abs(dx - [expected, -expected]) <= 2**-50 * terms)


@pytest.mark.parametrize("name", NAMES)
@given(SEEDS)
def test_the_second_derivative_is_symmetric_and_linear(name: str, seed: int) -> None:
    arrays, options, gy, s, t = case(name, seed)
    hvp = PRIMITIVES[name].hvp
    assert hvp is not None
    along_s, along_t = hvp(gy, s, *arrays, **options), hvp(gy, t, *arrays, **options)
    left, right = inner(along_s, t), inner(along_t, s)
    assert abs(left[0] - right[0]) <= 1e-12 * (left[1] + right[1])
    for n in range(3):
        alone = [hvp(gy, only(s, k), *arrays, **options) for k in range(3)]
        parts = [np.zeros_like(arrays[n]) if part[n] is None else part[n] for part in alone]
        whole = np.zeros_like(arrays[n]) if along_s[n] is None else along_s[n]
        assert np.allclose(sum(parts), whole, rtol=1e-12, atol=1e-12 * max(1.0, *(np.abs(p).max() for p in parts)))


@pytest.mark.parametrize("name", NAMES)
@given(SEEDS)
def test_the_second_derivative_is_the_difference_of_first_ones(name: str, seed: int) -> None:
    arrays, options, gy, t, _ = case(name, seed)
    options["eps"] = 0.125
    found = PRIMITIVES[name].hvp(gy, t, *arrays, **options)  # type: ignore[misc]
    h = 1e-4
    either = []
    for sign in (-1, 1):
        moved = tuple(a if d is None else a + sign * h * d for a, d in zip(arrays, t, strict=True))
        either.append(gradient(name, gy, moved, options))
    for n in range(3):
        difference = (either[1][n] - either[0][n]) / (2 * h)
        got = np.zeros_like(difference) if found[n] is None else found[n]
        # The third derivative is at most some hundreds here: r <= 2.8, and every order brings one more factor r.
        assert np.allclose(got, difference, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("name", NAMES)
@given(SEEDS)
def test_jvp_and_vjp_are_adjoint(name: str, seed: int) -> None:
    arrays, options, gy, t, _ = case(name, seed)
    forward_side = inner((gy,), (PRIMITIVES[name].jvp(t, *arrays, **options),))
    reverse_side = inner(gradient(name, gy, arrays, options), t)
    assert abs(forward_side[0] - reverse_side[0]) <= 1e-11 * (forward_side[1] + reverse_side[1])


def test_one_group_is_a_layer_and_a_group_a_channel_an_instance() -> None:
    x = RNG(0).standard_normal((3, 4, 5, 6))
    one, zero = np.ones(6), np.zeros(6)
    layer = forward("layer_norm", x, np.ones(x.shape[1:]), np.zeros(x.shape[1:]))
    assert np.allclose(forward("group_norm", x, one, zero, groups=1), layer, rtol=0, atol=1e-14)
    instance = (x - x.mean((1, 2), keepdims=True)) / np.sqrt(x.var((1, 2), keepdims=True) + 1e-5)
    assert np.allclose(forward("group_norm", x, one, zero, groups=6), instance, rtol=0, atol=1e-13)


def test_groups_are_neighbouring_channels_of_one_example() -> None:
    x = np.array([[[[1.0, 3.0, 10.0, 30.0]]], [[[1.0, 1.0, 5.0, -5.0]]]])
    y = forward("group_norm", x, np.array([1.0, 1, 1, 2]), np.array([0.0, 0, 0, 1]), groups=2, eps=1e-30)
    assert np.allclose(y.reshape(2, 4), [[-1, 1, -1, 3], [0, 0, 1, -1]], rtol=0, atol=1e-12)


def test_a_layer_is_as_many_axes_as_gamma_has() -> None:
    x = RNG(0).standard_normal((3, 4, 5)) * 7 - 100
    for axes in ((2,), (1, 2), (0, 1, 2)):
        shape = x.shape[-len(axes) :]
        gamma, beta = RNG(1).uniform(-2, 2, (2, *shape))
        expected = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 0.5) * gamma + beta
        assert np.allclose(forward("layer_norm", x, gamma, beta, eps=0.5), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("name", "options"), [("layer_norm", {}), ("group_norm", {"groups": 2})])
def test_a_large_mean_leaves_the_variance_in_float32(name: str, options: dict[str, Any]) -> None:
    x = (1e4 + RNG(0).standard_normal((3, 64, 4))).astype(np.float32)
    shape = x.shape[1:] if name == "layer_norm" else x.shape[-1:]
    y = forward(name, x, np.ones(shape, np.float32), np.zeros(shape, np.float32), **options)
    double = forward(name, x.astype(np.float64), np.ones(shape), np.zeros(shape), **options)
    assert y.dtype == np.float32
    # One rounding of the mean is 2^-11 here, of a number near 1e4; x itself is exact.
    assert np.allclose(y, double, rtol=0, atol=2e-3)


@pytest.mark.parametrize(
    ("name", "shape", "options", "reached"),
    [
        ("batch_norm", (3, 2, 2, 4), {}, (slice(None), slice(None), slice(None), 1)),
        ("layer_norm", (3, 2, 4), {}, (0, 0)),
        ("group_norm", (3, 2, 2, 4), {"groups": 2}, (0, slice(None), slice(None), slice(0, 2))),
    ],
)
def test_a_nan_reaches_its_own_set(name: str, shape: Any, options: dict[str, Any], reached: Any) -> None:
    x = RNG(0).standard_normal(shape)
    x[(0,) * (len(shape) - 1) + (1,)] = np.nan
    expected = np.zeros(shape, bool)
    expected[reached] = True
    assert np.array_equal(np.isnan(forward(name, x, np.ones(4), np.zeros(4), **options)), expected)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_other_strides_have_the_same_bits(name: str, dtype: type) -> None:
    rng = RNG(0)
    x, gy = (rng.standard_normal((4, 6, 5, 3)).astype(dtype).transpose(3, 2, 1, 0)[:, ::-1] for _ in range(2))
    rest: list[np.ndarray] = [rng.uniform(0.5, 2, 4).astype(dtype) for _ in range(4 if name == "affine_norm" else 2)]
    options = {"groups": 2} if name == "group_norm" else {}
    results = []
    for arrays in ((x, *rest), (np.ascontiguousarray(x), *rest)):
        value = forward(name, *arrays, **options)
        found = gradient(name, gy, arrays, options)
        assert {a.dtype for a in (value, *found)} == {np.dtype(dtype)}
        results.append([value.tobytes(), *(g.tobytes() for g in found)])
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("name", "shape", "options"),
    [
        ("affine_norm", (0, 3), {}),
        ("layer_norm", (0, 3), {}),
        ("layer_norm", (2, 0, 3), {}),
        ("group_norm", (0, 2, 2, 3), {"groups": 3}),
        ("batch_norm", (4, 0), {}),
    ],
)
def test_no_elements_give_none(name: str, shape: Any, options: dict[str, Any]) -> None:
    c = shape[-1]
    arrays = (np.zeros(shape), np.ones(c), np.zeros(c), *((np.zeros(c), np.ones(c)) if name == "affine_norm" else ()))
    assert forward(name, *arrays, **options).shape == shape
    dx, dgamma, dbeta = gradient(name, np.zeros(shape), arrays, options)
    assert dx.shape == shape
    assert dgamma.tolist() == dbeta.tolist() == [0.0] * c


X, ONE = np.zeros((2, 3, 4)), np.ones(4)


@pytest.mark.parametrize(
    ("name", "arrays", "options", "message"),
    [
        ("batch_norm", (X[:1, :1], ONE, ONE), {}, "batch_norm: expected at least 2 values a channel in training"),
        ("batch_norm", (X[:0], ONE, ONE), {}, "batch_norm: expected at least 2 values a channel in training"),
        ("batch_norm", (ONE, ONE, ONE), {}, r"batch_norm: x: expected an array \(..., channels\)"),
        ("batch_norm", (X, ONE[:3], ONE), {}, r"batch_norm: gamma: expected shape \(4,\), got \(3,\)"),
        ("batch_norm", (X, ONE, ONE[:1]), {}, r"batch_norm: beta: expected shape \(4,\), got \(1,\)"),
        ("batch_norm", (X, ONE, ONE), {"eps": 0.0}, "batch_norm: eps: expected a finite number above 0, got 0.0"),
        ("affine_norm", (X, ONE, ONE, ONE[:2], ONE), {}, r"affine_norm: mean: expected shape \(4,\), got \(2,\)"),
        ("affine_norm", (X, ONE, ONE, ONE, X[0]), {}, r"affine_norm: variance: expected shape \(4,\), got \(3, 4\)"),
        ("affine_norm", (X, ONE, ONE, ONE, -ONE), {}, "affine_norm: variance: expected no negative numbers, got -1.0"),
        ("layer_norm", (X, np.ones(3), np.ones(3)), {}, r"layer_norm: gamma: expected the shape of the last axis"),
        ("layer_norm", (X, np.ones(()), np.ones(())), {}, r"layer_norm: gamma: expected the shape of the last axis"),
        ("layer_norm", (ONE, X, X), {}, r"layer_norm: gamma: expected the shape of the last axis"),
        ("layer_norm", (X, ONE, X[0]), {}, r"layer_norm: beta: expected the shape of gamma, \(4,\), got \(3, 4\)"),
        ("layer_norm", (X[..., :0], ONE[:0], ONE[:0]), {}, "layer_norm: x: expected elements along the normalised"),
        ("layer_norm", (X, ONE, ONE), {"eps": float("nan")}, "layer_norm: eps: expected a finite number above 0"),
        ("group_norm", (X, ONE, ONE), {"groups": 3}, "group_norm: groups: expected a divisor of the 4 channels, got 3"),
        ("group_norm", (X, ONE, ONE), {"groups": 0}, "group_norm: groups: expected a divisor of the 4 channels, got 0"),
        ("group_norm", (X, ONE, ONE), {"groups": 2.0}, "group_norm: groups: expected a divisor of the 4 channels"),
        ("group_norm", (X, ONE[:2], ONE), {"groups": 2}, r"group_norm: gamma: expected shape \(4,\), got \(2,\)"),
        ("group_norm", (X[:, :0], ONE, ONE), {"groups": 2}, "group_norm: x: expected elements in every group"),
        ("group_norm", (ONE, ONE, ONE), {"groups": 2}, r"group_norm: x: expected an array \(n, ..., channels\)"),
        ("group_norm", (X, ONE, ONE), {"groups": 2, "eps": -1}, "group_norm: eps: expected a finite number above 0"),
    ],
)
def test_bad_input_is_named(name: str, arrays: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        forward(name, *arrays, **options)
