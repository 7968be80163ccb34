"""The integer operations against their definitions in Python's integers, and what they refuse."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from minigrad.errors import InputError
from quant.integer import OPERATIONS, Argmax, Conv2d, Linear, Operation, Program, SumPool, Thresholds
from quant.integer_checks import Values
from quant.program_file import load, save
from verify.kernels.cases import random_conv
from verify.kernels.draws import DRAWS, Drawn, convolutions


def by_definition(op: Any, x: np.ndarray) -> np.ndarray:
    definitions: dict[str, Callable[[Any, np.ndarray], np.ndarray]] = {
        "conv2d": define_conv2d,
        "thresholds": define_thresholds,
        "sum_pool": lambda op, x: x.astype(object).sum(axis=(1, 2)),
        "linear": define_linear,
        "argmax": lambda op, x: np.array([list(row).index(max(row)) for row in x]),
    }
    return definitions[op.name](op, x)


def define_conv2d(op: Conv2d, x: np.ndarray) -> np.ndarray:
    """Tap by tap, in int64; outside of the image the difference is 0."""
    _, kernel_height, kernel_width, in_channels = op.weight_codes.shape
    weights = 2 * op.weight_codes.astype(np.int64) - (2**op.weight_bits - 1)
    zero = np.zeros(in_channels, np.int64) if op.zero is None else op.zero.astype(np.int64)
    images, height, width, _ = x.shape
    top, bottom, left, right = op.pads
    padded = np.zeros((images, height + top + bottom, width + left + right, in_channels), np.int64)
    padded[:, top : top + height, left : left + width] = x - zero
    rows = (padded.shape[1] - (kernel_height - 1) * op.dilation[0] - 1) // op.stride[0] + 1
    columns = (padded.shape[2] - (kernel_width - 1) * op.dilation[1] - 1) // op.stride[1] + 1
    sums = np.zeros((images, rows, columns, len(weights)), np.int64)
    for ky in range(kernel_height):
        for kx in range(kernel_width):
            for row in range(rows):
                for column in range(columns):
                    at = (row * op.stride[0] + ky * op.dilation[0], column * op.stride[1] + kx * op.dilation[1])
                    sums[:, row, column] += padded[:, at[0], at[1]] @ weights[:, ky, kx].T
    return sums


def define_thresholds(op: Thresholds, x: np.ndarray) -> np.ndarray:
    reached = (op.direction.astype(np.int64) * x)[..., None] >= op.thresholds.astype(np.int64)
    return reached.sum(axis=-1)


def define_linear(op: Linear, x: np.ndarray) -> np.ndarray:
    weights = 2 * op.weight_codes.astype(object) - (2**op.weight_bits - 1)
    return x.astype(object) @ weights.T + op.bias.astype(object)


@pytest.mark.parametrize("name", OPERATIONS)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_definition(name: str, data: st.DataObject) -> None:
    op, x = data.draw(DRAWS[name])
    result, expected = op.run(x), by_definition(op, x)
    assert result.shape == expected.shape
    assert (result.astype(object) == expected).all()
    assert result.dtype == (np.uint8 if name == "thresholds" else np.int32)


@pytest.mark.parametrize("name", OPERATIONS)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_promised_range(name: str, data: st.DataObject) -> None:
    """What comes out has the promised shape and lies in the promised range, which int32 holds."""
    op, x = data.draw(DRAWS[name])
    promised = op.output(Values(x.shape[1:], int(x.min()), int(x.max())))
    result = op.run(x)
    assert result.shape == (len(x), *promised.shape)
    assert -(2**31) <= promised.low <= result.min()
    assert result.max() <= promised.high < 2**31


def test_bounds_are_reached() -> None:
    """The promises are not merely safe but tight."""
    conv = Conv2d(np.full((1, 2, 3, 4), 3, np.uint8), 2, 3)
    assert conv.run(np.full((1, 2, 3, 4), 7, np.uint8)).item() == conv.bound == 24 * 3 * 7
    linear = Linear(np.zeros((1, 5), np.uint8), 4, 100, np.array([-9], np.int32))
    assert linear.run(np.full((1, 5), 100, np.int32)).item() == -linear.bound == -9 - 5 * 15 * 100


def test_float_sums_stay_exact() -> None:
    """Sums above 2^24 are odd integers that float32 does not hold; the largest of int32 are exact too."""
    op = Conv2d(np.full((1, 1, 1, 33025), 255, np.uint8), 8, 8)
    x = np.full((1, 1, 1, 33025), 255, np.uint8)
    x[..., 0] = 254
    assert op.run(x).item() == 255 * 255 * 33025 - 255
    small = Conv2d(np.full((1, 1, 1, 259), 255, np.uint8), 8, 8)
    assert small.bound > 2**24
    x = np.full((1, 1, 1, 259), 255, np.uint8)
    x[..., :2] = 254, 253
    assert small.run(x).item() == 255 * (255 * 259 - 3)


@given(drawn=convolutions(), batch=st.integers(1, 3))
@settings(max_examples=20, deadline=None)
def test_images_are_independent(drawn: Drawn, batch: int) -> None:
    op, x = drawn
    parts = [op.run(x[begin : begin + batch]) for begin in range(0, len(x), batch)]
    assert np.array_equal(np.concatenate(parts), op.run(x))


def test_thresholds_at_ties() -> None:
    op = Thresholds(np.array([[-1, 0, 5], [-1, 0, 5]], np.int32), np.array([1, -1], np.int8), 2)
    x = np.array([[-2, -1, 0, 4, 5, 6, -5, -(2**31)]], np.int32)
    codes = op.run(np.stack([x, x], axis=-1))
    assert codes[0, :, 0].tolist() == [0, 1, 2, 2, 3, 3, 0, 0]
    assert codes[0, :, 1].tolist() == [2, 2, 2, 0, 0, 0, 3, 3]


def test_operations_are_frozen() -> None:
    codes = np.zeros((1, 1, 1, 1), np.uint8)
    op = Conv2d(codes, 2, 2)
    codes[0] = 3
    assert op.weight_codes.item() == 0
    with pytest.raises(ValueError, match="read-only"):
        op.weight_codes[0] = 1


CODES = np.zeros((2, 3, 3, 4), np.uint8)
TABLE, DIRECTION = np.zeros((2, 3), np.int32), np.ones(2, np.int8)
BIAS = np.zeros(2, np.int32)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Conv2d(CODES, 0, 2), "Conv2d.weight_bits: 0 is not one of 1, 2, 3, 4, 8"),
        (lambda: Conv2d(CODES, 9, 2), "Conv2d.weight_bits: 9 is not one of"),
        (lambda: Conv2d(CODES, 2, 0), "Conv2d.activation_bits: 0 is not one of 1, 2, 3"),
        (lambda: Conv2d(CODES, 2, 9), "Conv2d.activation_bits: 9 is not one of"),
        (lambda: Conv2d(CODES, True, 2), "Conv2d.weight_bits: True is not one of"),
        (lambda: Conv2d(CODES + np.uint8(4), 2, 2), "Conv2d.weight_codes: expected codes below 4, got 4"),
        (lambda: Conv2d(CODES.astype(np.int8), 2, 2), "Conv2d.weight_codes: expected uint8 with 4 dimensions"),
        (lambda: Conv2d(CODES[0], 2, 2), r"Conv2d.weight_codes: .*, got uint8 \(3, 3, 4\)"),
        (lambda: Conv2d(CODES[:0], 2, 2), "Conv2d.weight_codes: .*none empty"),
        (lambda: Conv2d(CODES, 2, 2, np.zeros(3, np.uint8)), "Conv2d.zero: expected 4 codes, got 3"),
        (lambda: Conv2d(CODES, 2, 2, np.full(4, 4, np.uint8)), "Conv2d.zero: expected codes below 4, got 4"),
        (lambda: Conv2d(CODES, 2, 2, stride=(0, 1)), r"Conv2d.stride: expected 2 integers of at least 1, got \(0, 1\)"),
        (lambda: Conv2d(CODES, 2, 2, pads=(0, 0, 0, -1)), "Conv2d.pads: expected 4 integers of at least 0"),
        (lambda: Conv2d(CODES, 2, 2, dilation=(1,)), "Conv2d.dilation: expected 2 integers"),  # type: ignore[arg-type]
        (
            lambda: Conv2d(np.zeros((1, 1, 1, 33026), np.uint8), 8, 8),
            "Conv2d.weight_codes: sums reach 2147515650, beyond",
        ),
        (lambda: Thresholds(TABLE, DIRECTION, 0), "Thresholds.bits: 0 is not one of"),
        (lambda: Thresholds(TABLE, DIRECTION, 9), "Thresholds.bits: 9 is not one of"),
        (lambda: Thresholds(TABLE, DIRECTION, 3), r"Thresholds.thresholds: expected shape \(2, 7\), got \(2, 3\)"),
        (lambda: Thresholds(TABLE, DIRECTION * np.int8(2), 2), "Thresholds.direction: expected only 1 and -1"),
        (lambda: Thresholds(TABLE, DIRECTION * np.int8(0), 2), "Thresholds.direction: expected only 1 and -1"),
        (
            lambda: Thresholds(np.array([[0, 1, 2], [0, 2, 1]], np.int32), DIRECTION, 2),
            "Thresholds.thresholds: those of channel 1 do not ascend",
        ),
        (lambda: Linear(CODES[0, 0], 0, 5, BIAS), "Linear.weight_bits: 0 is not one of"),
        (lambda: Linear(CODES[:, 0, 0], 8, -1, BIAS), "Linear.x_max: expected an integer from 0"),
        (lambda: Linear(CODES[:, 0, 0], 8, 5, BIAS[:1]), "Linear.bias: expected 2 integers, got 1"),
        (lambda: Linear(CODES[:, 0, 0], 8, 2**31 // 1020 + 1, BIAS), "Linear.weight_codes: sums reach 214748"),
        (
            lambda: Linear(CODES[:, 0, 0], 8, 0, BIAS - np.int32(2**31 - 1) - np.int32(1)),
            "sums reach 2147483648, beyond",
        ),
    ],
)
def test_refused_operations(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("op", "x", "message"),
    [
        (
            Conv2d(CODES, 2, 2),
            np.full((1, 4, 4, 4), 4, np.uint8),
            r"Conv2d: expected integers in \[0, 3\], got \[4, 4\]",
        ),
        (Conv2d(CODES, 2, 2), np.zeros((1, 4, 4, 3), np.uint8), "Conv2d: expected 4 input channels, got 3"),
        (Conv2d(CODES, 2, 2), np.zeros((1, 2, 4, 4), np.uint8), "Conv2d: a kernel of 3x3 does not fit 2x4"),
        (Conv2d(CODES, 2, 2), np.zeros((1, 4, 4, 4), np.int32), "Conv2d: expected uint8"),
        (Conv2d(CODES, 2, 2), np.zeros((0, 4, 4, 4), np.uint8), "at least one image"),
        (Thresholds(TABLE, DIRECTION, 2), np.zeros((1, 3), np.int32), "Thresholds: expected 2 channels"),
        (Thresholds(TABLE, DIRECTION, 2), np.zeros((1, 2), np.int64), "Thresholds: expected int32"),
        (SumPool(), np.zeros((1, 2, 2), np.uint8), "SumPool: expected 3 dimensions for one image"),
        (Linear(CODES[:, 0, 0], 8, 5, BIAS), np.full((1, 4), 6, np.int32), r"Linear: expected integers in \[0, 5\]"),
        (Linear(CODES[:, 0, 0], 8, 5, BIAS), np.zeros((1, 3), np.int32), "Linear: expected 4 features, got 3"),
        (Argmax(), np.zeros((1, 2, 2), np.int32), "Argmax: expected logits"),
    ],
)
def test_refused_inputs(op: Operation, x: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        op.run(x)


def test_sum_pool_bound() -> None:
    with pytest.raises(InputError, match="SumPool: 8421505 pixels may sum to more than an int32 holds"):
        SumPool().output(Values((8421505, 1, 1), 0, 3))
    assert SumPool().output(Values((8421504, 1, 1), 0, 255)).high < 2**31


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
    op, x = data.draw(convolutions(activation_bits=st.just(8)))
    assert isinstance(op, Conv2d)
    path = tmp_path_factory.mktemp("conv") / "conv.safetensors"
    save(Program((op,), x.shape[1:]), path)
    again = load(path).ops[0]
    assert isinstance(again, Conv2d)
    for field in ("weight_bits", "activation_bits", "stride", "pads", "dilation"):
        assert getattr(again, field) == getattr(op, field)
    assert np.array_equal(again.weight_codes, op.weight_codes)
    if op.zero is None or again.zero is None:
        assert op.zero is again.zero
    else:
        assert np.array_equal(again.zero, op.zero)


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
