"""The Winograd kernel modulo 2^16: sums as large as a chunk's may be, tiles of three and four, and its proofs."""

from collections.abc import Iterator

import numpy as np
import pytest

from quant.integer import Conv2d
from quant.runtime import run_layer
from verify.kernels.emulator import EmulatedTarget
from verify.kernels.lanes import modular, prove, refute
from verify.kernels.lanes.modular import chunk_of, modular_claims, modular_facts
from verify.kernels.mutants import Mutant, MutantBuilder
from verify.kernels.targets import emulated, kernels

FOLDER = "src/qconv/neon/"


def full_chunks(bits: int) -> Iterator[tuple[Conv2d, np.ndarray]]:
    """One chunk of channels, and one with a rest: all weights at an end, all codes at an end or one in turn."""
    top = (1 << bits) - 1
    chunk = chunk_of(9 * top * top)
    for channels in (chunk, chunk + 16):
        x = np.full((2, 6, 7, channels), top, np.uint8)
        x[1] *= np.arange(42).reshape(6, 7, 1) % 5 < 4
        weights = np.zeros((32, 3, 3, channels), np.uint8)
        weights[::2] = top
        yield Conv2d(weights, bits, bits, pads=(1, 1, 1, 1)), x


def find_wrong(target: EmulatedTarget, cases: Iterator[tuple[Conv2d, np.ndarray]]) -> list[tuple[int, ...]]:
    number = [kernel.name for kernel in kernels(target)].index("neon-modular") + 1
    return [
        x.shape for op, x in cases if not np.array_equal(run_layer(op, x, target, "neon", kernel=number), op.run(x))
    ]


@pytest.mark.parametrize("bits", [3, 4])
def test_full_chunks_are_exact(aarch64_target: EmulatedTarget, bits: int) -> None:
    assert find_wrong(aarch64_target, full_chunks(bits)) == []


def test_all_sizes_of_tiles(aarch64_target: EmulatedTarget) -> None:
    """3, 4, 6 and more outputs along each axis: tiles of 3, of 4, and groups of tiles with both."""
    rng = np.random.default_rng(0)

    def cases() -> Iterator[tuple[Conv2d, np.ndarray]]:
        for height, width in ((3, 4), (4, 3), (6, 11), (9, 8), (10, 13), (23, 9)):
            weights = rng.integers(0, 8, (40, 3, 3, 20), np.uint8)
            yield Conv2d(weights, 3, 3, pads=(1, 1, 1, 1)), rng.integers(0, 8, (1, height, width, 20), np.uint8)

    assert find_wrong(aarch64_target, cases()) == []


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("modular_plan.c", "INT16_BOUND = 32766", "INT16_BOUND = 65532"),
        ("modular_prepare.c", "(terms + 1) / 2", "(terms + 2) / 2"),
        ("modular_strip.c", "5 + tile->tall ? y", "4 + tile->tall ? y"),
    ],
)
def test_mutants_are_seen(builder: MutantBuilder, file: str, old: str, new: str) -> None:
    library = builder.build(Mutant(file, FOLDER + file, old, new))
    assert find_wrong(emulated(library, file), full_chunks(4))


@pytest.mark.parametrize("claim", [*modular_claims(3, 3), *modular_claims(4, 4)], ids=lambda claim: claim.name)
def test_one_product_more_is_refuted(claim: modular.Claim) -> None:
    assert prove(claim, claim.count)
    assert not prove(claim, claim.count + 1)
    assert refute(claim, claim.count + 1)
    assert (claim.used is not None and claim.count - claim.used < 9 * 16) or "row" in claim.name


@pytest.mark.parametrize(
    ("name", "fact"),
    [
        ("B_T", "4 y modulo 2^16 is the convolution"),
        ("A_T", "4 y modulo 2^16 is the convolution"),
        ("A_T", "three outputs need five positions"),
    ],
)
def test_a_wrong_matrix_is_found(monkeypatch: pytest.MonkeyPatch, name: str, fact: str) -> None:
    wrong = getattr(modular, name).copy()
    wrong[0, 5] += 1
    monkeypatch.setattr(modular, name, wrong)
    assert not modular_facts()[fact]
