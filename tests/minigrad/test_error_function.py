"""The error function and its slope against ball arithmetic, and the constants they are made of."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
from flint import arb, fmpq
from hypothesis import example, given
from hypothesis import strategies as st

from minigrad import error_function
from minigrad.elementary import erf, erf_slope, normal_cdf, normal_pdf
from verify.gradients.ball import Ball, precision


@pytest.fixture(autouse=True)
def _precise() -> Iterator[None]:
    with precision(300):
        yield


def slope(x: arb) -> arb:
    return 2 / arb.pi().sqrt() * (-x * x).exp()


def assert_within(units: float, got: float, exact: arb, x: float) -> None:
    unit = arb(float(np.spacing(abs(float(exact)))))
    assert abs(arb(got) - exact) <= arb(units) * unit, f"at {x!r}: got {got!r}, truth {exact}"


doubles = st.one_of(st.floats(-7, 7), st.floats(-1, 1), st.floats(allow_nan=False, allow_infinity=False))


@given(doubles)
@example(0.75)
@example(math.nextafter(0.75, 0))
@example(0.7681697961230092)
@example(1.25)
@example(math.nextafter(6.25, 0))
@example(6.25)
@example(5e-324)
def test_within_one_unit(x: float) -> None:
    assert_within(1, float(erf(x)), arb(x).erf() if abs(x) < 40 else arb(math.copysign(1, x)), x)


def test_within_one_unit_on_a_grid_of_every_piece() -> None:
    edges = np.concatenate([[0.75 + 0.5 * n for n in range(12)], np.arange(0, 6.5, 0.5)])
    x = np.concatenate([np.linspace(0, 6.3, 4001), edges, np.nextafter(edges, 0), np.nextafter(edges, 9)])
    for value, got in zip(x, erf(x), strict=True):
        assert_within(1, float(got), arb(float(value)).erf(), value)
    assert np.array_equal(erf(-x), -erf(x))


@given(st.one_of(st.floats(-28, 28), st.floats(-1, 1)))
@example(26.62419611040721)
def test_the_slope_is_within_two_units(x: float) -> None:
    assert_within(2, float(erf_slope(x)), slope(arb(x)), x)


@pytest.mark.parametrize(
    ("function", "x", "expected"),
    [
        (erf, math.inf, 1.0),
        (erf, -math.inf, -1.0),
        (erf, -0.0, -0.0),
        (erf, 0.0, 0.0),
        (erf, math.nan, math.nan),
        (erf, 1e308, 1.0),
        (erf_slope, math.inf, 0.0),
        (erf_slope, -math.inf, 0.0),
        (erf_slope, 1e308, 0.0),
        (erf_slope, math.nan, math.nan),
    ],
)
def test_special_values(function: object, x: float, expected: float) -> None:
    got = float(function(x))  # type: ignore[operator]
    assert (math.isnan(got) and math.isnan(expected)) or got == expected
    assert math.isnan(expected) or math.copysign(1, got) == math.copysign(1, expected)


@given(st.floats(-7, 7, width=32))
def test_float32_is_the_float64_result_rounded_once(x: float) -> None:
    for function in (erf, erf_slope):
        single = function(np.float32(x))
        assert single.dtype == np.float32
        assert single == np.float32(function(x))


def test_the_constants_are_arbs() -> None:
    for n, row in enumerate(error_function._AT_CENTRES):
        centre = arb(fmpq(2 + n, 2))
        for text, exact in zip(row, (centre.erfc(), slope(centre)), strict=True):
            assert_within(0.5, float.fromhex(text), exact, n)
    assert_within(0.5, error_function._TWO_OVER_ROOT_PI, slope(arb(0)), 0)
    assert_within(0.5, error_function._AROUND_ZERO[-1], slope(arb(0)) - 1, 0)


def test_truncation_is_what_the_module_says() -> None:
    """The series' remainders: the first term left out and a geometric bound on the rest."""
    square = arb(0.75) ** 2
    assert slope(arb(0)) * square**16 / arb(16).gamma() / 16 / 33 < arb(2) ** -62
    for n in range(len(error_function._AT_CENTRES)):
        centre = arb(fmpq(2 + n, 2))
        rest = arb(0)
        for k in range(19, 80):
            # Cramer: |H_(k-1)(c)| < 1.09 2^((k-1)/2) sqrt((k-1)!) e^(c^2/2)
            hermite = arb(1.09) * arb(2) ** (arb(k - 1) / 2) * arb(k).gamma().sqrt() * (centre**2 / 2).exp()
            rest += slope(centre) * hermite / (arb(k + 1).gamma()) * arb(0.25) ** k
        assert rest < arb(2) ** -59


@pytest.mark.parametrize(("low", "high"), [(-37.5, -8.0), (-8.0, -3.2), (-3.2, -1.0), (-1.0, 1.0), (1.0, 9.0)])
def test_the_normal_distribution_keeps_its_tail(low: float, high: float) -> None:
    """Relative error, where 1 + erf has none of its bits left."""
    x = np.random.default_rng(0).uniform(low, high, 2000)
    for name, function in (("cdf", normal_cdf), ("pdf", normal_pdf)):
        for number, got in zip(x.tolist(), function(x).tolist(), strict=True):
            z = arb(number)
            cdf = (-z / arb(2).sqrt()).erfc() / 2
            truth = cdf if name == "cdf" else (-z * z / 2).exp() / (2 * arb.pi()).sqrt()
            error = abs((arb(got) - truth) / truth)
            assert error < (4 + 2 * number**2) * 2.0**-53, f"normal_{name}({number!r}) = {got!r}"


def test_the_normal_distribution_at_special_points() -> None:
    special = np.array([0.0, np.inf, -np.inf, np.nan, -50.0])
    assert np.array_equal(normal_cdf(special), [0.5, 1.0, 0.0, np.nan, 0.0], equal_nan=True)
    assert np.array_equal(normal_pdf(special)[1:], [0.0, 0.0, np.nan, 0.0], equal_nan=True)
    assert normal_cdf(special.astype(np.float32)).dtype == np.float32


def test_the_normal_distribution_of_exact_numbers() -> None:
    assert normal_cdf(Ball(0)).exact == fmpq(1, 2)
    for function, expected in ((normal_cdf, normal_cdf(0.75)), (normal_pdf, normal_pdf(0.75))):
        assert function(Ball(0.75)).nearest() == pytest.approx(float(expected), rel=1e-15)
