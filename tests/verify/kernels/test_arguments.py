"""Kernels on every target refuse bad arguments with a status, and write nothing."""

import numpy as np
import pytest

from minigrad.kernels import KernelError
from quant.integer import Conv2d, Thresholds
from quant.packing import pack
from quant.runtime import PATHS, Argument, Out, Struct, conv_layer, path_of, prepare, run_operation
from verify.kernels.cases import random_conv, random_thresholds
from verify.kernels.targets import Runner, native


class Call:
    """Valid calls of ``mgk_qconv2d_prepare`` and ``mgk_qconv2d_run``, an argument of which a test replaces by name."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        op, x = random_conv(np.random.default_rng(0), (2, 4, 5, 3), (3, 3), 4)
        self.layer = conv_layer(op, x.shape)
        self.sums = np.full((2, 2, 3, 4), 77, np.int32)
        self.prepared = prepare(op, x.shape, runner.target, runner.path)
        packed = pack(op.weight_codes.reshape(4, -1), 2)
        size = runner.target.call("mgk_qconv2d_workspace_size", self.prepared, self.prepared.size)
        self.of_prepare: dict[str, Argument] = {
            "path": PATHS[runner.path],
            "layer": self.layer,
            "packed": packed,
            "packed_size": packed.size,
            "prepared": Out(self.prepared.copy()),
            "prepared_size": self.prepared.size,
        }
        self.of_run: dict[str, Argument] = {
            "prepared": self.prepared,
            "prepared_size": self.prepared.size,
            "codes": x,
            "codes_size": x.size,
            "out": Out(self.sums),
            "out_size": self.sums.nbytes,
            "image_begin": 0,
            "image_end": 2,
            "workspace": Out(np.zeros(size, np.uint8)),
            "workspace_size": size,
        }

    def prepare(self, **replaced: Argument) -> str:
        return self._status("mgk_qconv2d_prepare", self.of_prepare, replaced)

    def run(self, **replaced: Argument) -> str:
        return self._status("mgk_qconv2d_run", self.of_run, replaced)

    def _status(self, function: str, arguments: dict[str, Argument], replaced: dict[str, Argument]) -> str:
        assert replaced.keys() <= arguments.keys()
        status = self.runner.target.call(function, *{**arguments, **replaced}.values()) & 0xFFFFFFFF
        return self.runner.target.name_of("mgk_status_name", status)


#: Places of fields in ``mgk_qconv2d``.
_HEIGHT, _IN_CHANNELS, _GROUPS, _ACTIVATION_BITS, _WEIGHT_BITS, _ZERO, _KERNEL = 1, 3, 15, 16, 17, 19, 34


def test_run(runner: Runner) -> None:
    call = Call(runner)
    bad_codes = np.array(call.of_run["codes"])
    bad_codes[-1, -1, -1, -1] = 4
    flipped = call.prepared.copy()
    flipped[40] ^= 1
    for name in ("prepared", "codes", "out", "workspace"):
        assert call.run(**{name: None}) == "MGK_NULL_POINTER", name
    for name, size in call.of_run.items():
        if name.endswith("_size"):
            assert isinstance(size, int)
            assert call.run(**{name: size - 1}) == "MGK_BUFFER_TOO_SMALL", name
    assert call.run(image_begin=2, image_end=1) == "MGK_BAD_RANGE"
    assert call.run(image_end=3) == "MGK_BAD_RANGE"
    assert call.run(codes=bad_codes) == "MGK_BAD_CODE"
    assert call.run(prepared=flipped) == "MGK_BAD_VALUE"
    assert call.run(prepared=np.zeros_like(flipped)) == "MGK_BAD_VALUE"
    assert (call.sums == 77).all()
    assert call.run() == "MGK_OK"
    assert not (call.sums == 77).all()


def test_prepare(runner: Runner) -> None:
    call = Call(runner)

    def replaced(position: int, value: int | np.ndarray) -> Struct:
        return call.layer.replaced(position, value)

    for name in ("layer", "packed", "prepared"):
        assert call.prepare(**{name: None}) == "MGK_NULL_POINTER", name
    for name in ("packed_size", "prepared_size"):
        size = call.of_prepare[name]
        assert isinstance(size, int)
        assert call.prepare(**{name: size - 1}) == "MGK_BUFFER_TOO_SMALL", name
    for bits in (0, 9, 2**32 - 1):
        assert call.prepare(layer=replaced(_WEIGHT_BITS, bits)) == "MGK_BAD_BITS"
        assert call.prepare(layer=replaced(_ACTIVATION_BITS, bits)) == "MGK_BAD_BITS"
    assert call.prepare(path=99) == "MGK_BAD_PATH"
    assert call.prepare(layer=replaced(_KERNEL, 1000)) == "MGK_BAD_PATH"
    assert call.prepare(layer=replaced(_HEIGHT, 2)) == "MGK_BAD_SHAPE"
    assert call.prepare(layer=replaced(_GROUPS, 2)) == "MGK_BAD_SHAPE"
    assert call.prepare(layer=replaced(_ZERO, np.array([0, 0, 4], np.uint8))) == "MGK_BAD_CODE"
    large = call.layer.replaced(_WEIGHT_BITS, 8).replaced(_ACTIVATION_BITS, 8).replaced(_IN_CHANNELS, 33026)
    assert call.prepare(layer=large) == "MGK_OVERFLOW"  # 33,025 terms is the last that fits, and there are 9 taps
    assert call.prepare() == "MGK_OK"


def test_errors_name_target_function_and_status() -> None:
    op, x = random_conv(np.random.default_rng(0), (1, 3, 3, 3), (3, 3), 4)
    target = native()
    if target.call("mgk_has_path", 1):
        pytest.skip("this processor has NEON")
    with pytest.raises(KernelError, match="native: mgk_qconv2d_prepare: MGK_BAD_PATH"):
        run_operation(op, x, target=target, path="neon")
    thresholds, accumulators = random_thresholds(np.random.default_rng(0), 3, 8, 2)
    with pytest.raises(KernelError, match="native: mgk_thresholds: MGK_BAD_PATH"):
        run_operation(thresholds, accumulators, target=target, path="neon")


def test_paths_of_operations(runner: Runner) -> None:
    codes = np.zeros((1, 1, 1, 1), np.uint8)
    target, path = runner.target, runner.path
    assert path_of(Conv2d(codes, 2, 1), (1, 1, 1), target, path) == path
    assert path_of(Conv2d(codes, 8, 8, np.zeros(1, np.uint8)), (1, 1, 1), target, "scalar") == "scalar"
    assert path_of(Thresholds(np.zeros((1, 1), np.int32), np.ones(1, np.int8), 1), (1, 1, 1), target, path) == path
