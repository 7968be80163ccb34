"""What the integer operations refuse, by name."""

from typing import Any

import numpy as np
import pytest

from minigrad.errors import InputError
from quant.integer import (
    Argmax,
    Codebook,
    Conv2d,
    Linear,
    LinearInt8,
    MaxPool,
    Offset,
    Operation,
    Requantize,
    ResidualAdd,
    SumPool,
    SumWindows,
    Thresholds,
)
from quant.integer.checks import Values

CODES = np.zeros((2, 3, 3, 4), np.uint8)
TABLE, DIRECTION = np.zeros((2, 3), np.int32), np.ones(2, np.int8)
BIAS, SHIFT = np.zeros(2, np.int32), np.zeros(2, np.uint8)
LEVELS, INT8 = np.array([-5, 0, 1, 7], np.int8), np.zeros((2, 4), np.int8)
WORDS = np.full((1, 3), 2**14, np.int16)


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
        (lambda: Conv2d(CODES, 2, 2, groups=0), "Conv2d.groups: expected a divisor of 2 output channels, got 0"),
        (lambda: Conv2d(CODES, 2, 2, groups=3), "Conv2d.groups: expected a divisor of 2 output channels, got 3"),
        (lambda: Conv2d(CODES, 2, 2, bipolar=True), "Conv2d.bipolar: expected activations of 1 bit and no zero"),
        (
            lambda: Conv2d(CODES, 2, 1, np.zeros(4, np.uint8), bipolar=True),
            "Conv2d.bipolar: expected activations of 1 bit and no zero",
        ),
        (lambda: Conv2d(CODES, 2, 2, encoding=None), "Conv2d.encoding: expected Odd, Offset or Codebook"),  # type: ignore[arg-type]
        (lambda: Conv2d(CODES, 2, 2, encoding=Offset(4)), "Offset.zero: expected a code of 2 bits, got 4"),
        (lambda: Conv2d(CODES, 2, 2, encoding=Offset(-1)), "Offset.zero: expected a code of 2 bits, got -1"),
        (lambda: Conv2d(CODES, 3, 2, encoding=Codebook(LEVELS)), "Codebook.levels: .*got 4 for 3"),
        (lambda: Conv2d(CODES, 1, 2, encoding=Codebook(LEVELS[:2])), "Codebook.levels: .*got 2 for 1"),
        (lambda: Codebook(LEVELS.astype(np.int16)), "Codebook.levels: expected int8"),
        (lambda: Thresholds(TABLE, DIRECTION, 0), "Thresholds.bits: 0 is not one of"),
        (lambda: Thresholds(TABLE, DIRECTION, 9), "Thresholds.bits: 9 is not one of"),
        (lambda: Thresholds(TABLE, DIRECTION, 3), r"Thresholds.thresholds: expected shape \(2, 7\), got \(2, 3\)"),
        (lambda: Thresholds(TABLE, DIRECTION * np.int8(2), 2), "Thresholds.direction: expected only 1, -1 and 0"),
        (
            lambda: Thresholds(np.array([[0, 1, 2], [0, 2, 1]], np.int32), DIRECTION, 2),
            "Thresholds.thresholds: those of channel 1 do not ascend",
        ),
        (lambda: Requantize(BIAS, SHIFT[:1], 0, 9), "Requantize.shift: expected 2 integers, got 1"),
        (lambda: Requantize(BIAS, SHIFT, 0, 9, BIAS[:1]), "Requantize.bias: expected 2 integers, got 1"),
        (lambda: Requantize(BIAS, SHIFT + np.uint8(63), 0, 9), "Requantize.shift: expected codes below 63, got 63"),
        (lambda: Requantize(BIAS.astype(np.int64), SHIFT, 0, 9), "Requantize.multiplier: expected int32"),
        (lambda: Requantize(BIAS, SHIFT, 0, 256), "Requantize.low: expected low <= high of uint8, got 0, 256"),
        (lambda: Requantize(BIAS, SHIFT, -1, 255), "Requantize.low: expected low <= high of uint8, got -1, 255"),
        (lambda: Requantize(BIAS, SHIFT, 5, 4), "Requantize.low: expected low <= high of uint8, got 5, 4"),
        (lambda: Requantize(BIAS, SHIFT, 0, 2**15, dtype="int16"), "Requantize.low: expected low <= high of int16"),
        (lambda: Requantize(BIAS, SHIFT, 0, 9, dtype="int8"), "Requantize.dtype: expected 'uint8' or 'int16'"),
        (lambda: Requantize(BIAS, SHIFT, 0, 9, rounding="down"), "Requantize.rounding: 'down' is not one of half_up"),
        (lambda: Requantize(BIAS, SHIFT, 0, 9, zero=2**31), "Requantize.zero: expected an int32, got 2147483648"),
        (lambda: MaxPool((0, 1), (1, 1)), "MaxPool.kernel: expected 2 integers of at least 1"),
        (lambda: MaxPool((2, 2), (0, 1)), "MaxPool.stride: expected 2 integers of at least 1"),
        (lambda: MaxPool((2, 2), (1, 1), (0, 2, 0, 0)), "MaxPool.pads: expected borders smaller than the kernel"),
        (lambda: MaxPool((2, 2), (1, 1), (0, 0, 2, 0)), "MaxPool.pads: expected borders smaller than the kernel"),
        (lambda: LinearInt8(INT8, BIAS[:1]), "LinearInt8.bias: expected 2 integers, got 1"),
        (lambda: LinearInt8(INT8, BIAS, "int8"), "LinearInt8.dtype: expected 'uint8' or 'int16', got 'int8'"),
        (
            lambda: LinearInt8(np.full((1, 512), -128, np.int8), BIAS[:1], "int16"),
            "LinearInt8.weights: sums reach 2147483648, beyond int32",
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
        (Thresholds(TABLE, DIRECTION, 2), [[1, 2]], "Thresholds: expected an array, got list"),
        (Requantize(BIAS, SHIFT, 0, 9), np.zeros((1, 2), np.int16), "Requantize: expected int32"),
        (Requantize(BIAS, SHIFT, 0, 9), np.zeros((1, 3), np.int32), "Requantize: expected 2 channels"),
        (
            Requantize(BIAS, SHIFT, 0, 9, BIAS + np.int32(1)),
            np.full((1, 2), 2**31 - 1, np.int32),
            "Requantize.bias: with integers in .* sums leave int32",
        ),
        (
            Conv2d(CODES[..., :2], 2, 2, groups=2),
            np.zeros((1, 4, 4, 2), np.uint8),
            "Conv2d: expected 4 input channels, got 2",
        ),
        (MaxPool((3, 3), (1, 1)), np.zeros((1, 2, 4, 4), np.uint8), r"MaxPool: a kernel of \(3, 3\) does not fit 2x4"),
        (MaxPool((1, 1), (1, 1)), np.zeros((1, 2, 4, 4), np.int16), "MaxPool: expected uint8"),
        (LinearInt8(INT8, BIAS), np.zeros((1, 4), np.int16), "LinearInt8: expected uint8"),
        (LinearInt8(INT8, BIAS), np.zeros((1, 5), np.uint8), r"LinearInt8: expected 4 features, got shape \(5,\)"),
        (SumPool(), np.zeros((1, 2, 2), np.uint8), "SumPool: expected 3 dimensions for one image"),
        (Linear(CODES[:, 0, 0], 8, 5, BIAS), np.full((1, 4), 6, np.int32), r"Linear: expected integers in \[0, 5\]"),
        (Linear(CODES[:, 0, 0], 8, 5, BIAS), np.zeros((1, 3), np.int32), "Linear: expected 4 features, got 3"),
        (Argmax(), np.zeros((1, 2, 2), np.int32), "Argmax: expected logits"),
    ],
)
def test_refused_inputs(op: Operation, x: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        op.run(x)


def test_sum_windows() -> None:
    with pytest.raises(InputError, match=r"SumWindows.pads: expected borders smaller than the kernel \(2, 2\)"):
        SumWindows((2, 2), (1, 1), (0, 2, 0, 0))
    with pytest.raises(InputError, match=r"SumWindows: a kernel of \(3, 3\) does not fit 2x4"):
        SumWindows((3, 3), (1, 1)).run(np.zeros((1, 2, 4, 4), np.uint8))
    with pytest.raises(InputError, match="SumWindows: expected uint8"):
        SumWindows((1, 1), (1, 1)).run(np.zeros((1, 2, 4, 4), np.int16))
    with pytest.raises(InputError, match="SumWindows: 8421505 pixels may sum to more than an int32 holds"):
        SumWindows((8421505, 1), (1, 1)).output(Values((8421505, 1, 1), 0, 3))
    assert SumWindows((8421504, 1), (1, 1)).output(Values((8421504, 1, 1), 0, 255)).high < 2**31
    inside, border = SumWindows((2, 2), (1, 1)), SumWindows((2, 2), (1, 1), (1, 0, 0, 0))
    assert inside.output(Values((4, 4, 1), 3, 5)).low == 12
    assert border.output(Values((4, 4, 1), 3, 5)).low == 0


def test_sum_pool_bound() -> None:
    with pytest.raises(InputError, match="SumPool: 8421505 pixels may sum to more than an int32 holds"):
        SumPool().output(Values((8421505, 1, 1), 0, 3))
    assert SumPool().output(Values((8421504, 1, 1), 0, 255)).high < 2**31


def test_refused_sums() -> None:
    """A sum of the residual stream that is no int16, or may be none, is an error and not the nearest."""
    add = ResidualAdd()
    assert add.run(WORDS, WORDS - np.int16(1)).max() == 2**15 - 1
    with pytest.raises(InputError, match="ResidualAdd: a sum of 32768 does not fit int16"):
        add.run(WORDS, WORDS)
    with pytest.raises(InputError, match="ResidualAdd: a sum of -32769 does not fit int16"):
        add.run(-WORDS, -WORDS - np.int16(1))
    with pytest.raises(InputError, match=r"ResidualAdd: sums in \[-3, 32768\] do not fit int16"):
        add.output(Values((3,), -1, 2**14), Values((3,), -2, 2**14))
    assert add.output(Values((3,), -1, 2**14), Values((3,), -2, 2**14 - 1)).high == 2**15 - 1
    with pytest.raises(InputError, match=r"ResidualAdd: expected one shape, got \(3,\) and \(2,\)"):
        add.run(WORDS, WORDS[:, :2])
    with pytest.raises(InputError, match="ResidualAdd: expected as many images on both sides, got 1 and 2"):
        add.run(WORDS, np.zeros((2, 3), np.int16))
    with pytest.raises(InputError, match="ResidualAdd: expected int16"):
        add.run(WORDS, WORDS.astype(np.int32))
    with pytest.raises(InputError, match="ResidualAdd: expected 2 inputs, got 1"):
        add.output(Values((3,), 0, 1))
