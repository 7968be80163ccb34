"""XNOR's weights: the scale of least squares, a filter at a time, and its whole gradient."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import PRIMITIVES, InputError, Tensor
from quant import METHODS, xnor
from quant.xnor import XNOR
from verify.gradients.mutants.judge import judge

SEEDS = st.integers(0, 2**32)


def weights(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, shape)


@given(SEEDS)
def test_the_scale_is_of_least_squares(seed: int) -> None:
    x = weights(seed, 11)
    y = xnor.hard(x)
    error = np.sum((y - x) ** 2)
    for factor in (0.5, 0.99, 1.01, 2.0):
        assert np.sum((factor * y - x) ** 2) > error
    assert np.abs(y) == pytest.approx(math.fsum(np.abs(x)) / 11)


@given(SEEDS)
def test_filters_are_the_entries_of_the_last_axis(seed: int) -> None:
    x, gy = weights(seed, 3, 2, 4), weights(seed + 1, 3, 2, 4)
    y, (gx,), levels = xnor.hard(x), xnor.hard_vjp(gy, x), xnor.levels(x)
    assert levels.shape == (2, 4)
    for n in range(4):
        alone = x[..., n].ravel()
        assert np.array_equal(y[..., n].ravel(), xnor.hard(alone))
        assert np.array_equal(gx[..., n].ravel(), xnor.hard_vjp(gy[..., n].ravel(), alone)[0])
        assert np.array_equal(levels[:, n], xnor.levels(alone))


@given(SEEDS)
def test_the_gradient_is_the_published_formula(seed: int) -> None:
    """Element by element: g a 1{|W| <= 1} + sign(W) mean(g sign(W))."""
    x, g = weights(seed, 9), weights(seed + 1, 9)
    a, signs = sum(map(abs, x)) / 9, [1.0 if w >= 0 else -1.0 for w in x]
    through_scale = sum(gi * si for gi, si in zip(g, signs, strict=True)) / 9
    expected = [gi * a * (abs(w) <= 1) + si * through_scale for gi, w, si in zip(g, x, signs, strict=True)]
    assert np.allclose(xnor.hard_vjp(g, x)[0], expected, rtol=0, atol=1e-14)


def test_zero_counts_as_positive_and_one_as_inside() -> None:
    x = np.array([-1.0, -0.0, 0.0, 1.0, -4.0])
    assert xnor.codes(x).tolist() == [0, 1, 1, 1, 0]
    assert xnor.hard(x).tolist() == [-1.2, 1.2, 1.2, 1.2, -1.2]
    gy = np.array([1.0, 0.0, 0.0, 0.0, 0.0])
    assert xnor.hard_vjp(gy, x)[0].tolist() == [1.2 + 0.2, -0.2, -0.2, -0.2, 0.2]


def test_a_filter_of_zeros_stays_zero() -> None:
    x = np.array([[0.0, 1.0], [0.0, -2.0]])
    assert xnor.hard(x).tolist() == [[0, 1.5], [0, -1.5]]
    assert np.isfinite(xnor.hard_vjp(np.ones((2, 2)), x)[0]).all()


def test_what_is_no_number_stays_in_its_filter() -> None:
    y = xnor.hard(np.array([[np.nan, 1.0], [2.0, -2.0]]))
    assert np.isnan(y[:, 0]).all()
    assert y[:, 1].tolist() == [1.5, -1.5]
    with pytest.raises(InputError, match=r"^x: NaN at index \(1,\)"):
        xnor.codes(np.array([1.0, np.nan]))


@pytest.mark.parametrize("bits", [0, 2, 9, 2.5, True])
def test_other_widths_are_refused(bits: Any) -> None:
    for make in (XNOR, METHODS["xnor"].quantizer, lambda bits: xnor.hard(np.ones(2), bits=bits)):
        with pytest.raises(InputError, match=r"^bits: "):
            make(bits)
    with pytest.raises(InputError, match="not defined for activations"):
        METHODS["xnor"].quantizer(1, "activation")


@pytest.mark.parametrize("x", [np.zeros(0), np.zeros((0, 3)), np.zeros((3, 0))])
def test_empty_filters_have_no_scale(x: np.ndarray) -> None:
    for function in (xnor.hard, xnor.levels, XNOR().initialise):
        with pytest.raises(InputError, match=r"^x: expected elements"):
            function(x)


@pytest.mark.parametrize(
    "x", [np.zeros(3), np.array([[0.0, 1.0], [0.0, 1.0]]), np.array([1, np.nan]), np.array([np.inf])]
)
def test_weights_to_begin_with_are_finite_and_not_zero(x: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"^x: expected (elements other than 0|finite numbers)"):
        XNOR().initialise(x)


def test_levels_need_the_weights() -> None:
    quantizer = XNOR(dtype=np.float64)
    with pytest.raises(InputError, match=r"^x: expected the weights"):
        quantizer.levels()
    x = weights(0, 4, 2)
    levels = quantizer.levels(x)
    y = quantizer.eval()(Tensor(x)).data
    assert np.array_equal(np.where(quantizer.codes(x) == 1, levels[1], levels[0]), y)


def test_slips_are_caught() -> None:
    """The scale as a constant, its term by 1/n alone, no gate, the mean over the whole tensor."""
    right = PRIMITIVES["xnor"]

    def parts(gy: Any, x: Any) -> Any:
        signs = np.where(x >= 0, 1.0, -1.0)
        axes = tuple(range(x.ndim - 1)) or (0,)
        scale = np.abs(x).mean(axis=axes)
        return gy * scale * (np.abs(x) <= 1), gy * scale, signs * (gy * signs).mean(axis=axes), x.size / scale.size

    def constant(gy: Any, residuals: Any, needs: Any) -> Any:
        return (parts(gy, residuals[0])[0],)

    def own_term(gy: Any, residuals: Any, needs: Any) -> Any:
        gated, _, _, count = parts(gy, residuals[0])
        return (gated + gy / count,)

    def ungated(gy: Any, residuals: Any, needs: Any) -> Any:
        _, passed, through_scale, _ = parts(gy, residuals[0])
        return (passed + through_scale,)

    def of_tensor(x: np.ndarray, *, bits: int) -> Any:
        return np.abs(x).mean() * np.where(x >= 0, 1.0, -1.0), (x, bits)

    mutants = [dataclasses.replace(right, vjp=vjp) for vjp in (constant, own_term, ungated)]
    mutants.append(dataclasses.replace(right, forward=of_tensor))
    for mutant in mutants:
        with pytest.raises(AssertionError):
            for seed in range(8):
                judge(mutant, seed)
    for seed in range(8):
        judge(right, seed)
