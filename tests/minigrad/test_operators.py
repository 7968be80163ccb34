"""Operators and methods against NumPy's own, with the tensor on either side, and their gradients' sides."""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor

A = np.array([[0.5, 2.0], [1.5, 3.0]])
B = np.array([[2.0, 0.25], [4.0, 1.0]])
BINARY = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.pow,
    operator.matmul,
]


@pytest.mark.parametrize("function", BINARY)
def test_the_sides_of_an_operator(function: Callable[[Any, Any], Any]) -> None:
    expected = function(A, B)
    for a, b in ((Tensor(A), Tensor(B)), (Tensor(A), B), (A, Tensor(B))):
        result = function(a, b)
        assert isinstance(result, Tensor)
        assert np.allclose(result.data, expected, rtol=1e-15, atol=0)
    if function is not operator.matmul:
        assert np.allclose(function(2.0, Tensor(B)).data, function(2.0, B), rtol=1e-15, atol=0)
        assert np.allclose(function(Tensor(B), 2).data, function(B, 2.0), rtol=1e-15, atol=0)


def test_signs() -> None:
    x = Tensor(np.array([-1.5, 2.0]), requires_grad=True)
    assert (-x).data.tolist() == [1.5, -2.0]
    assert abs(x).data.tolist() == [1.5, 2.0]
    assert x[0].item() == -1.5
    abs(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [-1.0, 1.0]


@pytest.mark.parametrize("name", ["sum", "mean", "max", "min"])
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_reductions(name: str, axis: Any, keepdims: bool) -> None:
    x = np.random.default_rng(0).permutation(24).reshape(2, 3, 4) / 8.0
    expected = getattr(np, name)(x, axis=axis, keepdims=keepdims)
    result = getattr(Tensor(x), name)(axis, keepdims)
    assert result.shape == expected.shape
    assert np.allclose(result.data, expected, rtol=1e-15, atol=0)
    assert np.array_equal(result.data, getattr(Tensor(x), name)(axis=axis, keepdims=keepdims).data)


def test_shapes() -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    assert np.array_equal(Tensor(x).transpose().data, x.T)
    assert np.array_equal(Tensor(x).transpose(1, 0, 2).data, x.transpose(1, 0, 2))
    assert np.array_equal(Tensor(x).reshape(6, -1).data, x.reshape(6, 4))
    assert np.array_equal(Tensor(x).reshape((4, 6)).data, x.reshape(4, 6))
    assert np.array_equal(Tensor(x)[1, ::2, None].data, x[1, ::2, None])
