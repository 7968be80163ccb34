"""A function of arrays seen as one of vectors: R^n to R^m, evaluated only where its dtypes have numbers.

Every check works on the vector ``point`` of the differentiable arguments, one after the other, in float64; ``evaluate``
puts them back into arrays of the caller's shapes and dtypes. A coordinate moves only between numbers of its *grid*: the
coarser of its argument's dtype and the one the function computes in, which is the dtype of its output.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from minigrad.errors import InputError

__all__ = ["UNDEFINED", "Function", "Problem", "Rule", "flatten", "quiet"]

Array = np.ndarray
Function = Callable[..., Any]
#: A function of vectors.
Rule = Callable[[Array], Array]

#: What a function may raise where it is not defined; anything else is a mistake of its own and passes through.
UNDEFINED = (ValueError, ArithmeticError, RuntimeError)


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings of functions that are moved out of their domain."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def flatten(value: Any, what: str) -> Array:
    """A copy of an array of real numbers as a float64 vector."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise InputError(f"{what}: expected an array of real numbers, got dtype {array.dtype}")
    return array.astype(np.float64).ravel()


def _float_positions(args: Sequence[Any]) -> tuple[int, ...]:
    kinds = [np.asarray(a).dtype.kind if isinstance(a, (np.ndarray, np.floating, float)) else "O" for a in args]
    return tuple(n for n, kind in enumerate(kinds) if kind == "f")


class Problem:
    """A function at a point.

    Parameters
    ----------
    function : ``function(*args)`` returns an array of floats, or a number
    args : the arguments; the differentiable ones are arrays of floats (any shape) or floats, all finite
    name : for messages; the function's own by default
    differentiable : positions of the arguments to differentiate by; by default every array of floats and every float

    Attributes
    ----------
    args : list, the arguments with floats rounded to their grids
    point : vector of n float64, the differentiable arguments
    middle : vector of m float64, the value there
    shape, dtype : of the value
    epsilon : 2^-52 for a function that computes in float64, 2^-23 in float32
    reach : vector of n, the size of each element, at least a 64th of its argument's mean size (1 where all are
        0); elements are moved by shares of it
    unit : vector of n, the distance between neighbouring numbers of the grid at ``reach``
    evaluations : how often the function was called

    Raises
    ------
    InputError
        If there is nothing to differentiate by, a number is not finite, or the value is not an array of floats.
    """

    def __init__(
        self,
        function: Function,
        args: Sequence[Any],
        *,
        name: str | None = None,
        differentiable: Sequence[int] | None = None,
    ) -> None:
        self.name: str = name or str(getattr(function, "__name__", type(function).__name__))
        self.function = function
        self.evaluations = 0
        self.positions = _float_positions(args) if differentiable is None else tuple(differentiable)
        if not self.positions:
            raise InputError(f"args: {self.name} has no array of floats to differentiate by")
        for n in self.positions:
            if not 0 <= n < len(args) or np.asarray(args[n]).dtype.kind != "f":
                raise InputError(f"differentiable: expected positions of arrays of floats, got {n}")
            if not np.isfinite(args[n]).all():
                raise InputError(f"argument {n}: expected finite numbers")
        value = np.asarray(self._call(args))
        if value.dtype.kind != "f":
            raise InputError(f"function: {self.name} returned dtype {value.dtype}, expected an array of floats")
        self.shape, self.dtype = value.shape, value.dtype
        self.epsilon = float(np.finfo(self.dtype).eps)
        self._arrange(args)
        self.middle = self.evaluate(self.point, raising=True)
        if not np.isfinite(self.middle).all():
            raise InputError(f"function: the value of {self.name} at the arguments is not finite")

    def _arrange(self, args: Sequence[Any]) -> None:
        self.args = list(args)
        self._slices: list[tuple[int, slice, tuple[int, ...], Any, Any]] = []
        points, units, reaches, start = [np.zeros(0)], [np.zeros(0)], [np.zeros(0)], 0
        for n in self.positions:
            array = np.asarray(args[n])
            grid = array.dtype if np.finfo(array.dtype).eps > self.epsilon else self.dtype
            if grid != array.dtype:
                rounded = array.astype(grid).astype(array.dtype)
                self.args[n] = float(rounded) if type(args[n]) is float else rounded
            flat = np.asarray(self.args[n]).astype(np.float64).ravel()
            mean = float(np.abs(flat).mean()) if flat.any() else 64.0
            reach = np.maximum(np.abs(flat), mean / 64)
            self._slices.append((n, slice(start, start + flat.size), array.shape, array.dtype, grid))
            points.append(flat)
            units.append(np.spacing(reach.astype(grid)).astype(np.float64))
            reaches.append(reach)
            start += flat.size
        self.point, self.unit, self.reach = np.concatenate(points), np.concatenate(units), np.concatenate(reaches)

    def _call(self, args: Sequence[Any]) -> Any:
        self.evaluations += 1
        return self.function(*args)

    def arguments(self, point: Array) -> list[Any]:
        """The arguments at a point: fresh arrays, so a function that writes into them harms nobody."""
        args = list(self.args)
        for n, where, shape, dtype, _ in self._slices:
            args[n] = (
                point[where].reshape(shape).astype(dtype) if type(args[n]) is not float else float(point[where][0])
            )
        return args

    def snap(self, point: Array) -> Array:
        """The nearest vector whose elements are numbers of their grids."""
        if all(grid == np.float64 for *_, grid in self._slices):
            return point
        return np.concatenate([point[w].astype(grid).astype(np.float64) for _, w, _, _, grid in self._slices])

    def evaluate(self, point: Array, raising: bool = False) -> Array:
        """The value at a point of the grid as a vector of m; NaN where the function raises there or changes shape."""
        try:
            value = np.asarray(self._call(self.arguments(point)))
        except UNDEFINED:
            if raising:
                raise
            return np.full(self.middle.shape, np.nan)
        if value.shape != self.shape:
            return np.full(self.middle.shape, np.nan)
        return value.astype(np.float64).ravel()

    def split(self, vector: Array) -> list[Any]:
        """A vector of n as one array an argument, in the arguments' dtypes; None for those not differentiated."""
        arrays: list[Any] = [None] * len(self.args)
        for n, where, shape, dtype, _ in self._slices:
            arrays[n] = vector[where].reshape(shape).astype(dtype)
        return arrays

    def locate(self, coordinate: int) -> tuple[int, tuple[int, ...]]:
        """Position of the argument and index in it of a coordinate of ``point``."""
        for n, where, shape, _, _ in self._slices:
            if coordinate < where.stop:
                return n, tuple(int(i) for i in np.unravel_index(coordinate - where.start, shape))
        raise IndexError(coordinate)

    def slice_of(self, position: int) -> slice:
        """Where the elements of an argument are in ``point``."""
        return next(where for n, where, *_ in self._slices if n == position)

    def output_index(self, element: int) -> tuple[int, ...]:
        """Index in the value of an element of ``middle``."""
        return tuple(int(i) for i in np.unravel_index(element, self.shape))

    def incoming(self, vector: Array) -> Array:
        """A vector of m as an array of the value's shape and dtype."""
        return vector.reshape(self.shape).astype(self.dtype)

    def join(self, returned: Any, what: str) -> Array:
        """What a vjp returned, one array an argument or one a differentiable argument, as a vector of n.

        Raises
        ------
        AssertionError
            If the number of arrays or a shape is not that of the arguments.
        """
        found = list(returned) if isinstance(returned, (tuple, list)) else [returned]
        if len(found) == len(self.args):
            found = [found[n] for n in self.positions]
        elif len(found) != len(self.positions):
            raise AssertionError(f"{self.name}: {what} returned {len(found)} arrays, expected {len(self.positions)}")
        parts = [np.zeros(0)]
        for array, (n, where, shape, _, _) in zip(found, self._slices, strict=True):
            if array is None:
                parts.append(np.zeros(where.stop - where.start))
                continue
            if np.shape(array) != shape:
                raise AssertionError(
                    f"{self.name}: {what} of argument {n} has shape {np.shape(array)}, expected {shape}"
                )
            parts.append(flatten(array, what))
        return np.concatenate(parts)
