"""A mutant's fate, and every mutant of a primitive in turn."""

from __future__ import annotations

import contextlib
import functools
import itertools
import signal
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from minigrad import backend
from minigrad.primitive import Primitive
from verify.gradients.mutants.behaviour import behavioural_mutants
from verify.gradients.mutants.equivalence import DRAWS, compare, lines_run
from verify.gradients.mutants.judge import judge
from verify.gradients.mutants.record import Mutant
from verify.gradients.mutants.source import Unborn, source_mutants

__all__ = ["KILLED", "SEEDS", "Outcome", "mutants_of", "outcome_of", "sandbox"]

#: Examples every mutant is judged on; one that passes all, and yet computes something else, is judged on LATER ones.
SEEDS = tuple(range(12))
LATER = tuple(range(12, DRAWS))
#: Seconds after which a mutant that does not end counts as killed.
_PATIENCE = 60
#: The fates that count as killed: by a verdict, or because the mutant raises where the rule does not.
KILLED = ("killed", "raised")


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant.

    ``fate`` is "killed" (a check failed), "raised" (it raised itself, or did not end), "not run", "same bits" or "same
    number" (see ``equivalence.py``), "unborn" (its module does not run), or "survived"; ``draws`` the number of
    examples it took.
    """

    rule: str
    kind: str
    edit: str
    fate: str
    draws: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class _Endless(Exception):
    pass


@contextlib.contextmanager
def _patience(seconds: int) -> Iterator[None]:
    """Within it, what takes longer is ended (in the main thread of a process, where signals arrive)."""

    def give_up(*_: Any) -> None:
        raise _Endless

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def sandbox() -> Iterator[None]:
    """Where mutants run: without warnings, and on the NumPy references: a C kernel trusts the sizes it is given."""
    with np.errstate(all="ignore"), backend.use("numpy"):
        yield


def mutants_of(primitive: Primitive) -> Iterator[Mutant]:
    """All of them: behaviour first, then source."""
    return itertools.chain(behavioural_mutants(primitive), source_mutants(primitive))


def outcome_of(original: Primitive, mutant: Mutant, thorough: bool = True) -> Outcome:
    """Judge a mutant on one example after the other, until one kills it.

    ``thorough`` has the "same number" certified on all examples, not on the first ones alone.
    """
    fate, draws = _fate(original, mutant, thorough)
    return Outcome(mutant.rule, mutant.kind, mutant.edit, fate, draws)


def _fate(original: Primitive, mutant: Mutant, thorough: bool) -> tuple[str, int]:
    try:
        wrong = mutant.make()
    except Unborn:
        return "unborn", 0
    fate, draws = _judged(wrong, SEEDS)
    if fate is None:
        with sandbox():
            fate = compare(original, wrong, mutant.rule) if _is_run(original, mutant) else "not run"
    if fate is None or (thorough and fate == "same number"):
        later, more = _judged(wrong, LATER)
        fate, draws = later or fate, draws + more
    return fate or "survived", draws


@functools.lru_cache(maxsize=64)
def _lines_run(primitive: Primitive, rule: str, file: str) -> set[int]:
    return lines_run(primitive, rule, file)


def _is_run(original: Primitive, mutant: Mutant) -> bool:
    if mutant.lines is None:
        return True
    file, first, last = mutant.lines
    return not _lines_run(original, mutant.rule, file).isdisjoint(range(first, last + 1))


def _judged(wrong: Primitive, seeds: Sequence[int]) -> tuple[str | None, int]:
    for count, seed in enumerate(seeds, 1):
        try:
            with _patience(_PATIENCE), sandbox():
                judge(wrong, seed)
        except AssertionError:
            return "killed", count
        except Exception:
            return "raised", count
    return None, len(seeds)
