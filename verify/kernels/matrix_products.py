"""Matrix products on an emulated core that has dot products but no SMMLA.

Each SMMLA of a library becomes a branch to code of its own, behind the library, which makes the same sums of dot
products and branches back: the registers it needs are saved below the stack pointer, so that nothing but the
destination changes. Where the library asks whether the processor has matrix products, it is told so.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

__all__ = ["ISA_FIELD", "replace_matrix_products"]

_FIELDS = 0xFFE0FC00  # of an instruction with three registers, those that are none
_SMMLA = 0x4E80A400
_SDOT = 0x4E809400
_ADDP = 0x4EA0BC00
_ADD = 0x4EA08400
_DUP_LOW, _DUP_HIGH = 0x4E080400, 0x4E180400  # one half of a register to both
_CLEAR = 0x6F00E400
_PUSH, _POP = 0xADBE03E0, 0xACC203E0  # stp q, q, [sp, #-64]! and ldp q, q, [sp], #64
_SAVE, _RESTORE = 0x3D800BE0, 0x3DC00BE0  # str and ldr q, [sp, #32]
_BRANCH = 0x14000000

#: mrs x0, ID_AA64ISAR1_EL1, and movz x0, #16, lsl #48: the field I8MM is 1.
ISA_FIELD = 0xD5380620, 0xD2E00200


def _three(instruction: int, d: int, n: int, m: int) -> int:
    return instruction | m << 16 | n << 5 | d


def _branch(to: int, at: int) -> int:
    return _BRANCH | (to - at) // 4 & 0x3FFFFFF


def _products(word: int) -> list[int]:
    """What SMMLA does: d[2 i + j] += the sum of n[8 i + k] m[8 j + k], for i and j in 0, 1."""
    d, n, m = word & 31, word >> 5 & 31, word >> 16 & 31
    half, upper, lower = [r for r in range(6) if r not in (d, n, m)][:3]
    return [
        _PUSH | upper << 10 | half,
        _SAVE | lower,
        _DUP_LOW | n << 5 | half,
        _CLEAR | upper,
        _three(_SDOT, upper, half, m),  # halves of the sums of the first row of n
        _DUP_HIGH | n << 5 | half,
        _CLEAR | lower,
        _three(_SDOT, lower, half, m),
        _three(_ADDP, upper, upper, lower),
        _three(_ADD, d, d, upper),
        _RESTORE | lower,
        _POP | upper << 10 | half,
    ]


def replace_matrix_products(
    memory: bytearray, base: int, code: Iterable[tuple[int, int]], place: int
) -> tuple[bytes, dict[int, int]]:
    """Replace them in a library's memory.

    Parameters
    ----------
    memory
        The library's; changed.
    base
        Address of its first byte.
    code
        First byte and length of what holds instructions.
    place
        Address of what is added, within 128 MiB of the library.

    Returns
    -------
    bytes, dict
        What is to lie at ``place``; and the instructions that were replaced, by their addresses.
    """
    added: list[int] = []
    replaced = {}
    for start, size in code:
        for offset in range(start, start + size // 4 * 4, 4):
            (word,) = struct.unpack_from("<I", memory, offset)
            address = base + offset
            if word & _FIELDS == _SMMLA:
                struct.pack_into("<I", memory, offset, _branch(place + 4 * len(added), address))
                added += _products(word)
                added.append(_branch(address + 4, place + 4 * len(added)))
            elif word & ~31 == ISA_FIELD[0]:
                struct.pack_into("<I", memory, offset, ISA_FIELD[1] | word & 31)
            else:
                continue
            replaced[address] = word
    return struct.pack(f"<{len(added)}I", *added), replaced
