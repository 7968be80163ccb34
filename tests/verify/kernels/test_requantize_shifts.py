"""Requantization in a layer by shifts around 32, where kernels take the upper half of a product: bit for bit."""

import itertools

import numpy as np
import pytest

from quant.integer import ROUNDINGS, Conv2d, Requantize
from quant.target import Target
from verify.kernels.compare import compare_layer
from verify.kernels.targets import Runner, runners

#: Halves (x / 4), odd multiples, both signs, and the one multiplier whose doubled product may not fit 64 bits.
MULTIPLIERS = np.array([2**30, 2**31 - 1, 1518500249, -(2**30), -(2**31), 3], np.int64)


@pytest.fixture(scope="module", params=["native", "aarch64"])
def target(request: pytest.FixtureRequest) -> Target:
    return request.getfixturevalue(f"{request.param}_target")


def layer(channels: int, bits: int) -> tuple[Conv2d, np.ndarray]:
    """Sums of 8 bits by 8 in 32 bits, or of 2 bits by 2 in 16; every small sum is among them."""
    rng = np.random.default_rng(channels)
    weights = rng.integers(0, 1 << bits, (channels, 1, 1, 16), dtype=np.uint8)
    weights[::2, ..., 1:] = 1 << (bits - 1)  # odd weights: 1
    return Conv2d(weights, bits, bits), rng.integers(0, 1 << bits, (1, 9, 11, 16), dtype=np.uint8)


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("bits", [2, 8])
@pytest.mark.parametrize("channels", [16, 33])
def test_shifts(target: Target, rounding: str, bits: int, channels: int) -> None:
    op, x = layer(channels, bits)
    multiplier = np.resize(MULTIPLIERS[:3] if channels == 16 else MULTIPLIERS, channels).astype(np.int32)
    least = 31 if bits == 8 else 30
    for first, (dtype, zero) in itertools.product(
        (least, 32, 33, 36), (("uint8", 0), ("uint8", 128), ("uint8", -32512), ("uint8", -32767), ("int16", 7))
    ):
        shift = np.resize([first, first + 1, first], channels).astype(np.uint8)
        limits = np.iinfo(dtype)
        epilogue = Requantize(multiplier, shift, limits.min, limits.max - 3, None, zero, rounding, dtype)
        for runner in runners(target):
            assert compare_layer(op, epilogue, x, Runner(target, runner.path)).mismatches == 0, (
                first,
                zero,
                runner.path,
            )
