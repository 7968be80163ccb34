"""A definition of arrays evaluated in exact numbers, with its first and second derivatives.

The definition is written on object arrays. Each element x of an argument becomes, as far as derivatives are wanted,

    Node(x)              the gradient of ``sum(gy * value)``, by one pass back
    Series((x, s))       the derivative along the tangent s: the coefficient of t at x + t s
    Series((Node(x), s)) both at once; the pass back from the coefficients of t is the Hessian applied to s

so one evaluation gives all of them. Over ``Ball`` they are the truth, over ``Magnitude`` the sums of the terms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from minigrad.errors import InputError
from verify.gradients.node import Node, gradients
from verify.gradients.series import Series, Undefined

__all__ = ["Definition", "evaluate", "lift"]

Definition = Callable[..., Any]


def lift(name: str, array: Any, scalar: type) -> np.ndarray:
    """The elements of a float array as numbers of ``scalar``, exactly: an object array of the same shape.

    Raises
    ------
    InputError
        If an element is not a finite float.
    """
    floats = np.asarray(array)
    if floats.dtype.kind != "f":
        raise InputError(f"{name}: expected an array of floats, got {floats.dtype}")
    if not np.isfinite(floats).all():
        raise InputError(f"{name}: expected finite numbers, got {floats[~np.isfinite(floats)][0]}")
    return _objects([scalar(number) for number in floats.ravel().tolist()], floats.shape)


def _objects(numbers: Sequence[Any], shape: tuple[int, ...]) -> np.ndarray:
    """An object array of the numbers; filled one by one, so that NumPy never looks inside them."""
    array = np.empty(len(numbers), dtype=object)
    for index, number in enumerate(numbers):
        array[index] = number
    return array.reshape(shape)


def _elements(result: Any) -> tuple[list[Any], tuple[int, ...]]:
    """The elements and the shape of what a definition returned; a number alone is an array without dimensions."""
    if isinstance(result, np.ndarray):
        return result.ravel().tolist(), result.shape
    return [result], ()


def _as_scalar(number: Any, scalar: type) -> Any:
    """The number without its tape, in the scalar class; ``Undefined`` stays."""
    if isinstance(number, Node):
        number = number.value
    return number if isinstance(number, (scalar, Undefined)) else scalar(number)


def evaluate(
    definition: Definition,
    arrays: Sequence[Any],
    options: Mapping[str, Any],
    scalar: type,
    positions: Sequence[int],
    *,
    gy: Any = None,
    tangents: Sequence[Any] | None = None,
) -> dict[str, np.ndarray]:
    """Evaluate a definition and, as ``gy`` and ``tangents`` ask for them, its derivatives.

    Parameters
    ----------
    definition : ``definition(*arrays, **options)`` on object arrays; elements that it returns may be plain numbers
    arrays : float arrays, taken exactly, and integer or bool arrays, which are handed on as they are
    scalar : ``Ball`` or ``Magnitude``
    positions : of the arrays to differentiate by
    gy : floats of the shape of the value, for the vjp
    tangents : one float array (or None) an argument, for the jvp; with ``gy`` as well, for the hvp

    Returns
    -------
    dict
        Object arrays of numbers of the scalar class (``Undefined`` where a derivative does not exist): "value", "jvp",
        and "vjp[n]" and "hvp[n]" for each position n.

    Raises
    ------
    InputError
        If a shape does not fit or a number is not finite.
    Undecided
        Where the precision does not decide a comparison.
    """
    variables: dict[int, np.ndarray] = {}
    given: list[Any] = []
    for position, array in enumerate(arrays):
        name = f"arrays[{position}]"
        if position not in positions:
            given.append(lift(name, array, scalar) if np.asarray(array).dtype.kind == "f" else array)
            continue
        elements = lift(name, array, scalar)
        if gy is not None:
            elements = _objects([Node(number) for number in elements.ravel()], elements.shape)
            variables[position] = elements
        tangent = None if tangents is None else tangents[position]
        if tangent is not None:
            slopes = lift(f"tangents[{position}]", tangent, scalar)
            if slopes.shape != elements.shape:
                raise InputError(f"tangents[{position}]: expected shape {elements.shape}, got {slopes.shape}")
            pairs = zip(elements.ravel(), slopes.ravel(), strict=True)
            elements = _objects([Series(pair) for pair in pairs], elements.shape)
        given.append(elements)
    # Terms that overflow are found where they are measured; NumPy would warn of them on the way.
    with np.errstate(all="ignore"):
        results, shape = _elements(definition(*given, **options))
    constants = [r.coefficients[0] if isinstance(r, Series) else r for r in results]
    found = {"value": _objects([_as_scalar(c, scalar) for c in constants], shape)}
    slopes_of: list[Any] = []
    if tangents is not None:
        slopes_of = [r.coefficients[1] if isinstance(r, Series) else scalar(0) for r in results]
        found["jvp"] = _objects([_as_scalar(c, scalar) for c in slopes_of], shape)
    if gy is None:
        return found
    weights = lift("gy", gy, scalar)
    if weights.shape != shape:
        raise InputError(f"gy: expected shape {shape}, that of the value, got {weights.shape}")
    leaves = [leaf for array in variables.values() for leaf in array.ravel()]
    for name, outputs in (("vjp", constants), ("hvp", slopes_of)):
        if name == "hvp" and tangents is None:
            break
        numbers = iter(gradients(outputs, weights.ravel(), leaves))
        for position, array in variables.items():
            found[f"{name}[{position}]"] = _objects(
                [_as_scalar(next(numbers), scalar) for _ in range(array.size)], array.shape
            )
    return found
