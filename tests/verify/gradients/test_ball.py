"""Balls are exact or enclose the truth, and refuse what they cannot answer."""

import math
from fractions import Fraction

import flint
import numpy as np
import pytest
from flint import arb, fmpq
from hypothesis import given
from hypothesis import strategies as st

from minigrad.errors import InputError
from verify.gradients.ball import Ball, Undecided, precision

finite = st.floats(allow_nan=False, allow_infinity=False, width=64)
moderate = st.floats(-50, 50)


def wide(middle: float, radius: float) -> Ball:
    return Ball(arb(middle, radius))


def contains(ball: Ball, number: fmpq) -> bool:
    low, high = ball.bounds()
    return low <= number <= high


# ---- what raw Arb objects answer silently, and a ball refuses ----


@pytest.mark.parametrize(
    "question",
    [
        lambda: wide(2, 0.001).floor(),
        lambda: wide(0.5, 0.6).clip(0, 1),
        lambda: wide(0, 1) < 0,
        lambda: wide(0, 1) <= 0.5,
        lambda: wide(0, 1) > 0,
        lambda: wide(0, 1) >= 0,
        lambda: wide(0, 1) == 0,
        lambda: wide(0, 1) != 0,
        lambda: wide(1, 0.5) < wide(1.2, 0.5),
        lambda: wide(0, 1).sign(),
        lambda: abs(wide(0, 1)),
        lambda: 1 / wide(0, 1),
        lambda: wide(1, 0.01).nearest(),
        lambda: Ball(arb(1) / arb(0)),
    ],
)
def test_undecided_questions_raise(question):
    with pytest.raises(Undecided):
        question()


def test_raw_arb_objects_do_answer_them():
    """The reason this class exists; if Arb's Python objects ever refuse, the design's note is out of date."""
    array = np.array([arb(2, 0.001)], dtype=object)
    assert not (arb(0, 1) < 0) and not (arb(0, 1) >= 0)
    assert not np.floor(array)[0] < 2


def test_decided_questions_are_answered():
    assert wide(2.5, 0.001).floor() == 2
    assert wide(0.5, 0.4).clip(0, 1).bounds()[0] > 0
    assert wide(3, 0.5).clip(0, 1) == 1
    assert wide(-3, 0.5).clip(0, 1) == 0
    assert wide(1, 0.5) > 0 and wide(1, 0.5) >= 0.25 and wide(1, 0.5) != 0
    assert wide(-1, 0.5).sign() == -1 and abs(wide(-1, 0.5)) > 0
    assert Ball(1) < math.inf and Ball(1) > -math.inf and -math.inf < Ball(1)


def test_no_truth_value_no_float_no_hash():
    for convert in (bool, float, int, hash):
        with pytest.raises(TypeError):
            convert(Ball(1))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, True, "1", None])
def test_only_finite_numbers_become_balls(value):
    with pytest.raises(InputError, match="a ball is made from"):
        Ball(value)


# ---- arrays ----


def test_float_arrays_are_refused():
    for operation in (
        lambda b, a: b + a,
        lambda b, a: a + b,
        lambda b, a: a * b,
        lambda b, a: b < a,
        lambda b, a: a / b,
    ):
        with pytest.raises(TypeError):
            operation(Ball(1), np.array([1.0, 2.0]))
    with pytest.raises(TypeError):
        np.tanh(Ball(1))


def test_object_arrays_stay_sound():
    array = np.array([Ball(1), wide(2, 0.001)], dtype=object)
    with pytest.raises(TypeError):
        np.floor(array)
    with pytest.raises(Undecided):
        np.clip(array, 0, 2)
    with pytest.raises(Undecided):
        array < 2  # noqa: B015
    assert contains((array + array)[1], fmpq(4))
    with pytest.raises(TypeError):
        array.astype(np.float64)


def test_beside_an_object_array_a_number_meets_every_element():
    array = np.array([[Ball(1), Ball(2)], [Ball(-4), Ball(0.5)]], dtype=object)
    two = Ball(2)
    values = [[1, 2], [-4, Fraction(1, 2)]]
    for got, expected in (
        (two + array, lambda v: 2 + v),
        (array - two, lambda v: v - 2),
        (two - array, lambda v: 2 - v),
        (array * two, lambda v: 2 * v),
        (two / array, lambda v: 2 / Fraction(v)),
        (array / two, lambda v: Fraction(v) / 2),
    ):
        assert got.shape == (2, 2) and got.dtype == object
        assert [[x.exact for x in row] for row in got] == [[Ball(expected(v)).exact for v in row] for row in values]
    assert (array < two).tolist() == [[True, False], [True, True]]
    assert (two <= array).tolist() == [[False, True], [False, False]]
    assert (array == two).tolist() == [[False, True], [False, False]]
    with pytest.raises(Undecided):
        wide(1, 1) < array  # noqa: B015


def test_numpy_scalars_are_numbers():
    assert np.float64(2) > Ball(1) and (np.array(2.0) * Ball(3)).exact == 6
    assert (np.float64(0.1) + Ball(0)).exact == fmpq(*(0.1).as_integer_ratio())
    assert (np.float32(0.1) * Ball(1)).exact == fmpq(*float(np.float32(0.1)).as_integer_ratio())
    assert np.int64(3) - Ball(1) == 2


# ---- exactness ----


@given(finite, finite)
def test_rationals_stay_exact(a, b):
    x, y, p, q = Ball(a), Ball(b), Fraction(a), Fraction(b)
    results = [(x + y, p + q), (x - y, p - q), (x * y, p * q), (abs(x), abs(p)), (-x, -p)]
    if b:
        results.append((x / y, p / q))
    for ball, fraction in results:
        assert ball.exact == fmpq(fraction.numerator, fraction.denominator)
    assert x.floor().exact == math.floor(p)
    assert (x < y, x <= y, x == y, x != y) == (p < q, p <= q, p == q, p != q)


@given(finite)
def test_nearest_of_a_float_is_itself(a):
    assert Ball(a).nearest() == a


@pytest.mark.parametrize("bits", [53, 200])
def test_nearest_rounds_half_to_even(bits):
    with precision(bits):
        assert (Ball(1) + Ball(2.0**-53)).nearest() == 1.0
        assert (Ball(1) + Ball(3 * 2.0**-53)).nearest() == 1 + 2.0**-51
        assert (Ball(1) + Ball(2.0**-53) + Ball(2.0**-1000)).nearest() == 1 + 2.0**-52
        assert (Ball(5e-324) / 2).nearest() == 0.0
        assert (Ball(5e-324) * 3 / 2).nearest() == 1e-323


def test_functions_of_zero_stay_exact():
    zero = Ball(0)
    for result in (zero.tanh(), zero.erf(), zero.sqrt(), zero.log1p(), zero.expm1(), Ball(1).log()):
        assert result.exact == 0
    assert zero.exp().exact == 1
    assert (zero * wide(3, 1)).exact == 0
    assert (zero / wide(3, 1)).exact == 0
    assert (wide(3, 1) + 0).bounds() == wide(3, 1).bounds()


@given(st.floats(1e-9, 0.999), st.integers(-5, 5))
def test_powers_of_a_logarithm_are_rational(alpha, n):
    """tanh(K/2) = 1 - alpha for K = ln(2/alpha - 1): DSQ meets its interval edges exactly."""
    gain = (2 * (1 - Ball(alpha)) / Ball(alpha)).log1p()
    base = 2 / Ball(alpha) - 1
    assert (gain / 2).tanh().exact == (1 - Ball(alpha)).exact
    assert (gain * n).exp().exact == base.exact**n
    assert (gain * n).expm1().exact == base.exact**n - 1
    assert (gain - gain).exact == 0 and (gain * 3 / gain).exact == 3
    assert (gain / 3).tanh().exact is None


# ---- enclosures contain the truth, and are as narrow as the precision says ----


@given(moderate, st.sampled_from(["exp", "expm1", "tanh", "log", "log1p", "sqrt", "erf", "erf_slope"]))
def test_enclosures_contain_the_truth(a, name):
    if name in ("log", "sqrt") and a <= 0:
        a = -a + 1
    if name == "log1p" and a <= -1:
        a = -a
    with precision(60):
        rough = getattr(Ball(a), name)()
        low, high = rough.bounds()
        derived = rough * rough - rough / 3 + 1
        derived_low, derived_high = derived.bounds()
    with precision(4000):
        fine = getattr(Ball(a), name)()
        fine_low, fine_high = fine.bounds()
        again = (fine * fine - fine / 3 + 1).bounds()
    assert low <= fine_low and fine_high <= high
    assert derived_low <= again[0] and again[1] <= derived_high
    assert fine_high - fine_low <= abs(fine_high) * fmpq(1, 2**1900)


@given(st.floats(-20, 20))
def test_functions_agree_with_the_standard_library(a):
    with precision(4000):
        for name in ("exp", "expm1", "tanh", "erf"):
            truth = getattr(Ball(a), name)().nearest()
            assert math.isclose(getattr(math, name)(a), truth, rel_tol=1e-15)
        assert math.isclose(Ball(a).erf_slope().nearest(), 2 / math.sqrt(math.pi) * math.exp(-a * a), rel_tol=1e-13)
        if a > 0:
            assert math.isclose(math.sqrt(a), Ball(a).sqrt().nearest(), rel_tol=1e-15)
            assert math.isclose(math.log(a), Ball(a).log().nearest(), rel_tol=1e-14, abs_tol=1e-300)
            assert math.isclose(math.log1p(a), Ball(a).log1p().nearest(), rel_tol=1e-15)


@given(st.fractions(0, 1000))
def test_roots_of_rational_squares_are_rational(root):
    assert (Ball(root * root).sqrt()).exact == Ball(root).exact
    assert Ball(2 * root * root).sqrt().exact is None or root == 0


@given(finite, st.integers(-6, 6))
def test_whole_powers_of_rationals_are_exact(a, n):
    if a or n >= 0:
        assert (Ball(a) ** n).exact == Ball(Fraction(a) ** n).exact
        assert (Ball(a) ** float(n)).exact == (Ball(a) ** Ball(n)).exact == (Ball(a) ** n).exact


def test_powers_of_enclosures_and_large_powers():
    cube = wide(-2, 0.25) ** 3
    assert contains(cube, fmpq(-8)) and contains(cube, fmpq(-9, 4) ** 3) and cube < -4
    assert (wide(3, 1) ** 0).exact == 1
    assert contains(Ball(3) ** 100, fmpq(3) ** 100) and (Ball(3) ** 64).exact == 3**64
    assert (Ball(2).log() ** 1).exp().exact == 2
    for power in (lambda: Ball(0) ** -1, lambda: Ball(0) ** -100, lambda: (Ball(1) - 1) ** -2):
        with pytest.raises(ZeroDivisionError):
            power()
    with pytest.raises(Undecided):
        wide(0, 1) ** -1
    for exponent in (0.5, Fraction(1, 3), Ball(0.5)):
        with pytest.raises(InputError, match="whole number"):
            Ball(2) ** exponent
    with pytest.raises(TypeError):
        Ball(2) ** "2"


def test_signs_of_logarithms_need_no_precision():
    tiny = Ball(1) + Ball(2.0**-900) * Ball(2.0**-900)
    assert tiny.log().sign() == 1 and (-tiny.log()).sign() == -1
    assert tiny.log() > 0


def test_domains():
    for question in (
        lambda: Ball(0).log(),
        lambda: Ball(-1).log1p(),
        lambda: wide(-3, 1).log(),
        lambda: Ball(-4).sqrt(),
        lambda: wide(-3, 1).sqrt(),
    ):
        with pytest.raises(InputError):
            question()
    with pytest.raises(Undecided):
        wide(0.5, 1).log()
    with pytest.raises(Undecided):
        wide(0.5, 1).sqrt()
    with pytest.raises(ZeroDivisionError):
        Ball(1) / Ball(0)


def test_precision_is_restored():
    before = flint.ctx.prec
    with pytest.raises(RuntimeError), precision(300):
        assert flint.ctx.prec == 300
        raise RuntimeError
    assert flint.ctx.prec == before
    with pytest.raises(InputError, match="bits"), precision(1):
        pass
