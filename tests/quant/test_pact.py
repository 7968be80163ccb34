"""PACT: the clip and its gradient, codes and levels, the module, bad input, and what implementations get wrong."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import InputError, Tensor, apply
from minigrad.primitive import PRIMITIVES, Primitive
from quant import METHODS, pact
from quant.pact import PACT
from verify.gradients.mutants.judge import judge

BITS = st.integers(1, 8)
ENDS = st.floats(0.5, 2.0).flatmap(lambda a: st.integers(-6, 6).map(lambda e: a * 10.0**e))


def caught(primitive: Primitive) -> bool:
    for seed in range(4):
        try:
            judge(primitive, seed)
        except AssertionError:
            return True
    return False


@given(BITS, ENDS, st.integers(0, 2**32))
def test_the_quantizer_is_the_formula(bits: int, a: float, seed: int) -> None:
    """But for ties, and the rounding of a/N."""
    n = (1 << bits) - 1
    x = np.random.default_rng(seed).uniform(-0.5 * a, 1.5 * a, 50)
    y = np.clip(x, 0, a)
    v = y * n / a
    apart = np.abs(v - np.floor(v) - 0.5) > 1e-9
    assert np.allclose(pact.hard(x, a, bits=bits)[apart], (np.rint(v) * a / n)[apart], rtol=1e-14)
    assert np.array_equal(pact.codes(x, a, bits=bits)[apart], np.rint(v)[apart])
    assert np.array_equal(pact.clipped(x, a), y)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bits", range(1, 9))
def test_ties_go_to_the_even_code(bits: int, dtype: type) -> None:
    n = (1 << bits) - 1
    x = np.arange(n).astype(dtype) + dtype(0.5)  # a = N: the grid is the integers
    expected = [code + code % 2 for code in range(n)]
    assert pact.codes(x, n, bits=bits).tolist() == expected
    assert pact.hard(x, n, bits=bits).tolist() == expected


def test_the_gradient_at_the_ends() -> None:
    """1 at x = 0; at x = a nothing to x and all to a."""
    x = np.array([-0.1, -0.0, 0.0, 0.7, np.nextafter(2, 0), 2.0, np.nextafter(2, 3), np.inf, -np.inf])
    dx, da = pact.partials(x, 2.0, bits=3)
    assert dx.tolist() == [0, 1, 1, 1, 1, 0, 0, 0, 0]
    assert da.tolist() == [0, 0, 0, 0, 0, 1, 1, 1, 0]
    assert all(np.array_equal(a, b) for a, b in zip(pact.clip_partials(x, 2.0), (dx, da), strict=True))


def test_the_clip_alone_is_a_primitive() -> None:
    x, a = Tensor(np.array([-1.0, 0.5, 3.0]), requires_grad=True), Tensor(np.array(2.0), requires_grad=True)
    y = apply("pact_clip", x, a)
    y.backward(np.array([1.0, 2.0, 4.0]))
    assert y.data.tolist() == [0, 0.5, 2]
    assert x.grad is not None
    assert x.grad.tolist() == [0, 2, 0]
    assert a.grad == 4


def test_the_tape_and_hard_vjp_agree() -> None:
    x = np.random.default_rng(0).uniform(-1, 3, (6, 3))
    gy, a = np.random.default_rng(1).standard_normal((6, 3)), np.array([0.5, 1.0, 2.0])
    leaf, end = Tensor(x, requires_grad=True), Tensor(a, requires_grad=True)
    apply("pact", leaf, end, bits=2).backward(gy)
    dx, da = pact.hard_vjp(gy, x, a, bits=2)
    assert leaf.grad is not None
    assert end.grad is not None
    assert np.array_equal(leaf.grad, dx)
    assert np.array_equal(end.grad, da)
    assert da.tolist() == pytest.approx([(gy * (x >= a))[:, c].sum() for c in range(3)])


def test_the_highest_level_is_the_end() -> None:
    for a in np.random.default_rng(0).uniform(0.1, 10, 50):
        for bits in (2, 3, 8):
            levels = pact.levels(a, bits=bits)
            assert levels[-1] == a
            assert levels[0] == 0
            assert np.array_equal(pact.hard(levels, a, bits=bits), levels)


# ---- the module


def test_it_starts_at_ten_whatever_the_data() -> None:
    quantizer = PACT(4)
    quantizer(Tensor(np.full(5, 0.3, np.float32)))
    assert quantizer.a.data == 10
    assert quantizer.initialised
    chosen = PACT(4, start=3.5, channels=2)
    chosen.initialise(np.zeros((4, 2)))
    assert chosen.a.data.tolist() == [3.5, 3.5]


def test_the_start_may_come_from_data() -> None:
    x = np.maximum(np.random.default_rng(0).standard_normal((5000, 2)) * [1.0, 100.0], 0)
    quantizer = PACT(2, start=None, channels=2, dtype=np.float64)
    quantizer(Tensor(x))
    assert quantizer.a.data[1] == pytest.approx(100 * quantizer.a.data[0], rel=0.1)
    # The end of least squared error is one of 64 fractions of the largest element: none tried is better.
    errors = [((pact.hard(x[:, 0], a, bits=2) - x[:, 0]) ** 2).sum() for a in x[:, 0].max() * np.arange(1, 65) / 64]
    best = ((pact.hard(x[:, 0], quantizer.a.data[0], bits=2) - x[:, 0]) ** 2).sum()
    assert best == pytest.approx(min(errors))
    for bad in (np.zeros(0), np.zeros(4), -np.ones(4), np.array([1.0, np.inf]), np.array([1.0, np.nan])):
        with pytest.raises(InputError, match="x: expected"):
            PACT(2, start=None).initialise(bad)


def test_the_penalty_brings_the_end_down() -> None:
    quantizer = PACT(2, penalty_weight=0.01, dtype=np.float64)
    loss = quantizer.penalty()
    assert loss.item() == pytest.approx(0.5)
    loss.backward()
    assert quantizer.a.grad == pytest.approx(0.1)
    assert quantizer.a.group == "range"


def test_projection_and_evaluation() -> None:
    quantizer = PACT(3, dtype=np.float64)
    quantizer.a.data[...] = -2.0
    quantizer.project()
    assert quantizer.a.data == 2.0**-60
    quantizer.a.data[...] = 1.5
    quantizer.project()
    assert quantizer.a.data == 1.5
    x = np.linspace(-1, 2, 31)
    assert np.array_equal(quantizer.eval()(Tensor(x)).data, quantizer.levels()[quantizer.codes(x)])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bits": 0}, "bits: 0 is not an integer from 1 to 8"),
        ({"bits": 9}, "bits: 9"),
        ({"bits": 2.5}, "bits: 2.5"),
        ({"bits": True}, "bits: True"),
        ({"start": 0.0}, "start: expected finite numbers above 0, got 0.0"),
        ({"start": 1e-60}, "start: expected finite numbers above 0"),
        ({"start": np.nan}, "start: expected a finite number"),
        ({"start": "ten"}, "start: expected a number, got 'ten'"),
        ({"penalty_weight": -1}, "penalty_weight: expected a number of at least 0"),
        ({"channels": 0}, "channels: expected"),
        ({"dtype": int}, "dtype: expected float32 or float64"),
    ],
)
def test_bad_options_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        PACT(**({"bits": 2} | arguments))


@pytest.mark.parametrize("a", [0.0, -1.0, np.nan, np.inf])
@pytest.mark.parametrize("name", ["hard", "partials", "codes", "levels"])
def test_bad_ends_are_named(name: str, a: float) -> None:
    arguments = (a,) if name == "levels" else (np.zeros(3), a)
    with pytest.raises(InputError, match="a: expected finite numbers above 0"):
        getattr(pact, name)(*arguments, bits=2)


def test_bad_input_is_named() -> None:
    with pytest.raises(InputError, match=r"x: NaN at index \(1,\)"):
        pact.codes(np.array([0.0, np.nan]), 1.0, bits=2)
    with pytest.raises(InputError, match="x: expected float32 or float64, got int64"):
        pact.hard(np.arange(3), 1.0, bits=2)
    with pytest.raises(InputError, match="a / N: expected finite numbers above 0"):
        pact.hard(np.zeros(3), 5e-324, bits=8)
    with pytest.raises(InputError, match=r"parameters of shapes \(3,\) do not broadcast against x of shape \(4, 2\)"):
        pact.hard(np.zeros((4, 2)), np.ones(3), bits=2)
    with pytest.raises(InputError, match="bits: pact takes none: it is not defined for weights"):
        METHODS["pact"].quantizer(2, "weight")
    y = pact.hard(np.array([np.nan, np.inf, -np.inf, 5e-324]), 1.0, bits=2)
    assert np.isnan(y[0])
    assert y[1:].tolist() == [1, 0, 0]


# ---- slips


def slipped(name: str, a_slope: Any, x_slope: Any = None) -> Primitive:
    def vjp(gy: np.ndarray, residuals: Any, needs: Sequence[bool]) -> tuple[np.ndarray, ...]:
        (x, a), options = residuals
        dx, da = (pact.partials if options else pact.clip_partials)(x, a, **options)
        dx = dx if x_slope is None else x_slope(x, a)
        da = da if a_slope is None else a_slope(x, a, options)
        axes = tuple(range(x.ndim - a.ndim))
        return gy * dx, np.asarray((gy * da).sum(axis=axes))

    return dataclasses.replace(PRIMITIVES[name], vjp=vjp)


@pytest.mark.parametrize("name", ["pact", "pact_clip"])
def test_what_is_right_is_not_caught(name: str) -> None:
    assert not caught(PRIMITIVES[name])
    assert not caught(slipped(name, None))


def double_count(x: np.ndarray, a: np.ndarray, options: dict[str, Any]) -> np.ndarray:
    """The clip's gradient, and once more that of the scale a/N outside of the rounding."""
    return (x >= a) + np.clip(x / a, 0, 1)


def test_a_double_count_of_the_end_is_caught() -> None:
    assert caught(slipped("pact", double_count))
    assert caught(slipped("pact_clip", double_count))


@pytest.mark.parametrize("name", ["pact", "pact_clip"])
def test_other_slips_are_caught(name: str) -> None:
    assert caught(slipped(name, lambda x, a, o: 0 * x))  # a is a constant
    assert caught(slipped(name, lambda x, a, o: (x > a) * 1.0))  # at x = a nobody learns
    assert caught(slipped(name, None, lambda x, a: (x > 0) & (x < a)))
    assert caught(slipped(name, None, lambda x, a: (x >= 0) & (x <= a)))
    assert caught(slipped(name, None, lambda x, a: np.ones_like(x)))
