"""What public implementations of QN get wrong, planted: the checks of every primitive find it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad import PRIMITIVES
from minigrad.elementary import exp
from minigrad.reduction import sum_to_shape
from quant.qn import level_set
from verify.gradients.arrays import certify_primitive
from verify.gradients.mutants.judge import judge

SOFT, HARD = PRIMITIVES["qn_soft"], PRIMITIVES["qn_hard"]


Formula = Callable[[np.ndarray, np.ndarray, float], np.ndarray]


def with_slopes(slope_of: Formula) -> Any:
    """The vjp of "qn_soft" with another formula of T s S (1 - S): of the place beta x - b_i, the gap and T."""

    def vjp(gy: np.ndarray, state: Any, needs: Any) -> Any:
        given = state.given
        place = given.u - given.b.reshape(-1, *([1] * given.u.ndim))
        gaps = given.gaps.reshape(-1, *([1] * given.u.ndim))
        slopes = given.alpha * slope_of(place, gaps, float(state.temperature))
        total = slopes.sum(axis=0)
        right = SOFT.vjp(gy, state, needs)
        found = (
            gy * (given.beta * total),
            right[1],
            sum_to_shape(gy * (given.x * total), state.shapes[2]),
            np.array([sum_to_shape(gy * -row, ()) for row in slopes]),
        )
        return tuple(f if needed else None for f, needed in zip(found, needs, strict=True))

    return dataclasses.replace(SOFT, vjp=vjp)


def bell(v: np.ndarray) -> np.ndarray:
    e = exp(-np.abs(v))
    return e / ((1 + e) * (1 + e))


def temperature_outside(place: np.ndarray, gap: np.ndarray, t: float) -> np.ndarray:
    """The official weight backward: sigma' at T = 1, times T."""
    return t * gap * bell(place)


def clamped(place: np.ndarray, gap: np.ndarray, t: float) -> np.ndarray:
    """The exponent clamped to +-10."""
    return t * gap * bell(np.clip(t * place, -10, 10))


def gap_inside(place: np.ndarray, gap: np.ndarray, t: float) -> np.ndarray:
    """The official activation backward: s S (1 - s S)."""
    e = exp(-np.abs(t * place))
    s = np.where(place >= 0, 1 / (1 + e), e / (1 + e))
    return t * gap * s * (1 - gap * s)


def product(place: np.ndarray, gap: np.ndarray, t: float) -> np.ndarray:
    """S (1 - S) multiplied out, which has lost everything at an argument of 40."""
    s = 1 / (1 + exp(-t * place))
    return t * gap * s * (1 - s)


def is_caught(primitive: Any, seeds: range = range(12)) -> bool:
    """Whether the judgement that every primitive passes refuses this one at some of the seeds."""
    for seed in seeds:
        try:
            judge(primitive, seed)
        except AssertionError:
            return True
    return False


def right(place: np.ndarray, gap: np.ndarray, t: float) -> np.ndarray:
    return t * gap * bell(t * place)


def test_the_formula_that_slips_are_planted_in_is_right() -> None:
    assert not is_caught(with_slopes(right))


@pytest.mark.parametrize("slip", [temperature_outside, clamped, gap_inside, product])
def test_slips_of_the_backward_are_caught(slip: Formula) -> None:
    assert is_caught(with_slopes(slip))


def certify_at_ties(primitive: Any) -> None:
    """The hard value on exact ties beside the definition's."""
    arrays = tuple(np.asarray(a, np.float64) for a in ([-0.25, 0.25, 1.0, 0.1], 2.0, 2.0, [-0.5, 0.5, 2.0]))
    options = {"bits": 2, "signed": False}
    certify_primitive(primitive, arrays, options, np.ones(4), [np.ones(np.shape(a)) for a in arrays]).require(45)


def test_ties_are_those_of_the_definition_and_the_slip_of_a_strict_step_is_caught() -> None:
    certify_at_ties(HARD)

    def strict(x: np.ndarray, alpha: Any, beta: Any, b: np.ndarray, **options: Any) -> Any:
        lower = np.searchsorted(b, beta * x, side="left")
        return alpha * np.array(level_set(None, options["bits"], options["signed"]))[lower], (
            (x, alpha, beta, b),
            options,
        )

    with pytest.raises(AssertionError):
        certify_at_ties(dataclasses.replace(HARD, forward=strict))


def test_slip_a_clamped_exponent_shows_in_the_value_too() -> None:
    def forward(x: np.ndarray, alpha: Any, beta: Any, b: Any, *, temperature: float, **options: Any) -> Any:
        _, state = SOFT.forward(x, alpha, beta, b, temperature=temperature, **options)
        v = np.clip(temperature * (state.given.u - b.reshape(-1, *([1] * x.ndim))), -20, 20)
        gaps = state.given.gaps.reshape(-1, *([1] * x.ndim))
        return alpha * ((gaps / (1 + exp(-v))).sum(axis=0) + state.given.integers[0]), state

    assert is_caught(dataclasses.replace(SOFT, forward=forward))
