"""Elementary functions at the far ends of their ranges, against ball arithmetic."""

from collections.abc import Iterator

import numpy as np
import pytest
from flint import arb

from minigrad import elementary
from verify.gradients.ball import precision


def units_off(got: float, exact: arb) -> float:
    """The error in units of the last place of the truth."""
    return float(abs(arb(float(got)) - exact)) / float(np.spacing(abs(float(exact))))


@pytest.fixture(autouse=True)
def _precise() -> Iterator[None]:
    with precision(300):
        yield


def full_mantissas(exponents: range, each: int) -> np.ndarray:
    """Numbers with all 53 bits in use: ``each`` of every exponent."""
    rng = np.random.default_rng(0)
    return np.concatenate([np.ldexp(rng.uniform(1.0, 2.0, each), n) for n in exponents])


def test_log_of_subnormals() -> None:
    x = np.concatenate([[5e-324, 2.0**-1060, np.nextafter(2.0**-1022, 0)], full_mantissas(range(-1070, -1020), 2)])
    for value, got in zip(x, elementary.log(x), strict=True):
        assert units_off(got, arb(float(value)).log()) <= 1, value


def test_log1p_keeps_what_rounding_one_plus_x_loses() -> None:
    x = full_mantissas(range(-60, 60), 40)
    for value, got in zip(x, elementary.log1p(x), strict=True):
        assert units_off(got, arb(float(value)).log1p()) <= 1, value


def test_the_slope_of_tanh_keeps_its_relative_accuracy_to_the_end() -> None:
    x = np.concatenate([np.linspace(-340, 340, 171), [29.9, 30.1, 31.0]])
    for value, got in zip(x, elementary.tanh_sech2(x)[1], strict=True):
        exact = 1 / arb(float(value)).cosh() ** 2
        assert abs(arb(float(got)) - exact) <= exact * arb(2) ** -49, value
