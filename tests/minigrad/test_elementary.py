"""Elementary functions against ball arithmetic, at their special values, and their bits."""

import hashlib
import math
from collections.abc import Iterator

import numpy as np
import pytest
from flint import arb
from hypothesis import example, given
from hypothesis import strategies as st

from minigrad import elementary
from verify.gradients.ball import precision

FUNCTIONS = {
    "exp": (elementary.exp, -700.0, 700.0),
    "expm1": (elementary.expm1, -700.0, 700.0),
    "log": (elementary.log, 1e-300, 1e300),
    "log1p": (elementary.log1p, -1 + 1e-10, 1e300),
    "tanh": (elementary.tanh, -800.0, 800.0),
    "sigmoid": (elementary.sigmoid, -745.0, 800.0),
    "softplus": (elementary.softplus, -745.0, 1e300),
    "sech2": (elementary.sech2, -372.0, 372.0),
    "sqrt": (elementary.sqrt, 0.0, 1e308),
}
#: Units of the last place that the docstrings allow, where not 3.
BOUNDS = {"softplus": 2.0, "sqrt": 0.5, "sech2": 5.0}
DOUBLES = st.floats(allow_nan=False, allow_infinity=False)


@pytest.fixture(autouse=True)
def _precise() -> Iterator[None]:
    # 1 + e^-745 needs 1,100 bits to be told from 1.
    with precision(1200):
        yield


def truth(name: str, x: float) -> arb:
    if name == "sigmoid":
        return 1 / (1 + (-arb(x)).exp())
    if name == "softplus":
        return max(arb(x), arb(0)) + (-abs(arb(x))).exp().log1p() if abs(x) > 800 else arb(x).exp().log1p()
    if name == "sech2":
        return 1 / arb(x).cosh() ** 2
    return getattr(arb(x), name)()


@pytest.mark.parametrize("name", FUNCTIONS)
@given(st.one_of(DOUBLES, st.floats(-2, 2), st.floats(-1e-6, 1e-6)))
@example(0.34657359027997264)
@example(0.9999999999999999)
@example(1.0000000000000002)
@example(-4.154774944497625)
@example(-1.266755282379235)
@example(-744.0)
def test_float64_is_within_the_stated_units(name: str, x: float) -> None:
    function, low, high = FUNCTIONS[name]
    x = min(max(x, low), high)
    got = float(function(x))
    exact = truth(name, x)
    unit = np.spacing(abs(float(exact))) if float(exact) else 5e-324
    assert abs(arb(got) - exact) <= BOUNDS.get(name, 3) * arb(float(unit)), f"{name}({x!r}) = {got!r}, truth {exact}"


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
        (elementary.sigmoid, math.inf, 1.0),
        (elementary.sigmoid, -math.inf, 0.0),
        (elementary.sigmoid, 0.0, 0.5),
        (elementary.sigmoid, 1e308, 1.0),
        (elementary.softplus, math.inf, math.inf),
        (elementary.softplus, -math.inf, 0.0),
        (elementary.softplus, 1e308, 1e308),
        (elementary.softplus, -1e308, 0.0),
        (elementary.sech2, -math.inf, 0.0),
        (elementary.sech2, 0.0, 1.0),
        (elementary.sech2, 1e308, 0.0),
        (elementary.sqrt, -0.0, -0.0),
        (elementary.sqrt, math.inf, math.inf),
        (elementary.sqrt, -1.0, math.nan),
        *((function, math.nan, math.nan) for function, _, _ in FUNCTIONS.values()),
    ],
)
def test_special_values(function: object, x: float, expected: float) -> None:
    got = float(function(x))  # type: ignore[operator]
    assert (math.isnan(got) and math.isnan(expected)) or got == expected
    assert math.isnan(expected) or math.copysign(1, got) == math.copysign(1, expected)


@given(st.floats(-30, 30))
def test_slope_of_tanh_keeps_its_relative_accuracy(x: float) -> None:
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


def test_the_bits_of_functions_made_of_them_are_these() -> None:
    grid = (np.arange(-40000, 40000) * 2.0**-11).astype(np.float64)
    digest = hashlib.sha256()
    for function in (elementary.sigmoid, elementary.softplus, elementary.erf, elementary.erf_slope):
        digest.update(function(grid).tobytes())
        digest.update(function(grid.astype(np.float32)).tobytes())
    digest.update(elementary.power(np.abs(grid) + 2.0**-20, grid[::-1]).tobytes())
    assert digest.hexdigest() == "740a56948f64cd06878187511a2687943a57968ce693304c0131c7c99fbdf622"
