"""Power series over balls: every rule against closed forms or Arb's own series."""

import math

import flint
import numpy as np
import pytest
from flint import fmpq
from hypothesis import given
from hypothesis import strategies as st

from minigrad.errors import InputError
from verify.gradients.ball import Ball, Undecided, precision
from verify.gradients.series import Series, Undefined

ORDER = 6
points = st.floats(-3, 3).filter(lambda x: abs(x) > 1e-3)


def series(*coefficients: float) -> Series:
    return Series([Ball(c) for c in coefficients])


def x_plus_t(x: float, order: int = ORDER) -> Series:
    return Series.variable(Ball(x), order)


def overlap(a: Ball, b: Ball) -> bool:
    return bool(a.enclosure().overlaps(b.enclosure()))


def assert_same(a: Series, b: Series) -> None:
    assert all(overlap(p, q) for p, q in zip(a.coefficients, b.coefficients, strict=True)), (a, b)


@given(points, st.sampled_from(["exp", "expm1", "log1p", "log", "tanh", "sqrt", "erf", "erf_slope"]))
def test_functions_against_arb_series(x, name):
    """Of an inner series with all coefficients, so that every recurrence is used."""
    x = abs(x)
    with precision(120):
        inner = series(x, 1.0, -0.5, 0.25, 2.0, 0.0, -1.0)
        mine = getattr(inner, name)()
        coefficients = [c.enclosure() for c in inner.coefficients]
        cap, flint.ctx.cap = flint.ctx.cap, ORDER + 1
        try:
            theirs = flint.arb_series(coefficients)
            if name == "exp":
                theirs = theirs.exp()
            elif name == "expm1":
                theirs = theirs.exp() - 1
            elif name in ("log", "sqrt", "erf"):
                theirs = getattr(theirs, name)()
            elif name == "erf_slope":
                theirs = (-theirs * theirs).exp() * (2 / flint.arb.pi().sqrt())
            elif name == "log1p":
                theirs = (theirs + 1).log()
            else:
                power = (2 * theirs).exp()
                theirs = (power - 1) / (power + 1)
            expected = [theirs[n] for n in range(ORDER + 1)]
        finally:
            flint.ctx.cap = cap
        for n, coefficient in enumerate(mine.coefficients):
            assert coefficient.enclosure().overlaps(expected[n]), (name, n)
            assert coefficient.bounds()[1] - coefficient.bounds()[0] < fmpq(1, 10**12)


@given(points, points)
def test_arithmetic_of_rationals_is_exact(a, b):
    p, q = series(a, b, 1.0, 2.0), series(b, -1.0, a, 0.5)
    assert all((x - y).exact == 0 for x, y in zip(((p * q) / q).coefficients, p.coefficients, strict=True))
    assert all(c.exact == 0 for c in (p + q - q - p).coefficients)
    assert all((x - y).exact == 0 for x, y in zip((2 - p).coefficients, (-(p - 2)).coefficients, strict=True))
    reciprocal = 1 / q
    assert (reciprocal * q).coefficients[0].exact == 1
    assert all(c.exact == 0 for c in (reciprocal * q).coefficients[1:])
    assert ((p / 4).coefficients[1] * 4 - p.coefficients[1]).exact == 0


@given(points)
def test_identities(x):
    with precision(150):
        t = x_plus_t(x)
        assert_same(t.exp() * (-t).exp(), Series([Ball(1), *[Ball(0)] * ORDER]))
        assert_same(t.exp() - 1, t.expm1())
        assert_same((t * t + 1).log(), (t * t).log1p())
        assert_same((t.expm1()).log1p(), t)
        assert_same(t.tanh(), ((2 * t).exp() - 1) / ((2 * t).exp() + 1))


@given(points, st.integers(-4, 5))
def test_whole_powers_are_products(x, n):
    t = series(x, 1.0, -0.5, 0.25, 2.0, 0.0, -1.0)
    power, product = t**n, Series([Ball(1), *[Ball(0)] * ORDER])
    for _ in range(abs(n)):
        product = product * t if n > 0 else product / t
    assert all((a - b).exact == 0 for a, b in zip(power.coefficients, product.coefficients, strict=True))
    assert x_plus_t(0.0, 2) ** 2 == 0 and (x_plus_t(0.0, 2) ** 2).derivative(2).exact == 2


def test_derivatives_carry_the_factorial():
    with precision(100):
        t = x_plus_t(2.0, 4)
        cube = t * t * t
        assert [cube.derivative(n).exact for n in range(1, 5)] == [12, 12, 6, 0]
        assert math.isclose(t.tanh().derivative(1).nearest(), 1 - math.tanh(2) ** 2, rel_tol=1e-14)


# ---- piecewise constants ----


def test_floor_and_comparisons_look_at_the_value():
    t = x_plus_t(2.0, 2)
    assert isinstance(t.floor(), Ball) and t.floor() == 2
    assert t >= 2 and t <= 2 and not t < 2 and not t > 2 and t == 2 and t != 3
    assert Ball(1) < t and t < 3


def test_clip_passes_the_derivative_inside_only():
    t = x_plus_t(2.0, 1)
    assert t.clip(0, 2) is t
    assert t.clip(0, 1) == 1 and not isinstance(t.clip(0, 1), Series)
    assert t.clip(3, 4) == 3


def test_abs_at_zero_is_undefined_and_only_raises_when_used():
    t = x_plus_t(0.0, 1)
    unused = abs(t).expm1() * 3 / (1 + abs(t))
    assert unused.constant.exact == 0
    derivative = unused.derivative()
    assert isinstance(derivative, Undefined)
    for question in (derivative.nearest, derivative.sign, lambda: derivative < 1, lambda: bool(derivative)):
        with pytest.raises(Undecided, match="abs has no derivative at 0"):
            question()
    assert abs(x_plus_t(-2.0, 1)).derivative() == -1


def test_the_root_at_zero_has_no_derivative():
    root = x_plus_t(0.0, 2).sqrt()
    assert root.constant.exact == 0
    for n in (1, 2):
        with pytest.raises(Undecided, match="sqrt has no derivative at 0"):
            root.derivative(n).nearest()
    assert series(0.0, 0.0, 0.0).sqrt().derivative().exact == 0
    with pytest.raises(InputError, match="sqrt"):
        x_plus_t(-1.0).sqrt()


def test_what_is_undefined_stays_so_through_every_function():
    missing = Undefined("nothing here")
    for name in ("sqrt", "erf", "erf_slope", "exp", "expm1", "log", "log1p", "tanh"):
        assert getattr(missing, name)() is missing
    assert missing**2 is missing and +missing is missing
    array = np.array([Ball(1), Ball(2)], dtype=object)
    assert (array * missing).tolist() == (missing * array).tolist() == [missing, missing]


def test_beside_an_object_array_a_series_meets_every_element():
    t = x_plus_t(2.0, 1)
    array = np.array([Ball(1), t, 3.0], dtype=object)
    for got, expected in (
        (t + array, [1, 2, 1]),
        (array - t, [-1, 0, -1]),
        (t - array, [1, 0, 1]),
        (array * t, [1, 4, 3]),
        (array / t, [Ball(-1) / 4, 0, Ball(-3) / 4]),
    ):
        assert [(x.derivative() - y).exact for x, y in zip(got, expected, strict=True)] == [0, 0, 0]
    assert (array < t).tolist() == (t > array).tolist() == [True, False, False]
    with pytest.raises(TypeError):
        t + np.array([1.0])


def test_an_undecided_value_raises():
    t = Series.variable(Ball(flint.arb(2, 0.001)), 1)
    for question in (t.floor, lambda: t < 2, lambda: t.clip(0, 2)):
        with pytest.raises(Undecided):
            question()


def test_orders_do_not_mix():
    with pytest.raises(InputError, match="orders 1 and 2"):
        x_plus_t(1.0, 1) + x_plus_t(1.0, 2)
    with pytest.raises(InputError, match="order"):
        Series.variable(Ball(1), 0)
    with pytest.raises(TypeError):
        bool(x_plus_t(1.0))
