"""The procedural set: the same bytes everywhere, by address, balanced, and no giveaway in colour or template."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from minigrad.data import channel_means, normalize, procedural
from minigrad.errors import InputError

# Of procedural(7, 40, 20): images, then labels as little-endian int64, training before test.
PINNED = "e7d4aa9cfc63a700d4d3cd5e8cfbe4acab8fce0612a7b18b5539a82f54ad62fc"

DIGEST = """
import hashlib
from minigrad.data import procedural
data = procedural(7, 40, 20)
digest = hashlib.sha256()
for array in (data.train_images, data.train_labels, data.test_images, data.test_labels):
    digest.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
"""


def test_pinned_bytes() -> None:
    names: dict = {}
    exec(DIGEST, names)
    assert names["digest"].hexdigest() == PINNED


def test_another_process_makes_the_same_bytes() -> None:
    command = [sys.executable, "-c", DIGEST + "print(digest.hexdigest())"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == PINNED


def test_form() -> None:
    data = procedural(3, 35, 12)
    assert data.name == "procedural" and len(data.classes) == 10 and len(set(data.classes)) == 10
    assert all(name.isalpha() for name in data.classes)
    assert data.train_images.shape == (35, 32, 32, 3) and data.train_images.dtype == np.uint8
    assert data.train_labels.tolist() == [index % 10 for index in range(35)]
    assert data.test_labels.tolist() == [index % 10 for index in range(12)]


def test_a_smaller_set_is_the_beginning_of_a_larger() -> None:
    """Also across the chunks in which images are drawn."""
    large, small = procedural(5, 520, 260), procedural(5, 253, 1)
    assert (large.train_images[:253] == small.train_images).all()
    assert (large.test_images[:1] == small.test_images).all()


def test_no_two_images_are_alike() -> None:
    """Neither within a set, nor between training and test, nor between seeds."""
    first, second = procedural(0, 300, 300), procedural(1, 300, 300)
    everything = (first.train_images, first.test_images, second.train_images, second.test_images)
    digests = {hashlib.sha256(image.tobytes()).digest() for images in everything for image in images}
    assert len(digests) == 1200


def test_classes_are_hidden_from_linear_classifiers() -> None:
    """Nearest centroid and ridge regression on pixels stay far below what a convolutional net gets (94 %)."""
    data = procedural(0, 2000, 500)
    means = channel_means(data.train_images)
    train = normalize(data.train_images, means, np.float64).reshape(2000, -1)
    test = normalize(data.test_images, means, np.float64).reshape(500, -1)
    centroids = np.stack([train[data.train_labels == label].mean(axis=0) for label in range(10)])
    distances = (centroids**2).sum(axis=1) - 2 * test @ centroids.T
    assert (distances.argmin(axis=1) == data.test_labels).mean() < 0.35
    kernel = train @ train.T + 1000 * np.eye(2000)
    scores = test @ (train.T @ np.linalg.solve(kernel, np.eye(10)[data.train_labels]))
    accuracy = (scores.argmax(axis=1) == data.test_labels).mean()
    # Above chance: the labels belong to these images.
    assert 0.14 < accuracy < 0.45


def test_mean_colour_says_nothing() -> None:
    """A class's mean colours differ from the others' by less than their spread."""
    data = procedural(0, 2000, 1)
    colours = data.train_images.mean(axis=(1, 2))
    by_class = np.stack([colours[data.train_labels == label].mean(axis=0) for label in range(10)])
    assert (by_class.std(axis=0) < 0.35 * colours.std(axis=0)).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1,), "seed: expected an integer with 0 <= seed < 2**64, got -1"),
        ((2**64,), "seed: expected an integer with 0 <= seed < 2**64"),
        ((0.5,), "seed: expected an integer, got float"),
        ((0, 0), "train: expected an integer with 1 <= train"),
        ((0, 10, -3), "test: expected an integer with 1 <= test"),
        ((0, True), "train: expected an integer, got bool"),
    ],
)
def test_bad_arguments(arguments: tuple, message: str) -> None:
    with pytest.raises(InputError) as caught:
        procedural(*arguments)
    assert str(caught.value).startswith(message)
