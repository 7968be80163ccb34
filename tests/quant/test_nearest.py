"""The nearest level against a search over all of them in exact arithmetic."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant.nearest import nearest_level

DTYPES = (np.float32, np.float64)


def first_of_least_distance(x: float, levels: list[float]) -> int:
    distances = [abs(Fraction(x) - Fraction(level)) for level in levels]
    return distances.index(min(distances))


def finite(dtype: type) -> st.SearchStrategy[float]:
    largest = float(np.finfo(dtype).max) / 4
    width = 32 if dtype is np.float32 else 64
    return st.one_of(
        st.floats(-largest, largest, width=width),
        # Neighbouring floats, subnormals and equal numbers.
        st.integers(-4, 4).map(lambda n: float(1 + n * np.finfo(dtype).eps)),
        st.integers(-4, 4).map(lambda n: float(n * np.finfo(dtype).smallest_subnormal)),
        st.integers(-4, 4).map(float),
    )


@given(st.data(), st.sampled_from(DTYPES))
def test_it_is_the_first_index_of_the_least_distance_exactly(data: st.DataObject, dtype: type) -> None:
    levels = np.array(data.draw(st.lists(finite(dtype), min_size=1, max_size=9)), dtype)
    middles = (levels + levels[::-1]) / dtype(2)
    near = [np.nextafter(middles, dtype(end)) for end in (-np.inf, np.inf)]
    drawn = np.array(data.draw(st.lists(finite(dtype), max_size=5)), dtype)
    x = np.concatenate([levels, middles, *near, drawn])
    found = nearest_level(x, levels)
    assert found.tolist() == [first_of_least_distance(float(e), levels.tolist()) for e in x]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_midpoint_goes_to_the_lower_index_even_if_that_is_the_higher_level(dtype: type) -> None:
    x = np.array([0.5], dtype)
    assert nearest_level(x, np.array([0, 1], dtype)).tolist() == [0]
    assert nearest_level(x, np.array([1, 0], dtype)).tolist() == [0]
    assert nearest_level(np.nextafter(x, dtype(0)), np.array([1, 0], dtype)).tolist() == [1]


def test_a_midpoint_between_two_floats_is_not_rounded() -> None:
    low, high = 1.0, float(np.nextafter(np.nextafter(np.nextafter(1.0, 2), 2), 2))
    x = np.array([np.nextafter(1.0, 2), np.nextafter(high, 1)])
    assert nearest_level(x, np.array([low, high])).tolist() == [0, 1]
    assert nearest_level(x, np.array([high, low])).tolist() == [1, 0]


def test_infinities_go_to_the_ends_and_equal_levels_are_the_first() -> None:
    levels = np.array([2.0, -1.0, 2.0, -0.0, 0.0])
    x = np.array([np.inf, -np.inf, 3.0, 0.0, -0.0])
    assert nearest_level(x, levels).tolist() == [0, 1, 0, 3, 3]


def test_any_shape_and_layout() -> None:
    levels = np.array([0.0, 1.0])
    x = np.arange(12.0).reshape(3, 4)[:, ::2]
    assert nearest_level(x, levels).tolist() == [[0, 1], [1, 1], [1, 1]]
    assert nearest_level(np.float64(0.75), levels) == 1
    assert nearest_level(np.zeros((0, 3)), levels).shape == (0, 3)
