"""LSQ+: the equations, the offset, how it starts, bad input, and what implementations get wrong."""

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
from quant import METHODS, lsq, lsq_plus
from quant.lsq_plus import LSQPlus
from verify.gradients.mutants.judge import judge

CASES = st.tuples(st.integers(1, 8), st.booleans()).filter(lambda case: case != (1, True))
SCALES = st.integers(-6, 6).map(lambda e: 10.0**e)


def caught(primitive: Primitive) -> bool:
    for seed in range(6):
        try:
            judge(primitive, seed)
        except AssertionError:
            return True
    return False


@given(CASES, SCALES, st.floats(-3, 3), st.integers(0, 2**32))
def test_value_and_gradients_are_the_formulas(case: tuple[int, bool], s: float, shift: float, seed: int) -> None:
    bits, signed = case
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    c = s * shift
    x = c + s * np.random.default_rng(seed).uniform(low - 3, high + 3, 50)
    v = (x - c) / s
    code = np.rint(np.clip(v, low, high))
    assert np.array_equal(lsq_plus.hard(x, s, c, bits=bits, signed=signed), s * code + c)
    assert np.array_equal(lsq_plus.codes(x, s, c, bits=bits, signed=signed), code - low)
    dx, ds, dc = lsq_plus.partials(x, s, c, bits=bits, signed=signed)
    inside, root = (v >= low) & (v <= high), math.sqrt(50 * high)
    assert np.array_equal(dx, inside)
    assert np.allclose(ds * root, np.where(v < low, low, np.where(v > high, high, code - v)))
    assert np.allclose(dc * root, ~inside)


@given(CASES, SCALES, st.integers(0, 2**32))
def test_without_an_offset_it_is_lsq(case: tuple[int, bool], s: float, seed: int) -> None:
    bits, signed = case
    x = s * np.random.default_rng(seed).uniform(-9, 9, 40)
    options: dict[str, Any] = {"bits": bits, "signed": signed}
    assert np.array_equal(lsq_plus.hard(x, s, 0.0, **options), lsq.hard(x, s, **options))
    assert np.array_equal(lsq_plus.codes(x, s, 0.0, **options), lsq.codes(x, s, **options))
    assert np.array_equal(lsq_plus.levels(s, 0.0, **options), lsq.levels(s, **options))
    found = lsq_plus.hard_vjp(np.ones(40), x, s, 0.0, **options)
    assert all(np.array_equal(a, b) for a, b in zip(found, lsq.hard_vjp(np.ones(40), x, s, **options), strict=False))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ties_go_to_the_even_code_and_the_bounds_are_inside(dtype: type) -> None:
    x: np.ndarray = np.array([4.5, 5.5, 6.5], dtype)  # levels 4, 5, 6, 7
    assert lsq_plus.hard(x, dtype(1), dtype(4), bits=2).tolist() == [4, 6, 6]
    assert lsq_plus.codes(x, dtype(1), dtype(4), bits=2).tolist() == [0, 2, 2]
    x = np.array([np.nextafter(dtype(4), dtype(0)), 4, 7, np.nextafter(dtype(7), dtype(9)), np.inf, -np.inf], dtype)
    dx, ds, dc = lsq_plus.partials(x, dtype(1), dtype(4), bits=2)
    assert dx.tolist() == [0, 1, 1, 0, 0, 0]
    assert (dc * math.sqrt(18)).tolist() == pytest.approx([1, 0, 0, 1, 1, 1])
    assert (ds * math.sqrt(18)).tolist() == pytest.approx([0, 0, 0, 3, 3, 0])


# ---- the module


def test_weights_start_at_three_deviations_and_have_no_offset() -> None:
    x = np.random.default_rng(0).standard_normal((400, 2)) * [1.0, 30.0] + [0.5, -20.0]
    whole = LSQPlus(3, "weight", dtype=np.float64)
    whole(Tensor(x))
    assert float(whole.s.data) == pytest.approx((abs(x.mean()) + 3 * x.std()) / 4)
    each = LSQPlus(3, "weight", channels=2, dtype=np.float64)
    each(Tensor(x))
    assert each.s.data.tolist() == pytest.approx((np.abs(x.mean(axis=0)) + 3 * x.std(axis=0)) / 4)
    assert [name for name, _ in whole.named_parameters()] == ["s"]
    assert whole.levels().tolist() == pytest.approx([k * float(whole.s.data) for k in range(-4, 4)])
    # A constant that is not 0 has a scale: one deviation of it is 0.
    whole.initialise(np.full(5, -2.0))
    assert whole.s.data == 0.5


@pytest.mark.parametrize("scale", [1e-160, 1.0, 1e150])
def test_activations_start_at_the_smallest_element_with_the_best_step(scale: float) -> None:
    """As after Swish: a short negative side and a long positive one."""
    z = np.random.default_rng(0).standard_normal(4000) * 2
    x = z / (1 + np.exp(-z)) * scale
    quantizer = LSQPlus(2, dtype=np.float64)
    quantizer(Tensor(x))
    s, c = float(quantizer.s.data), float(quantizer.c.data)
    assert c == x.min()
    tried = [(x.max() - c) * n / 64 / 3 for n in range(1, 65)]
    errors = [(((lsq_plus.hard(x, t, c, bits=2) - x) / scale) ** 2).sum() for t in tried]
    assert (((lsq_plus.hard(x, s, c, bits=2) - x) / scale) ** 2).sum() == pytest.approx(min(errors))
    assert s < tried[-1]  # smaller than what the largest element asks for


def test_gradients_reach_the_step_and_the_offset() -> None:
    x = np.random.default_rng(0).uniform(-2, 2, (20, 3))
    gy = np.random.default_rng(1).standard_normal((20, 3))
    quantizer = LSQPlus(2, channels=3, dtype=np.float64)
    quantizer.s.data[...], quantizer.c.data[...] = [0.2, 0.4, 0.6], [-0.5, 0.0, 0.5]
    quantizer.initialised[...] = 1
    leaf = Tensor(x, requires_grad=True)
    quantizer(leaf).backward(gy)
    for tensor, expected in zip(
        (leaf, quantizer.s, quantizer.c),
        lsq_plus.hard_vjp(gy, x, quantizer.s.data, quantizer.c.data, bits=2),
        strict=True,
    ):
        assert tensor.grad is not None
        assert np.array_equal(tensor.grad, expected)
    assert [p.group for p in quantizer.parameters()] == ["range", "range"]
    assert set(quantizer.state()) == {"s", "c", "initialised"}


def test_projection_and_evaluation() -> None:
    quantizer = LSQPlus(3, dtype=np.float64)
    quantizer.s.data[...], quantizer.c.data[...] = -1.0, -0.2
    quantizer.project()
    assert (quantizer.s.data, quantizer.c.data) == (2.0**-60, -0.2)
    quantizer.s.data[...] = 0.3
    quantizer.project()
    assert quantizer.s.data == 0.3
    x = np.linspace(-2, 2, 41)
    assert np.array_equal(quantizer.eval()(Tensor(x)).data, quantizer.levels()[quantizer.codes(x)])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bits": 0}, "bits: 0 is not an integer from 1 to 8"),
        ({"bits": 1, "role": "weight"}, "bits: 1 is not an integer from 2 to 8"),
        ({"bits": 9}, "bits: 9"),
        ({"bits": 2.5}, "bits: 2.5"),
        ({"bits": True}, "bits: True"),
        ({"role": "bias"}, "role: expected one of weight, activation"),
        ({"channels": 1.5}, "channels: expected"),
        ({"dtype": int}, "dtype: expected float32 or float64"),
    ],
)
def test_bad_options_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        LSQPlus(**({"bits": 2} | arguments))


@pytest.mark.parametrize(
    ("s", "c", "message"),
    [
        (0.0, 0.0, "s: expected finite numbers above 0"),
        (-1.0, 0.0, "s: expected"),
        (np.nan, 0.0, "s: expected"),
        (np.inf, 0.0, "s: expected"),
        (1.0, np.nan, "c: expected finite numbers"),
        (1.0, -np.inf, "c: expected finite numbers"),
        (1e307, 0.0, "the outer level: expected finite"),
        (5e305, 1.7e308, "c: expected finite numbers, and finite levels around them"),
    ],
)
@pytest.mark.parametrize("name", ["hard", "partials", "codes", "levels"])
def test_bad_parameters_are_named(name: str, s: float, c: float, message: str) -> None:
    arguments = (np.float64(s), c) if name == "levels" else (np.zeros(3), s, c)
    with pytest.raises(InputError, match=message):
        getattr(lsq_plus, name)(*arguments, bits=8)


@pytest.mark.parametrize("role", ["weight", "activation"])
def test_bad_data_is_named(role: Any) -> None:
    for bad in (np.zeros(0), np.zeros(4), np.array([1.0, np.inf]), np.array([1.0, np.nan])):
        with pytest.raises(InputError, match=r"x: expected|s: expected"):
            METHODS["lsq_plus"].quantizer(2, role).initialise(bad)
    with pytest.raises(
        InputError, match=r"parameters of shapes \(3,\), \(\) do not broadcast against x of shape \(2,\)"
    ):
        lsq_plus.hard(np.zeros(2), np.ones(3), 0.0, bits=2)
    with pytest.raises(InputError, match=r"x: NaN at index \(1,\)"):
        METHODS["lsq_plus"].quantizer(2, role).codes(np.array([0.0, np.nan], np.float32))
    y = lsq_plus.hard(np.array([np.nan, np.inf, -np.inf, 5e-324]), 0.5, -0.5, bits=2)
    assert np.isnan(y[0])
    assert y[1:].tolist() == [1.0, -0.5, 0.0]


def test_a_constant_tensor_of_activations_has_no_range() -> None:
    with pytest.raises(InputError, match="x: expected two different elements"):
        LSQPlus(2).initialise(np.full(4, 3.0))


# ---- slips


def slipped(change: Callable[..., Any]) -> Primitive:
    """LSQ+ whose partial derivatives are changed by a function of them, v, the bounds and 1/sqrt(count high)."""

    def vjp(gy: np.ndarray, residuals: Any, needs: Sequence[bool]) -> tuple[np.ndarray, ...]:
        (x, s, c), options = residuals
        negative, high = lsq.bounds(**options)
        scale = 1 / math.sqrt(x.size // s.size * high)
        found = change(*lsq_plus.partials(x, s, c, **options), (x - c) / s, -negative, high, scale)
        axes = tuple(range(x.ndim - s.ndim))
        return gy * found[0], *(np.asarray((gy * d).sum(axis=axes)) for d in found[1:])

    return dataclasses.replace(PRIMITIVES["lsq_plus"], vjp=vjp)


def test_what_is_right_is_not_caught() -> None:
    assert not caught(PRIMITIVES["lsq_plus"])
    assert not caught(slipped(lambda dx, ds, dc, *_: (dx, ds, dc)))


@pytest.mark.parametrize(
    "change",
    [
        lambda dx, ds, dc, v, low, high, scale: (dx, ds, dc / scale),  # the offset's gradient is not scaled
        lambda dx, ds, dc, v, low, high, scale: (dx, ds / scale, dc),
        lambda dx, ds, dc, v, low, high, scale: (dx, ds, scale + 0 * dc),  # 1 inside too
        lambda dx, ds, dc, v, low, high, scale: (dx, ds, dx * scale),  # inside and outside exchanged
        lambda dx, ds, dc, v, low, high, scale: (dx, ds, -dc),
        lambda dx, ds, dc, v, low, high, scale: (dx, ds, 0 * dc),
        lambda dx, ds, dc, v, low, high, scale: (dx, dx * ds, dc),  # nothing for s outside
        lambda dx, ds, dc, v, low, high, scale: (dx, ds + dx * v * scale, dc),  # v is not subtracted inside
        lambda dx, ds, dc, v, low, high, scale: ((v > low) & (v < high), ds, dc),  # nothing at the bounds
    ],
)
def test_a_slip_is_caught(change: Callable[..., Any]) -> None:
    assert caught(slipped(change))


def test_an_offset_that_is_not_given_back_is_caught() -> None:
    right = PRIMITIVES["lsq_plus"].forward

    def forward(x: np.ndarray, s: np.ndarray, c: np.ndarray, **options: Any) -> tuple[np.ndarray, Any]:
        y, residuals = right(x, s, c, **options)
        return y - c, residuals

    assert caught(dataclasses.replace(PRIMITIVES["lsq_plus"], forward=forward))
