"""Hypothesis answers what a primitive's examples ask for, and shrinks to something simple."""

import numpy as np
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

from minigrad.draw import away_from, distinct, floats, shape_of
from verify.gradients.hypothesis_draw import HypothesisDraw


@given(st.data())
def test_draws_keep_their_bounds(data):
    draw = HypothesisDraw(data)
    assert 2 <= draw.integer(2, 5) <= 5
    assert draw.choice("abc") in "abc"
    shape = shape_of(draw, (0, 3), (0, 4))
    array = draw.uniform(-1.5, 2.0, shape)
    assert array.shape == shape and array.dtype == np.float64 and type(array) is np.ndarray
    assert ((array >= -1.5) & (array <= 2.0)).all()
    assert ((array == 0) | (np.abs(array) >= 2.0**-20)).all()
    tiny = draw.uniform(1e-9, 1e-8, (3,))
    assert ((tiny >= 1e-9) & (tiny <= 1e-8)).all()
    assert floats(draw, -1, 1, (2, 2), np.float32).dtype == np.float32
    order = draw.permutation(5)
    assert order.dtype == np.int64 and sorted(order.tolist()) == list(range(5))
    assert draw.permutation(0).shape == (0,)


@given(st.data())
def test_arrays_may_be_written_to(data):
    array = HypothesisDraw(data).uniform(0, 1, (3,))
    array += 1


@given(st.data())
def test_the_helpers_keep_their_promises(data):
    draw = HypothesisDraw(data)
    far = away_from(draw, -2, 2, (2, 3), [-1.0, 0.0], 0.25)
    assert (np.abs(far) >= 0.25).all() and (np.abs(far + 1) >= 0.25).all()
    apart = np.sort(distinct(draw, (7,)))
    assert (np.diff(apart) >= 0.0625).all()


@st.composite
def drawn(draw, make):
    return make(HypothesisDraw(draw(st.data())))


QUICK = settings(max_examples=2000, database=None, derandomize=True)


@pytest.mark.parametrize(
    ("make", "condition", "simplest"),
    [
        (lambda d: d.integer(0, 100), lambda n: n >= 7, 7),
        (lambda d: d.choice(["valid", "same", "full"]), lambda c: True, "valid"),
        (lambda d: d.choice(["valid", "same", "full"]), lambda c: c != "valid", "same"),
        (lambda d: d.permutation(5).tolist(), lambda p: True, [0, 1, 2, 3, 4]),
        (lambda d: d.permutation(3).tolist(), lambda p: p[2] == 0, [1, 2, 0]),
        (lambda d: d.uniform(-3, 3, (2, 2)).tolist(), lambda a: True, [[0.0, 0.0], [0.0, 0.0]]),
        (lambda d: d.uniform(-3, 3, (3,)).tolist(), lambda a: max(a) > 0.9, [1.0, 1.0, 1.0]),
        (lambda d: float(d.uniform(0.5, 3)), lambda a: True, 1.0),
    ],
)
def test_shrinking(make, condition, simplest):
    assert find(drawn(make), condition, settings=QUICK) == simplest
