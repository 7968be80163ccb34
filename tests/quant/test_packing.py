"""Packing: the layout's definition bit by bit, round trips, and what is refused."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from minigrad.errors import InputError
from minigrad.kernels import native
from quant.packing import LAYOUT, WIDTHS, pack, row_bytes, unpack


@given(rows=st.integers(1, 4), length=st.integers(1, 40), bits=st.sampled_from(WIDTHS), seed=st.integers(0, 2**32 - 1))
def test_layout_and_round_trip(rows: int, length: int, bits: int, seed: int) -> None:
    codes = np.random.default_rng(seed).integers(0, 1 << bits, (rows, length), np.uint8)
    packed = pack(codes, bits)
    assert packed.shape == (rows, row_bytes(length, bits))
    for row, line in zip(codes, packed, strict=True):
        string = int.from_bytes(line.tobytes(), "little")
        assert string == sum(int(code) << (bits * e) for e, code in enumerate(row))
    assert np.array_equal(unpack(packed, length, bits), codes)


@given(rows=st.integers(1, 4), length=st.integers(1, 40), bits=st.sampled_from(WIDTHS), seed=st.integers(0, 2**32 - 1))
def test_c_agrees(rows: int, length: int, bits: int, seed: int) -> None:
    library = native()
    lib, ffi = library.lib, library.ffi
    assert lib.MGK_PACKED_LAYOUT == LAYOUT
    codes = np.random.default_rng(seed).integers(0, 1 << bits, (rows, length), np.uint8)
    expected = pack(codes, bits)
    assert lib.mgk_packed_size(rows, length, bits) == expected.size
    packed, back = np.full_like(expected, 0xFF), np.empty_like(codes)
    byte = ffi.typeof("uint8_t *")
    pointers = [ffi.cast(byte, array.ctypes.data) for array in (codes, packed, back)]
    assert lib.mgk_pack(pointers[0], rows, length, bits, pointers[1], packed.size) == 0
    assert np.array_equal(packed, expected)
    assert lib.mgk_unpack(pointers[1], packed.size, rows, length, bits, pointers[2]) == 0
    assert np.array_equal(back, codes)


def test_bad_input() -> None:
    codes = np.zeros((2, 5), np.uint8)
    for bits in (0, 5, 9, True):
        with pytest.raises(InputError, match=rf"bits: {bits} is not one of 1, 2, 3, 4, 8"):
            pack(codes, bits)
    with pytest.raises(InputError, match="codes: expected codes below 4 for 2 bits, got 4"):
        pack(codes + np.uint8(4), 2)
    for wrong in (codes.astype(np.int32), codes[0], codes[:0]):
        with pytest.raises(InputError, match="codes: expected uint8"):
            pack(wrong, 2)
    with pytest.raises(InputError, match=r"packed: expected uint8 \(rows, 2\), got uint8 \(2, 5\)"):
        unpack(codes, 5, 2)
