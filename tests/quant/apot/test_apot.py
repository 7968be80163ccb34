"""APoT: the level sets, the nearest level, standardised weights, the module, bad input, and slips that are found."""

import dataclasses
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import InputError, Tensor
from minigrad.primitive import PRIMITIVES
from quant import METHODS, apot
from quant.apot import APoT
from quant.rules import vjp_of
from verify.gradients.mutants.judge import judge

Array = np.ndarray
CASES = [(bits, True) for bits in (3, 4, 5)] + [(bits, False) for bits in (2, 3, 4)]
each_case = pytest.mark.parametrize(("bits", "signed"), CASES)
SCALES = st.integers(-6, 6).map(lambda n: 10.0**n)

# The magnitudes by number of magnitude bits: 2 bits as printed in the paper, 3 and 4 bits the sums, worked out by hand.
LISTED = {
    2: "0 1/4 1/2 1",
    3: "0 1/10 1/5 3/10 2/5 3/5 4/5 1",
    4: "0 1/48 1/24 1/16 1/12 1/8 1/6 3/16 1/4 1/3 3/8 1/2 2/3 11/16 3/4 1",
}


@each_case
def test_the_magnitudes_are_those_of_the_paper(bits: int, signed: bool) -> None:
    numbers = apot.magnitudes(bits, signed)
    assert [Fraction(n, numbers[-1]) for n in numbers] == [Fraction(n) for n in LISTED[bits - signed].split()]


@each_case
def test_the_levels_fit_the_bits_of_the_record(bits: int, signed: bool) -> None:
    """b - 1 magnitude bits and a sign share 0: 2^b - 1 levels; b magnitude bits have 2^b."""
    method = METHODS["apot"]
    assert bits in (method.weights if signed else method.activations)
    levels = apot.levels(np.float64(3.0), bits=bits, signed=signed)
    assert len(levels) == len(np.unique(levels)) == 2**bits - signed
    assert levels[-1] == 3
    assert levels[0] == (-3 if signed else 0)
    assert np.array_equal(apot.codes(levels, 3.0, bits=bits, signed=signed), np.arange(len(levels)))
    assert np.array_equal(apot.hard(levels, 3.0, bits=bits, signed=signed), levels)
    if signed:
        assert np.array_equal(levels, -levels[::-1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(st.sampled_from(CASES), SCALES, st.integers(0, 2**32))
def test_it_is_the_nearest_level(dtype: Any, case: tuple[int, bool], scale: float, seed: int) -> None:
    bits, signed = case
    a = dtype(scale * 1.7)
    x = np.random.default_rng(seed).uniform(-1.3, 1.3, 60).astype(dtype) * a
    options: dict[str, Any] = {"bits": bits, "signed": signed}
    y, levels = apot.hard(x, a, **options), apot.levels(np.asarray(a), **options)
    assert y.dtype == levels.dtype == dtype
    distance = np.abs(x[:, None].astype(np.float64) - levels.astype(np.float64))
    assert np.all(np.abs(x - y.astype(np.float64)) <= distance.min(axis=1) * (1 + 1e-5) + 4 * np.finfo(dtype).eps * a)
    assert np.array_equal(levels[apot.codes(x, a, **options)], y)


@each_case
def test_ties_go_to_the_smaller_magnitude(bits: int, signed: bool) -> None:
    """Wherever the middle of two magnitudes is a float; then on either side of it by the nearest floats."""
    table = np.array(apot.magnitudes(bits, signed)) / apot.magnitudes(bits, signed)[-1]
    total = table[1:] + table[:-1]
    middles = total / 2
    exact = [
        Fraction(m) * 2 == Fraction(p) + Fraction(q) for m, p, q in zip(middles, table[1:], table[:-1], strict=True)
    ]
    assert sum(exact) >= 3
    options: dict[str, Any] = {"bits": bits, "signed": signed}
    low, high = table[:-1][exact], table[1:][exact]
    assert np.array_equal(apot.hard(middles[exact], 1.0, **options), low)
    assert np.array_equal(apot.hard(np.nextafter(middles, 2)[exact], 1.0, **options), high)
    assert np.array_equal(apot.hard(np.nextafter(middles, 0)[exact], 1.0, **options), low)
    if signed:
        assert np.array_equal(apot.hard(-middles[exact], 1.0, **options), -low)


def test_ends_and_zeros() -> None:
    x = np.array([-np.inf, -1.5, -1.0, -0.0, 0.0, 1.0, 1.5, np.inf])
    weights, activations = apot.hard(x, 1.0, bits=3), apot.hard(x, 1.0, bits=2, signed=False)
    assert weights.tolist() == [-1, -1, -1, 0, 0, 1, 1, 1]
    assert activations.tolist() == [0, 0, 0, 0, 0, 1, 1, 1]
    assert not np.any(np.signbit(apot.hard(np.array([-0.0, -0.01]), 1.0, bits=3)))
    dx, da = apot.partials(x, 1.0, bits=3)
    assert np.all(dx == 1)
    assert da.tolist() == [-1, -1, 0, 0, 0, 0, 1, 1]
    dx, da = apot.partials(x, 1.0, bits=2, signed=False)
    assert dx.tolist() == [0, 0, 0, 1, 1, 1, 0, 0]
    assert da.tolist() == [0, 0, 0, 0, 0, 0, 1, 1]


@given(st.sampled_from(CASES), SCALES, st.integers(0, 2**32))
def test_the_gradient_of_a_is_the_residual(case: tuple[int, bool], a: float, seed: int) -> None:
    """Inside, y = x + a da; outside, y = a da: for activations both are y = x dx + a da (Euler)."""
    bits, signed = case
    x = np.random.default_rng(seed).uniform(-2, 2, 60) * a
    options: dict[str, Any] = {"bits": bits, "signed": signed}
    dx, da = apot.partials(x, a, **options)
    y = apot.hard(x, a, **options)
    inside = np.abs(x) <= a if signed else (x >= 0) & (x <= a)
    assert np.allclose(y, np.where(inside, x, 0) + a * da, rtol=0, atol=2.0**-50 * a)
    assert np.array_equal(dx, np.ones(60) if signed else inside)


# ---- the module


def test_weights_are_standardised_by_constants() -> None:
    rng = np.random.default_rng(0)
    w = Tensor(rng.standard_normal((5, 4)) * 0.02 + 0.01, requires_grad=True)
    module = APoT(4, dtype=np.float64)
    gy = rng.standard_normal((5, 4))
    y = module(w)
    y.backward(gy)
    std = w.data.std(ddof=1)
    standard = (w.data - w.data.mean()) / std
    assert float(module.a.data) == 3
    assert np.allclose(y.data, apot.hard(standard, 3.0, bits=4), rtol=1e-12)
    assert np.array_equal(module.eval()(w).data, module.levels()[module.codes(w.data)])
    assert w.grad is not None
    assert module.a.grad is not None
    assert np.allclose(w.grad, gy / std, rtol=1e-12)
    assert np.allclose(module.a.grad, apot.hard_vjp(gy, standard, 3.0, bits=4)[1], rtol=1e-9)


def test_shifted_and_scaled_weights_give_the_same() -> None:
    w = np.random.default_rng(1).standard_normal((6, 3, 8))
    module = APoT(5, dtype=np.float64)
    assert np.array_equal(module.codes(w), module.codes(w * 2.0**-30))
    assert np.mean(module.codes(w) == module.codes(w * 7 + 3)) > 0.99


def test_filters_are_standardised_each_on_its_own() -> None:
    rng = np.random.default_rng(2)
    w = rng.standard_normal((9, 3)) * [1.0, 100.0, 0.01]
    together, alone = APoT(3, channels=3, dtype=np.float64), APoT(3, dtype=np.float64)
    together.initialise(w)
    assert together.a.shape == (3,)
    for channel in range(3):
        assert np.array_equal(together.codes(w)[:, channel], alone.codes(w[:, channel]))
    with pytest.raises(InputError, match="x: expected 3 channels in the last axis, got shape"):
        together(Tensor(np.zeros((3, 2))))


def test_activations_start_at_eight_as_they_are() -> None:
    module = APoT(2, signed=False, dtype=np.float64)
    x = np.array([0.9, 1.1, 2.9, 3.1, 5.9, 6.1, 99.0])
    assert module(Tensor(x)).data.tolist() == [0, 2, 2, 4, 4, 8, 8]


def test_projection() -> None:
    module = APoT(3)
    module.project()
    assert float(module.a.data) == 3
    module.a.data[...] = -1.0
    module.project()
    assert float(module.a.data) == 2.0**-60


# ---- bad input


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"bits": 0}, "bits: 0 is not an integer from 3 to 5"),
        ({"bits": 2}, "bits: 2 is not an integer from 3 to 5"),
        ({"bits": 9}, "bits: 9 is not"),
        ({"bits": 3.5}, "bits: 3.5 is not"),
        ({"bits": True}, "bits: True is not"),
        ({"bits": 5, "signed": False}, "bits: 5 is not an integer from 2 to 4"),
        ({"a": 0.0}, "a: expected finite numbers above 0, got 0.0"),
        ({"a": -1.0}, "a: expected"),
        ({"a": np.nan}, "a: expected"),
        ({"a": np.inf}, "a: expected"),
    ],
)
@pytest.mark.parametrize("function", [apot.hard, apot.partials, apot.codes, None])
def test_bad_parameters_are_named(function: Callable[..., Any] | None, changed: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"a": 1.0, "bits": 3} | changed
    with pytest.raises(InputError, match=message) as refusal:
        if function is None:
            apot.levels(**arguments)
        else:
            function(np.zeros(2), **arguments)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros(0), "expected elements"),
        (np.zeros(4), "expected different elements"),
        (np.full(4, 0.3), "expected different elements"),
        (np.array([1.0, np.nan]), "expected finite"),
        (np.array([1.0, -np.inf]), "expected finite"),
    ],
)
def test_weights_without_a_spread_are_refused(x: Array, message: str) -> None:
    module = APoT(3, dtype=np.float64)
    with pytest.raises(InputError, match=message):
        module.initialise(x)
    with pytest.raises(InputError, match=message):
        module(Tensor(x))


def test_nan() -> None:
    with pytest.raises(InputError, match=r"x: NaN at index \(1,\)"):
        apot.codes(np.array([0.0, np.nan]), 1.0, bits=3)
    with pytest.raises(InputError, match=r"x: NaN at index \(1,\)"):
        APoT(3).codes(np.array([0.0, np.nan], np.float32))
    for signed in (True, False):
        assert np.isnan(apot.hard(np.array([np.nan]), 1.0, bits=3, signed=signed))[0]


def test_the_record_refuses_widths_and_options() -> None:
    method = METHODS["apot"]
    with pytest.raises(InputError, match="bits: apot takes 3, 4, 5 for weights, got 2"):
        method.quantizer(2, "weight")
    with pytest.raises(InputError, match="bits: apot takes 2, 3, 4 for activations, got 5"):
        method.quantizer(5, "activation")
    with pytest.raises(InputError, match="options of apot"):
        method.quantizer(3, alpha=1)


# ---- slips

SLIPS: dict[str, Callable[[Array, Array, Array, Array], tuple[Array, Array]]] = {
    "the gradient of weights gated": lambda dx, da, v, q: (np.where(np.abs(v) <= 1, dx, 0), da),
    "the gradient of activations not gated": lambda dx, da, v, q: (np.ones_like(dx), da),
    "q in the place of q - x/a": lambda dx, da, v, q: (dx, q),
    "the gradient of a only outside, as in PACT": lambda dx, da, v, q: (dx, np.where(np.abs(v) > 1, da, 0)),
    "x/a - q": lambda dx, da, v, q: (dx, np.where(np.abs(v) <= 1, -da, da)),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_is_found(slip: str) -> None:
    def partials(x: Array, a: Array, **options: Any) -> tuple[Array, Array]:
        return SLIPS[slip](*apot.partials(x, a, **options), x / a, apot.hard(x, a, **options) / a)

    primitive = PRIMITIVES["apot"]
    for seed in range(16):
        try:
            judge(dataclasses.replace(primitive, vjp=vjp_of(partials)), seed)
        except AssertionError:
            judge(primitive, seed)
            return
    raise AssertionError(f"{slip}: not found in 16 examples")


def test_levels_that_are_not_divided_by_the_largest_are_found() -> None:
    """The sums as they are end at 5/8 for 3 magnitude bits, and at 3/4 for 4."""
    primitive = PRIMITIVES["apot"]

    def forward(x: Array, a: Array, **options: Any) -> Any:
        y, residuals = primitive.forward(x, a, **options)
        largest = {2: 1 / 2, 3: 5 / 8, 4: 3 / 4}[options["bits"] - options["signed"]]
        return y * largest, residuals

    with pytest.raises(AssertionError, match="value"):
        for seed in range(8):
            judge(dataclasses.replace(primitive, forward=forward), seed)
