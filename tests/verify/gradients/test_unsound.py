"""Every shortcut with raw Arb objects that answers silently and wrongly, beside what the classes here do instead.

If a raw object starts to refuse, the first half of a test fails and the design's note is out of date.
"""

import math

import numpy as np
import pytest
from flint import arb, arb_series

from minigrad import elementary
from verify.gradients.ball import Ball, Undecided
from verify.gradients.node import Node
from verify.gradients.series import Series


def objects(*numbers):
    array = np.empty(len(numbers), dtype=object)
    for index, number in enumerate(numbers):
        array[index] = number
    return array


def wide(middle, radius):
    return Ball(arb(middle, radius))


#: A ball, a series and a node: every class in which truths are computed answers alike.
LAYERS = [
    pytest.param(lambda ball: ball, id="ball"),
    pytest.param(lambda ball: Series.variable(ball), id="series"),
    pytest.param(lambda ball: Node(ball), id="node"),
    pytest.param(lambda ball: Series((Node(ball), Ball(1))), id="node in series"),
]


@pytest.mark.parametrize("layer", LAYERS)
def test_the_floor_of_two_more_or_less(layer):
    assert math.floor(arb(2, 0.001)) == 2  # 1.9995 is inside, and its floor is 1
    for floor in (elementary.floor, lambda x: x.floor()):
        with pytest.raises(Undecided):
            floor(layer(wide(2, 0.001)))
    with pytest.raises(Undecided):
        elementary.floor(objects(layer(wide(2, 0.001))))
    for floor in (math.floor, math.trunc, math.ceil, round, int):
        with pytest.raises(TypeError):
            floor(layer(wide(2, 0.001)))
    with pytest.raises(TypeError):
        np.floor(objects(layer(wide(2, 0.001))))


@pytest.mark.parametrize("layer", LAYERS)
def test_the_clip_of_a_half_more_or_less(layer):
    clipped = np.clip(objects(arb(0.5, 0.6)), 0, 1)[0]
    assert clipped == 0  # it may as well be 0.5, or 1
    raw = layer(wide(0.5, 0.6))
    with pytest.raises(Undecided):
        elementary.clip(raw, 0, 1)
    with pytest.raises(Undecided):
        elementary.clip(objects(raw), 0, 1)
    with pytest.raises(Undecided):
        np.clip(objects(raw), 0, 1)
    with pytest.raises(Undecided):
        np.minimum(objects(raw), 1)


@pytest.mark.parametrize("layer", LAYERS)
def test_a_comparison_that_is_not_decided(layer):
    raw = arb(0, 1)
    # Neither below 0 nor not below 0: `a if x < 0 else b` takes b either way.
    assert not (raw < 0) and not (raw >= 0)
    assert (0 if raw < 0 else 1) == 1 and (0 if raw >= 0 else 1) == 1
    x = layer(wide(0, 1))
    for question in (
        lambda: x < 0,
        lambda: x >= 0,
        lambda: x == 0,
        lambda: Ball(0) > x,
        lambda: objects(x) < 0,
        lambda: objects(x) == objects(0.0),
        lambda: x < layer(wide(0.5, 1)),
        lambda: abs(x),
        lambda: x.sign(),
    ):
        with pytest.raises(Undecided):
            question()
    with pytest.raises(TypeError):
        bool(x)
    with pytest.raises(TypeError):
        np.where(objects(x), 1, 2)


@pytest.mark.parametrize("layer", LAYERS)
def test_a_power_series_among_arrays(layer):
    raw = arb_series([3, 1], prec=2)
    assert np.array([raw]).shape == (1, 2)  # its coefficients, and no series any more
    assert np.asarray(raw, dtype=object).shape == (2,)
    assert np.add(raw, 1).shape == (2,) and np.add(raw, 1)[1] == 2  # the slope has moved
    x = layer(Ball(3))
    for array in (np.array([x]), np.array([x], dtype=object), np.asarray([[x]]).ravel()):
        assert array.shape == (1,) and array[0] is x
    assert np.asarray(x, dtype=object)[()] is x
    moved = np.add(x, objects(1.0))[0]
    assert type(moved) is type(x) and moved == 4
    if isinstance(x, Series):
        assert moved.coefficients[1] is x.coefficients[1]


@pytest.mark.parametrize("layer", LAYERS)
def test_the_largest_of_balls_that_overlap(layer):
    raw = objects(arb(1, 0.5), arb(1.2, 0.5), arb(1.1))
    # All three contain numbers that are larger than what is called the largest, or the first.
    assert np.max(raw) == arb(1.1) and np.argmax(raw) == 0
    assert [n.mid() for n in np.sort(raw)] == [n.mid() for n in raw]
    assert max(raw) is raw[0] and sorted(raw)[0] is raw[0]
    x = objects(*(layer(b) for b in (wide(1, 0.5), wide(1.2, 0.5), Ball(1.1))))
    for question in (np.max, np.min, np.argmax, np.argmin, np.sort, np.argsort, max, min, sorted, np.unique):
        with pytest.raises(Undecided):
            question(x)
    with pytest.raises(Undecided):
        np.maximum(x[:1], x[1:2])
    with pytest.raises(Undecided):
        np.maximum.reduce(x)


@pytest.mark.parametrize("layer", LAYERS)
def test_a_float_of_a_ball(layer):
    assert float(arb(0.5, 0.6)) == 0.5  # the middle, without a word about the rest
    assert objects(arb(0.5, 0.6)).astype(np.float64)[0] == 0.5
    x = layer(wide(0.5, 0.6))
    for convert in (float, int, complex, math.sqrt, math.exp, np.float64, lambda v: f"{v:.3f}"):
        with pytest.raises(TypeError):
            convert(x)
    with pytest.raises(TypeError):
        objects(x).astype(np.float64)
    with pytest.raises((TypeError, ValueError)):
        np.zeros(1)[0:1].__setitem__(0, x)
    for function in (np.sqrt, np.exp, np.tanh, np.sign, np.isnan):
        with pytest.raises(TypeError):
            function(x)
