"""DAQ: a soft argmax that is the discretiser, its closed-form slope, the ablation, and slips."""

import dataclasses
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from flint import arb
from hypothesis import given
from hypothesis import strategies as st

from minigrad import PRIMITIVES
from quant import daq
from quant.daq import primitive
from quant.rules import forward_of, vjp_of
from verify.gradients.array_truth import lift
from verify.gradients.ball import Ball, precision
from verify.gradients.mutants.judge import judge

BITS = st.integers(1, 8)
SEEDS = st.integers(0, 2**32)
DTYPES = [np.float32, np.float64]
Array = np.ndarray


@st.composite
def ranges(draw: st.DrawFn) -> tuple[float, float, int]:
    l = draw(st.one_of(st.floats(-3, 3), st.just(0.0)))
    return l, l + draw(st.floats(0.01, 5)), draw(BITS)


def points(l: float, u: float, bits: int, seed: int) -> Array:
    """Levels, ties, the ends and their neighbours, and whatever."""
    n = (1 << bits) - 1
    grid = l + (u - l) / n * np.arange(0, n + 0.5, 0.5)
    ends = [l, u, np.nextafter(l, -9), np.nextafter(u, 9), l - 7, u + 7]
    return np.concatenate([grid, ends, np.random.default_rng(seed).uniform(l - 1, u + 1, 20)])


# ---- the forward


@given(BITS, st.sampled_from([0.3, 1.0, 2.0, 8.0, 100.0]), st.sampled_from([0.1, 2.0, 10.0]), SEEDS, st.booleans())
def test_the_soft_argmax_is_the_discretiser(bits: int, sigma: float, gamma: float, seed: int, signed: bool) -> None:
    """The published formula, enclosed: on levels, at ties, next to both, and anywhere."""
    n = (1 << bits) - 1
    rng = np.random.default_rng(seed)
    place = rng.integers(0, n, 8) + rng.choice([0.0, 0.5, 1.0, 0.5 - 2.0**-45, 0.5 + 2.0**-45, 2.0**-45, 0.3], 8)
    ends = (np.zeros(()), np.asarray(float(n)))
    value = daq.hard(place, *ends, bits=bits, signed=signed, sigma=sigma, gamma=gamma)
    with precision(300):
        given = [lift("x", a, Ball) for a in (place, *ends)]
        soft = primitive.definition(*given, bits=bits, signed=signed, sigma=sigma, gamma=gamma)
        for enclosed, code in zip(soft, daq.codes(place, *ends, bits=bits), strict=True):
            exact = Fraction(2 * int(code) - n if signed else int(code), n)
            distance = (enclosed - exact).enclosure()
            assert distance.contains(0)
            assert distance.rad() < arb(2) ** -150
    levels = daq.levels(*ends, bits=bits, signed=signed)
    assert np.array_equal(value, levels[daq.codes(place, *ends, bits=bits)])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bits", range(1, 9))
def test_ties_go_down(bits: int, dtype: type) -> None:
    n = (1 << bits) - 1
    x = np.arange(n, dtype=dtype) + dtype(0.5)
    assert daq.codes(x, 0, n, bits=bits).tolist() == list(range(n))
    assert daq.codes(np.nextafter(x, dtype(999)), 0, n, bits=bits).tolist() == list(range(1, n + 1))
    assert np.array_equal(daq.hard(x, 0, n, bits=bits, signed=False), np.arange(n, dtype=dtype) / dtype(n))


@pytest.mark.parametrize("dtype", DTYPES)
@given(ranges(), SEEDS)
def test_codes_are_those_of_the_product_before_the_division(dtype: Any, p: tuple[float, float, int], seed: int) -> None:
    """(x - l) N / (u - l), each operation rounded once from the exact result."""
    l, u, bits = dtype(p[0]), dtype(p[1]), p[2]
    if not l < u:
        return
    x = points(float(l), float(u), bits, seed).astype(dtype)
    assert daq.codes(x, l, u, bits=bits).tolist() == [_code(v, l, u, bits) for v in x]


def _code(x: Any, l: Any, u: Any, bits: int) -> int:
    n = (1 << bits) - 1

    def rounded(exact: Fraction) -> Fraction:
        # Through float64 to float32 no double rounding is possible for one of these operations.
        return Fraction(float(x.dtype.type(float(exact))))

    exact_x, exact_l, exact_u = (Fraction(float(a)) for a in (x, l, u))
    product = rounded(rounded(exact_x - exact_l) * n)
    place = min(max(rounded(product / rounded(exact_u - exact_l)), Fraction(0)), Fraction(n))
    below = place.numerator // place.denominator
    return below + (place - below > Fraction(1, 2))


def test_dividing_by_the_step_gives_other_codes() -> None:
    """The slip: (x - l)/((u - l)/N) differs by an ulp, and so at ties; the test above tells them apart."""
    rng = np.random.default_rng(0)
    l, u = -rng.uniform(0.5, 2, 4000), rng.uniform(0.5, 2, 4000)
    x = l + (u - l) / 3 * (rng.integers(0, 3, 4000) + 0.5)
    place = (x - l) / ((u - l) / 3)
    slipped = np.floor(place) + (place - np.floor(place) > 0.5)
    differing = np.flatnonzero(slipped != daq.codes(x, l, u, bits=2))
    assert len(differing) > 10
    for n in differing:
        assert daq.codes(x[n], l[n], u[n], bits=2) == _code(x[n], l[n], u[n], 2)


# ---- the slope


def test_the_slope_where_it_is_known() -> None:
    """gamma/(2 sinh gamma) coth((1 - 2t + 1/sigma^2)/2), on a level, halfway to the tie, at it, and on the other."""
    x = np.array([0.0, 0.5, 1.0, 2.0])
    dx, dl, du = daq.partials(x, 0, 2, bits=1, signed=False)
    by_place = 2 / (2 * np.sinh(2.0)) / np.tanh((1 - 2 * np.array([0, 0.25, 0.5, 0]) + 1) / 2)
    assert np.allclose(dx, by_place / 2, rtol=1e-14)
    assert np.allclose(dl, dx * (x - 2) / 2)
    assert np.allclose(du, -dx * x / 2)
    signed = daq.partials(x, 0, 2, bits=1)
    assert all(np.array_equal(s, 2 * a) for s, a in zip(signed, (dx, dl, du), strict=True))


@given(ranges(), SEEDS)
def test_shifting_or_scaling_all_arguments_changes_nothing(p: tuple[float, float, int], seed: int) -> None:
    """dx + dl + du = 0 and x dx + l dl + u du = 0."""
    l, u, bits = p
    x = points(l, u, bits, seed)
    soft = daq.soft_partials(x, l, u, bits=bits, temperature=3.0)
    for dx, dl, du in (daq.partials(x, l, u, bits=bits), soft):
        assert np.all(np.abs(dx + dl + du) <= 2.0**-49 * dx)
        assert np.all(np.abs(x * dx + l * dl + u * du) <= 2.0**-48 * (abs(l) + abs(u)) * dx)


@given(ranges(), SEEDS)
def test_outside_the_range_nothing_has_a_gradient_and_the_ends_are_inside(
    p: tuple[float, float, int], seed: int
) -> None:
    l, u, bits = p
    x = points(l, u, bits, seed)
    inside = (x >= l) & (x <= u)
    for dx, dl, du in (daq.partials(x, l, u, bits=bits), daq.soft_partials(x, l, u, bits=bits, temperature=2.0)):
        assert np.array_equal(dx > 0, inside)
        assert not np.any((dl != 0) & ~inside)
        assert not np.any((du != 0) & ~inside)
    dx, dl, du = daq.partials(np.array([l, u]), l, u, bits=bits)
    assert (dl[0], dl[1], du[0], du[1]) == (-dx[0], 0, 0, -dx[1])


def _coth_of_exponentials(d: Array) -> Array:
    e = np.exp(d)
    return (e + 1) / (e - 1)


def _ulps(got: Array, d: Array) -> float:
    """The largest distance from coth(d/2), in units in the last place of float32."""
    truth = [float((arb(float(v)) / 2).coth()) for v in d]
    return max(abs(float(g) - t) / float(np.spacing(np.float32(t))) for g, t in zip(got, truth, strict=True))


@pytest.mark.parametrize(("sigma", "slipped"), [(0.5, 0.0), (1.0, 0.0), (2.0, 3.0), (8.0, 40.0), (1000.0, 1e5)])
def test_the_slope_is_accurate_in_float32_at_every_sigma(sigma: float, slipped: float) -> None:
    """Within 3 ulp: coth is within 1 to 2, and its factor is rounded too. A quotient of exponentials is not."""
    inverse = np.float32(1 / sigma**2)
    r = np.concatenate([np.linspace(0, 1, 400), [0.5, 0.499999, 0.500001]]).astype(np.float32)
    dx = daq.partials(r, 0, 1, bits=1, signed=False, sigma=sigma)[0]
    assert dx.dtype == np.float32
    assert np.isfinite(dx).all()
    distance = np.abs(1 - 2 * r) + inverse
    height = np.float32(2 / (2 * np.sinh(2.0)))
    assert _ulps(dx / height, distance) <= 3
    assert _ulps(_coth_of_exponentials(distance), distance) >= slipped


def _literal_softmax_slope(r: Array, sigma: float) -> Array:
    """The slip: a softmax that subtracts the largest score of the tensor."""
    kernel = np.float32(np.exp(-1 / sigma**2))
    scores = np.stack([np.exp(-r), np.exp(r - 1)])
    scores[(r <= 0.5).astype(int), np.arange(len(r))] *= kernel
    temperature = 2 / np.abs(scores[0] - scores[1])
    with np.errstate(invalid="ignore", divide="ignore", under="ignore"):
        e = np.exp(temperature * scores - (temperature * scores).max())
        m = e / e.sum(axis=0)
        return m[0] * m[1] * temperature * scores.sum(axis=0) * np.float32(1 + 2 / np.expm1(2.0))


def test_the_literal_softmax_is_nan_in_float32_where_the_closed_form_is_not() -> None:
    r = np.linspace(0, 1, 101, dtype=np.float32)
    for sigma in (1.0, 2.0):
        right = daq.partials(r, 0, 1, bits=1, signed=False, sigma=sigma)[0]
        assert np.allclose(_literal_softmax_slope(r, sigma), right, rtol=1e-3)
    for sigma in (8.0, 16.0):
        assert np.isnan(_literal_softmax_slope(r, sigma)).any()
        assert np.isfinite(daq.partials(r, 0, 1, bits=1, sigma=sigma)[0]).all()


# ---- one temperature


@given(BITS, SEEDS, st.sampled_from([1.0, 2.0]), st.booleans())
def test_the_soft_argmax_comes_close_to_the_discretiser(bits: int, seed: int, sigma: float, signed: bool) -> None:
    """With the rate exp(-T |s_f - s_c|)."""
    n = (1 << bits) - 1
    r = np.random.default_rng(seed).uniform(0, 1, 30)
    x = np.random.default_rng(seed + 1).integers(0, n, 30) + r
    near, far = np.exp(-np.minimum(r, 1 - r)), np.exp(np.minimum(r, 1 - r) - 1 - 1 / sigma**2)
    hard = daq.hard(x, 0, n, bits=bits, signed=signed)
    for temperature in (1.0, 10.0, 100.0):
        soft = daq.soft(x, 0, n, bits=bits, signed=signed, sigma=sigma, temperature=temperature)
        bound = np.exp(-temperature * (near - far))
        difference = np.abs(soft - hard) * (n / 2 if signed else n)
        assert np.all(difference <= bound + 2.0**-42)
        assert np.all(difference >= bound / 2 - 2.0**-42)


def test_the_soft_argmax_keeps_to_the_codes() -> None:
    x = np.array([-np.inf, -1, 0, 3, 4, np.inf])
    y = daq.soft(x, 0, 3, bits=2, signed=False, temperature=0.01)
    assert np.all((y > 0) & (y < 1))
    assert y[0] == y[1] == y[2]
    assert y[3] == y[4] == y[5]


# ---- slips


def _planted(formula: Callable[..., tuple[Any, Any, Any]]) -> Any:
    """DAQ with a gradient changed by a formula of the arguments and the right partial derivatives."""

    def partials(x: Any, l: Any, u: Any, **options: Any) -> Any:
        return formula(x, l, u, options, *daq.partials(x, l, u, **options))

    return dataclasses.replace(PRIMITIVES["daq"], vjp=vjp_of(partials))


def _straight_through(x: Any, l: Any, u: Any, options: Any, *right: Any) -> Any:
    inside = ((x >= l) & (x <= u)) * (2 if options["signed"] else 1) / (u - l)
    return inside, inside * (x - u) / (u - l), inside * (l - x) / (u - l)


def _clipped_move_the_ends(x: Any, l: Any, u: Any, options: Any, dx: Any, dl: Any, du: Any) -> Any:
    return dx, np.where(x < l, 1.0, dl), np.where(x > u, 1.0, du)


def _by_the_code(x: Any, l: Any, u: Any, options: Any, dx: Any, dl: Any, du: Any) -> Any:
    """A factor N/(u - l), without the output's scale."""
    n = (1 << options["bits"]) - 1
    factor = n / 2 if options["signed"] else n
    return dx * factor, dl * factor, du * factor


def _without_kernel(x: Any, l: Any, u: Any, options: Any, *right: Any) -> Any:
    return daq.partials(x, l, u, **{**options, "sigma": 2.0**20})


def _without_rescaling(x: Any, l: Any, u: Any, options: Any, *right: Any) -> Any:
    """The slope of the soft argmax before delta stretches it."""
    return tuple(d / (1 + 2 / np.expm1(options["gamma"])) for d in right)


def _gradient_of_the_discretiser(x: Any, l: Any, u: Any, options: Any, *right: Any) -> Any:
    """The temperature differentiated too: phi is constant between ties."""
    return tuple(0 * d for d in right)


SLIPS: dict[str, Any] = {
    "straight-through": _planted(_straight_through),
    "clipped elements move the ends": _planted(_clipped_move_the_ends),
    "the output's scale forgotten": _planted(_by_the_code),
    "no kernel": _planted(_without_kernel),
    "no rescaling": _planted(_without_rescaling),
    "temperature differentiated": _planted(_gradient_of_the_discretiser),
    "l is held": _planted(lambda x, l, u, options, dx, dl, du: (dx, 0 * dl, du)),
    "not quantized": dataclasses.replace(PRIMITIVES["daq"], forward=forward_of(lambda x, l, u, **options: x)),
    "scaled before the codes": dataclasses.replace(
        PRIMITIVES["daq"],
        forward=forward_of(lambda x, l, u, **options: np.rint(np.clip(2 * (x - l) / (u - l) - 1, -1, 1))),
    ),
}


@pytest.mark.parametrize("name", SLIPS)
def test_slips_are_caught(name: str) -> None:
    with pytest.raises(AssertionError):
        for seed in range(10):
            judge(SLIPS[name], seed)


def test_ties_that_go_up_are_caught() -> None:
    """By ``test_ties_go_down``; examples of the certificate keep away from ties."""
    x = np.arange(3) + 0.5
    assert (np.floor(x + 0.5) != daq.codes(x, 0, 3, bits=2)).all()
