"""What the code of a weight stands for: odd integers, an offset, or a codebook."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from minigrad.errors import InputError
from quant.integer.checks import freeze, is_int

__all__ = ["ENCODINGS", "Codebook", "Encoding", "Odd", "Offset"]


@dataclass(frozen=True)
class Odd:
    """Code j of b bits is the odd integer 2 j - (2^b - 1): weights with a symmetric range."""

    kind: ClassVar[str] = "odd"

    def values(self, bits: int) -> np.ndarray:
        """int64 (2^bits,): the integer of each code."""
        return 2 * np.arange(1 << bits, dtype=np.int64) - ((1 << bits) - 1)


@dataclass(frozen=True)
class Offset:
    """Code j is j - zero, with 0 <= zero < 2^bits."""

    kind: ClassVar[str] = "offset"
    zero: int

    def values(self, bits: int) -> np.ndarray:
        """int64 (2^bits,): the integer of each code."""
        if not is_int(self.zero) or not 0 <= self.zero < 1 << bits:
            raise InputError(f"Offset.zero: expected a code of {bits} bits, got {self.zero!r}")
        return np.arange(1 << bits, dtype=np.int64) - self.zero


@dataclass(frozen=True, eq=False)
class Codebook:
    """Code j is levels[j]: int8 (4,), (8,) or (16,), for 2, 3 and 4 bits."""

    kind: ClassVar[str] = "codebook"
    levels: np.ndarray

    def __post_init__(self) -> None:
        freeze(self, "levels", np.int8, 1)

    def values(self, bits: int) -> np.ndarray:
        """int64 (2^bits,): the integer of each code."""
        if bits not in (2, 3, 4) or len(self.levels) != 1 << bits:
            raise InputError(
                f"Codebook.levels: expected 4, 8 or 16 levels for 2, 3 or 4 bits, got {len(self.levels)} for {bits}"
            )
        return self.levels.astype(np.int64)

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Codebook) and np.array_equal(self.levels, other.levels)

    def __hash__(self) -> int:
        return hash(self.levels.tobytes())


Encoding = Odd | Offset | Codebook

#: The encodings by name.
ENCODINGS: dict[str, Any] = {kind.kind: kind for kind in (Odd, Offset, Codebook)}
