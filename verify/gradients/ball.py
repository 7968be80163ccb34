"""Real numbers that are either exact or enclosed: the scalar the truth is computed with.

A ``Ball`` is, in this order of preference,

- an exact rational (``flint.fmpq``): what a float64 is, and what + - * / floor and clip make of rationals;
- a rational multiple of the logarithm of a rational, still exact: ``tanh`` and ``exp`` of it are rational again where
  the multiple allows it, which is what makes DSQ meet its interval edges exactly (``tanh(ln(r)/2) = (r - 1)/(r + 1)``);
- an Arb enclosure at the working precision: the real number lies inside, proven.

Raw Arb objects answer questions they cannot answer (the floor of 2 ± 0.001 is "2", a comparison that cannot be decided
is "False"). A ``Ball`` raises ``Undecided`` there; a caller that gets it repeats the work with more bits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import flint
import numpy as np
from flint import arb, fmpq

from minigrad.errors import InputError
from verify.gradients.scalar import Scalar, exponent_of

__all__ = ["Ball", "Undecided", "precision"]

#: Integer powers of a rational are formed exactly up to this exponent.
_LARGEST_POWER = 64


class Undecided(ArithmeticError):
    """The enclosure is too wide to answer: repeat the computation with more bits."""


@contextmanager
def precision(bits: int) -> Iterator[None]:
    """Compute enclosures with ``bits`` bits inside the ``with`` block."""
    if not 2 <= bits <= 1 << 20:
        raise InputError(f"bits: expected 2 to {1 << 20} bits of working precision, got {bits}")
    before = flint.ctx.prec
    flint.ctx.prec = bits
    try:
        yield
    finally:
        flint.ctx.prec = before


def _rational(number: Any) -> fmpq | None:
    """The number as an exact rational; None where it is of a type that is not taken."""
    if isinstance(number, fmpq):
        return number
    if isinstance(number, (bool, np.bool_)):
        return None
    if isinstance(number, (int, np.integer)):
        return fmpq(int(number))
    if isinstance(number, (float, np.floating)):
        value = float(number)
        if not math.isfinite(value):
            raise InputError(f"a ball is made from a finite number, got {value}")
        return fmpq(*value.as_integer_ratio())
    if isinstance(number, Fraction):
        return fmpq(number.numerator, number.denominator)
    return None


def _sign_of(rational: fmpq) -> int:
    return (rational > 0) - (rational < 0)


def _dyadic(value: arb) -> fmpq:
    """An exact Arb number (a midpoint or a radius) as a rational."""
    mantissa, exponent = (int(part) for part in value.man_exp())
    return fmpq(mantissa << exponent) if exponent >= 0 else fmpq(mantissa, 1 << -exponent)


class Ball(Scalar):
    """A real number, exact for as long as the operations allow it, else a proven enclosure.

    Made from an ``int``, a finite float (exactly: 0.1 is the double, not one tenth), a ``Fraction``, ``flint.fmpq`` or
    ``flint.arb``. Supports + - * / with each other and with such numbers, comparisons, ``abs``, ``sign``, ``floor``,
    ``clip``, whole powers, ``sqrt``, ``exp``, ``expm1``, ``log``, ``log1p``, ``tanh``, ``erf``. There is no
    ``float(ball)``: see ``nearest`` and ``bounds``. Arrays of floats are refused; in an object array, and beside one,
    every element goes through the operators here.

    Raises
    ------
    Undecided
        By comparisons, ``floor``, ``sign``, ``abs``, ``clip``, division and ``nearest`` when the enclosure does not
        decide the answer.
    """

    __slots__ = ("_arb", "_exact", "_log")

    _exact: fmpq | None
    _log: tuple[fmpq, fmpq] | None
    _arb: arb | None

    def __init__(self, number: Any) -> None:
        self._exact = self._log = self._arb = None
        if isinstance(number, Ball):
            self._exact, self._log, self._arb = number._exact, number._log, number._arb
        elif isinstance(number, arb):
            if not number.is_finite():
                raise Undecided(f"not a finite enclosure: {number}")
            self._arb = number
        else:
            self._exact = _rational(number)
            if self._exact is None:
                raise InputError(f"a ball is made from a number, got {type(number).__name__}")

    @classmethod
    def _multiple_of_log(cls, factor: fmpq, of: fmpq) -> Ball:
        if factor == 0 or of == 1:
            return cls(0)
        ball = cls.__new__(cls)
        ball._exact, ball._log, ball._arb = None, (factor, of), None
        return ball

    @staticmethod
    def _lift(other: Any) -> Ball | None:
        if isinstance(other, Ball):
            return other
        return None if _rational(other) is None else Ball(other)

    # ---- what is known about the number ----

    @property
    def exact(self) -> fmpq | None:
        """The rational this is, or None where only an enclosure (or a logarithm) is known."""
        return self._exact

    def enclosure(self) -> arb:
        """An Arb ball that contains the number, at the working precision."""
        if self._exact is not None:
            return arb(self._exact)
        if self._log is not None:
            factor, of = self._log
            # Near 1 the logarithm is small: log1p keeps its relative accuracy.
            near_one = 2 * of > 1 and of < 2
            return arb(factor) * (arb(of - 1).log1p() if near_one else arb(of).log())
        assert self._arb is not None
        return self._arb

    def bounds(self) -> tuple[fmpq, fmpq]:
        """Rationals below and above the number (equal where it is exact)."""
        if self._exact is not None:
            return self._exact, self._exact
        ball = self.enclosure()
        middle, radius = _dyadic(ball.mid()), _dyadic(ball.rad())
        return middle - radius, middle + radius

    def nearest(self) -> float:
        """The float64 nearest to the number, half to even; ``Undecided`` where the enclosure spans several."""
        low, high = self.bounds()
        rounded = int(low.p) / int(low.q)
        if low != high and int(high.p) / int(high.q) != rounded:
            raise Undecided(f"{self!r} does not round to one float64")
        return rounded

    def __repr__(self) -> str:
        if self._exact is not None:
            return f"Ball({self._exact})"
        if self._log is not None:
            return f"Ball({self._log[0]} * log({self._log[1]}))"
        return f"Ball({self._arb})"

    # ---- arithmetic ----

    def __neg__(self) -> Ball:
        if self._exact is not None:
            return Ball(-self._exact)
        if self._log is not None:
            return Ball._multiple_of_log(-self._log[0], self._log[1])
        return Ball(-self.enclosure())

    def __pos__(self) -> Ball:
        return self

    def __add__(self, other: Any) -> Ball:
        b = self._lift(other)
        if b is None:
            return NotImplemented
        if self._exact is not None and b._exact is not None:
            return Ball(self._exact + b._exact)
        if self._exact == 0:
            return b
        if b._exact == 0:
            return self
        if self._log is not None and b._log is not None and self._log[1] == b._log[1]:
            return Ball._multiple_of_log(self._log[0] + b._log[0], self._log[1])
        return Ball(self.enclosure() + b.enclosure())

    __radd__ = __add__

    def __sub__(self, other: Any) -> Ball:
        b = self._lift(other)
        return NotImplemented if b is None else self + -b

    def __rsub__(self, other: Any) -> Ball:
        return -self + other

    def __mul__(self, other: Any) -> Ball:
        b = self._lift(other)
        if b is None:
            return NotImplemented
        if self._exact is not None and b._exact is not None:
            return Ball(self._exact * b._exact)
        if self._exact == 0 or b._exact == 0:
            return Ball(0)
        if self._exact is not None and b._log is not None:
            return Ball._multiple_of_log(self._exact * b._log[0], b._log[1])
        if self._log is not None and b._exact is not None:
            return Ball._multiple_of_log(self._log[0] * b._exact, self._log[1])
        return Ball(self.enclosure() * b.enclosure())

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Ball:
        b = self._lift(other)
        if b is None:
            return NotImplemented
        if b.sign() == 0:
            raise ZeroDivisionError("division of a ball by an exact zero")
        if b._exact is not None:
            return self * Ball(1 / b._exact)
        if self._exact == 0:
            return self
        if self._log is not None and b._log is not None and self._log[1] == b._log[1]:
            return Ball(self._log[0] / b._log[0])
        return Ball(self.enclosure() / b.enclosure())

    def __rtruediv__(self, other: Any) -> Ball:
        a = self._lift(other)
        return NotImplemented if a is None else a / self

    def __pow__(self, exponent: Any) -> Ball:
        n = exponent_of(exponent)
        if n is None:
            return NotImplemented
        if n == 0:
            return Ball(1)
        if n < 0 and self.sign() == 0:
            raise ZeroDivisionError("a negative power of an exact zero")
        if self._exact is not None and abs(n) <= _LARGEST_POWER:
            return Ball(self._exact**n)
        return self if n == 1 else Ball(self.enclosure() ** n)

    # ---- decisions ----

    def sign(self) -> int:
        """-1, 0 or +1."""
        if self._exact is not None:
            return _sign_of(self._exact)
        if self._log is not None:
            return _sign_of(self._log[0]) * _sign_of(self._log[1] - 1)
        low, high = self.bounds()
        if _sign_of(low) == _sign_of(high):
            return _sign_of(low)
        raise Undecided(f"the sign of {self!r} is not decided")

    def _compare(self, other: Any) -> int | None:
        """The sign of self - other; None where ``other`` is not a number."""
        if isinstance(other, (float, np.floating)) and math.isinf(other):
            return -1 if other > 0 else 1
        b = self._lift(other)
        return None if b is None else (self - b).sign()

    def __lt__(self, other: Any) -> bool:
        order = self._compare(other)
        return NotImplemented if order is None else order < 0

    def __le__(self, other: Any) -> bool:
        order = self._compare(other)
        return NotImplemented if order is None else order <= 0

    def __gt__(self, other: Any) -> bool:
        order = self._compare(other)
        return NotImplemented if order is None else order > 0

    def __ge__(self, other: Any) -> bool:
        order = self._compare(other)
        return NotImplemented if order is None else order >= 0

    def __eq__(self, other: object) -> bool:
        order = self._compare(other)
        return NotImplemented if order is None else order == 0

    def __ne__(self, other: object) -> bool:
        order = self._compare(other)
        return NotImplemented if order is None else order != 0

    def __abs__(self) -> Ball:
        return -self if self.sign() < 0 else self

    def floor(self) -> Ball:
        """The largest integer not above the number, exact."""
        low, high = (bound.floor() for bound in self.bounds())
        if low != high:
            raise Undecided(f"the floor of {self!r} is not decided")
        return Ball(int(low))

    def clip(self, low: Any, high: Any) -> Ball:
        """The number limited to [low, high]; which of the three it is must be decided."""
        if self < low:
            return Ball(low)
        return Ball(high) if self > high else self

    # ---- elementary functions ----

    def _power_of_base(self, multiple: int) -> fmpq | None:
        """exp(multiple * self) where it is a rational known exactly."""
        if self._exact == 0:
            return fmpq(1)
        if self._log is None:
            return None
        exponent, of = self._log[0] * multiple, self._log[1]
        if exponent.q != 1 or abs(exponent) > _LARGEST_POWER:
            return None
        return of ** int(exponent.p)

    def sqrt(self) -> Ball:
        """The square root, exact for the square of a rational."""
        if self.sign() < 0:
            raise InputError(f"sqrt: expected a number not below 0, got {self!r}")
        if self._exact is not None:
            numerator, denominator = int(self._exact.p), int(self._exact.q)
            root = fmpq(math.isqrt(numerator), math.isqrt(denominator))
            if root * root == self._exact:
                return Ball(root)
        return Ball(self.enclosure().sqrt())

    def erf(self) -> Ball:
        """The error function."""
        return Ball(0) if self._exact == 0 else Ball(self.enclosure().erf())

    def erf_slope(self) -> Ball:
        """The derivative of erf: 2/sqrt(pi) e^(-x^2)."""
        return Ball(2 / arb.pi().sqrt()) * (-(self * self)).exp()

    def exp(self) -> Ball:
        power = self._power_of_base(1)
        return Ball(self.enclosure().exp() if power is None else power)

    def expm1(self) -> Ball:
        power = self._power_of_base(1)
        return Ball(self.enclosure().expm1() if power is None else power - 1)

    def tanh(self) -> Ball:
        power = self._power_of_base(2)
        return Ball(self.enclosure().tanh() if power is None else (power - 1) / (power + 1))

    def log(self) -> Ball:
        if self.sign() <= 0:
            raise InputError(f"log: expected a positive number, got {self!r}")
        if self._exact is not None:
            return Ball._multiple_of_log(fmpq(1), self._exact)
        return Ball(self.enclosure().log())

    def log1p(self) -> Ball:
        if self._exact is not None:
            return (self + 1).log()
        if (self + 1).sign() <= 0:
            raise InputError(f"log1p: expected a number above -1, got {self!r}")
        return Ball(self.enclosure().log1p())
