"""Small CIFAR folders, written from random pixels that the tests know."""

import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

CIFAR10_BATCHES = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]

Batches = dict[str, tuple[NDArray[np.uint8], NDArray[np.uint8]]]


def random_planes(count: int, seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, 3072), dtype=np.uint8)


def python2_pickle(data: NDArray[np.uint8], labels: list[int]) -> bytes:
    """Write what Python 2 and NumPy 1 wrote: str keys, old module names, dtype('u1', 0, 1), raw bytes as str."""
    text = lambda value: b"U" + bytes([len(value)]) + value  # noqa: E731
    integer = lambda value: b"J" + struct.pack("<i", value)  # noqa: E731
    raw = data.tobytes()
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n"
        + (b"cnumpy\nndarray\n" + integer(0) + b"\x85" + text(b"b") + b"\x87R")
        + (b"(K\x01" + integer(data.shape[0]) + integer(data.shape[1]) + b"\x86")
        + (b"cnumpy\ndtype\n" + text(b"u1") + b"K\x00K\x01\x87R")
        + (b"(K\x03" + text(b"|") + b"NNN" + integer(-1) + integer(-1) + b"K\x00tb")
        + (b"\x89T" + struct.pack("<i", len(raw)) + raw + b"tb")
    )
    items = b"(" + b"".join(integer(label) for label in labels) + b"e"
    return (
        b"\x80\x02}q\x01("
        + (text(b"batch_label") + text(b"training batch 1 of 5"))
        + (text(b"labels") + b"]" + items + text(b"data") + array)
        + b"u."
    )


@pytest.fixture(autouse=True)
def no_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests say themselves which folder the environment names."""
    monkeypatch.delenv("MINIGRAD_DATA", raising=False)


@pytest.fixture
def batches() -> Batches:
    """Planes (4, 3072) and labels (4,) of each CIFAR-10 batch."""
    return {
        name: (random_planes(4, seed), np.arange(seed, seed + 4, dtype=np.uint8) % 10)
        for seed, name in enumerate(CIFAR10_BATCHES)
    }


@pytest.fixture
def binary_folder(tmp_path: Path, batches: Batches) -> Path:
    folder = tmp_path / "binary"
    folder.mkdir()
    for name, (planes, labels) in batches.items():
        np.column_stack([labels, planes]).tofile(folder / f"{name}.bin")
    (folder / "batches.meta.txt").write_text("".join(f"class{index}\n" for index in range(10)) + "\n")
    return folder


@pytest.fixture
def python_folder(tmp_path: Path, batches: Batches) -> Path:
    folder = tmp_path / "python"
    folder.mkdir()
    for name, (planes, labels) in batches.items():
        (folder / name).write_bytes(python2_pickle(planes, labels.tolist()))
    names = [f"class{index}".encode() for index in range(10)]
    (folder / "batches.meta").write_bytes(pickle.dumps({b"label_names": names}, protocol=2))
    return folder


@pytest.fixture
def cifar100_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "hundred"
    folder.mkdir()
    for seed, (name, count) in enumerate([("train.bin", 5), ("test.bin", 3)]):
        labels = [[(seed + index) % 20, 99 - index] for index in range(count)]
        np.column_stack([np.array(labels, np.uint8), random_planes(count, seed)]).tofile(folder / name)
    (folder / "fine_label_names.txt").write_text("".join(f"fine{index}\n" for index in range(100)))
    (folder / "coarse_label_names.txt").write_text("".join(f"coarse{index}\n" for index in range(20)))
    return folder


@pytest.fixture
def rewrite() -> Callable[..., None]:
    """Return a function that replaces entries of one pickled batch."""

    def replace(path: Path, protocol: int = 2, **entries: Any) -> None:
        content = {b"data": random_planes(4, 9), b"labels": [0, 1, 2, 3]}
        content |= {key.encode(): value for key, value in entries.items()}
        path.write_bytes(pickle.dumps(content, protocol=protocol))

    return replace
