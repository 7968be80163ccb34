"""Packed codes, layout 1 of the kernel library, in NumPy: the normative meaning of ``mgk_pack`` and ``mgk_unpack``.

A row of codes of b bits is a little-endian bit string: element e has bits [e b, e b + b), bit n of the string is bit
n % 8 of byte n // 8. Rows start on whole bytes, unused bits are 0.
"""

from __future__ import annotations

import numpy as np

from minigrad.errors import InputError

__all__ = ["LAYOUT", "WIDTHS", "pack", "row_bytes", "unpack"]

#: Version of the layout, MGK_PACKED_LAYOUT of the header.
LAYOUT = 1
#: Bit widths a packed code may have.
WIDTHS = (1, 2, 3, 4, 8)


def row_bytes(row_length: int, bits: int) -> int:
    """Bytes of one packed row."""
    _check_width(bits)
    return (row_length * bits + 7) // 8


def pack(codes: np.ndarray, bits: int) -> np.ndarray:
    """Pack rows of codes.

    Parameters
    ----------
    codes
        uint8 (rows, row length), each below 2^bits.
    bits
        One of WIDTHS.

    Returns
    -------
    np.ndarray
        uint8 (rows, bytes of a row).

    Raises
    ------
    InputError
        If the width is none of WIDTHS, or an array or a code is out of place.
    """
    _check_width(bits)
    if codes.dtype != np.uint8 or codes.ndim != 2 or codes.size == 0:
        raise InputError(f"codes: expected uint8 (rows, row length), got {codes.dtype} {codes.shape}")
    if int(codes.max()) >= 1 << bits:
        raise InputError(f"codes: expected codes below {1 << bits} for {bits} bits, got {int(codes.max())}")
    single_bits = (codes[:, :, None] >> np.arange(bits, dtype=np.uint8)) & np.uint8(1)
    return np.packbits(single_bits.reshape(len(codes), -1), axis=1, bitorder="little")


def unpack(packed: np.ndarray, row_length: int, bits: int) -> np.ndarray:
    """The codes, uint8 (rows, row length), of an array made by ``pack``.

    Raises
    ------
    InputError
        If the width is none of WIDTHS, or the array is not uint8 (rows, bytes of a row).
    """
    _check_width(bits)
    expected = row_bytes(row_length, bits)
    if packed.dtype != np.uint8 or packed.ndim != 2 or packed.shape[1] != expected:
        raise InputError(f"packed: expected uint8 (rows, {expected}), got {packed.dtype} {packed.shape}")
    single_bits = np.unpackbits(packed, axis=1, count=row_length * bits, bitorder="little")
    places = np.left_shift(np.uint8(1), np.arange(bits, dtype=np.uint8))
    return (single_bits.reshape(len(packed), row_length, bits) * places).sum(axis=2, dtype=np.uint8)


def _check_width(bits: int) -> None:
    if isinstance(bits, bool) or bits not in WIDTHS:
        raise InputError(f"bits: {bits!r} is not one of {', '.join(map(str, WIDTHS))}")
