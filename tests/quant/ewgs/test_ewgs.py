"""EWGS: its scaling of the gradient, the rule for delta, the range, the module, bad input, and slips that are found."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import InputError, Tensor
from minigrad.primitive import PRIMITIVES
from minigrad.reduction import sum_to_shape
from quant import METHODS, ewgs
from quant.ewgs import EWGS
from quant.ewgs.primitive import straight_through
from verify.gradients.mutants.judge import judge

Array = np.ndarray
BITS = st.integers(1, 8)


@st.composite
def ranges(draw: st.DrawFn) -> tuple[float, float]:
    scale = 10.0 ** draw(st.integers(-6, 6))
    l = draw(st.floats(-3, 3)) * scale
    return l, l + draw(st.floats(0.1, 5)) * scale


def points(l: float, u: float, seed: int, count: int = 60) -> Array:
    x = np.random.default_rng(seed).uniform(l - 0.3 * (u - l), u + 0.3 * (u - l), count)
    return np.concatenate([x, [l, u]])


@given(ranges(), BITS, st.booleans(), st.floats(0, 1), st.integers(0, 2**32))
def test_a_step_down_the_gradient_is_longer_towards_the_code(
    ends: tuple[float, float], bits: int, signed: bool, delta: float, seed: int
) -> None:
    """An element above its level that moves down further away from it gets less; one that moves back gets more."""
    l, u = ends
    x = points(l, u, seed)
    gy = np.random.default_rng([seed, 1]).choice([-2.0, -0.5, 0.0, 0.5, 2.0], x.shape)
    options: dict[str, Any] = {"bits": bits, "signed": signed}
    scaled = ewgs.hard_vjp(gy, x, l, u, delta=delta, **options)[0]
    plain = ewgs.hard_vjp(gy, x, l, u, delta=0.0, **options)[0]
    n = 2**bits - 1
    v = (x - l) / (u - l)
    off = np.where((x < l) | (x > u), 0.0, v - np.rint(v * n) / n)
    assert np.allclose(scaled, plain + delta * off * np.abs(plain), rtol=1e-12, atol=0)
    assert np.array_equal(plain, ewgs.partials(x, l, u, **options)[0] * gy)


@given(ranges(), BITS, st.booleans(), st.integers(0, 2**32))
def test_the_range_and_x_move_together(ends: tuple[float, float], bits: int, signed: bool, seed: int) -> None:
    """Shifting or stretching x, l and u together changes nothing: dx + dl + du = 0 and x dx + l dl + u du = 0."""
    l, u = ends
    x = points(l, u, seed)
    dx, dl, du = ewgs.partials(x, l, u, bits=bits, signed=signed)
    size = np.abs(dx) + np.abs(dl) + np.abs(du)
    reach = (1 + (abs(l) + abs(u)) / (u - l)) * 2.0**-49
    assert np.all(np.abs(dx + dl + du) <= reach * size)
    assert np.all(np.abs(x * dx + l * dl + u * du) <= reach * (abs(l) + abs(u)) * size)
    inside = (x >= l) & (x <= u)
    assert np.all((dx > 0) == inside)
    assert np.all(dl[~inside] == 0)
    assert np.all(du[~inside] == 0)


@given(ranges(), BITS, st.booleans(), st.integers(0, 2**32))
def test_rounding_is_off_by_half_a_step_at_most(ends: tuple[float, float], bits: int, signed: bool, seed: int) -> None:
    l, u = ends
    x = points(l, u, seed)
    y = ewgs.hard(x, l, u, bits=bits, signed=signed)
    straight = straight_through(x, l, u, bits=bits, signed=signed)(x, l, u)
    step = (2 if signed else 1) / (2**bits - 1)
    assert np.all(np.abs(y - straight) <= step / 2 + 2.0**-44)


def test_ties_go_to_the_even_code() -> None:
    x = np.array([0.5, 1.5, 2.5])
    assert ewgs.codes(x, 0.0, 3.0, bits=2).tolist() == [0, 2, 2]
    assert ewgs.hard(np.zeros(1), -1.0, 1.0, bits=1)[0] == -1  # 1/2 rounds to 0
    assert ewgs.hard(np.zeros(1), -1.0, 1.0, bits=2)[0] == 1 / 3  # 3/2 rounds to 2


def test_values_and_levels() -> None:
    x = np.array([-np.inf, -1.0, -0.2, 0.2, 1.0, np.inf], np.float32)
    assert ewgs.hard(x, -1.0, 1.0, bits=2).tolist() == [-1, -1, -np.float32(1 / 3), np.float32(1 / 3), 1, 1]
    assert ewgs.hard(x, -1.0, 1.0, bits=1, signed=False).tolist() == [0, 0, 0, 1, 1, 1]
    assert np.array_equal(ewgs.levels(-1.0, 1.0, bits=2), [-1, -1 / 3, 1 / 3, 1])
    assert np.array_equal(ewgs.levels(0.0, 1.0, bits=2, signed=False), [0, 1 / 3, 2 / 3, 1])
    assert ewgs.levels(-np.ones(3), np.ones(3), bits=1).tolist() == [[-1] * 3, [1] * 3]


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_float32_ranges_of_any_scale_have_gradients(scale: float) -> None:
    x = (np.array([-0.5, 0.25]) * scale).astype(np.float32)
    dx, dl, du = ewgs.hard_vjp(np.ones(2, np.float32), x, -scale, scale, bits=2)
    assert np.allclose(np.array([*dx, dl, du], np.float64) * scale, [1, 1, -1.125, -0.875], rtol=2e-3)


# ---- delta


def test_the_rule_for_delta_by_hand() -> None:
    gradients = [np.array([1.0, 3.0]), np.array([[0.0, 2.0], [0.0, 2.0]])]
    terms = [4.0 / (2 * 3 * np.sqrt(2.0)), -1.0 / (4 * 3 * np.sqrt(4 / 3))]
    assert ewgs.delta_of_traces([4.0, -1.0], gradients) == pytest.approx(sum(terms) / 2, rel=1e-12)
    assert ewgs.delta_of_traces([1.0, -40.0], gradients) == 0


def test_the_rule_on_a_quadratic_loss() -> None:
    """L = sum h/2 (q - t)^2 has the Hessian diag(h), which every vector of signs gives exactly."""
    rng = np.random.default_rng(0)
    h, t, q = rng.uniform(0, 2, 50), rng.standard_normal(50), rng.standard_normal(50)
    gradient = h * (q - t)
    signs = rng.choice([-1.0, 1.0], 50)
    trace = float(signs @ (h * signs))
    expected = h.mean() / (3 * gradient.std(ddof=1))
    assert ewgs.delta_of_traces([trace], [gradient]) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("signed", [True, False])
def test_update_delta_is_about_the_discretisers_output(signed: bool) -> None:
    """With y = 2 x_q - 1 the gradient by x_q is twice, the trace four times, that by y."""
    module = EWGS(2, signed, dtype=np.float64)
    gradient, trace, span = np.array([0.5, -1.0, 2.0]), 3.0, 2 if signed else 1
    module.update_delta([trace], [gradient])
    assert float(module.delta) == pytest.approx(ewgs.delta_of_traces([trace * span**2], [gradient * span]), rel=1e-12)
    assert module.state()["delta"] == module.delta
    x = Tensor(np.array([0.3, 0.7]), requires_grad=True)
    module.initialised[...] = 1
    module(x).backward(np.ones(2))
    delta = float(module.delta)
    expected = ewgs.hard_vjp(np.ones(2), x.data, *module.parameters_now(), bits=2, signed=signed, delta=delta)
    assert x.grad is not None
    assert np.array_equal(x.grad, expected[0])


@pytest.mark.parametrize(
    ("traces", "gradients", "message"),
    [
        ([], [], "traces: expected one a gradient, at least one, got 0 and 0"),
        ([1.0], [], "traces: expected one a gradient"),
        ([np.nan], [np.array([0.0, 1.0])], "traces: expected finite numbers"),
        ([1.0], [np.array([0.0, np.inf])], "expected finite"),
        ([1.0], [np.ones(3)], "expected different elements"),
        ([1.0], [np.zeros(0)], "expected elements"),
    ],
)
def test_a_delta_that_cannot_be_computed_is_refused(traces: Any, gradients: Any, message: str) -> None:
    module = EWGS(2)
    with pytest.raises(InputError, match=message):
        module.update_delta(traces, gradients)
    assert float(module.delta) == ewgs.DELTA


# ---- the module


@pytest.mark.parametrize(
    ("signed", "kind"), [(True, "symmetric"), (True, "free"), (False, "positive"), (False, "free")]
)
def test_gradients_reach_the_range(signed: bool, kind: str) -> None:
    x = Tensor(np.random.default_rng(0).standard_normal((40, 3)), requires_grad=True)
    module = EWGS(2, signed, range=kind, channels=3, dtype=np.float64)
    gy = np.random.default_rng(1).standard_normal(x.shape)
    y = module(x)
    y.backward(gy)
    l, u = module.parameters_now()
    assert np.array_equal(y.data, ewgs.hard(x.data, l, u, bits=2, signed=signed))
    _, dl, du = ewgs.hard_vjp(gy, x.data, l, u, bits=2, signed=signed)
    assert module.u.grad is not None
    assert np.allclose(module.u.grad, du - dl if kind == "symmetric" else du, rtol=1e-13)
    if kind == "free":
        assert module.l.grad is not None
        assert np.array_equal(module.l.grad, dl)


@pytest.mark.parametrize("scale", [1e-150, 1.0, 1e150])
def test_the_first_range_is_of_three_standard_deviations(scale: float) -> None:
    x = np.random.default_rng(3).standard_normal(5000) * scale
    std = x.std(ddof=1) if scale == 1 else (x / scale).std(ddof=1) * scale
    weights, free = EWGS(2, dtype=np.float64), EWGS(2, range="free", dtype=np.float64)
    weights.initialise(x)
    free.initialise(x + 5 * scale)
    assert np.allclose(weights.parameters_now(), (-3 * std, 3 * std), rtol=1e-12, atol=0)
    centre = 5 * scale + (x / scale).mean() * scale
    assert np.allclose(free.parameters_now(), (centre - 3 * std, centre + 3 * std), rtol=1e-12, atol=0)
    activations = EWGS(2, False, dtype=np.float64)
    activations.initialise(np.abs(x))
    # The size of a normal variable of standard deviation 1.
    assert float(activations.u.data) == pytest.approx(3 * scale, rel=0.05)
    assert float(activations.parameters_now()[0]) == 0


def test_a_free_range_of_activations_begins_at_the_smallest() -> None:
    module = EWGS(2, False, range="free", channels=2, dtype=np.float64)
    x = np.array([[1.0, 5.0], [2.0, 7.0], [4.0, 6.0]])
    module.initialise(x)
    l, u = module.parameters_now()
    assert l.tolist() == [1, 5]
    assert np.allclose(u - l, 3 * x.std(axis=0, ddof=1) / np.sqrt(1 - 2 / np.pi))


@pytest.mark.parametrize("kind", ["symmetric", "free"])
def test_projection_restores_the_domain_and_leaves_it_alone(kind: str) -> None:
    module = EWGS(2, range=kind)
    module.u.data[...] = 0.7
    module.project()
    assert float(module.u.data) == np.float32(0.7)
    module.u.data[...] = -1000.0
    if kind == "free":
        module.l.data[...] = 1000.0
    module.project()
    l, u = (float(end) for end in module.parameters_now())
    assert 0 < u - l <= 4e-3
    assert abs(l + u) < 1e-6
    ewgs.hard(np.zeros(1, np.float32), l, u, bits=8)


# ---- bad input


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"bits": 0}, "bits: 0 is not an integer from 1 to 8"),
        ({"bits": 9}, "bits: 9 is not"),
        ({"bits": 2.5}, "bits: 2.5 is not"),
        ({"bits": True}, "bits: True is not"),
        ({"l": 1.0}, "l, u: expected finite numbers with l < u"),
        ({"l": 2.0}, "l, u: expected"),
        ({"u": np.nan}, "l, u: expected"),
        ({"u": np.inf}, "l, u: expected"),
        ({"l": -1.7e308, "u": 1.7e308}, "overflows or underflows"),
        ({"delta": -0.1}, "delta: expected a finite number from 0 on, got -0.1"),
        ({"delta": np.nan}, "delta: expected"),
        ({"delta": True}, "delta: expected"),
        ({"delta": "1"}, "delta: expected"),
    ],
)
@pytest.mark.parametrize("function", [ewgs.hard, ewgs.partials, ewgs.codes, None])
def test_bad_parameters_are_named(function: Callable[..., Any] | None, changed: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"l": -1.0, "u": 1.0, "bits": 2} | changed
    with pytest.raises(InputError, match=message) as refusal:
        if function is None:
            ewgs.levels(**arguments)
        else:
            function(np.zeros(2), **arguments)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros(0), "expected elements"),
        (np.full(4, 2.0), "expected different elements"),
        (np.ones(1), "at least 2 elements"),
        (np.array([1.0, np.nan]), "expected finite"),
        (np.array([1.0, np.inf]), "expected finite"),
        (np.array([5e-324, 0.0, 0.0]), "overflows or underflows"),
        (np.array([1e308, -1e308]), "l, u"),
        (np.zeros((3, 2)), "expected 3 channels in the last axis"),
    ],
)
def test_data_that_gives_no_range_is_refused(x: Array, message: str) -> None:
    module = EWGS(8, channels=3 if x.ndim > 1 else None, dtype=np.float64)
    with pytest.raises(InputError, match=message):
        module.initialise(x)
    assert np.all(module.u.data == 1)


def test_nan() -> None:
    with pytest.raises(InputError, match=r"x: NaN at index \(1,\)"):
        ewgs.codes(np.array([0.0, np.nan]), -1.0, 1.0, bits=2)
    assert np.isnan(ewgs.hard(np.array([np.nan]), -1.0, 1.0, bits=2))[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"range": "positive"}, "range: expected one of symmetric, free, got 'positive'"),
        ({"signed": False, "range": "symmetric"}, "range: expected one of positive, free, got 'symmetric'"),
        ({"delta": -1}, "delta: expected"),
        ({"bits": 0}, "bits: 0"),
        ({"channels": 0}, "channels: expected"),
        ({"dtype": int}, "dtype: expected"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        EWGS(**({"bits": 2} | options))


def test_the_record_refuses_what_it_does_not_know() -> None:
    with pytest.raises(InputError, match="bits: ewgs takes 1, 2, 3, 4, 5, 6, 7, 8 for weights, got 9"):
        METHODS["ewgs"].quantizer(9)
    with pytest.raises(InputError, match="options of ewgs"):
        METHODS["ewgs"].quantizer(2, alpha=1)


# ---- slips


def vjp_with(scaling: Callable[[Array, Array, float], Array]) -> Callable[..., Any]:
    """The vjp with other factors: a function of the gradient's sign, of x_n - x_q and of delta."""

    def vjp(gy: Array, residuals: Any, needs: Any) -> Any:
        (x, l, u), options = residuals
        n = 2 ** options["bits"] - 1
        v = np.clip((x - l) / (u - l), 0, 1)
        scaled = gy * scaling(np.sign(gy), v - np.rint(v * n) / n, options.get("delta", ewgs.DELTA))
        found = ewgs.partials(x, l, u, **options)
        return tuple(
            sum_to_shape(scaled * d, a.shape) if wanted else None
            for d, a, wanted in zip(found, (x, l, u), needs, strict=True)
        )

    return vjp


SLIPS: dict[str, Callable[[Array, Array, float], Array]] = {
    "plain straight-through": lambda sign, off, delta: np.ones_like(off),
    "the sign of the gradient missing": lambda sign, off, delta: 1 + delta * off,
    "x_q - x_n": lambda sign, off, delta: 1 - delta * sign * off,
    "the size of the error": lambda sign, off, delta: 1 + delta * sign * np.abs(off),
    "the sign of the error": lambda sign, off, delta: 1 + delta * sign * np.sign(off),
}


def judged(vjp: Callable[..., Any]) -> bool:
    """Whether the checks find nothing in 8 examples."""
    primitive = PRIMITIVES["ewgs"]
    for seed in range(8):
        try:
            judge(dataclasses.replace(primitive, vjp=vjp), seed)
        except AssertionError:
            judge(primitive, seed)
            return False
    return True


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_is_found(slip: str) -> None:
    assert not judged(vjp_with(SLIPS[slip]))


def test_the_formula_of_the_paper_is_no_slip() -> None:
    assert judged(vjp_with(lambda sign, off, delta: 1 + delta * sign * off))
