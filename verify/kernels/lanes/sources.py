"""What the proofs take from the C sources: constants by name, and formulas that must stand there word for word."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from minigrad.kernels import SOURCES

__all__ = ["captured", "constant", "require", "rows"]

#: Where files without a folder are; others are beside it, such as x86/direct.c.
_FOLDER = SOURCES / "src" / "qconv" / "neon"


def _read(file: str) -> str:
    path = _FOLDER.parent / file if "/" in file else _FOLDER / file
    return re.sub(r"\s+", " ", path.read_text(encoding="utf-8"))


def constant(file: str, name: str) -> int:
    """The value of an enumerator of a kernel's source.

    Raises
    ------
    AssertionError
        If it is not given there by one number.
    """
    found = re.findall(rf"\b{name} = (\d+)\b", _read(file))
    if len(found) != 1:
        raise AssertionError(f"{file}: expected one number for {name}, got {found}")
    return int(found[0])


def captured(file: str, pattern: str) -> tuple[int, ...]:
    """The numbers in the groups of a pattern, which stands in a kernel's source once.

    Raises
    ------
    AssertionError
        If it does not.
    """
    found = list(re.finditer(pattern, _read(file)))
    if len(found) != 1:
        raise AssertionError(f"{file}: expected {pattern!r} once, found it {len(found)} times")
    return tuple(map(int, found[0].groups()))


def rows(file: str, pattern: str, names: Sequence[str]) -> np.ndarray:
    """The matrix of a transform: a row for each match, whose group is a sum of names with factors, as C has it."""
    matrix = []
    for expression in re.findall(pattern, _read(file)):
        row = np.zeros(len(names), int)
        for sign, factor, name in re.findall(r"([+-]?) ?(?:(\d+) \* )?([a-z]\w*(?:\[\w+\])*)", expression):
            row[names.index(name)] += (-1 if sign == "-" else 1) * int(factor or 1)
        matrix.append(row)
    return np.array(matrix)


def require(file: str, *formulas: str) -> None:
    """Fail unless each formula stands in a kernel's source, spaces apart.

    Raises
    ------
    AssertionError
        If one does not: whoever changed it has to change the proof.
    """
    text = _read(file)
    for formula in formulas:
        if re.sub(r"\s+", " ", formula) not in text:
            raise AssertionError(f"{file}: the proof counts with {formula!r}, which is not there")
