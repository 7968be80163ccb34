"""The library on AArch64 with all it knows, 32-bit ARM, RISC-V and s390x, under qemu-user: bit for bit, to the byte.

By default a few layers and inputs of each operation, in arrays that end where memory ends; ``make campaign`` draws many
and has them begin where memory begins too.
"""

import itertools
import os
from collections import Counter
from collections.abc import Iterator

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import example, given, settings

from minigrad.errors import InputError
from minigrad.kernels import KernelError
from quant.integer import OPERATIONS, Conv2d, Program
from quant.runtime import PATHS, prepare, run_layer
from quant.target import Out
from verify.kernels.compare import compare_layer, compare_operation, compare_program
from verify.kernels.draws import DRAWS, Layer, layers, typical_layers
from verify.kernels.emulator import EmulationError
from verify.kernels.targets import kernels, native, runners
from verify.kernels.user_process import MACHINES, ProcessTarget, missing_emulator

INTENSE = os.environ.get("HYPOTHESIS_PROFILE") == "intense"


@pytest.fixture(scope="module", params=list(MACHINES))
def machine(request: pytest.FixtureRequest, cross: None) -> str:
    if missing := missing_emulator(request.param):
        pytest.skip(missing)
    return str(request.param)


@pytest.fixture(scope="module", params=["end", "begin"] if INTENSE else ["end"])
def target(request: pytest.FixtureRequest, machine: str) -> Iterator[ProcessTarget]:
    """Arrays end where memory ends, or begin where it begins."""
    made = ProcessTarget(machine, at_end=request.param == "end")
    yield made
    made.close()


def test_paths(target: ProcessTarget) -> None:
    expected = {"aarch64": ["scalar", "neon", "dotprod", "i8mm"], "arm": ["scalar", "neon"]}.get(
        target.name, ["scalar"]
    )
    assert [runner.path for runner in runners(target)] == expected
    assert [name for name, path in PATHS.items() if target.call("mgk_has_path", path)] == expected
    names = {kernel.name for kernel in kernels(target)}
    assert ("neon-winograd" in names) == ("neon" in expected)


def test_layers(target: ProcessTarget) -> None:
    """On each kernel that takes the layer, and on the one the library picks."""
    compared: Counter[str] = Counter()
    table = kernels(target)
    best = runners(target)[-1]

    @given(layer=layers())
    @settings(max_examples=300 if INTENSE else 15, deadline=None)
    def check(layer: Layer) -> None:
        op, epilogue, x, from_weights = layer
        for number in range(len(table) + 1):
            try:
                prepare(op, x.shape, target, best.path, kernel=number)
            except KernelError as error:
                assert "MGK_BAD_PATH" in str(error)
                continue
            row = compare_layer(op, epilogue, x, best, number, from_weights)
            assert row.mismatches == 0, (number, row)
            compared[table[number - 1].name if number else "best"] += 1

    for layer in typical_layers():
        check = example(layer)(check)
    check()
    assert set(compared) == {"best", *(kernel.name for kernel in table)}, compared


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8])
def test_constant_extremes(target: ProcessTarget, bits: int) -> None:
    """Weights and codes all at either end, against the closed form, on every kernel that takes them."""
    top, best = (1 << bits) - 1, runners(target)[-1].path
    for channels, code in itertools.product((5, 16, 256), (0, top)):
        op = Conv2d(np.full((33, 3, 3, channels), code, np.uint8), bits, bits, pads=(1, 1, 1, 1))
        x = np.full((1, 3, 5, channels), top, np.uint8)
        taps = np.multiply.outer([2, 3, 2], [2, 3, 3, 3, 2])[None, :, :, None]
        expected = np.broadcast_to(taps * channels * top * (top if code else -top), (1, 3, 5, 33))
        for number in range(len(kernels(target)) + 1):
            try:
                y = run_layer(op, x, target, best, None, number)
            except KernelError as error:
                assert "MGK_BAD_PATH" in str(error)
                continue
            assert np.array_equal(y, expected), (number, channels)


@pytest.mark.parametrize("name", OPERATIONS)
@given(data=st.data())
@settings(max_examples=50 if INTENSE else 4, deadline=None)
def test_operations(target: ProcessTarget, name: str, data: st.DataObject) -> None:
    op, inputs = data.draw(DRAWS[name])
    for runner in runners(target):
        row = compare_operation(op, inputs, runner)
        assert row.mismatches == 0, row


def test_program(target: ProcessTarget, program: Program) -> None:
    pixels = np.random.default_rng(11).integers(0, 256, (4, 6, 7, 3), np.uint8)
    (rows,) = compare_program(program, pixels, [runners(target)[-1]])
    assert [row.mismatches for row in rows] == [0] * len(rows), rows


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8])
def test_packed_bytes(target: ProcessTarget, bits: int) -> None:
    """Packed weights are a stream of bytes, the same on every machine."""
    codes = np.random.default_rng(bits).integers(0, 1 << bits, (5, 37), np.uint8)
    packed = {}
    for where in (target, native()):
        size = where.call("mgk_packed_size", 5, 37, bits)
        out = np.zeros(size, np.uint8)
        assert where.call("mgk_pack", codes, 5, 37, bits, Out(out), size) == 0
        packed[where.name] = out.tobytes()
    assert len(set(packed.values())) == 1


def test_beyond_an_array(machine: str) -> None:
    """A read beyond the end, and one before the beginning, end the process; the next call has another."""
    x, out = np.zeros(8, np.uint8), np.zeros(1, np.int32)
    target = ProcessTarget(machine)
    with pytest.raises(EmulationError, match="mgk_sum_pool: the process ended"):
        target.call("mgk_sum_pool", x, 1, 9, 1, Out(out))
    with pytest.raises(EmulationError, match="mgk_sum_pool: the process ended"):
        target.call("mgk_sum_pool", x, 1, 8, 1, out)  # read-only
    assert target.call("mgk_sum_pool", x, 1, 8, 1, Out(out)) == 0
    with pytest.raises(InputError, match="no function mgk_nothing"):
        target.call("mgk_nothing")
    target.close()


def test_an_unknown_machine() -> None:
    with pytest.raises(InputError, match="expected one of aarch64, arm, riscv64, s390x, got 'vax'"):
        ProcessTarget("vax")
