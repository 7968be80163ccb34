"""Flush counts from the weights: weights that fill their lanes to the last product run exactly; one more is seen."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from quant.integer import Conv2d
from quant.runtime import run_layer
from verify.kernels.emulator import EmulatedTarget
from verify.kernels.lanes.direct import INPUTS, TAPS, flush_from_weights_holds
from verify.kernels.lanes.winograd import B_T, G
from verify.kernels.mutants import Mutant, MutantBuilder
from verify.kernels.targets import emulated

CHANNELS, BLOCK = 64, 32
#: Codes of 2 bits that stand for the values and the stored weights -, 0, +.
VALUES, WEIGHTS = np.array([0, 1, 3], np.uint8), np.array([0, 2, 3], np.uint8)


def fill_lanes(taps: np.ndarray, sign: int, runs: list[tuple[int, int]]) -> np.ndarray:
    """Codes of weights: a block of output channels a run (first, count) of pairs of input channels with the largest
    weights at these taps, or the smallest; all other stored weights are 0."""
    codes = np.full((len(runs), BLOCK, 3, 3, CHANNELS), WEIGHTS[1])
    for block, (first, count) in zip(codes, runs, strict=True):
        block[..., 2 * first : 2 * (first + count)] = np.where(taps != 0, WEIGHTS[1 + sign], WEIGHTS[1])[..., None]
    return codes.reshape(-1, 3, 3, CHANNELS)


def fill_images(pattern: np.ndarray) -> np.ndarray:
    """Two images with values as large as they get where the pattern is positive, small where negative; and opposite."""
    both = np.stack([np.sign(pattern), -np.sign(pattern)])
    return VALUES[1 + both][..., None].repeat(CHANNELS, -1)


def polyphase_cases() -> Iterator[tuple[Conv2d, np.ndarray]]:
    """Each position, with as many products as surely fit, fewer and more, early and late."""
    for i, j in np.ndindex(5, 5):
        taps, inputs = np.outer(TAPS[i], TAPS[j]), np.outer(INPUTS[i], INPUTS[j])
        x = fill_images(inputs)
        for sign, stored in ((1, 1), (-1, -2)):
            u = abs(stored) * int(taps.sum())
            v = np.abs(inputs).sum() * 3 // 2 if (inputs < 0).any() else 2
            fit = min(128 // int(u * v), 31)
            runs = [(first, count) for first in (0, 5) for count in (fit, fit + 1) if first + count <= CHANNELS // 2]
            yield Conv2d(fill_lanes(taps, sign, runs), 2, 2, stride=(2, 2)), x


def winograd_cases() -> Iterator[tuple[Conv2d, np.ndarray]]:
    """The positions that take one weight each, where 10 products fit for any weights: U' = -2, V = +-6."""
    for i in (0, 3):
        for j in (0, 3):
            runs = [(first, count) for first in (0, 1, 11, 12, 21) for count in (10, 11)]
            x = fill_images(np.outer(B_T[i], np.tile(B_T[j], 2)))
            yield Conv2d(fill_lanes(np.outer(G[i], G[j]), -1, runs), 2, 2), x


CASES = {"polyphase": polyphase_cases, "winograd": winograd_cases}


def find_wrong(target: EmulatedTarget, kind: str) -> Iterator[int]:
    for number, (op, x) in enumerate(CASES[kind]()):
        if not np.array_equal(run_layer(op, x, target, "neon", from_weights=True), op.run(x)):
            yield number


@pytest.mark.parametrize("kind", CASES)
def test_full_lanes_are_exact(aarch64_target: EmulatedTarget, kind: str) -> None:
    assert list(find_wrong(aarch64_target, kind)) == []


@pytest.mark.parametrize(
    ("kind", "file", "old", "new"),
    [
        ("polyphase", "polyphase_weights.c", "for (size_t i = step; i <", "for (size_t i = step + 1; i <"),
        ("winograd", "winograd_bytes.c", "11_11_10, 32, 11, RUN(11,", "11_11_10, 32, 12, RUN(10,"),
    ],
)
def test_one_product_more_is_seen(builder: MutantBuilder, kind: str, file: str, old: str, new: str) -> None:
    library: Path = builder.build(Mutant(kind, f"src/qconv/neon/{file}", old, new))
    assert next(find_wrong(emulated(library, kind), kind), None) is not None


def test_the_bound_is_proved() -> None:
    assert all(flush_from_weights_holds().values())
