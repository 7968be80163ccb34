"""The walk back over the tape.

Records are visited from the last to the first and gradients that meet are added in that fixed order, so the same
program gives the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from minigrad.errors import InputError
from minigrad.record import Record
from minigrad.second import vjp_of
from minigrad.tensor import Tensor, apply

__all__ = ["from_first_to_last", "grad", "total", "walk"]


def from_first_to_last(root: Tensor) -> list[Tensor]:
    """Every tensor the root depends on that requires a gradient, so that each comes after what it was made from."""
    seen = {id(root): root}
    stack = [root]
    while stack:
        record = stack.pop()._record
        for _, parent in record.parents() if record else ():
            if id(parent) not in seen:
                seen[id(parent)] = parent
                stack.append(parent)
    return sorted(seen.values(), key=lambda t: t._record.order if t._record else -1)


def walk(
    root: Tensor, gradient: Any, caller: str, *, graph: bool, retain: bool, inputs: Sequence[Tensor] | None = None
) -> Iterator[tuple[Tensor, Any]]:
    """Tensors the root depends on with their whole gradients, hooks applied, from the last to the first.

    All of them, or those on the way to ``inputs``. Gradients are arrays, or tensors on the tape where a ``graph`` of
    them is wanted; records are closed behind the walk unless they are to be retained.
    """
    if not root.requires_grad:
        raise RuntimeError(f"{caller}: this tensor does not depend on anything that requires a gradient")
    tensors = from_first_to_last(root)
    wanted = {id(t) for t in tensors} if inputs is None else _on_the_way(tensors, inputs)
    gradients: dict[int, Any] = {id(root): _incoming(root, gradient, graph)}
    while tensors:
        tensor = tensors.pop()  # so that what lies behind the walk can be freed
        gy = gradients.pop(id(tensor), None)
        record = tensor._record
        if gy is not None and id(tensor) in wanted:  # None: reached only through gradients that are zero everywhere
            if record is not None and record.closed:
                raise RuntimeError(f"{caller}: the records of this computation were used by an earlier backward")
            gy = _hooked(tensor, gy if graph else np.asarray(gy, tensor.dtype))
            yield tensor, gy
            for parent, g in _pull(record, gy, graph, wanted) if record is not None else ():
                before = gradients.get(id(parent))
                gradients[id(parent)] = g if before is None else total(before, g)
        if record is not None and not retain:
            record.close()


def _on_the_way(tensors: list[Tensor], inputs: Sequence[Tensor]) -> set[int]:
    """The ids of the inputs and of the tensors made from them, among tensors from the first to the last.

    What a closed record was made from is not known; to visit it is an error.
    """
    wanted = {id(tensor) for tensor in inputs}
    for tensor in tensors:
        record = tensor._record
        if record is not None and (record.closed or any(id(parent) in wanted for _, parent in record.parents())):
            wanted.add(id(tensor))
    return wanted


def _incoming(root: Tensor, gradient: Any, graph: bool) -> Any:
    if gradient is None:
        if root._array.size != 1:
            raise ValueError(f"gradient: expected one of shape {root.shape}, since the tensor is no scalar")
        gradient = np.ones_like(root._array)
    elif np.shape(gradient) != root.shape:
        raise ValueError(f"gradient: expected shape {root.shape}, got {np.shape(gradient)}")
    if graph:
        return gradient if isinstance(gradient, Tensor) else Tensor(np.asarray(gradient, root.dtype))
    return gradient._array if isinstance(gradient, Tensor) else gradient


@np.errstate(all="ignore")
def total(before: Any, g: Any) -> Any:
    """The sum of two gradients, arrays or tensors."""
    return before + g if isinstance(g, Tensor) else np.asarray(before + g)


@np.errstate(all="ignore")
def _vjp(record: Record, gy: np.ndarray, needs: list[bool]) -> Sequence[Any]:
    return record.primitive.vjp(gy, record.residuals, needs)


def _pull(record: Record, gy: Any, graph: bool, wanted: set[int]) -> Iterator[tuple[Tensor, Any]]:
    """Each parent that is wanted, with its gradient."""
    record.check()
    parents = [(n, parent) for n, parent in record.parents() if id(parent) in wanted]
    if graph:
        for n, argument in enumerate(record.arguments):
            if isinstance(argument, Tensor) and argument._array is not record.arrays[n]:
                raise InputError(
                    f"data: replaced since it was argument {n} of {record.primitive.name}, whose gradient is to be "
                    "differentiated"
                )
        for n, parent in parents:
            yield parent, apply(vjp_of(record.primitive, n), gy, *record.arguments, **record.options)
        return
    needs = [False] * len(record.arguments)
    for n, _ in parents:
        needs[n] = True
    found = _vjp(record, gy, needs) if parents else ()
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
        if np.shape(new) != tensor.shape or isinstance(new, Tensor) != isinstance(gy, Tensor):
            kind = "a Tensor" if isinstance(gy, Tensor) else "an array"
            raise ValueError(f"hook: expected None or a new gradient, {kind} of shape {tensor.shape}")
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
        If an input requires no gradient, an array the tape needs was changed or (with ``create_graph``) replaced, or
        (on differentiating the result) a primitive has no second derivative.
    """
    if isinstance(inputs, Tensor):
        raise InputError("inputs: expected a sequence of tensors, got one; write [x]")
    inputs = list(inputs)
    for n, tensor in enumerate(inputs):
        if not isinstance(tensor, Tensor) or not tensor.requires_grad:
            raise InputError(f"inputs: expected tensors that require a gradient; number {n} does not")
    found: dict[int, Any] = {id(tensor): None for tensor in inputs}
    retain = create_graph if retain_graph is None else retain_graph
    for tensor, g in walk(output, gradient, "grad", graph=create_graph, retain=retain, inputs=inputs):
        if id(tensor) in found:
            found[id(tensor)] = g if create_graph else np.array(g)
    zero = (lambda t: Tensor(np.zeros_like(t._array))) if create_graph else (lambda t: np.zeros_like(t._array))
    return tuple(zero(t) if found[id(t)] is None else found[id(t)] for t in inputs)
