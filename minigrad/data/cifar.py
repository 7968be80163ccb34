"""Readers of the standard CIFAR folders: CIFAR-10 binary and python, CIFAR-100 binary.

Layouts as published at https://www.cs.toronto.edu/~kriz/cifar.html: a record is one label byte (two in CIFAR-100,
coarse and fine) and 3,072 bytes, the red, green and blue planes of 32x32, row by row. Small folders with any
whole number of records are read alike.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from minigrad.data.dataset import Dataset
from minigrad.data.pickles import load_dictionary, printable
from minigrad.errors import InputError

__all__ = ["CIFAR10_CLASSES", "read_cifar", "read_cifar10_binary", "read_cifar10_python", "read_cifar100_binary"]

CIFAR10_CLASSES: Final[tuple[str, ...]] = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
PIXELS: Final = 3 * 32 * 32
CIFAR10_BATCHES: Final = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")

Batch = tuple[NDArray[np.uint8], NDArray[np.int64]]


def _shown(path: Path) -> str:
    return printable(str(path))


def _read_bytes(path: Path) -> bytes:
    if path.is_dir():
        raise InputError(f"{_shown(path)}: is a folder, expected a file")
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{_shown(path)}: missing file") from None
    except OSError as error:
        raise InputError(f"{_shown(path)}: cannot be read ({error.strerror})") from error


def _to_nhwc(planes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn (N, 3072) planes into (N, 32, 32, 3) pixels."""
    return np.ascontiguousarray(planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


def _read_records(path: Path, label_kinds: Sequence[tuple[str, int]]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Read a binary batch; `label_kinds` is the name and the number of classes of each leading label byte."""
    record = len(label_kinds) + PIXELS
    content = _read_bytes(path)
    whole, rest = divmod(len(content), record)
    if rest:
        raise InputError(
            f"{_shown(path)}: truncated: {len(content)} bytes, expected a multiple of {record}; "
            f"record {whole} (from 0) is cut after {rest} bytes"
        )
    if not whole:
        raise InputError(f"{_shown(path)}: empty file, expected one or more records of {record} bytes")
    records = np.frombuffer(content, np.uint8).reshape(whole, record)
    labels = records[:, : len(label_kinds)]
    for column, (kind, classes) in enumerate(label_kinds):
        outside = labels[:, column] >= classes
        if outside.any():
            first = int(outside.argmax())
            raise InputError(
                f"{_shown(path)}: record {first} (from 0): {kind} {labels[first, column]}, expected 0..{classes - 1}"
            )
    return records[:, len(label_kinds) :], labels


def _names_from_text(path: Path, count: int) -> tuple[str, ...]:
    try:
        text = _read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{_shown(path)}: not a text file of class names") from error
    return _checked_names(path, [line.strip() for line in text.splitlines() if line.strip()], count)


def _checked_names(path: Path, names: list[str], count: int) -> tuple[str, ...]:
    if len(names) != count:
        raise InputError(f"{_shown(path)}: {len(names)} class names, expected {count}")
    return tuple(names)


def _cifar10(folder: Path, suffix: str, read: Callable[[Path], Batch], classes: tuple[str, ...]) -> Dataset:
    """Assemble CIFAR-10 from its six batches, which all have the same number of records."""
    batches = {name: read(folder / f"{name}{suffix}") for name in CIFAR10_BATCHES}
    expected = len(batches[CIFAR10_BATCHES[0]][1])
    for name, (_, labels) in batches.items():
        if len(labels) != expected:
            raise InputError(
                f"{_shown(folder / f'{name}{suffix}')}: {len(labels)} records, expected {expected} "
                f"as in {CIFAR10_BATCHES[0]}{suffix}"
            )
    train = [batches[name] for name in CIFAR10_BATCHES[:-1]]
    return Dataset(
        "CIFAR-10",
        np.concatenate([images for images, _ in train]),
        np.concatenate([labels for _, labels in train]),
        *batches[CIFAR10_BATCHES[-1]],
        classes,
    )


def read_cifar10_binary(folder: Path) -> Dataset:
    """Read the folder of data_batch_1.bin to data_batch_5.bin and test_batch.bin.

    Class names come from batches.meta.txt, or are the standard ones where that file is missing.

    Raises
    ------
    InputError
        One line that names the file and the record.
    """

    def read(path: Path) -> Batch:
        planes, labels = _read_records(path, [("label", 10)])
        return _to_nhwc(planes), labels[:, 0].astype(np.int64)

    meta = folder / "batches.meta.txt"
    classes = _names_from_text(meta, 10) if meta.exists() else CIFAR10_CLASSES
    return _cifar10(folder, ".bin", read, classes)


def read_cifar100_binary(folder: Path) -> Dataset:
    """Read the folder of train.bin, test.bin and fine_label_names.txt; the labels are the 100 fine ones.

    Raises
    ------
    InputError
        One line that names the file and the record.
    """

    def read(path: Path) -> Batch:
        planes, labels = _read_records(path, [("coarse label", 20), ("fine label", 100)])
        return _to_nhwc(planes), labels[:, 1].astype(np.int64)

    classes = _names_from_text(folder / "fine_label_names.txt", 100)
    coarse = folder / "coarse_label_names.txt"
    if coarse.exists():
        _names_from_text(coarse, 20)
    return Dataset("CIFAR-100", *read(folder / "train.bin"), *read(folder / "test.bin"), classes)


def _pickled_planes(path: Path, data: Any) -> NDArray[np.uint8]:
    expected = f"expected uint8 (records, {PIXELS})"
    if not isinstance(data, np.ndarray):
        raise InputError(f"{_shown(path)}: 'data' is {type(data).__name__}, {expected}")
    if data.dtype.kind == "f" and data.ndim and np.isnan(data).any():
        first = np.unravel_index(int(np.isnan(data).argmax()), data.shape)
        within = f", value {first[1]}" if data.ndim > 1 else ""
        raise InputError(f"{_shown(path)}: 'data' holds NaN at record {first[0]} (from 0){within}; {expected}")
    if data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != PIXELS or not len(data):
        raise InputError(f"{_shown(path)}: 'data' is {data.dtype} {data.shape}, {expected}")
    return data


def _pickled_labels(path: Path, labels: Any, count: int) -> NDArray[np.int64]:
    values = labels.tolist() if isinstance(labels, np.ndarray) and labels.ndim == 1 else labels
    if not isinstance(values, list | tuple):
        raise InputError(f"{_shown(path)}: 'labels' is {type(labels).__name__}, expected a list of {count} integers")
    if len(values) != count:
        raise InputError(f"{_shown(path)}: {len(values)} labels for {count} images, expected one each")
    for record, label in enumerate(values):
        if type(label) is not int or not 0 <= label < 10:
            # An integer of thousands of digits cannot even be printed.
            value = label if type(label) is int and abs(label) < 2**64 else f"of type {type(label).__name__}"
            raise InputError(f"{_shown(path)}: record {record} (from 0): label {value}, expected 0..9")
    return np.array(values, dtype=np.int64)


def _entry(path: Path, content: dict[str, Any], key: str) -> Any:
    if key not in content:
        raise InputError(f"{_shown(path)}: no entry {key!r} in the pickled dictionary")
    return content[key]


def read_cifar10_python(folder: Path) -> Dataset:
    """Read the folder of pickles data_batch_1 to data_batch_5 and test_batch; nothing in them is executed.

    Class names come from batches.meta, or are the standard ones where that file is missing.

    Raises
    ------
    InputError
        One line that names the file and the record.
    """

    def read(path: Path) -> Batch:
        content = load_dictionary(_read_bytes(path), _shown(path))
        planes = _pickled_planes(path, _entry(path, content, "data"))
        labels = _pickled_labels(path, _entry(path, content, "labels"), len(planes))
        return _to_nhwc(planes), labels

    meta = folder / "batches.meta"
    classes = CIFAR10_CLASSES
    if meta.exists():
        names = _entry(meta, load_dictionary(_read_bytes(meta), _shown(meta)), "label_names")
        if not isinstance(names, list) or not all(isinstance(name, str | bytes) for name in names):
            raise InputError(f"{_shown(meta)}: 'label_names' is no list of names")
        text = [name.decode("latin1") if isinstance(name, bytes) else name for name in names]
        classes = _checked_names(meta, text, 10)
    return _cifar10(folder, "", read, classes)


@dataclass(frozen=True)
class _Kind:
    """One published folder: its files, the name of the folder in its archive, its reader."""

    name: str
    files: tuple[str, ...]
    subfolder: str
    read: Callable[[Path], Dataset]


KINDS: Final = (
    _Kind(
        "CIFAR-10 binary",
        tuple(f"{name}.bin" for name in CIFAR10_BATCHES),
        "cifar-10-batches-bin",
        read_cifar10_binary,
    ),
    _Kind("CIFAR-10 python", CIFAR10_BATCHES, "cifar-10-batches-py", read_cifar10_python),
    _Kind("CIFAR-100 binary", ("train.bin", "test.bin"), "cifar-100-binary", read_cifar100_binary),
)


def _contents(folder: Path, limit: int = 6) -> str:
    names = sorted(entry.name for entry in folder.iterdir())
    if not names:
        return "it is empty"
    shown = ", ".join(printable(name) for name in names[:limit])
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return f"it holds {shown}{more}"


def read_cifar(directory: Path) -> Dataset:
    """Read a CIFAR folder, or the folder that contains it under its standard name, whichever of the kinds it is.

    Parameters
    ----------
    directory : Path
        CIFAR-10 binary (or with cifar-10-batches-bin in it), CIFAR-10 python (cifar-10-batches-py) or CIFAR-100
        binary (cifar-100-binary).

    Raises
    ------
    InputError
        One line: no such folder, none of the kinds or several in it, or what is wrong with a file.
    """
    directory = Path(directory)
    try:
        if not directory.exists():
            raise InputError(f"{_shown(directory)}: no such folder")
        if not directory.is_dir():
            raise InputError(f"{_shown(directory)}: is a file, expected a CIFAR folder")
        places = [(kind, folder) for kind in KINDS for folder in (directory, directory / kind.subfolder)]
        found = [(sum((folder / file).exists() for file in kind.files), kind, folder) for kind, folder in places]
        contents = _contents(directory)
    except OSError as error:
        raise InputError(f"{_shown(directory)}: cannot be read ({error.strerror})") from error
    complete = [(kind, folder) for count, kind, folder in found if count == len(kind.files)]
    if len(complete) > 1:
        several = " and ".join(f"{kind.name} in {_shown(folder)}" for kind, folder in complete)
        raise InputError(f"{_shown(directory)}: holds several data sets ({several}); move one away or name its folder")
    if complete:
        kind, folder = complete[0]
        return kind.read(folder)
    count, kind, folder = max(found, key=lambda entry: entry[0])
    if not count:
        wanted = ", ".join(f"{kind.name} ({kind.files[0]}, ...)" for kind in KINDS)
        raise InputError(f"{_shown(directory)}: no CIFAR folder: looked for {wanted}; {contents}")
    missing = [file for file in kind.files if not (folder / file).exists()]
    raise InputError(
        f"{_shown(folder)}: missing {', '.join(missing)} of {kind.name} (its files are {', '.join(kind.files)})"
    )
