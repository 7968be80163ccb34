"""Checkpoints: arrays and a JSON record in one safetensors file, written whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from minigrad.errors import InputError

__all__ = ["check_writable", "read", "read_arrays", "write", "write_atomically"]


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that at every moment either the old or the new content is there, even after a kill.

    Raises
    ------
    InputError
        If it cannot be written; the old content, if any, stays.
    """
    with _temporary(path) as temporary:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)


def check_writable(path: Path) -> None:
    """InputError if ``write_atomically`` could not write here; to be asked before long work. Makes the folder."""
    with _temporary(path) as temporary:
        temporary.touch()
        if path.is_dir():
            raise IsADirectoryError("it is a folder")


@contextlib.contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """A name beside the path that is gone afterwards; an error of the file system becomes one that names the path."""
    temporary = path.parent / f".{path.name[:100]}.{os.getpid()}.tmp"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from None


def write(path: Path, arrays: dict[str, np.ndarray], record: dict[str, Any]) -> None:
    """Write arrays by name and a record of JSON values."""
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    # ascontiguousarray turns a scalar into one element; the shape must come back as it was.
    contiguous = {name: array.reshape(arrays[name].shape) for name, array in contiguous.items()}
    write_atomically(path, save(contiguous, metadata={"record": json.dumps(record)}))


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and the record of a checkpoint.

    Raises
    ------
    InputError
        If the file is no checkpoint.
    """
    try:
        arrays, metadata = _read(path)
        return arrays, json.loads(metadata["record"])
    except _UNREADABLE as error:
        raise InputError(f"{path}: not a readable checkpoint ({error}); remove it to start again") from None


def read_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays and the metadata of any safetensors file.

    Raises
    ------
    InputError
        If the file is missing, no safetensors file, or has a dtype that NumPy lacks.
    """
    try:
        return _read(path)
    except _UNREADABLE as error:
        raise InputError(f"{path}: not a readable safetensors file ({error})") from None


#: TypeError: a dtype NumPy lacks.
_UNREADABLE = (SafetensorError, KeyError, ValueError, OSError, TypeError)


def _read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    with safe_open(path, framework="numpy") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
