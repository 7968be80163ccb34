"""Directional derivatives of functions of tensors: forward mode, and Hessian-vector products."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from minigrad.backward import from_first_to_last, grad
from minigrad.errors import InputError
from minigrad.record import Record, recording
from minigrad.tensor import Tensor

__all__ = ["hvp", "jvp"]

Function = Callable[..., Tensor]


def _leaves(primals: Sequence[np.ndarray], tangents: Sequence[np.ndarray]) -> list[Tensor]:
    for name, arrays in (("primals", primals), ("tangents", tangents)):
        if isinstance(arrays, (np.ndarray, Tensor)):
            raise InputError(f"{name}: expected a sequence of arrays, got one; write [x]")
    leaves = [Tensor(p, requires_grad=True) for p in primals]
    if len(tangents) != len(leaves):
        raise InputError(f"tangents: expected {len(leaves)}, one a primal, got {len(tangents)}")
    for n, (leaf, tangent) in enumerate(zip(leaves, tangents, strict=True)):
        if np.shape(tangent) != leaf.shape:
            raise InputError(f"tangents: number {n} has shape {np.shape(tangent)}, expected {leaf.shape}")
    return leaves


def jvp(
    function: Function, primals: Sequence[np.ndarray], tangents: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Value of ``function(*tensors)`` and its derivative along the tangents, by the primitives' jvp rules.

    Parameters
    ----------
    function : of as many tensors as there are primals, returning a Tensor
    primals : arrays, float32 or float64
    tangents : arrays of the shapes of the primals

    Returns
    -------
    value, tangent : ndarray of the shape of the function's result

    Raises
    ------
    InputError
        If tangents and primals do not match.
    """
    leaves = _leaves(primals, tangents)
    known = {id(leaf): np.array(t, leaf.dtype) for leaf, t in zip(leaves, tangents, strict=True)}
    with recording(True):
        result = _result(function, leaves)
    for tensor in from_first_to_last(result):
        record = tensor._record
        if record is None:
            continue
        if record.closed:
            raise RuntimeError("jvp: the function called backward on what its result depends on")
        along = tuple(known.get(id(a)) if isinstance(a, Tensor) else None for a in record.arguments)
        if any(t is not None for t in along):
            known[id(tensor)] = _jvp(record, along)
    return np.array(result._array), known.get(id(result), np.zeros_like(result._array))


def _result(function: Function, leaves: list[Tensor]) -> Tensor:
    result = function(*leaves)
    if not isinstance(result, Tensor):
        raise InputError(f"function: expected a Tensor as its result, got {type(result).__name__}")
    return result


@np.errstate(all="ignore")
def _jvp(record: Record, along: tuple[np.ndarray | None, ...]) -> np.ndarray:
    return np.asarray(record.primitive.jvp(along, *record.arrays, **record.options))


def hvp(function: Function, primals: Sequence[np.ndarray], tangents: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    """Hessian of a scalar function times the tangents: one array a primal.

    Parameters and errors as ``jvp``; besides, InputError where a primitive has no second derivative.
    """
    leaves = _leaves(primals, tangents)
    with recording(True):
        result = _result(function, leaves)
        gradients = grad(result, leaves, create_graph=True) if result.requires_grad else ()
        products = [g * np.asarray(t, g.dtype) for g, t in zip(gradients, tangents, strict=False) if g.requires_grad]
        if not products:
            return tuple(np.zeros_like(leaf._array) for leaf in leaves)
        total = products[0].sum()
        for product in products[1:]:
            total = total + product.sum()
    return grad(total, leaves)
