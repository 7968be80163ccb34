"""Kernels on every target refuse bad arguments with a status, and write nothing."""

import numpy as np
import pytest

from minigrad.kernels import KernelError
from quant.integer import Conv2d, Thresholds
from quant.runtime import Argument, Out, conv_struct, path_of, run_operation
from verify.kernels.cases import random_conv, random_thresholds
from verify.kernels.targets import Runner, native


class Call:
    """A valid call of ``mgk_qconv2d``, one argument of which a test replaces by name."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        path = {"scalar": 0, "neon": 1}[runner.path]
        op, x = random_conv(np.random.default_rng(0), (2, 4, 5, 3), (3, 3), 4)
        size = runner.target.size_type
        self.conv = conv_struct(op, x.shape, size)
        self.sums = np.full((2, 2, 3, 4), 77, np.int32)
        prepared = np.zeros(runner.target.call("mgk_qconv2d_prepared_size", path, self.conv, 2), np.uint8)
        workspace = np.zeros(runner.target.call("mgk_qconv2d_workspace", path, self.conv), np.uint8)
        packed = np.zeros((4, 7), np.uint8)
        prepare = (path, self.conv, 2, packed, packed.size, Out(prepared), prepared.size)
        assert runner.target.call("mgk_qconv2d_prepare", *prepare) == 0
        self.arguments: dict[str, Argument] = {
            "path": path,
            "conv": self.conv,
            "weight_bits": 2,
            "prepared": prepared,
            "prepared_size": prepared.size,
            "activation_bits": 2,
            "codes": x,
            "zero": None,
            "accumulators": Out(self.sums),
            "image_begin": 0,
            "image_end": 2,
            "workspace": Out(workspace),
            "workspace_size": workspace.size,
        }

    def status(self, **replaced: Argument) -> str:
        assert replaced.keys() <= self.arguments.keys()
        status = self.runner.target.call("mgk_qconv2d", *{**self.arguments, **replaced}.values()) & 0xFFFFFFFF
        return self.runner.target.status_name(status)


def test_convolution(runner: Runner) -> None:
    call = Call(runner)
    sizes = {name: value for name, value in call.arguments.items() if name.endswith("_size")}
    bad_codes = np.array(call.arguments["codes"])
    bad_codes[-1, -1, -1, -1] = 4
    other_shape = call.conv.copy()
    other_shape[[3, 6]] = 4, 3  # 4 channels to 3 instead of 3 to 4
    no_output = call.conv.copy()
    no_output[1] = 2
    for name in ("conv", "prepared", "codes", "accumulators", "workspace"):
        assert call.status(**{name: None}) == "MGK_NULL_POINTER", name
    for name, size in sizes.items():
        assert isinstance(size, int)
        assert call.status(**{name: size - 1}) == "MGK_BUFFER_TOO_SMALL", name
    for bits in (0, 9, 2**32 - 1):
        assert call.status(weight_bits=bits) == "MGK_BAD_BITS"
        assert call.status(activation_bits=bits) == "MGK_BAD_BITS"
    assert call.status(path=2) == "MGK_BAD_PATH"
    assert call.status(image_begin=2, image_end=1) == "MGK_BAD_RANGE"
    assert call.status(image_end=3) == "MGK_BAD_RANGE"
    assert call.status(codes=bad_codes) == "MGK_BAD_CODE"
    assert call.status(conv=no_output) == "MGK_BAD_SHAPE"
    assert call.status(conv=other_shape, prepared_size=2**40, workspace_size=2**40) == "MGK_BAD_SHAPE"
    if runner.path == "neon":
        assert call.status(zero=np.zeros(3, np.uint8)) == "MGK_BAD_PATH"
        assert call.status(activation_bits=3) == "MGK_BAD_BITS"
        assert call.status(weight_bits=1) == "MGK_BAD_BITS"
    else:
        assert call.status(zero=np.array([0, 0, 4], np.uint8)) == "MGK_BAD_CODE"
        assert call.status(weight_bits=1) == "MGK_BAD_SHAPE"  # prepared for 2
    assert (call.sums == 77).all()
    assert call.status() == "MGK_OK"
    assert not (call.sums == 77).all()


def test_overflow(runner: Runner) -> None:
    """One more term than an int32 holds, which the NumPy operation would refuse to describe."""
    call = Call(Runner(runner.target, "scalar"))
    size = runner.target.size_type
    conv = np.array([1, 1, 1, 33026, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1], size)
    large = {"prepared_size": 2**40, "workspace_size": 2**40, "weight_bits": 8, "activation_bits": 8, "image_end": 1}
    assert call.status(conv=conv, **large) == "MGK_OVERFLOW"


def test_errors_name_target_function_and_status() -> None:
    op, x = random_conv(np.random.default_rng(0), (1, 3, 3, 3), (3, 3), 4)
    assert path_of(op, "neon") == "neon"
    target = native()
    if target.call("mgk_has_path", 1):
        pytest.skip("this processor has NEON")
    with pytest.raises(KernelError, match="native: mgk_qconv2d_prepare: MGK_BAD_PATH"):
        run_operation(op, x, target, "neon")
    thresholds, accumulators = random_thresholds(np.random.default_rng(0), 3, 8, 2)
    with pytest.raises(KernelError, match="native: mgk_thresholds: MGK_BAD_PATH"):
        run_operation(thresholds, accumulators, target, "neon")


def test_paths_of_operations() -> None:
    codes = np.zeros((1, 1, 1, 1), np.uint8)
    assert path_of(Conv2d(codes, 2, 1), "neon") == "neon"
    assert path_of(Conv2d(codes, 2, 3), "neon") == "scalar"
    assert path_of(Conv2d(codes, 1, 2), "neon") == "scalar"
    assert path_of(Conv2d(codes, 2, 2, np.zeros(1, np.uint8)), "neon") == "scalar"
    assert path_of(Thresholds(np.zeros((1, 1), np.int32), np.ones(1, np.int8), 1), "neon") == "neon"
