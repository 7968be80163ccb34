"""The proofs of the direct kernels' lanes can fail, follow the sources, and their worst operands run exactly."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from minigrad.errors import InputError
from minigrad.kernels import SOURCES, KernelError
from quant.integer import Conv2d
from quant.runtime import run_layer
from verify.kernels.emulator import EmulatedTarget
from verify.kernels.lanes import Claim, prove
from verify.kernels.lanes.direct import (
    bits_claims,
    byte_form,
    mla_claims,
    pairs_claims,
    polyphase_claims,
    polyphase_is_the_convolution,
    smlal_holds,
)
from verify.kernels.targets import kernels


def by_name(claims: list[Claim]) -> dict[str, tuple[int, int | None]]:
    return {claim.name: (claim.count, claim.used) for claim in claims}


def test_the_documented_counts() -> None:
    """As the comments of the kernels have them."""
    assert by_name(mla_claims(2, 2))["mla, byte"] == (32, 32)
    assert by_name(mla_claims(3, 3))["mla, byte"] == (8, 8)
    assert by_name(pairs_claims(4, 4)) == {"pairs, byte": (2, 2), "pairs, 16 bits": (512, 512)}
    assert by_name(bits_claims())["bits, byte"] == (31, 28)
    assert sorted({claim.count for claim in polyphase_claims(2, 2)}) == [8, 10, 16, 21, 32]
    assert byte_form(8, 8) == ((-128, 127), (-128, 127))


@pytest.mark.parametrize("claim", [*mla_claims(3, 3), *pairs_claims(4, 4), *polyphase_claims(2, 2), *bits_claims()])
def test_one_product_more_is_not_proved(claim: Claim) -> None:
    assert not prove(claim, claim.count + 1)


@pytest.mark.parametrize(
    ("file", "old", "new", "proof"),
    [
        ("bits.c", "FLUSH = 28", "FLUSH = 32", bits_claims),
        ("bits.c", "MOST_TERMS = 16383", "MOST_TERMS = 16384", bits_claims),
        ("mla.c", "flush / 4 * 4", "flush / 4 * 4 + 4", lambda: mla_claims(2, 2)),
        ("mla.c", "UNIT = 2", "UNIT = 1", lambda: mla_claims(2, 2)),
        ("pairs.c", "form, 8) >= 2", "form, 8) >= 1", lambda: pairs_claims(4, 4)),
        ("direct_form.c", "(half - 1) / form", "half / form", lambda: mla_claims(2, 2)),
        ("polyphase_weights.c", "{0, 1, 2, 3, 3}", "{0, 1, 2, 2, 3}", lambda: polyphase_claims(2, 2)),
        ("smlal.c", "complement = 1", "complement = 0", smlal_holds),
    ],
)
def test_a_changed_source_fails_the_proof(
    file: str, old: str, new: str, proof: Callable[[], object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copytree(SOURCES / "src" / "qconv" / "neon", tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr("verify.kernels.lanes.sources._FOLDER", tmp_path)
    proof()
    text = (tmp_path / file).read_text(encoding="utf-8")
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new), encoding="utf-8")
    try:
        claims = proof()
    except AssertionError:
        return
    assert isinstance(claims, list)
    assert not all(
        claim.used is not None and claim.used <= claim.count and prove(claim, claim.used) for claim in claims
    )


def test_the_transform_can_be_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    assert polyphase_is_the_convolution()
    monkeypatch.setattr("verify.kernels.lanes.direct.OUTPUTS", np.array([[1, 1, 0, 1, 0], [0, 1, 1, 1, 0]]))
    assert not polyphase_is_the_convolution()


@pytest.mark.parametrize("channels", [4, 8, 12, 64, 252])
def test_differences_of_products_at_their_ends(aarch64_max_target: EmulatedTarget, channels: int) -> None:
    """Elements 0 and 1 of four at one end of a product, 2 and 3 so that the difference is at an end, of 8 bits."""
    kinds = np.arange(channels) % 4 < 2
    for first, second in (((0, 0), (255, 255)), ((255, 0), (0, 255)), ((0, 255), (255, 0)), ((0, 0), (0, 0))):
        weights = np.where(kinds, first[0], second[0]).astype(np.uint8)
        codes = np.where(kinds, first[1], second[1]).astype(np.uint8)
        op = Conv2d(np.broadcast_to(weights, (17, 1, 1, channels)).copy(), 8, 8)
        x = np.broadcast_to(codes, (1, 2, 3, channels)).copy()
        expected = op.run(x)
        ran = 0
        for number, kernel in enumerate(kernels(aarch64_max_target), 1):
            try:
                got = run_layer(op, x, aarch64_max_target, "dotprod", None, number)
            except (KernelError, InputError):
                continue
            assert np.array_equal(got, expected), (kernel, first, second)
            ran += 1
        assert ran >= 3
