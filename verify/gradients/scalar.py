"""What the scalar classes of the truth share: how they behave beside NumPy arrays, and integer powers."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.dispatch import boxed
from minigrad.errors import InputError

__all__ = ["Scalar", "exponent_of", "integer_power"]

#: NumPy functions that apply the operators of the elements of an object array, and nothing else.
_OPERATORS = {
    np.add,
    np.subtract,
    np.multiply,
    np.true_divide,
    np.negative,
    np.positive,
    np.absolute,
    np.power,
    np.less,
    np.less_equal,
    np.greater,
    np.greater_equal,
    np.equal,
    np.not_equal,
    np.maximum,
    np.minimum,
}


class Scalar:
    """A number that combines with object arrays element by element, and refuses arrays of floats.

    An array of floats beside an exact number is a slip: what is meant is the object array of its elements.
    """

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **keywords: Any) -> Any:
        if method != "__call__" or ufunc not in _OPERATORS:
            return NotImplemented
        arrays = []
        for number in inputs:
            array = number if isinstance(number, np.ndarray) else boxed(_plain(number))
            if array.dtype != object and array.ndim:
                return NotImplemented
            arrays.append(array if array.dtype == object else boxed(array.item()))
        return ufunc(*arrays, **keywords)

    def __bool__(self) -> bool:
        raise TypeError(f"a {type(self).__name__.lower()} has no truth value; compare it with a number")


def _plain(number: Any) -> Any:
    """Without a NumPy scalar's own operators, which would ask here again."""
    return number.item() if isinstance(number, np.generic) else number


def exponent_of(n: Any) -> int | None:
    """The exponent as an integer; None where it is of another kind.

    Raises
    ------
    InputError
        If it is a number, but not a whole one.
    """
    exact = getattr(n, "exact", getattr(n, "value", n))
    if isinstance(exact, (bool, np.bool_, np.ndarray)):
        return None
    if isinstance(exact, (int, np.integer)):
        return int(exact)
    if isinstance(exact, (float, np.floating)) and float(exact).is_integer():
        return int(exact)
    if getattr(exact, "q", None) == 1:
        return int(exact.p)
    if isinstance(exact, (float, np.floating)) or hasattr(exact, "q"):
        raise InputError(f"power: expected a whole number as exponent, got {n!r}")
    return None


def integer_power(x: Any, n: int, one: Any) -> Any:
    """x^n by repeated squaring; 1/x^-n for a negative n."""
    if n < 0:
        return one / integer_power(x, -n, one)
    result = one
    first = True
    while n:
        if n & 1:
            result = x if first else result * x
            first = False
        n >>= 1
        if n:
            x = x * x
    return result
