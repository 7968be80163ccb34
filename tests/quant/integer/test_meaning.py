"""The integer operations against their definitions in Python's integers, and what they refuse."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import assume, given, settings

from quant.integer import (
    OPERATIONS,
    Codebook,
    Conv2d,
    Linear,
    MaxPool,
    Odd,
    Offset,
    Requantize,
    SumWindows,
    Thresholds,
)
from quant.integer.checks import Values
from verify.kernels.draws import DRAWS, Drawn, convolutions


def by_definition(op: Any, inputs: tuple[np.ndarray, ...]) -> np.ndarray:
    definitions: dict[str, Callable[..., np.ndarray]] = {
        "conv2d": define_conv2d,
        "thresholds": define_thresholds,
        "requantize": define_requantize,
        "residual_add": lambda op, a, b: a.astype(object) + b.astype(object),
        "max_pool": lambda op, x: define_windows(op, x, np.max),
        "sum_windows": lambda op, x: define_windows(op, x, np.sum),
        "sum_pool": lambda op, x: x.astype(object).sum(axis=(1, 2)),
        "linear": define_linear,
        "linear_int8": lambda op, x: x.astype(object) @ op.weights.astype(object).T + op.bias.astype(object),
        "argmax": lambda op, x: np.array([list(row).index(max(row)) for row in x]),
    }
    return definitions[op.name](op, *inputs)


def define_conv2d(op: Conv2d, x: np.ndarray) -> np.ndarray:
    """Tap by tap, in int64; outside of the image the difference is 0."""
    _, kernel_height, kernel_width, of_group = op.weight_codes.shape
    weights = op.weight_codes.astype(np.int64)
    if isinstance(op.encoding, Codebook):
        weights = op.encoding.levels.astype(np.int64)[op.weight_codes]
    elif isinstance(op.encoding, Offset):
        weights = weights - op.encoding.zero
    else:
        weights = 2 * weights - (2**op.weight_bits - 1)
    in_channels, of_out = of_group * op.groups, len(weights) // op.groups
    zero = np.zeros(in_channels, np.int64) if op.zero is None else op.zero.astype(np.int64)
    images, height, width, _ = x.shape
    top, bottom, left, right = op.pads
    padded = np.zeros((images, height + top + bottom, width + left + right, in_channels), np.int64)
    padded[:, top : top + height, left : left + width] = 2 * x.astype(np.int64) - 1 if op.bipolar else x - zero
    rows = (padded.shape[1] - (kernel_height - 1) * op.dilation[0] - 1) // op.stride[0] + 1
    columns = (padded.shape[2] - (kernel_width - 1) * op.dilation[1] - 1) // op.stride[1] + 1
    sums = np.zeros((images, rows, columns, len(weights)), np.int64)
    for ky in range(kernel_height):
        for kx in range(kernel_width):
            for row in range(rows):
                for column in range(columns):
                    at = (row * op.stride[0] + ky * op.dilation[0], column * op.stride[1] + kx * op.dilation[1])
                    for o, row_of_weights in enumerate(weights[:, ky, kx]):
                        first = o // of_out * of_group
                        taps = padded[:, at[0], at[1], first : first + of_group]
                        sums[:, row, column, o] += taps @ row_of_weights
    return sums


def define_thresholds(op: Thresholds, x: np.ndarray) -> np.ndarray:
    reached = (op.direction.astype(np.int64) * x)[..., None] >= op.thresholds.astype(np.int64)
    return reached.sum(axis=-1)


def define_requantize(op: Requantize, x: np.ndarray) -> np.ndarray:
    """In fractions, one by one."""

    def one(value: int, c: int) -> int:
        exact = Fraction((value + (0 if op.bias is None else int(op.bias[c]))) * int(op.multiplier[c]))
        exact /= 1 << int(op.shift[c])
        nearest = round(exact)  # half to even
        if abs(exact - math.floor(exact)) == Fraction(1, 2) and op.rounding != "half_even":
            up = op.rounding == "half_up" or exact > 0
            nearest = math.ceil(exact) if up else math.floor(exact)
        return min(max(op.zero + nearest, op.low), op.high)

    flat = x.reshape(-1, x.shape[-1])
    return np.array([[one(int(v), c) for c, v in enumerate(row)] for row in flat], object).reshape(x.shape)


def define_windows(op: MaxPool | SumWindows, x: np.ndarray, reduce: Callable[..., np.ndarray]) -> np.ndarray:
    """From the pixels that are in the image, window by window."""
    images, height, width, channels = x.shape
    rows = (height + op.pads[0] + op.pads[1] - op.kernel[0]) // op.stride[0] + 1
    columns = (width + op.pads[2] + op.pads[3] - op.kernel[1]) // op.stride[1] + 1
    result = np.zeros((images, rows, columns, channels), object)
    for row, column in np.ndindex(rows, columns):
        top, left = row * op.stride[0] - op.pads[0], column * op.stride[1] - op.pads[2]
        window = x[:, max(top, 0) : top + op.kernel[0], max(left, 0) : left + op.kernel[1]]
        result[:, row, column] = reduce(window.astype(object), axis=(1, 2))
    return result


def define_linear(op: Linear, x: np.ndarray) -> np.ndarray:
    weights = 2 * op.weight_codes.astype(object) - (2**op.weight_bits - 1)
    return x.astype(object) @ weights.T + op.bias.astype(object)


@pytest.mark.parametrize("name", OPERATIONS)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_definition(name: str, data: st.DataObject) -> None:
    op, inputs = data.draw(DRAWS[name])
    result, expected = op.run(*inputs), by_definition(op, inputs)
    assert result.shape == expected.shape
    assert (result.astype(object) == expected).all()


@pytest.mark.parametrize("name", OPERATIONS)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_promised_range(name: str, data: st.DataObject) -> None:
    """What comes out has the promised shape and type and lies in the promised range, which int32 holds."""
    op, inputs = data.draw(DRAWS[name])
    ranges = [Values(x.shape[1:], int(x.min()), int(x.max())) for x in inputs]
    if name == "residual_add":  # whose promise is about every pair, not only those that meet
        assume(sum(x.low for x in ranges) >= -(2**15) and sum(x.high for x in ranges) < 2**15)
    promised = op.output(*ranges)
    result = op.run(*inputs)
    assert result.shape == (len(inputs[0]), *promised.shape)
    assert result.dtype == promised.dtype
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
    op, (x,) = drawn
    parts = [op.run(x[begin : begin + batch]) for begin in range(0, len(x), batch)]
    assert np.array_equal(np.concatenate(parts), op.run(x))


def test_thresholds_at_ties() -> None:
    op = Thresholds(np.array([[-1, 0, 5], [-1, 0, 5]], np.int32), np.array([1, -1], np.int8), 2)
    x = np.array([[-2, -1, 0, 4, 5, 6, -5, -(2**31)]], np.int32)
    codes = op.run(np.stack([x, x], axis=-1))
    assert codes[0, :, 0].tolist() == [0, 1, 2, 2, 3, 3, 0, 0]
    assert codes[0, :, 1].tolist() == [2, 2, 2, 0, 0, 0, 3, 3]


def test_roundings_of_halves() -> None:
    """3 / 2, -3 / 2, 5 / 2 and -5 / 2: each rounding differs from each other one."""
    x = np.array([[3], [-3], [5], [-5]], np.int32)
    one, shift = np.ones(1, np.int32), np.ones(1, np.uint8)
    expected = {"half_up": [2, -1, 3, -2], "half_away": [2, -2, 3, -3], "half_even": [2, -2, 2, -2]}
    for rounding, results in expected.items():
        op = Requantize(one, shift, -9, 9, rounding=rounding, dtype="int16")
        assert op.run(x).ravel().tolist() == results


def test_largest_products() -> None:
    """2^62, and half of 2^62 added to it."""
    op = Requantize(np.array([-(2**31)], np.int32), np.array([62], np.uint8), -9, 9, dtype="int16")
    assert op.run(np.array([[-(2**31)], [2**31 - 1], [-(2**30) + 1]], np.int32)).ravel().tolist() == [1, -1, 0]


def test_a_constant_channel() -> None:
    op = Thresholds(np.array([[-1, 0, 5]], np.int32), np.array([0], np.int8), 2)
    assert op.run(np.array([[-(2**31)], [0], [9]], np.int32)).ravel().tolist() == [2, 2, 2]


def test_values_of_encodings() -> None:
    assert Odd().values(2).tolist() == [-3, -1, 1, 3]
    assert Offset(1).values(2).tolist() == [-1, 0, 1, 2]
    assert Codebook(np.array([5, -128, 0, 127], np.int8)).values(2).tolist() == [5, -128, 0, 127]


def test_signs_have_a_border_of_zeros() -> None:
    """A sum of ones over a 3x3 window of an image of -1 is minus the pixels that are in the image."""
    op = Conv2d(np.ones((1, 3, 3, 1), np.uint8), 1, 1, pads=(1, 1, 1, 1), bipolar=True)
    sums = op.run(np.zeros((1, 3, 3, 1), np.uint8))[0, :, :, 0]
    assert sums.tolist() == [[-4, -6, -4], [-6, -9, -6], [-4, -6, -4]]
    assert op.bound == 9


def test_operations_are_frozen() -> None:
    codes = np.zeros((1, 1, 1, 1), np.uint8)
    op = Conv2d(codes, 2, 2)
    codes[0] = 3
    assert op.weight_codes.item() == 0
    with pytest.raises(ValueError, match="read-only"):
        op.weight_codes[0] = 1
