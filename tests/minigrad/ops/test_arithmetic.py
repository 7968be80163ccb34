"""Arithmetic and choices: broadcasting of every rule, special values, dtypes, what is refused."""

import itertools
from typing import Any

import numpy as np
import pytest

from minigrad import PRIMITIVES, InputError

BINARY = ["add", "subtract", "multiply", "divide", "power", "maximum", "minimum"]
SHAPES = [
    ((3, 4), (3, 4)),
    ((2, 3), (3,)),
    ((4,), ()),
    ((), (2, 2)),
    ((), ()),
    ((2, 1, 3), (4, 1)),
    ((1,), (5,)),
    ((0, 3), (3,)),
    ((0, 3), (1, 1)),
    ((2, 1), (2, 0)),
    ((0,), ()),
]


def arguments(name: str, shapes: tuple[Any, ...], dtype: type = np.float64) -> list[np.ndarray]:
    """Positive numbers, which every function takes."""
    rng = np.random.default_rng(0)
    arrays = [rng.uniform(0.25, 3.0, shape).astype(dtype) for shape in shapes]
    if name == "where":
        condition = rng.uniform(0, 1, np.broadcast_shapes(*shapes)[-1:]) > 0.5
        return [condition, *arrays]
    return arrays


def summed(full: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The sum over the axes that broadcasting added or stretched."""
    lead = full.ndim - len(shape)
    full = full.sum(tuple(range(lead)))
    return full.sum(tuple(n for n, size in enumerate(shape) if size == 1), keepdims=True).reshape(shape)


def close(got: Any, expected: np.ndarray) -> None:
    assert np.shape(got) == expected.shape
    np.testing.assert_allclose(got, expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("name", [*BINARY, "where"])
def test_broadcasting_is_stretching_and_summing(name: str, shapes: tuple[Any, ...]) -> None:
    """Every rule against the same rule at arguments that were stretched before, where nothing is left to sum."""
    primitive = PRIMITIVES[name]
    given = arguments(name, shapes)
    shape = np.broadcast_shapes(*(a.shape for a in given))
    full = [np.broadcast_to(a, shape).copy() for a in given]
    value, residuals = primitive.forward(*given)
    full_value, full_residuals = primitive.forward(*full)
    assert np.shape(value) == shape
    assert np.array_equal(value, full_value)

    rng = np.random.default_rng(1)
    positions = primitive.differentiable or range(len(given))
    gy = rng.standard_normal(shape)
    needs = [True] * len(given)
    got, expected = primitive.vjp(gy, residuals, needs), primitive.vjp(gy, full_residuals, needs)
    for n in positions:
        close(got[n], summed(expected[n], given[n].shape))  # type: ignore[arg-type]
    for present in itertools.product([True, False], repeat=len(positions)):
        if not any(present):
            continue
        tangents: list[Any] = [None] * len(given)
        for n, has in zip(positions, present, strict=True):
            tangents[n] = rng.standard_normal(given[n].shape) if has else None
        stretched = [None if t is None else np.broadcast_to(t, shape).copy() for t in tangents]
        close(primitive.jvp(tuple(tangents), *given), primitive.jvp(tuple(stretched), *full))
        assert primitive.hvp is not None
        curved, curved_full = primitive.hvp(gy, tangents, *given), primitive.hvp(gy, stretched, *full)
        for n in positions:
            if curved_full[n] is None:
                assert curved[n] is None
            else:
                close(curved[n], summed(curved_full[n], given[n].shape))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [*BINARY, "where", "negative"])
def test_float32_stays_float32(name: str) -> None:
    primitive = PRIMITIVES[name]
    given = arguments(name, ((2, 3),) if name == "negative" else ((2, 3), (3,)), np.float32)
    value, residuals = primitive.forward(*given)
    tangents = tuple(None if a.dtype == bool else np.ones_like(a) for a in given)
    gy = np.ones_like(value)
    results = [value, *primitive.vjp(gy, residuals, [True] * 3), primitive.jvp(tangents, *given)]
    results += primitive.hvp(gy, tangents, *given)  # type: ignore[misc]
    assert {r.dtype for r in results if r is not None} == {np.dtype(np.float32)}


@pytest.mark.parametrize("name", [*BINARY, "where"])
def test_shapes_that_do_not_broadcast_are_named(name: str) -> None:
    with pytest.raises(InputError, match=f"^{name}: expected shapes that broadcast, got .*\\(2, 3\\) and \\(4,\\)"):
        extra = [np.ones(1, bool)] if name == "where" else []
        PRIMITIVES[name].forward(*extra, np.ones((2, 3)), np.ones(4))


def test_a_condition_is_bool() -> None:
    with pytest.raises(InputError, match="where: condition: expected dtype bool, got float64"):
        PRIMITIVES["where"].forward(np.ones(2), np.ones(2), np.ones(2))


# ---- IEEE results


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_infinities_and_nan_come_without_warnings(dtype: type) -> None:
    huge = np.array([np.finfo(dtype).max, np.inf, np.nan, 0.0, -0.0], dtype)
    for name in BINARY:
        a, b = np.meshgrid(huge, huge)
        value, residuals = PRIMITIVES[name].forward(a, b)
        PRIMITIVES[name].vjp(a, residuals, [True, True])
        PRIMITIVES[name].jvp((a, b), a, b)
        PRIMITIVES[name].hvp(a, (a, b), a, b)  # type: ignore[misc]
        if name != "power":
            assert np.isnan(value[np.isnan(a) | np.isnan(b)]).all()
    zero, one = np.zeros(1, dtype), np.ones(1, dtype)
    assert PRIMITIVES["divide"].forward(one, -zero)[0] == -np.inf
    assert np.isnan(PRIMITIVES["divide"].forward(zero, zero)[0])


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_of_two_zeros_the_first_is_taken(name: str) -> None:
    zeros = np.array([0.0, -0.0])
    for n in range(2):
        value = PRIMITIVES[name].forward(zeros[n : n + 1], zeros[1 - n : 2 - n])[0]
        assert np.signbit(value).tolist() == [bool(n)]


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_a_tie_gives_half_to_each(name: str) -> None:
    a, b = np.array([1.0, 2.0, np.inf]), np.array([1.0, 3.0, np.inf])
    _, residuals = PRIMITIVES[name].forward(a, b)
    of_a, of_b = PRIMITIVES[name].vjp(np.array([4.0, 6.0, 8.0]), residuals, [True, True])
    first = [2.0, 6.0, 4.0] if name == "minimum" else [2.0, 0.0, 4.0]
    assert of_a is not None and of_b is not None
    assert of_a.tolist() == first and (of_a + of_b).tolist() == [4.0, 6.0, 8.0]
    assert PRIMITIVES[name].jvp((np.array([2.0, 0, 0]), np.array([4.0, 0, 0])), a, b)[0] == 3.0


@pytest.mark.parametrize("name", ["maximum", "minimum", "where"])
def test_what_is_not_chosen_gets_nothing_of_an_infinite_gradient(name: str) -> None:
    a, b = np.array([1.0, 5.0]), np.array([2.0, 3.0])
    extra = [np.array([True, False])] if name == "where" else []
    _, residuals = PRIMITIVES[name].forward(*extra, a, b)
    gradients = PRIMITIVES[name].vjp(np.full(2, np.inf), residuals, [True] * (2 + len(extra)))
    assert sorted(np.concatenate(gradients[-2:]).tolist()) == [0, 0, np.inf, np.inf]  # type: ignore[arg-type]


# ---- powers


def power_gradients(a: float, b: float) -> tuple[float, float]:
    _, residuals = PRIMITIVES["power"].forward(np.array([a]), np.array([b]))
    of_a, of_b = PRIMITIVES["power"].vjp(np.ones(1), residuals, [True, True])
    assert of_a is not None and of_b is not None
    return of_a.item(), of_b.item()


@pytest.mark.parametrize(
    ("a", "b", "by_base", "by_exponent"),
    [
        (0.0, 2.0, 0.0, 0.0),
        (0.0, 1.0, 1.0, 0.0),
        (0.0, 0.5, np.inf, 0.0),
        (0.0, 0.0, 0.0, 0.0),
        (0.0, -1.0, -np.inf, -np.inf),
        (-2.0, 3.0, 12.0, np.nan),
        (-2.0, 0.0, 0.0, np.nan),
        (-0.5, -2.0, 16.0, np.nan),
        (3.0, 0.0, 0.0, np.log(3.0)),
        (1.0, 7.0, 7.0, 0.0),
        (np.inf, -1.0, 0.0, 0.0),
        (np.inf, 2.0, np.inf, np.inf),
        (1e-300, 3.0, 0.0, 0.0),
        (4.0, 0.5, 0.25, 2 * np.log(4.0)),
    ],
)
def test_derivatives_of_powers(a: float, b: float, by_base: float, by_exponent: float) -> None:
    np.testing.assert_allclose(power_gradients(a, b), (by_base, by_exponent), rtol=1e-15)


def test_curvature_of_powers_at_zero_and_of_negative_bases() -> None:
    hvp = PRIMITIVES["power"].hvp
    assert hvp is not None
    a = np.array([0.0, 0.0, 0.0, -2.0, -2.0, -2.0])
    b = np.array([2.0, 1.0, 0.0, 3.0, 1.0, 0.0])
    of_a, _ = hvp(np.ones(6), (np.ones(6), None), a, b)
    assert of_a.tolist() == [2.0, 0.0, 0.0, -12.0, 0.0, 0.0]  # type: ignore[union-attr]
    of_a, of_b = hvp(np.ones(1), (np.ones(1), np.ones(1)), np.zeros(1), np.full(1, 3.0))
    assert of_a == 0 and of_b == 0
