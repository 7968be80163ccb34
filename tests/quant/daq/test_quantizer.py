"""DAQ's module: standardised weights, ranges from data, the ablation in training alone; and bad input."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import InputError, Tensor
from quant import METHODS, daq
from quant.daq import DAQ
from quant.standardise import mean_and_std, standardise

BITS = st.integers(1, 8)
SEEDS = st.integers(0, 2**32)
DTYPES = [np.float32, np.float64]
Array = np.ndarray


def module(role: Any = "weight", bits: int = 2, **options: Any) -> Any:
    return METHODS["daq"].quantizer(bits, role, dtype=np.float64, **options)


@given(SEEDS, BITS)
def test_training_and_evaluation_are_the_same(seed: int, bits: int) -> None:
    x = np.random.default_rng(seed).normal(2, 3, (5, 4))
    for role in ("weight", "activation"):
        for quantizer in (module(role, bits), module(role, bits, channels=4)):
            trained = quantizer(Tensor(x)).data
            assert np.array_equal(trained, quantizer.levels()[quantizer.codes(x)])
            assert np.array_equal(trained, quantizer.eval()(Tensor(x)).data)


def test_weights_are_standardised_and_start_at_three_deviations() -> None:
    x = np.random.default_rng(0).normal(5, 7, 100)
    quantizer = module()
    y = quantizer(Tensor(x)).data
    assert [e.tolist() for e in quantizer.ends()] == [-3, 3]
    assert np.array_equal(y, daq.hard(standardise(x), -3, 3, bits=2))
    assert np.array_equal(quantizer(Tensor(64 * x)).data, y)
    assert {p.group for p in quantizer.parameters()} == {"range"}
    assert DAQ.output_scale


def test_the_gradient_of_weights_holds_mean_and_deviation_constant() -> None:
    x, gy = np.random.default_rng(0).normal(5, 7, (2, 30))
    quantizer, tensor = module(), Tensor(x, requires_grad=True)
    quantizer(tensor).backward(gy)
    dx, dl, du = daq.hard_vjp(gy, standardise(x), np.array(-3.0), np.array(3.0), bits=2)
    assert tensor.grad is not None
    assert np.array_equal(tensor.grad, dx / mean_and_std(x)[1])
    assert (quantizer.l.grad, quantizer.u.grad) == (dl, du)


def test_activations_start_at_three_deviations_above_a_fixed_zero() -> None:
    x = np.array([[0.0, 4.0], [2.0, 0.0], [4.0, 8.0]])
    quantizer = module("activation")
    quantizer(Tensor(x))
    assert quantizer.u.data == pytest.approx(3 * np.std(x, ddof=1))
    assert [name for name, _ in quantizer.named_parameters()] == ["u"]
    assert quantizer.levels().tolist() == [0, 1 / 3, 2 / 3, 1]
    assert (quantizer.sigma, module().sigma) == (2, 1)
    channels = module("activation", channels=2)
    channels.initialise(x)
    assert channels.u.data.tolist() == pytest.approx([6, 12])


def test_one_temperature_is_for_training_alone() -> None:
    x = np.random.default_rng(0).normal(0, 1, 50)
    for role in ("weight", "activation"):
        quantizer = module(role, temperature=2.0)
        soft, hard = quantizer(Tensor(x)).data, quantizer.eval()(Tensor(x)).data
        assert np.array_equal(hard, quantizer.levels()[quantizer.codes(x)])
        assert 0 < np.abs(soft - hard).max() < 1 / 3 + 1e-12
        given = standardise(x) if role == "weight" else x
        options = {"signed": role == "weight", "sigma": quantizer.sigma, "temperature": 2.0}
        assert np.array_equal(soft, daq.soft(given, *quantizer.ends(), bits=2, **options))


@pytest.mark.parametrize(("l", "u"), [(3.0, -3.0), (1.0, 1.0), (-1e6, -1e6), (2.0, 2.0 + 1e-9)])
def test_a_crossed_range_is_opened_around_its_middle(l: float, u: float) -> None:
    quantizer = METHODS["daq"].quantizer(2)
    assert isinstance(quantizer, DAQ)
    quantizer.l.data[...], quantizer.u.data[...] = l, u
    quantizer.project()
    low, high = (float(e) for e in quantizer.ends())
    assert 1e-6 <= high - low <= 4e-6 * max(1.0, abs(l))
    assert (low + high) / 2 == pytest.approx((l + u) / 2, abs=1e-6 * max(1.0, abs(l)))
    activation = module("activation", channels=2)
    activation.u.data[...] = [-5, 0.5]
    activation.project()
    assert activation.u.data.tolist() == [2.0**-60, 0.5]


# ---- bad input

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "hard": daq.hard,
    "codes": daq.codes,
    "partials": daq.partials,
    "soft": lambda *a, **k: daq.soft(*a, temperature=1.0, **k),
    "soft_partials": lambda *a, **k: daq.soft_partials(*a, temperature=1.0, **k),
    "levels": lambda x, l, u, **k: daq.levels(l, u, **k),
}
each_function = pytest.mark.parametrize("name", FUNCTIONS)


@each_function
@pytest.mark.parametrize("bits", [0, 9, 2.5, True, "2"])
def test_other_widths_are_refused(name: str, bits: Any) -> None:
    with pytest.raises(InputError, match=r"^bits: "):
        FUNCTIONS[name](np.zeros(2), -1.0, 1.0, bits=bits)
    with pytest.raises(InputError, match=r"^bits: "):
        METHODS["daq"].quantizer(bits)


@each_function
@pytest.mark.parametrize(("l", "u"), [(1.0, 1.0), (1.0, -1.0), (np.nan, 1.0), (-1.0, np.inf), (-1.7e308, 1.7e308)])
def test_a_range_is_finite_and_ascending(name: str, l: float, u: float) -> None:
    with pytest.raises(InputError, match=r"^l, u: "):
        FUNCTIONS[name](np.zeros(2), l, u, bits=2)


@pytest.mark.parametrize("name", [n for n in FUNCTIONS if n != "levels"])
@pytest.mark.parametrize("u", [1e-309, 5e-322, 1e308])
def test_a_range_whose_slope_overflows_is_refused(name: str, u: float) -> None:
    with pytest.raises(InputError, match=r"^l, u: [^\n]*; scale the data$"):
        FUNCTIONS[name](np.zeros(2), 0.0, u, bits=8)


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf, 1e-300, True, "2", None])
def test_options_are_numbers_above_zero(value: Any) -> None:
    x = np.zeros(2)
    for name, call in (
        ("sigma", lambda: daq.hard(x, -1, 1, bits=2, sigma=value)),
        ("gamma", lambda: daq.partials(x, -1, 1, bits=2, gamma=value)),
        ("temperature", lambda: daq.soft(x, -1, 1, bits=2, temperature=value)),
        ("gamma", lambda: DAQ(2, gamma=value)),
        ("sigma", lambda: DAQ(2, sigma=2.0**31 if value is None else value)),
        ("temperature", lambda: DAQ(2, temperature=2.0**31 if value is None else value)),
    ):
        with pytest.raises(InputError, match=rf"^{name}: expected a (finite )?number[^\n]*$"):
            call()


def test_other_roles_and_dtypes_are_refused() -> None:
    with pytest.raises(InputError, match=r"^role: "):
        DAQ(2, "bias")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"^dtype: "):
        DAQ(2, dtype=np.int32)
    with pytest.raises(InputError, match=r"^x: expected float32 or float64"):
        daq.hard(np.zeros(2, np.int32), -1, 1, bits=2)
    with pytest.raises(InputError, match=r"^x: expected 3 channels in the last axis"):
        module(channels=3).initialise(np.arange(8.0).reshape(4, 2))


@pytest.mark.parametrize("role", ["weight", "activation"])
@pytest.mark.parametrize(
    "x", [np.zeros(0), np.zeros(3), np.full(3, 0.1), np.ones(1), np.array([1, 2, np.nan]), np.array([1, np.inf])]
)
def test_data_without_a_deviation_is_refused(role: str, x: Array) -> None:
    with pytest.raises(InputError, match=r"^x: expected [^\n]*$"):
        module(role).initialise(x)


def test_activations_too_small_or_large_for_a_range_are_refused() -> None:
    for size in (5e-324, 1e308):
        with pytest.raises(InputError, match=r"^l, u: "):
            module("activation", 8).initialise(np.array([0.0, size]))


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_no_number_stays_none_and_infinities_are_outside(dtype: type) -> None:
    x: Array = np.array([np.nan, -np.inf, np.inf, 0.1], dtype)
    assert np.array_equal(daq.hard(x, -1, 1, bits=1), np.array([np.nan, -1, 1, 1], dtype), equal_nan=True)
    assert all(np.array_equal(d[:3], [0, 0, 0]) for d in daq.partials(x, -1, 1, bits=1))
    with pytest.raises(InputError, match=r"^x: NaN at index \(0,\)"):
        daq.codes(x, -1, 1, bits=1)
    with pytest.raises(InputError, match=r"^x: NaN at index \(0,\)"):
        DAQ(1).codes(x)


def test_options_of_another_type_do_not_change_the_dtype() -> None:
    x: Array = np.linspace(-2, 2, 9, dtype=np.float32)
    options = {"bits": 2, "sigma": np.float64(1), "gamma": np.float64(2)}
    soft = {"bits": 2, "sigma": np.float64(1), "temperature": np.float64(3)}
    found = [daq.hard(x, -1.0, np.float64(1), **options), *daq.partials(x, -1, 1, **options)]
    found += [daq.soft(x, -1, 1, **soft), *daq.soft_partials(x, -1, 1, **soft)]
    assert {a.dtype for a in found} == {np.dtype(np.float32)}
