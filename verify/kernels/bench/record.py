"""All that was measured, as JSON and back, and the body's figures, which follow from the layers'."""

from __future__ import annotations

import importlib.metadata
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minigrad.checkpoint import write_atomically
from minigrad.errors import InputError
from verify.kernels.bench.count import Cell
from verify.kernels.bench.instructions import Count
from verify.kernels.bench.layers import BODY, LAYERS, Layer, Width
from verify.kernels.bench.wall import Timing

__all__ = ["Record", "read_record", "tools", "write_record"]

_VERSION = 1


@dataclass
class Record:
    """What one run of the benchmark found."""

    cells: list[Cell] = field(default_factory=list)
    timings: list[Timing] = field(default_factory=list)
    #: Versions of what made and counted the code.
    tools: dict[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Every output was the reference's."""
        return not any(cell.wrong for cell in self.cells) and all(timing.is_right for timing in self.timings)

    @property
    def layers(self) -> list[Layer]:
        """Those that were measured, in the order of ``LAYERS``."""
        found = {cell.layer for cell in self.cells} | {timing.layer for timing in self.timings}
        return [layer for layer in LAYERS if layer in found]

    @property
    def widths(self) -> list[Width]:
        """Those that were measured, in their order."""
        return list(dict.fromkeys([c.width for c in self.cells] + [t.width for t in self.timings]))

    @property
    def paths(self) -> list[str]:
        """Those that were counted, in their order."""
        return list(dict.fromkeys(cell.path for cell in self.cells))

    def cell(self, layer: Layer, width: Width, path: str) -> Cell | None:
        """The one of these, if it was counted."""
        wanted = (layer, width, path)
        return next((cell for cell in self.cells if (cell.layer, cell.width, cell.path) == wanted), None)

    def body(self, width: Width, path: str) -> tuple[float, float, float] | None:
        """Per MAC of ResNet-18's body: as ``Cell.per_mac``; None where one of its layers is missing."""
        total, macs = [0, 0, 0], 0
        for layer, times in BODY.items():
            cell = self.cell(layer, width, path)
            if cell is None:
                return None
            total = [sum_ + times * number for sum_, number in zip(total, cell.count, strict=True)]
            macs += times * layer.macs
        return total[0] / macs, total[1] / macs, total[2] / macs


def tools() -> dict[str, str]:
    """Versions of the compiler and of the emulator."""
    return {name: importlib.metadata.version(name) for name in ("ziglang", "unicorn")}


def write_record(record: Record, path: Path) -> None:
    """As JSON, a line for each cell, in the order of layers, widths and paths."""
    order = {item: n for n, item in enumerate((*LAYERS, *record.widths, *record.paths))}
    cells = sorted(record.cells, key=lambda cell: (order[cell.layer], order[cell.width], order[cell.path]))
    content = {
        "version": _VERSION,
        "tools": record.tools,
        "body": {layer.name: times for layer, times in BODY.items()},
        "cells": [_of_cell(cell) for cell in cells],
        "timings": [_of_timing(timing) for timing in record.timings],
    }
    parts = [f'  "{key}": {_lines(value)}' for key, value in content.items()]
    write_atomically(path, ("{\n" + ",\n".join(parts) + "\n}\n").encode())


def _lines(value: Any) -> str:
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join("    " + json.dumps(item) for item in value) + "\n  ]"
    return json.dumps(value)


def _of_cell(cell: Cell) -> dict[str, Any]:
    return {
        "layer": cell.layer.name,
        "bits": cell.width.name,
        "path": cell.path,
        "kernel": cell.kernel,
        "macs": cell.layer.macs,
        **cell.count._asdict(),
        "wrong": list(cell.wrong),
    }


def _of_timing(timing: Timing) -> dict[str, Any]:
    return {
        "layer": timing.layer.name,
        "bits": timing.width.name,
        "path": timing.path,
        "kernel": timing.kernel,
        "seconds": timing.seconds,
        "right": timing.is_right,
    }


def read_record(path: Path) -> Record:
    """What ``write_record`` wrote.

    Raises
    ------
    InputError
        If the file is none of this version.
    """
    try:
        content = json.loads(path.read_text())
        if content["version"] != _VERSION:
            raise InputError(f"{path}: version {content['version']}, expected {_VERSION}")
        return Record(
            [Cell(*_place(item), item["kernel"], _count(item), tuple(item["wrong"])) for item in content["cells"]],
            [Timing(*_place(item), item["kernel"], item["seconds"], item["right"]) for item in content["timings"]],
            content["tools"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: no record of this benchmark ({error})") from None


def _place(item: dict[str, Any]) -> tuple[Layer, Width, str]:
    layer = next((layer for layer in LAYERS if layer.name == item["layer"]), None)
    if layer is None:
        raise InputError(f"no layer {item['layer']!r}")
    return layer, Width.of(item["bits"]), item["path"]


def _count(item: dict[str, Any]) -> Count:
    return Count(item["instructions"], item["vector"], item["plain"])
