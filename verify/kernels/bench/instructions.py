"""Kinds of AArch64 instructions, told by their encoding, and what a run of blocks adds up to.

A *vector operation* is any instruction of the group "data processing, SIMD and floating point": bits 27 to 25 are set.
Loads and stores are not among them.

One instruction may load or store several vectors (LD1 of 4 registers, LD3, LD3R), which small cores split. Counted with
*plain* loads and stores only, where LDP, STP, LDR, STR and LD1R are plain, it is as many as it takes:

- LD1, ST1 of n registers: n / 2, rounded up: pairs.
- LD2, LD3, LD4, ST2, ST3, ST4: the pairs, and the shuffles: 2 (ZIP or UZP), 3 (TBL), 8 (ZIP or UZP).
- LD2R, LD3R, LD4R, and those of one lane: one for each register.
- Where the first two kinds advance the address by a register, an ADD more: pairs advance it by constants only.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import NamedTuple

__all__ = ["Count", "count_blocks", "is_vector", "plain_cost"]

#: Bits 15 to 12 of a load or store of whole registers: how many, and how many shuffles put their elements in order.
_WHOLE = {
    0b0111: (1, 0),
    0b1010: (2, 0),
    0b0110: (3, 0),
    0b0010: (4, 0),
    0b1000: (2, 2),
    0b0100: (3, 3),
    0b0000: (4, 8),
}


class Count(NamedTuple):
    """Instructions, vector operations among them, and instructions with plain loads and stores only."""

    instructions: int
    vector: int
    plain: int


def is_vector(word: int) -> bool:
    """A vector operation, or one of floating point; no load, no store."""
    return word >> 25 & 0b111 == 0b111


def plain_cost(word: int) -> int:
    """Instructions it takes with plain loads and stores only: 1 but for loads and stores of several registers."""
    if word & 0xBF200000 == 0x0C000000 and word >> 12 & 15 in _WHOLE:
        registers, shuffles = _WHOLE[word >> 12 & 15]
        advances = word >> 23 & 1 and word >> 16 & 31 != 31  # by a register; 31 stands for the size
        return (registers + 1) // 2 + shuffles + bool(advances)
    if word & 0xBF000000 == 0x0D000000:  # to one lane, or to all lanes, of 1 to 4 registers
        return 1 + (word >> 21 & 1) + 2 * (word >> 13 & 1)
    return 1


def count_blocks(blocks: Mapping[tuple[int, int], int], code: Callable[[int, int], bytes]) -> Count:
    """The sum over basic blocks (address, size) of what they hold times how often they ran."""
    instructions = vector = plain = 0
    for (address, size), times in blocks.items():
        words = struct.unpack(f"<{size // 4}I", code(address, size))
        instructions += len(words) * times
        vector += sum(map(is_vector, words)) * times
        plain += sum(map(plain_cost, words)) * times
    return Count(instructions, vector, plain)
