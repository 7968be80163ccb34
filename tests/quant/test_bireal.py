"""The sign of Bi-Real Net: ApproxSign, zeros and ends, the module, bad input, and slips that the checks find."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import InputError, Tensor
from minigrad.primitive import PRIMITIVES
from quant import METHODS, bireal
from quant.bireal import BiReal
from quant.rules import vjp_of
from verify.gradients.mutants.judge import judge

Array = np.ndarray


def test_the_slope_is_that_of_the_paper() -> None:
    x = np.array([-np.inf, -2.0, -1.0, -0.75, -0.25, -0.0, 0.0, 0.25, 0.75, 1.0, 2.0, np.inf])
    assert bireal.partials(x)[0].tolist() == [0, 0, 0, 0.5, 1.5, 2, 2, 1.5, 0.5, 0, 0, 0]


@given(st.floats(-3, 3), st.floats(1e-6, 1e-3))
def test_approx_sign_is_its_integral(x: float, h: float) -> None:
    """Over an interval of 2h, the slope in its middle is that of the chord but for h."""
    chord = (bireal.approx_sign(x + h) - bireal.approx_sign(x - h)) / (2 * h)
    assert abs(float(chord) - bireal.partials(np.array([x]))[0][0]) <= h + 1e-9


def test_approx_sign_meets_the_sign_outside_and_is_odd() -> None:
    x = np.linspace(-3, 3, 601)
    y = bireal.approx_sign(x)
    assert np.array_equal(y, -bireal.approx_sign(-x))
    assert np.all(np.diff(y) >= 0)
    outside = np.abs(x) >= 1
    assert np.array_equal(y[outside], bireal.hard(x)[outside])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_zero_is_above(dtype: Any) -> None:
    tiny = np.finfo(dtype).smallest_subnormal
    x = np.array([-np.inf, -tiny, -0.0, 0.0, tiny, np.inf], dtype)
    assert bireal.hard(x).dtype == dtype
    assert bireal.hard(x).tolist() == [-1, -1, 1, 1, 1, 1]
    assert bireal.codes(x).tolist() == [0, 0, 1, 1, 1, 1]
    assert bireal.levels().tolist() == [-1, 1]


def test_the_module() -> None:
    module = BiReal()
    x = Tensor(np.array([[-0.5, 0.25], [3.0, -2.0]], np.float32), requires_grad=True)
    y = module(x)
    y.backward(np.full((2, 2), 3.0, np.float32))
    assert y.data.tolist() == [[-1, 1], [1, -1]]
    assert x.grad is not None
    assert x.grad.tolist() == [[3, 4.5], [0, 0]]
    assert module.parameters() == []
    assert np.array_equal(module.levels()[module.codes(x.data)], y.data)
    assert module.levels().dtype == np.float32


def test_a_constant_or_empty_tensor_is_no_problem() -> None:
    for x in (np.zeros(3, np.float32), np.zeros((0, 2), np.float32)):
        assert np.array_equal(BiReal()(Tensor(x)).data, np.ones_like(x))


@pytest.mark.parametrize("bits", [0, 2, 9, 2.5, True])
@pytest.mark.parametrize("function", [bireal.hard, bireal.partials, bireal.codes, None])
def test_other_widths_are_refused(function: Callable[..., Any] | None, bits: Any) -> None:
    with pytest.raises(InputError, match=f"bits: {bits} is not an integer from 1 to 1"):
        if function is None:
            bireal.levels(bits=bits)
        else:
            function(np.zeros(2), bits=bits)


def test_the_record_is_for_binary_activations() -> None:
    method = METHODS["bireal"]
    with pytest.raises(InputError, match="bits: bireal takes none: it is not defined for weights"):
        method.quantizer(1, "weight")
    with pytest.raises(InputError, match="bits: bireal takes 1 for activations, got 2"):
        method.quantizer(2, "activation")
    with pytest.raises(InputError, match="channels"):
        method.quantizer(1, "activation", channels=3)
    with pytest.raises(InputError, match="dtype: expected"):
        method.quantizer(1, "activation", dtype=int)


def test_nan_and_integers() -> None:
    with pytest.raises(InputError, match=r"x: NaN at index \(0, 1\)"):
        bireal.codes(np.array([[0.0, np.nan]]))
    assert np.isnan(bireal.hard(np.array([np.nan]))[0])
    with pytest.raises(InputError, match="x: expected float32 or float64, got int64"):
        bireal.hard(np.array([1, -1]))


SLIPS: dict[str, Callable[[Array], Array]] = {
    "the gate of plain straight-through": lambda x: (np.abs(x) <= 1).astype(x.dtype),
    "half the slope": lambda x: 1 - np.minimum(np.abs(x), 1),
    "the two sides exchanged": lambda x: np.where(np.abs(x) < 1, 2 - 2 * (1 - np.abs(x)), 0),
    "not cut off": lambda x: 2 - 2 * np.abs(x),
    "tanh": lambda x: 1 - np.tanh(x) ** 2,
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_is_found(slip: str) -> None:
    primitive = PRIMITIVES["bireal"]
    wrong = dataclasses.replace(primitive, vjp=vjp_of(lambda x, bits: (SLIPS[slip](x),)))
    for seed in range(8):
        try:
            judge(wrong, seed)
        except AssertionError:
            judge(primitive, seed)
            return
    raise AssertionError(f"{slip}: not found in 8 examples")


def test_a_sign_with_a_zero_is_found_at_zero() -> None:
    """The other convention, sign 0 = 0, shows nowhere else."""
    x = np.array([-1.0, 0.0, 1.0])
    assert (np.sign(x) != bireal.hard(x)).tolist() == [False, True, False]
    assert np.array_equal(np.asarray(PRIMITIVES["bireal"].definition(x.astype(object)), float), bireal.hard(x))
