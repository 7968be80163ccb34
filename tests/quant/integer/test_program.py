"""Programs of integer operations, and their files."""

import json
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from safetensors import safe_open
from safetensors.numpy import save_file

from minigrad.errors import InputError
from quant.integer import (
    Argmax,
    Conv2d,
    Linear,
    MaxPool,
    Offset,
    Program,
    Requantize,
    ResidualAdd,
    SumPool,
    SumWindows,
    Thresholds,
)
from quant.program_file import load, save
from verify.kernels.cases import random_conv
from verify.kernels.draws import convolutions

CODES, BIAS = np.zeros((2, 3, 3, 4), np.uint8), np.zeros(2, np.int32)


def small_program() -> Program:
    rng = np.random.default_rng(5)
    conv, _ = random_conv(rng, (1, 5, 5, 3), (3, 2), 7, (3, 8), True, (2, 1), (1, 0, 0, 1), (1, 2))
    table = np.sort(rng.integers(-500, 500, (7, 15)), axis=1).astype(np.int32)
    thresholds = Thresholds(table, np.array([1, -1, 1, 1, -1, 1, -1], np.int8), 4)
    linear = Linear(rng.integers(0, 2, (4, 7), np.uint8), 1, 15 * 25, np.arange(4, dtype=np.int32))
    return Program((conv, thresholds, SumPool(), linear, Argmax()), (5, 5, 3), "small")


def test_program_gives_every_intermediate() -> None:
    program = small_program()
    pixels = np.random.default_rng(0).integers(0, 256, (3, 5, 5, 3), np.uint8)
    results = program.run(pixels)
    x = pixels
    for op, result, promised in zip(program.ops, results, program.values(), strict=True):
        x = op.run(x)
        assert np.array_equal(result, x)
        assert x.shape[1:] == promised.shape


def test_refused_programs() -> None:
    conv = Conv2d(CODES, 2, 2)
    with pytest.raises(
        InputError, match=r"Program p, operation 0: Conv2d: expected integers in \[0, 3\], got \[0, 255\]"
    ):
        Program((conv,), (4, 4, 4), "p")
    with pytest.raises(InputError, match="operation 1: Linear: expected 1 dimensions"):
        Program((Conv2d(CODES, 2, 8), Linear(CODES[:, 0, 0], 8, 5, BIAS)), (4, 4, 4))
    with pytest.raises(InputError, match=r"Program.input_shape: expected \(height, width, channels\)"):
        Program((SumPool(),), (4, 0, 4))
    with pytest.raises(InputError, match="expected at least one operation"):
        Program((), (4, 4, 4))
    with pytest.raises(InputError, match="operation 0: residual_add takes 2 inputs, a list of operations gives one"):
        Program((ResidualAdd(),), (4, 4, 4))
    words = Requantize(BIAS, np.zeros(2, np.uint8), 0, 3, dtype="int16")
    with pytest.raises(InputError, match="operation 2: MaxPool: expected uint8, got int16"):
        Program((Conv2d(CODES, 2, 8), words, MaxPool((1, 1), (1, 1))), (4, 4, 4))
    program = Program((SumPool(),), (4, 5, 2))
    for wrong in (np.zeros((1, 5, 4, 2), np.uint8), np.zeros((1, 4, 5, 2), np.int32), np.zeros((0, 4, 5, 2), np.uint8)):
        with pytest.raises(InputError, match=r"pixels: expected uint8 images of shape \(4, 5, 2\)"):
            program.run(wrong)


def test_saved_and_loaded(tmp_path: Path) -> None:
    program, path = small_program(), tmp_path / "a" / "small.safetensors"
    program.save(path)
    again = Program.load(path)
    assert (again.name, again.input_shape) == (program.name, program.input_shape)
    pixels = np.random.default_rng(1).integers(0, 256, (3, 5, 5, 3), np.uint8)
    for a, b in zip(program.run(pixels), again.run(pixels), strict=True):
        assert np.array_equal(a, b)
    save(again, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()
    assert [entry.name for entry in path.parent.iterdir()] == ["small.safetensors"]


@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_any_convolution_comes_back(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    op, (x,) = data.draw(convolutions(activation_bits=st.just(8)))
    path = tmp_path_factory.mktemp("conv") / "conv.safetensors"
    save(Program((op,), x.shape[1:]), path)
    again = load(path).ops[0]
    assert isinstance(again, Conv2d)
    for field in ("weight_bits", "activation_bits", "stride", "pads", "dilation", "groups", "bipolar", "encoding"):
        assert getattr(again, field) == getattr(op, field)
    assert np.array_equal(again.weight_codes, op.weight_codes)
    if op.zero is None or again.zero is None:
        assert op.zero is again.zero
    else:
        assert np.array_equal(again.zero, op.zero)


def test_other_operations_come_back(tmp_path: Path) -> None:
    multiplier, shift = np.array([3, -5], np.int32), np.array([1, 2], np.uint8)
    ops = (
        MaxPool((2, 2), (2, 1), (1, 0, 0, 1)),
        Conv2d(np.zeros((2, 1, 1, 2), np.uint8), 2, 8),
        Requantize(multiplier, shift, -9, 99, np.array([1, -1], np.int32), 4, "half_up", "int16"),
        Thresholds(np.zeros((2, 1), np.int32), np.array([0, -1], np.int8), 1),
        Conv2d(np.ones((2, 1, 1, 1), np.uint8), 2, 1, groups=2, bipolar=True, encoding=Offset(3)),
        Thresholds(np.zeros((2, 3), np.int32), np.array([1, -1], np.int8), 2),
        SumWindows((2, 2), (1, 2), (0, 1, 1, 0)),
    )
    program = Program(ops, (3, 3, 2))
    program.save(tmp_path / "p.safetensors")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 3, 2), np.uint8)
    again = load(tmp_path / "p.safetensors")
    assert all(np.array_equal(a, b) for a, b in zip(program.run(pixels), again.run(pixels), strict=True))
    assert again.ops[0] == ops[0]
    requantize = again.ops[2]
    assert isinstance(requantize, Requantize)
    assert (requantize.rounding, requantize.dtype, requantize.zero) == ("half_up", "int16", 4)


def test_first_files_still_load(tmp_path: Path) -> None:
    """Those without groups, signs and encodings."""
    program, path = small_program(), tmp_path / "p.safetensors"
    program.save(path)
    with safe_open(path, framework="numpy") as file:
        described = json.loads(file.metadata()["program"])
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    for record in described["operations"]:
        for later in ("groups", "bipolar", "encoding"):
            assert (record.pop(later, None) is not None) == (record["op"] == "conv2d")
    save_file(arrays, path, {"program": json.dumps(described)})
    pixels = np.random.default_rng(1).integers(0, 256, (3, 5, 5, 3), np.uint8)
    assert all(np.array_equal(a, b) for a, b in zip(program.run(pixels), load(path).run(pixels), strict=True))


def test_bad_files(tmp_path: Path) -> None:
    path = tmp_path / "p.safetensors"
    with pytest.raises(InputError, match=r"p\.safetensors: cannot be read"):
        load(path)
    small_program().save(path)
    good = path.read_bytes()
    spoilt = {
        "truncated": good[:-1],
        "no file of ours": b"hello",
        "another format": good.replace(b"minigrad-program-1", b"minigrad-program-7"),
        "unknown operation": good.replace(b"sum_pool", b"sum_fool"),
        "another width": good.replace(b'\\"weight_bits\\": 3', b'\\"weight_bits\\": 9'),
        "another input": good.replace(b'input_shape\\": [5, 5, 3]', b'input_shape\\": [5, 5, 4]'),
        "a missing entry": good.replace(b"activation_bits", b"activation_bots"),
    }
    for name, content in spoilt.items():
        assert content != good, name
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"p\.safetensors: not a program: ") as caught:
            load(path)
        assert "\n" not in str(caught.value), name
