"""Directional derivatives of functions of tensors: forward mode, and Hessian-vector products."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from minigrad.backward import from_last_to_first, grad
from minigrad.errors import InputError
from minigrad.tensor import Tensor

__all__ = ["hvp", "jvp"]

Function = Callable[..., Tensor]


def _leaves(primals: Sequence[np.ndarray], tangents: Sequence[np.ndarray]) -> list[Tensor]:
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
    known = {id(leaf): np.asarray(t, leaf.dtype) for leaf, t in zip(leaves, tangents, strict=True)}
    result = function(*leaves)
    for tensor in reversed(from_last_to_first(result)):
        record = tensor._record
        if record is None:
            continue
        along = tuple(known.get(id(a)) if isinstance(a, Tensor) else None for a in record.arguments)
        if any(t is not None for t in along):
            known[id(tensor)] = np.asarray(record.primitive.jvp(along, *record.arrays, **record.options))
    return np.array(result.data), known.get(id(result), np.zeros_like(result.data))


def hvp(function: Function, primals: Sequence[np.ndarray], tangents: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    """Hessian of a scalar function times the tangents: one array a primal.

    Parameters and errors as ``jvp``; besides, InputError where a primitive has no second derivative.
    """
    leaves = _leaves(primals, tangents)
    gradients = grad(function(*leaves), leaves, create_graph=True)
    products = [g * np.asarray(t, g.dtype) for g, t in zip(gradients, tangents, strict=True) if g.requires_grad]
    if not products:
        return tuple(np.zeros_like(leaf.data) for leaf in leaves)
    total = products[0].sum()
    for product in products[1:]:
        total = total + product.sum()
    return grad(total, leaves)
