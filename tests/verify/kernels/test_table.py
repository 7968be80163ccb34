"""Every kernel of the table, forced by its number, with every epilogue: bit for bit, on every target that has it."""

from collections import Counter
from collections.abc import Iterator

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import example, given, settings

from minigrad.kernels import KernelError
from quant.integer import Codebook, Conv2d, Thresholds
from quant.runtime import PATHS, path_of, prepare, run_layer
from quant.target import Out, Target
from verify.kernels.compare import compare_layer
from verify.kernels.draws import layers, typical_layers
from verify.kernels.targets import Runner, kernels, runners


@pytest.fixture(scope="session", params=["native", "aarch64", "aarch64 max"])
def target(request: pytest.FixtureRequest) -> Target:
    return request.getfixturevalue(f"{request.param.replace(' ', '_')}_target")


def runnable(target: Target) -> Iterator[tuple[int, Runner]]:
    """The kernels this target's processor runs."""
    for number, kernel in enumerate(kernels(target), 1):
        if target.call("mgk_has_path", PATHS[kernel.path]):
            yield number, Runner(target, kernel.path)


def takes(op: Conv2d, x: np.ndarray, runner: Runner, number: int) -> bool:
    try:
        prepare(op, x.shape, runner.target, runner.path, kernel=number)
    except KernelError as error:
        assert "MGK_BAD_PATH" in str(error)
        return False
    return True


def test_table(target: Target) -> None:
    names = [kernel.name for kernel in kernels(target)]
    assert len(set(names)) == len(names) > 0
    assert names[-1] == "scalar"
    assert target.name_of("mgk_qconv2d_kernel_name", 0) == "unknown"
    assert target.name_of("mgk_qconv2d_kernel_name", len(names) + 1) == "unknown"


def test_paths_keep_to_their_kernels(target: Target) -> None:
    """The scalar path takes no vector kernel, neither by itself nor when asked to; every other path may take scalar."""
    op, x = Conv2d(np.zeros((16, 3, 3, 16), np.uint8), 2, 2, pads=(1, 1, 1, 1)), np.zeros((1, 8, 8, 16), np.uint8)
    assert path_of(op, x.shape[1:], target, "scalar") == "scalar"
    table = kernels(target)
    for number, kernel in enumerate(table, 1):
        if kernel.path != "scalar":
            assert not takes(op, x, Runner(target, "scalar"), number)
        for runner in runners(target):
            assert takes(op, x, runner, len(table))


@pytest.mark.parametrize("usual", [True, False], ids=["usual", "any"])
def test_layers(target: Target, usual: bool) -> None:
    """On each kernel that takes the layer, and on the one the library picks, safe and with bounds of the weights."""
    compared: Counter[str] = Counter()

    @given(layer=layers(usual))
    @settings(max_examples=120, deadline=None)
    def check(layer: st.DataObject) -> None:
        op, epilogue, x, from_weights = layer  # type: ignore[misc]
        for number, runner in runnable(target):
            if takes(op, x, runner, number):
                row = compare_layer(op, epilogue, x, runner, number, from_weights)
                name = target.name_of("mgk_qconv2d_kernel_name", number)
                assert row.mismatches == 0, (name, row)
                compared[name] += 1
        row = compare_layer(op, epilogue, x, Runner(target, runner.path), 0, from_weights)
        assert row.mismatches == 0, row

    for layer in typical_layers() if usual else []:
        check = example(layer)(check)
    check()
    if usual:
        everyone = {target.name_of("mgk_qconv2d_kernel_name", number) for number, _ in runnable(target)}
        assert set(compared) == everyone, compared


def test_constant_extremes(target: Target) -> None:
    """Weights and codes all at either end, through every kernel, against the closed form."""
    for bits in (1, 2, 3, 4, 8):
        top = (1 << bits) - 1
        for channels in (16, 40, 256):
            for code in (0, top):
                op = Conv2d(np.full((33, 3, 3, channels), code, np.uint8), bits, bits, pads=(1, 1, 1, 1))
                x = np.full((1, 3, 5, channels), top, np.uint8)
                taps = np.multiply.outer([2, 3, 2], [2, 3, 3, 3, 2])[None, :, :, None]
                expected = np.broadcast_to(taps * channels * top * (top if code else -top), (1, 3, 5, 33))
                for number, runner in runnable(target):
                    if takes(op, x, runner, number):
                        got = run_layer(op, x, target, runner.path, None, number)
                        assert np.array_equal(got, expected), (number, bits, channels, code)


@pytest.mark.parametrize("levels", [(-128,) * 4, (-128, -100, -90, -1), (127,) * 4, (1, 90, 100, 127)])
def test_codebooks_of_one_sign(target: Target, levels: tuple[int, ...]) -> None:
    """Thresholds at sums that are zero: bounds of raw sums hold them, though no weight is zero."""
    rng = np.random.default_rng(3)
    for channels in (1, 16):
        codes = rng.integers(0, 4, (19, 3, 3, channels), np.uint8)
        op = Conv2d(codes, 2, 2, encoding=Codebook(np.array(levels, np.int8)), pads=(2, 2, 2, 2))
        table = np.tile(np.array([-1, 0, 1], np.int32), (19, 1))
        thresholds = Thresholds(table, np.resize(np.array([1, -1], np.int8), 19), 2)
        for x in (np.zeros((1, 3, 5, channels), np.uint8), rng.integers(0, 4, (1, 3, 5, channels), np.uint8)):
            for number, runner in runnable(target):
                if takes(op, x, runner, number):
                    assert compare_layer(op, thresholds, x, runner, number).mismatches == 0, (number, channels)


def test_damaged_tables(target: Target) -> None:
    """What follows the beginning of a prepared layer may hold anything: sums are wrong then, but nothing else is."""
    op = Conv2d(np.zeros((48, 3, 3, 16), np.uint8), 2, 2, pads=(1, 1, 1, 1))
    x = np.full((1, 4, 5, 16), 3, np.uint8)
    for number, runner in runnable(target):
        if takes(op, x, runner, number):
            prepared = prepare(op, x.shape, target, runner.path, kernel=number)
            size = target.call("mgk_qconv2d_workspace_size", prepared, prepared.size)
            for value in (2, 3, 9, 255):
                prepared[512:] = value
                arrays = Out(np.zeros((1, 4, 5, 48), np.int32)), Out(np.zeros(size, np.uint8))
                arguments = (prepared, prepared.size, x, x.size, arrays[0], arrays[0].array.nbytes, 0, 1)
                status = target.call("mgk_qconv2d_run", *arguments, arrays[1], size) & 0xFFFFFFFF
                assert target.name_of("mgk_status_name", status) == "MGK_OK", number
