"""Truncated power series: derivatives that owe nothing to a hand-written backward.

A ``Series`` is ``c0 + c1 t + ... + cn t^n`` with coefficients of one scalar class: ``Ball`` for the truth,
``Magnitude`` for the sum of the terms. A function evaluated at ``x + t`` gives f(x) and its derivatives divided by the
factorials, by the rules of calculus alone (recurrences for quotients and elementary functions).

What is piecewise constant or a choice is decided by the constant coefficient, as the quantizers declare it: ``floor``
is a constant (the interval index carries no gradient), a comparison looks at c0 only (so at a kink the side that
contains the point is the one differentiated: for DSQ ``x == l`` and ``x == u`` are inside).
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.errors import InputError
from verify.gradients.ball import Undecided
from verify.gradients.scalar import Scalar, exponent_of, integer_power

__all__ = ["Series", "Undefined"]


class Undefined(Scalar):
    """A coefficient that does not exist, such as the derivative of abs at 0: the NaN of exact numbers.

    A formula may compute it on a branch it does not take. Arithmetic keeps it; asking anything of it raises
    ``Undecided`` with the reason.
    """

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def _keep(self, *others: Any) -> Undefined:
        return NotImplemented if any(isinstance(other, np.ndarray) for other in others) else self

    def _refuse(self, *_: Any) -> Any:
        raise Undecided(self.reason)

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _keep
    __neg__ = __pos__ = __abs__ = __pow__ = _keep
    sqrt = erf = erf_slope = exp = expm1 = log = log1p = tanh = _keep
    __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __eq__ = __ne__ = __bool__ = _refuse
    sign = floor = clip = bounds = nearest = enclosure = _refuse


class Series(Scalar):
    """A power series in one variable, truncated after the order it was made with.

    Parameters
    ----------
    coefficients : of one scalar class, the constant one first

    Raises
    ------
    InputError
        When series of different orders meet.
    """

    __slots__ = ("coefficients",)

    def __init__(self, coefficients: Any) -> None:
        self.coefficients: tuple[Any, ...] = tuple(coefficients)

    @classmethod
    def variable(cls, value: Any, order: int = 1) -> Series:
        """``value + t``, the argument a function is differentiated by."""
        if order < 1:
            raise InputError(f"order: expected at least 1, got {order}")
        scalar = type(value)
        return cls((value, scalar(1), *(scalar(0) for _ in range(order - 1))))

    @property
    def order(self) -> int:
        return len(self.coefficients) - 1

    @property
    def constant(self) -> Any:
        """The value at t = 0."""
        return self.coefficients[0]

    def derivative(self, n: int = 1) -> Any:
        """The n-th derivative at t = 0."""
        value = self.coefficients[n]
        for k in range(2, n + 1):
            value = value * k
        return value

    def __repr__(self) -> str:
        return f"Series{self.coefficients}"

    def _same_order(self, other: Series) -> None:
        if other.order != self.order:
            raise InputError(f"series of orders {self.order} and {other.order} do not combine")

    # ---- arithmetic; anything that is not a series is a constant of the coefficients' arithmetic ----

    def __neg__(self) -> Series:
        return Series(-c for c in self.coefficients)

    def __pos__(self) -> Series:
        return self

    def __add__(self, other: Any) -> Series:
        if isinstance(other, np.ndarray):
            return NotImplemented
        if not isinstance(other, Series):
            return Series((self.constant + other, *self.coefficients[1:]))
        self._same_order(other)
        return Series(a + b for a, b in zip(self.coefficients, other.coefficients, strict=True))

    __radd__ = __add__

    def __sub__(self, other: Any) -> Series:
        return NotImplemented if isinstance(other, np.ndarray) else self + -other

    def __rsub__(self, other: Any) -> Series:
        return NotImplemented if isinstance(other, np.ndarray) else -self + other

    def __mul__(self, other: Any) -> Series:
        if isinstance(other, np.ndarray):
            return NotImplemented
        if not isinstance(other, Series):
            return Series(c * other for c in self.coefficients)
        self._same_order(other)
        return Series(_convolve(self.coefficients, other.coefficients, n) for n in range(self.order + 1))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Series:
        if isinstance(other, np.ndarray):
            return NotImplemented
        if not isinstance(other, Series):
            return Series(c / other for c in self.coefficients)
        self._same_order(other)
        quotient: list[Any] = []
        for n, a in enumerate(self.coefficients):
            for k in range(1, n + 1):
                a = a - other.coefficients[k] * quotient[n - k]
            quotient.append(a / other.constant)
        return Series(quotient)

    def __rtruediv__(self, other: Any) -> Series:
        return NotImplemented if isinstance(other, np.ndarray) else self._constant_series(other) / self

    def _constant_series(self, number: Any) -> Series:
        scalar = type(self.constant)
        return Series((scalar(0) + number, *(scalar(0) for _ in range(self.order))))

    def __pow__(self, exponent: Any) -> Series:
        n = exponent_of(exponent)
        return NotImplemented if n is None else integer_power(self, n, self._constant_series(1))

    # ---- decisions, by the constant coefficient ----

    def _decide(self, relation: Callable[[Any, Any], Any], other: Any) -> bool:
        if isinstance(other, np.ndarray):
            return NotImplemented
        return bool(relation(self.constant, other.constant if isinstance(other, Series) else other))

    def __lt__(self, other: Any) -> bool:
        return self._decide(operator.lt, other)

    def __le__(self, other: Any) -> bool:
        return self._decide(operator.le, other)

    def __gt__(self, other: Any) -> bool:
        return self._decide(operator.gt, other)

    def __ge__(self, other: Any) -> bool:
        return self._decide(operator.ge, other)

    def __eq__(self, other: object) -> bool:
        return self._decide(operator.eq, other)

    def __ne__(self, other: object) -> bool:
        return self._decide(operator.ne, other)

    def sign(self) -> Any:
        """The sign of the value, locally constant."""
        return self.constant.sign()

    def floor(self) -> Any:
        """The floor of the value, a constant: no derivative passes through it."""
        return self.constant.floor()

    def clip(self, low: Any, high: Any) -> Any:
        """The series where its value lies in [low, high], else the bound."""
        if self < low:
            return low
        return high if self > high else self

    def __abs__(self) -> Series:
        if self.constant > 0:
            return self
        if self.constant < 0:
            return -self
        if all(_is_zero(c) for c in self.coefficients[1:]):
            return Series((abs(self.constant), *self.coefficients[1:]))
        missing = Undefined("abs has no derivative at 0")
        return Series((abs(self.constant), *(missing for _ in range(self.order))))

    # ---- elementary functions, each by the differential equation it satisfies ----

    def _integrate(self, first: Any, slope: Any) -> Series:
        """The series b with b0 = first and b' = slope(b) a', where slope's n-th coefficient needs b only up to b_n."""
        b = [first]
        slopes: list[Any] = []
        for n in range(1, self.order + 1):
            slopes.append(slope(b, n - 1))
            total = self.coefficients[n] * n * slopes[0]
            for k in range(1, n):
                total = total + self.coefficients[k] * k * slopes[n - k]
            b.append(total / n)
        return Series(b)

    def sqrt(self) -> Series:
        """b with b^2 = a, that is 2 b b' = a'."""
        b = [self.constant.sqrt()]
        if self.constant == 0:
            if all(_is_zero(c) for c in self.coefficients[1:]):
                return Series((*b, *self.coefficients[1:]))
            missing = Undefined("sqrt has no derivative at 0")
            return Series((*b, *(missing for _ in range(self.order))))
        for n in range(1, self.order + 1):
            total = self.coefficients[n]
            for k in range(1, n):
                total = total - b[k] * b[n - k]
            b.append(total / (2 * b[0]))
        return Series(b)

    def erf(self) -> Series:
        """b with b' = s a', where s is the slope 2/sqrt(pi) exp(-a^2)."""
        slope = self.erf_slope()
        return self._integrate(self.constant.erf(), lambda _, n: slope.coefficients[n])

    def erf_slope(self) -> Series:
        """s with s' = -(a^2)' s."""
        return (-(self * self))._integrate(self.constant.erf_slope(), lambda s, n: s[n])

    def exp(self) -> Series:
        return self._integrate(self.constant.exp(), lambda b, n: b[n])

    def expm1(self) -> Series:
        return self._integrate(self.constant.expm1(), lambda b, n: b[0] + 1 if n == 0 else b[n])

    def tanh(self) -> Series:
        def one_minus_square(b: list[Any], n: int) -> Any:
            square = _convolve(b, b, n)
            return 1 - square if n == 0 else -square

        return self._integrate(self.constant.tanh(), one_minus_square)

    def _logarithm(self, first: Any, inner: Any) -> Series:
        """b with b0 = first and inner b' = a', where inner is the series whose logarithm it is."""
        b = [first]
        for n in range(1, self.order + 1):
            total = self.coefficients[n] * n
            for k in range(1, n):
                total = total - b[k] * k * self.coefficients[n - k]
            b.append(total / (inner * n))
        return Series(b)

    def log(self) -> Series:
        return self._logarithm(self.constant.log(), self.constant)

    def log1p(self) -> Series:
        return self._logarithm(self.constant.log1p(), self.constant + 1)


def _is_zero(number: Any) -> bool:
    return getattr(number, "exact", None) == 0


def _convolve(a: Any, b: Any, n: int) -> Any:
    """The n-th coefficient of a product."""
    total = a[0] * b[n]
    for k in range(1, n + 1):
        total = total + a[k] * b[n - k]
    return total
