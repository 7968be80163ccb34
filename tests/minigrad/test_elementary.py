"""Elementary functions against ball arithmetic, at their special values, and their bits."""

import hashlib
import math

import numpy as np
import pytest
from flint import arb, ctx
from hypothesis import example, given
from hypothesis import strategies as st

from minigrad import elementary

FUNCTIONS = {
    "exp": (elementary.exp, -700.0, 700.0),
    "expm1": (elementary.expm1, -700.0, 700.0),
    "log": (elementary.log, 1e-300, 1e300),
    "log1p": (elementary.log1p, -1 + 1e-10, 1e300),
    "tanh": (elementary.tanh, -800.0, 800.0),
}
DOUBLES = st.floats(allow_nan=False, allow_infinity=False)


def truth(name: str, x: float) -> arb:
    ctx.prec = 300
    return getattr(arb(x), name)()


@pytest.mark.parametrize("name", FUNCTIONS)
@given(st.one_of(DOUBLES, st.floats(-2, 2), st.floats(-1e-6, 1e-6)))
@example(0.34657359027997264)
@example(0.9999999999999999)
@example(1.0000000000000002)
def test_float64_is_within_three_units(name: str, x: float) -> None:
    function, low, high = FUNCTIONS[name]
    x = min(max(x, low), high)
    got = float(function(x))
    exact = truth(name, x)
    unit = np.spacing(abs(float(exact))) if float(exact) else 5e-324
    assert abs(arb(got) - exact) <= 3 * arb(float(unit)), f"{name}({x!r}) = {got!r}, truth {exact}"


@pytest.mark.parametrize("name", FUNCTIONS)
@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_float32_is_the_float64_result_rounded_once(name: str, x: float) -> None:
    function, low, high = FUNCTIONS[name]
    if low <= x <= high:
        with np.errstate(over="ignore"):
            assert function(np.float32(x)) == np.float32(function(np.float64(x)))
        assert function(np.float32(x)).dtype == np.float32


@pytest.mark.parametrize(
    ("function", "x", "expected"),
    [
        (elementary.exp, math.inf, math.inf),
        (elementary.exp, -math.inf, 0.0),
        (elementary.exp, 710.0, math.inf),
        (elementary.exp, -746.0, 0.0),
        (elementary.expm1, -0.0, -0.0),
        (elementary.expm1, -math.inf, -1.0),
        (elementary.expm1, 1000.0, math.inf),
        (elementary.log, 0.0, -math.inf),
        (elementary.log, 1.0, 0.0),
        (elementary.log, math.inf, math.inf),
        (elementary.log, -1.0, math.nan),
        (elementary.log1p, -1.0, -math.inf),
        (elementary.log1p, -0.0, -0.0),
        (elementary.log1p, -2.0, math.nan),
        (elementary.tanh, math.inf, 1.0),
        (elementary.tanh, -math.inf, -1.0),
        (elementary.tanh, -0.0, -0.0),
        *((function, math.nan, math.nan) for function, _, _ in FUNCTIONS.values()),
    ],
)
def test_special_values(function: object, x: float, expected: float) -> None:
    got = float(function(x))  # type: ignore[operator]
    assert (math.isnan(got) and math.isnan(expected)) or got == expected
    assert math.isnan(expected) or math.copysign(1, got) == math.copysign(1, expected)


@given(st.floats(-30, 30))
def test_slope_of_tanh_keeps_its_relative_accuracy(x: float) -> None:
    ctx.prec = 300
    _, slope = elementary.tanh_sech2(np.float64(x))
    exact = 1 / arb(x).cosh() ** 2
    assert abs(arb(float(slope)) - exact) <= exact * arb(2) ** -49


def test_the_bits_are_these() -> None:
    """Anyone's machine: the results on a fixed grid hash to this value."""
    grid = (np.arange(-40000, 40000) * 2.0**-11).astype(np.float64)
    digest = hashlib.sha256()
    for function in (elementary.exp, elementary.expm1, elementary.tanh):
        digest.update(function(grid).tobytes())
        digest.update(function(grid.astype(np.float32)).tobytes())
    for function in (elementary.log, elementary.log1p):
        digest.update(function(np.abs(grid) + 2.0**-20).tobytes())
    assert digest.hexdigest() == "ac6a088ba75fa2d77b7cc86d340c0acabb873f5881dfaf46988cba2a966d7059"
