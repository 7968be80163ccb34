"""One formula for every kind of number: floats, exact and interval numbers, and object arrays of those.

A function of float arrays becomes generic by the decorators here. What is neither a float nor an array of floats is
asked for the method of the function's name (``z.tanh()``); an object array is mapped element by element, and its
elements may be Python floats too.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

__all__ = ["boxed", "elementwise", "in_double", "is_float", "map_objects"]

Formula = Callable[[Any], Any]


def is_float(x: Any) -> bool:
    """Whether x is a number or an array that NumPy's own arithmetic is for."""
    if isinstance(x, np.ndarray):
        return x.dtype != object
    return isinstance(x, (np.generic, float, int))


def in_double(x: Any) -> tuple[np.ndarray, Any]:
    """The argument as a float64 array, and the dtype its result is rounded to."""
    array = np.asarray(x)
    dtype = array.dtype if array.dtype in (np.float32, np.float64) else np.dtype(np.float64)
    return array.astype(np.float64, copy=False), dtype


def map_objects(function: Callable[..., Any], *arguments: Any) -> np.ndarray:
    """``function`` of the elements of broadcasting arguments as an object array, also where that is 0-d."""
    arrays = [a if isinstance(a, np.ndarray) else boxed(a) for a in arguments]
    return np.asarray(np.frompyfunc(function, len(arrays), 1)(*arrays), dtype=object)


def boxed(number: Any) -> np.ndarray:
    """A number of any kind in a 0-d object array."""
    array = np.empty((), dtype=object)
    array[()] = number
    return array


def elementwise(formula: Formula | None = None) -> Callable[[Formula], Formula]:
    """Let a function of one float array take exact numbers and object arrays.

    ``formula`` is what to do with one number that is not a float; None: call its method of the function's name.
    """

    def decorate(function: Formula) -> Formula:
        def of_number(x: Any) -> Any:
            if is_float(x):
                return float(function(float(x)))
            return getattr(x, function.__name__)() if formula is None else formula(x)

        @wraps(function)
        def generic(x: Any) -> Any:
            if is_float(x):
                return function(x)
            return map_objects(of_number, x) if isinstance(x, np.ndarray) else of_number(x)

        return generic

    return decorate
