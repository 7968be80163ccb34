"""The sum of the terms bounds the rounding error of the formula it was computed beside."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.elementary import erf, erf_slope, exp, expm1, log, log1p, sqrt, tanh
from minigrad.errors import InputError
from verify.gradients.ball import Ball, precision
from verify.gradients.magnitude import Magnitude
from verify.gradients.series import Series

numbers = st.floats(-1e3, 1e3).filter(lambda x: abs(x) > 1e-6)

FORMULAS = [
    (lambda a, b, c: (a + b) * c - a * c, 3),
    (lambda a, b, c: (a - b) / c + (b - a) * (1 / c), 5),
    (lambda a, b, c: tanh(a * 0.01 + b * 0.02) - tanh(c * 0.01), 4),
    (lambda a, b, c: exp((a - b) * 0.01) / (1 + exp(c * 0.01)), 5),
    (lambda a, b, c: log1p(a * a) - log(1 + b * b) + expm1(c * 0.001), 5),
    (lambda a, b, c: a - b * (a / b), 3),
    (lambda a, b, c: erf(a * 0.01) - erf(b * 0.01) + erf_slope(c * 0.01), 4),
    (lambda a, b, c: sqrt(a * a + b * b) - abs(c) ** 3 / (1 + c * c), 6),
]


def test_the_rules():
    a, b = Magnitude(3.0, 5.0), Magnitude(-2.0, 7.0)
    assert ((a + b).value, (a + b).terms) == (1.0, 12.0)
    assert ((a - b).value, (a - b).terms) == (5.0, 12.0)
    assert ((a * b).value, (a * b).terms) == (-6.0, 3 * 7 + 2 * 5)
    assert ((a / b).value, (a / b).terms) == (-1.5, (5 + 1.5 * 7) / 2)
    assert (abs(b).value, abs(b).terms) == (2.0, 7.0)
    assert ((1 - a).terms, (2 * a).terms, (6 / a).terms) == (6.0, 16.0, (6 + 2 * 5) / 3)
    assert Magnitude(-3.7).terms == 3.7 and Magnitude(-3.7).floor().value == -4.0
    assert a.exp().terms == pytest.approx(6 * math.exp(3), rel=1e-15)
    assert b.tanh().terms == pytest.approx((1 - math.tanh(2) ** 2) * 7 + math.tanh(2), rel=1e-14)
    assert a.log().terms == pytest.approx(5 / 3 + math.log(3), rel=1e-15)
    assert a.log1p().terms == pytest.approx(5 / 4 + math.log(4), rel=1e-15)
    assert b.expm1().terms == pytest.approx(math.exp(-2) * 7 + 1 - math.exp(-2), rel=1e-14)
    assert a.sqrt().terms == pytest.approx(0.5 / math.sqrt(3) * 5 + math.sqrt(3), rel=1e-15)
    slope = 2 / math.sqrt(math.pi) * math.exp(-9)
    assert a.erf().terms == pytest.approx(slope * 5 + math.erf(3), rel=1e-14)
    assert a.erf_slope().terms == pytest.approx(6 * slope * 5 + slope, rel=1e-14)
    assert (a**3).value == 27 and (a**3).terms == 3 * 9 * 5
    assert (b**-1).terms == (1 / b).terms and (b**0).terms == 1
    assert Magnitude(0).sqrt().terms == 0 and Magnitude(0, 1).sqrt().terms == math.inf
    assert a > 2 and a >= 3 and a <= b + 5 and b < a and a != b and a == 3
    assert (a.clip(0, 4) is a, a.clip(0, 1).terms, a.clip(4, 5).value) == (True, 1.0, 4.0)
    assert (a.sign(), b.sign(), Magnitude(0).sign()) == (1, -1, 0)


@pytest.mark.parametrize("number", range(len(FORMULAS)))
@given(a=numbers, b=numbers, c=numbers)
def test_the_terms_bound_the_rounding_error(number, a, b, c):
    """|computed - truth| <= depth 2^-53 terms, with elementary functions that may err by 3 ulp."""
    formula, depth = FORMULAS[number]
    computed = float(formula(a, b, c))
    magnitude = formula(Magnitude(a), Magnitude(b), Magnitude(c))
    with precision(300):
        error = abs(formula(Ball(a), Ball(b), Ball(c)) - computed).bounds()[1]
    assert magnitude.value == pytest.approx(computed, rel=1e-12, abs=1e-12)
    assert magnitude.terms >= abs(computed)
    allowed = Fraction(magnitude.terms) * (depth + 6) / 2**53
    assert Fraction(int(error.p), int(error.q)) <= allowed


def test_the_terms_are_not_a_licence():
    """Without cancellation they are a small multiple of the result."""
    x, y = Magnitude(1.25), Magnitude(0.75)
    for result in (x + y, x * y, x / y, x.tanh(), x.exp(), y.log1p(), (x + y) * x / (y + 1)):
        assert result.terms <= 6 * abs(result.value)


def test_derivatives_count_what_they_lose():
    """1 - tanh^2 is good to 2^-53 of 1, not of itself."""
    slope = Series.variable(Magnitude(15.0)).tanh().derivative()
    assert 1.0 <= slope.terms <= 6.0 and slope.value < 1e-12


def test_domains():
    with pytest.raises(InputError, match="sqrt"):
        Magnitude(-1).sqrt()
    with pytest.raises(InputError, match="whole number"):
        Magnitude(2) ** 0.5


def test_no_mixing_with_arrays():
    array = np.array([Magnitude(1, 2), 2.0], dtype=object)
    assert [m.terms for m in Magnitude(3) - array] == [5, 5]
    with pytest.raises(TypeError):
        Magnitude(1) + np.array([1.0])
    for convert in (bool, hash):
        with pytest.raises(TypeError):
            convert(Magnitude(1))
