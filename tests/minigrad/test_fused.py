"""The multiply-add against exact rationals, and the C library's against it."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import backend, kernels
from minigrad.fused import multiply_add
from minigrad.ops import conv_kernels
from minigrad.ops.conv_geometry import Geometry

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
_BELOW = (1 + 2.0**-23, 1 - 2.0**-23)  # their product is 1 - 2^-46
_ABOVE = (8384513.0, 8392705.0)  # their product is 2^46 + 1
# a b + c: the float64 sum lies exactly between two float32 although the real sum does not. Random data never meets it.
DOUBLE_ROUNDINGS = [
    (_BELOW[0] * 2.0**-12, _BELOW[1] * 2.0**-12, 1 + 2.0**-23),
    (-_BELOW[0] * 2.0**-12, _BELOW[1] * 2.0**-12, -1 - 2.0**-23),
    (_ABOVE[0] * 2.0**-35, _ABOVE[1] * 2.0**-35, 1.0),
    (_ABOVE[0] * 2.0**-35, -_ABOVE[1] * 2.0**-35, -1.0),
    # a subnormal result, whose last place is elsewhere
    (_BELOW[0] * 2.0**-75, _BELOW[1] * 2.0**-75, 2.0**-127 + 2.0**-149),
]


def round_to_float32(value: Fraction) -> np.float32:
    """The float32 nearest to a rational, half to even, by integer arithmetic."""
    if value == 0:
        return np.float32(0)
    sign, size = (-1 if value < 0 else 1), abs(value)
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    if size < Fraction(2) ** exponent:
        exponent -= 1
    unit = Fraction(2) ** max(exponent - 23, -149)
    quotient, rest = divmod(size, unit)
    if rest * 2 > unit or (rest * 2 == unit and quotient % 2):
        quotient += 1
    rounded = quotient * unit
    return np.float32(sign * np.inf if rounded >= Fraction(2) ** 128 else sign * float(rounded))


def in_c(a: np.float32, b: np.float32, c: np.float32, path: int) -> np.float32:
    """fma(a, b, c) by a 1x1 convolution of two channels: fma(a, b, fma(c, 1, 0))."""
    x = np.array([c, a], np.float32).reshape(1, 1, 1, 2)
    w = np.array([1, b], np.float32).reshape(1, 1, 2, 1)
    return conv_kernels.forward(x, w, Geometry.of(x.shape, w.shape, 1, 0, 1), path)[0, 0, 0, 0]


def paths() -> list[int]:
    return [p for p in backend.PATHS.values() if kernels.native().lib.mgk_has_path(p)]


def check(a: float, b: float, c: float) -> None:
    x, y, z = np.float32(a), np.float32(b), np.float32(c)
    exact = Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z))
    expected = round_to_float32(exact)
    got = multiply_add(np.array([x]), np.array([y]), np.array([z]))[0]
    assert got == expected, f"multiply_add({x!r}, {y!r}, {z!r}) = {got!r}, expected {expected!r}"
    for path in paths():
        in_library = in_c(x, y, z, path)
        assert in_library == expected, f"path {path}: fma({x!r}, {y!r}, {z!r}) = {in_library!r}, expected {expected!r}"


@given(FLOATS, FLOATS, FLOATS)
def test_rounds_once(a: float, b: float, c: float) -> None:
    check(a, b, c)


@pytest.mark.parametrize(("a", "b", "c"), DOUBLE_ROUNDINGS)
def test_rounds_once_where_two_roundings_would_differ(a: float, b: float, c: float) -> None:
    check(a, b, c)


@given(st.sampled_from(DOUBLE_ROUNDINGS), st.integers(-20, 20), st.integers(0, 2**22 - 1))
def test_rounds_once_at_other_scales(case: tuple[float, float, float], exponent: int, evens: int) -> None:
    a, b, c = case
    if abs(c) >= 1:  # another mantissa of the same parity, another exponent
        c = np.copysign(abs(c) + evens * 2.0**-22 * (evens * 2.0**-22 + abs(c) < 2), c) * 2.0 ** (2 * exponent)
        a, b = a * 2.0**exponent, b * 2.0**exponent
    check(a, b, c)


def test_the_planted_cases_are_cases() -> None:
    """Without the repair every one of them comes out wrong: the test above can fail."""
    for a, b, c in DOUBLE_ROUNDINGS:
        x, y, z = np.float32(a), np.float32(b), np.float32(c)
        twice = np.float32(np.float64(x) * np.float64(y) + np.float64(z))
        assert twice != round_to_float32(Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z)))


def test_float64_rounds_twice() -> None:
    a, b, c = np.array([1 + 2.0**-30]), np.array([1 - 2.0**-30]), np.array([-1.0])
    assert multiply_add(a, b, c)[0] == 0.0
