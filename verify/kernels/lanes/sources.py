"""What the proofs take from the C sources: constants by name, and formulas that must stand there word for word."""

from __future__ import annotations

import re

from minigrad.kernels import SOURCES

__all__ = ["constant", "require"]

_FOLDER = SOURCES / "src" / "qconv" / "neon"


def _read(file: str) -> str:
    return re.sub(r"\s+", " ", (_FOLDER / file).read_text(encoding="utf-8"))


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
