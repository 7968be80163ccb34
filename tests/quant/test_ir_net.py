"""IR-Net: the power of two nearest to the scale, the schedule of the slope, balanced weights, and slips."""

import dataclasses
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import PRIMITIVES, InputError, Tensor
from quant import METHODS, ir_net
from quant.ir_net import IRNet
from quant.rules import forward_of, vjp_of
from quant.standardise import standardise
from verify.gradients.mutants.judge import judge

SEEDS = st.integers(0, 2**32)


def weights(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.2, 3, shape)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(st.floats(2.0**-100, 2.0**100), st.integers(-90, 90), st.integers(-2, 2))
def test_the_scale_is_the_power_of_two_nearest_on_a_log_scale(dtype: type, size: float, k: int, ulps: int) -> None:
    """2^(2e - 1) < m^2 < 2^(2e + 1), in whole numbers, next to where it jumps too."""
    edge = dtype(math.sqrt(0.5) * 2.0**k)
    for mean in (dtype(size), edge + ulps * np.spacing(edge)):
        scale = Fraction(float(ir_net.power_of_two_scale(np.array([-mean]))[0]))
        square = Fraction(float(mean)) ** 2
        assert scale * scale / 2 < square < scale * scale * 2


def test_the_scale_of_nothing_but_zeros_is_zero() -> None:
    x = np.array([[0.0, 3.0], [0.0, -5.0]])
    assert ir_net.power_of_two_scale(x).tolist() == [0, 4]
    assert ir_net.hard(x).tolist() == [[0, 4], [0, -4]]


def test_t_goes_from_a_thousandth_to_ten() -> None:
    quantizer = IRNet()
    assert quantizer.t == 1e-3
    found = []
    for epoch in range(1, 6):
        quantizer.set_progress(epoch, 5)
        found.append(float(quantizer.t))
    assert found == pytest.approx([1e-3, 1e-2, 1e-1, 1, 10], rel=1e-15)
    assert found[0] == 1e-3
    assert found[-1] == 10
    quantizer.set_progress(1, 1)
    assert quantizer.t == 1e-3
    assert "t" in quantizer.state()


def test_early_the_gradient_is_straight_through_and_late_it_is_steep() -> None:
    x = np.array([-2.0, -0.1, 0.0, 0.5, 3.0])
    (early,) = ir_net.partials(x, t=1e-3, scaled=False)
    assert np.allclose(early, 1, atol=1e-5)
    (late,) = ir_net.partials(x, t=10.0, scaled=False)
    assert late[2] == 10
    assert late[0] < 1e-15
    assert np.allclose(late, 10 / np.cosh(10 * x) ** 2, rtol=1e-12)


@given(SEEDS, st.floats(1, 20))
def test_the_surrogate_comes_close_to_the_sign(seed: int, t: float) -> None:
    """With the rate exp(-2 t |x|)."""
    x = weights(seed, 9)
    difference = np.abs(ir_net.smooth_sign(x, t=t, scaled=False)(x) - ir_net.hard(x, scaled=False))
    assert np.all(difference <= 2 * np.exp(-2 * t * np.abs(x)) + 2.0**-50)


def test_filters_are_the_entries_of_the_last_axis() -> None:
    x, gy = weights(0, 2, 3, 4), weights(1, 2, 3, 4)
    x *= np.array([0.1, 1, 10, 100])
    y, (gx,), levels = ir_net.hard(x, t=2.0), ir_net.hard_vjp(gy, x, t=2.0), ir_net.levels(x)
    assert levels.shape == (2, 4)
    for n in range(4):
        alone = x[..., n].ravel()
        assert np.array_equal(y[..., n].ravel(), ir_net.hard(alone, t=2.0))
        assert np.array_equal(gx[..., n].ravel(), ir_net.hard_vjp(gy[..., n].ravel(), alone, t=2.0)[0])
        assert np.array_equal(levels[:, n], ir_net.levels(alone))


@given(SEEDS)
def test_weights_are_balanced_and_the_gradient_goes_through_that(seed: int) -> None:
    x = weights(seed, 5, 2)
    quantizer = METHODS["ir_net"].quantizer(1, "weight", dtype=np.float64)
    quantizer.set_progress(3, 4)
    tensor = Tensor(x, requires_grad=True)
    y = quantizer(tensor)
    balanced = standardise(x, per_filter=True)
    assert np.array_equal(y.data, ir_net.hard(balanced))
    assert np.array_equal(quantizer.codes(x), balanced >= 0)
    assert np.array_equal(y.data, np.where(quantizer.codes(x) == 1, *quantizer.levels(x)[::-1]))
    y.backward(weights(seed + 1, 5, 2))
    assert tensor.grad is not None
    # Adding to a filter and scaling it change nothing.
    size = np.abs(tensor.grad).sum(axis=0)
    assert np.all(np.abs(tensor.grad.sum(axis=0)) <= 2.0**-40 * size)
    assert np.all(np.abs((tensor.grad * balanced).sum(axis=0)) <= 2.0**-40 * size)


def test_activations_are_the_sign_alone() -> None:
    quantizer = METHODS["ir_net"].quantizer(1, "activation", dtype=np.float64)
    x = np.array([-300.0, -0.0, 0.0, 0.5])
    assert quantizer(Tensor(x)).data.tolist() == [-1, 1, 1, 1]
    assert quantizer.levels().tolist() == [-1, 1]
    quantizer.initialise(np.zeros(0))
    assert quantizer(Tensor(np.zeros((0, 3)))).shape == (0, 3)


@pytest.mark.parametrize("bits", [0, 2, 9, 2.5, True])
def test_other_widths_are_refused(bits: Any) -> None:
    for make in (IRNet, METHODS["ir_net"].quantizer, lambda bits: ir_net.hard(np.ones(2), bits=bits)):
        with pytest.raises(InputError, match=r"^bits: "):
            make(bits)


@pytest.mark.parametrize("t", [0.0, -1.0, np.nan, np.inf, True, "2"])
def test_a_slope_is_a_number_above_zero(t: Any) -> None:
    for function in (ir_net.hard, ir_net.partials, ir_net.codes, ir_net.levels):
        with pytest.raises(InputError, match=r"^t: expected [^\n]*$"):
            function(np.ones(2), t=t)


@pytest.mark.parametrize(
    "x",
    [
        np.zeros((0, 2)),
        np.ones((1, 2)),
        np.array([[1.0, 0.5], [2.0, 0.5]]),
        np.zeros(3),
        np.array([1, np.nan]),
        np.array([1, np.inf]),
    ],
)
def test_weights_that_cannot_be_balanced_are_refused(x: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"^x: expected [^\n]*standardise[^\n]*$"):
        IRNet().initialise(x)


def test_codes_need_numbers() -> None:
    with pytest.raises(InputError, match=r"^x: NaN at index \(1,\)"):
        IRNet().codes(np.array([1, np.nan]))


def test_empty_filters_have_no_scale_and_levels_need_the_weights() -> None:
    with pytest.raises(InputError, match=r"^x: expected elements in every filter"):
        ir_net.hard(np.zeros((0, 2)))
    with pytest.raises(InputError, match=r"^x: expected the weights"):
        IRNet().levels()


def test_slips_are_caught() -> None:
    """No k, the slope without its t, tanh in the place of its square, no scale in the backward, a scale rounded up."""
    right = PRIMITIVES["ir_net"]

    def slope(formula: Any) -> Any:
        def partials(x: Any, *, bits: int, t: float, scaled: bool) -> Any:
            s = np.abs(ir_net.hard(x, scaled=scaled))
            return (formula(s, max(1 / t, 1), t, np.tanh(t * x)),)

        return dataclasses.replace(right, vjp=vjp_of(partials))

    def rounded_up(x: Any, *, bits: int, t: float, scaled: bool) -> Any:
        mean = np.abs(x).mean(axis=tuple(range(x.ndim - 1)) or 0)
        return np.where(x >= 0, 1.0, -1.0) * (2 ** np.ceil(np.log2(mean)) if scaled else 1)

    mutants = [
        slope(lambda s, k, t, y: s * t * (1 - y * y)),
        slope(lambda s, k, t, y: s * k * (1 - y * y)),
        slope(lambda s, k, t, y: s * k * t * (1 - np.abs(y))),
        slope(lambda s, k, t, y: k * t * (1 - y * y)),
        dataclasses.replace(right, forward=forward_of(rounded_up)),
    ]
    for mutant in mutants:
        with pytest.raises(AssertionError):
            for seed in range(8):
                judge(mutant, seed)
    judge(slope(lambda s, k, t, y: s * k * t * (1 - y * y)), 0)
