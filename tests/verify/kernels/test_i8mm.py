"""Kernels of int8 matrix products, which only a process emulated by qemu-user runs here: bit for bit."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from minigrad.errors import InputError
from minigrad.kernels import KernelError
from quant.integer import Conv2d
from quant.runtime import PATHS, prepare, run_layer
from quant.target import Out
from verify.kernels.compare import compare_layer
from verify.kernels.draws import Layer, layers
from verify.kernels.emulator import EmulationError
from verify.kernels.targets import Runner, kernels
from verify.kernels.user_emulator import QEMU, UserEmulatedTarget


@pytest.fixture(scope="module")
def target(aarch64_library: Path) -> Iterator[UserEmulatedTarget]:
    if shutil.which(QEMU) is None:
        pytest.skip(f"{QEMU} is not installed (Debian's qemu-user): no other emulator has int8 matrix products")
    made = UserEmulatedTarget(aarch64_library)
    yield made
    made.close()


def numbers(target: UserEmulatedTarget) -> list[int]:
    return [number for number, kernel in enumerate(kernels(target), 1) if kernel.path == "i8mm"]


def test_the_path_is_there(target: UserEmulatedTarget) -> None:
    assert target.call("mgk_has_path", PATHS["i8mm"]) == 1
    assert numbers(target)


def test_layers(target: UserEmulatedTarget) -> None:
    """On every kernel of the path, and on the one the library picks."""
    runner = Runner(target, "i8mm")

    @given(layer=layers())
    @settings(max_examples=150, deadline=None)
    def check(layer: Layer) -> None:
        op, epilogue, x, from_weights = layer
        for number in (0, *numbers(target)):
            try:
                prepare(op, x.shape, target, "i8mm", kernel=number)
            except KernelError as error:
                assert "MGK_BAD_PATH" in str(error)
                continue
            row = compare_layer(op, epilogue, x, runner, number, from_weights)
            assert row.mismatches == 0, (number, row)

    check()


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8])
def test_constant_extremes(target: UserEmulatedTarget, bits: int) -> None:
    """Weights and codes all at either end, against the closed form."""
    top = (1 << bits) - 1
    for channels in (5, 16, 256):
        for code in (0, top):
            op = Conv2d(np.full((33, 3, 3, channels), code, np.uint8), bits, bits, pads=(1, 1, 1, 1))
            x = np.full((1, 3, 5, channels), top, np.uint8)
            taps = np.multiply.outer([2, 3, 2], [2, 3, 3, 3, 2])[None, :, :, None]
            expected = np.broadcast_to(taps * channels * top * (top if code else -top), (1, 3, 5, 33))
            for number in numbers(target):
                assert np.array_equal(run_layer(op, x, target, "i8mm", None, number), expected), (number, channels)


def test_reading_beyond_an_array_ends_the_process(aarch64_library: Path, target: UserEmulatedTarget) -> None:
    mine = UserEmulatedTarget(aarch64_library)
    with pytest.raises(EmulationError, match="mgk_sum_pool: the process ended"):
        mine.call("mgk_sum_pool", np.zeros(8, np.uint8), 1, 9, 1, Out(np.zeros(1, np.int32)))
    mine.close()


def test_a_function_that_is_not_there(target: UserEmulatedTarget) -> None:
    with pytest.raises(InputError, match="no function mgk_nothing"):
        target.call("mgk_nothing")
