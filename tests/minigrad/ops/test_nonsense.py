"""Every primitive given what does not fit: an InputError that says so, or the right answer; never a warning.

Each example is bent in one place at a time: an axis without elements or three times as long, an axis more or fewer, a
NaN or an infinity, another dtype, an option of another kind.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import quant  # noqa: F401  registers the quantizers' primitives
from minigrad import PRIMITIVES, InputError, Tensor, apply
from minigrad.draw import SeededDraw
from minigrad.primitive import Primitive

NAMES = sorted(PRIMITIVES)
SEEDS = range(4)
OPTIONS: list[Any] = [-1, 0, "x", None, 1.5, (1,), (1, 2, 3), float("nan"), True, object()]


def positions(primitive: Primitive, count: int) -> tuple[int, ...]:
    return tuple(range(count)) if primitive.differentiable is None else primitive.differentiable


def tensors(primitive: Primitive, arrays: Any) -> list[Any]:
    along = positions(primitive, len(arrays))
    return [Tensor(a, requires_grad=n in along) if a.dtype.kind == "f" else a for n, a in enumerate(arrays)]


def forward_and_backward(primitive: Primitive, arrays: Any, options: dict[str, Any]) -> list[Any]:
    leaves = tensors(primitive, arrays)
    y = apply(primitive, *leaves, **options)
    y.backward(np.ones(y.shape))
    return leaves


def bent_arrays(arrays: tuple[np.ndarray, ...]) -> Iterator[tuple[str, list[np.ndarray]]]:
    for n, array in enumerate(arrays):
        for axis in range(array.ndim):
            yield f"argument {n}, axis {axis} empty", _with(arrays, n, np.take(array, [], axis=axis))
            yield f"argument {n}, axis {axis} tripled", _with(arrays, n, np.concatenate([array] * 3, axis=axis))
        if array.ndim > 1:
            yield f"argument {n}, an axis fewer", _with(arrays, n, array.reshape(-1, *array.shape[2:]))
        yield f"argument {n}, an axis more", _with(arrays, n, array[None])
        for value in (np.nan, np.inf, -np.inf) if array.dtype.kind == "f" and array.size else ():
            spoilt = array.copy()
            spoilt.flat[0] = value
            yield f"argument {n} with {value}", _with(arrays, n, spoilt)
        if array.dtype.kind != "f":
            yield f"argument {n} of floats", _with(arrays, n, array.astype(np.float64))


def _with(arrays: tuple[np.ndarray, ...], n: int, array: np.ndarray) -> list[np.ndarray]:
    return [array if m == n else a for m, a in enumerate(arrays)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", SEEDS)
def test_arrays_that_do_not_fit_are_refused_by_name(name: str, seed: int) -> None:
    primitive = PRIMITIVES[name]
    arrays, options = primitive.examples(SeededDraw(seed), np.float64)
    for what, bent in bent_arrays(arrays):
        try:
            leaves = forward_and_backward(primitive, bent, options)
        except InputError as error:
            assert "\n" not in str(error), what
            continue
        for leaf in leaves:
            if isinstance(leaf, Tensor) and leaf.requires_grad and leaf.grad is not None:
                assert leaf.grad.shape == leaf.shape, what


@pytest.mark.parametrize("name", NAMES)
def test_options_of_another_kind_are_refused_by_name(name: str) -> None:
    primitive = PRIMITIVES[name]
    arrays, options = primitive.examples(SeededDraw(0), np.float64)
    for key in options:
        for value in OPTIONS:
            try:
                forward_and_backward(primitive, arrays, {**options, key: value})
            except InputError as error:
                assert "\n" not in str(error), (key, value)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [object, np.complex128, "U3", "datetime64[s]"])
def test_arrays_that_are_no_numbers_are_refused(name: str, dtype: Any) -> None:
    primitive = PRIMITIVES[name]
    arrays, options = primitive.examples(SeededDraw(0), np.float64)
    with pytest.raises(TypeError, match="expected numbers"):
        Tensor(np.zeros(3, dtype))
    for n in range(len(arrays)):
        arguments = tensors(primitive, arrays)
        arguments[n] = np.zeros(arrays[n].shape, dtype)
        if any(isinstance(a, Tensor) for a in arguments):
            with pytest.raises(TypeError, match=rf"{name}: argument {n}: expected numbers"):
                apply(primitive, *arguments, **options)


@pytest.mark.parametrize("name", NAMES)
def test_float32_and_float64_do_not_mix(name: str) -> None:
    primitive = PRIMITIVES[name]
    arrays, options = primitive.examples(SeededDraw(0), np.float64)
    floats = [n for n, a in enumerate(arrays) if a.dtype.kind == "f"]
    for n in floats[1:]:
        arguments = tensors(primitive, arrays)
        arguments[n] = Tensor(arrays[n].astype(np.float32))
        with pytest.raises(TypeError, match=rf"{name}: argument {n} is float32, another float64; convert one"):
            apply(primitive, *arguments, **options)


@pytest.mark.parametrize("name", NAMES)
def test_a_nan_does_not_get_lost(name: str) -> None:
    """Where every element of the first argument is NaN, so is every element of a value that depends on it."""
    primitive = PRIMITIVES[name]
    for seed in SEEDS:
        arrays, options = primitive.examples(SeededDraw(seed), np.float64)
        if not arrays[0].size or arrays[0].dtype.kind != "f":
            continue
        tangents = tuple(np.ones_like(a) if n == 0 else None for n, a in enumerate(arrays))
        if primitive.differentiable is None or 0 in primitive.differentiable:
            moves = np.asarray(primitive.jvp(tangents, *arrays, **options)) != 0
        else:
            continue
        spoilt = [np.full_like(arrays[0], np.nan), *arrays[1:]]
        try:
            y = apply(primitive, *tensors(primitive, spoilt), **options).data
        except InputError as error:
            assert "NaN" in str(error)  # a code has no NaN
            continue
        assert np.isnan(y[moves]).all()
