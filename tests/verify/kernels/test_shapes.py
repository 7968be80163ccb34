"""Every kernel on shapes around its tiles: equal, divisible, one less, one more, a single channel, all borders."""

import numpy as np
import pytest

from minigrad.errors import InputError
from minigrad.kernels import KernelError
from quant.integer import Conv2d
from quant.runtime import PATHS, prepare, run_layer
from quant.target import NativeTarget, Target
from verify.kernels.emulator import EmulatedTarget
from verify.kernels.targets import kernels

#: Around blocks of 8, 16, 32 and 64 output channels.
OUT = (1, 7, 8, 16, 31, 32, 33, 64, 65)
#: Around words and vectors of input channels; some kernels take whole blocks of 16 only.
IN = (1, 15, 16, 17, 64, 65)
#: Height and width: one pixel, within a tile of 2x2 or of a row of 4 or 8, and one beyond.
SIZES = ((1, 1), (2, 2), (3, 9), (4, 4), (5, 8), (9, 3), (8, 7), (6, 5))
#: Kernel, stride.
WINDOWS = ((3, 1), (3, 2), (1, 1), (1, 2), (5, 1))
NAMES = (
    "neon-bits", "dotprod-winograd", "i8mm-direct", "neon-polyphase", "dotprod-direct", "neon-modular",
    "neon-winograd", "neon-mla", "neon-pairs", "neon-smlal", "neon-depthwise", "vnni-winograd", "vnni-direct",
    "avx2-winograd", "avx2-direct", "scalar",
)  # fmt: skip
#: Windows and bits of the kernels that take no others.
LIMITED = {
    "neon-bits": (WINDOWS, (1,)),
    "neon-polyphase": (((3, 2),), (2,)),
    "neon-modular": (((3, 1),), (2, 1, 3, 4)),
    **{f"{path}-winograd": (((3, 1),), (2, 1, 3, 4)) for path in ("neon", "dotprod", "vnni")},
    "avx2-winograd": (((3, 1),), (2, 1, 8, 3, 4)),
}


def cases(name: str) -> list[tuple[int, int, tuple[int, int], tuple[int, int], int]]:
    """Output channels, input channels, size, window, bits: each channel count with each of the other axes' values."""
    windows, widths = LIMITED.get(name, (WINDOWS, (1, 2, 3, 4, 8)))
    made = []
    for i, out in enumerate(OUT):
        for j, channels in enumerate(IN):
            n = i * len(IN) + j
            window, bits = windows[(n // len(widths) + i) % len(windows)], widths[n % len(widths)]
            made.append((channels if name == "neon-depthwise" else out, channels, SIZES[n % 8], window, bits))
    return made


def find_target(name: str, native_target: NativeTarget, emulated: EmulatedTarget) -> tuple[Target, int, str]:
    for target in (native_target, emulated):
        for number, kernel in enumerate(kernels(target), 1):
            if kernel.name == name and target.call("mgk_has_path", PATHS[kernel.path]):
                return target, number, kernel.path
    pytest.skip(f"no processor here has {name}")


def test_every_kernel_is_listed(native_target: NativeTarget, aarch64_max_target: EmulatedTarget) -> None:
    tables = kernels(native_target) + kernels(aarch64_max_target)
    assert {kernel.name for kernel in tables} <= set(NAMES)


@pytest.mark.parametrize("operands", ["random", "lowest", "highest"])
@pytest.mark.parametrize("name", NAMES)
def test_shapes(native_target: NativeTarget, aarch64_max_target: EmulatedTarget, name: str, operands: str) -> None:
    target, number, path = find_target(name, native_target, aarch64_max_target)
    rng = np.random.default_rng(number)
    taken = set()
    for out, channels, size, (kernel, stride), bits in cases(name):
        groups = channels if name == "neon-depthwise" else 1
        top = (1 << bits) - 1
        codes = rng.integers(0, top + 1, (out, kernel, kernel, channels // groups), np.uint8)
        x = rng.integers(0, top + 1, (1, *size, channels), np.uint8)
        if operands != "random":
            codes[:], x[:] = (0 if operands == "lowest" else top), top
        op = Conv2d(codes, bits, bits, stride=(stride, stride), pads=(kernel // 2,) * 4, groups=groups)
        try:
            prepare(op, x.shape, target, path, kernel=number)
        except KernelError as error:
            assert "MGK_BAD_PATH" in str(error)
            continue
        got = run_layer(op, x, target, path, None, number)
        assert np.array_equal(got, op.run(x)), (out, channels, size, kernel, stride, bits)
        taken.add((out, channels))
    assert len(taken) >= 6, "the shapes are not those the kernel is for"


@pytest.mark.parametrize("shape", [(0, 3, 3, 16), (16, 3, 3, 0), (16, 0, 3, 16)])
def test_no_channels_are_refused(shape: tuple[int, int, int, int]) -> None:
    with pytest.raises(InputError):
        Conv2d(np.zeros(shape, np.uint8), 2, 2, pads=(1, 1, 1, 1))
