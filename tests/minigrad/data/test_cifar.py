"""The binary readers, and which folder is which."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from minigrad.data import read_cifar, read_cifar10_binary, read_cifar100_binary
from minigrad.data.cifar import CIFAR10_CLASSES
from minigrad.errors import InputError


def message(path: Path) -> str:
    """Return the one line that reading a folder fails with."""
    with pytest.raises(InputError) as caught:
        read_cifar(path)
    text = str(caught.value)
    assert "\n" not in text
    return text


def record(label: int, planes: NDArray[np.uint8]) -> bytes:
    return bytes([label]) + planes.tobytes()


def test_binary_round_trip(binary_folder: Path, batches: dict) -> None:
    data = read_cifar(binary_folder)
    assert data.name == "CIFAR-10"
    assert data.classes == tuple(f"class{index}" for index in range(10))
    assert data.train_images.shape == (20, 32, 32, 3) and data.test_images.shape == (4, 32, 32, 3)
    assert data.train_images.flags.c_contiguous and data.test_images.flags.c_contiguous
    for number in range(5):
        planes, labels = batches[f"data_batch_{number + 1}"]
        part = slice(4 * number, 4 * number + 4)
        assert (data.train_images[part].transpose(0, 3, 1, 2).reshape(4, 3072) == planes).all()
        assert (data.train_labels[part] == labels).all()
    assert (data.test_images.transpose(0, 3, 1, 2).reshape(4, 3072) == batches["test_batch"][0]).all()
    assert (data.test_labels == batches["test_batch"][1]).all()


def test_pixel_layout_is_planes_row_by_row(binary_folder: Path) -> None:
    """Byte 1024 c + 32 y + x of a record is channel c of row y, column x."""
    planes = np.zeros(3072, np.uint8)
    red, green, blue = 5 * 32 + 7, 1024 + 31 * 32, 2048 + 31
    planes[[red, green, blue]] = 10, 20, 30
    (binary_folder / "data_batch_1.bin").write_bytes(record(0, planes) * 4)
    image = read_cifar10_binary(binary_folder).train_images[0]
    assert image[5, 7].tolist() == [10, 0, 0]
    assert image[31, 0].tolist() == [0, 20, 0]
    assert image[0, 31].tolist() == [0, 0, 30]
    assert image.sum() == 60


def test_standard_names_without_meta(binary_folder: Path) -> None:
    (binary_folder / "batches.meta.txt").unlink()
    assert read_cifar(binary_folder).classes == CIFAR10_CLASSES
    assert CIFAR10_CLASSES[0] == "airplane" and CIFAR10_CLASSES[9] == "truck" and len(CIFAR10_CLASSES) == 10


def test_cifar100(cifar100_folder: Path) -> None:
    data = read_cifar(cifar100_folder)
    assert data.name == "CIFAR-100" and len(data.classes) == 100 and data.classes[7] == "fine7"
    assert data.train_labels.tolist() == [99, 98, 97, 96, 95]
    assert data.test_labels.tolist() == [99, 98, 97]
    raw = np.fromfile(cifar100_folder / "train.bin", np.uint8).reshape(5, 3074)
    assert (data.train_images.transpose(0, 3, 1, 2).reshape(5, 3072) == raw[:, 2:]).all()


@pytest.mark.parametrize(
    ("fixture", "subfolder"),
    [
        ("binary_folder", "cifar-10-batches-bin"),
        ("python_folder", "cifar-10-batches-py"),
        ("cifar100_folder", "cifar-100-binary"),
    ],
)
def test_folder_that_contains_the_standard_one(
    fixture: str, subfolder: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder = request.getfixturevalue(fixture)
    expected = read_cifar(folder)
    parent = tmp_path / "parent"
    parent.mkdir()
    folder.rename(parent / subfolder)
    assert (read_cifar(parent).train_images == expected.train_images).all()


def test_missing_folder(tmp_path: Path) -> None:
    assert message(tmp_path / "nowhere") == f"{tmp_path / 'nowhere'}: no such folder"


def test_name_that_is_not_one_line(tmp_path: Path) -> None:
    assert "no such folder" in message(tmp_path / "no\nwhere\x1b[31m")


def test_path_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert "is a file, expected a CIFAR folder" in message(tmp_path / "file")


def test_folder_of_the_wrong_kind(tmp_path: Path) -> None:
    assert "it is empty" in message(tmp_path)
    for index in range(9):
        (tmp_path / f"photo{index}.jpg").touch()
    text = message(tmp_path)
    for wanted in ("CIFAR-10 binary (data_batch_1.bin", "CIFAR-10 python (data_batch_1,", "CIFAR-100 binary"):
        assert wanted in text
    assert "photo0.jpg" in text and "photo5.jpg and 3 more" in text


def test_two_data_sets_in_one_folder(binary_folder: Path, cifar100_folder: Path) -> None:
    cifar100_folder.rename(binary_folder / "cifar-100-binary")
    text = message(binary_folder)
    assert "several" in text and "CIFAR-10 binary" in text and "CIFAR-100 binary" in text


def test_stray_file_of_another_kind_is_ignored(binary_folder: Path) -> None:
    (binary_folder / "test.bin").touch()
    assert read_cifar(binary_folder).name == "CIFAR-10"


@pytest.mark.parametrize("name", ["data_batch_3.bin", "test_batch.bin"])
def test_missing_batch(binary_folder: Path, name: str) -> None:
    (binary_folder / name).unlink()
    assert f"missing {name} of CIFAR-10 binary" in message(binary_folder)
    with pytest.raises(InputError, match=f"{name}: missing file"):
        read_cifar10_binary(binary_folder)


def test_batch_is_a_folder(binary_folder: Path) -> None:
    (binary_folder / "data_batch_3.bin").unlink()
    (binary_folder / "data_batch_3.bin").mkdir()
    assert "data_batch_3.bin: is a folder, expected a file" in message(binary_folder)


@pytest.mark.parametrize(
    ("size", "place"), [(4 * 3073 - 1, "record 3 (from 0) is cut after 3072"), (3073 + 1, "record 1")]
)
def test_truncated_batch(binary_folder: Path, size: int, place: str) -> None:
    path = binary_folder / "data_batch_2.bin"
    path.write_bytes(path.read_bytes()[:size])
    text = message(binary_folder)
    assert f"data_batch_2.bin: truncated: {size} bytes, expected a multiple of 3073" in text and place in text


def test_empty_batch(binary_folder: Path) -> None:
    (binary_folder / "data_batch_2.bin").write_bytes(b"")
    assert "data_batch_2.bin: empty file" in message(binary_folder)


@pytest.mark.parametrize("name", ["data_batch_4.bin", "test_batch.bin"])
def test_batch_cut_between_records(binary_folder: Path, name: str) -> None:
    path = binary_folder / name
    path.write_bytes(path.read_bytes()[: 3 * 3073])
    assert f"{name}: 3 records, expected 4 as in data_batch_1.bin" in message(binary_folder)


@pytest.mark.parametrize("label", [10, 200])
def test_label_outside(binary_folder: Path, label: int) -> None:
    path = binary_folder / "data_batch_5.bin"
    content = bytearray(path.read_bytes())
    content[2 * 3073] = label
    path.write_bytes(content)
    assert message(binary_folder).endswith(f"data_batch_5.bin: record 2 (from 0): label {label}, expected 0..9")


@pytest.mark.parametrize(("byte", "label", "what"), [(0, 20, "coarse label 20"), (1, 100, "fine label 100")])
def test_cifar100_label_outside(cifar100_folder: Path, byte: int, label: int, what: str) -> None:
    path = cifar100_folder / "test.bin"
    content = bytearray(path.read_bytes())
    content[3074 + byte] = label
    path.write_bytes(content)
    assert f"test.bin: record 1 (from 0): {what}, expected 0..{label - 1}" in message(cifar100_folder)


def test_cifar100_truncated_and_missing(cifar100_folder: Path) -> None:
    path = cifar100_folder / "train.bin"
    path.write_bytes(path.read_bytes()[:-1])
    assert "train.bin: truncated: 15369 bytes, expected a multiple of 3074; record 4" in message(cifar100_folder)
    path.unlink()
    assert "missing train.bin of CIFAR-100 binary" in message(cifar100_folder)


def test_class_names(binary_folder: Path, cifar100_folder: Path) -> None:
    meta = binary_folder / "batches.meta.txt"
    meta.write_text("one\ntwo\n")
    assert "batches.meta.txt: 2 class names, expected 10" in message(binary_folder)
    meta.write_bytes(b"\xff\xfe")
    assert "batches.meta.txt: not a text file" in message(binary_folder)
    (cifar100_folder / "coarse_label_names.txt").write_text("one\n")
    assert "coarse_label_names.txt: 1 class names, expected 20" in message(cifar100_folder)
    (cifar100_folder / "fine_label_names.txt").unlink()
    with pytest.raises(InputError, match=r"fine_label_names\.txt: missing file"):
        read_cifar100_binary(cifar100_folder)
