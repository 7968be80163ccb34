"""Pooling against plain loops, its order of additions, ties, NaN, and what it refuses."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import PRIMITIVES, InputError
from minigrad.ops.pool import sum_terms
from minigrad.reduction import tree_sum

NAMES = ["max_pool2d", "avg_pool2d", "global_avg_pool", "global_max_pool"]
SEEDS = st.integers(0, 2**32)


@st.composite
def cases(draw: st.DrawFn) -> tuple[tuple[int, ...], dict[str, Any]]:
    """A shape of images, and options that fit it."""
    size = tuple(draw(st.integers(1, 4)) for _ in range(2))
    stride = draw(st.one_of(st.none(), st.tuples(st.integers(1, 5), st.integers(1, 5))))
    padding = tuple(draw(st.integers(0, size[n // 2] - 1)) for n in range(4))
    least = [max(1, size[n] - padding[2 * n] - padding[2 * n + 1]) for n in range(2)]
    height, width = (draw(st.integers(n, n + 7)) for n in least)
    shape = (draw(st.integers(0, 2)), height, width, draw(st.integers(0, 3)))
    return shape, {"size": size, "stride": stride, "padding": padding}


def windows(shape: tuple[int, ...], options: dict[str, Any]) -> Iterator[tuple[tuple[int, int], list[tuple[int, int]]]]:
    """Every output pixel with the pixels of its window, those outside of the image too, row by row."""
    (h, w), (kh, kw), (top, bottom, left, right) = shape[1:3], options["size"], options["padding"]
    sy, sx = options["stride"] or options["size"]
    for oy, y in enumerate(range(-top, h + bottom - kh + 1, sy)):
        for ox, x in enumerate(range(-left, w + right - kw + 1, sx)):
            yield (oy, ox), [(y + k, x + l) for k in range(kh) for l in range(kw)]


def within(pixels: list[tuple[int, int]], shape: tuple[int, ...]) -> list[tuple[int, int]]:
    return [(y, x) for y, x in pixels if 0 <= y < shape[1] and 0 <= x < shape[2]]


def values(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Numbers with ties, infinities and both zeros among them."""
    return rng.choice(np.array([-np.inf, -2.0, -0.0, 0.0, 1.0, 3.0, np.inf], dtype), shape)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(cases(), SEEDS)
def test_the_largest_of_every_window_and_the_first_of_them(dtype: type, case: Any, seed: int) -> None:
    shape, options = case
    rng = np.random.default_rng(seed)
    x = values(rng, shape, dtype)
    y, residuals = PRIMITIVES["max_pool2d"].forward(x, **options)
    gy, tangent = rng.integers(-3, 4, y.shape).astype(dtype), rng.integers(-3, 4, shape).astype(dtype)
    dx, dy, expected = np.zeros(shape, dtype), np.zeros(y.shape, dtype), np.zeros(y.shape, dtype)
    for (oy, ox), pixels in windows(shape, options):
        for i, c in np.ndindex(shape[0], shape[3]):
            row, column = max(within(pixels, shape), key=lambda p: x[i, p[0], p[1], c])
            expected[i, oy, ox, c] = x[i, row, column, c]
            dx[i, row, column, c] += gy[i, oy, ox, c]
            dy[i, oy, ox, c] = tangent[i, row, column, c]
    last = [place for place, _ in windows(shape, options)][-1]
    assert y.dtype == dtype and y.shape == (shape[0], last[0] + 1, last[1] + 1, shape[3])
    assert np.array_equal(y, expected)
    assert not np.signbit(y[y == 0]).any()
    assert np.array_equal(PRIMITIVES["max_pool2d"].vjp(gy, residuals, (True,))[0], dx)
    assert np.array_equal(PRIMITIVES["max_pool2d"].jvp((tangent,), x, **options), dy)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(cases(), st.booleans(), SEEDS)
def test_the_mean_of_every_window_in_its_order(dtype: type, case: Any, count_include_pad: bool, seed: int) -> None:
    shape, options = case
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape).astype(dtype)
    y, residuals = PRIMITIVES["avg_pool2d"].forward(x, **options, count_include_pad=count_include_pad)
    gy = rng.standard_normal(y.shape).astype(dtype)
    expected, shares = np.zeros(y.shape, dtype), np.zeros(y.shape, dtype)
    for (oy, ox), pixels in windows(shape, options):
        inside = within(pixels, shape)
        terms = [x[:, p[0], p[1]] if p in inside else np.zeros((shape[0], shape[3]), dtype) for p in pixels]
        count = dtype(len(pixels) if count_include_pad else len(inside))
        expected[:, oy, ox] = tree_sum(np.stack(terms)) / count
        shares[:, oy, ox] = gy[:, oy, ox] / count
    dx = np.zeros(shape, dtype)
    for tap in range(options["size"][0] * options["size"][1]):
        for (oy, ox), pixels in windows(shape, options):
            if within([pixels[tap]], shape):
                dx[:, pixels[tap][0], pixels[tap][1]] += shares[:, oy, ox]
    got = PRIMITIVES["avg_pool2d"].vjp(gy, residuals, (True,))[0]
    assert got is not None and got.dtype == y.dtype == dtype
    assert y.tobytes() == expected.tobytes()
    assert np.array_equal(got, dx)


@pytest.mark.parametrize("count", [1, 2, 9, 15, 16, 17, 33, 4095, 4096, 4097, 8200])
def test_terms_are_added_as_tree_sum_adds_them(count: int) -> None:
    terms = np.random.default_rng(count).standard_normal((count, 3)).astype(np.float32)
    terms[:, 2] = -0.0
    assert sum_terms(list(terms)).tobytes() == tree_sum(terms).tobytes()


def test_the_first_nan_is_the_largest() -> None:
    x = np.zeros((1, 3, 3, 1))
    x[0, 1, 1] = x[0, 2, 2] = np.nan
    x[0, 0, 1] = np.inf
    for size, stride, expected in ((3, 3, 1), (2, 1, 4)):  # all in one window, and the first NaN in all of four
        y, residuals = PRIMITIVES["max_pool2d"].forward(x, size=size, stride=stride)
        dx = PRIMITIVES["max_pool2d"].vjp(np.ones_like(y), residuals, (True,))[0]
        assert np.isnan(y).all()
        assert dx is not None and dx[0, 1, 1, 0] == dx.sum() == expected
    y, residuals = PRIMITIVES["global_max_pool"].forward(x)
    assert np.isnan(y).all()
    dx = PRIMITIVES["global_max_pool"].vjp(np.ones_like(y), residuals, (True,))[0]
    assert dx is not None and dx[0, 1, 1, 0] == 1 and dx.sum() == 1
    assert np.isnan(PRIMITIVES["avg_pool2d"].forward(x, size=3)[0]).all()
    assert np.isnan(PRIMITIVES["global_avg_pool"].forward(x)[0]).all()


def test_the_padding_is_never_the_largest() -> None:
    x = np.full((1, 2, 2, 1), -np.inf)
    y, residuals = PRIMITIVES["max_pool2d"].forward(x, size=2, padding=1)
    dx = PRIMITIVES["max_pool2d"].vjp(np.ones_like(y), residuals, (True,))[0]
    assert np.array_equal(y, np.full((1, 2, 2, 1), -np.inf))
    assert np.array_equal(dx, np.ones((1, 2, 2, 1)))


@given(SEEDS)
def test_whole_images(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers((0, 1, 1, 0), (4, 6, 6, 4)))
    x = values(rng, shape, np.float64)
    rows = x.reshape(shape[0], shape[1] * shape[2], shape[3])
    y, residuals = PRIMITIVES["global_max_pool"].forward(x)
    assert np.array_equal(y, rows.max(1))
    gy = rng.standard_normal(y.shape)
    dx = np.zeros(rows.shape)
    for i, c in np.ndindex(*y.shape):
        dx[i, rows[i, :, c].tolist().index(y[i, c]), c] = gy[i, c]
    assert np.array_equal(PRIMITIVES["global_max_pool"].vjp(gy, residuals, (True,))[0], dx.reshape(shape))
    x = rng.standard_normal(shape)
    y, residuals = PRIMITIVES["global_avg_pool"].forward(x)
    assert np.allclose(y, x.mean((1, 2)), rtol=1e-12, atol=1e-12)
    dx = np.broadcast_to(gy[:, None, None] / (shape[1] * shape[2]), shape)
    assert np.array_equal(PRIMITIVES["global_avg_pool"].vjp(gy, residuals, (True,))[0], dx)


@pytest.mark.parametrize("name", NAMES)
@given(SEEDS)
def test_all_rules_are_certified(name: str, certify: Callable[[str, int], None], seed: int) -> None:
    certify(name, seed)


@pytest.mark.parametrize("name", ["max_pool2d", "global_max_pool"])
@given(SEEDS)
def test_the_first_of_a_tie_gets_all(name: str, picks_as_declared: Callable[[str, int], None], seed: int) -> None:
    picks_as_declared(name, seed)


IMAGES = np.zeros((2, 4, 4, 3))
REFUSED: dict[str, tuple[np.ndarray, dict[str, Any], str]] = {
    "size 0": (IMAGES, {"size": 0}, "size: expected one or two integers of at least 1, got 0"),
    "size -1": (IMAGES, {"size": (2, -1)}, "size: expected one or two integers of at least 1"),
    "size 2.0": (IMAGES, {"size": 2.0}, "size: expected one or two integers of at least 1, got 2.0"),
    "stride 0": (IMAGES, {"stride": 0}, "stride: expected one or two integers of at least 1, got 0"),
    "padding -1": (IMAGES, {"padding": -1}, "padding: expected one, two or four integers of at least 0, got -1"),
    "three paddings": (IMAGES, {"padding": (0, 0, 0)}, "padding: expected one, two or four"),
    "padding of a window": (IMAGES, {"padding": 2}, r"padding: expected less than the size \(2, 2\), got 2"),
    "padding of its height": (IMAGES, {"size": (1, 3), "padding": (0, 1, 0, 0)}, "padding: expected less than"),
    "padding of its width": (IMAGES, {"size": (3, 1), "padding": (0, 0, 0, 1)}, "padding: expected less than"),
    "larger than the image": (IMAGES, {"size": (8, 1)}, "size .* is larger than the padded images"),
    "wider than the image": (IMAGES, {"size": (1, 7), "padding": (0, 0, 1, 1)}, "is larger than the padded"),
    "no pixels": (IMAGES[:, :0], {"padding": 1}, "is larger than the padded images"),
    "no images": (IMAGES[0], {}, "expected images"),
    "integers": (IMAGES.astype(np.int64), {}, "expected arrays that are all float32 or all float64"),
    "objects": (IMAGES.astype(object), {}, "expected arrays that are all float32 or all float64"),
}


@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_named(case: str, name: str) -> None:
    x, options, message = REFUSED[case]
    with pytest.raises(InputError, match=f"^{name}: .*{message}"):
        PRIMITIVES[name].forward(x, **options)


@pytest.mark.parametrize("name", ["global_avg_pool", "global_max_pool"])
@pytest.mark.parametrize("x", [IMAGES[0], IMAGES[:, :0], IMAGES[:, :, :0], IMAGES.astype(np.int64)])
def test_whole_images_that_are_none_are_named(x: np.ndarray, name: str) -> None:
    with pytest.raises(InputError, match=f"^{name}: expected"):
        PRIMITIVES[name].forward(x)
