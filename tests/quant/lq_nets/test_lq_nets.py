"""LQ-Nets: levels of a basis, nearest ones and ties, least squares, the moving average, slips and bad input."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import PRIMITIVES, InputError, Tensor
from quant import METHODS, lq_nets
from quant.lq_nets import LQNets
from verify.gradients.mutants.judge import judge

PRIMITIVE = PRIMITIVES["lq_nets"]


def draws(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=seed))


@given(st.integers(1, 6), st.booleans(), st.integers(0, 2**32))
def test_every_element_goes_to_a_nearest_level(bits: int, signed: bool, seed: int) -> None:
    rng = draws(seed)
    v = rng.standard_normal(bits)
    digits = (-1, 1) if signed else (0, 1)
    levels = np.array(
        [sum(d * c for d, c in zip(code, v, strict=True)) for code in itertools.product(digits, repeat=bits)]
    )
    x = rng.uniform(levels.min() - 1, levels.max() + 1, 50)
    y = lq_nets.hard(x, v, bits=bits, signed=signed)
    nearest = np.abs(x[:, None] - levels).min(axis=1)
    assert np.allclose(np.abs(y - x), nearest, rtol=0, atol=1e-12)
    assert np.allclose(np.sort(levels), lq_nets.levels(v, bits=bits, signed=signed), rtol=0, atol=1e-12)


def test_the_coding_vector_belongs_to_its_level() -> None:
    for signed in (True, False):
        v = np.array([0.7, -0.3, 2.0])
        table = lq_nets.level_table(v, bits=3, signed=signed)
        assert np.allclose(table.vectors @ v, table.levels, rtol=0, atol=1e-15)
        assert np.all(np.diff(table.levels) > 0)
        assert sorted(map(tuple, table.vectors)) == list(itertools.product((-1, 1) if signed else (0, 1), repeat=3))


def test_one_bit_is_the_mean_and_the_sign() -> None:
    """Levels +-v, and v of least squares is mean |x|: the binary quantizer of XNOR-Net."""
    x = draws(1).standard_normal((50, 3))
    found = lq_nets.least_squares(x, np.ones((1, 3)), bits=1)
    assert np.allclose(found, np.abs(x).mean(axis=0), rtol=1e-5)
    assert np.array_equal(lq_nets.hard(x, found, bits=1), np.where(x > 0, found, -found))


def test_ties_go_to_the_lower_level() -> None:
    v = np.array([1.0, 2.0])
    assert lq_nets.codes(np.array([-2.0, 0.0, 2.0]), v, bits=2).tolist() == [0, 1, 2]
    both = lq_nets.codes(np.array([[-2.0, -4.0], [2.0, 4.0]]), np.stack([v, 2 * v], axis=1), bits=2)
    assert both.tolist() == [[0, 0], [2, 2]]
    assert lq_nets.codes(np.array([0.5, 1.5, 2.5]), v, bits=2, signed=False).tolist() == [0, 1, 2]
    assert lq_nets.codes(np.nextafter([0.5, 1.5, 2.5], 9), v, bits=2, signed=False).tolist() == [1, 2, 3]


@given(st.integers(0, 2**32), st.booleans())
def test_levels_are_fixed_points_even_where_they_coincide(seed: int, signed: bool) -> None:
    """0.1 + 0.2 - 0.3 and its like: levels an ulp apart, or the same."""
    rng = draws(seed)
    v = rng.choice([0.1, 0.2, 0.3, 0.0, 5e-324, -0.1], 4)
    levels = lq_nets.levels(v, bits=4, signed=signed)
    assert np.array_equal(lq_nets.hard(levels, v, bits=4, signed=signed), levels)


def test_channels_have_their_own_levels() -> None:
    rng = draws(4)
    x, v = rng.standard_normal((4, 5, 3)), rng.standard_normal((3, 3))
    y, (dx, dv) = lq_nets.hard(x, v, bits=3), lq_nets.hard_vjp(x, x, v, bits=3)
    for c in range(3):
        column = x[..., c].copy()
        assert np.array_equal(y[..., c], lq_nets.hard(column, v[:, c].copy(), bits=3))
        alone = lq_nets.hard_vjp(column, column, v[:, c].copy(), bits=3)
        assert np.array_equal(dx[..., c], alone[0])
        assert np.allclose(dv[:, c], alone[1], rtol=1e-13)


def test_the_gradient_outside() -> None:
    """Weights pass everywhere; activations up to the largest level, which is included, and below 0 too."""
    v, x = np.array([1.0, 2.0]), np.array([-9.0, 0.0, 3.0, np.nextafter(3.0, 9), 9.0])
    assert lq_nets.partials(x, v, bits=2)[0].tolist() == [1] * 5
    assert lq_nets.partials(x, v, bits=2, signed=False)[0].tolist() == [1, 1, 1, 0, 0]
    assert lq_nets.partials(x, v, bits=2, signed=False)[1].tolist() == [[0, 0, 1, 1, 1], [0, 0, 1, 1, 1]]


@given(st.integers(1, 8), st.booleans(), st.integers(0, 2**32))
def test_least_squares_is_that_of_scipy_or_numpy(bits: int, signed: bool, seed: int) -> None:
    rng = draws(seed)
    x, v = rng.standard_normal(400) + (0 if signed else 1), rng.uniform(0.2, 2, bits) / bits
    found = lq_nets.least_squares(x, v, bits=bits, signed=signed)
    table = lq_nets.level_table(v, bits=bits, signed=signed)
    b = table.vectors[lq_nets.codes(x, v, bits=bits, signed=signed)]
    # With 1e-4 |w - v|^2 as four more equations a component, which also decides what the data leave open.
    rows, right = np.vstack([b, 1e-2 * np.eye(bits)]), np.concatenate([x, 1e-2 * v])
    expected = np.linalg.lstsq(rows, right, rcond=None)[0]
    assert np.allclose(found, expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize("signed", [True, False])
def test_rounds_of_codes_and_least_squares_do_not_raise_the_error(signed: bool) -> None:
    x = np.abs(draws(2).standard_normal((300, 2))) * ([1, 1] if not signed else draws(3).choice([-1, 1], (300, 2)))
    v = np.array([[0.1, 0.5], [0.4, 0.5], [0.7, 0.5]])
    errors = []
    for _ in range(6):
        errors.append(((lq_nets.hard(x, v, bits=3, signed=signed) - x) ** 2).sum())
        v = lq_nets.least_squares(x, v, bits=3, signed=signed)
    assert np.all(np.diff(errors) <= 1e-3)
    assert errors[-1] < 0.7 * errors[0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("channels", [None, 3])
@pytest.mark.parametrize("role", ["weight", "activation"])
@pytest.mark.parametrize("bits", range(1, 9))
def test_the_module_starts_close_and_is_hard(bits: int, role: Any, channels: int | None, dtype: type) -> None:
    x = draws(bits).standard_normal((80, 3)).astype(dtype)
    x = np.maximum(x, 0) if role == "activation" else x
    quantizer = METHODS["lq_nets"].quantizer(bits, role, channels=channels, dtype=dtype)
    y = quantizer(Tensor(x))
    assert float(np.mean((y.data - x) ** 2)) < 0.4 * 0.4 ** (bits - 1) * float(np.mean(x**2)) + 1e-3
    quantizer.eval()
    levels, codes = quantizer.levels(), quantizer.codes(x)
    assert levels.shape == ((1 << bits,) if channels is None else (1 << bits, 3))
    expected = levels[codes] if channels is None else levels[codes, np.arange(3)]
    assert quantizer(Tensor(x)).data.tobytes() == expected.tobytes()


def test_v_follows_the_data_by_a_moving_average_once_a_step() -> None:
    quantizer = LQNets(2, dtype=np.float64)
    x = draws(5).standard_normal(100)
    quantizer.initialise(x)
    quantizer.initialised[...] = 1
    before = quantizer.v.data.copy()
    other = Tensor(3 * x, requires_grad=True)
    quantizer(other).backward(np.ones(100))
    assert np.array_equal(quantizer.v.data, before)
    assert quantizer.v.grad is None
    assert np.array_equal(other.grad, np.ones(100))
    expected = 0.9 * before + (1 - 0.9) * lq_nets.least_squares(3 * x, before, bits=2)
    quantizer.project()
    assert np.array_equal(quantizer.v.data, expected)
    quantizer.project()
    assert np.array_equal(quantizer.v.data, expected)
    quantizer.eval()(other)
    quantizer.project()
    assert np.array_equal(quantizer.v.data, expected)
    quantizer.train()(Tensor(np.full(3, np.nan)))
    quantizer.project()
    assert np.array_equal(quantizer.v.data, expected)


def test_v_may_be_learned_instead() -> None:
    quantizer = LQNets(2, learn_v=True, dtype=np.float64)
    x = Tensor(draws(6).standard_normal(50))
    quantizer(x).backward(np.ones(50))
    codes = quantizer.codes(x.data)
    vectors = lq_nets.level_table(quantizer.v.data, bits=2).vectors
    assert np.array_equal(quantizer.v.grad, vectors[codes].sum(axis=0))
    before = quantizer.v.data.copy()
    quantizer.project()
    assert np.array_equal(quantizer.v.data, before)


def is_caught(primitive: Any) -> bool:
    for seed in range(10):
        try:
            judge(primitive, seed)
        except AssertionError:
            return True
    return False


def test_slips_are_caught() -> None:
    """Vectors in the order of codes before sorting; no clipping of activations; clipping of weights."""

    def unsorted(gy: np.ndarray, residuals: Any, needs: Any) -> Any:
        (x, v), options = residuals
        code = lq_nets.codes(x, v, **options)
        digits = (code >> np.arange(options["bits"]).reshape(-1, *([1] * x.ndim))) & 1
        vectors = 2.0 * digits - 1 if options["signed"] else 1.0 * digits
        right = PRIMITIVE.vjp(gy, residuals, (True, True))
        dv = np.stack([(gy * row).sum(axis=0 if v.ndim == 2 else None) for row in vectors])
        return tuple(g if needed else None for g, needed in zip((right[0], dv), needs, strict=True))

    def clipped(when: bool) -> Any:
        def vjp(gy: np.ndarray, residuals: Any, needs: Any) -> Any:
            (x, v), options = residuals
            found = list(PRIMITIVE.vjp(gy, residuals, needs))
            if found[0] is not None and options["signed"] is when:
                top = lq_nets.levels(v, **options)[-1]
                found[0] = gy * (np.abs(x) <= top) if when else gy
            return tuple(found)

        return dataclasses.replace(PRIMITIVE, vjp=vjp)

    assert not is_caught(PRIMITIVE)
    assert is_caught(dataclasses.replace(PRIMITIVE, vjp=unsorted))
    assert is_caught(clipped(True))
    assert is_caught(clipped(False))


@pytest.mark.parametrize("bits", [0, 9, 2.5, True])
def test_bad_widths(bits: Any) -> None:
    with pytest.raises(InputError, match="bits"):
        LQNets(bits)
    with pytest.raises(InputError, match="bits"):
        METHODS["lq_nets"].quantizer(bits, "weight")


@pytest.mark.parametrize(
    "v", [[1.0], [1.0, 2.0, 3.0], 1.0, [1.0, np.nan], [np.inf, 1.0], [1.5e308, 1.5e308], np.ones((2, 4))]
)
def test_bad_bases(v: Any) -> None:
    with pytest.raises(InputError, match=r"^(v|x):"):
        lq_nets.hard(np.zeros((2, 3)), v, bits=2)


@pytest.mark.parametrize(
    "option", [{"momentum": 1.0}, {"momentum": -0.1}, {"momentum": "0.9"}, {"channels": 0}, {"dtype": int}]
)
def test_bad_options(option: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(option))):
        LQNets(2, **option)


@pytest.mark.parametrize(
    "x", [np.zeros((0, 2)), np.zeros((4, 2)), np.array([[1, np.nan]]), np.array([[1, np.inf]]), np.ones((4, 3))]
)
def test_data_that_no_basis_can_be_chosen_from(x: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"^x:"):
        LQNets(2, channels=2).initialise(x)


def test_constant_and_subnormal_data_have_a_basis() -> None:
    for x in (np.full(6, 0.5), np.array([5e-324, 1e-323])):
        quantizer = LQNets(2, dtype=np.float64)
        quantizer.initialise(x)
        assert np.allclose(quantizer.levels()[quantizer.codes(x)], x, rtol=1e-3, atol=5e-324)


def test_a_code_needs_a_number() -> None:
    with pytest.raises(InputError, match="NaN at index"):
        lq_nets.codes(np.array([0.0, np.nan]), np.ones(1), bits=1)
    assert np.isnan(lq_nets.hard(np.array([np.nan]), np.ones(1), bits=1)).all()


def test_arguments_for_plots_are_in_the_domain() -> None:
    for bits in range(1, 9):
        for role, low in (("weight", -1), ("activation", 0)):
            parameters, options = METHODS["lq_nets"].arguments(bits, role)  # type: ignore[arg-type]
            assert np.allclose(lq_nets.hard(np.array([-9.0, 9.0]), *parameters, **options), [low, 1])


def test_a_basis_is_held_against_its_channels_alone() -> None:
    """(4, 2) is four numbers for each of two channels, and has nothing to do with three rows of x."""
    x = np.linspace(-1.0, 1.0, 6).reshape(3, 2)
    v = np.array([[1.0, 1.0], [2.0, 2.0], [4.0, 4.0], [8.0, 8.0]]) / 16
    dx, dv = lq_nets.hard_vjp(np.ones_like(x), x, v, bits=4)
    assert (lq_nets.hard(x, v, bits=4).shape, dx.shape, dv.shape) == ((3, 2), (3, 2), (4, 2))
