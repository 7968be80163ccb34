"""Nodes against power series: two derivations of every derivative, equal as rational numbers."""

import numpy as np
import pytest
from flint import fmpq
from hypothesis import given, settings
from hypothesis import strategies as st

from minigrad import elementary
from verify.gradients.ball import Ball, Undecided, precision
from verify.gradients.magnitude import Magnitude
from verify.gradients.node import Node, gradients
from verify.gradients.series import Series, Undefined

eighths = st.integers(-24, 24).map(lambda n: n / 8)
steps = st.tuples(
    st.sampled_from(
        ["+", "-", "*", "/", "constant +", "constant -", "constant /", "abs", "clip", "power", "floor", "max"]
    ),
    st.integers(0, 99),
    st.integers(0, 99),
    st.integers(-16, 16).map(lambda n: n / 8),
)


def run(program, arguments):
    """A straight-line program on numbers of any class: every step takes two earlier numbers."""
    numbers = list(arguments)
    for operation, i, j, c in program:
        a, b = numbers[i % len(numbers)], numbers[j % len(numbers)]
        match operation:
            case "+":
                numbers.append(a + b)
            case "-":
                numbers.append(a - b)
            case "*":
                numbers.append(a * b)
            case "/":
                numbers.append(a / (b * b + 1))
            case "constant +":
                numbers.append(c + a)
            case "constant -":
                numbers.append(c - a * c)
            case "constant /":
                numbers.append(c / (a * a + 2) - a / 4)
            case "abs":
                numbers.append(-abs(a) if a != 0 else +a)
            case "clip":
                numbers.append(a.clip(-1.5, b) if b > -1.5 else a)
            case "power":
                numbers.append(a**3 if a == 0 else a**-2 * a**3)
            case "floor":
                numbers.append(a - a.floor() + a.sign() * b)
            case "max":
                numbers.append(a if a > b else b)
        if not isinstance(numbers[-1], (Ball, Node, Series)):
            numbers[-1] = numbers[-1] + 0 * numbers[0]
    return numbers[-1]


def coefficient(number, n):
    if isinstance(number, Series):
        return number.coefficients[n]
    return number if n == 0 else Ball(0)


def exact(number):
    if isinstance(number, Node):
        number = number.value
    return number.exact if isinstance(number, Ball) else fmpq(number)


def gradient_by_nodes(program, point):
    nodes = [Node(Ball(x)) for x in point]
    return [exact(g) for g in gradients([run(program, nodes)], [Ball(1)], nodes)]


def along(program, point, direction):
    """The coefficients of f(x + t d), to the second."""
    result = run(program, [Series((Ball(x), Ball(d), Ball(0))) for x, d in zip(point, direction, strict=True)])
    return [coefficient(result, n).exact for n in range(3)]


@settings(max_examples=400)
@given(st.lists(steps, min_size=1, max_size=7), st.tuples(eighths, eighths, eighths))
def test_gradients_are_those_of_the_series(program, point):
    expected = [along(program, point, [float(n == k) for n in range(3)])[1] for k in range(3)]
    assert gradient_by_nodes(program, point) == expected


@settings(max_examples=400)
@given(
    st.lists(steps, min_size=1, max_size=6), st.tuples(eighths, eighths, eighths), st.tuples(eighths, eighths, eighths)
)
def test_hessians_are_those_of_the_series(program, point, direction):
    """By polarization of the quadratic form q(d) = d'Hd, twice the second coefficient along d."""
    nodes = [Node(Ball(x)) for x in point]
    result = run(program, [Series((x, Ball(d))) for x, d in zip(nodes, direction, strict=True)])
    product = [exact(g) for g in gradients([coefficient(result, 1)], [Ball(1)], nodes)]

    def form(d):
        return 2 * along(program, point, d)[2]

    for k in range(3):
        unit = [float(n == k) for n in range(3)]
        both = [u + d for u, d in zip(unit, direction, strict=True)]
        assert product[k] == (form(both) - form(unit) - form(direction)) / 2
    assert exact(coefficient(result, 1)) == along(program, point, direction)[1]


FUNCTIONS = ["exp", "expm1", "log", "log1p", "sqrt", "tanh", "erf"]


@pytest.mark.parametrize("name", FUNCTIONS)
@given(st.floats(0.01, 5), st.floats(-3, 3))
def test_elementary_functions(name, x, s):
    """First and second derivative of g(f(x) f(x)), enclosed by nodes in a series and by a series of order 2."""

    def formula(v):
        y = getattr(elementary, name)(v)
        return y * y / (1 + v)

    with precision(192):
        node = Node(Ball(x))
        both = formula(Series((node, Ball(s))))
        (first,) = gradients([both.coefficients[0]], [Ball(1)], [node])
        (second,) = gradients([both.coefficients[1]], [Ball(1)], [node])
        series = formula(Series.variable(Ball(x), order=2))
        for got, expected in ((first, series.derivative(1)), (second, series.derivative(2) * s)):
            (low, high), (other_low, other_high) = Ball(got).bounds(), expected.bounds()
            assert low <= other_high and other_low <= high
            assert high - low <= abs(expected).bounds()[1] * fmpq(1, 2**150) or expected == 0


def test_a_long_chain_needs_no_recursion():
    x = Node(Ball(1))
    y = x
    for _ in range(5000):
        y = y + x
    assert exact(gradients([y], [Ball(2)], [x])[0]) == 10002


def test_a_shared_number_is_passed_back_once():
    """2^60 paths, 60 nodes."""
    x = Node(Ball(1))
    y = x
    for _ in range(60):
        y = y + y
    assert exact(gradients([y], [Ball(1)], [x])[0]) == 2**60


def test_outputs_may_be_constants_and_repeat():
    x, unused = Node(Ball(3)), Node(Ball(1))
    outputs = [x * x, 4, Ball(2), x * x, x]
    assert [exact(g) for g in gradients(outputs, [Ball(1)] * 5, [x, unused])] == [13, 0]


def test_a_derivative_that_does_not_exist_hurts_only_where_it_counts():
    zero, x = Node(Ball(0)), Node(Ball(2))
    masked = abs(zero) * Ball(0) + zero.sqrt() * 0 + x * x
    assert [exact(g) for g in gradients([masked], [Ball(1)], [zero, x])] == [0, 4]
    assert [exact(g) for g in gradients([abs(zero), x], [Ball(0), Ball(1)], [zero, x])] == [0, 1]
    # |0 x| is constant, so its missing slope meets a zero further back.
    assert exact(gradients([abs(x * 0) + x], [Ball(1)], [x])[0]) == 1
    (missing,) = gradients([abs(zero) + x], [Ball(1)], [zero])
    assert isinstance(missing, Undefined)
    with pytest.raises(Undecided, match="abs has no derivative at 0"):
        missing.bounds()


@pytest.mark.parametrize("function", [abs, Series.sqrt])
def test_a_tangent_of_zero_gives_no_derivative_at_a_kink(function):
    zero = Node(Ball(0))
    (slope,) = gradients([function(Series((zero, Ball(0)))).coefficients[0]], [Ball(1)], [zero])
    assert isinstance(slope, Undefined)


def test_terms_that_cancel_are_passed_on():
    """A weight of value 0 is not nothing where its terms are not 0."""
    x = Node(Magnitude(3.0))
    (slope,) = gradients([x * 2, x * -2], [Magnitude(1.0), Magnitude(1.0)], [x])
    assert (slope.value, slope.terms) == (0.0, 8.0)
    y = x * 1.0
    (slope,) = gradients([y, -y], [Magnitude(5.0)] * 2, [x])
    assert slope.value == 0.0 and slope.terms >= 10.0


def test_comparisons_are_of_the_values():
    a, b = Node(Ball(1)), Node(Ball(2))
    assert a < b and a <= b and b > a and b >= a and a != b and a == Node(Ball(1)) and a == 1 and a < 1.5
    assert a < Series((b, Ball(0))) and Series((a, Ball(0))) < b
    assert b.sign() == 1 and (b * 0.75).floor() == 1
    assert a.clip(0, 2) is a and a.clip(b, 3) is b and b.clip(0, 1) == 1
    with pytest.raises(TypeError):
        bool(a)
    with pytest.raises(TypeError):
        hash(a)


def test_object_arrays_of_nodes():
    nodes = np.empty((2, 2), dtype=object)
    for index in np.ndindex(2, 2):
        nodes[index] = Node(Ball(index[0] + 2 * index[1] + 1))
    total = (nodes @ nodes - nodes.sum() * nodes.T).sum()
    assert isinstance(total, Node)
    got = [exact(g) for g in gradients([total], [Ball(1)], list(nodes.ravel()))]
    x = np.array([[1, 3], [2, 4]])
    ones = np.ones((2, 2), dtype=int)
    assert got == [int(g) for g in (ones @ x.T + x.T @ ones - 2 * x.sum() * ones).ravel()]
    with pytest.raises(TypeError):
        nodes[0, 0] * np.ones(2)
