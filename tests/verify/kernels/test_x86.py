"""The x86 kernels at the ends of their lanes, and with planted errors."""

import os
from pathlib import Path

import numpy as np
import pytest

from minigrad.kernels import SOURCES, KernelError, load
from quant.integer import Codebook, Conv2d, Encoding, Odd, Offset, Requantize, Thresholds
from quant.runtime import PATHS, run_layer
from quant.target import NativeTarget
from verify.kernels.lanes.x86_winograd import POSITIONS, plan_of, worst_operands
from verify.kernels.mutants import Mutant, MutantBuilder
from verify.kernels.targets import kernels

X86 = "src/qconv/x86/"
#: Activation bits and the size of the largest odd weight.
WIDTHS = [(bits, (1 << bits) - 1) for bits in (1, 2, 3, 4, 8)]

MUTANTS = (
    Mutant(
        "16 bits flushed late", X86 + "products.h", "(2 * activation * weight));", "(2 * activation * weight)) + 1;"
    ),
    Mutant("center not taken off", X86 + "winograd_prepare.c", ": plan->center));", ": plan->center - 1));"),
    Mutant("zero codes at the wrong position", X86 + "winograd.h", "FULL_POSITION = 5", "FULL_POSITION = 6"),
    Mutant("odd width", X86 + "winograd_input.c", "position_columns(s, 4 * i + j)", "s->columns"),
    Mutant("row 3 added", X86 + "winograd_output.c", "subtract(difference, m[3])", "add(difference, m[3])"),
    Mutant("direct: border of zeros", X86 + "direct_image.c", "run->zero, channels, to)", "run->codes, channels, to)"),
    Mutant(
        "direct: wide codes are signed", X86 + "direct_image.c", "words[i] = codes[i]", "words[i] = (int8_t)codes[i]"
    ),
    Mutant("wide U loses a byte", X86 + "winograd_prepare.c", "&share, plan->code_size)", "&share, 1)"),
    Mutant("wide rest of a tile", X86 + "winograd_input.c", "v + c * plan->code_size);", "v + c);"),
    Mutant("wide sums beyond a quarter", X86 + "winograd.c", "sum_high <= INT32_MAX / 4", "sum_high <= INT32_MAX"),
    Mutant("direct: wide weights lose a byte", X86 + "direct_prepare.c", "&w, plan->code_size)", "&w, 1)"),
    Mutant("direct: bytes are never too wide", X86 + "products.h", "FEWEST_QUADS = 2", "FEWEST_QUADS = 0"),
    Mutant("direct: runs of wide codes", X86 + "direct.c", "c->in_channels * plan->code_size;", "c->in_channels;"),
    Mutant("direct: groups of wide codes", X86 + "direct.c", "plan.group_in * plan.code_size,", "plan.group_in,"),
    Mutant("direct: windows lack their zeros", X86 + "direct.c", "row[r]) - zeros);", "row[r]));"),
    Mutant("ties to even go up", X86 + "epilogue.h", ": both(up, broadcast64(1));", ": both(up, broadcast64(0));"),
    Mutant("threshold not reached by equals", X86 + "epilogue.h", "(uint32_t)t[4 * k] - 1u", "(uint32_t)t[4 * k]"),
)


def x86_kernels(target: NativeTarget) -> list[tuple[int, str, str]]:
    """Number, name and path of those this processor runs."""
    return [
        (number, target.name_of("mgk_qconv2d_kernel_name", number), kernel.path)
        for number, kernel in enumerate(kernels(target), 1)
        if kernel.path in ("avx2", "vnni") and target.call("mgk_has_path", PATHS[kernel.path])
    ]


def worst_layer(
    position: tuple[int, int], top: int, weight: int, sign: int, channels: int
) -> tuple[Conv2d, np.ndarray]:
    tile, kernel = worst_operands(position, top, weight, sign)
    codes = np.repeat(((kernel + weight) // 2)[None, :, :, None], channels, axis=3).astype(np.uint8)
    bits = int(weight).bit_length()
    x = np.repeat(tile[None, :, :, None], channels, axis=3).astype(np.uint8)
    return Conv2d(codes, bits, int(top).bit_length()), x


def run_if_taken(op: Conv2d, x: np.ndarray, target: NativeTarget, path: str, number: int) -> np.ndarray | None:
    """None where the kernel is none for the layer."""
    try:
        return run_layer(op, x, target, path, None, number)
    except KernelError as error:
        assert "MGK_BAD_PATH" in str(error)
        return None


@pytest.mark.parametrize(("bits", "weight"), WIDTHS)
def test_worst_operands(native_target: NativeTarget, bits: int, weight: int) -> None:
    """Every position at its bound, with more channels than are flushed at once."""
    top = (1 << bits) - 1
    plan = plan_of("avx2", top, weight)
    assert (plan is None) == (bits == 8)
    channels = max(4 * plan[1] + 8, 24) if plan and bits > 1 else 64
    for position in POSITIONS:
        for sign in (1, -1):
            op, x = worst_layer(position, top, weight, sign, channels)
            for number, name, path in x86_kernels(native_target):
                got = run_if_taken(op, x, native_target, path, number)
                assert (got is None) == (bits == 8 and name == "vnni-winograd")
                assert got is None or np.array_equal(got, op.run(x)), (name, position, sign)


#: Weights beyond what is added in 16 bits with codes of a byte, and the last sizes that are.
WIDE: list[tuple[Encoding, int]] = [
    (Odd(), 8), *((Offset(zero), 8) for zero in (0, 1, 127, 128, 255)),
    *((Codebook(np.array([-size, 0, 1, min(size, 127)], np.int8)), 2) for size in (31, 32, 33, 64, 65, 128)),
]  # fmt: skip


@pytest.mark.parametrize(("encoding", "bits"), WIDE)
@pytest.mark.parametrize("fill", ["random", "lowest", "highest"])
def test_wide_operands(native_target: NativeTarget, encoding: Encoding, bits: int, fill: str) -> None:
    """Codes of a byte: rows of a tile and less, runs that end within a step, groups, strides, dilation, borders."""
    rng = np.random.default_rng(bits)
    top = (1 << bits) - 1
    for channels, out, groups, kernel, stride, dilation in (
        (16, 17, 1, 3, 1, 1), (37, 8, 1, 3, 1, 1), (3, 8, 1, 5, 2, 1), (5, 33, 1, 1, 1, 1), (10, 10, 2, 3, 1, 1),
        (4, 9, 1, 3, 1, 2),
    ):  # fmt: skip
        codes = rng.integers(0, top + 1, (out, kernel, kernel, channels // groups), np.uint8)
        x = rng.integers(0, 256, (1, 5, 6, channels), np.uint8)
        if fill != "random":
            codes[:], x[:] = (0 if fill == "lowest" else top), 255
        zero = rng.integers(0, 256, channels, np.uint8)
        op = Conv2d(codes, bits, 8, encoding=encoding, zero=zero, groups=groups, stride=(stride, stride),
                    dilation=(dilation, dilation), pads=(dilation * (kernel // 2),) * 4)  # fmt: skip
        for number, name, path in x86_kernels(native_target):
            got = run_if_taken(op, x, native_target, path, number)
            assert got is not None or name.endswith("winograd")
            assert got is None or np.array_equal(got, op.run(x)), (
                name,
                channels,
                out,
                groups,
                kernel,
                stride,
                dilation,
            )


@pytest.mark.parametrize("code", [0, 255])
@pytest.mark.parametrize(("channels", "taken"), [(917, True), (918, False)])
def test_the_largest_wide_sum(native_target: NativeTarget, channels: int, taken: bool, code: int) -> None:
    """Winograd's outputs are four times the sums until the last step: 4 * 9 * 917 * 255 * 255 fits 32 bits."""
    op = Conv2d(np.full((8, 3, 3, channels), code, np.uint8), 8, 8)
    x = np.full((1, 4, 4, channels), 255, np.uint8)
    for number, name, path in x86_kernels(native_target):
        got = run_if_taken(op, x, native_target, path, number)
        if name == "avx2-winograd":
            assert (got is not None) == taken
        assert got is None or np.array_equal(got, op.run(x)), name


def differs(target: NativeTarget) -> bool:
    """Whether some kernel of the build gives other bits than the reference."""
    rng = np.random.default_rng(0)
    layers = [worst_layer((1, 1), 3, 3, 1, 208)]
    wide = np.full((8, 3, 3, 918), 255, np.uint8)
    layers.append((Conv2d(wide, 8, 8, encoding=Offset(0)), np.full((1, 4, 4, 918), 255, np.uint8)))
    for bits, width, size in ((2, 2, (6, 7)), (8, 8, (4, 5))):
        codes = rng.integers(0, 1 << bits, (20, 3, 3, 24), np.uint8)
        x = rng.integers(0, 1 << width, (1, *size, 24), np.uint8)
        layers.append((Conv2d(codes, bits, width, pads=(1, 1, 1, 1), zero=np.full(24, 1, np.uint8)), x))
        layers.append((Conv2d(codes, bits, width, pads=(1, 1, 1, 1), encoding=Offset(1)), x))
        layers.append((Conv2d(codes[..., :12], bits, width, pads=(1, 1, 1, 1), groups=2), x))
    for op, x in layers:
        sums = op.run(x)
        count = len(op.weight_codes)
        halves = Requantize(np.full(count, 1, np.int32), np.full(count, 1, np.uint8), -(2**15), 2**15 - 1, None, 0,
                            "half_even", "int16")  # fmt: skip
        ties = Thresholds(np.sort(sums.reshape(-1, count)[:3].T, axis=1).astype(np.int32), np.ones(count, np.int8), 2)
        for number, _, path in x86_kernels(target):
            for epilogue in (None, halves, ties):
                expected = sums if epilogue is None else epilogue.run(sums)
                try:
                    got = run_layer(op, x, target, path, epilogue, number)
                except KernelError as error:
                    assert "MGK_BAD_PATH" in str(error)
                    continue
                if not np.array_equal(got, expected):
                    return True
    return False


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutants_have_a_place(mutant: Mutant) -> None:
    assert (SOURCES / mutant.file).read_text().count(mutant.old) == 1


def test_unchanged_build_is_clean(native_target: NativeTarget) -> None:
    assert not differs(native_target)


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> MutantBuilder:
    return MutantBuilder("native", tmp_path_factory.mktemp("x86_mutants"))


@pytest.mark.skipif(os.environ.get("HYPOTHESIS_PROFILE") != "intense", reason="builds of a minute: make campaign")
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_is_caught(builder: MutantBuilder, native_target: NativeTarget, mutant: Mutant) -> None:
    if not x86_kernels(native_target):
        pytest.skip("this processor has none of the paths")
    library: Path = builder.build(mutant)
    assert differs(NativeTarget(load(library), mutant.name))
