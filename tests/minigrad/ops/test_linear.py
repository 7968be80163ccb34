"""Matrix products: proven rules, NumPy's meaning, the order of the terms, both backends, zero sizes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import PRIMITIVES, InputError, backend
from minigrad.draw import SeededDraw
from minigrad.fused import multiply_add
from minigrad.reduction import sum_to_shape

SEEDS = st.integers(0, 2**32)
NAMES = ["matmul", "linear"]
RNG = np.random.default_rng


def forward(name: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return PRIMITIVES[name].forward(a, b)[0]


def gradients(name: str, gy: np.ndarray, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    _, residuals = PRIMITIVES[name].forward(a, b)
    da, db = PRIMITIVES[name].vjp(gy, residuals, (True, True))
    assert da is not None
    assert db is not None
    return da, db


@pytest.mark.parametrize("name", NAMES)
@given(seed=SEEDS)
def test_every_rule_is_certified(certify: Callable[[str, int], None], name: str, seed: int) -> None:
    certify(name, seed)


BATCHES = [((), ()), ((2,), (2,)), ((2, 1), (3,)), ((), (2, 3)), ((1, 3), (2, 1)), ((4,), ())]


@pytest.mark.parametrize("batches", BATCHES)
@given(st.tuples(*[st.integers(1, 70)] * 3), SEEDS)
def test_matmul_is_that_of_numpy(batches: Any, sizes: tuple[int, int, int], seed: int) -> None:
    m, k, n = (min(size, limit) for size, limit in zip(sizes, (5, 70, 5), strict=True))
    a, b = RNG(seed).standard_normal((*batches[0], m, k)), RNG(seed + 1).standard_normal((*batches[1], k, n))
    value = forward("matmul", a, b)
    bound = (k + 1) * 2.0**-52 * (np.abs(a) @ np.abs(b))
    assert value.shape == (a @ b).shape
    assert np.all(np.abs(value - a @ b) <= bound)
    gy = RNG(seed + 2).standard_normal(value.shape)
    da, db = gradients("matmul", gy, a, b)
    assert np.allclose(da, sum_to_shape(gy @ b.swapaxes(-1, -2), a.shape), rtol=0, atol=1e-11)
    assert np.allclose(db, sum_to_shape(a.swapaxes(-1, -2) @ gy, b.shape), rtol=0, atol=1e-11)


@pytest.mark.parametrize(
    ("first", "second"), [((4,), (4,)), ((4,), (4, 3)), ((3, 4), (4,)), ((4,), (2, 4, 3)), ((2, 5, 3, 4), (4,))]
)
def test_vectors_are_rows_and_columns(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    a, b = RNG(0).standard_normal(first), RNG(1).standard_normal(second)
    value = forward("matmul", a, b)
    assert isinstance(value, np.ndarray)
    assert value.shape == np.shape(a @ b)
    assert np.allclose(value, a @ b, rtol=0, atol=1e-14)
    da, db = gradients("matmul", np.ones_like(value), a, b)
    assert (da.shape, db.shape) == (first, second)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_terms_are_added_in_ascending_order(dtype: type) -> None:
    a: np.ndarray = RNG(0).standard_normal((7, 150)).astype(dtype)
    b: np.ndarray = RNG(1).standard_normal((150, 9)).astype(dtype)
    expected: np.ndarray = np.zeros((7, 9), dtype)
    for k in range(150):
        expected = multiply_add(a[:, k, None], b[k], expected)
    assert forward("matmul", a, b).tobytes() == expected.tobytes()
    assert forward("linear", a, b).tobytes() == expected.tobytes()
    # A batch is products of its own, whatever is broadcast.
    both = forward("matmul", np.stack([a, a]), np.stack([b, b])[:, None])
    assert both.shape == (2, 2, 7, 9)
    assert both[1, 0].tobytes() == expected.tobytes()
    assert forward("matmul", np.stack([a, a]), b)[1].tobytes() == expected.tobytes()
    da, _ = gradients("matmul", np.ascontiguousarray(expected), a, b)
    assert da.tobytes() == forward("matmul", expected, np.ascontiguousarray(b.T)).tobytes()


def test_the_gradient_of_weights_is_over_eight_chunks_of_rows() -> None:
    x, gy = RNG(0).standard_normal((19, 3)).astype(np.float32), RNG(1).standard_normal((19, 2)).astype(np.float32)
    sums = []
    for chunk in range(8):
        part = np.zeros((3, 2), np.float32)
        for row in range(chunk * 19 // 8, (chunk + 1) * 19 // 8):
            part = multiply_add(x[row, :, None], gy[row], part)
        sums.append(part)
    while len(sums) > 1:
        sums = [sums[n] + sums[n + 1] for n in range(0, len(sums), 2)]
    _, dw = gradients("linear", gy, x, np.ones((3, 2), np.float32))
    assert dw.tobytes() == sums[0].tobytes()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(seed=SEEDS)
def test_both_backends_give_the_same_bits(name: str, dtype: type, seed: int) -> None:
    arrays, _ = PRIMITIVES[name].examples(SeededDraw(seed), dtype)
    results = []
    for implementation in ("c", "numpy"):
        with backend.use(implementation):
            value = forward(name, *arrays)
            results.append([value.tobytes(), *(g.tobytes() for g in gradients(name, value, *arrays))])
    assert results[0] == results[1]


def test_leading_axes_of_linear_are_rows() -> None:
    x, w = RNG(0).standard_normal((2, 3, 4)), RNG(1).standard_normal((4, 5))
    value = forward("linear", x, w)
    assert np.array_equal(value.reshape(6, 5), forward("linear", x.reshape(6, 4), w))
    assert np.array_equal(forward("linear", x[0, 0], w), value[0, 0])
    dx, dw = gradients("linear", value, x, w)
    rows = gradients("linear", value.reshape(6, 5), x.reshape(6, 4), w)
    assert np.array_equal(dx.reshape(6, 4), rows[0])
    assert np.array_equal(dw, rows[1])


@pytest.mark.parametrize("name", NAMES)
def test_operands_need_not_be_contiguous(name: str) -> None:
    a, b = RNG(0).standard_normal((6, 8)).T[::2, ::-1], RNG(1).standard_normal((5, 6)).T
    assert np.array_equal(forward(name, a, b), forward(name, a.copy(), b.copy()))
    gy = RNG(2).standard_normal((5, 4)).T
    for got, expected in zip(gradients(name, gy, a, b), gradients(name, gy.copy(), a.copy(), b.copy()), strict=True):
        assert np.array_equal(got, expected)


@pytest.mark.parametrize("implementation", ["c", "numpy"])
@pytest.mark.parametrize(
    ("name", "first", "second", "shape"),
    [
        ("matmul", (2, 0), (0, 3), (2, 3)),
        ("matmul", (0, 2), (2, 3), (0, 3)),
        ("matmul", (2, 3), (3, 0), (2, 0)),
        ("matmul", (0,), (0,), ()),
        ("matmul", (0, 2, 3), (3, 4), (0, 2, 4)),
        ("matmul", (0, 2, 3), (1, 3, 4), (0, 2, 4)),
        ("matmul", (4, 2, 0), (4, 0, 5), (4, 2, 5)),
        ("linear", (2, 0), (0, 3), (2, 3)),
        ("linear", (0, 2), (2, 3), (0, 3)),
        ("linear", (2, 3), (3, 0), (2, 0)),
    ],
)
def test_zero_sizes_give_zeros(name: str, first: Any, second: Any, shape: Any, implementation: str) -> None:
    a, b = np.ones(first, np.float32), np.ones(second, np.float32)
    with backend.use(implementation):
        value = forward(name, a, b)
        da, db = gradients(name, np.ones_like(value), a, b)
    assert (value.shape, value.dtype) == (shape, np.float32)
    assert not value.any()
    for g, like in ((da, a), (db, b)):
        assert (g.shape, g.dtype) == (like.shape, np.float32)
        assert not g.any()


def test_nan_stays_in_its_row() -> None:
    a = np.array([[1.0, np.nan], [1.0, 2.0]])
    for name in NAMES:
        assert np.isnan(forward(name, a, np.ones((2, 2)))).tolist() == [[True, True], [False, False]]


@pytest.mark.parametrize(
    ("name", "first", "second", "message"),
    [
        ("matmul", (2, 3), (2, 3), r"expected shapes \(..., m, k\) and \(..., k, n\), got \(2, 3\) and \(2, 3\)"),
        ("matmul", (3,), (2,), "expected shapes"),
        ("matmul", (2, 2, 3), (3, 3, 4), "expected shapes"),
        ("matmul", (), (3,), "expected arrays of at least one axis"),
        ("matmul", (3,), (), "expected arrays of at least one axis"),
        ("linear", (2, 3), (2, 3), r"expected x \(..., in\) and w \(in, out\), got \(2, 3\) and \(2, 3\)"),
        ("linear", (2, 3), (3,), "expected x"),
        ("linear", (), (1, 1), "expected x"),
        ("linear", (2, 3), (2, 3, 4), "expected x"),
    ],
)
def test_shapes_that_do_not_fit_are_named(name: str, first: Any, second: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"^{name}: {message}"):
        forward(name, np.ones(first), np.ones(second))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.float16, object])
def test_dtypes_that_do_not_fit_are_named(name: str, dtype: type) -> None:
    with pytest.raises(InputError, match=f"^{name}: expected arrays that are all float32 or all float64"):
        forward(name, np.ones((2, 2)), np.ones((2, 2), dtype))
