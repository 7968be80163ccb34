"""Where a data set comes from, and what one has to be."""

import os
from pathlib import Path

import numpy as np
import pytest

from minigrad.data import Dataset, load, procedural, read_cifar
from minigrad.errors import InputError

REAL_FOLDER = os.environ.get("MINIGRAD_DATA", "")


def test_procedural_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = procedural(4, 20, 10)
    for value in (None, ""):
        if value is not None:
            monkeypatch.setenv("MINIGRAD_DATA", value)
        data = load(seed=4, train=20, test=10)
        assert data.name == "procedural"
        assert (data.train_images == expected.train_images).all()
        assert (data.test_images == expected.test_images).all()


def test_the_environment_names_a_folder(binary_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIGRAD_DATA", str(binary_folder))
    assert load().name == "CIFAR-10"


def test_the_argument_comes_before_the_environment(cifar100_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIGRAD_DATA", "/nowhere")
    assert load(cifar100_folder).name == "CIFAR-100"
    assert load(str(cifar100_folder)).name == "CIFAR-100"


def test_errors_say_where_the_folder_came_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = tmp_path / "nowhere"
    with pytest.raises(InputError) as caught:
        load(missing)
    assert str(caught.value) == f"{missing}: no such folder"
    monkeypatch.setenv("MINIGRAD_DATA", str(missing))
    with pytest.raises(InputError) as caught:
        load()
    assert str(caught.value) == f"MINIGRAD_DATA: {missing}: no such folder"
    with pytest.raises(InputError, match="directory: expected the path of a CIFAR folder, got an empty one"):
        load("")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_images": np.zeros((4, 3, 32, 32), np.uint8)}, "train_images: expected uint8 (N, 32, 32, 3), got"),
        ({"test_images": np.zeros((4, 32, 32, 3))}, "test_images: expected uint8 (N, 32, 32, 3), got float64"),
        ({"train_labels": np.zeros(3, np.int64)}, "train_labels: expected int64 (4,)"),
        ({"test_labels": np.zeros(4, np.uint8)}, "test_labels: expected int64 (4,)"),
        ({"train_labels": np.array([0, 1, 2, 1])}, "train_labels: label 2 at image 2, expected 0..1"),
        ({"test_labels": np.array([0, -1, 0, 1])}, "test_labels: label -1 at image 1, expected 0..1"),
        (
            {"test_images": np.zeros((0, 32, 32, 3), np.uint8), "test_labels": np.zeros(0, np.int64)},
            "test_labels: expected int64 (0,) with at least one label",
        ),
    ],
)
def test_what_a_data_set_has_to_be(change: dict, message: str) -> None:
    images, labels = np.zeros((4, 32, 32, 3), np.uint8), np.array([0, 1, 0, 1])
    parts = {"train_images": images, "train_labels": labels, "test_images": images, "test_labels": labels}
    Dataset("fine", **parts, classes=("a", "b"))
    with pytest.raises(InputError) as caught:
        Dataset("wrong", **(parts | change), classes=("a", "b"))
    assert str(caught.value).startswith(message)


@pytest.mark.skipif(not REAL_FOLDER, reason="MINIGRAD_DATA names no CIFAR folder")
def test_the_real_folder() -> None:
    data = read_cifar(Path(REAL_FOLDER))
    classes = len(data.classes)
    assert data.name == f"CIFAR-{classes}"
    # Both sets are balanced, so a label read from the wrong byte shows.
    for labels, count in ((data.train_labels, 50000), (data.test_labels, 10000)):
        assert (np.bincount(labels, minlength=classes) == count // classes).all()
    # Neighbouring pixels of photographs are close in both directions; a wrong layout's are not.
    sample = data.train_images[::50].astype(np.int16)
    for axis in (1, 2):
        assert np.abs(np.diff(sample, axis=axis)).mean() < 0.5 * sample.std()
    assert np.abs(np.diff(sample, axis=3)).mean() < 0.7 * sample.std()
