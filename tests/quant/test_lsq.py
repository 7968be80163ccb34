"""LSQ: the equations, ties, the gradient's scale, the module, bad input, and what implementations get wrong."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import InputError, Tensor
from minigrad.primitive import PRIMITIVES, Primitive
from quant import METHODS, lsq
from quant.lsq import LSQ
from verify.gradients.mutants.judge import judge

CASES = st.tuples(st.integers(1, 8), st.booleans()).filter(lambda case: case != (1, True))
STEPS = st.floats(0.5, 2.0).flatmap(lambda s: st.integers(-6, 6).map(lambda e: s * 10.0**e))


def caught(primitive: Primitive) -> bool:
    for seed in range(6):
        try:
            judge(primitive, seed)
        except AssertionError:
            return True
    return False


@given(CASES, STEPS, st.integers(0, 2**32))
def test_value_and_gradients_are_the_formulas(case: tuple[int, bool], s: float, seed: int) -> None:
    bits, signed = case
    low, high = (2 ** (bits - 1), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    x = s * np.random.default_rng(seed).uniform(-low - 3, high + 3, 50)
    v = x / s
    code = np.rint(np.clip(v, -low, high))
    assert np.array_equal(lsq.hard(x, s, bits=bits, signed=signed), s * code)
    assert np.array_equal(lsq.codes(x, s, bits=bits, signed=signed), code + low)
    dx, ds = lsq.partials(x, s, bits=bits, signed=signed)
    inside = (v >= -low) & (v <= high)
    assert np.array_equal(dx, inside)
    assert np.allclose(ds * math.sqrt(50 * high), np.where(v < -low, -low, np.where(v > high, high, code - v)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("bits", "signed"), [(1, False), (2, True), (3, False), (8, True)])
def test_ties_go_to_the_even_code(bits: int, signed: bool, dtype: type) -> None:
    low, high = lsq.bounds(bits, signed)
    x = np.arange(-low, high).astype(dtype) + dtype(0.5)
    expected = [k if k % 2 == 0 else k + 1 for k in range(-low, high)]
    assert lsq.hard(x, dtype(1), bits=bits, signed=signed).tolist() == expected
    assert lsq.codes(x, dtype(1), bits=bits, signed=signed).tolist() == [k + low for k in expected]


def test_the_bounds_are_inside() -> None:
    x = np.array([np.nextafter(-2, -3), -2.0, 1.0, np.nextafter(1, 2), np.inf, -np.inf])
    dx, ds = lsq.partials(x, 1.0, bits=2)
    assert dx.tolist() == [0, 1, 1, 0, 0, 0]
    assert (ds * math.sqrt(6)).tolist() == pytest.approx([-2, 0, 0, 1, 1, -2])


@pytest.mark.parametrize(("channels", "count"), [(None, 60), (3, 20)])
def test_the_gradient_of_a_step_is_scaled_by_what_shares_it(channels: int | None, count: int) -> None:
    x = np.random.default_rng(0).standard_normal((20, 3))
    quantizer = LSQ(3, channels=channels, dtype=np.float64)
    quantizer.s.data[...] = 0.5
    quantizer.initialised[...] = 1
    quantizer(Tensor(x)).backward(np.ones(x.shape))
    v = x / 0.5
    ds = np.where(v < -4, -4, np.where(v > 3, 3, np.rint(v) - v)).sum(axis=None if channels is None else 0)
    assert quantizer.s.grad is not None
    assert np.allclose(quantizer.s.grad, ds / math.sqrt(count * 3))


@pytest.mark.parametrize(("bits", "signed"), [(2, True), (1, False), (4, True), (8, False)])
def test_the_step_starts_at_twice_the_mean(bits: int, signed: bool) -> None:
    x = np.random.default_rng(0).standard_normal((30, 2)) * [1.0, 50.0]
    root = math.sqrt(lsq.bounds(bits, signed)[1])
    whole, each = LSQ(bits, signed, dtype=np.float64), LSQ(bits, signed, channels=2, dtype=np.float64)
    whole.initialise(x)
    each.initialise(x)
    assert float(whole.s.data) == pytest.approx(2 * np.abs(x).mean() / root)
    assert each.s.data.tolist() == pytest.approx(2 * np.abs(x).mean(axis=0) / root)


def test_projection_and_evaluation() -> None:
    quantizer = LSQ(3, dtype=np.float64)
    quantizer.s.data[...] = -1.0
    quantizer.project()
    assert quantizer.s.data == 2.0**-60
    quantizer.s.data[...] = 0.3
    quantizer.project()
    assert quantizer.s.data == 0.3
    x = np.linspace(-2, 2, 41)
    assert np.array_equal(quantizer.eval()(Tensor(x)).data, quantizer.levels()[quantizer.codes(x)])
    assert quantizer.levels().tolist() == [0.3 * k for k in range(-4, 4)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bits": 0}, "bits: 0 is not an integer from 2 to 8"),
        ({"bits": 1}, "bits: 1 is not an integer from 2 to 8"),
        ({"bits": 0, "signed": False}, "bits: 0 is not an integer from 1 to 8"),
        ({"bits": 9}, "bits: 9"),
        ({"bits": 2.5}, "bits: 2.5"),
        ({"bits": True, "signed": False}, "bits: True"),
        ({"channels": -1}, "channels: expected"),
        ({"dtype": int}, "dtype: expected float32 or float64"),
    ],
)
def test_bad_options_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        LSQ(**({"bits": 2} | arguments))


@pytest.mark.parametrize("s", [0.0, -1.0, np.nan, np.inf])
@pytest.mark.parametrize("name", ["hard", "partials", "codes", "levels"])
def test_bad_steps_are_named(name: str, s: float) -> None:
    arguments = (s,) if name == "levels" else (np.zeros(3), s)
    with pytest.raises(InputError, match="s: expected finite numbers above 0"):
        getattr(lsq, name)(*arguments, bits=2)


def test_bad_input_is_named() -> None:
    with pytest.raises(InputError, match="bits: lsq takes 2, 3, 4, 5, 6, 7, 8 for weights, got 1"):
        METHODS["lsq"].quantizer(1, "weight")
    with pytest.raises(InputError, match=r"parameters of shapes \(3,\) do not broadcast against x of shape \(4, 2\)"):
        lsq.hard(np.zeros((4, 2)), np.ones(3), bits=2)
    with pytest.raises(InputError, match=r"x: NaN at index \(1,\)"):
        lsq.codes(np.array([0.0, np.nan]), 1.0, bits=2)
    with pytest.raises(InputError, match="x: expected float32 or float64, got int64"):
        lsq.hard(np.arange(3), 1.0, bits=2)
    with pytest.raises(InputError, match="the outer level: expected finite numbers above 0, got inf"):
        lsq.hard(np.zeros(3), 1e307, bits=8)
    for bad in (np.zeros(0), np.zeros(4), np.array([1.0, np.inf]), np.array([1.0, np.nan])):
        with pytest.raises(InputError, match="x: expected"):
            LSQ(2).initialise(bad)
    with pytest.raises(InputError, match="s: expected finite numbers above 0, got inf"):
        LSQ(2, dtype=np.float64).initialise(np.full(4, 1.7e308))


def test_nan_infinities_and_subnormals() -> None:
    y = lsq.hard(np.array([np.nan, np.inf, -np.inf, 5e-324]), 0.5, bits=2)
    assert np.isnan(y[0])
    assert y[1:].tolist() == [0.5, -1.0, 0.0]
    assert lsq.hard(np.array([1.0, -1.0, 1e-323]), 5e-324, bits=3).tolist() == [1.5e-323, -2e-323, 1e-323]


# ---- slips


def slipped(step: Callable[..., Any], slope: Callable[..., Any] | None = None) -> Primitive:
    """LSQ with another gradient: of s by v, the code, the bounds and the count; of x by v and the bounds."""

    def vjp(gy: np.ndarray, residuals: Any, needs: Sequence[bool]) -> tuple[np.ndarray, ...]:
        (x, s), options = residuals
        low, high = lsq.bounds(**options)
        v = x / s
        ds = step(v, np.rint(np.clip(v, -low, high)), low, high, x.size)
        dx = (v >= -low) & (v <= high) if slope is None else slope(v, low, high)
        return gy * dx, np.asarray((gy * ds).sum())

    return dataclasses.replace(PRIMITIVES["lsq"], vjp=vjp)


def eq3(v: np.ndarray, code: np.ndarray, low: int, high: int, count: int) -> np.ndarray:
    return np.where((v >= -low) & (v <= high), code - v, code) / math.sqrt(count * high)


def test_what_is_right_is_not_caught() -> None:
    assert not caught(PRIMITIVES["lsq"])
    assert not caught(slipped(eq3))


@pytest.mark.parametrize(
    "step",
    [
        lambda v, code, low, high, count: eq3(v, code, low, high, count) * math.sqrt(count * high),  # no scale
        lambda v, code, low, high, count: eq3(v, code, low, high, count) * math.sqrt(high),  # Qp left out of it
        lambda v, code, low, high, count: -eq3(v, code, low, high, count),
        lambda v, code, low, high, count: code / math.sqrt(count * high),  # v is not subtracted inside
        lambda v, code, low, high, count: (code - v) / math.sqrt(count * high),  # nor masked outside
        lambda v, code, low, high, count: eq3(v, code, low, high, count) * ((v >= -low) & (v <= high)),
    ],
)
def test_a_slip_in_the_steps_gradient_is_caught(step: Callable[..., Any]) -> None:
    assert caught(slipped(step))


@pytest.mark.parametrize(
    "slope",
    [
        lambda v, low, high: np.ones_like(v),  # not gated
        lambda v, low, high: (v > -low) & (v < high),  # nothing at the bounds
        lambda v, low, high: (v >= -low - 0.5) & (v <= high + 0.5),  # half a step too wide
    ],
)
def test_a_slip_in_the_gate_is_caught(slope: Callable[..., Any]) -> None:
    assert caught(slipped(eq3, slope))
