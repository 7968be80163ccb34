"""Levels rounded to int8."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import InputError
from quant.codebook import make_codebook


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=256, unique=True), st.integers(-6, 6))
def test_a_level_is_off_by_half_a_step_at_most(numbers: list[float], exponent: int) -> None:
    levels = np.sort(numbers) * 10.0**exponent
    width = levels[-1] - levels[0]
    if width < 1e-290:
        return
    book = make_codebook(levels)
    assert book.entries.dtype == np.int8
    assert (np.diff(book.entries.astype(int)) > 0).all()
    assert book.scale == width / 255
    rounded = book.levels()
    off = np.abs(levels[:, None] - rounded).min(axis=1)
    assert off.max() <= (0.5 + 1e-9) * book.scale + 1e-15 * np.abs(levels).max()
    assert rounded[0] == levels[0]
    assert rounded[-1] == pytest.approx(levels[-1], rel=1e-14, abs=1e-14 * width)


def test_the_formula() -> None:
    book = make_codebook(np.array([0.0, 1.4, 3.6, 51.0]))
    assert book.scale == 51 / 255
    assert book.entries.tolist() == [-128, -121, -110, 127]
    assert book.levels().tolist() == [0.0, 7 * book.scale, 18 * book.scale, 255 * book.scale]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_hard_is_the_level_of_the_code_of_its_own_levels(dtype: type) -> None:
    book = make_codebook(np.array([-1.0, -0.999, 0.1, 2.0]))
    assert len(book.entries) == 3  # two round to one
    x = np.random.default_rng(0).uniform(-2, 3, (50, 2)).astype(dtype)
    levels = book.levels(dtype)
    assert book.hard(x).dtype == dtype
    assert book.codes(x).dtype == np.uint8
    assert np.array_equal(book.hard(x), levels[book.codes(x)])
    assert np.array_equal(np.abs(x - book.hard(x)), np.abs(x[..., None] - levels).min(-1))
    assert np.array_equal(book.hard(levels), levels)
    assert np.isnan(book.hard(np.array([np.nan], dtype))).all()
    with pytest.raises(InputError, match="x: NaN at index"):
        book.codes(np.array([np.nan], dtype))


def test_a_range_from_minus_128_to_127_steps_has_no_offset() -> None:
    book = make_codebook(np.array([-1.0, -0.25, 0.0, 0.5]), x_min=-128 / 64, x_max=127 / 64)
    assert np.array_equal(book.levels(), book.entries * book.scale)
    assert book.entries.tolist() == [-64, -16, 0, 32]


def test_one_level() -> None:
    book = make_codebook(np.array([0.7, 0.7]))
    assert book.levels().tolist() == [0.7]
    assert book.scale == 1.0


@pytest.mark.parametrize(
    ("levels", "ends", "named"),
    [
        ([], {}, "levels"),
        ([[1.0]], {}, "levels"),
        ([0.0, np.nan], {}, "levels"),
        ([0.0, np.inf], {}, "levels"),
        (np.arange(257.0), {}, "levels"),
        ([0.0, 1.0], {"x_min": 0.5}, "x_min, x_max"),
        ([0.0, 1.0], {"x_max": 0.5}, "x_min, x_max"),
        ([0.0, 1.0], {"x_max": np.inf}, "x_min, x_max"),
        ([0.0, 1.0], {"x_min": np.nan}, "x_min, x_max"),
        ([-1e308, 1e308], {}, "x_min, x_max"),
        ([0.0, 5e-324], {}, "x_min, x_max"),
    ],
)
def test_what_no_codebook_holds_is_refused(levels: object, ends: dict[str, float], named: str) -> None:
    with pytest.raises(InputError, match=f"^{named}: ") as refusal:
        make_codebook(np.array(levels, float), **ends)
    assert "\n" not in str(refusal.value)
