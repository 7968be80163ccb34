"""DDQ's functions: the Kronecker product, limits, ties, crossed levels, bad input."""

import functools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import InputError
from quant import ddq
from quant.ddq.relaxed import relaxed
from quant.nearest import nearest_level

WIDTHS = range(1, 9)


def product(g: np.ndarray) -> np.ndarray:
    """U_1 x ... x U_b of the sorted gates."""
    factors = [g_i * np.eye(2) + (1 - g_i) * np.ones((2, 2)) for g_i in -np.sort(-g)]
    return functools.reduce(np.kron, factors)


def case(bits: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Elements, ascending whole levels and gates."""
    rng = np.random.default_rng([seed, bits])
    q = np.cumsum(rng.integers(1, 9, 1 << bits)).astype(float)
    return rng.uniform(-3, q[-1] + 3, (6, 5)), q, rng.uniform(-1.3, 1.3, bits)


@pytest.mark.parametrize("bits", WIDTHS)
def test_merged_levels_are_those_of_the_explicit_product(bits: int) -> None:
    for seed in range(10):
        _, q, ghat = case(bits, seed)
        u = product((ghat >= 0).astype(float))
        z = 2.0 ** np.count_nonzero(ghat < 0)
        assert np.array_equal(u.sum(axis=0), np.full(1 << bits, z))
        assert np.array_equal(np.repeat(ddq.levels(q, ghat, bits=bits), int(z)), q @ u / z)


@pytest.mark.parametrize("bits", WIDTHS)
def test_the_relaxed_function_is_that_of_the_explicit_product(bits: int) -> None:
    """Gates and levels are dyadic, so that both sides are exact."""
    rng = np.random.default_rng(bits)
    q, g = rng.integers(-50, 50, 1 << bits).astype(float), rng.integers(0, 5, bits) / 4
    index = rng.integers(0, 1 << bits, (3, 4))
    assert np.array_equal(relaxed(index, q, g, bits=bits, norm=4.0), (q @ product(g) / 4)[index])
    assert np.array_equal(relaxed(index, q, g, bits=bits), (q @ product(g) / np.prod(2 - g))[index])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bits", WIDTHS)
def test_gates_of_zero_and_one_give_the_hard_quantizer_bit_for_bit(bits: int, dtype: type) -> None:
    rng = np.random.default_rng(bits)
    q, ghat = np.sort(rng.standard_normal(1 << bits)).astype(dtype), rng.uniform(-1, 1, bits).astype(dtype)
    merged = ddq.levels(q, ghat, bits=bits)
    every = np.arange(1 << bits)
    block = every >> np.count_nonzero(ghat < 0)
    assert np.array_equal(relaxed(every, q, (ghat >= 0).astype(dtype), bits=bits), merged[block])


@given(st.data(), st.sampled_from(WIDTHS), st.sampled_from([np.float32, np.float64]))
def test_with_all_gates_open_it_is_the_nearest_level(data: st.DataObject, bits: int, dtype: type) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    q = (rng.standard_normal(1 << bits) * 10.0 ** data.draw(st.integers(-6, 6))).astype(dtype)
    x = np.concatenate([q, (q + q[::-1]) / dtype(2), rng.choice(q, 9) * dtype(1.01)])
    ghat = rng.uniform(0, 1, bits).astype(dtype)
    for assign in ("merged", "raw"):
        assert np.array_equal(ddq.codes(x, q, ghat, bits=bits, assign=assign), nearest_level(x, q))
        assert np.array_equal(ddq.hard(x, q, ghat, bits=bits, assign=assign), q[nearest_level(x, q)])
    assert np.array_equal(ddq.hard(q, q, ghat, bits=bits), q)


@given(st.integers(0, 2**32), st.sampled_from(WIDTHS), st.sampled_from(["merged", "raw"]))
def test_laws_of_ascending_levels(seed: int, bits: int, assign: str) -> None:
    """Codes and levels ascend, hard(x) is the level of the code, of a level it is that level, and S bits suffice."""
    x, q, ghat = case(bits, seed)
    x = np.sort(x.ravel())
    codes, levels = ddq.codes(x, q, ghat, bits=bits, assign=assign), ddq.levels(q, ghat, bits=bits)
    assert len(levels) == 2 ** np.count_nonzero(ghat >= 0)
    assert (np.diff(levels) > 0).all()
    assert (np.diff(codes.astype(int)) >= 0).all()
    assert np.array_equal(ddq.hard(x, q, ghat, bits=bits, assign=assign), levels[codes])
    assert np.array_equal(ddq.hard(levels, q, ghat, bits=bits, assign=assign), levels)


def test_a_tie_goes_to_the_lower_level() -> None:
    q, x = np.array([0.0, 1.0, 2.0, 5.0]), np.array([0.5, 1.5, 3.5, np.nextafter(3.5, 4)])
    assert ddq.codes(x, q, np.ones(2), bits=2).tolist() == [0, 1, 2, 3]
    # Merged levels 0.5 and 3.5 meet at 2, the raw blocks at 1.5.
    x, ghat = np.array([1.5, 1.75, 2.0, 2.25]), np.array([1.0, -1.0])
    assert ddq.codes(x, q, ghat, bits=2).tolist() == [0, 0, 0, 1]
    assert ddq.codes(x, q, ghat, bits=2, assign="raw").tolist() == [0, 1, 1, 1]


def test_a_gate_at_zero_is_open() -> None:
    q, x = np.array([0.0, 1.0, 2.0, 5.0]), np.array([4.0])
    for zero in (0.0, -0.0):
        ghat = np.array([zero, -5e-324])
        assert ddq.levels(q, ghat, bits=2).tolist() == [0.5, 3.5]
        assert ddq.hard(x, q, ghat, bits=2).tolist() == [3.5]
        found = ddq.hard_vjp(np.ones(1), x, q, ghat, bits=2)
        assert found[1].tolist() == [0, 0, 0.5, 0.5]
        assert found[2].tolist() == [-0.5, -2.5]  # the mean of the other block, half of this one's upper level


def test_crossed_and_equal_levels_keep_their_index() -> None:
    q, ghat = np.array([3.0, 0.0, 1.0, 0.0]), np.ones(2)
    assert ddq.codes(np.array([0.1, 2.0, 9.0, -9.0]), q, ghat, bits=2).tolist() == [1, 0, 0, 1]
    assert ddq.levels(q, ghat, bits=2).tolist() == [3.0, 0.0, 1.0, 0.0]
    # Raw assignment to crossed levels is not monotone: blocks (0, 10) and (1, 11) have the means 5 and 6.
    raw = ddq.hard(np.array([0.0, 1.0, 10.0]), np.array([0.0, 10, 1, 11]), np.array([1, -1]), bits=2, assign="raw")
    assert raw.tolist() == [5.0, 6.0, 5.0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_that_are_not_numbers_and_odd_shapes(dtype: type) -> None:
    q, ghat = np.array([-1, 0, 1, 3], dtype), np.ones(2, dtype)
    y = ddq.hard(np.array([np.nan, np.inf, -np.inf, 5e-324], dtype), q, ghat, bits=2)
    assert y.dtype == dtype
    assert np.array_equal(y, np.array([np.nan, 3, -1, 0], dtype), equal_nan=True)
    with pytest.raises(InputError, match=r"^x: NaN at index \(1,\)"):
        ddq.codes(np.array([0, np.nan], dtype), q, ghat, bits=2)
    assert ddq.hard(np.zeros((0, 2), dtype), q, ghat, bits=2).shape == (0, 2)
    assert ddq.hard(dtype(0.9), q, ghat, bits=2).shape == ()
    dx, dq, dghat = ddq.hard_vjp(np.zeros((0,), dtype), np.zeros((0,), dtype), q, ghat, bits=2)
    assert (dx.shape, dq.tolist(), dghat.tolist()) == ((0,), [0.0] * 4, [0.0] * 2)
    strided = np.linspace(-2, 4, 24).astype(dtype).reshape(4, 6).T[::2]
    assert np.array_equal(ddq.hard(strided, q, ghat, bits=2), ddq.hard(strided.copy(), q, ghat, bits=2))
    gradients = ddq.hard_vjp(np.ones(2, dtype), np.array([0.1, np.nan], dtype), q, ghat, bits=2)
    assert np.isnan(gradients[1]).any() and np.isnan(gradients[2]).all()


def test_subnormal_levels_are_levels_like_others() -> None:
    q = np.arange(4) * 5e-324
    assert ddq.codes(q, q, np.ones(2), bits=2).tolist() == [0, 1, 2, 3]
    assert ddq.levels(q, np.array([1.0, -1.0]), bits=2).tolist() == [0.0, 1e-323]  # 0.5 and 2.5 units, half to even


# ---------------------------------------------------------------- bad input

GOOD: dict[str, Any] = {"x": np.zeros(3), "q": np.arange(4.0), "ghat": np.ones(2), "bits": 2}


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"bits": 0}, "bits"),
        ({"bits": 9}, "bits"),
        ({"bits": 2.5}, "bits"),
        ({"bits": True}, "bits"),
        ({"bits": 3}, "q"),
        ({"q": np.zeros((2, 2))}, "q"),
        ({"q": np.float64(1)}, "q"),
        ({"q": np.array([0, 1, 2, np.nan])}, "q"),
        ({"q": np.array([0, 1, 2, -np.inf])}, "q"),
        ({"q": np.array([0, 1, 2, 1e308])}, "q"),
        ({"ghat": np.ones(3)}, "ghat"),
        ({"ghat": np.array([0.0, np.nan])}, "ghat"),
        ({"ghat": np.array([0.0, np.inf])}, "ghat"),
        ({"x": np.arange(3)}, "x"),
        ({"x": np.zeros(3, np.float16)}, "x"),
        ({"assign": "nearest"}, "assign"),
        ({"differentiate_norm": 2}, "differentiate_norm"),
        ({"correction": -0.1}, "correction"),
        ({"correction": np.nan}, "correction"),
        ({"correction": True}, "correction"),
    ],
)
def test_arguments_outside_their_domain_are_refused(wrong: dict[str, Any], named: str) -> None:
    arguments = {**GOOD, **wrong}
    with pytest.raises(InputError, match=f"^{named}: ") as refusal:
        ddq.hard_vjp(np.zeros(3), **arguments)
    assert "\n" not in str(refusal.value)
    if named in ("assign", "bits", "ghat", "q", "x"):
        for function in (ddq.hard, ddq.codes):
            with pytest.raises(InputError, match=f"^{named}: "):
                function(**arguments)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"index": np.array([4])}, "index"),
        ({"index": np.array([-1])}, "index"),
        ({"index": np.array([0.0])}, "index"),
        ({"g": np.array([0.5, 1.5])}, "g"),
        ({"g": np.array([0.5, np.nan])}, "g"),
        ({"g": np.ones(2, np.float32)}, "g"),
        ({"norm": 0.0}, "norm"),
        ({"q": np.zeros(3)}, "q"),
    ],
)
def test_relaxed_arguments_outside_their_domain_are_refused(wrong: dict[str, Any], named: str) -> None:
    good: dict[str, Any] = {"index": np.array([0]), "q": np.arange(4.0), "g": np.ones(2), "bits": 2}
    with pytest.raises(InputError, match=f"^{named}: "):
        relaxed(**{**good, **wrong})
