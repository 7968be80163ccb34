"""The walk back over the tape.

Records are visited from the last to the first and gradients that meet are added in that fixed order, so the same
program gives the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from minigrad.errors import InputError
from minigrad.second import vjp_of
from minigrad.tensor import Record, Tensor, apply

__all__ = ["from_last_to_first", "grad", "walk"]


def from_last_to_first(root: Tensor) -> list[Tensor]:
    """Every tensor the root depends on that requires a gradient, so that each comes before what it was made from."""
    seen = {id(root): root}
    stack = [root]
    while stack:
        record = stack.pop()._record
        for _, parent in record.parents() if record else ():
            if id(parent) not in seen:
                seen[id(parent)] = parent
                stack.append(parent)
    return sorted(seen.values(), key=lambda t: t._record.order if t._record else -1, reverse=True)


def walk(root: Tensor, gradient: Any, caller: str, *, graph: bool, retain: bool) -> Iterator[tuple[Tensor, Any]]:
    """Every tensor the root depends on with its whole gradient, hooks applied, from the last to the first.

    Gradients are arrays, or tensors on the tape where a ``graph`` of them is wanted; records are closed behind the walk
    unless they are to be retained.
    """
    if not root.requires_grad:
        raise RuntimeError(f"{caller}: this tensor does not depend on anything that requires a gradient")
    if gradient is None:
        if root.data.size != 1:
            raise ValueError(f"gradient: expected one of shape {root.shape}, since the tensor is no scalar")
        gradient = np.ones_like(root._array)
    elif np.shape(gradient) != root.shape:
        raise ValueError(f"gradient: expected shape {root.shape}, got {np.shape(gradient)}")
    if graph:
        gradient = gradient if isinstance(gradient, Tensor) else Tensor(np.asarray(gradient, root.dtype))
    gradients: dict[int, Any] = {id(root): gradient if graph else np.asarray(gradient, root.dtype)}
    for tensor in from_last_to_first(root):
        gy = gradients.pop(id(tensor), None)
        if gy is None:  # reached only through arguments whose gradient is zero everywhere
            continue
        record = tensor._record
        if record is not None and record.closed:
            raise RuntimeError(f"{caller}: the records of this computation were used by an earlier backward")
        gy = _hooked(tensor, gy if graph else np.asarray(gy, tensor.dtype))
        yield tensor, gy
        if record is None:
            continue
        for parent, g in _pull(record, gy, graph):
            before = gradients.get(id(parent))
            with np.errstate(all="ignore"):
                gradients[id(parent)] = g if before is None else before + g
        if not retain:
            record.close()


def _pull(record: Record, gy: Any, graph: bool) -> Iterator[tuple[Tensor, Any]]:
    """Each parent with its gradient."""
    parents = list(record.parents())
    if graph:
        for n, parent in parents:
            yield parent, apply(vjp_of(record.primitive, n), gy, *record.arguments, **record.options)
        return
    needs = [False] * len(record.arguments)
    for n, _ in parents:
        needs[n] = True
    with np.errstate(all="ignore"):
        found = record.primitive.vjp(gy, record.residuals, needs)
    for n, parent in parents:
        if found[n] is not None:
            yield parent, found[n]


def _hooked(tensor: Tensor, gy: Any) -> Any:
    for function in tuple((tensor._hooks or {}).values()):
        shown = gy
        if isinstance(gy, np.ndarray):
            shown = gy.view()
            shown.flags.writeable = False
        new = function(shown)
        if new is None:
            continue
        if np.shape(new) != tensor.shape or (isinstance(gy, Tensor) and not isinstance(new, Tensor)):
            kind = "Tensor" if isinstance(gy, Tensor) else "array"
            raise ValueError(f"hook: expected None or a new gradient, a {kind} of shape {tensor.shape}")
        gy = np.asarray(new, tensor.dtype) if isinstance(gy, np.ndarray) else new
    return gy


def grad(
    output: Tensor,
    inputs: Sequence[Tensor],
    gradient: Any = None,
    *,
    create_graph: bool = False,
    retain_graph: bool | None = None,
) -> tuple[Any, ...]:
    """The gradients of ``output`` by each of ``inputs``, which may be leaves or results on the way.

    Parameters
    ----------
    output : Tensor
    inputs : tensors that require a gradient
    gradient : array or Tensor, the shape of the output
        The incoming gradient; by default 1, for an output of one element.
    create_graph : bool
        Return tensors on the tape, to be differentiated once more.
    retain_graph : bool or None
        Keep the records for another walk; by default where ``create_graph`` is set.

    Returns
    -------
    tuple of ndarray, or of Tensor with ``create_graph``
        Zeros where the output does not depend on an input. ``grad`` of the tensors is left alone.

    Raises
    ------
    RuntimeError, ValueError
        As ``Tensor.backward``.
    InputError
        If an input requires no gradient, or (on differentiating the result) a primitive has no second derivative.
    """
    for n, tensor in enumerate(inputs):
        if not isinstance(tensor, Tensor) or not tensor.requires_grad:
            raise InputError(f"inputs: expected tensors that require a gradient; number {n} does not")
    wanted: dict[int, Any] = {id(tensor): None for tensor in inputs}
    retain = create_graph if retain_graph is None else retain_graph
    for tensor, g in walk(output, gradient, "grad", graph=create_graph, retain=retain):
        if id(tensor) in wanted:
            wanted[id(tensor)] = g if create_graph else np.array(g)
    zero = (lambda t: Tensor(np.zeros_like(t._array))) if create_graph else (lambda t: np.zeros_like(t._array))
    return tuple(zero(t) if wanted[id(t)] is None else wanted[id(t)] for t in inputs)
