"""QN: the paper's functions and limits, its level sets, ties, certificates at every temperature, bad arguments."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import PRIMITIVES, InputError
from minigrad.dispatch import boxed
from quant import METHODS, qn
from quant.qn import PRESETS, QN, level_set
from quant.qn.level_sets import middles
from verify.gradients.arrays import certify_primitive
from verify.gradients.registry import REQUIRED_BITS
from verify.gradients.truth import enclose

SOFT = PRIMITIVES["qn_soft"]
SETS = [*PRESETS.values(), (-3, 0, 1, 7), (0, 5), tuple(range(-127, 128))]


def width_of(values: tuple[int, ...]) -> int:
    return math.ceil(math.log2(len(values)))


def midpoints(values: tuple[int, ...]) -> np.ndarray:
    return middles(np.array(values, np.float64))


# ---------------------------------------------------------------- level sets


def test_the_sets_of_the_widths() -> None:
    signed = [level_set(None, bits) for bits in range(1, 9)]
    assert signed[:3] == [(-1, 1), (-1, 0, 1), (-4, -2, -1, 0, 1, 2, 4)]
    assert signed[4] == tuple(range(-15, 16))
    assert [(s[0], s[-1], len(s)) for s in signed[3:]] == [(1 - 2**k, 2**k - 1, 2 ** (k + 1) - 1) for k in range(3, 8)]
    assert [level_set(None, bits, False) for bits in (1, 2)] == [(0, 1), (0, 1, 2, 3)]
    for bits, values in enumerate(signed, 1):
        assert width_of(values) == bits
        assert level_set(None, bits, False) == tuple(range(2**bits))


@pytest.mark.parametrize("values", SETS)
def test_any_set_of_integers_is_a_set_of_its_width(values: tuple[int, ...]) -> None:
    assert level_set(values, width_of(values)) == values
    b = midpoints(values)
    levels = qn.levels(0.5, 2.0, b, bits=width_of(values), values=values)
    assert levels.tolist() == [y / 2 for y in values]
    assert np.array_equal(qn.hard(levels, 0.5, 2.0, b, bits=width_of(values), values=values), levels)


# ---------------------------------------------------------------- functions


@pytest.mark.parametrize("values", SETS)
def test_soft_becomes_hard_exponentially_in_the_temperature(values: tuple[int, ...]) -> None:
    """|soft - hard| <= alpha sum_i s_i e^(-T |beta x - b_i|), and no smaller by more than half where one term leads."""
    rng = np.random.Generator(np.random.Philox(key=5))
    b, gaps, bits = midpoints(values), np.diff(values), width_of(values)
    place = rng.integers(0, len(b), 40)
    x = (b[place] + rng.choice([-1, 1], 40) * rng.uniform(0.05, 0.1, 40)) / 2
    hard = qn.hard(x, 0.5, 2.0, b, bits=bits, values=values)
    rounding = 2.0**-50 * (max(map(abs, values)) + 1)
    for temperature in (100.0, 150.0, 200.0):
        soft = qn.soft(x, 0.5, 2.0, b, bits=bits, values=values, temperature=temperature)
        terms = 0.5 * gaps * np.exp(-temperature * np.abs(2 * x[:, None] - b))
        assert np.all(np.abs(soft - hard) <= terms.sum(axis=1) + rounding)
        leading = terms.max(axis=1)
        assert np.all(np.abs(soft - hard) >= leading / 2 - (terms.sum(axis=1) - leading) - rounding)


@given(st.sampled_from(SETS), st.floats(0.01, 1e4), st.integers(0, 2**32))
def test_soft_rises_and_stays_between_the_outer_levels(values: tuple[int, ...], temperature: float, seed: int) -> None:
    rng = np.random.Generator(np.random.Philox(key=seed))
    b = np.cumsum(rng.uniform(0.01, 2, len(values) - 1)) - len(values) / 2
    x = np.sort(np.concatenate([rng.uniform(b[0] - 2, b[-1] + 2, 50), b, [-1e300, 1e300, -np.inf, np.inf]]))
    soft = qn.soft(x, 1.0, 1.0, b, bits=width_of(values), values=values, temperature=temperature)
    slack = 2.0**-48 * (max(map(abs, values)) + sum(np.diff(values)))
    assert np.all(np.diff(soft) >= -slack)
    assert np.all((soft >= values[0] - slack) & (soft <= values[-1] + slack))
    assert soft[0] == values[0]
    assert soft[-1] == values[-1]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("temperature", [1e-3, 5.0, 275.0, 1e6])
def test_certified_at_every_temperature_of_training(dtype: type, temperature: float) -> None:
    """Value, dx, dalpha and dbeta with 255 thresholds, of which all but a few are far away: |v| up to 1e8.

    db of a threshold that no element is near is below the smallest float, and not asked for here.
    """
    rng = np.random.Generator(np.random.Philox(key=11))
    values = tuple(range(-128, 128))
    b = midpoints(values).astype(dtype)
    near = rng.choice(b, 3) + rng.choice([-1, 1], 3) * min(0.4, 20 / temperature)
    arrays = (near.astype(dtype), dtype(1.0), dtype(1.0), b)
    primitive = dataclasses.replace(SOFT, differentiable=(0, 1, 2))
    gy, tangents = rng.standard_normal(3).astype(dtype), [rng.standard_normal(np.shape(a)) for a in arrays[:3]]
    options = {"bits": 8, "values": values, "temperature": temperature}
    given_tangents = [*(np.asarray(t, dtype) for t in tangents), None]
    certificate = certify_primitive(primitive, tuple(map(np.asarray, arrays)), options, gy, given_tangents)
    certificate.require(REQUIRED_BITS if dtype is np.float64 else METHODS["qn"].single_bits)


@pytest.mark.parametrize("distance", [30.0, 40.0, 700.0, 740.0, 746.0, 1e5, 1e8])
def test_slopes_are_right_however_far_the_threshold_is(distance: float) -> None:
    """To 2^-45 of themselves, to the smallest float where they are smaller: no clamp, no cancelling 1 - S."""
    x, b = np.array([distance, -distance]), np.zeros(1)
    dx, dalpha, dbeta, db = qn.partials(x, 0.5, 1.0, b, bits=1, temperature=1.0)
    for k in range(2):

        def slope(v: Any) -> Any:
            return SOFT.definition(boxed(v), 0.5, 1.0, np.array([0.0], object), bits=1, temperature=1.0)

        _, [truth] = enclose(slope, [float(x[k])], 256)
        expected = truth.nearest()
        assert abs(dx[k] - expected) <= 2.0**-45 * expected + 2.0**-1073
        assert db[0, k] == -dx[k]
        assert dbeta[k] == x[k] * dx[k]
        assert abs(dalpha[k]) == 1 or distance < 40


def test_codes_count_the_thresholds_and_ties_go_up() -> None:
    b = np.array([-0.5, 0.25, 2.0])
    x = np.array([-np.inf, -0.6, -0.5, 0.0, 0.25, 1.0, 2.0, np.inf])
    assert qn.codes(x / 2, 3.0, 2.0, b, bits=2, signed=False).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert qn.hard(x / 2, 3.0, 2.0, b, bits=2, signed=False).tolist() == [0, 0, 3, 3, 6, 6, 9, 9]
    soft = qn.soft(b[:1] / 2, 3.0, 2.0, b, bits=2, signed=False, temperature=1e4)
    assert soft.tolist() == [1.5]


@given(st.integers(0, 2**32), st.booleans())
def test_channels_are_a_loop_over_channels(seed: int, hard: bool) -> None:
    rng = np.random.Generator(np.random.Philox(key=seed))
    x, gy, b = rng.standard_normal((7, 3)), rng.standard_normal((7, 3)), np.array([-0.5, 0.5])
    alpha, beta = rng.uniform(0.5, 2, 3), rng.uniform(0.5, 2, 3)
    vjp: Callable[..., Any] = qn.hard_vjp if hard else qn.soft_vjp
    options: dict[str, Any] = {"bits": 2} if hard else {"bits": 2, "temperature": 4.0}
    together = vjp(gy, x, alpha, beta, b, **options)
    assert [np.shape(g) for g in together] == [(7, 3), (3,), (3,), (2,)]
    thresholds = np.zeros(2)
    for c in range(3):
        dx, dalpha, dbeta, db = vjp(gy[:, c].copy(), x[:, c].copy(), alpha[c], beta[c], b, **options)
        assert np.array_equal(together[0][:, c], dx)
        assert (together[1][c], together[2][c]) == (dalpha, dbeta)
        thresholds += db
    assert np.allclose(together[3], thresholds, rtol=1e-12, atol=1e-13)


def test_shapes_infinities_and_nan() -> None:
    b = np.array([-0.5, 0.5])
    for shape in ((), (0,), (0, 3), (2, 3)):
        x = np.zeros(shape, np.float32)
        for found in (qn.soft(x, 1, 1, b, bits=2, temperature=3), qn.hard(x, 1, 1, b, bits=2)):
            assert found.shape == shape
            assert found.dtype == np.float32
        gradients = qn.soft_vjp(x, x, np.float32(1), np.float32(1), b.astype(np.float32), bits=2, temperature=3)
        assert [np.shape(g) for g in gradients] == [shape, (), (), (2,)]
    x = np.array([-np.inf, np.nan, np.inf])
    assert np.array_equal(qn.soft(x, 2, 1, b, bits=2, temperature=3), [-2, np.nan, 2], equal_nan=True)
    assert np.array_equal(qn.hard(x, 2, 1, b, bits=2), [-2, np.nan, 2], equal_nan=True)
    for partial in qn.partials(x[[0, 2]], 2, 1, b, bits=2, temperature=3)[2:]:
        assert not partial.any()
    transposed = np.arange(6.0).reshape(2, 3).T
    assert np.array_equal(
        qn.soft(transposed, 1, 1, b, bits=2, temperature=3), qn.soft(transposed.copy(), 1, 1, b, bits=2, temperature=3)
    )


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize("bits", [0, 9, 2.5, True, None])
def test_bad_widths(bits: Any) -> None:
    with pytest.raises(InputError, match="bits"):
        QN(bits)
    with pytest.raises(InputError, match="bits"):
        METHODS["qn"].quantizer(bits, "weight")
    with pytest.raises(InputError, match="bits"):
        qn.soft(np.zeros(2), 1, 1, np.zeros(1), bits=bits, temperature=1)


@pytest.mark.parametrize(
    "values", [(1, 0), (0, 0), (0, 1, 1, 2), (0.5, 1), (False, True), (0,), (), (0, 1, 2), (0, 1 << 16), "quaternary"]
)
def test_bad_levels(values: Any) -> None:
    with pytest.raises(InputError, match="values"):
        QN(1, values=values)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("alpha", (0.0, 1.0, [-1.0, 1.0], 1.0)),
        ("alpha", (np.nan, 1.0, [-1.0, 1.0], 1.0)),
        ("beta", (1.0, -1.0, [-1.0, 1.0], 1.0)),
        ("beta", (1.0, np.inf, [-1.0, 1.0], 1.0)),
        ("b", (1.0, 1.0, [1.0, -1.0], 1.0)),
        ("b", (1.0, 1.0, [1.0, 1.0], 1.0)),
        ("b", (1.0, 1.0, [0.0, np.inf], 1.0)),
        ("b", (1.0, 1.0, [0.0, np.nan], 1.0)),
        ("b", (1.0, 1.0, [0.0], 1.0)),
        ("temperature", (1.0, 1.0, [-1.0, 1.0], 0.0)),
        ("temperature", (1.0, 1.0, [-1.0, 1.0], -2.0)),
        ("temperature", (1.0, 1.0, [-1.0, 1.0], np.nan)),
        ("temperature", (1.0, 1.0, [-1.0, 1.0], np.inf)),
        ("temperature", (1.0, 1.0, [-1.0, 1.0], 1e39)),
        ("temperature", (1.0, 1.0, [-1.0, 1.0], 1e-50)),
    ],
)
def test_bad_parameters(name: str, arguments: Any) -> None:
    *parameters, temperature = arguments
    with pytest.raises(InputError, match=f"^{name}:"):
        qn.soft(np.zeros(3, np.float32), *parameters, bits=2, temperature=temperature)
