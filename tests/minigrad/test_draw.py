"""Where examples come from: every answer in its range, every promise of a distance kept."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import InputError
from minigrad.draw import SeededDraw, away_from, distinct, floats, shape_of

SEEDS = st.integers(0, 2**64)


class Ends:
    """Draws that are always the first or always the last of what is allowed."""

    def __init__(self, last: bool) -> None:
        self.last = last

    def integer(self, low: int, high: int) -> int:
        return high if self.last else low

    def choice(self, options):  # type: ignore[no-untyped-def]
        return options[-1 if self.last else 0]

    def uniform(self, low: float, high: float, shape: tuple[int, ...] = ()) -> np.ndarray:
        return np.full(shape, high if self.last else low)

    def permutation(self, count: int) -> np.ndarray:
        return np.arange(count)[:: -1 if self.last else 1]


def test_a_seed_draws_the_same_again_and_another_something_else() -> None:
    def drawn(seed: int) -> list[object]:
        draw = SeededDraw(seed)
        return [draw.integer(0, 10**9), draw.uniform(0, 1, (3,)).tolist(), draw.permutation(50).tolist()]

    assert drawn(3) == drawn(3)
    assert drawn(3) != drawn(4)


def test_both_ends_are_drawn_and_nothing_beyond() -> None:
    draw = SeededDraw(0)
    assert {draw.integer(2, 4) for _ in range(200)} == {2, 3, 4}
    assert {draw.choice("abc") for _ in range(200)} == {"a", "b", "c"}
    assert {len(shape_of(draw, (0, 3), (1, 2))) for _ in range(200)} == {0, 1, 2, 3}
    assert {size for _ in range(200) for size in shape_of(draw, (1, 3), (2, 5))} == {2, 3, 4, 5}
    assert shape_of(draw, (2, 2), (3, 3)) == (3, 3)
    assert sorted(draw.permutation(20).tolist()) == list(range(20))


@given(SEEDS, st.lists(st.floats(-3, 3), max_size=4), st.floats(0.01, 0.5))
def test_numbers_stay_away_from_points(seed: int, points: list[float], gap: float) -> None:
    """Also from points whose gaps overlap, and points beyond the ends."""
    points = sorted(points)
    for draw in (SeededDraw(seed), Ends(False), Ends(True)):
        x = away_from(draw, -2.0, 2.0, (50,), points, gap)
        assert x.shape == (50,)
        assert np.all((x >= -2.0) & (x <= 2.0))
        for point in points:
            assert np.all(np.abs(x - point) >= gap * (1 - 1e-9))


def test_all_that_remains_is_drawn_from_evenly() -> None:
    x = away_from(SeededDraw(0), -1.0, 3.0, (4000,), [0.0, 1.0], 0.25)
    shares = [np.mean((x >= low) & (x <= high)) for low, high in ((-1.0, -0.25), (0.25, 0.75), (1.25, 3.0))]
    # Six standard deviations of 4,000 draws.
    assert np.allclose(shares, [0.25, 0.5 / 3.0, 1.75 / 3.0], rtol=0, atol=6 * 0.5 / np.sqrt(4000))


def test_without_points_it_is_the_draw_itself() -> None:
    for points in ([], [-9.0, 9.0]):
        x = away_from(SeededDraw(5), -1.0, 3.0, (100,), points, 0.25)
        assert np.allclose(x, SeededDraw(5).uniform(-1.0, 3.0, (100,)), rtol=0, atol=2.0**-50)
    # Of the gap around 0 half is beyond the end: the rest begins at 0.5.
    x = away_from(SeededDraw(5), 0.0, 3.0, (100,), [0.0], 0.5)
    assert np.allclose(x, 0.5 + SeededDraw(5).uniform(0.0, 2.5, (100,)), rtol=0, atol=2.0**-50)


def test_a_rounding_does_not_leave_the_interval() -> None:
    """Here the sum of the lengths is an ulp too long."""
    assert away_from(Ends(True), -2.0, 3.0, (), [-1.9], 0.25) == 3.0


def test_where_nothing_remains_there_is_an_error() -> None:
    with pytest.raises(InputError, match=r"gap: 2 on either side of \[0.0\] leaves nothing of \[-1.0, 1.0\]"):
        away_from(SeededDraw(0), -1.0, 1.0, (), [0.0], 2)


@given(SEEDS, st.integers(0, 12), st.sampled_from([0.125, 1.0]))
def test_distinct_numbers_are_half_a_step_apart(seed: int, count: int, step: float) -> None:
    for draw in (SeededDraw(seed), Ends(False), Ends(True)):
        x = distinct(draw, (count,), step)
        assert np.all(np.diff(np.sort(x)) >= step / 2)
        assert np.all(np.abs(x) <= (count / 2 + 0.5) * step)
    assert distinct(SeededDraw(seed), ()).shape == ()
    assert distinct(SeededDraw(seed), (2, 0, 3)).shape == (2, 0, 3)


def test_the_dtype_is_the_one_asked_for() -> None:
    x = floats(SeededDraw(0), -1.0, 1.0, (3, 4), np.float32)
    assert x.dtype == np.float32
    assert x.shape == (3, 4)
    assert np.all(np.abs(x) <= 1.0)
