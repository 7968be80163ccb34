"""x^y against ball arithmetic, at its special values, and where it is exact."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
from flint import arb
from hypothesis import example, given
from hypothesis import strategies as st

from minigrad import elementary
from minigrad.double_double import multiply, product, quotient, two_sum
from minigrad.power import power
from verify.gradients.ball import Ball, precision
from verify.gradients.magnitude import Magnitude
from verify.gradients.series import Series

SMALLEST_NORMAL = 2.0**-1022
positive = st.floats(min_value=0, exclude_min=True, allow_infinity=False)


@pytest.fixture(autouse=True)
def _precise() -> Iterator[None]:
    with precision(256):
        yield


def units_off(x: float, y: float) -> float:
    """The error of x^y in units of the last place of the truth."""
    exact = (arb(y) * arb(x).log()).exp()
    got = float(power(x, y))
    return float(abs(arb(got) - exact) / arb(float(np.spacing(float(exact)))))


def check(x: float, y: float) -> None:
    bound = 0.65 if power(x, y) >= 2 * SMALLEST_NORMAL else 1.0
    assert units_off(x, y) <= bound, f"power({x!r}, {y!r}) = {power(x, y)!r}"


@given(positive, st.floats(-745, 709))
@example(0.8396515986896043, 688.64)
@example(5e-324, 744.0)
@example(math.nextafter(1, 0), -700.0)
@example(math.nextafter(1, 2), 700.0)
def test_the_error_stays_when_the_logarithm_is_multiplied_up(x: float, target: float) -> None:
    """The exponent is chosen so that y log x is the target, out to where the result leaves float64."""
    size = math.log(x)
    if size != 0 and math.isfinite(target / size) and 0 < power(x, target / size) < math.inf:
        check(x, target / size)


@pytest.mark.parametrize("target", [708.0, -707.0])
def test_the_series_of_the_logarithm_over_its_whole_interval(target: float) -> None:
    """Full mantissas from below sqrt 1/2 to above sqrt 2, each to the power that leaves it at the end of float64."""
    rng = np.random.default_rng(0)
    for x in np.concatenate(
        [rng.uniform(0.7, 1.42, 400), rng.uniform(0.707, 0.72, 300), rng.uniform(1.39, 1.415, 300)]
    ):
        check(float(x), target / math.log(x))


@given(st.floats(1e-3, 1e3), st.floats(-100, 100))
def test_ordinary_arguments(x: float, y: float) -> None:
    if 0 < power(x, y) < math.inf:
        check(x, y)


@given(st.integers(2, 200), st.integers(1, 52))
def test_representable_powers_and_roots_are_exact(base: int, exponent: int) -> None:
    exact = base**exponent
    if exact < 1 << 53:
        assert power(float(base), float(exponent)) == exact
        assert power(-float(base), float(exponent)) == (-base) ** exponent
        assert power(float(base**2), 0.5) == base
        assert power(2.0, -float(exponent)) == 2.0**-exponent


SPECIAL = [0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 3.0, -3.0, 0.5, -0.5, 1e300, 5e-324, -5e-324, 2.0**53 + 2, 1 - 2.0**53]
SPECIAL += [math.inf, -math.inf, math.nan]


@pytest.mark.parametrize("x", SPECIAL)
@pytest.mark.parametrize("y", SPECIAL)
def test_special_values_are_those_of_ieee(x: float, y: float) -> None:
    try:
        expected = math.pow(x, y)
    except OverflowError:
        expected = math.copysign(math.inf, x if y % 2 == 1 else 1.0)
    except ValueError:  # 0 to a negative power is an infinity, a negative number to a broken one NaN
        expected = math.copysign(math.inf, x if y % 2 == 1 else 1.0) if x == 0 else math.nan
    got = float(power(x, y))
    if math.isnan(expected):
        assert math.isnan(got)
    else:
        assert math.copysign(1, got) == math.copysign(1, expected)
        assert got == expected or got == pytest.approx(expected, rel=3e-16)


@given(st.floats(2.0**-20, 2.0**20, width=32), st.floats(-6, 6, width=32))
def test_float32_is_the_float64_result_rounded_once(x: float, y: float) -> None:
    single = power(np.float32(x), np.array([y], np.float32))
    assert single.dtype == np.float32
    assert single[0] == np.float32(power(x, y))


def test_shapes_and_dtypes() -> None:
    x = np.ones((3, 1), np.float32)
    assert power(x, np.ones(4, np.float32)).shape == (3, 4)
    assert power(x, 2.5).dtype == power(2, x).dtype == np.float32
    assert power(x, np.ones(4)).dtype == power(2, 3).dtype == np.float64
    assert power(np.ones((0, 2)), 2.0).shape == (0, 2)


def test_exact_numbers_to_whole_powers_stay_exact() -> None:
    bases = np.array([[Ball(-1.5), Ball(2.0)], [Ball(0.0), Ball(0.25)]], dtype=object)
    assert [[b.exact for b in row] for row in power(bases, 3)] == [[Ball(-3.375).exact, 8], [0, Ball(1 / 64).exact]]
    exponents = np.array([Ball(2.0), Ball(-1.0)], dtype=object)
    assert [[b.exact for b in row] for row in power(bases[:1], exponents)] == [[Ball(2.25).exact, Ball(0.5).exact]]
    assert power(Magnitude(-3.0), Magnitude(2.0)).value == 9
    assert float(power(np.array([4.0], dtype=object), 0.5)[0]) == 2.0


def test_derivatives_by_base_and_by_exponent() -> None:
    by_base = power(Series.variable(Ball(-2.0)), Ball(3.0))
    assert by_base.derivative().exact == 12
    by_exponent = power(Ball(2.0), Series.variable(Ball(3.0))).derivative().nearest()
    assert by_exponent == pytest.approx(8 * math.log(2), rel=1e-15)


@given(st.floats(-1e100, 1e100), st.floats(-1e100, 1e100).filter(lambda b: abs(b) > 1e-100))
def test_pairs_hold_what_rounding_loses(a: float, b: float) -> None:
    x, y = Ball(a), Ball(b)

    def total(pair: tuple[float, float]) -> Ball:
        return Ball(pair[0]) + Ball(pair[1])

    assert (total(two_sum(a, b)) - (x + y)).exact == 0
    if abs(a) > 1e-100:
        assert (total(product(a, b)) - x * y).exact == 0
        third = (b, b * 2.0**-55)
        for pair, exact in ((quotient(a, third), x / total(third)), (multiply((a, 0.0), third), x * total(third))):
            assert abs(total(pair) - exact) <= abs(exact) * Ball(2.0**-100)


def test_is_the_generic_function() -> None:
    assert elementary.power is power
