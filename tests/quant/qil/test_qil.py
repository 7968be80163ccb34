"""QIL: the transformer's identities, ties and ends, the module, bad input, and slips that the checks find."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import InputError, Tensor
from minigrad.primitive import PRIMITIVES
from quant import METHODS, qil
from quant.qil import QIL
from quant.rules import vjp_of
from verify.gradients.mutants.judge import judge

Array = np.ndarray


@st.composite
def intervals(draw: st.DrawFn, signed: bool = True) -> tuple[float, float, float]:
    """c, d and gamma."""
    c = draw(st.floats(0.1, 10)) * 10.0 ** draw(st.integers(-6, 6))
    d = c * draw(st.floats(0.05, 1.0 if signed else 3.0))
    return c, d, draw(st.one_of(st.floats(0.3, 3), st.just(1.0)))


def points(c: float, d: float, signed: bool, seed: int, count: int = 50) -> Array:
    rng = np.random.default_rng(seed)
    m = np.concatenate([c + d * rng.uniform(-2, 2, count), [c - d, c + d, c, 0.0]])
    return m * rng.choice([-1.0, 1.0], m.shape) if signed else m


@given(st.data(), st.booleans(), st.integers(0, 2**32))
def test_the_transformer_has_no_scale(data: st.DataObject, signed: bool, seed: int) -> None:
    """Multiplying x, c and d by the same number changes nothing: x dx + c dc + d dd = 0 (Euler)."""
    c, d, gamma = data.draw(intervals(signed))
    x = points(c, d, signed, seed)
    dx, dc, dd, _ = qil.partials(x, c, d, gamma, bits=4, signed=signed)
    size = np.abs(x * dx) + np.abs(c * dc) + np.abs(d * dd)
    assert np.all(np.abs(x * dx + c * dc + d * dd) <= 2.0**-48 * (c / d + 1) * size)
    assert np.any(dx != 0)
    shift = dc + (dx * np.sign(x) if signed else dx)  # moving x away from 0 is moving the interval towards it
    assert np.all(shift == 0)


@given(st.data(), st.booleans(), st.integers(2, 8), st.integers(0, 2**32))
def test_the_quantized_value_is_within_half_a_step_of_the_transformer(
    data: st.DataObject, signed: bool, bits: int, seed: int
) -> None:
    c, d, gamma = data.draw(intervals(signed))
    x = points(c, d, signed, seed)
    q = 2 ** (bits - 1) - 1 if signed else 2**bits - 1
    m = np.abs(x) if signed else x
    transformed = np.clip((m - c) / (2 * d) + 0.5, 0, 1) ** gamma * (np.sign(x) if signed else 1)
    y = qil.hard(x, c, d, gamma, bits=bits, signed=signed)
    # h is off by up to 2^-52 c/d <= 2^-47, and its power where h is 0 by up to that to the 0.3.
    assert np.all(np.abs(y - transformed) <= 0.5 / q + 2.0**-14)
    assert np.all(np.abs(y * q - np.rint(y * q)) < 1e-12)


def test_from_zero_on_and_with_gamma_1_it_is_uniform() -> None:
    x = np.linspace(-1.5, 1.5, 301) + 0.0003
    got = qil.hard(x, 0.5, 0.5, 1.0, bits=4)
    assert np.array_equal(got, np.rint(np.clip(x, -1, 1) * 7) / 7)


def test_ties_go_to_the_even_code() -> None:
    x = np.array([0.25, 0.75, -0.25, -0.75])
    # 1 bit and 2 signed bits have q = 1; with c = d = 1/2 and with c = 1, d = 1/2 the tie is where T = 1/2.
    assert qil.hard(np.array([0.5]), 0.5, 0.5, 1.0, bits=1, signed=False)[0] == 0
    assert qil.hard(x, 0.5, 0.25, 1.0, bits=2).tolist() == [0, 1, 0, -1]
    assert qil.codes(np.array([1 / 6, 0.5, 5 / 6]), 0.5, 0.5, 1.0, bits=3).tolist() == [3, 5, 5]
    third = np.array([0.125, 0.375, 0.625, 0.875])
    assert np.array_equal(qil.codes(third * 4, 2, 2, 1.0, bits=2, signed=False), np.rint(third * 3))
    assert qil.codes(np.array([0.5, -0.5]), 0.5, 0.5, 1.0, bits=2).tolist() == [1, 1]


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_outside_of_the_interval_all_gradients_are_zero(gamma: float) -> None:
    c, d = 0.5, 0.25
    x = np.array([0.0, 0.2, 0.76, 9.0, -0.2, -0.76, np.inf, -np.inf])
    for partial in qil.partials(x, c, d, gamma, bits=3):
        assert np.all(partial == 0)
    assert qil.hard(x, c, d, gamma, bits=3).tolist() == [0, 0, 1, 1, 0, -1, 1, -1]
    assert not np.any(np.signbit(qil.hard(x[:5], c, d, gamma, bits=3)))


def test_the_ends_are_inside() -> None:
    ends = np.array([0.25, 0.75, -0.25, -0.75])
    for gamma, lower in ((1.0, 2.0), (0.5, 0.0), (2.0, 0.0)):
        dx, dc, dd, dgamma = qil.partials(ends, 0.5, 0.25, gamma, bits=3)
        assert dx.tolist() == [lower, 2 * gamma, lower, 2 * gamma]
        assert dc.tolist() == [-lower, -2 * gamma, lower, 2 * gamma]
        assert dd.tolist() == [lower, -2 * gamma, -lower, 2 * gamma]
        assert np.all(dgamma == 0)


def test_weights_at_zero_learn_where_the_interval_begins_there() -> None:
    dx, dc, dd, dgamma = qil.partials(np.zeros(1), 0.5, 0.5, 1.0, bits=3)
    assert (dx[0], dc[0], dd[0], dgamma[0]) == (1, 0, 0, 0)


def test_codes_and_levels() -> None:
    signed, unsigned = (qil.levels(np.float32(0.5), 0.5, 1.0, bits=3, signed=s) for s in (True, False))
    assert signed.dtype == np.float32
    assert np.array_equal(signed, np.arange(-3, 4).astype(np.float32) / np.float32(3))
    assert np.array_equal(unsigned, np.arange(8).astype(np.float32) / np.float32(7))
    assert qil.levels(np.full(3, 0.5), 0.5, 1.0, bits=2).shape == (3, 3)
    assert qil.codes(np.array([-9.0, 0.0, 9.0]), 0.5, 0.5, 1.0, bits=8).tolist() == [0, 127, 254]


# ---- the module


def test_the_module_learns_gamma_for_weights_only() -> None:
    x = Tensor(np.random.default_rng(0).standard_normal((30, 3)), requires_grad=True)
    for signed in (True, False):
        module = QIL(3, signed, channels=3, dtype=np.float64)
        y = module(x)
        gy = np.random.default_rng(1).standard_normal(x.shape)
        y.backward(gy)
        options = {"bits": 3, "signed": signed}
        expected = qil.hard_vjp(gy, x.data, *module.parameters_now(), **options)  # type: ignore[arg-type]
        for parameter, g in zip((x, module.c, module.d, module.gamma), expected, strict=True):
            assert (parameter.grad is None) == (parameter is module.gamma and not signed)
            assert parameter.grad is None or np.array_equal(parameter.grad, g)
        x.grad = None


def test_the_first_interval_is_of_least_squares() -> None:
    x = np.random.default_rng(2).standard_normal(20000)
    module = QIL(3, dtype=np.float64)
    module.initialise(x)
    c, d, gamma = (float(p) for p in module.parameters_now())
    assert c == d
    assert gamma == 1
    best = min(np.linspace(0.5, 5, 200), key=lambda u: np.mean((u * np.rint(np.clip(x / u, -1, 1) * 3) / 3 - x) ** 2))
    assert 2 * c == pytest.approx(best, rel=0.05)


def test_projection_restores_the_domain_and_leaves_it_alone() -> None:
    module = QIL(3)
    for before, after in (
        ((0.5, 0.25, 0.7), (0.5, 0.25, 0.7)),
        ((0.25, 0.5, 1.0), (0.5, 0.5, 1.0)),
        ((2000.0, -1.0, -1.0), (2000.0, 2e-3, 0.01)),
        ((-1.0, 0.0, 0.005), (1e-6, 1e-6, 0.01)),
    ):
        for parameter, value in zip(module.parameters(), before, strict=True):
            parameter.data[...] = value
        module.project()
        assert np.allclose([float(p) for p in module.parameters_now()], after, rtol=1e-6)
        module.eval()(Tensor(np.ones(2, np.float32)))
    free = QIL(3, signed=False)
    free.c.data[...], free.d.data[...] = 0.25, 0.5
    free.project()
    assert [float(p) for p in free.parameters_now()] == [0.25, 0.5, 1.0]


# ---- bad input


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"bits": 0}, "bits: 0 is not an integer from 2 to 8"),
        ({"bits": 1}, "bits: 1 is not an integer from 2 to 8"),
        ({"bits": 9}, "bits: 9 is not"),
        ({"bits": 2.5}, "bits: 2.5 is not"),
        ({"bits": True}, "bits: True is not"),
        ({"d": 0.0}, "d: expected finite numbers above 0, got 0.0"),
        ({"d": -1.0}, "d: expected"),
        ({"d": np.nan}, "d: expected"),
        ({"d": 1e-30}, "c, d: expected an interval c - d < c \\+ d of finite numbers"),
        ({"c": np.inf}, "c, d: expected an interval"),
        ({"c": np.nan}, "c, d: expected an interval"),
        ({"c": 0.2}, "c, d: expected c >= d for weights, got c = 0.2 and d = 0.25"),
        ({"gamma": 0.0}, "gamma: expected finite numbers above 0"),
        ({"gamma": np.inf}, "gamma: expected"),
        ({"c": np.array([0.5, 0.1])}, "c >= d"),
    ],
)
@pytest.mark.parametrize("function", [qil.hard, qil.partials, qil.codes, None])
def test_bad_parameters_are_named(function: Callable[..., Any] | None, changed: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"c": 0.5, "d": 0.25, "gamma": 1.0, "bits": 3} | changed
    with pytest.raises(InputError, match=message) as refusal:
        if function is None:
            qil.levels(**arguments)
        else:
            function(np.zeros(2), **arguments)
    assert "\n" not in str(refusal.value)


def test_an_interval_of_activations_may_reach_below_zero() -> None:
    assert qil.hard(np.array([0.0]), 0.25, 0.5, 1.0, bits=8, signed=False)[0] == np.rint(0.25 * 255) / 255


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros(0), "expected elements"),
        (np.zeros(4), "not all zero"),
        (np.array([1.0, np.nan]), "expected finite"),
        (np.array([1.0, np.inf]), "expected finite"),
        (np.full(3, 5e-324), "d: expected finite numbers above 0"),
        (np.ones((3, 2)), "expected 3 channels in the last axis"),
    ],
)
def test_data_that_gives_no_interval_is_refused(x: Array, message: str) -> None:
    module = QIL(3, channels=3 if x.ndim > 1 else None, dtype=np.float64)
    with pytest.raises(InputError, match=message):
        module.initialise(x)
    assert module.c.data.ravel()[0] == 0.5


def test_half_an_interval_that_underflows_is_refused() -> None:
    """In float64, where the interval is chosen, it does not."""
    with pytest.raises(InputError, match="d: expected finite numbers above 0"):
        QIL(3).initialise(np.full(3, 1e-45, np.float32))


def test_a_constant_tensor_has_an_interval() -> None:
    module = QIL(2)
    module.initialise(np.full(3, 0.75, np.float32))
    assert float(module.c.data + module.d.data) == 0.75


def test_nan() -> None:
    with pytest.raises(InputError, match=r"x: NaN at index \(1,\)"):
        qil.codes(np.array([0.0, np.nan]), 0.5, 0.5, 1.0, bits=2)
    assert np.isnan(qil.hard(np.array([np.nan]), 0.5, 0.5, 1.0, bits=2))[0]


def test_the_record_refuses_widths_and_options() -> None:
    method = METHODS["qil"]
    with pytest.raises(InputError, match="bits: qil takes 2, 3, 4, 5, 6, 7, 8 for weights, got 1"):
        method.quantizer(1, "weight")
    with pytest.raises(InputError, match="options of qil"):
        method.quantizer(2, "weight", alpha=1)
    with pytest.raises(InputError, match="dtype: expected float32 or float64"):
        method.quantizer(2, "weight", dtype=int)


# ---- slips


def slipped(change: Callable[..., Sequence[Any]]) -> Callable[..., Sequence[Any]]:
    def partials(x: Array, c: Any, d: Any, gamma: Any, **options: Any) -> Sequence[Any]:
        return change(x, c, d, gamma, *qil.partials(x, c, d, gamma, **options))

    return partials


SLIPS: dict[str, Callable[..., Sequence[Any]]] = {
    "plain straight-through": lambda x, c, d, gamma, dx, dc, dd, dg: (np.ones_like(dx), dc, dd, dg),
    "the sign missing in dc": lambda x, c, d, gamma, dx, dc, dd, dg: (dx, -np.abs(dc), dd, dg),
    "dc not negative": lambda x, c, d, gamma, dx, dc, dd, dg: (dx, -dc, dd, dg),
    "a in the place of a/d in dd": lambda x, c, d, gamma, dx, dc, dd, dg: (dx, dc, dd * d, dg),
    "gamma missing as a factor": lambda x, c, d, gamma, dx, dc, dd, dg: (dx / gamma, dc / gamma, dd / gamma, dg),
    "no gradient of gamma": lambda x, c, d, gamma, dx, dc, dd, dg: (dx, dc, dd, 0 * dg),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_is_found(slip: str) -> None:
    primitive = PRIMITIVES["qil"]
    wrong = dataclasses.replace(primitive, vjp=vjp_of(slipped(SLIPS[slip])))
    for seed in range(8):
        try:
            judge(wrong, seed)
        except AssertionError:
            judge(primitive, seed)
            return
    raise AssertionError(f"{slip}: not found in 8 examples")
