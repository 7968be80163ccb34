"""The proofs of the x86 kernels' lanes can fail, and follow the sources."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from minigrad.kernels import SOURCES
from verify.kernels.lanes import Claim, prove, refute
from verify.kernels.lanes.x86_direct import direct_claim, storage_facts
from verify.kernels.lanes.x86_winograd import (
    algebra_facts,
    part_facts,
    plan_of,
    wide_claims,
    wide_facts,
    winograd_claims,
)


def test_the_documented_counts() -> None:
    assert plan_of("avx2", 3, 3) == ([1, 1, 1], 50)
    assert plan_of("avx2", 15, 15) == plan_of("vnni", 15, 15) == ([1, 1, 2], 3)
    assert plan_of("vnni", 63, 21) is not None
    assert plan_of("vnni", 63, 22) is plan_of("vnni", 127, 1) is plan_of("avx2", 63, 11) is None


@pytest.mark.parametrize(
    "claim",
    [
        *winograd_claims("avx2", 3, 3),
        *winograd_claims("vnni", 63, 21),
        *wide_claims(255, 255),
        direct_claim(255, -255, 255, odd=True),
        direct_claim(255, -15, 15, odd=True),
    ],
    ids=lambda claim: claim.name,
)
def test_one_product_more_is_refuted(claim: Claim) -> None:
    assert prove(claim, claim.count)
    assert not prove(claim, claim.count + 1)
    v, u = refute(claim, claim.count + 1) or (0, 0)
    assert not claim.lane[0] <= (claim.count + 1) * v * u <= claim.lane[1]


def middle() -> list[Claim]:
    """Of two bits, where it decides: it is flushed after all that fits."""
    return winograd_claims("avx2", 3, 3)


def of_bytes() -> list[Claim]:
    """Of codes of a byte and weights of 4 bits, which are flushed after 4 quads."""
    return [direct_claim(255, -15, 15, odd=True)]


def of_words() -> list[Claim]:
    """Of bytes by bytes, which are multiplied as int16."""
    return [direct_claim(255, -128, 127, odd=False)]


#: Each with a proof that the change breaks.
CHANGES: list[tuple[str, str, str, Callable[[], object]]] = [
    ("products.h", "(2 * activation * weight)", "(1 * activation * weight)", middle),
    ("products.h", "(2 * activation * weight));", "(2 * activation * weight)) + 1;", middle),
    ("products.h", "most = 127;", "most = 128;", lambda: part_facts("vnni", 2)),
    ("products.h", "(2 * activation)", "(1 * activation)", lambda: part_facts("avx2", 6)),
    ("products.h", "QUAD = 4", "QUAD = 8", middle),
    ("products.c", "size_t left = job->flush;", "size_t left = job->flush + 1;", middle),
    ("winograd.c", "factor[3] = {4, 6, 9}", "factor[3] = {4, 6, 8}", lambda: algebra_facts(2)),
    ("winograd.c", "largest_weight(4 * n)", "largest_weight(3 * n)", lambda: algebra_facts(2)),
    ("winograd.c", "quads_to_flush(4 * n", "quads_to_flush(2 * n", middle),
    ("winograd.c", "(uint8_t)(2 * n)", "(uint8_t)(1 * n)", lambda: algebra_facts(2)),
    ("winograd.c", "MOST_CHANNELS = 8192", "MOST_CHANNELS = 819200", lambda: winograd_claims("vnni", 63, 21)),
    ("winograd.c", "n <= 63", "n <= 127", lambda: {"not taken": plan_of("vnni", 127, 1) is None}),
    ("winograd.h", "FULL_POSITION = 5", "FULL_POSITION = 6", lambda: algebra_facts(2)),
    ("winograd_input.c", "r[2][x] = d2 - d1;", "r[2][x] = d2 + d1;", lambda: algebra_facts(2)),
    ("winograd_prepare.c", "u[0] = 2 * g[0];", "u[0] = g[0];", lambda: algebra_facts(2)),
    ("winograd_prepare.c", "? 4 * weights", "? 3 * weights", lambda: algebra_facts(2)),
    ("winograd_prepare.c", "* part / parts;", "* part / 2;", lambda: part_facts("vnni", 2)),
    ("winograd_output.c", "subtract(difference, m[3])", "add(difference, m[3])", lambda: algebra_facts(2)),
    ("winograd.c", "sum_low >= INT32_MIN / 4", "sum_low >= INT32_MIN / 3", wide_facts),
    ("winograd.c", "sum_high <= INT32_MAX / 4", "sum_high <= INT32_MAX / 2", wide_facts),
    ("winograd_prepare.c", "? 4 * weights", "? 3 * weights", wide_facts),
    ("winograd_prepare.c", "&share, plan->code_size", "&share, 1", wide_facts),
    ("winograd_input.c", "r[2][x] = d2 - d1;", "r[2][x] = d2 + d1;", wide_facts),
    ("winograd_input.c", "DEFINE_TRANSFORM(16, int16_t)", "DEFINE_TRANSFORM(16, int8_t)", wide_facts),
    ("direct_prepare.c", "low <= 128", "low <= 129", storage_facts),
    ("direct_prepare.c", "plan->scale = 2;", "plan->scale = 3;", storage_facts),
    ("direct_prepare.c", "plan->shift = 128 - low;", "plan->shift = 127 - low;", storage_facts),
    ("direct.c", "row[r]) - zeros)", "row[r]))", storage_facts),
    ("direct_prepare.c", "quads_to_flush(a, find", "quads_to_flush(1, find", of_bytes),
    ("products.h", "FEWEST_QUADS = 2", "FEWEST_QUADS = 0", of_words),
    ("direct_prepare.c", "&w, plan->code_size", "&w, 1", of_words),
    ("direct_image.c", "words[i] = codes[i]", "words[i] = (int8_t)codes[i]", of_words),
    (
        "products.c",
        "_mm256_madd_epi16(_mm256_set1_epi32(activation), w",
        "_mm256_maddubs_epi16(_mm256_set1_epi32(activation), w",
        of_words,
    ),
    ("products.c", "if (job->flush != 0) {", "if (job->flush != 1) {", of_words),
]


def holds(proof: Callable[[], object]) -> bool:
    """Whether a proof's claims or facts do, and its sources are what it can read."""
    try:
        made = proof()
    except AssertionError:
        return False
    if isinstance(made, dict):
        return all(made.values())
    assert isinstance(made, list)
    return all(claim.used is not None and 1 <= claim.used <= claim.count and prove(claim, claim.used) for claim in made)


@pytest.mark.parametrize(("file", "old", "new", "proof"), CHANGES)
def test_a_changed_source_fails_the_proof(
    file: str, old: str, new: str, proof: Callable[[], object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copytree(SOURCES / "src" / "qconv" / "x86", tmp_path / "x86")
    monkeypatch.setattr("verify.kernels.lanes.sources._FOLDER", tmp_path / "neon")
    assert holds(proof)
    path = tmp_path / "x86" / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    assert not holds(proof)
