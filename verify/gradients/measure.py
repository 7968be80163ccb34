"""How far a computed float is from an enclosed real number, in bits of the sum of the terms; exact throughout."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

from flint import fmpq

from verify.gradients.ball import Ball, Undecided, precision

__all__ = ["LAST_PRECISION", "agreeing_bits", "largest_error", "middle", "rounded_up", "until_decided"]

#: Working precision, in bits, at which what is still not decided is given up.
LAST_PRECISION = 1 << 14

T = TypeVar("T")


def until_decided(compute: Callable[[], T], first: int) -> T:
    """What ``compute`` returns under the first working precision, doubled each time, that decides all its questions.

    Raises
    ------
    Undecided
        If 16384 bits and more do not.
    """
    bits = first
    while True:
        try:
            with precision(bits):
                return compute()
        except Undecided as undecided:
            if bits >= LAST_PRECISION:
                raise Undecided(f"{undecided} (working precision {bits} bits)") from None
            bits *= 2


def agreeing_bits(error: fmpq, terms: fmpq) -> float:
    """The largest k with error <= 2^-k terms; infinite without an error, minus infinite without terms."""
    if error == 0:
        return math.inf
    if terms == 0:
        return -math.inf
    quotient = terms / error
    if quotient >= 1:
        return int(quotient.floor()).bit_length() - 1
    return -(int((1 / quotient).ceil()) - 1).bit_length()


def largest_error(got: float, truth: Ball) -> fmpq:
    """The distance from ``got`` to the far end of the enclosure."""
    low, high = truth.bounds()
    exact = fmpq(*got.as_integer_ratio())
    return max(abs(exact - low), abs(exact - high))


def _float_of(rational: fmpq) -> float:
    try:
        return int(rational.p) / int(rational.q)
    except OverflowError:
        return math.inf if rational > 0 else -math.inf


def middle(truth: Ball) -> float:
    """The float64 nearest to the middle of the enclosure; infinite beyond the largest."""
    low, high = truth.bounds()
    return _float_of((low + high) / 2)


def rounded_up(rational: fmpq) -> float:
    """A float64 above the rational; infinite where there is none."""
    return math.nextafter(_float_of(rational), math.inf)
