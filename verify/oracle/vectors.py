"""Reading the vector files into arrays."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.errors import InputError
from verify.oracle.numbers import from_bits

__all__ = ["FOLDER", "Expected", "Group", "Vectors", "load", "methods"]

FOLDER = Path(__file__).parent / "vectors"


@dataclass(frozen=True)
class Expected:
    """Of one output (``y``, ``dx``, ...): what is expected at each case, all float64 of shape (cases,).

    ``low`` and ``high`` are the ends of the accepted interval; they differ at kinks only.
    """

    value: np.ndarray
    terms: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def read(cls, entries: Sequence[dict[str, Any]]) -> Expected:
        value = _numbers(entries)
        ends = [_numbers([e.get("interval", (e, e))[side] for e in entries]) for side in (0, 1)]
        return cls(value, _numbers([e["terms"] for e in entries]), ends[0], ends[1])


@dataclass(frozen=True)
class Group:
    """Cases that share parameters.

    ``parameters`` are the arguments after x in the order of a call, floats and the integer ``bits``; ``kink`` marks the
    cases without a derivative; ``codes`` lists the accepted codes of each case, None where the function has none.
    """

    id: str
    comment: str
    parameters: dict[str, Any]
    ids: list[str]
    comments: list[str]
    flags: list[list[str]]
    kink: np.ndarray
    x: np.ndarray
    outputs: dict[str, Expected]
    codes: list[list[int]] | None

    @classmethod
    def read(cls, entry: dict[str, Any]) -> Group:
        cases = entry["cases"]
        outputs = {"y": Expected.read([c["y"] for c in cases])}
        for name in cases[0]["gradients"]:
            outputs[name] = Expected.read([c["gradients"][name] for c in cases])
        parameters = {
            name: from_bits(value["bits"]) if isinstance(value, dict) else value
            for name, value in entry["parameters"].items()
        }
        return cls(
            entry["id"],
            entry["comment"],
            parameters,
            [c["id"] for c in cases],
            [c["comment"] for c in cases],
            [c["flags"] for c in cases],
            np.array([c["kind"] == "kink" for c in cases]),
            _numbers([c["x"] for c in cases]),
            outputs,
            [c["codes"] for c in cases] if "codes" in cases[0] else None,
        )

    @property
    def decided(self) -> np.ndarray:
        """The cases at which no rounding picks a side of a kink: all but the kinks and those one ulp beside a bound."""
        return ~self.kink & ~np.array(["beside-bound" in flags for flags in self.flags], dtype=bool)

    @property
    def scalars(self) -> tuple[float, ...]:
        """The differentiable parameters."""
        return tuple(v for v in self.parameters.values() if isinstance(v, float))

    @property
    def options(self) -> tuple[int, ...]:
        """The integer parameters, which follow them in a call."""
        return tuple(v for v in self.parameters.values() if not isinstance(v, float))


@dataclass(frozen=True)
class Vectors:
    """What one function is held against. ``arguments`` are the differentiable ones, x first."""

    method: str
    version: str
    arguments: tuple[str, ...]
    tolerance_bits: int
    flags: dict[str, str]
    groups: tuple[Group, ...]

    @property
    def gradients(self) -> tuple[str, ...]:
        """The names of the gradients, in the order a vjp returns them."""
        return tuple(f"d{name}" for name in self.arguments)

    @property
    def cases(self) -> int:
        return sum(len(group.ids) for group in self.groups)


def _numbers(entries: Sequence[dict[str, Any]]) -> np.ndarray:
    return np.array([from_bits(entry["bits"]) for entry in entries], dtype=np.float64)


@cache
def _documents() -> dict[str, dict[str, Any]]:
    """Each file by its method's name, and each elementary function as a method of its own."""
    found = {}
    for path in sorted(FOLDER.glob("*.json")):
        if path.name == "schema.json":
            continue
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["method"] == "primitives":
            for group in document["groups"]:
                found[group["id"]] = {**document, "method": group["id"], "groups": [group]}
        else:
            found[document["method"]] = document
    return found


def methods() -> tuple[str, ...]:
    """The names ``load`` takes."""
    return tuple(_documents())


@cache
def load(method: str) -> Vectors:
    """The vectors of a method or an elementary function.

    Raises
    ------
    InputError
        If there are none under this name.
    """
    documents = _documents()
    if method not in documents:
        raise InputError(f"--method: no vectors for {method!r}; there are {', '.join(documents)}")
    document = documents[method]
    return Vectors(
        document["method"],
        document["version"],
        tuple(document["arguments"]),
        document["tolerance"]["bits"],
        document["flags"],
        tuple(Group.read(entry) for entry in document["groups"]),
    )
