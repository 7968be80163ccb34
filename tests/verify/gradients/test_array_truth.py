"""Definitions of arrays evaluated in exact numbers: equal to NumPy's integers where those are exact."""

import numpy as np
import pytest
from flint import fmpq
from hypothesis import given
from hypothesis import strategies as st

from minigrad import elementary
from minigrad.errors import InputError
from verify.gradients.array_truth import evaluate, lift
from verify.gradients.ball import Ball
from verify.gradients.hypothesis_draw import HypothesisDraw
from verify.gradients.magnitude import Magnitude
from verify.gradients.series import Undefined


def numbers(array):
    """The rationals of an object array, as a nested list."""
    return np.vectorize(lambda ball: ball.exact, otypes=[object])(array).tolist() if array.size else []


def cubic(x, w, b):
    y = (x @ w) + b
    return y * y * y


def whole(draw, shape):
    return np.floor(draw.uniform(-3, 4, shape))


@given(st.data())
def test_all_derivatives_of_a_cubic(data):
    """All numbers are small integers, so float64 computes them exactly."""
    draw = HypothesisDraw(data)
    n, k, m = (draw.integer(1, 3) for _ in range(3))
    shapes = ((n, k), (k, m), (1, m))
    x, w, b = (whole(draw, shape) for shape in shapes)
    tx, tw, tb = tangents = [whole(draw, shape) for shape in shapes]
    gy = whole(draw, (n, m))
    found = evaluate(cubic, (x, w, b), {}, Ball, (0, 1, 2), gy=gy, tangents=tangents)
    y, ty = x @ w + b, tx @ w + x @ tw + tb
    first, second = gy * 3 * y**2, gy * 6 * y * ty
    expected = {
        "value": y**3,
        "jvp": 3 * y**2 * ty,
        "vjp[0]": first @ w.T,
        "vjp[1]": x.T @ first,
        "vjp[2]": first.sum(axis=0, keepdims=True),
        "hvp[0]": second @ w.T + first @ tw.T,
        "hvp[1]": x.T @ second + tx.T @ first,
        "hvp[2]": second.sum(axis=0, keepdims=True),
    }
    assert set(found) == set(expected)
    for name, array in expected.items():
        assert found[name].shape == array.shape
        assert numbers(found[name]) == array.astype(int).tolist(), name


def test_only_what_is_asked_for():
    x = np.array([2.0, 3.0])

    def square(v):
        return v * v

    assert set(evaluate(square, (x,), {}, Ball, (0,))) == {"value"}
    assert set(evaluate(square, (x,), {}, Ball, (0,), gy=x)) == {"value", "vjp[0]"}
    assert set(evaluate(square, (x,), {}, Ball, (0,), tangents=[x])) == {"value", "jvp"}


def test_arguments_without_a_tangent_or_a_gradient():
    x, w = np.array([2.0, 3.0]), np.array([5.0, 7.0])
    found = evaluate(lambda a, b: a * b * b, (x, w), {}, Ball, (1,), gy=np.ones(2), tangents=[None, np.ones(2)])
    assert set(found) == {"value", "jvp", "vjp[1]", "hvp[1]"}
    assert numbers(found["hvp[1]"]) == [4, 6]
    found = evaluate(lambda a, b: a * b * b, (x, w), {}, Ball, (0, 1), gy=np.ones(2), tangents=[np.ones(2), None])
    assert numbers(found["jvp"]) == [25, 49]
    assert numbers(found["hvp[0]"]) == [0, 0] and numbers(found["hvp[1]"]) == [10, 14]
    found = evaluate(lambda a, b: a * b * b, (x, w), {}, Ball, (0, 1), gy=np.ones(2), tangents=[None, None])
    assert numbers(found["jvp"]) == [0, 0] and numbers(found["hvp[1]"]) == [0, 0]


def test_integers_masks_and_constants():
    """Labels and masks arrive as they are; floats that are not differentiated become exact numbers too."""
    seen = {}

    def definition(x, index, mask, scale, *, slope):
        seen.update(index=index, mask=mask, scale=scale)
        return np.where(mask, x[index] * (scale + 0.1), x[index] * slope)

    index, mask = np.array([2, 0]), np.array([True, False])
    x, scale = np.array([1.0, 2.0, 3.0]), np.array([0.1, 0.1])
    found = evaluate(definition, (x, index, mask, scale), {"slope": 0.5}, Ball, (0,), gy=np.ones(2))
    assert seen["index"] is index and seen["mask"] is mask and isinstance(seen["scale"][0], Ball)
    tenth = fmpq(*(0.1).as_integer_ratio())
    assert numbers(found["value"]) == [6 * tenth, fmpq(1, 2)]
    assert numbers(found["vjp[0]"]) == [fmpq(1, 2), 0, 2 * tenth]


def test_outputs_that_are_plain_numbers():
    def definition(x):
        return np.array([x[0] * x[0], 3.5, 0, np.float64(0.1), x[1], Ball(2)], dtype=object)

    x = np.array([3.0, 4.0])
    found = evaluate(definition, (x,), {}, Ball, (0,), gy=np.ones(6), tangents=[np.array([1.0, 10.0])])
    assert numbers(found["value"]) == [9, fmpq(7, 2), 0, fmpq(*(0.1).as_integer_ratio()), 4, 2]
    assert numbers(found["jvp"]) == [6, 0, 0, 0, 10, 0]
    assert numbers(found["vjp[0]"]) == [6, 1] and numbers(found["hvp[0]"]) == [2, 0]
    found = evaluate(lambda x: np.zeros((2, 1)), (x,), {}, Ball, (0,), gy=np.ones((2, 1)), tangents=[x])
    assert numbers(found["value"]) == numbers(found["jvp"]) == [[0], [0]] and numbers(found["vjp[0]"]) == [0, 0]


@pytest.mark.parametrize("scalar", [Ball, Magnitude])
@pytest.mark.parametrize("shape", [(), (1,), (0,), (3, 0), (2, 1, 2)])
def test_shapes(scalar, shape):
    x = np.full(shape, 0.5)
    found = evaluate(
        lambda v: elementary.tanh(v) * v, (x,), {}, scalar, (0,), gy=np.ones(shape), tangents=[np.ones(shape)]
    )
    for array in found.values():
        assert array.shape == shape and all(isinstance(n, scalar) for n in array.ravel())
    total = evaluate(lambda v: v.sum(), (x,), {}, scalar, (0,), gy=np.ones(()), tangents=[x])
    assert total["value"].shape == () and total["vjp[0]"].shape == shape


def test_views_keep_their_order():
    x = np.arange(12.0).reshape(3, 4).T[::2]
    found = evaluate(lambda v: v * v, (x,), {}, Ball, (0,), gy=np.ones_like(x))
    assert numbers(found["value"]) == (x * x).astype(int).tolist()
    assert numbers(found["vjp[0]"]) == (2 * x).astype(int).tolist()


def test_float32_is_taken_exactly():
    x = np.array([0.1], dtype=np.float32)
    assert lift("x", x, Ball)[0].exact == fmpq(*float(x[0]).as_integer_ratio())


def test_a_kink_gives_an_undefined_derivative_there_alone():
    x = np.array([0.0, -2.0])
    found = evaluate(abs, (x,), {}, Ball, (0,), gy=np.ones(2), tangents=[np.ones(2)])
    for name in ("jvp", "vjp[0]"):
        assert isinstance(found[name][0], Undefined) and found[name][1].exact == -1
    assert numbers(evaluate(abs, (x,), {}, Ball, (0,), gy=np.array([0.0, 1.0]))["vjp[0]"]) == [0, -1]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"arrays": (np.array([np.nan, 1.0]),)}, r"arrays\[0\]: expected finite numbers, got nan"),
        ({"arrays": (np.array([1, 2]),)}, r"arrays\[0\]: expected an array of floats, got int64"),
        ({"gy": np.ones(3)}, r"gy: expected shape \(2,\), that of the value, got \(3,\)"),
        ({"gy": np.array([np.inf, 1.0])}, "gy: expected finite numbers, got inf"),
        ({"tangents": [np.ones((2, 1))]}, r"tangents\[0\]: expected shape \(2,\), got \(2, 1\)"),
        ({"tangents": [np.array([np.nan, 1.0])]}, r"tangents\[0\]: expected finite"),
    ],
)
def test_bad_arguments(changed, message):
    given = {"arrays": (np.ones(2),), "gy": np.ones(2), "tangents": [np.ones(2)]} | changed
    arrays = given.pop("arrays")
    with pytest.raises(InputError, match=message):
        evaluate(lambda x: x * x, arrays, {}, Ball, (0,), **given)
