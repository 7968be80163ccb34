"""Certificates of functions of arrays: right ones pass, and every planted error is found where it is."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from minigrad import elementary
from minigrad.draw import SeededDraw
from minigrad.errors import InputError
from minigrad.primitive import no_curvature
from verify.gradients.arrays import ArrayBound, certify_arrays, certify_primitive
from verify.gradients.ball import Undecided
from verify.gradients.hypothesis_draw import HypothesisDraw

BITS = 45


def definition(x, w):
    """A linear layer and the exponential function."""
    return elementary.exp(x @ w)


def computed(x, w, gy, tx, tw):
    """Value, jvp, vjp and hvp by hand, in the dtype of the arguments."""
    y = elementary.exp(x @ w)
    s = tx @ w + x @ tw
    g, h = gy * y, gy * y * s
    return {
        "value": y,
        "jvp": y * s,
        "vjp": [g @ w.T, x.T @ g],
        "hvp": [h @ w.T + g @ tw.T, x.T @ h + tx.T @ g],
    }


def arguments(draw, dtype=np.float64):
    """Positive numbers, so that no terms cancel and an error shows in full."""
    n, k, m = (draw.integer(1, 4) for _ in range(3))
    shapes = ((n, k), (k, m), (n, m), (n, k), (k, m))
    return [draw.uniform(0.125, 0.5, shape).astype(dtype) for shape in shapes]


def certified(inputs, results):
    x, w, gy, *tangents = inputs
    return certify_arrays("layer", definition, (x, w), gy=gy, tangents=tangents, **results)


def element(results, which):
    return results[which[:3]][int(which[4])] if "[" in which else results[which]


RESULTS = ["value", "jvp", "vjp[0]", "vjp[1]", "hvp[0]", "hvp[1]"]


@given(st.data())
def test_a_right_implementation_is_certified(data):
    inputs = arguments(HypothesisDraw(data))
    certificate = certified(inputs, computed(*inputs))
    assert [bound.name for bound in certificate.bounds] == RESULTS
    certificate.require(BITS)


@pytest.mark.parametrize("which", RESULTS)
@given(st.data())
def test_one_element_is_wrong(which, data):
    draw = HypothesisDraw(data)
    inputs = arguments(draw)
    for factor, accepted in ((-1.0, False), (1 + 2.0**-36, False), (1 + 2.0**-50, True)):
        results = computed(*inputs)
        array = element(results, which)
        index = tuple(draw.integer(0, n - 1) for n in array.shape)
        array[index] *= factor
        certificate = certified(inputs, results)
        if accepted:
            certificate.require(BITS)
            continue
        bound = certificate[which]
        assert bound.index == index and bound.got == array[index]
        assert all(other.bits >= BITS for other in certificate.bounds if other is not bound)
        assert bound.truth == pytest.approx(array[index] / factor, rel=1e-12)
        assert bound.error == pytest.approx(abs(array[index] - bound.truth), rel=1e-3)
        with pytest.raises(AssertionError) as failure:
            certificate.require(BITS)
        message = str(failure.value)
        for part in (
            f"layer: {which}{list(index)} is wrong",
            repr(bound.got),
            repr(bound.truth),
            "arrays = (np.array(",
        ):
            assert part in message


def test_one_part_in_two_to_the_forty():
    """Each product of a plain sum weighs twice its size, so that 2^-40 of an element shows as 41 bits."""
    x, w = np.full((1, 4), 0.5), np.full((4, 3), 0.75)
    gy = np.ones((1, 3))
    for factor, bits in ((1 + 2.0**-40, 41), (1 + 2.0**-50, 51), (1.0, math.inf)):
        gradient = x.T @ gy
        gradient[2, 1] *= factor
        certificate = certify_arrays("product", lambda x, w: x @ w, (x, w), gy=gy, vjp=[gy @ w.T, gradient])
        assert certificate["vjp[1]"].bits == bits and certificate["vjp[0]"].bits == math.inf
        assert certificate.bits == bits
        if bits < BITS:
            with pytest.raises(AssertionError, match=r"vjp\[1\]\[2, 1\] is wrong"):
                certificate.require(BITS)
        else:
            certificate.require(BITS)


def test_float32_is_measured_as_it_is():
    inputs = arguments(SeededDraw(5), np.float32)
    results = computed(*inputs)
    assert results["value"].dtype == np.float32
    certificate = certified(inputs, results)
    assert 21 <= certificate.bits < 30
    certificate.require(21)


def test_none_stands_for_zero():
    x = np.array([1.0, -2.0])
    linear = {"gy": np.ones(2), "tangents": [np.ones(2)], "hvp": [None]}
    assert certify_arrays("linear", lambda v: 3 * v, (x,), **linear).bits == math.inf
    with pytest.raises(AssertionError, match=r"hvp\[0\]\[0\] is wrong"):
        certify_arrays("square", lambda v: v * v, (x,), **linear).require(BITS)


def test_wrong_where_nothing_may_be_wrong():
    x = np.array([1.0, -2.0])
    certificate = certify_arrays("relu", lambda v: elementary.select(v > 0, v, 0), (x,), gy=x, vjp=[[1.0, 1e-300]])
    assert certificate["vjp[0]"].bits == -math.inf and certificate["vjp[0]"].index == (1,)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_results_that_are_not_finite(bad):
    value = np.array([1.0, bad])
    certificate = certify_arrays("same", lambda v: +v, (np.array([1.0, 1e308]),), value=value)
    assert certificate["value"].bits == -math.inf and certificate["value"].index == (1,)
    with pytest.raises(AssertionError, match=r"value\[1\] is wrong"):
        certificate.require(BITS)


@pytest.mark.parametrize(("dtype", "half_unit"), [(np.float32, 2.0**103), (np.float64, 2.0**970)])
def test_an_infinity_is_right_where_the_truth_rounds_to_it(dtype, half_unit):
    x = np.array([np.finfo(dtype).max, -np.finfo(dtype).max], dtype=dtype)
    value = np.array([np.inf, -np.inf], dtype=dtype)

    def certified(definition, value):
        return certify_arrays("large", definition, (x,), value=value).bits

    assert certified(lambda v: v * 2, value) == math.inf
    assert certified(lambda v: v * 2, -value) == -math.inf
    assert certified(lambda v: v * 2, value * np.nan) == -math.inf
    # The tie between the largest number and the next one that is not there is rounded up.
    assert certified(lambda v: v + elementary.sign(v) * half_unit, value) == math.inf
    assert certified(lambda v: v + elementary.sign(v) * (half_unit * (1 - 2.0**-53)), value) == -math.inf
    if dtype == np.float64:
        with pytest.raises(InputError, match=r"large: value\[0\]: the terms overflow"):
            certified(lambda v: v * 2, x)


def test_shapes_and_dtypes_of_results():
    x = np.ones((2, 3))
    for value, message in (
        (np.ones(6), r"same: value has shape \(6,\), expected \(2, 3\)\nTo reproduce:\nimport numpy"),
        (np.ones((2, 3), dtype=int), "same: value has dtype int64, expected floats"),
        (np.ones((2, 3), dtype=complex), "dtype complex128"),
    ):
        with pytest.raises(AssertionError, match=message):
            certify_arrays("same", lambda v: +v, (x,), value=value)


@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (1, 1)])
def test_sizes(shape):
    x = np.full(shape, 0.5)
    seeds = {"gy": x, "tangents": [x]}
    results = {"value": x * x, "jvp": 2 * x * x, "vjp": [2 * x * x], "hvp": [2 * x * x]}
    certificate = certify_arrays("square", lambda v: v * v, (x,), **seeds, **results)
    assert certificate.bits == math.inf and "value: every element exact" in str(certificate)


def test_a_question_is_repeated_with_more_bits():
    """1 + tanh(x 2^-300) > 1 is not decided with 192 bits."""

    def hard(x):
        y = 1 + elementary.tanh(x * 2.0**-300)
        return elementary.select(y > 1, x * x, x)

    x = np.array([3.0])
    assert certify_arrays("hard", hard, (x,), gy=x, value=x * x, vjp=[2 * x * x]).bits == math.inf
    with pytest.raises(AssertionError, match="value"):
        certify_arrays("hard", hard, (x,), value=x).require(BITS)


def test_a_question_that_is_never_decided():
    def never(x):
        root = elementary.sqrt(x * 0 + 2)
        return elementary.select(root * root > 2, x, -x)

    with pytest.raises(Undecided, match=r"^never: the sign of Ball\(.*\) is not decided \(working precision"):
        certify_arrays("never", never, (np.ones(()),), value=np.ones(()))


def test_points_without_a_derivative():
    x = np.array([[1.0, 0.0]])
    with pytest.raises(InputError, match=r"^size: vjp\[0\]\[0, 1\] does not exist: abs has no derivative at 0$"):
        certify_arrays("size", abs, (x,), gy=np.ones((1, 2)), vjp=[np.ones((1, 2))])
    certify_arrays("size", abs, (x,), value=x).require(math.inf)


def test_missing_arguments():
    x = np.ones(2)
    for keywords, message in (
        ({}, "same: expected a computed value"),
        ({"vjp": [x]}, "expected gy"),
        ({"jvp": x}, "tangents"),
        ({"hvp": [x], "gy": x}, "tangents"),
        ({"vjp": [x, x], "gy": x}, r"vjp: expected one entry an argument \(1\), got 2"),
        ({"jvp": x, "tangents": []}, "tangents: expected one entry"),
        ({"value": x, "differentiable": [1]}, r"differentiable: expected positions of the 1 arrays, got \[1\]"),
    ):
        with pytest.raises(InputError, match=message):
            certify_arrays("same", lambda v: +v, (x,), **keywords)


# ---- primitives ----


def toy(**changed):
    """x w^2 with a mask and an option, and every rule right."""

    def forward(x, w, mask, scale, watch=None):
        if watch is not None:
            watch(x)
        return np.where(mask, scale * x * w * w, 0.0), (x, w, mask, scale)

    def vjp(gy, residuals, needs):
        x, w, mask, scale = residuals
        assert list(needs) == [True, True, False]
        g = np.where(mask, gy * scale, 0.0)
        return g * w * w, 2 * g * x * w, None

    def jvp(tangents, x, w, mask, scale):
        tx, tw, none = tangents
        assert none is None
        return np.where(mask, scale * (tx * w * w + 2 * x * w * tw), 0.0)

    def hvp(gy, tangents, x, w, mask, scale):
        tx, tw, _ = tangents
        g = np.where(mask, gy * scale, 0.0)
        return 2 * g * w * tw, 2 * g * (w * tx + x * tw), None

    def formula(x, w, mask, scale):
        return elementary.select(mask, scale * x * (w * w), 0)

    def examples(draw, dtype):
        x, w = draw.uniform(0.5, 2, (3,)).astype(dtype), draw.uniform(0.5, 2, (3,)).astype(dtype)
        return (x, w, np.array([True, False, True])), {"scale": 1.5, "watch": lambda _: None}

    rules = {"forward": forward, "vjp": vjp, "jvp": jvp, "hvp": hvp, "definition": formula}
    return minigrad.primitive.Primitive(
        "toy", **(rules | changed), domain="all", kinks=(), examples=examples, differentiable=(0, 1)
    )


def certify_toy(primitive, seed=1):
    draw = SeededDraw(seed)
    arrays, options = primitive.examples(draw, np.float64)
    # The mask has no tangent, whatever is given.
    tangents = [draw.uniform(0.5, 1, (3,)) for _ in arrays]
    return certify_primitive(primitive, arrays, options, draw.uniform(0.5, 1, (3,)), tangents)


@given(st.integers(0, 1000))
def test_a_primitive(seed):
    certificate = certify_toy(toy(), seed)
    certificate.require(BITS)
    assert [bound.name for bound in certificate.bounds] == RESULTS


def test_rules_that_are_wrong():
    good = toy()

    def doubled(rule, change):
        return lambda *args, **options: change(rule(*args, **options))

    wrong = {
        "value": {"forward": doubled(good.forward, lambda r: (r[0] * 2, r[1]))},
        "vjp[0]": {"vjp": doubled(good.vjp, lambda r: (-r[0], r[1], None))},
        "vjp[1]": {"vjp": doubled(good.vjp, lambda r: (r[0], r[1] / 2, None))},
        "jvp": {"jvp": doubled(good.jvp, lambda r: r * (1 + 2.0**-30))},
        "hvp[0]": {"hvp": doubled(good.hvp, lambda r: (None, r[1], None))},
        "hvp[1]": {"hvp": doubled(good.hvp, lambda r: (r[0], r[0], None))},
    }
    for name, rules in wrong.items():
        certificate = certify_toy(toy(**rules))
        assert [bound.name for bound in certificate.bounds if bound.bits < BITS] == [name]
        with pytest.raises(AssertionError, match=r"minigrad\.PRIMITIVES"):
            certificate.require(BITS)
    with pytest.raises(AssertionError, match="hvp"):
        certify_toy(toy(hvp=no_curvature)).require(BITS)
    assert [bound.name for bound in certify_toy(toy(hvp=None)).bounds] == RESULTS[:4]


def test_a_surrogate_is_the_truth_of_the_gradients():
    """Rounding down, straight through: the value is the floor's, the gradients are the identity's at 2 x."""

    def surrogate(x):
        return lambda v: 2 * v

    primitive = dataclasses.replace(
        toy(),
        forward=lambda x: (np.floor(x), None),
        vjp=lambda gy, residuals, needs: (2 * gy,),
        jvp=lambda tangents, x: 2 * tangents[0],
        hvp=no_curvature,
        definition=elementary.floor,
        differentiable=None,
        surrogate=surrogate,
    )
    x = np.array([1.5, -0.25])
    assert certify_primitive(primitive, (x,), {}, x, [x]).bits == math.inf
    for field, rule in (("surrogate", lambda x: lambda v: 3 * v), ("definition", lambda x: elementary.floor(x) + 1)):
        with pytest.raises(AssertionError):
            certify_primitive(dataclasses.replace(primitive, **{field: rule}), (x,), {}, x, [x]).require(BITS)


def test_the_snippet_runs(capsys):
    primitive = minigrad.PRIMITIVES["multiply"]
    x, w = np.array([1.5, 0.1]), np.array([0.3, 0.7])
    certificate = certify_primitive(primitive, (x, w), {}, np.ones(2), [x, None])
    exec(certificate.snippet, {})
    assert capsys.readouterr().out == f"{certificate}\n"
    assert str(certificate).startswith("multiply()\n  value: |error| <= 2^-5")


def test_bounds_read_well():
    bound = ArrayBound("vjp[0]", 40, (1, 2), 1.5, 1.25, 0.25, 3.0)
    assert str(bound) == (
        "vjp[0]: |error| <= 2^-40 of the sum of the terms; worst is [1, 2]: "
        "got 1.5, truth 1.25, |error| <= 0.25, terms 3"
    )


@pytest.mark.parametrize(("dtype", "x", "smallest"), [(np.float64, 1e-200, 5e-324), (np.float32, 1e-30, 1.4e-45)])
def test_a_result_that_vanishes_by_underflow_is_right(dtype: type, x: float, smallest: float) -> None:
    """The sum of the terms may vanish with it; the next number beside 0 is wrong all the same."""
    arrays = (np.array([x], dtype),)

    def bits(value: float) -> float:
        return certify_arrays("square", lambda x: x * x, arrays, value=np.array([value], dtype)).bits

    assert bits(0.0) == math.inf
    assert bits(smallest) < 1
    assert bits(-smallest) < 1
