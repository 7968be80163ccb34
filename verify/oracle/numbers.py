"""Float64 numbers as the vector files write them: the bit pattern in 16 hex digits, and a decimal beside it."""

from __future__ import annotations

import math
import struct
from typing import Any

__all__ = ["bits_of", "from_bits", "number", "round_up", "ulp_distance"]

#: Sums of terms are a measure, not a result: they keep this many significant bits, rounded up.
TERMS_BITS = 12


def bits_of(value: float) -> str:
    """The IEEE-754 bit pattern, most significant digit first: 1.0 is ``3ff0000000000000``."""
    return struct.pack(">d", value).hex()


def from_bits(digits: str) -> float:
    """The float64 with this bit pattern."""
    return float(struct.unpack(">d", bytes.fromhex(digits))[0])


def number(value: float) -> dict[str, Any]:
    """A number of a vector file. The decimal is the shortest that reads back to the same float64."""
    return {"bits": bits_of(value), "decimal": repr(float(value))}


def round_up(terms: float) -> float:
    """A sum of terms with ``TERMS_BITS`` significant bits, not below it."""
    if terms == 0:
        return 0.0
    fraction, exponent = math.frexp(terms)
    return math.ldexp(math.ceil(math.ldexp(fraction, TERMS_BITS)), exponent - TERMS_BITS)


def _ordered(value: float) -> int:
    """An integer that grows by one from a float64 to the next; both zeros are 0."""
    pattern = int(bits_of(value), 16)
    return pattern if pattern < 1 << 63 else (1 << 63) - pattern


def ulp_distance(a: float, b: float) -> int:
    """How many float64 steps lie between two finite numbers."""
    return abs(_ordered(a) - _ordered(b))
