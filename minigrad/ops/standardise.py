"""What batch, layer and group normalisation share: a set of numbers brought to mean 0 and variance 1.

A set x of m numbers becomes n = (x - mean(x)) r with r = 1 / sqrt(mean((x - mean(x))^2) + eps). Along a direction t

    dn = r (t - mean(t) - n mean(n t)) =: P(t)

P is symmetric, so the gradient of sum(h n) is P(h). Deriving P(h) once more, with a = mean(n t), b = mean(n h),
dr = -r^2 a, dn = P(t) and db = mean(h P(t)):

    dP(h) = -r^2 (a (h - mean(h) - n b) + b (t - mean(t) - n a) + n c),   c = mean(h (t - mean(t) - n a))

which is symmetric in h and t, as a second derivative has to be: ``Q(h, t)``.

The sets are the columns of arrays (m, sets, ...); all means are by the tree of ``minigrad.reduction``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.errors import InputError
from minigrad.reduction import tree_sum

__all__ = ["Standard", "check_eps", "mean_and_variance", "standardise"]

Array = np.ndarray


def check_eps(eps: Any, name: str) -> None:
    """InputError unless eps is a finite number above 0."""
    if isinstance(eps, bool) or not isinstance(eps, (int, float, np.floating)) or not 0 < eps < float("inf"):
        raise InputError(f"{name}: eps: expected a finite number above 0, got {eps!r}")


def mean_and_variance(columns: Array) -> tuple[Array, Array]:
    """Mean and biased variance of every column."""
    mean = tree_sum(columns) / columns.shape[0]
    centred = columns - mean
    return mean, tree_sum(centred * centred) / columns.shape[0]


@dataclass(frozen=True)
class Standard:
    """Standardised columns n (m, ...) and the factor r (...) they were scaled by."""

    n: Array
    r: Array

    def _mean(self, columns: Array) -> Array:
        return tree_sum(columns) / columns.shape[0]

    def _centred(self, t: Array) -> Array:
        """t - mean(t) - n mean(n t)."""
        return t - self._mean(t) - self.n * self._mean(self.n * t)

    def first(self, t: Array) -> Array:
        """P(t): the derivative of n along t, and the gradient of sum(t n)."""
        return self.r * self._centred(t)

    def second(self, h: Array, t: Array) -> Array:
        """Q(h, t): the derivative along t of the gradient of sum(h n)."""
        along_h, along_t = self._centred(h), self._centred(t)
        bent = self._mean(self.n * t) * along_h + self._mean(self.n * h) * along_t + self.n * self._mean(h * along_t)
        return -(self.r * self.r) * bent


def standardise(columns: Array, eps: float) -> Standard:
    """Columns (m, ...) of mean 0 and variance 1 (a little less: eps is added to the variance)."""
    mean, variance = mean_and_variance(columns)
    inverse = 1 / np.sqrt(variance + columns.dtype.type(eps))
    return Standard((columns - mean) * inverse, inverse)
