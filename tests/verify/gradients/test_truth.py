"""Correctly rounded values and gradients, and certificates, on formulas whose truth is known otherwise."""

import math
import time

import numpy as np
import pytest
from flint import arb, fmpq
from hypothesis import given
from hypothesis import strategies as st

from minigrad.elementary import exp, log, select, tanh
from minigrad.errors import InputError
from quant.dsq import soft, soft_partials
from verify.gradients.ball import Ball, Undecided, precision
from verify.gradients.truth import certify, enclose, sum_of_terms, value_and_gradient

TABLE = """
-1.2 -1 0 1 0 0
-0.9 -0.935985101975 0.799533306865 0.208435909465 -0.00796921633059 0.135052516265
-0.6 -0.57656103561 1.30904380624 -0.258954527188 -0.0500892790528 -0.108024076329
0 0 1.37326536084 -0.186632680418 -0.186632680418 0
0.25 0.282174601836 0.743450663924 0.0801187001104 0.176430635966 -0.117224773653
0.7 0.712258901115 1.35682320714 -0.0596529316286 -0.297170275513 -0.0573646797859
1 1 0.494375529901 0 0.505624470099 0
1.3 1 0 0 1 0
"""


def dsq(bits):
    return lambda x, l, u, alpha: soft(x, l, u, alpha, bits)


# ---- value_and_gradient ----


@pytest.mark.parametrize("row", TABLE.strip().splitlines())
def test_dsq_reproduces_the_methods_table(row):
    x, *expected = (float(n) for n in row.split())
    truth = value_and_gradient(dsq(2), (x, -1.0, 1.0, 0.2))
    got = [truth.value, *truth.gradient]
    # The table's l, u, alpha are decimals; 0.2 is not a double, which moves the 12th digit by less than one.
    assert got == pytest.approx(expected, rel=1e-11, abs=1e-15)
    assert [g == 0 for g in got] == [e == 0 for e in expected]


def closed_form(x, l, u, alpha, bits):
    """Equations of the method written once more, in raw Arb at 300 bits, for points strictly between edges."""
    with precision(300):
        n = 2**bits - 1
        x, l, u, alpha = (fmpq(*v.as_integer_ratio()) for v in (x, l, u, alpha))
        step = (u - l) / n
        v = (x - l) / step
        i = min(max(int(v.floor()), 0), n - 1)
        z, s, gain = v - i - fmpq(1, 2), 1 / (1 - alpha), arb(2 / alpha - 1).log()
        t = (gain * arb(z)).tanh()
        d2, q = 1 - t * t, i + (arb(s) * t + 1) / 2
        slope = gain * arb(s) / 2 * d2
        dalpha = arb(step / 2) * (arb(s * s) * t - arb(2 * s * z / (alpha * (2 - alpha))) * d2)
        results = (
            arb(l) + arb(step) * q,
            slope,
            1 - q / n + slope * arb(v / n - 1),
            q / n - slope * arb(v / n),
            dalpha,
        )
        return [Ball(r) for r in results]


@given(
    st.floats(0.001, 0.999),
    st.floats(-10, 10),
    st.floats(1e-3, 20),
    st.floats(1e-6, 0.999),
    st.integers(1, 8),
)
def test_dsq_agrees_with_the_closed_forms(place, l, width, alpha, bits):
    """Series against the equations: two derivations, one truth."""
    u = l + width
    x = l + place * (u - l)
    truth = value_and_gradient(dsq(bits), (x, l, u, alpha))
    step = (fmpq(*u.as_integer_ratio()) - fmpq(*l.as_integer_ratio())) / (2**bits - 1)
    v = (fmpq(*x.as_integer_ratio()) - fmpq(*l.as_integer_ratio())) / step
    if 2 * v == (2 * v).floor():
        return  # edges and middles have exact zeros, which a plain enclosure cannot show
    with precision(300):
        assert [truth.value, *truth.gradient] == [b.nearest() for b in closed_form(x, l, u, alpha, bits)]


@given(st.integers(1, 8), st.floats(1e-6, 0.999), st.data())
def test_dsq_is_the_identity_at_edges_and_its_alpha_gradient_vanishes(bits, alpha, data):
    n = 2**bits - 1
    edge = data.draw(st.integers(0, n))
    truth = value_and_gradient(dsq(bits), (edge * 0.5, 0.0, n * 0.5, alpha))
    assert truth.value == edge * 0.5
    assert truth.gradient[3] == 0.0


def test_branches_without_an_argument_have_no_derivative_by_it():
    truth = value_and_gradient(lambda x, l: select(x < l, l, x * x), (1.0, 2.0))
    assert (truth.value, truth.gradient) == (2.0, (0.0, 1.0))
    assert value_and_gradient(lambda x: Ball(3) if isinstance(x, Ball) else 3.0, (1.0,)).gradient == (0.0,)


def test_the_loop_raises_the_precision_until_it_can_round():
    """A sum just above a rounding boundary, out of reach of the first precision."""

    def hard_to_round(x):
        return 1 + x * 2.0**-53 + tanh(x * 2.0**-300)

    assert value_and_gradient(hard_to_round, (1.0,)).value == 1 + 2.0**-52
    with pytest.raises(Undecided), precision(128):
        enclose(hard_to_round, (1.0,), 128)[0].nearest()


def test_what_never_settles_is_reported():
    """3 (1 + 2^-52) lies exactly between two floats, and nothing but an enclosure of it is known."""
    with pytest.raises(Undecided, match="does not round to one float64"):
        value_and_gradient(lambda x: exp(log(x) + log(x * 0 + 3)), (1.0 + 2.0**-52,))


def test_sum_of_terms_shows_cancellation():
    value, (slope,) = sum_of_terms(lambda x: (x + 1000.0) - 1000.0, (1.0,))
    assert value == 2001.0 and slope == 1.0


# ---- certificates ----


def square_and_slope(x):
    return x * x, (2 * x,)


def test_a_right_implementation_is_certified():
    x = np.linspace(-3, 3, 41)
    certificate = certify(lambda v: v * v, [x], *square_and_slope(x))
    assert certificate.points == 41
    assert 53 <= certificate["y"].bits < 60 and certificate["dx"].bits == math.inf
    assert "y: |error| <= 2^-5" in str(certificate) and "dx: every value exact" in str(certificate)


def test_the_bound_is_the_error_of_the_worst_point():
    x = np.array([1.0, 1.5, 2.0])
    y, (dx,) = square_and_slope(x)
    y[1] += 2.0**-30
    bound = certify(lambda v: v * v, [x], y, (dx,))["y"]
    # The terms are |x||x| + |x||x| = 4.5 and the error 2^-30: between 2^-33 and 2^-32 of them.
    assert (bound.bits, bound.index, bound.arguments, bound.terms) == (32, 1, (1.5,), 4.5)
    assert bound.error == pytest.approx(2.0**-30) and bound.truth == 2.25


def test_wrong_where_nothing_may_be_wrong():
    below = certify(lambda x, l: select(x < l, l, x), [0.0, 1.0], 1.0, (1e-300, 1.0))
    assert below["dx"].bits == -math.inf and below.bits == -math.inf


def test_a_certificate_takes_the_precision_it_needs():
    """Which branch is taken is decided by a sum 2^-300 above 1."""

    def hard(x):
        return select(1 + tanh(x * 2.0**-300) > 1, x * x, -x)

    x = np.array([3.0, -3.0])
    assert certify(hard, [x], np.array([9.0, 3.0]), (np.array([6.0, -1.0]),)).bits == math.inf
    assert certify(hard, [x], np.array([9.0, 9.0]), (np.array([6.0, -1.0]),))["y"].bits < 2


def test_dsq_is_certified_quickly_and_a_sign_error_is_not():
    rng = np.random.default_rng(7)
    x = rng.normal(size=200).astype(np.float64)
    l, u, alpha = -0.7310585786300049, 0.6123, 0.1873
    value, partials = soft(x, l, u, alpha, 2), soft_partials(x, l, u, alpha, 2)
    start = time.process_time()
    certificate = certify(dsq(2), [x, l, u, alpha], value, partials)
    assert time.process_time() - start < 3.0
    assert certificate.bits >= 49, str(certificate)
    for position, name in enumerate(("dx", "dl", "du", "dalpha")):
        wrong = [p.copy() for p in partials]
        wrong[position] *= -1
        broken = certify(dsq(2), [x, l, u, alpha], value, wrong)
        assert broken[name].bits < 8 and broken["y"].bits >= 49
    assert certify(dsq(2), [x, l, u, alpha], value * (1 + 2.0**-40), partials).bits <= 46


def test_bad_arguments():
    x = np.ones(3)
    with pytest.raises(InputError, match="dx: expected 3 values"):
        certify(lambda v: v, [x], x, (np.ones(2),))
    with pytest.raises(InputError, match="y: not finite at point 1"):
        certify(lambda v: v, [x], np.array([1.0, np.nan, 1.0]), (x,))
    with pytest.raises(InputError, match="partials"):
        certify(lambda v: v, [x], x, ())
    with pytest.raises(InputError, match="args"):
        value_and_gradient(lambda: 1.0, ())
