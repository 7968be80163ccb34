"""What holds for every primitive in the registry: a whole record, dtypes, both backends, gradients on demand.

That values and derivatives are right is proven in tests/verify/gradients.
"""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import quant  # noqa: F401  registers the quantizers' primitives
from minigrad import PRIMITIVES, Primitive, backend
from minigrad.draw import SeededDraw

NAMES = sorted(PRIMITIVES)
SEEDS = st.integers(0, 2**32)


def positions(primitive: Primitive, count: int) -> tuple[int, ...]:
    return tuple(range(count)) if primitive.differentiable is None else primitive.differentiable


@pytest.mark.parametrize("name", NAMES)
def test_the_record_is_complete(name: str) -> None:
    primitive = PRIMITIVES[name]
    assert primitive.name == name
    assert primitive.domain
    assert all(kink.where and kink.pick for kink in primitive.kinks)
    assert primitive.forward.__doc__, "it documents the function of tensors"
    if primitive.forward.__module__.startswith("minigrad."):
        assert primitive.hvp is not None, "every primitive of the engine has a second derivative"


@pytest.mark.parametrize("name", NAMES)
@given(SEEDS)
def test_the_dtype_is_kept(name: str, seed: int) -> None:
    primitive = PRIMITIVES[name]
    for dtype in (np.float32, np.float64):
        arrays, options = primitive.examples(SeededDraw(seed), dtype)
        value, residuals = primitive.forward(*arrays, **options)
        gy = np.ones_like(value)
        tangents = tuple(
            np.ones_like(a) if n in positions(primitive, len(arrays)) else None for n, a in enumerate(arrays)
        )
        results: dict[str, Any] = {
            "value": [value],
            "vjp": primitive.vjp(gy, residuals, [True] * len(arrays)),
            "jvp": [primitive.jvp(tangents, *arrays, **options)],
            "hvp": primitive.hvp(gy, tangents, *arrays, **options) if primitive.hvp else (),
        }
        for rule, found in results.items():
            assert all(array.dtype == dtype for array in found if array is not None), rule
        for rule in ("vjp", "hvp"):
            for array, argument in zip(results[rule], arrays, strict=False):
                assert array is None or array.shape == argument.shape, rule
        assert results["jvp"][0].shape == value.shape


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(SEEDS)
def test_both_backends_give_the_same_bits(name: str, dtype: type, seed: int) -> None:
    primitive = PRIMITIVES[name]
    arrays, options = primitive.examples(SeededDraw(seed), dtype)
    results = []
    for implementation in ("c", "numpy"):
        with backend.use(implementation):
            value, residuals = primitive.forward(*arrays, **options)
            gy = np.random.default_rng(seed).standard_normal(np.shape(value)).astype(dtype)
            gradients = primitive.vjp(gy, residuals, [True] * len(arrays))
            results.append([np.asarray(value).tobytes(), *(g.tobytes() for g in gradients if g is not None)])
    assert results[0] == results[1]


@pytest.mark.parametrize("name", NAMES)
def test_gradients_that_are_not_needed_are_not_missed(name: str) -> None:
    primitive = PRIMITIVES[name]
    arrays, options = primitive.examples(SeededDraw(0), np.float64)
    value, residuals = primitive.forward(*arrays, **options)
    gy = np.ones_like(value)
    everything = primitive.vjp(gy, residuals, [True] * len(arrays))
    for position in positions(primitive, len(arrays)):
        _, residuals = primitive.forward(*arrays, **options)
        alone = primitive.vjp(gy, residuals, [n == position for n in range(len(arrays))])
        assert np.array_equal(alone[position], everything[position])  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
@given(SEEDS)
def test_layout_in_memory_does_not_matter(name: str, seed: int) -> None:
    """The same numbers, transposed in memory and with gaps: the same bits."""
    primitive = PRIMITIVES[name]
    arrays, options = primitive.examples(SeededDraw(seed), np.float64)
    gy = np.random.default_rng(seed).standard_normal(np.shape(primitive.forward(*arrays, **options)[0]))
    results = []
    for laid_out in (arrays, [_scattered(a) for a in arrays]):
        value, residuals = primitive.forward(*laid_out, **options)
        gradients = primitive.vjp(_scattered(gy), residuals, [True] * len(arrays))
        results.append([np.asarray(value).tobytes(), *(g.tobytes() for g in gradients if g is not None)])
    assert results[0] == results[1]


def _scattered(array: np.ndarray) -> np.ndarray:
    """A copy whose axes lie the other way round in memory, with every second element unused."""
    room = np.zeros([2 * n for n in reversed(array.shape)], array.dtype)
    view = room.transpose()[(..., *(slice(None, None, 2) for _ in array.shape))]
    view[...] = array
    return view


@pytest.mark.parametrize("name", NAMES)
def test_arguments_and_incoming_gradient_are_left_alone(name: str) -> None:
    primitive = PRIMITIVES[name]
    for seed in range(5):
        arrays, options = primitive.examples(SeededDraw(seed), np.float64)
        value, residuals = primitive.forward(*arrays, **options)
        gy = np.ones_like(value)
        for array in (*arrays, value, gy):
            if isinstance(array, np.ndarray):  # a value without axes may be a scalar
                array.flags.writeable = False
        tangents = tuple(np.ones_like(a) if a.dtype.kind == "f" else None for a in arrays)
        before = np.asarray(value).tobytes()
        primitive.vjp(gy, residuals, [True] * len(arrays))
        primitive.jvp(tangents, *arrays, **options)
        if primitive.hvp is not None:
            primitive.hvp(gy, tangents, *arrays, **options)
        assert np.asarray(value).tobytes() == before
