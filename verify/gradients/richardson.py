"""Richardson's extrapolation of differences whose steps shrink by 4, with the error of every candidate.

A Neville table: from the values of two steps of which one power of the step has been removed, the next one is. The
error of a candidate is the larger of its distances to the coarser of the two it is made from, and to one more of the
step before (of its own order, else the one before that), plus the rounding of the differences, carried through the
table term by term. That is more than the candidate's own truncation, which is a power of the step smaller. The first
distance alone would not do: where terms of the truncation cancel, two values agree by chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from verify.gradients.problem import Array

__all__ = ["RATIO", "Observed", "Table"]

#: From one step to the next.
RATIO = 4.0
_ORDERS = 5
#: So many of the smallest steps show the scatter.
_SMALLEST = 5
#: What bounds the noise where four differences show it.
_SPREAD = 4.0


@dataclass(frozen=True)
class Observed:
    """What was measured at a step: differences, and what rounding may add to them; NaN where there is none."""

    step: float
    difference: Array
    rounding: Array

    def contradicts(self, candidate: Array) -> Array:
        """By how much more than rounding explains; 0 where it does."""
        return np.fmax(np.abs(self.difference - candidate) - self.rounding, 0.0)


class Table:
    """The extrapolation of one kind of difference, elementwise over arrays of one shape.

    Parameters
    ----------
    first, each : the powers of the step in its error: first, first + each, first + 2 each, ...
    keep : whether to remember every candidate, for ``consistent``
    """

    def __init__(self, shape: tuple[int, ...], first: int, each: int, keep: bool = False) -> None:
        self._factors = [RATIO ** (first + each * n) for n in range(_ORDERS)]
        self._row: list[tuple[Array, Array]] = []
        self._candidates: list[tuple[float, Array, Array]] = []
        self._observed: list[Observed] = []
        self._keep = keep
        #: The candidate of the smallest error so far.
        self.value, self.error = np.full(shape, np.nan), np.full(shape, np.inf)

    def add(self, seen: Observed) -> None:
        """The next smaller step."""
        row = [(seen.difference, seen.rounding)]
        for order, (factor, (coarse, coarse_rounding)) in enumerate(zip(self._factors, self._row, strict=False), 1):
            fine, fine_rounding = row[-1]
            value = fine + (fine - coarse) / (factor - 1)
            rounding = fine_rounding + (fine_rounding + coarse_rounding) / (factor - 1)
            row.append((value, rounding))
            if len(self._row) == 1:
                break  # there is nothing before
            before = self._row[order if order < len(self._row) else order - 2][0]
            error = np.maximum(np.abs(value - coarse), np.abs(value - before)) + rounding
            better = error < self.error
            self.value, self.error = np.where(better, value, self.value), np.where(better, error, self.error)
            if self._keep:
                self._candidates.append((seen.step, value, error))
        self._row = row
        self._observed.append(seen)

    def scatter(self) -> Array:
        """By how much the differences of the smallest steps scatter, times the step: so noise shows, and only it."""
        found = [np.abs(b.difference - a.difference) * a.step for a, b in pairwise(self._observed[-_SMALLEST:])]
        return _SPREAD * np.nan_to_num(np.fmax.reduce(found), nan=0.0)

    def consistent(self, checks: Sequence[Observed]) -> tuple[Array, Array]:
        """The candidate of the smallest error when more counts as error: the largest contradiction of a smaller step,
        and the scatter, in case the rounding was understated."""
        best, least = np.full(self.value.shape, np.nan), np.full(self.value.shape, np.inf)
        scatter = self.scatter()
        for step, value, error in self._candidates:
            doubt = np.zeros(self.value.shape)
            for seen in (*self._observed, *checks):
                if seen.step < step:
                    doubt = np.fmax(doubt, seen.contradicts(value) - scatter / seen.step)
            total = error + doubt + scatter / step
            better = total < least
            best, least = np.where(better, value, best), np.where(better, total, least)
        return best, least
