"""Each augmented image is a crop of its padded original, flipped or not, and every such crop comes up."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.data import normalize, pad_crop_flip
from minigrad.errors import InputError

FILL = np.array([1, 2, 3], np.uint8)


def generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=seed))


def find_crop(image: np.ndarray, original: np.ndarray, pad: int) -> list[tuple[int, int, bool]]:
    """Return every (top, left, flipped) that turns the original into the image."""
    height, width, _ = original.shape
    padded = np.stack([np.pad(original[:, :, c], pad, constant_values=FILL[c]) for c in range(3)], axis=2)
    return [
        (top, left, flipped)
        for top in range(2 * pad + 1)
        for left in range(2 * pad + 1)
        for flipped in (False, True)
        if (padded[top : top + height, left : left + width][:, :: -1 if flipped else 1] == image).all()
    ]


@given(
    seed=st.integers(0, 2**32),
    count=st.integers(0, 4),
    pad=st.integers(0, 3),
    height=st.integers(4, 8),
    width=st.integers(4, 8),
)
def test_outputs_are_crops(seed: int, count: int, pad: int, height: int, width: int) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), dtype=np.uint8)
    before = images.copy()
    result = pad_crop_flip(images, generator(seed), pad, fill=FILL)
    assert result.shape == images.shape and result.dtype == np.uint8
    assert (images == before).all() and not np.shares_memory(images, result)
    for image, original in zip(result, images, strict=True):
        assert len(find_crop(image, original, pad)) == 1


def test_every_crop_comes_up_equally() -> None:
    original = np.random.default_rng(3).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    count = 3600
    result = pad_crop_flip(np.repeat(original[None], count, axis=0), generator(11), 1, fill=FILL)
    found = [find_crop(image, original, 1)[0] for image in result]
    counts = np.array([found.count(crop) for crop in sorted(set(found))])
    assert len(counts) == 18
    # Each is binomial, mean 200, deviation 13.7.
    assert counts.min() > 200 - 5 * 14 and counts.max() < 200 + 5 * 14


def test_a_function_of_the_generator() -> None:
    images = np.random.default_rng(4).integers(0, 256, (9, 32, 32, 3), dtype=np.uint8)
    first, again, other = (pad_crop_flip(images, generator(seed), fill=FILL) for seed in (1, 1, 2))
    assert (first == again).all() and (first != other).any()


def test_padding_is_zero_after_normalisation() -> None:
    images = np.full((64, 8, 8, 3), 200, np.uint8)
    result = normalize(pad_crop_flip(images, generator(0), fill=FILL), FILL)
    values = {tuple(colour) for colour in result.reshape(-1, 3).tolist()}
    assert values == {(0.0, 0.0, 0.0), (199 / 64, 198 / 64, 197 / 64)}


@pytest.mark.parametrize(
    ("images", "pad", "fill", "message"),
    [
        (np.zeros((1, 8, 8, 3)), 4, FILL, "images: expected uint8 pixels, got float64"),
        (np.zeros((8, 8, 3), np.uint8), 4, FILL, "images: expected an array of shape"),
        (np.zeros((1, 8, 8, 3), np.uint8), -1, FILL, "pad: expected an integer with 0 <= pad"),
        (np.zeros((1, 8, 8, 3), np.uint8), 4, FILL.astype(np.int64), "fill: expected a uint8 array"),
    ],
)
def test_bad_arguments(images: np.ndarray, pad: int, fill: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        pad_crop_flip(images, generator(0), pad, fill=fill)
