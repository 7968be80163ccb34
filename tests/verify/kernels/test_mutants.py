"""Kernels with planted errors: the comparison catches every one, and clears the unchanged ones."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from minigrad.errors import InputError
from verify.kernels.cases import battery
from verify.kernels.compare import compare_operation
from verify.kernels.emulator import EmulationError
from verify.kernels.mutants import MUTANTS, Mutant, MutantBuilder
from verify.kernels.targets import Runner, emulated


def find_catches(library: Path, path: str) -> Iterator[str]:
    """Names of the cases whose result differs, or which touch memory they must not."""
    runner = Runner(emulated(library, name="mutant"), path)
    for case in battery():
        try:
            if compare_operation(case.op, case.inputs, runner).mismatches:
                yield case.name
        except EmulationError as error:
            yield f"{case.name}: {error}"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_is_caught(builder: MutantBuilder, mutant: Mutant) -> None:
    assert next(find_catches(builder.build(mutant), mutant.path or "scalar"), None) is not None


def test_unchanged_tree_is_clean(builder: MutantBuilder) -> None:
    library = builder.build(Mutant("none", "src/pool.c", "int32_t *sums)\n", "int32_t *sums)\n"))
    assert list(find_catches(library, "scalar")) == list(find_catches(library, "neon")) == []


def test_lane_mutant_is_caught_by_its_lane(builder: MutantBuilder) -> None:
    """The comparison says which case: sums of more than the 64 terms that fit, none below."""
    caught = list(find_catches(builder.build(MUTANTS[0]), "neon"))
    assert "extreme 3641 0" in caught
    assert not {f"extreme {terms} {code}" for terms in (13, 14, 15, 28, 29) for code in (0, 3)} & set(caught)


def test_mutant_without_a_place_is_an_error(builder: MutantBuilder) -> None:
    with pytest.raises(InputError, match=r"mutant 'x': src/pool\.c has 0 places"):
        builder.build(Mutant("x", "src/pool.c", "no such text", ""))
