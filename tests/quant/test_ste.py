"""The straight-through estimator: ties, the gate, the step from data, bad input."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import PRIMITIVES, InputError
from quant import ste
from quant.rules import forward_of, vjp_of
from quant.ste import STE
from verify.gradients.mutants.judge import judge

DTYPES = [np.float32, np.float64]


@pytest.mark.parametrize("dtype", DTYPES)
def test_ties_go_to_even_and_the_ends_are_inside(dtype: type) -> None:
    x: np.ndarray = np.array([-9, -2, -1.5, -0.5, 0.5, 1, 1.5, 9], dtype)
    assert ste.hard(x, 1, bits=2).tolist() == [-2, -2, -2, 0, 0, 1, 1, 1]
    assert ste.codes(x, 1, bits=2).tolist() == [0, 0, 0, 2, 2, 3, 3, 3]
    assert ste.partials(x, 1, bits=2)[0].tolist() == [0, 1, 1, 1, 1, 1, 0, 0]
    assert ste.hard(x, 1, bits=2, signed=False).tolist() == [0, 0, 0, 0, 0, 1, 2, 3]
    assert ste.partials(x, 1, bits=2, signed=False)[0].tolist() == [0, 0, 0, 0, 1, 1, 1, 0]


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_sign_of_zero_is_plus(dtype: type) -> None:
    x: np.ndarray = np.array([-3, -2, -1e-30, -0.0, 0.0, 2, 3], dtype)
    assert ste.hard(x, 2, bits=1).tolist() == [-2, -2, -2, 2, 2, 2, 2]
    assert ste.codes(x, 2, bits=1).tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert ste.partials(x, 2, bits=1)[0].tolist() == [0, 1, 1, 1, 1, 1, 0]
    assert ste.levels(np.asarray(2, dtype), bits=1).tolist() == [-2, 2]
    assert np.isnan(ste.hard(np.array([np.nan], dtype), 1, bits=1)).all()


def test_the_step_has_no_gradient_and_is_not_learned() -> None:
    gx, gs = ste.hard_vjp(np.ones(4), np.array([-3.0, 0.2, 0.4, 9.0]), np.array(0.5), bits=2)
    assert gx.tolist() == [0, 1, 1, 0]
    assert gs == 0
    quantizer = STE(2)
    assert quantizer.parameters() == []
    assert "s" in quantizer.state()


@pytest.mark.parametrize(("bits", "signed"), [(2, True), (3, True), (8, True), (1, False), (4, False)])
def test_the_step_of_numbers_on_a_grid_is_the_grids(bits: int, signed: bool) -> None:
    """Whose largest element is 2^(bits - 1) or Qp steps from 0."""
    low, high = ste.bounds(bits, signed)
    x = 0.25 * np.arange(-low, high + 1)
    quantizer = STE(bits, signed, dtype=np.float64)
    quantizer.initialise(x)
    if bits < 8:
        assert quantizer.s == pytest.approx(0.25, rel=1 / 32)
    squares = [np.sum((ste.hard(x, s, bits=bits, signed=signed) - x) ** 2) for s in (quantizer.s, 0.2, 0.3, 0.5)]
    assert min(squares) == squares[0]


def test_the_step_of_the_sign_is_the_mean_of_the_sizes() -> None:
    quantizer = STE(1, channels=2, dtype=np.float64)
    quantizer.initialise(np.array([[1.0, -4.0], [-2.0, 0.0]]))
    assert quantizer.s.tolist() == [1.5, 2]


@given(st.integers(0, 2**32), st.sampled_from([(2, True), (3, False)]))
def test_the_step_of_a_channel_is_its_own(seed: int, case: tuple[int, bool]) -> None:
    bits, signed = case
    x = np.abs(np.random.default_rng(seed).normal(0, [1, 100], (9, 2)))
    quantizer = STE(bits, signed, channels=2, dtype=np.float64)
    quantizer.initialise(x)
    for n in range(2):
        alone = STE(bits, signed, dtype=np.float64)
        alone.initialise(x[:, n].copy())
        assert alone.s == quantizer.s[n]


@pytest.mark.parametrize("bits", [0, 9, 2.5, True, "2"])
def test_other_widths_are_refused(bits: Any) -> None:
    with pytest.raises(InputError, match=r"^bits: .* is not an integer from 1 to 8$"):
        STE(bits)
    with pytest.raises(InputError, match=r"^bits: "):
        ste.hard(np.zeros(2), 1.0, bits=bits)


@pytest.mark.parametrize("s", [0.0, -1.0, np.nan, np.inf])
def test_a_step_is_above_zero_and_finite(s: float) -> None:
    for function in (ste.hard, ste.codes, ste.partials):
        with pytest.raises(InputError, match=r"^s: expected finite numbers above 0"):
            function(np.zeros(2), s, bits=2)
    with pytest.raises(InputError, match=r"^s: expected finite numbers above 0"):
        ste.levels(s, bits=2)


@pytest.mark.parametrize(
    "x", [np.zeros(0), np.zeros(3), np.array([1, np.nan]), np.array([1, np.inf]), np.full(3, 5e-324), np.ones((2, 4))]
)
@pytest.mark.parametrize("bits", [1, 2])
def test_data_without_a_step_is_refused(x: np.ndarray, bits: int) -> None:
    quantizer = STE(bits, channels=3 if x.ndim > 1 else None)
    with pytest.raises(InputError, match=r"^(x|s): expected [^\n]*$"):
        quantizer.initialise(x)
        quantizer.codes(np.ones(3, np.float32))


def test_slips_are_caught() -> None:
    """No gate, a gate at 1 in the place of the range's end, a factor of the step, and rounding down."""
    right = PRIMITIVES["ste"]

    def one(x: Any, s: Any, **options: Any) -> Any:
        return np.ones_like(x), np.zeros_like(x)

    def unit(x: Any, s: Any, **options: Any) -> Any:
        return (np.abs(x) <= 1).astype(x.dtype), np.zeros_like(x)

    def stepped(x: Any, s: Any, **options: Any) -> Any:
        return ste.partials(x, s, **options)[0] * s, np.zeros_like(x)

    def down(x: Any, s: Any, **options: Any) -> Any:
        return ste.hard(x - s * 0.5, s, **options)

    mutants = [dataclasses.replace(right, vjp=vjp_of(partials)) for partials in (one, unit, stepped)]
    mutants.append(dataclasses.replace(right, forward=forward_of(down)))
    for mutant in mutants:
        with pytest.raises(AssertionError):
            for seed in range(6):
                judge(mutant, seed)
    for seed in range(6):
        judge(right, seed)
