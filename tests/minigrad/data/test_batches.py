"""Batches by address: an epoch is a permutation, and a batch does not depend on what came before."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.data import Dataset, batch, channel_means, epoch_order, normalize, steps_per_epoch
from minigrad.errors import InputError

# Of epoch_order(1000, 5, 3) as little-endian int64.
PINNED_ORDER = "409242c43b7e6d07e59d57393cdb0506412d8cf05ffb31673253c2248c3d62f5"
ADDRESS = """
import hashlib
import numpy as np
from minigrad.data import batch, channel_means, procedural
data = procedural(2, 30, 1)
x, labels = batch(data, 9, 4, 1, 16, means=channel_means(data.train_images))
text = hashlib.sha256(x.astype("<f4").tobytes() + labels.astype("<i8").tobytes()).hexdigest()
"""
PINNED_BATCH = "dc400493ff8a0242b5ed72d98a90aa4cc2ec763bbedbf370c6b066fa37dede1b"


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """Return 50 training images whose first pixel is their index."""
    images = np.random.default_rng(1).integers(0, 256, (51, 32, 32, 3), dtype=np.uint8)
    images[:, 0, 0, 0] = np.arange(51)
    labels = np.arange(51) % 10
    return Dataset("test", images[:50], labels[:50], images[50:], labels[50:], tuple("abcdefghij"))


@given(count=st.integers(1, 300), seed=st.integers(0, 2**64 - 1), epoch=st.integers(0, 2**64 - 1))
def test_an_order_is_a_permutation(count: int, seed: int, epoch: int) -> None:
    order = epoch_order(count, seed, epoch)
    assert order.dtype == np.int64 and sorted(order.tolist()) == list(range(count))
    assert (order == epoch_order(count, seed, epoch)).all()


def test_orders_differ_by_seed_and_epoch() -> None:
    orders = {tuple(epoch_order(100, seed, epoch).tolist()) for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25


def test_an_order_cannot_be_spoiled_for_the_next_caller() -> None:
    with pytest.raises(ValueError, match="read-only"):
        epoch_order(10, 0, 0)[0] = 5


def test_pinned_order() -> None:
    assert hashlib.sha256(epoch_order(1000, 5, 3).astype("<i8").tobytes()).hexdigest() == PINNED_ORDER


def test_places_are_uniform() -> None:
    """Where image 0 comes in an epoch of four images, over 4,000 epochs."""
    places = [int(epoch_order(4, 1, epoch).argmin()) for epoch in range(4000)]
    counts = np.bincount(places, minlength=4)
    assert np.abs(counts - 1000).max() < 5 * 27.4


@pytest.mark.parametrize("augment", [False, True])
def test_an_epoch_visits_every_image_once(dataset: Dataset, augment: bool) -> None:
    means = channel_means(dataset.train_images)
    labels = [batch(dataset, 3, 1, step, 16, augment, means=means)[1] for step in range(4)]
    assert [len(part) for part in labels] == [16, 16, 16, 2]
    assert (np.concatenate(labels) == dataset.train_labels[epoch_order(50, 3, 1)]).all()


def test_without_augmentation_the_images_themselves(dataset: Dataset) -> None:
    means = channel_means(dataset.train_images)
    x, labels = batch(dataset, 3, 1, 2, 16, augment=False, means=means, dtype=np.float64)
    chosen = epoch_order(50, 3, 1)[32:48]
    assert x.dtype == np.float64
    assert (x == normalize(dataset.train_images[chosen], means, np.float64)).all()
    assert (labels == dataset.train_labels[chosen]).all()


def test_augmentation_differs_by_seed_epoch_and_step(dataset: Dataset) -> None:
    """The same image is cropped differently each time (at worst the same by chance, 1 in 162)."""
    same = Dataset("one", *[dataset.train_images[:1].repeat(8, 0), np.zeros(8, int)] * 2, ("a",))
    means = channel_means(same.train_images)
    addresses = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    parts = {batch(same, *address, 4, means=means)[0].tobytes() for address in addresses}
    assert len(parts) == 4


def test_padding_is_zero_and_comes_up() -> None:
    """White images with means far apart: whatever is not white is padding, and exactly zero."""
    means = np.array([10, 20, 30], np.uint8)
    white = Dataset("white", *[np.full((64, 32, 32, 3), 255, np.uint8), np.zeros(64, int)] * 2, ("a",))
    colours = {tuple(colour) for colour in batch(white, 0, 0, 0, 64, means=means)[0].reshape(-1, 3).tolist()}
    assert colours == {(0.0, 0.0, 0.0), (245 / 64, 235 / 64, 225 / 64)}


def test_a_resumed_run_sees_the_same_batches(dataset: Dataset) -> None:
    means = channel_means(dataset.train_images)
    straight = [batch(dataset, 7, epoch, step, 20, means=means) for epoch in range(3) for step in range(3)]
    for index in (8, 4, 4, 0, 5):
        x, labels = batch(dataset, 7, index // 3, index % 3, 20, means=means)
        assert (x == straight[index][0]).all() and (labels == straight[index][1]).all()


def test_another_process_sees_the_same_batches() -> None:
    names: dict = {}
    exec(ADDRESS, names)
    assert names["text"] == PINNED_BATCH
    command = [sys.executable, "-c", ADDRESS + "print(text)"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == PINNED_BATCH


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"step": 4}, "step: expected 0..3 .50 images, 16 a batch., got 4"),
        ({"step": -1}, "step: expected an integer with 0 <= step"),
        ({"epoch": -1}, "epoch: expected an integer with 0 <= epoch"),
        ({"seed": 1.5}, "seed: expected an integer, got float"),
        ({"batch_size": 0}, "batch_size: expected an integer with 1 <= batch_size"),
        ({"means": np.zeros(3)}, "means: expected|fill: expected"),
        ({"dtype": np.int32}, "dtype: expected float32 or float64"),
    ],
)
def test_bad_arguments(dataset: Dataset, change: dict, message: str) -> None:
    arguments = {"seed": 0, "epoch": 0, "step": 0, "batch_size": 16, "means": np.zeros(3, np.uint8)} | change
    with pytest.raises(InputError, match=message):
        batch(dataset, **arguments)


def test_steps() -> None:
    assert [steps_per_epoch(count, 16) for count in (1, 16, 17, 32)] == [1, 1, 2, 2]
    with pytest.raises(InputError, match="count: expected an integer with 1 <= count"):
        epoch_order(0, 0, 0)
