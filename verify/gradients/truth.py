"""The correctly rounded value and gradient of a formula, and certificates for float64 implementations of it.

The formula is an ordinary Python function written with operators and ``minigrad.elementary``; it runs unchanged on
``Ball`` (the truth), on ``Series`` over balls (its derivatives) and on ``Magnitude`` (the sum of its terms).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from flint import fmpq

from minigrad.errors import InputError
from verify.gradients.ball import Ball, precision
from verify.gradients.magnitude import Magnitude
from verify.gradients.measure import agreeing_bits, largest_error, middle, rounded_up, until_decided
from verify.gradients.series import Series

__all__ = ["Bound", "Certificate", "Truth", "certify", "enclose", "sum_of_terms", "value_and_gradient"]

#: Working precision that the loop which rounds correctly starts with.
FIRST_PRECISION = 128
#: Working precision of a certificate: enough that the enclosure's width does not show beside an error of 2^-60.
CERTIFICATE_PRECISION = 192

Formula = Callable[..., Any]


@dataclass(frozen=True)
class Truth:
    """A value and its partial derivatives, correctly rounded to float64 (half to even), and what to measure errors by.

    ``gradient`` and ``gradient_terms`` have one entry an argument, in the order of the arguments.
    """

    value: float
    gradient: tuple[float, ...]
    value_terms: float
    gradient_terms: tuple[float, ...]


def _evaluate(formula: Formula, args: Sequence[Any], scalar: type) -> tuple[Any, list[Any]]:
    """The value and the partial derivatives of a formula in the arithmetic of ``scalar``."""
    if not args:
        raise InputError("args: expected at least one argument")
    partials = []
    value: Any = None
    for position in range(len(args)):
        numbers: list[Any] = [scalar(a) for a in args]
        numbers[position] = Series.variable(numbers[position])
        result = formula(*numbers)
        # A formula that returns a number has chosen a branch without this argument.
        if not isinstance(result, Series):
            result = Series((result if isinstance(result, scalar) else scalar(result), scalar(0)))
        partials.append(result.derivative())
        value = result.constant
    return value, partials


def enclose(formula: Formula, args: Sequence[Any], bits: int) -> tuple[Ball, list[Ball]]:
    """Enclosures of the value and of the partial derivative by every argument, at ``bits`` bits.

    Raises
    ------
    Undecided
        Where the precision does not decide a comparison or an interval index.
    """
    with precision(bits):
        return _evaluate(formula, args, Ball)


def sum_of_terms(formula: Formula, args: Sequence[float]) -> tuple[float, tuple[float, ...]]:
    """The sums of the absolute values of the terms of the value and of each partial derivative (see ``Magnitude``)."""
    value, partials = _evaluate(formula, args, Magnitude)
    terms = (value.terms, *(p.terms for p in partials))
    if not all(math.isfinite(t) for t in terms):
        raise InputError(f"args: the terms overflow float64 at {tuple(args)}")
    return terms[0], terms[1:]


def value_and_gradient(formula: Formula, args: Sequence[float]) -> Truth:
    """Evaluate with growing precision until the value and every partial derivative round to one float64.

    The loop ends unless a result that is not computed exactly lies exactly between two floats. DSQ's do not: at
    interval ends and middles they are computed exactly, and elsewhere they are irrational (docs/oracle.md).

    Parameters
    ----------
    formula : a function of ``len(args)`` numbers
    args : float64 numbers, taken exactly

    Raises
    ------
    Undecided
        If 16384 bits do not settle a result.
    """

    def rounded() -> tuple[float, tuple[float, ...]]:
        value, partials = _evaluate(formula, args, Ball)
        return value.nearest(), tuple(p.nearest() for p in partials)

    value, gradient = until_decided(rounded, FIRST_PRECISION)
    value_terms, gradient_terms = sum_of_terms(formula, args)
    return Truth(value, gradient, value_terms, gradient_terms)


@dataclass(frozen=True)
class Bound:
    """What is proven about one output: |error| <= 2^-bits times the sum of the terms, at every point looked at.

    ``bits`` is infinite where every result is the real number itself, and minus infinite where a result is wrong
    although its sum of terms is 0. The rest describes the worst point: its index, arguments, what was computed, the
    truth to float64, an upper bound of the error, and the sum of the terms.
    """

    name: str
    bits: float
    index: int
    arguments: tuple[float, ...]
    got: float
    truth: float
    error: float
    terms: float

    def __str__(self) -> str:
        if self.bits == math.inf:
            return f"{self.name}: every value exact"
        point = ", ".join(repr(a) for a in self.arguments)
        return (
            f"{self.name}: |error| <= 2^{-self.bits:g} of the sum of the terms; worst at point {self.index} ({point}): "
            f"got {self.got!r}, truth {self.truth!r}, |error| <= {self.error:.3g}, terms {self.terms:.3g}"
        )


@dataclass(frozen=True)
class Certificate:
    """The bounds of a value and its partial derivatives over ``points`` points."""

    points: int
    bounds: tuple[Bound, ...]

    @property
    def bits(self) -> float:
        """What holds for all outputs alike."""
        return min(bound.bits for bound in self.bounds)

    def __getitem__(self, name: str) -> Bound:
        return next(bound for bound in self.bounds if bound.name == name)

    def __str__(self) -> str:
        return "\n".join([f"{self.points} points", *(str(bound) for bound in self.bounds)])


def _bounds_at(
    formula: Formula, args: tuple[float, ...], index: int, names: Sequence[str], results: Sequence[float]
) -> list[Bound]:
    """One bound an output at one point."""
    value_terms, gradient_terms = sum_of_terms(formula, args)

    def measured() -> list[Bound]:
        value, partials = _evaluate(formula, args, Ball)
        bounds = []
        rows = zip(names, results, (value, *partials), (value_terms, *gradient_terms), strict=True)
        for name, got, truth, terms in rows:
            error = largest_error(got, truth)
            bits = agreeing_bits(error, fmpq(*terms.as_integer_ratio()))
            bounds.append(Bound(name, bits, index, args, got, middle(truth), rounded_up(error), terms))
        return bounds

    return until_decided(measured, CERTIFICATE_PRECISION)


def certify(
    formula: Formula,
    arguments: Sequence[Any],
    value: Any,
    partials: Sequence[Any],
    *,
    names: Sequence[str] = ("y", "dx", "dl", "du", "dalpha"),
) -> Certificate:
    """Prove how far a float implementation's results are from the real ones.

    Parameters
    ----------
    formula : the function of one number an argument that the results claim to be, for instance
        ``lambda x, l, u, alpha: soft(x, l, u, alpha, 2)``
    arguments : one an argument of the formula, arrays or scalars of float32 or float64 that broadcast; taken exactly
    value : what was computed, shape of the broadcast arguments
    partials : the partial derivative of every element by each argument (elementwise, not summed), the same shape
    names : of the value and the partials, for the report

    Returns
    -------
    Certificate
        One ``Bound`` for the value and for each partial derivative.

    Raises
    ------
    InputError
        If shapes or counts do not fit, or a result is not a finite number.
    """
    points = [np.ravel(a) for a in np.broadcast_arrays(*(np.asarray(a, np.float64) for a in arguments))]
    computed = [np.ravel(np.asarray(c, np.float64)) for c in (value, *partials)]
    if len(computed) != len(points) + 1 or len(names) < len(computed):
        raise InputError(f"partials: expected one an argument ({len(points)}) and a name for each")
    for name, array in zip(names, computed, strict=False):
        if array.size != points[0].size:
            raise InputError(f"{name}: expected {points[0].size} values, got {array.size}")
        if not np.isfinite(array).all():
            raise InputError(f"{name}: not finite at point {int(np.argmin(np.isfinite(array)))}")
    worst: list[Bound | None] = [None] * len(computed)
    for index in range(points[0].size):
        args = tuple(float(p[index]) for p in points)
        results = [float(array[index]) for array in computed]
        for output, bound in enumerate(_bounds_at(formula, args, index, names[: len(results)], results)):
            known = worst[output]
            if known is None or bound.bits < known.bits:
                worst[output] = bound
    return Certificate(points[0].size, tuple(bound for bound in worst if bound is not None))
