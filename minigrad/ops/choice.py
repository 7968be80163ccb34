"""Choices between arrays that broadcast: the larger, the smaller, the one that a condition picks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.elementary import select
from minigrad.errors import InputError
from minigrad.ops.arithmetic_examples import choices, different, on_a_tie
from minigrad.ops.broadcasting import check_shapes, register_quiet, tangent_or_zero
from minigrad.primitive import Kink
from minigrad.reduction import sum_to_shape

Array = np.ndarray
Needs = Sequence[bool]
Tangents = Sequence[Array | None]
Gradients = tuple[Array | None, ...]


def maximum_forward(a: Array, b: Array) -> tuple[Array, Any]:
    """The larger of a and b, element by element; NaN where either is.

    Where a = b each gets half of the gradient, as in JAX and in PyTorch. Of two zeros the value is a.

    Raises
    ------
    InputError
        If the shapes do not broadcast.
    """
    check_shapes("maximum", a, b)
    return np.where((a >= b) | np.isnan(a), a, b), (a, b, a > b)


def minimum_forward(a: Array, b: Array) -> tuple[Array, Any]:
    """The smaller of a and b, element by element; NaN where either is.

    Where a = b each gets half of the gradient, as in JAX and in PyTorch. Of two zeros the value is a.

    Raises
    ------
    InputError
        If the shapes do not broadcast.
    """
    check_shapes("minimum", a, b)
    return np.where((a <= b) | np.isnan(a), a, b), (a, b, a < b)


def _split(g: Array, a: Array, b: Array, first: Array) -> tuple[Array, Array]:
    """What of g goes to a and what to b: all to the chosen one, half to each where they are equal."""
    zero = g.dtype.type(0)
    tie = a == b
    half = np.where(tie, g * g.dtype.type(0.5), zero)
    return np.where(first, g, half), np.where(first | tie, half, g)


def extremum_vjp(gy: Array, residuals: Any, needs: Needs) -> Gradients:
    a, b, first = residuals
    of_a, of_b = _split(gy, a, b, first)
    return sum_to_shape(of_a, a.shape) if needs[0] else None, sum_to_shape(of_b, b.shape) if needs[1] else None


def _jvp(tangents: Tangents, a: Array, b: Array, first: Array) -> Array:
    shape = first.shape
    from_a, _ = _split(np.broadcast_to(tangent_or_zero(tangents[0], a), shape), a, b, first)
    _, from_b = _split(np.broadcast_to(tangent_or_zero(tangents[1], b), shape), a, b, first)
    return from_a + from_b


def maximum_jvp(tangents: Tangents, a: Array, b: Array) -> Array:
    return _jvp(tangents, a, b, a > b)


def minimum_jvp(tangents: Tangents, a: Array, b: Array) -> Array:
    return _jvp(tangents, a, b, a < b)


def maximum_definition(a: Array, b: Array) -> Array:
    return select(a >= b, a, b)


def minimum_definition(a: Array, b: Array) -> Array:
    return select(a <= b, a, b)


def where_forward(condition: Array, a: Array, b: Array) -> tuple[Array, Any]:
    """a where the condition holds, else b; all three broadcast.

    Parameters
    ----------
    condition : bool array
        Has no gradient.

    Raises
    ------
    InputError
        If the condition is not of dtype bool, or the shapes do not broadcast.
    """
    if condition.dtype != bool:
        raise InputError(f"where: condition: expected dtype bool, got {condition.dtype}")
    check_shapes("where", condition, a, b)
    return np.where(condition, a, b), (condition, a.shape, b.shape)


def where_vjp(gy: Array, residuals: Any, needs: Needs) -> Gradients:
    condition, shape_a, shape_b = residuals
    zero = gy.dtype.type(0)
    return (
        None,
        sum_to_shape(np.where(condition, gy, zero), shape_a) if needs[1] else None,
        sum_to_shape(np.where(condition, zero, gy), shape_b) if needs[2] else None,
    )


def where_jvp(tangents: Tangents, condition: Array, a: Array, b: Array) -> Array:
    return np.where(condition, tangent_or_zero(tangents[1], a), tangent_or_zero(tangents[2], b))


def where_definition(condition: Array, a: Array, b: Array) -> Array:
    return select(condition, a, b)


_TIE = (Kink("a = b", "half to each", on_a_tie),)
register_quiet("maximum", (maximum_forward, extremum_vjp, maximum_jvp, maximum_definition), different, kinks=_TIE)
register_quiet("minimum", (minimum_forward, extremum_vjp, minimum_jvp, minimum_definition), different, kinks=_TIE)
register_quiet("where", (where_forward, where_vjp, where_jvp, where_definition), choices, differentiable=(1, 2))
