"""The reader of pickled CIFAR-10, and that a hostile pickle runs nothing."""

import os
import pickle
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigrad.data import read_cifar
from minigrad.data.cifar import CIFAR10_CLASSES
from minigrad.data.pickles import load_dictionary
from minigrad.errors import InputError

Rewrite = Callable[..., None]


def message(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_cifar(path)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_python2_round_trip(python_folder: Path, batches: dict) -> None:
    data = read_cifar(python_folder)
    assert data.name == "CIFAR-10" and data.classes == tuple(f"class{index}" for index in range(10))
    planes = np.concatenate([batches[f"data_batch_{number}"][0] for number in range(1, 6)])
    labels = np.concatenate([batches[f"data_batch_{number}"][1] for number in range(1, 6)])
    assert (data.train_images.transpose(0, 3, 1, 2).reshape(20, 3072) == planes).all()
    assert (data.train_labels == labels).all()
    assert (data.test_images.transpose(0, 3, 1, 2).reshape(4, 3072) == batches["test_batch"][0]).all()


def test_the_python2_writer_is_what_pickle_reads(python_folder: Path, batches: dict) -> None:
    """Hold the tests' own writer of old pickles against Python's reader."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the old module names and dtype arguments
        content = pickle.loads((python_folder / "data_batch_1").read_bytes(), encoding="bytes")
    assert content[b"data"].dtype == np.uint8 and (content[b"data"] == batches["data_batch_1"][0]).all()
    assert content[b"labels"] == batches["data_batch_1"][1].tolist()


def test_binary_and_python_agree(binary_folder: Path, python_folder: Path) -> None:
    first, second = read_cifar(binary_folder), read_cifar(python_folder)
    assert (first.train_images == second.train_images).all() and (first.test_labels == second.test_labels).all()


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("order", ["C", "F"])
def test_every_protocol_and_order(protocol: int, order: Any) -> None:
    for dtype in (np.uint8, np.float64, ">i4"):
        array = np.asarray(np.arange(12).reshape(3, 4), dtype=dtype, order=order)
        loaded = load_dictionary(pickle.dumps({"data": array, b"labels": [1, b"x"]}, protocol), "file")
        assert loaded["labels"] == [1, b"x"]
        assert loaded["data"].dtype == array.dtype and (loaded["data"] == array).all()


def test_labels_as_an_array(python_folder: Path, rewrite: Rewrite) -> None:
    rewrite(python_folder / "data_batch_1", labels=np.array([9, 8, 7, 6], np.int32))
    assert read_cifar(python_folder).train_labels[:4].tolist() == [9, 8, 7, 6]


def test_standard_names_without_meta(python_folder: Path) -> None:
    (python_folder / "batches.meta").unlink()
    assert read_cifar(python_folder).classes == CIFAR10_CLASSES


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ({"data": np.zeros((4, 3072), np.int64)}, "'data' is int64 (4, 3072), expected uint8 (records, 3072)"),
        ({"data": np.zeros((4, 3072))}, "'data' is float64 (4, 3072), expected uint8"),
        ({"data": np.zeros((4, 3071), np.uint8)}, "'data' is uint8 (4, 3071), expected"),
        ({"data": np.zeros((4, 3, 32, 32), np.uint8)}, "'data' is uint8 (4, 3, 32, 32), expected"),
        ({"data": np.zeros((0, 3072), np.uint8)}, "'data' is uint8 (0, 3072), expected"),
        ({"data": [1, 2]}, "'data' is list, expected"),
        ({"labels": [0, 1, 2]}, "3 labels for 4 images"),
        ({"labels": None}, "'labels' is NoneType, expected a list of 4 integers"),
        ({"labels": [0, 1, 2, 200]}, "record 3 (from 0): label 200, expected 0..9"),
        ({"labels": [10, 1, 2, 3]}, "record 0 (from 0): label 10, expected 0..9"),
        ({"labels": [0, -1, 2, 3]}, "record 1 (from 0): label -1, expected 0..9"),
        ({"labels": [0, 1.0, 2, 3]}, "record 1 (from 0): label of type float, expected 0..9"),
        ({"labels": [0, 10**6000, 2, 3]}, "record 1 (from 0): label of type int, expected 0..9"),
        ({"data": np.zeros((3, 3072), np.uint8), "labels": [0, 1, 2]}, "3 records, expected 4 as in"),
        ({"data": np.array([{}, {}])}, "the pickle asks for an array of"),
        ({"data": np.array(["a"])}, "the pickle asks for an array of type"),
    ],
)
def test_bad_entries(python_folder: Path, rewrite: Rewrite, entries: dict, expected: str) -> None:
    rewrite(python_folder / "data_batch_3", **entries)
    text = message(python_folder)
    assert f"{os.sep}data_batch_3: " in text and expected in text


def test_nan_names_its_record(python_folder: Path, rewrite: Rewrite) -> None:
    data = np.zeros((4, 3072), np.float32)
    data[3, 17] = np.nan
    rewrite(python_folder / "data_batch_1", data=data)
    expected = "data_batch_1: 'data' holds NaN at record 3 (from 0), value 17; expected uint8 (records, 3072)"
    assert message(python_folder).endswith(expected)


def test_missing_entry_and_batch(python_folder: Path) -> None:
    (python_folder / "test_batch").write_bytes(pickle.dumps({b"labels": []}, protocol=2))
    assert "test_batch: no entry 'data'" in message(python_folder)
    (python_folder / "test_batch").unlink()
    assert "missing test_batch of CIFAR-10 python" in message(python_folder)


def test_meta_is_checked(python_folder: Path) -> None:
    meta = python_folder / "batches.meta"
    meta.write_bytes(pickle.dumps({b"label_names": [b"one"]}, protocol=2))
    assert "batches.meta: 1 class names, expected 10" in message(python_folder)
    meta.write_bytes(pickle.dumps({b"label_names": 3}, protocol=2))
    assert "batches.meta: 'label_names' is no list of names" in message(python_folder)


def test_every_truncation_is_one_line(python_folder: Path) -> None:
    content = (python_folder / "data_batch_1").read_bytes()
    lengths = [*range(260), *range(len(content) - 40, len(content))]
    for length in lengths:
        with pytest.raises(InputError, match=r"^file: [^\n]*$"):
            load_dictionary(content[:length], "file")


def test_damaged_pickles_never_raise_anything_else(python_folder: Path) -> None:
    content = (python_folder / "data_batch_1").read_bytes()
    rng = np.random.default_rng(20)
    refused = 0
    for _ in range(2000):
        damaged = bytearray(content)
        damaged[int(rng.integers(0, 330))] = int(rng.integers(0, 256))
        try:
            load_dictionary(bytes(damaged), "file")
        except InputError as error:
            refused += 1
            assert str(error).isprintable()
    assert refused > 500


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02]r\x00\x00\x00\x40.",  # memo index 2**30
        b"\x80\x05\x96" + (2**35).to_bytes(8, "little") + b"x",  # bytearray of 32 GB
        b"\x80\x04\x8e" + (2**35).to_bytes(8, "little") + b"x",  # bytes of 32 GB
        b"\x80\x04\x95" + (2**35).to_bytes(8, "little") + b"x",  # frame of 32 GB
    ],
)
def test_damage_cannot_ask_for_memory(content: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(InputError):
            load_dictionary(content, "file")
        assert tracemalloc.get_traced_memory()[1] < 10**6
    finally:
        tracemalloc.stop()


class Hostile:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_nothing_is_executed(python_folder: Path, tmp_path: Path, rewrite: Rewrite, protocol: int) -> None:
    rewrite(python_folder / "data_batch_1", protocol, extra=Hostile(tmp_path / "mark"))
    assert "the pickle asks for posix.mkdir" in message(python_folder) or os.name != "posix"
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02cbuiltins\neval\n.",
        b"\x80\x02c__builtin__\neval\n.",
        b"\x80\x02cnumpy\nload\n.",
        b"\x80\x02cnumpy.core.multiarray\nscalar\n.",
        b"\x80\x04\x8c\x0cos\nsys\x1b[31mx\x8c\x06system\x93.",
        b"\x80\x02U\x01xQ.",
        b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00xX\x05\x00\x00\x00rot13\x86R.",
    ],
)
def test_names_that_arrays_do_not_need(content: bytes) -> None:
    with pytest.raises(InputError, match=r"^file: the pickle asks for [^\n\x1b]*$"):
        load_dictionary(content, "file")


def test_not_a_dictionary() -> None:
    with pytest.raises(InputError, match=r"^file: the pickle holds a list, expected a dictionary$"):
        load_dictionary(pickle.dumps([1]), "file")
