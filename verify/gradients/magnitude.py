"""The sum of the absolute values of a formula's terms, computed beside its float64 value.

Gradients cross zero, so errors are not measured against the result but against what was added up on the way. The sum of
the terms, written T, is defined operation by operation (a, b have the terms A, B; every rule keeps T >= |value|):

    a number or argument x    T = |x|
    a + b, a - b              T = A + B
    a b                       T = |a| B + |b| A
    a / b                     T = (A + |a / b| B) / |b|
    f(a), f elementary        T = |f'(a)| A + |f(a)|
    floor(a)                  T = |floor(a)|  (an integer, known exactly)
    -a, |a|, a chosen branch  T unchanged

A computation of which every operation is rounded once (error at most 2^-53 of its result) and that chains at most d of
them has, to first order, an error of at most ``d 2^-53 T``: T adds at least |result| for every operation, and the error
of an operand arrives multiplied exactly as its terms do. Arguments count as terms too, although they are exact: so
``1 - alpha`` weighs 1 + alpha, and a formula that rounds an argument's neighbour (``2/alpha - 1`` for
``2 (1 - alpha)/alpha``) is measured with the same rod. Derivatives are the same rules applied to a power series of
Magnitudes (``Series``), so ``1 - tanh^2`` weighs 1 + tanh^2 and more: what a formula loses there it may lose.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad import elementary
from minigrad.errors import InputError
from verify.gradients.scalar import Scalar, exponent_of, integer_power

__all__ = ["Magnitude"]


class Magnitude(Scalar):
    """A float64 value with the sum of the absolute values of its terms.

    Parameters
    ----------
    value : a number
    terms : the sum of the absolute values of its terms; ``abs(value)`` by default
    """

    __slots__ = ("terms", "value")

    def __init__(self, value: Any, terms: float | None = None) -> None:
        self.value = float(value)
        self.terms = abs(self.value) if terms is None else float(terms)

    def __repr__(self) -> str:
        return f"Magnitude({self.value!r}, terms={self.terms!r})"

    @staticmethod
    def _lift(other: Any) -> Magnitude | None:
        if isinstance(other, Magnitude):
            return other
        if isinstance(other, (int, float, np.integer, np.floating)) and not isinstance(other, bool):
            return Magnitude(other)
        return None

    def __neg__(self) -> Magnitude:
        return Magnitude(-self.value, self.terms)

    def __add__(self, other: Any) -> Magnitude:
        b = self._lift(other)
        return NotImplemented if b is None else Magnitude(self.value + b.value, self.terms + b.terms)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Magnitude:
        b = self._lift(other)
        return NotImplemented if b is None else self + -b

    def __rsub__(self, other: Any) -> Magnitude:
        return -self + other

    def __mul__(self, other: Any) -> Magnitude:
        b = self._lift(other)
        if b is None:
            return NotImplemented
        return Magnitude(self.value * b.value, abs(self.value) * b.terms + abs(b.value) * self.terms)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Magnitude:
        b = self._lift(other)
        if b is None:
            return NotImplemented
        quotient = self.value / b.value
        return Magnitude(quotient, (self.terms + abs(quotient) * b.terms) / abs(b.value))

    def __rtruediv__(self, other: Any) -> Magnitude:
        a = self._lift(other)
        return NotImplemented if a is None else a / self

    def __pos__(self) -> Magnitude:
        return self

    def __pow__(self, exponent: Any) -> Magnitude:
        n = exponent_of(exponent)
        return NotImplemented if n is None else integer_power(self, n, Magnitude(1))

    # ---- decisions, by the value ----

    def __lt__(self, other: Any) -> bool:
        return self.value < _value(other)

    def __le__(self, other: Any) -> bool:
        return self.value <= _value(other)

    def __gt__(self, other: Any) -> bool:
        return self.value > _value(other)

    def __ge__(self, other: Any) -> bool:
        return self.value >= _value(other)

    def __eq__(self, other: object) -> bool:
        return self.value == _value(other)

    def __ne__(self, other: object) -> bool:
        return self.value != _value(other)

    def __abs__(self) -> Magnitude:
        return Magnitude(abs(self.value), self.terms)

    def sign(self) -> int:
        """-1, 0 or +1."""
        return (self.value > 0) - (self.value < 0)

    def floor(self) -> Magnitude:
        """The largest integer not above the value."""
        return Magnitude(math.floor(self.value))

    def clip(self, low: Any, high: Any) -> Any:
        """The magnitude where its value lies in [low, high], else the bound."""
        if self < low:
            return low if isinstance(low, Magnitude) else Magnitude(low)
        if self > high:
            return high if isinstance(high, Magnitude) else Magnitude(high)
        return self

    # ---- elementary functions; minigrad's own, so that the sums are the same bits on every machine ----

    def _apply(self, value: Any, slope: Any) -> Magnitude:
        return Magnitude(value, abs(float(slope)) * self.terms + abs(float(value)))

    def sqrt(self) -> Magnitude:
        if self.value < 0:
            raise InputError(f"sqrt: expected a number not below 0, got {self!r}")
        root = math.sqrt(self.value)
        if root == 0:
            return Magnitude(0.0, 0.0 if self.terms == 0 else math.inf)
        return self._apply(root, 0.5 / root)

    def erf(self) -> Magnitude:
        return self._apply(elementary.erf(self.value), self.erf_slope().value)

    def erf_slope(self) -> Magnitude:
        """The derivative of erf: 2/sqrt(pi) e^(-x^2)."""
        slope = float(elementary.erf_slope(self.value))
        return self._apply(slope, 2 * self.value * slope)

    def exp(self) -> Magnitude:
        value = float(elementary.exp(self.value))
        return self._apply(value, value)

    def expm1(self) -> Magnitude:
        value = float(elementary.expm1(self.value))
        return self._apply(value, value + 1.0)

    def log(self) -> Magnitude:
        return self._apply(elementary.log(self.value), 1.0 / self.value)

    def log1p(self) -> Magnitude:
        return self._apply(elementary.log1p(self.value), 1.0 / (1.0 + self.value))

    def tanh(self) -> Magnitude:
        value = float(elementary.tanh(self.value))
        return self._apply(value, (1.0 - value) * (1.0 + value))


def _value(number: Any) -> Any:
    return number.value if isinstance(number, Magnitude) else number
