"""The whole registry judged: primitives certified, held against differences, their kinks against what they declare.

Examples are drawn by hypothesis, so what is reported of a failure is the smallest example it could find.
"""

from __future__ import annotations

import math
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisException

import quant  # noqa: F401  registers the quantizers' primitives
from minigrad.draw import Draw
from minigrad.errors import InputError
from minigrad.primitive import PRIMITIVES, Primitive
from verify.gradients.arrays import ArrayCertificate, certify_primitive
from verify.gradients.hypothesis_draw import HypothesisDraw
from verify.gradients.primitives import check_primitive, positions_of

__all__ = [
    "REQUIRED_BITS",
    "REQUIRED_BITS_SINGLE",
    "RESULTS",
    "Entry",
    "in_processes",
    "judge",
    "judge_all",
    "judge_primitive",
    "kind_of",
    "select",
]

T = TypeVar("T")

#: What has to be proven of value and derivatives in float64: |error| <= 2^-45 of the sum of the terms.
REQUIRED_BITS = 45
#: The same in float32, as far below its 24 bits as 45 is below 53.
REQUIRED_BITS_SINGLE = 16
#: Seconds to look for a smaller example once something failed.
_SHRINKING = 10.0
#: The results of a primitive that are certified.
RESULTS = ("value", "vjp", "jvp", "hvp")


@dataclass(frozen=True)
class Entry:
    """The judgement of one primitive.

    Attributes
    ----------
    name, kind : of the primitive; what its gradient is declared to be
    points : examples looked at
    bits : proven bits of value, vjp, jvp and hvp, the least over all points (infinite: exact); a result that does not
        exist is missing
    bits_single : proven bits of all of them in float32
    compared, undecided : numbers held against differences, and how many of them did not settle
    rates : the fitted rates of the Taylor remainders R0, R1, R2 and their verdicts, at the point where most were seen
    kinks : what was found at each declared kink
    failures : what does not hold, with snippets; empty where all holds
    seconds : of one process
    """

    name: str
    kind: str
    points: int
    bits: dict[str, float]
    bits_single: float
    compared: int
    undecided: int
    rates: str
    kinks: dict[str, str]
    failures: tuple[str, ...]
    seconds: float

    @property
    def passed(self) -> bool:
        return not self.failures and self.points > 0

    def to_json(self) -> dict[str, Any]:
        """The entry in what ``json.dumps`` takes; infinite bits are the word "exact"."""
        bits = {key: _exact_or(value) for key, value in self.bits.items()}
        single = _exact_or(self.bits_single)
        failures = list(self.failures)
        return {**vars(self), "bits": bits, "bits_single": single, "failures": failures, "passed": self.passed}


def _exact_or(bits: float) -> float | str:
    return "exact" if bits == math.inf else bits


def kind_of(primitive: Primitive) -> str:
    """What the gradient is declared to be: smooth, with kinks or jumps, a surrogate's, or a formula."""
    words = [] if primitive.surrogate is None else ["surrogate"]
    words += [] if primitive.modifier is None else ["modifier"]
    for kind, count in Counter("jump" if kink.jump else "kink" for kink in primitive.kinks).items():
        words.append(f"{count} {kind}{'s' if count > 1 else ''}")
    return ", ".join(words) or "smooth"


def select(names: Sequence[str]) -> list[str]:
    """The names in the registry that were asked for, all where none was; InputError for one that is not there."""
    known = sorted(PRIMITIVES)
    for name in names:
        if name not in PRIMITIVES:
            raise InputError(f"NAME: no primitive is named {name!r}; there are {', '.join(known)}")
    return list(dict.fromkeys(names)) or known


#: In the words of the Taylor check: the remainder is nothing but rounding.
_FLOOR = "at the noise floor"


class _Enough(BaseException):
    """Raised through hypothesis to end its search for a smaller failure."""


def _drawn(run: Callable[[st.DataObject], None], points: int, number: int) -> str | None:
    """Run a check on examples that hypothesis draws; the message of the smallest failure it found, or None."""
    found: list[str] = []
    until = math.inf

    def watched(data: st.DataObject) -> None:
        nonlocal until
        try:
            run(data)
        except HypothesisException:  # no failure: hypothesis tells itself something
            raise
        except Exception as failure:  # a rule may raise anything
            until = min(until, time.monotonic() + _SHRINKING)
            found.append(_words(failure))
            if time.monotonic() > until:
                raise _Enough from None
            raise

    checks = settings(
        max_examples=points,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        print_blob=False,
        report_multiple_bugs=False,
    )
    # Hypothesis raises what it found; while shrinking, every failure is smaller than those before.
    try:
        seed(number)(checks(given(st.data())(watched)))()
    except (_Enough, Exception):
        if not found:
            raise
    return found[-1] if found else None


def _words(failure: Exception) -> str:
    """An assertion speaks for itself; of anything else the kind and the place are told too."""
    if isinstance(failure, (AssertionError, InputError)) and str(failure):
        return str(failure)
    place = traceback.extract_tb(failure.__traceback__)[-1]
    return f"{type(failure).__name__}: {failure} (in {place.name}, {Path(place.filename).name}:{place.lineno})"


def judge(name: str, points: int = 20, number: int = 0) -> Entry:
    """Judge the primitive of that name (``judge_primitive``)."""
    return judge_primitive(PRIMITIVES[name], points, number)


def judge_primitive(
    primitive: Primitive, points: int = 20, number: int = 0, single_bits: int = REQUIRED_BITS_SINGLE
) -> Entry:
    """Judge one primitive.

    Every point is certified in ball arithmetic; a quarter as many are certified in float32, and as many again are held
    against differences, Taylor rates, the complex step and the adjoint, with a point on every declared kink.

    Parameters
    ----------
    primitive : with its examples, from the registry or like one of it
    points : examples to certify, at least 1
    number : seed of the examples
    single_bits : what has to be proven in float32
    """
    start = time.process_time()
    bits: dict[str, float] = {}
    seen = {"points": 0, "compared": 0, "undecided": 0}
    kinks: dict[str, str] = {}
    rates, bits_single = "", math.inf

    def certified(data: st.DataObject) -> None:
        certificate = _certify(primitive, HypothesisDraw(data), np.float64)
        certificate.require(REQUIRED_BITS)
        seen["points"] += 1
        for bound in certificate.bounds:
            result = bound.name.split("[")[0]
            bits[result] = min(bits.get(result, math.inf), bound.bits)

    def certified_single(data: st.DataObject) -> None:
        nonlocal bits_single
        certificate = _certify(primitive, HypothesisDraw(data), np.float32)
        certificate.require(single_bits)
        bits_single = min(bits_single, certificate.bits)

    def compared(data: st.DataObject) -> None:
        nonlocal rates
        verdict = check_primitive(primitive, HypothesisDraw(data)).require()
        seen["compared"] += verdict.compared
        seen["undecided"] += verdict.undecided
        for result in verdict.results:
            if result.check.startswith("kink "):
                kinks[result.check.removeprefix("kink ")] = result.note
            elif result.check == "Taylor" and (not rates or result.note.count(_FLOOR) < rates.count(_FLOOR)):
                rates = result.note

    few = max(1, points // 4)
    found = [_drawn(certified, points, number), _drawn(certified_single, few, number), _drawn(compared, few, number)]
    failures = tuple(failure for failure in found if failure is not None)
    seconds = time.process_time() - start
    return Entry(
        primitive.name,
        kind_of(primitive),
        bits=bits,
        bits_single=bits_single,
        rates=rates,
        kinks=kinks,
        failures=failures,
        seconds=seconds,
        **seen,
    )


def _certify(primitive: Primitive, draw: Draw, dtype: Any) -> ArrayCertificate:
    arrays, options = primitive.examples(draw, dtype)
    value, _ = primitive.forward(*arrays, **options)
    gy = draw.uniform(-2.0, 2.0, np.shape(value)).astype(dtype)
    positions = positions_of(primitive, len(arrays))
    tangents = [
        draw.uniform(-2.0, 2.0, a.shape).astype(dtype) if n in positions else None for n, a in enumerate(arrays)
    ]
    return certify_primitive(primitive, arrays, options, gy, tangents)


def judge_all(names: Sequence[str], points: int = 20, number: int = 0, processes: int = 2) -> Iterator[Entry]:
    """Judge primitives in several processes; the entries come as they are done."""
    if points < 1 or processes < 1:
        raise InputError(f"points, processes: expected at least 1, got {points} and {processes}")
    yield from in_processes(judge, [(name, points, number) for name in names], processes)


def in_processes(function: Callable[..., T], calls: Sequence[tuple[Any, ...]], processes: int) -> Iterator[T]:
    """What a function of a module returns for each tuple of arguments, in the order in which they are done."""
    if processes == 1 or len(calls) == 1:
        yield from (function(*call) for call in calls)
        return
    # A fresh interpreter each: the kernels' threads do not survive a fork.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        waiting = [pool.submit(function, *call) for call in calls]
        try:
            for done in as_completed(waiting):
                yield done.result()
        finally:
            for future in waiting:
                future.cancel()
