"""Programs on disk: a safetensors file with packed weights (layout 1), and a JSON record of everything else."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from minigrad.checkpoint import write_atomically
from minigrad.errors import InputError
from quant.integer import OPERATIONS, Codebook, Encoding, Odd, Offset, Program
from quant.packing import LAYOUT, pack, unpack

__all__ = ["FORMAT", "load", "save"]

#: Name and version of the format, checked on loading.
FORMAT = "minigrad-program-1"
#: Fields that the first files of the format had not; without them the defaults hold.
_LATER = {"groups", "bipolar", "encoding"}


def save(program: Program, path: str | Path) -> None:
    """Write a program whole or not at all; the same program gives the same bytes."""
    arrays: dict[str, np.ndarray] = {}
    operations = []
    for position, op in enumerate(program.ops):
        record: dict[str, Any] = {"op": op.name}
        for field in dataclasses.fields(op):  # type: ignore[arg-type]
            value = getattr(op, field.name)
            if field.name == "encoding":
                record["encoding"] = _describe(value)
            elif not isinstance(value, np.ndarray):
                record[field.name] = value
            elif field.name == "weight_codes":
                record["weight_shape"] = value.shape
                arrays[f"{position}.weight_codes"] = pack(value.reshape(len(value), -1), op.weight_bits)  # type: ignore[attr-defined]
            else:
                arrays[f"{position}.{field.name}"] = value
        operations.append(record)
    described = {
        "format": FORMAT,
        "packed_layout": LAYOUT,
        "name": program.name,
        "input_shape": program.input_shape,
        "operations": operations,
    }
    metadata = {"program": json.dumps(described, sort_keys=True, default=int)}
    write_atomically(Path(path), to_bytes(arrays, metadata=metadata))


def load(path: str | Path) -> Program:
    """Read a program, checking it as if it were made anew.

    Raises
    ------
    InputError
        If the file cannot be read, is no program of this format, or holds one that is refused.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            described = json.loads((file.metadata() or {})["program"])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if described["format"] != FORMAT or described["packed_layout"] != LAYOUT:
            raise InputError(f"written as {described['format']!r}, expected {FORMAT!r}")
        ops = [_restore(record, position, arrays) for position, record in enumerate(described["operations"])]
        return Program(tuple(ops), tuple(described["input_shape"]), described["name"])
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (SafetensorError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(f"{path}: not a program: {_one_line(error)}") from None


def _restore(record: dict[str, Any], position: int, arrays: dict[str, np.ndarray]) -> Any:
    kind = OPERATIONS[record["op"]]
    values: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        stored = arrays.get(f"{position}.{field.name}")
        if stored is None and field.name in _LATER and field.name not in record:
            continue
        if field.name == "encoding":
            values["encoding"] = _restore_encoding(record["encoding"])
        elif stored is None:
            values[field.name] = record[field.name]
        elif field.name == "weight_codes":
            shape = tuple(record["weight_shape"])
            codes = unpack(stored, int(np.prod(shape[1:])), record["weight_bits"])
            values[field.name] = codes.reshape(shape)
        else:
            values[field.name] = stored
    return kind(**values)


def _describe(encoding: Encoding) -> dict[str, Any]:
    if isinstance(encoding, Offset):
        return {"kind": encoding.kind, "zero": encoding.zero}
    if isinstance(encoding, Codebook):
        return {"kind": encoding.kind, "levels": encoding.levels.tolist()}
    return {"kind": encoding.kind}


def _restore_encoding(described: dict[str, Any]) -> Encoding:
    if described["kind"] == Offset.kind:
        return Offset(described["zero"])
    if described["kind"] == Codebook.kind:
        levels = np.array(described["levels"])
        if levels.dtype.kind != "i" or levels.min() < -128 or levels.max() > 127:
            raise InputError("Codebook.levels: expected integers of 8 bits")
        return Codebook(levels.astype(np.int8))
    if described["kind"] != Odd.kind:
        raise InputError(f"unknown encoding {described['kind']!r}")
    return Odd()


def _one_line(error: Exception) -> str:
    missing = "no entry " if isinstance(error, KeyError) else ""
    return missing + " ".join(str(error).split())
