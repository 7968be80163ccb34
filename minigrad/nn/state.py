"""States: arrays by name, taken over whole or not at all, and their safetensors files.

The file's keys are the dotted names, so that ``safetensors.numpy.load_file`` and every other reader of safetensors
gets the arrays; the metadata hold one entry, ``record``, with this format's name and version. Files without it,
written by ``safetensors.numpy.save_file`` or another framework, are read as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from minigrad import checkpoint
from minigrad.errors import InputError

__all__ = ["check_state", "load_arrays", "save_arrays", "take_over"]

_FORMAT, _VERSION = "minigrad state", 1
_SHOWN = 5


def _listed(names: Iterable[str]) -> str:
    """The first few names, and how many there are."""
    ordered = sorted(names)
    rest = f" and {len(ordered) - _SHOWN} more" if len(ordered) > _SHOWN else ""
    return f"{ordered[:_SHOWN]}{rest}"


def check_state(own: Mapping[str, np.ndarray], state: Mapping[str, np.ndarray], what: str = "state") -> None:
    """InputError, naming the entry, unless ``state`` has just the names, shapes and dtypes of ``own``.

    Also if an array of ``own`` is locked, because a tape needs its values.
    """
    missing, unknown = own.keys() - state.keys(), state.keys() - own.keys()
    if missing or unknown:
        raise InputError(f"{what}: missing {_listed(missing)}, unknown {_listed(unknown)}")
    for name, array in own.items():
        new = state[name]
        if not isinstance(new, np.ndarray):
            raise InputError(f"{what}: {name} is a {type(new).__name__}, expected an array")
        if new.shape != array.shape or new.dtype != array.dtype:
            raise InputError(f"{what}: {name} is {new.dtype} {new.shape}, expected {array.dtype} {array.shape}")
        if not array.flags.writeable:
            raise InputError(f"{what}: {name} is locked; a tape still needs its values, call backward first")


def take_over(own: Mapping[str, np.ndarray], state: Mapping[str, np.ndarray], what: str = "state") -> None:
    """Copy the arrays of ``state`` into those of ``own``; nothing is changed if one does not fit (``check_state``)."""
    check_state(own, state, what)
    # All are copied first: the new arrays may be our own in another order.
    for array, new in [(array, state[name].copy()) for name, array in own.items()]:
        array[...] = new


def save_arrays(path: str | Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays by name, atomically; InputError if the file cannot be written."""
    checkpoint.write(Path(path), dict(arrays), {"format": _FORMAT, "version": _VERSION})


def load_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file.

    Raises
    ------
    InputError
        If the file is missing or no safetensors file, has a dtype NumPy lacks (bfloat16), or its record names another
        format (a training run's checkpoint) or a later version.
    """
    arrays, metadata = checkpoint.read_arrays(Path(path))
    if "record" in metadata:
        try:
            record = json.loads(metadata["record"])
        except ValueError:
            record = None
        found = (record.get("format"), record.get("version")) if isinstance(record, dict) else None
        if found != (_FORMAT, _VERSION):
            raise InputError(f"{path}: expected a {_FORMAT!r} file of version {_VERSION}, its record names {found}")
    return arrays
