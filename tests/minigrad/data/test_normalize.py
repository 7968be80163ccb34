"""The input grid (p - m) / 64, exactly, and what is no pixel."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.data import channel_means, normalize
from minigrad.errors import InputError

ALL_PIXELS = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(1, 16, 16, 3)
MEANS = np.array([0, 127, 255], np.uint8)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(means=st.tuples(*[st.integers(0, 255)] * 3))
def test_every_pixel_is_exact(dtype: type, means: tuple[int, int, int]) -> None:
    grid = normalize(ALL_PIXELS, np.array(means, np.uint8), dtype)
    assert grid.dtype == dtype and grid.shape == ALL_PIXELS.shape
    for pixel, values in enumerate(grid.reshape(256, 3).tolist()):
        assert [Fraction(value) for value in values] == [Fraction(pixel - mean, 64) for mean in means]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.int16])
def test_other_types_that_hold_pixels(dtype: type) -> None:
    assert (normalize(ALL_PIXELS.astype(dtype), MEANS) == normalize(ALL_PIXELS, MEANS)).all()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, "NaN at image 1, row 2, column 3, channel 0; expected"),
        (0.5, "0.5 at image 1, row 2, column 3, channel 0; expected whole numbers of 0..255"),
        (256.0, "256.0 at image 1, row 2, column 3, channel 0; expected pixels of 0..255"),
        (-1.0, "-1.0 at image 1, row 2, column 3, channel 0"),
        (np.inf, "inf at image 1, row 2, column 3, channel 0"),
        (-np.inf, "-inf at image 1, row 2, column 3, channel 0"),
    ],
)
def test_values_that_are_no_pixels(value: float, message: str) -> None:
    images = np.full((2, 4, 5, 3), 17.0)
    images[1, 2, 3, 0] = value
    images[1, 3, 0, 2] = value  # a later one: the first is named
    with pytest.raises(InputError) as caught:
        normalize(images, MEANS)
    assert message in str(caught.value)


def test_integers_outside() -> None:
    images = np.zeros((1, 2, 2, 3), np.int16)
    images[0, 1, 0, 2] = 300
    with pytest.raises(InputError, match="300 at image 0, row 1, column 0, channel 2"):
        normalize(images, MEANS)


@pytest.mark.parametrize(
    ("images", "means", "dtype", "message"),
    [
        (np.zeros((32, 32, 3), np.uint8), MEANS, np.float32, r"images: expected .*got \(32, 32, 3\)"),
        (np.zeros((1, 3, 32, 32), np.uint8), MEANS, np.float32, r"images: expected .*got \(1, 3, 32, 32\)"),
        ([[0]], MEANS, np.float32, "images: expected .*got list"),
        (np.zeros((1, 2, 2, 3), np.complex64), MEANS, np.float32, "images: expected uint8 pixels, got complex64"),
        (np.zeros((1, 2, 2, 3), bool), MEANS, np.float32, "images: expected uint8 pixels, got bool"),
        (ALL_PIXELS, MEANS[:2], np.float32, "means: expected a uint8 array of shape"),
        (ALL_PIXELS, MEANS.astype(float), np.float32, "means: expected a uint8 array of shape"),
        (ALL_PIXELS, MEANS, np.float16, "dtype: expected float32 or float64, got float16"),
        (ALL_PIXELS, MEANS, np.uint8, "dtype: expected float32 or float64, got uint8"),
    ],
)
def test_bad_arguments(images: np.ndarray, means: np.ndarray, dtype: type, message: str) -> None:
    with pytest.raises(InputError, match=message):
        normalize(images, means, dtype)


@given(values=st.lists(st.integers(0, 255), min_size=1, max_size=40))
def test_means_are_exact_and_halves_go_up(values: list[int]) -> None:
    channels = np.array([values, [255 - value for value in values], [200] * len(values)], np.uint8)
    images = channels.T.reshape(1, 1, -1, 3)
    expected = [int(Fraction(int(channel.sum(dtype=int)), len(values)) + Fraction(1, 2)) for channel in channels]
    assert channel_means(images).tolist() == expected
    assert channel_means(images).dtype == np.uint8


def test_a_half_goes_up() -> None:
    images = np.array([[10, 0, 254], [11, 1, 255]], np.uint8).reshape(2, 1, 1, 3)
    assert channel_means(images).tolist() == [11, 1, 255]


def test_means_of_many_pixels_do_not_overflow() -> None:
    images = np.full((70, 512, 512, 3), 255, np.uint8)  # sums beyond 2**32
    assert channel_means(images).tolist() == [255, 255, 255]


def test_means_of_nothing() -> None:
    with pytest.raises(InputError, match="at least one pixel"):
        channel_means(np.zeros((0, 32, 32, 3), np.uint8))
    with pytest.raises(InputError, match="expected uint8 pixels, got float64"):
        channel_means(np.zeros((1, 32, 32, 3)))
