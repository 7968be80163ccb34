"""Functions of one element: special values, dtypes, kinks and picks, examples, what is refused."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import PRIMITIVES, InputError
from minigrad.draw import Draw, SeededDraw
from minigrad.primitive import Kink
from verify.gradients.hypothesis_draw import HypothesisDraw

inf, nan = math.inf, math.nan
SMOOTH = ["exp", "log", "sqrt", "tanh", "sigmoid", "softplus", "gelu", "silu"]
BROKEN = ["abs", "sign", "clip", "relu", "relu6", "leaky_relu", "hardtanh", "hardswish"]
OPTIONS: dict[str, list[dict[str, Any]]] = {
    "clip": [{"low": -1.0, "high": 2.0}, {"high": 0.5}, {"low": 0.0}, {}],
    "leaky_relu": [{}, {"slope": 0.25}],
    "gelu": [{}, {"approximate": "tanh"}],
}
CASES = [(name, options) for name in SMOOTH + BROKEN for options in OPTIONS.get(name, [{}])]
LIST = ["abs", "clip", "exp", "gelu", "hardswish", "hardtanh", "leaky_relu", "log"]
LIST += ["prelu", "relu", "relu6", "sigmoid", "sign", "silu", "softplus", "sqrt", "tanh"]


def value(name: str, x: Any, **options: Any) -> np.ndarray:
    return np.asarray(PRIMITIVES[name].forward(np.asarray(x), **options)[0])


def gradient(name: str, x: Any, gy: float = 1.0, **options: Any) -> np.ndarray:
    x = np.asarray(x)
    _, residual = PRIMITIVES[name].forward(x, **options)
    return np.asarray(PRIMITIVES[name].vjp(np.full_like(x, gy), residual, [True])[0])


# ---- special values

ENDS: dict[str, tuple[list[float], list[float]]] = {
    # value at -inf, inf, 0, -0; gradient at -inf, inf, 0
    "exp": ([0, inf, 1, 1], [0, inf, 1]),
    "log": ([nan, inf, -inf, -inf], [-0.0, 0, inf]),
    "sqrt": ([nan, inf, 0, -0.0], [nan, 0, inf]),
    "tanh": ([-1, 1, 0, -0.0], [0, 0, 1]),
    "sigmoid": ([0, 1, 0.5, 0.5], [0, 0, 0.25]),
    "softplus": ([0, inf, math.log(2), math.log(2)], [0, 1, 0.5]),
    "gelu": ([0, inf, 0, -0.0], [0, 1, 0.5]),
    "silu": ([0, inf, 0, -0.0], [0, 1, 0.5]),
    "abs": ([inf, inf, 0, 0], [-1, 1, 0]),
    "sign": ([-1, 1, 0, 0], [0, 0, 0]),
    "clip": ([-1, 2, 0, -0.0], [0, 0, 1]),
    "relu": ([0, inf, 0, 0], [0, 1, 0]),
    "relu6": ([0, 6, 0, 0], [0, 0, 0]),
    "leaky_relu": ([-inf, inf, 0, -0.0], [0.01, 1, 0.01]),
    "hardtanh": ([-1, 1, 0, -0.0], [0, 0, 1]),
    "hardswish": ([0, inf, 0, -0.0], [0, 1, 0.5]),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", SMOOTH + BROKEN)
def test_the_ends_and_zero(name: str, dtype: type) -> None:
    for options in OPTIONS.get(name, [{}])[: None if name == "gelu" else 1]:
        values, slopes = ENDS[name]
        got = value(name, np.array([-inf, inf, 0.0, -0.0, nan], dtype), **options)
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, np.array([*values, nan]).astype(dtype))
        signs = [math.copysign(1, v) for v, e in zip(got, values, strict=False) if e == 0 and name != "sign"]
        assert signs == [math.copysign(1, e) for e in values if e == 0 and name != "sign"]
        np.testing.assert_array_equal(
            gradient(name, np.array([-inf, inf, 0.0], dtype), **options), np.array(slopes, dtype)
        )


@pytest.mark.parametrize(("name", "options"), CASES)
def test_huge_arguments_give_limits(name: str, options: dict[str, Any]) -> None:
    for x in (1e155, 1e308, -1e155, -1e308):
        limit = value(name, math.copysign(inf, x), **options)
        got, slope = value(name, x, **options), gradient(name, x, **options)
        if np.isfinite(limit):
            assert got == pytest.approx(limit, abs=1e-150) or name == "log"
        curvature = PRIMITIVES[name].hvp(np.ones(1), (np.ones(1),), np.array([x]), **options)[0]  # type: ignore[misc]
        assert not np.isnan(slope) or (name in ("log", "sqrt") and x < 0)
        assert curvature is None or not np.isnan(curvature).any() or (name in ("log", "sqrt") and x < 0)


@pytest.mark.parametrize("name", ["relu", "relu6", "clip", "hardtanh", "sign"])
def test_an_infinite_gradient_stops_where_the_slope_is_zero(name: str) -> None:
    options = OPTIONS.get(name, [{}])[0]
    assert gradient(name, [-9.0, 9.0], gy=inf, **options).tolist() == [0.0, inf if name == "relu" else 0.0]


def test_slopes_keep_their_relative_accuracy_in_the_tails() -> None:
    x = 35.0
    for name, expected in (("sigmoid", math.exp(-x)), ("tanh", 4 * math.exp(-2 * x))):
        for argument in (x, -x):
            assert gradient(name, argument) == pytest.approx(expected, rel=1e-13, abs=0)
    assert gradient("softplus", -700.0) == pytest.approx(math.exp(-700.0), rel=1e-13, abs=0)


# ---- shapes and dtypes


@pytest.mark.parametrize(("name", "options"), CASES)
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3), (1,)])
def test_shape_and_float32_stay(name: str, options: dict[str, Any], shape: tuple[int, ...]) -> None:
    primitive = PRIMITIVES[name]
    base = np.random.default_rng(0).uniform(0.1, 4.0, (2, *shape)).astype(np.float32)
    x = np.asarray(base[0])
    y, residual = primitive.forward(x, **options)
    results = [y, primitive.vjp(x, residual, [True])[0], primitive.jvp((x,), x, **options)]
    results += primitive.hvp(x, (x,), x, **options)  # type: ignore[misc]
    assert {(np.shape(r), r.dtype) for r in results if r is not None} == {(shape, np.dtype(np.float32))}
    across = np.asfortranarray(x.astype(np.float64))
    assert np.array_equal(value(name, across, **options), value(name, across.copy(order="C"), **options))


# ---- kinks


def one_sided(kink: Kink, name: str, seed: int, step: float) -> tuple[float, float, float, float]:
    """The slope on the left and on the right of a kink point, the gradient there, and the declared weight."""
    primitive = PRIMITIVES[name]
    point = kink.at(SeededDraw(seed), np.float64)
    at, residuals = primitive.forward(*point.arrays, **point.options)
    gy = np.random.default_rng(seed).uniform(0.5, 2.0, np.shape(at))

    def moved(by: float) -> float:
        arrays = [np.array(a) for a in point.arrays]
        arrays[point.position][point.index] += by
        return float((gy * (np.asarray(primitive.forward(*arrays, **point.options)[0]) - at)).sum()) / by

    gradients = primitive.vjp(gy, residuals, [True] * len(point.arrays))
    tangents = [np.zeros_like(a) for a in point.arrays]
    tangents[point.position][point.index] = 1.0
    forward = float((gy * primitive.jvp(tuple(tangents), *point.arrays, **point.options)).sum())
    own = float(np.asarray(gradients[point.position])[point.index])
    assert forward == pytest.approx(own, rel=1e-13, abs=1e-13)
    return moved(-step), moved(step), own, point.weight


KINKS = [(name, k) for name in [*LIST, "maximum", "minimum"] for k in range(len(PRIMITIVES[name].kinks))]


@pytest.mark.parametrize(("name", "number"), KINKS)
def test_the_pick_at_a_kink_is_the_declared_one(name: str, number: int) -> None:
    kink = PRIMITIVES[name].kinks[number]
    for seed in range(20):
        left, right, own, weight = one_sided(kink, name, seed, 2.0**-20)
        if kink.jump:
            assert left > 1e4 and right > 1e4 and own == weight
        else:
            assert abs(left - right) > 1e-2, "no kink there"
            assert own == pytest.approx((1 - weight) * left + weight * right, abs=1e-5), seed


def test_bounds_belong_to_the_inside() -> None:
    bounds = np.array([-1.0, 1.0, np.nextafter(-1, -2), np.nextafter(1, 2)])
    for name, options in (("clip", {"low": -1.0, "high": 1.0}), ("hardtanh", {})):
        assert gradient(name, bounds, **options).tolist() == [1, 1, 0, 0]
    assert gradient("relu6", np.array([0.0, 6.0])).tolist() == [0, 1]
    assert gradient("clip", np.array([0.0]), low=0.0, high=0.0).tolist() == [1]


def assert_away_from_kinks(name: str, draw: Draw) -> None:
    """The kinks that an example may have are those of its options; sizes are small enough for exact numbers."""
    arrays, options = PRIMITIVES[name].examples(draw, np.float64)
    bounds = {
        "clip": [b for b in options.values() if b is not None],
        "relu6": [0, 6],
        "hardtanh": [-1, 1],
        "hardswish": [-3, 3],
    }
    x = arrays[0]
    assert x.size <= 60
    for point in bounds.get(name, [0] if name in BROKEN or name == "prelu" else []):
        assert (np.abs(x - point) >= 0.01).all()


@pytest.mark.parametrize("name", LIST)
@given(st.data())
def test_examples_stay_away_from_kinks(name: str, data: st.DataObject) -> None:
    assert_away_from_kinks(name, HypothesisDraw(data))
    assert_away_from_kinks(name, SeededDraw(data.draw(st.integers(0, 999))))


# ---- a learned slope


@pytest.mark.parametrize("shape", [(), (1,), (3,)])
def test_prelu_has_one_slope_a_channel_or_one_in_all(shape: tuple[int, ...]) -> None:
    x = np.array([[-1.0, 2.0, -3.0], [0.0, -5.0, nan]])
    slope = np.full(shape, 0.5) * np.arange(1, 1 + np.size(np.empty(shape))).reshape(shape)
    y, residuals = PRIMITIVES["prelu"].forward(x, slope)
    full = np.broadcast_to(slope, x.shape)
    np.testing.assert_array_equal(y, np.where(x > 0, x, x * full))
    x[1, 2] = -1.0
    y, residuals = PRIMITIVES["prelu"].forward(x, slope)
    of_x, of_slope = PRIMITIVES["prelu"].vjp(np.ones_like(x), residuals, [True, True])
    np.testing.assert_array_equal(of_x, np.where(x > 0, 1, full))  # type: ignore[arg-type]
    column = np.array([-1.0, -5.0, -4.0])
    np.testing.assert_array_equal(of_slope, column if shape == (3,) else np.full(shape, column.sum()))  # type: ignore[arg-type]


# ---- what is refused

REFUSED: list[tuple[str, tuple[np.ndarray, ...], dict[str, Any], str]] = [
    ("clip", (np.ones(2),), {"low": 1.0, "high": 0.0}, "clip: low: expected at most high, 0.0, got 1.0"),
    ("clip", (np.ones(2),), {"low": nan}, "clip: low: expected a number or None, got nan"),
    ("clip", (np.ones(2),), {"high": "1"}, "clip: high: expected a number or None, got '1'"),
    ("clip", (np.ones(2),), {"high": True}, "clip: high: expected a number"),
    ("leaky_relu", (np.ones(2),), {"slope": nan}, "leaky_relu: slope: expected a finite number, got nan"),
    ("leaky_relu", (np.ones(2),), {"slope": inf}, "leaky_relu: slope: expected a finite number, got inf"),
    ("leaky_relu", (np.ones(2),), {"slope": None}, "leaky_relu: slope: expected a finite number, got None"),
    ("gelu", (np.ones(2),), {"approximate": "sigmoid"}, "gelu: approximate: expected 'none' or 'tanh', got 'sigmoid'"),
    ("prelu", (np.ones((2, 3)), np.ones(2)), {}, "prelu: slope: expected shape \\(3,\\) or one element, got \\(2,\\)"),
    ("prelu", (np.ones((2, 3)), np.ones((1, 3))), {}, "prelu: slope: expected shape"),
    ("prelu", (np.ones(()), np.ones(1)), {}, "prelu: slope: expected shape"),
]


@pytest.mark.parametrize(("name", "arrays", "options", "message"), REFUSED)
def test_what_does_not_fit_is_named(
    name: str, arrays: tuple[np.ndarray, ...], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        PRIMITIVES[name].forward(*arrays, **options)


def test_without_bounds_clip_is_the_identity() -> None:
    x = np.array([-inf, 2.0, inf])
    assert value("clip", x).tolist() == x.tolist() and gradient("clip", x).tolist() == [1, 1, 1]
