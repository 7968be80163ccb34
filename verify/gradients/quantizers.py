"""Every quantization method judged at every bit width it is defined for.

A job is one primitive of one method at one width: its examples and the points of its kinks all have that width. What is
proven and compared is what ``registry.judge_primitive`` says; in float32 as much as the method states.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.draw import Draw, SeededDraw
from minigrad.errors import InputError
from minigrad.primitive import PRIMITIVES, Kink, Primitive
from quant import METHODS, Method
from quant.draw import NoSuchWidth, PinnedDraw
from verify.gradients.registry import Entry, in_processes, judge_primitive

__all__ = [
    "Job",
    "Judgement",
    "Summary",
    "jobs_of",
    "judge_job",
    "judge_quantizers",
    "pinned",
    "select_methods",
    "summaries",
    "widths_of",
]

#: Draws after which a width is taken to have no example: another choice (signed or not) may exclude it.
_TRIES = 32


@dataclass(frozen=True)
class Job:
    """One primitive of a method at one width; ``bits`` is None for a primitive that has none."""

    method: str
    primitive: str
    bits: int | None

    def __str__(self) -> str:
        return self.primitive if self.bits is None else f"{self.primitive} at {self.bits} bit"


@dataclass(frozen=True)
class Judgement:
    """What became of a job: ``stated`` are the bits that the method states for float32."""

    job: Job
    stated: int
    entry: Entry

    def to_json(self) -> dict[str, Any]:
        """In what ``json.dumps`` takes; ``bits`` is the width, what is proven is ``proven``."""
        entry = self.entry.to_json()
        proven = {"proven": entry.pop("bits"), "proven_single": entry.pop("bits_single")}
        del entry["name"]
        return {**vars(self.job), "stated_single_bits": self.stated, **proven, **entry}


@dataclass(frozen=True)
class Summary:
    """One primitive of a method over its widths.

    Attributes
    ----------
    bits : by result (value, vjp, ..., and "float32"), the least bits proven and the width where that was
    """

    method: str
    primitive: str
    kind: str
    widths: tuple[int, ...]
    bits: dict[str, tuple[float, int | None]]
    stated: int
    points: int
    compared: int
    seconds: float
    passed: bool


class _Noticing(PinnedDraw):
    """A pinned draw that knows whether its width was asked for."""

    def __init__(self, draw: Draw, bits: int) -> None:
        self.asked = False
        super().__init__(draw, bits)

    @property
    def bits(self) -> int:
        self.asked = True
        return self._bits

    @bits.setter
    def bits(self, bits: int) -> None:
        self._bits = bits


def widths_of(primitive: Primitive, widths: Sequence[int]) -> tuple[int | None, ...]:
    """Those of the widths that the primitive has examples of; (None,) for one that has no width."""
    found = []
    for bits in widths:
        draw = _Noticing(SeededDraw(bits), bits)
        try:
            _until_drawn(primitive.examples, draw, np.float64)
        except NoSuchWidth:
            continue
        if not draw.asked:
            return (None,)
        found.append(bits)
    return tuple(found)


def _until_drawn(examples: Callable[[Draw, Any], Any], draw: Draw, dtype: Any) -> Any:
    """An example; drawn anew while other choices exclude the pinned width.

    Raises
    ------
    NoSuchWidth
        If none comes.
    """
    for _ in range(_TRIES - 1):
        try:
            return examples(draw, dtype)
        except NoSuchWidth:
            continue
    return examples(draw, dtype)


def pinned(primitive: Primitive, bits: int | None) -> Primitive:
    """The primitive with examples of one width alone, and with the kinks that exist there."""
    if bits is None:
        return primitive

    def at_width(examples: Callable[[Draw, Any], Any]) -> Callable[[Draw, Any], Any]:
        return lambda draw, dtype: _until_drawn(examples, PinnedDraw(draw, bits), dtype)

    def exists(kink: Kink) -> bool:
        try:
            kink.at(SeededDraw(0), np.float64)
        except NoSuchWidth:
            return False
        return True

    kinks = [dataclasses.replace(kink, at=at_width(kink.at)) for kink in primitive.kinks]
    return dataclasses.replace(
        primitive, examples=at_width(primitive.examples), kinks=tuple(kink for kink in kinks if exists(kink))
    )


def select_methods(names: Sequence[str]) -> list[Method]:
    """The methods that were asked for, all where none was; InputError for a name that is none."""
    for name in names:
        if name not in METHODS:
            raise InputError(f"NAME: no method is named {name!r}; there are {', '.join(METHODS)}")
    return [METHODS[name] for name in dict.fromkeys(names)] or list(METHODS.values())


def jobs_of(method: Method) -> list[Job]:
    """The jobs of a method; a width that no primitive has examples of is a job of the first one, and fails."""
    found = [
        Job(method.name, name, bits)
        for name in method.primitives
        for bits in widths_of(PRIMITIVES[name], method.widths())
    ]
    covered = {job.bits for job in found}
    missing = [] if covered == {None} else [bits for bits in method.widths() if bits not in covered]
    return found + [Job(method.name, method.primitives[0], bits) for bits in missing]


def judge_job(job: Job, points: int = 20, number: int = 0) -> Judgement:
    """Judge one primitive at one width."""
    stated = METHODS[job.method].single_bits
    entry = judge_primitive(pinned(PRIMITIVES[job.primitive], job.bits), points, number, stated)
    return Judgement(job, stated, entry)


def judge_quantizers(jobs: Sequence[Job], points: int = 20, number: int = 0, processes: int = 2) -> Iterator[Judgement]:
    """Do the jobs in several processes; the judgements come as they are done."""
    yield from in_processes(judge_job, [(job, points, number) for job in jobs], processes)


def summaries(judgements: Sequence[Judgement]) -> list[Summary]:
    """One a primitive of a method, in the order in which they come first."""
    groups: dict[tuple[str, str], list[Judgement]] = {}
    for judgement in judgements:
        groups.setdefault((judgement.job.method, judgement.job.primitive), []).append(judgement)
    return [_summary(group) for group in groups.values()]


def _summary(group: Sequence[Judgement]) -> Summary:
    bits: dict[str, tuple[float, int | None]] = {}
    for judgement in group:
        entry, width = judgement.entry, judgement.job.bits
        for result, proven in {**entry.bits, "float32": entry.bits_single}.items():
            if result not in bits or proven < bits[result][0]:
                bits[result] = (proven, None if proven == math.inf else width)
    first = group[0]
    return Summary(
        first.job.method,
        first.job.primitive,
        # Not every kink exists at every width.
        max(group, key=lambda judgement: len(judgement.entry.kinks)).entry.kind,
        tuple(j.job.bits for j in group if j.job.bits is not None),
        bits,
        first.stated,
        sum(j.entry.points for j in group),
        sum(j.entry.compared for j in group),
        sum(j.entry.seconds for j in group),
        all(j.entry.passed for j in group),
    )
