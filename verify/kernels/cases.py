"""A fixed battery of single operations: ends of tiles, blocks and images, and sums that reach each lane's bound."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from quant.integer import Argmax, Conv2d, Linear, Operation, SumPool, Thresholds
from quant.packing import WIDTHS

__all__ = ["LANE_BOUNDS", "Case", "battery", "random_conv", "random_thresholds", "two_bit_extreme"]

#: Terms around the flushes of 2-bit lanes: int8 holds 14 products of 9, int16 260 times those.
LANE_BOUNDS = (13, 14, 15, 28, 29, 3639, 3640, 3641, 3654, 3655, 7294)


class Case(NamedTuple):
    """An operation and its inputs."""

    name: str
    op: Operation
    inputs: tuple[np.ndarray, ...]


def random_conv(
    rng: np.random.Generator,
    image: tuple[int, int, int, int],
    kernel: tuple[int, int],
    out_channels: int,
    widths: tuple[int, int] = (2, 2),
    with_zero: bool = False,
    stride: tuple[int, int] = (1, 1),
    pads: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilation: tuple[int, int] = (1, 1),
) -> tuple[Conv2d, np.ndarray]:
    """A convolution of random codes, and random codes (images, height, width, channels) for it.

    Widths are those of weights and activations, in bits.
    """
    weight_bits, activation_bits = widths
    codes = rng.integers(0, 1 << weight_bits, (out_channels, *kernel, image[3]), dtype=np.uint8)
    zero = rng.integers(0, 1 << activation_bits, image[3], dtype=np.uint8) if with_zero else None
    x = rng.integers(0, 1 << activation_bits, image, dtype=np.uint8)
    return Conv2d(codes, weight_bits, activation_bits, zero, stride, pads, dilation), x


def random_thresholds(rng: np.random.Generator, pixels: int, channels: int, bits: int) -> tuple[Thresholds, np.ndarray]:
    """Thresholds and integers (1, pixels, channels) of a small range, so that ties are common, with int32's ends."""
    ends = np.array([-(2**31), -(2**31) + 1, 2**31 - 1], np.int32)

    def draw(*shape: int) -> np.ndarray:
        return np.where(rng.random(shape) < 0.2, rng.choice(ends, shape), rng.integers(-20, 21, shape, dtype=np.int32))

    table = np.sort(draw(channels, (1 << bits) - 1), axis=1)
    direction = rng.choice(np.array([1, 1, -1, -1, 0], np.int8), channels)
    return Thresholds(table, direction, bits), draw(1, pixels, channels)


def two_bit_extreme(terms: int, weight_code: int, activation: int = 3) -> tuple[Conv2d, np.ndarray]:
    """A 1x1 convolution over this many channels in which every product is the same."""
    op = Conv2d(np.full((17, 1, 1, terms), weight_code, np.uint8), 2, 2)
    return op, np.full((1, 1, 3, terms), activation, np.uint8)


def battery() -> Iterator[Case]:
    """The cases, always the same."""
    rng = np.random.default_rng(7)
    for terms in LANE_BOUNDS:
        for weight_code in (0, 3):
            op, x = two_bit_extreme(terms, weight_code)
            yield Case(f"extreme {terms} {weight_code}", op, (x,))
    for channels in (1, 2, 3, 15, 16, 17, 31, 32, 33, 47):
        op, x = random_conv(rng, (2, 3, 4, channels), (3, 3), 48 - channels, pads=(1, 1, 1, 1))
        yield Case(f"{channels} to {48 - channels} channels", op, (x,))
    for width in range(1, 18):
        op, x = random_conv(rng, (1, 2, width, 16), (1, 1), 16)
        yield Case(f"{2 * width} pixels", op, (x,))
    for stride, pads, dilation in (
        ((2, 1), (0, 1, 2, 0), (1, 1)),
        ((1, 3), (2, 0, 0, 1), (2, 1)),
        ((2, 2), (3, 2, 1, 4), (1, 3)),
    ):
        op, x = random_conv(rng, (2, 9, 8, 5), (3, 2), 18, stride=stride, pads=pads, dilation=dilation)
        yield Case(f"stride {stride} pads {pads} dilation {dilation}", op, (x,))
        op, x = random_conv(rng, (2, 9, 8, 5), (3, 2), 18, (8, 8), True, stride, pads, dilation)
        yield Case(f"zero codes, stride {stride} pads {pads} dilation {dilation}", op, (x,))
    for weight_bits in WIDTHS:
        for activation_bits in range(1, 9):
            op, x = random_conv(rng, (1, 3, 3, 5), (2, 2), 3, (weight_bits, activation_bits), True)
            yield Case(f"{weight_bits} and {activation_bits} bits", op, (x,))
    largest = Conv2d(np.zeros((1, 1, 1, 33025), np.uint8), 8, 8)
    yield Case("largest sum of an int32", largest, (np.full((1, 1, 1, 33025), 255, np.uint8),))
    for bits in range(1, 9):
        for channels in (1, 7, 8, 9, 16, 23):
            table, sums = random_thresholds(rng, 9, channels, bits)
            yield Case(f"thresholds {bits} bits {channels} channels", table, (sums,))
    yield Case("sum pool", SumPool(), (rng.integers(0, 256, (3, 5, 4, 7), dtype=np.uint8),))
    for bits in WIDTHS:
        codes = rng.integers(0, 1 << bits, (10, 37), dtype=np.uint8)
        bias = rng.integers(-1_000_000, 1_000_000, 10).astype(np.int32)
        yield Case(f"linear {bits} bits", Linear(codes, bits, 999, bias), (rng.integers(0, 1000, (3, 37), np.int32),))
    yield Case("argmax of ties", Argmax(), (rng.integers(-2, 3, (40, 6), np.int32),))
    yield Case("argmax of ends", Argmax(), (np.array([[-(2**31), -(2**31)], [-(2**31), 2**31 - 1]], np.int32),))
