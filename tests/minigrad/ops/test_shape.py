"""Moving elements: proven rules, NumPy's meaning, zero sizes, and what is refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minigrad import PRIMITIVES, InputError, Tensor, apply
from minigrad.ops.indexing import split

NAMES = ["reshape", "transpose", "broadcast_to", "pad", "concatenate", "stack", "slice", "gather"]
SEEDS = st.integers(0, 2**32)
X = np.arange(24.0).reshape(2, 3, 4)


def forward(name: str, *arrays: Any, **options: Any) -> np.ndarray:
    return PRIMITIVES[name].forward(*arrays, **options)[0]


def gradients(name: str, gy: np.ndarray, *arrays: Any, **options: Any) -> tuple[np.ndarray | None, ...]:
    _, residuals = PRIMITIVES[name].forward(*arrays, **options)
    return PRIMITIVES[name].vjp(gy, residuals, [True] * len(arrays))


@pytest.mark.parametrize("name", NAMES)
@given(seed=SEEDS)
def test_every_rule_is_certified(certify: Callable[[str, int], None], name: str, seed: int) -> None:
    certify(name, seed)


@given(st.data())
def test_slices_are_those_of_numpy(data: st.DataObject) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))
    index = data.draw(hnp.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True))
    x = np.arange(float(np.prod(shape))).reshape(shape)
    value = forward("slice", x, index=index)
    assert np.array_equal(value, x[index])
    (g,) = gradients("slice", np.ones_like(value), x, index=index)
    assert g is not None
    assert np.array_equal(g, np.isin(x, value).astype(float))


@given(st.data())
def test_padding_is_that_of_numpy(data: st.DataObject) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
    widths = tuple(data.draw(st.tuples(st.integers(0, 3), st.integers(0, 3))) for _ in shape)
    value = data.draw(st.sampled_from([0.0, -np.inf, 2.5, np.nan]))
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    padded = forward("pad", x, widths=widths, value=value)
    expected = np.pad(x, widths, constant_values=value) if shape else x
    assert padded.dtype == np.float32
    assert np.array_equal(padded, expected, equal_nan=True)
    gy = np.random.default_rng(1).standard_normal(padded.shape).astype(np.float32)
    (g,) = gradients("pad", gy, x, widths=widths, value=value)
    assert g is not None
    assert g.shape == x.shape
    assert PRIMITIVES["pad"].jvp((x,), x, widths=widths, value=value).sum() == pytest.approx(x.sum(), abs=1e-5)


def test_gathered_elements_add_up_in_ascending_order() -> None:
    """Numbers of very different sizes, so that another order has other bits."""
    rng = np.random.default_rng(0)
    x = np.zeros((4, 3), np.float32)
    indices = rng.integers(-4, 4, (50, 3))
    gy = (rng.standard_normal((50, 3)) * 10.0 ** rng.integers(-4, 5, (50, 3))).astype(np.float32)
    expected, other = np.zeros_like(x), np.zeros_like(x)
    for n in range(50):
        for column in range(3):
            expected[indices[n, column], column] += gy[n, column]
            other[indices[-1 - n, column], column] += gy[-1 - n, column]
    assert expected.tobytes() != other.tobytes()
    for order in ("C", "F"):
        g, _ = gradients("gather", np.asarray(gy, order=order), x, np.asarray(indices, order=order), axis=0)
        assert g is not None
        assert g.tobytes() == expected.tobytes()


def test_gather_broadcasts_both_ways() -> None:
    x, indices = X[:, :1], np.array([[[3], [0], [0]]])
    value = forward("gather", x, indices, axis=2)
    assert np.array_equal(value, np.take_along_axis(x, indices, 2))
    g, _ = gradients("gather", np.ones_like(value), x, indices, axis=2)
    assert np.array_equal(g, np.tile([2.0, 0, 0, 1], (2, 1, 1)))  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_broadcast_sums_by_the_tree(dtype: type) -> None:
    gy: np.ndarray = np.random.default_rng(0).standard_normal((5, 2, 40, 3)).astype(dtype)
    (g,) = gradients("broadcast_to", gy, np.ones((2, 1, 3), dtype), shape=gy.shape)
    assert g is not None
    terms = gy.transpose(0, 2, 1, 3).reshape(200, 6)
    assert g.tobytes() == forward("sum", terms, axis=0).tobytes()


@pytest.mark.parametrize(
    ("sections", "axis", "cuts"), [(3, 1, [1, 2]), ([1, 1, 4], 2, [1, 1, 4]), (1, 0, []), ((), -1, [])]
)
def test_split_is_that_of_numpy(sections: Any, axis: int, cuts: list[int]) -> None:
    leaf = Tensor(X, requires_grad=True)
    parts = split(leaf, sections, axis)
    expected = np.split(X, cuts, axis)
    assert len(parts) == len(expected)
    assert all(np.array_equal(a.data, b) for a, b in zip(parts, expected, strict=True))
    joined = apply("concatenate", *parts, axis=axis)
    assert np.array_equal(joined.data, X)
    joined.backward(X)
    assert np.array_equal(leaf.grad, X)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["concatenate", "stack"])
def test_a_missing_tangent_is_zero(name: str) -> None:
    a, b = np.ones((2, 3)), np.ones((2, 3))
    along = PRIMITIVES[name].jvp((None, b), a, b, axis=1)
    assert np.array_equal(along, forward(name, 0 * a, b, axis=1))


EMPTY = np.zeros((0, 3), np.float32)


@pytest.mark.parametrize(
    ("name", "arrays", "options", "shape"),
    [
        ("reshape", (EMPTY,), {"shape": (3, 0, 2)}, (3, 0, 2)),
        ("reshape", (EMPTY,), {"shape": (-1, 3)}, (0, 3)),
        ("transpose", (EMPTY,), {}, (3, 0)),
        ("broadcast_to", (np.ones((1, 3), np.float32),), {"shape": (0, 3)}, (0, 3)),
        ("pad", (EMPTY,), {"widths": ((1, 1), (0, 0))}, (2, 3)),
        ("concatenate", (EMPTY, np.ones((2, 3), np.float32)), {}, (2, 3)),
        ("stack", (EMPTY, EMPTY), {"axis": -1}, (0, 3, 2)),
        ("slice", (EMPTY,), {"index": (slice(None), 1)}, (0,)),
        ("slice", (np.ones(3, np.float32),), {"index": slice(2, 1)}, (0,)),
        ("gather", (EMPTY, np.zeros((0, 2), np.int64)), {}, (0, 2)),
        ("gather", (np.ones((2, 3), np.float32), np.zeros((2, 0), np.int64)), {}, (2, 0)),
    ],
)
def test_zero_sizes(name: str, arrays: tuple[np.ndarray, ...], options: dict[str, Any], shape: Any) -> None:
    value = forward(name, *arrays, **options)
    assert (value.shape, value.dtype) == (shape, np.float32)
    for a, g in zip(arrays, gradients(name, np.ones_like(value), *arrays, **options), strict=True):
        if a.dtype == np.float32:
            assert g is not None
            assert (g.shape, g.dtype) == (a.shape, a.dtype)
    (first, *_) = gradients(name, np.ones_like(value), *arrays, **options)
    if value.size == 0:
        assert first is not None
        assert not first.any()


REFUSED: list[tuple[str, tuple[np.ndarray, ...], dict[str, Any], str]] = [
    ("reshape", (X,), {"shape": (5, 5)}, r"reshape: shape: 24 elements of shape \(2, 3, 4\) do not fit \(5, 5\)"),
    ("reshape", (X,), {"shape": (-1, -1)}, "do not fit"),
    ("reshape", (EMPTY,), {"shape": (0, -1)}, "do not fit"),
    ("reshape", (X,), {"shape": (-2, 12)}, "expected integers of at least -1"),
    ("reshape", (X,), {"shape": (2.0, 12)}, "expected integers"),
    ("transpose", (X,), {"axes": (0, 1)}, "expected each of the 3 axes once"),
    ("transpose", (X,), {"axes": (0, 1, -2)}, "expected each of the 3 axes once"),
    ("transpose", (X,), {"axes": (0, 1, 3)}, "expected each of the 3 axes once"),
    ("broadcast_to", (X,), {"shape": (2, 3, 5)}, "does not broadcast to"),
    ("broadcast_to", (X,), {"shape": (3, 4)}, "does not broadcast to"),
    ("broadcast_to", (X,), {"shape": (-1, 3, 4)}, "expected integers of at least 0"),
    ("pad", (X,), {"widths": -1}, "pad: widths: expected an integer of at least 0"),
    ("pad", (X,), {"widths": ((0, 0), (0, -1), (0, 0))}, "pad: widths: expected"),
    ("pad", (X,), {"widths": ((1, 1),)}, "for each of the 3 axes"),
    ("pad", (X,), {"widths": (1, 1, 1)}, "for each of the 3 axes"),
    ("pad", (X,), {"widths": ((1, 1.5), (0, 0), (0, 0))}, "pad: widths: expected"),
    ("concatenate", (), {}, "expected at least one array"),
    ("concatenate", (X, X[:, :2]), {}, "shapes that differ along axis 0 only"),
    ("concatenate", (X, X[0]), {}, "shapes that differ along axis 0 only"),
    ("concatenate", (X, X.astype(np.float32)), {}, "all float32 or all float64"),
    ("concatenate", (X, X), {"axis": 3}, "axis: 3 is not an axis"),
    ("stack", (X, X[:1]), {}, "expected arrays of one shape"),
    ("stack", (X, X.astype(int)), {}, "all float32 or all float64"),
    ("stack", (X,), {"axis": 4}, "axis: 4 is not an axis"),
    ("slice", (X,), {"index": 2}, "slice: index: index 2 is out of bounds"),
    ("slice", (X,), {"index": (0, 0, 0, 0)}, "slice: index: too many indices"),
    ("slice", (X,), {"index": (..., ...)}, "slice: index"),
    ("slice", (X,), {"index": slice(None, None, 0)}, "slice: index: slice step cannot be zero"),
    ("slice", (X,), {"index": slice(0.5)}, "slice: index"),
    ("slice", (X,), {"index": [0, 1]}, "expected integers, slices, None and Ellipsis, got list"),
    ("slice", (X,), {"index": (True,)}, "got bool"),
    ("slice", (X,), {"index": np.array([0])}, "got ndarray"),
    ("gather", (X, X), {}, "gather: indices: expected an array of integers, got float64"),
    ("gather", (X, np.zeros((2, 3), int)), {}, r"expected a shape that fits \(2, 3, 4\)"),
    ("gather", (X, np.zeros((2, 2, 4), int)), {}, r"expected a shape that fits \(2, 3, 4\)"),
    ("gather", (X, np.full((2, 3, 1), 4)), {}, r"expected -4 to 3, got 4 at index \(0, 0, 0\)"),
    ("gather", (X, np.full((2, 3, 1), -5)), {}, "expected -4 to 3, got -5"),
    ("gather", (X, np.zeros((2, 3, 1), int)), {"axis": 3}, "axis: 3 is not an axis"),
    ("gather", (EMPTY, np.zeros((1, 3), int)), {"axis": 0}, "got 0 at index"),
]


@pytest.mark.parametrize(("name", "arrays", "options", "message"), REFUSED)
def test_what_does_not_fit_is_named(name: str, arrays: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        PRIMITIVES[name].forward(*arrays, **options)
    assert str(error.value).startswith(name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("sections", [2, 0, 1.5, [2, 1], [0, 4], [-1]])
def test_a_split_that_does_not_fit_is_named(sections: Any) -> None:
    with pytest.raises(InputError, match="split: sections: expected"):
        split(Tensor(X), sections, 1)
