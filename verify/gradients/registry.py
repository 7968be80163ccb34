"""The whole registry judged: primitives certified, held against differences, their kinks against what they declare.

Examples are drawn by hypothesis, so what is reported of a failure is the smallest example it could find.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

import quant  # noqa: F401  registers the quantizers' primitives
from minigrad.errors import InputError
from minigrad.primitive import PRIMITIVES, Primitive
from verify.gradients.arrays import certify_primitive
from verify.gradients.hypothesis_draw import HypothesisDraw
from verify.gradients.primitives import check_primitive, positions_of

__all__ = ["REQUIRED_BITS", "RESULTS", "Entry", "judge", "judge_all", "kind_of", "select"]

#: What has to be proven of value and derivatives in float64: |error| <= 2^-45 of the sum of the terms.
REQUIRED_BITS = 45
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
        bits = {key: "exact" if value == math.inf else value for key, value in self.bits.items()}
        return {**vars(self), "bits": bits, "failures": list(self.failures), "passed": self.passed}


def kind_of(primitive: Primitive) -> str:
    """What the gradient is declared to be: smooth, with kinks or jumps, or a surrogate's."""
    words = [] if primitive.surrogate is None else ["surrogate"]
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
_FAILURES = (AssertionError, ArithmeticError, ValueError, TypeError, IndexError)


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
        except _FAILURES as failure:
            until = min(until, time.monotonic() + _SHRINKING)
            found.append(str(failure) or repr(failure))
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
    with contextlib.suppress(_Enough, *_FAILURES):
        seed(number)(checks(given(st.data())(watched)))()
    return found[-1] if found else None


def judge(name: str, points: int = 20, number: int = 0) -> Entry:
    """Judge one primitive.

    Every point is certified in ball arithmetic; a quarter of them are also held against differences, Taylor rates, the
    complex step and the adjoint, together with a point on every declared kink and an example in float32.

    Parameters
    ----------
    name : in the registry
    points : examples to certify, at least 1
    number : seed of the examples
    """
    primitive = PRIMITIVES[name]
    start = time.process_time()
    bits: dict[str, float] = {}
    seen = {"points": 0, "compared": 0, "undecided": 0}
    kinks: dict[str, str] = {}
    rates = ""

    def certified(data: st.DataObject) -> None:
        draw = HypothesisDraw(data)
        arrays, options = primitive.examples(draw, np.float64)
        value, _ = primitive.forward(*arrays, **options)
        gy = draw.uniform(-2.0, 2.0, np.shape(value))
        positions = positions_of(primitive, len(arrays))
        tangents = [draw.uniform(-2.0, 2.0, a.shape) if n in positions else None for n, a in enumerate(arrays)]
        certificate = certify_primitive(primitive, arrays, options, gy, tangents)
        certificate.require(REQUIRED_BITS)
        seen["points"] += 1
        for bound in certificate.bounds:
            result = bound.name.split("[")[0]
            bits[result] = min(bits.get(result, math.inf), bound.bits)

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

    found = [_drawn(certified, points, number), _drawn(compared, max(1, points // 4), number)]
    failures = tuple(failure for failure in found if failure is not None)
    seconds = time.process_time() - start
    return Entry(
        name, kind_of(primitive), bits=bits, rates=rates, kinks=kinks, failures=failures, seconds=seconds, **seen
    )


def judge_all(names: Sequence[str], points: int = 20, number: int = 0, processes: int = 2) -> Iterator[Entry]:
    """Judge primitives in several processes; the entries come as they are done."""
    if points < 1 or processes < 1:
        raise InputError(f"points, processes: expected at least 1, got {points} and {processes}")
    if processes == 1 or len(names) == 1:
        yield from (judge(name, points, number) for name in names)
        return
    # A fresh interpreter each: the kernels' threads do not survive a fork.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        waiting = [pool.submit(judge, name, points, number) for name in names]
        try:
            for done in as_completed(waiting):
                yield done.result()
        finally:
            for future in waiting:
                future.cancel()
