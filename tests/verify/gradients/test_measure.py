"""Bits of agreement, distances and growing precision, on numbers known beforehand."""

import math
from fractions import Fraction

import pytest
from flint import arb, ctx, fmpq
from hypothesis import given
from hypothesis import strategies as st

from verify.gradients.ball import Ball, Undecided
from verify.gradients.measure import agreeing_bits, largest_error, middle, rounded_up, until_decided


@given(st.fractions(min_value=0), st.fractions(min_value=0))
def test_bits_are_the_largest_that_hold(error, terms):
    bits = agreeing_bits(fmpq(error.numerator, error.denominator), fmpq(terms.numerator, terms.denominator))
    if error == 0:
        assert bits == math.inf
    elif terms == 0:
        assert bits == -math.inf
    else:
        holds = [error * 2**k <= terms if k >= 0 else error <= terms * 2**-k for k in (int(bits), int(bits) + 1)]
        assert holds == [True, False]


def test_an_error_without_terms_has_no_bound():
    assert agreeing_bits(fmpq(1, 2**2000), fmpq(0)) == -math.inf
    assert agreeing_bits(fmpq(0), fmpq(0)) == math.inf


def test_the_far_end_counts():
    assert largest_error(1.0, Ball(arb(1.25, 0.25))) >= fmpq(1, 2)
    assert largest_error(2.0, Ball(arb(1.25, 0.25))) >= 1
    assert largest_error(1.0, Ball(1)) == 0


def test_floats_of_rationals():
    assert middle(Ball(arb(1.25, 0.25))) == 1.25
    assert middle(Ball(1e308) * 10) == math.inf and middle(Ball(-1e308) * 10) == -math.inf
    assert Fraction(rounded_up(fmpq(1, 3))) > Fraction(1, 3) and rounded_up(fmpq(10) ** 400) == math.inf


def test_precision_is_doubled_until_it_suffices():
    seen = []

    def compute():
        seen.append(ctx.prec)
        if ctx.prec < 700:
            raise Undecided("not yet")
        return "decided"

    before = ctx.prec
    assert until_decided(compute, 192) == "decided" and seen == [192, 384, 768]
    assert ctx.prec == before


def test_there_is_a_last_precision():
    def compute():
        raise Undecided("the sign of this")

    with pytest.raises(Undecided, match=r"the sign of this \(working precision 24576 bits\)"):
        until_decided(compute, 192)
