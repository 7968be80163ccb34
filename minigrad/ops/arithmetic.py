"""Arithmetic of arrays that broadcast: + - * / and powers.

Every function takes arrays of one floating type whose shapes broadcast, and gives an array of that type and of the
broadcast shape. A gradient has the shape of its argument: it is summed, in a fixed order, over the axes along which
the argument was stretched. Results are IEEE's, infinities and NaN included, without warnings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad import elementary
from minigrad.elementary import log
from minigrad.ops.arithmetic_examples import bases_and_exponents, beside_nonzero, one_array, two_arrays
from minigrad.ops.broadcasting import check_shapes, register_quiet, tangent_or_zero
from minigrad.reduction import sum_to_shape

Array = np.ndarray
Needs = Sequence[bool]
Tangents = Sequence[Array | None]
Gradients = tuple[Array | None, ...]


# ---------------------------------------------------------------- sums


def add_forward(a: Array, b: Array) -> tuple[Array, Any]:
    """a + b.

    Raises
    ------
    InputError
        If the shapes do not broadcast.
    """
    check_shapes("add", a, b)
    return a + b, (a.shape, b.shape)


def add_vjp(gy: Array, shapes: Any, needs: Needs) -> Gradients:
    return sum_to_shape(gy, shapes[0]) if needs[0] else None, sum_to_shape(gy, shapes[1]) if needs[1] else None


def add_jvp(tangents: Tangents, a: Array, b: Array) -> Array:
    return tangent_or_zero(tangents[0], a) + tangent_or_zero(tangents[1], b)


def add_definition(a: Array, b: Array) -> Array:
    return a + b


def subtract_forward(a: Array, b: Array) -> tuple[Array, Any]:
    """a - b.

    Raises
    ------
    InputError
        If the shapes do not broadcast.
    """
    check_shapes("subtract", a, b)
    return a - b, (a.shape, b.shape)


def subtract_vjp(gy: Array, shapes: Any, needs: Needs) -> Gradients:
    return sum_to_shape(gy, shapes[0]) if needs[0] else None, -sum_to_shape(gy, shapes[1]) if needs[1] else None


def subtract_jvp(tangents: Tangents, a: Array, b: Array) -> Array:
    return tangent_or_zero(tangents[0], a) - tangent_or_zero(tangents[1], b)


def subtract_definition(a: Array, b: Array) -> Array:
    return a - b


def negative_forward(a: Array) -> tuple[Array, Any]:
    """-a."""
    return -a, None


def negative_vjp(gy: Array, residuals: Any, needs: Needs) -> Gradients:
    return (-gy,)


def negative_jvp(tangents: Sequence[Array], a: Array) -> Array:
    return -tangents[0]


def negative_definition(a: Array) -> Array:
    return -a


# ---------------------------------------------------------------- products and quotients


def multiply_forward(a: Array, b: Array) -> tuple[Array, Any]:
    """a b, element by element.

    Raises
    ------
    InputError
        If the shapes do not broadcast.
    """
    check_shapes("multiply", a, b)
    return a * b, (a, b)


def multiply_vjp(gy: Array, residuals: Any, needs: Needs) -> Gradients:
    a, b = residuals
    return (
        sum_to_shape(gy * b, a.shape) if needs[0] else None,
        sum_to_shape(gy * a, b.shape) if needs[1] else None,
    )


def multiply_jvp(tangents: Tangents, a: Array, b: Array) -> Array:
    ta, tb = tangents
    if ta is None or tb is None:
        return a * tb if ta is None else ta * b
    return ta * b + a * tb


def multiply_hvp(gy: Array, tangents: Tangents, a: Array, b: Array) -> Gradients:
    ta, tb = tangents
    return (
        None if tb is None else sum_to_shape(gy * tb, a.shape),
        None if ta is None else sum_to_shape(gy * ta, b.shape),
    )


def multiply_definition(a: Array, b: Array) -> Array:
    return a * b


def divide_forward(a: Array, b: Array) -> tuple[Array, Any]:
    """a / b, element by element; a true division.

    Raises
    ------
    InputError
        If the shapes do not broadcast.
    """
    check_shapes("divide", a, b)
    y = a / b
    return y, (a.shape, b, y)


def divide_vjp(gy: Array, residuals: Any, needs: Needs) -> Gradients:
    shape, b, y = residuals
    g = gy / b
    return sum_to_shape(g, shape) if needs[0] else None, -sum_to_shape(g * y, b.shape) if needs[1] else None


def divide_jvp(tangents: Tangents, a: Array, b: Array) -> Array:
    ta, tb = tangents
    if tb is None:
        return tangent_or_zero(ta, a) / b
    return (tangent_or_zero(ta, a) - a / b * tb) / b


def divide_hvp(gy: Array, tangents: Tangents, a: Array, b: Array) -> Gradients:
    """d2/da db = -1/b^2, d2/db^2 = 2a/b^3."""
    ta, tb = tangents
    g = gy / (b * b)
    of_b = g * -tangent_or_zero(ta, a) if tb is None else g * (2 * (a / b) * tb - tangent_or_zero(ta, a))
    return None if tb is None else -sum_to_shape(g * tb, a.shape), sum_to_shape(of_b, b.shape)


def divide_definition(a: Array, b: Array) -> Array:
    return a / b


# ---------------------------------------------------------------- powers


def power_forward(a: Array, b: Array) -> tuple[Array, Any]:
    """a^b, element by element, with the special values of IEEE 754 ``pow`` (``minigrad.elementary.power``).

    The derivatives are b a^(b-1) by a and a^b log a by b. The one by b exists for a > 0 only. At a = 0 it is the limit
    0 where b >= 0 (for b = 0 our pick: there is no limit) and -infinity below. For a < 0 it is NaN: a power of a
    negative number is defined at whole b alone, so take an exponent that needs no gradient.

    Raises
    ------
    InputError
        If the shapes do not broadcast.
    """
    check_shapes("power", a, b)
    y = elementary.power(a, b)
    return y, (a, b, y)


def _slope_by_base(a: Array, b: Array) -> Array:
    return np.where(b == 0, a.dtype.type(0), b * elementary.power(a, b - 1))


def _slope_by_exponent(a: Array, b: Array, y: Array) -> Array:
    # 0^b and infinity^-b stay 0 when b moves a little; 0 log 0 would be NaN.
    vanishes = (a >= 0) & ((y == 0) | ((a == 0) & (b == 0)))
    return np.where(vanishes, y.dtype.type(0), y * log(a))


def power_vjp(gy: Array, residuals: Any, needs: Needs) -> Gradients:
    a, b, y = residuals
    return (
        sum_to_shape(gy * _slope_by_base(a, b), a.shape) if needs[0] else None,
        sum_to_shape(gy * _slope_by_exponent(a, b, y), b.shape) if needs[1] else None,
    )


def power_jvp(tangents: Tangents, a: Array, b: Array) -> Array:
    ta, tb = tangents
    if tb is None:
        return tangent_or_zero(ta, a) * _slope_by_base(a, b)
    by_exponent = tb * _slope_by_exponent(a, b, elementary.power(a, b))
    return by_exponent if ta is None else ta * _slope_by_base(a, b) + by_exponent


def power_hvp(gy: Array, tangents: Tangents, a: Array, b: Array) -> Gradients:
    """b (b-1) a^(b-2) by a twice, a^(b-1) (1 + b log a) by both, a^b log^2 a by b twice."""
    ta, tb = tangents
    zero = gy.dtype.type(0)
    mixed = np.where((a == 0) & (b > 1), zero, elementary.power(a, b - 1) * (1 + b * log(a)))
    of_a = of_b = zero
    if ta is not None:
        of_a = np.where((b == 0) | (b == 1), zero, b * (b - 1) * elementary.power(a, b - 2)) * ta
        of_b = mixed * ta
    if tb is not None:
        by_exponent = _slope_by_exponent(a, b, elementary.power(a, b))
        of_a = of_a + mixed * tb
        of_b = of_b + np.where(by_exponent == 0, zero, by_exponent * log(a)) * tb
    return sum_to_shape(gy * of_a, a.shape), sum_to_shape(gy * of_b, b.shape)


def power_definition(a: Array, b: Array) -> Array:
    return elementary.power(a, b)


# ---------------------------------------------------------------- the records

register_quiet("add", (add_forward, add_vjp, add_jvp, add_definition), two_arrays)
register_quiet("subtract", (subtract_forward, subtract_vjp, subtract_jvp, subtract_definition), two_arrays)
register_quiet("negative", (negative_forward, negative_vjp, negative_jvp, negative_definition), one_array)
register_quiet(
    "multiply", (multiply_forward, multiply_vjp, multiply_jvp, multiply_definition), two_arrays, hvp=multiply_hvp
)
register_quiet(
    "divide",
    (divide_forward, divide_vjp, divide_jvp, divide_definition),
    beside_nonzero,
    hvp=divide_hvp,
    domain="b not 0",
)
register_quiet(
    "power",
    (power_forward, power_vjp, power_jvp, power_definition),
    bases_and_exponents,
    hvp=power_hvp,
    domain="a > 0; a = 0 with b >= 1 and a < 0 with whole b, by a alone",
)
