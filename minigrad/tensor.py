"""The tape: arrays that remember which primitive made them, and the walk back.

``Tensor`` wraps a float32 or float64 array. Applying a primitive to tensors that require gradients records the
primitive, its residuals and its arguments on the result; ``backward`` visits the records from the last to the first.
Gradients that meet are added in that fixed order, so the same program gives the same bits.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from minigrad.primitive import PRIMITIVES, Primitive

__all__ = ["Tensor", "apply", "no_grad"]

_counter = itertools.count()
_recording = True


@contextlib.contextmanager
def no_grad() -> Iterator[None]:
    """Within it nothing is recorded."""
    global _recording
    before, _recording = _recording, False
    try:
        yield
    finally:
        _recording = before


class _Record:
    """How a tensor was made."""

    __slots__ = ("order", "parents", "primitive", "residuals")

    def __init__(self, primitive: Primitive, residuals: Any, parents: tuple[Tensor | None, ...]) -> None:
        self.primitive = primitive
        self.residuals = residuals
        self.parents = parents
        self.order = next(_counter)


class Tensor:
    """An array on the tape.

    Parameters
    ----------
    data : array_like
        Float32 or float64; anything else becomes float64.
    requires_grad : bool
        Whether ``backward`` leaves a gradient in ``grad``.
    """

    __slots__ = ("_record", "data", "grad", "requires_grad")
    __array_ufunc__ = None  # array + Tensor is Tensor's business

    def __init__(self, data: Any, requires_grad: bool = False) -> None:
        array = np.asarray(data)
        if array.dtype not in (np.float32, np.float64):
            if array.dtype.kind not in "iufb":
                raise TypeError(f"data: expected numbers, got dtype {array.dtype}")
            array = array.astype(np.float64)
        self.data: np.ndarray = array
        self.grad: np.ndarray | None = None
        self.requires_grad = requires_grad
        self._record: _Record | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    @property
    def dtype(self) -> np.dtype:
        return self.data.dtype

    @property
    def ndim(self) -> int:
        return self.data.ndim

    def item(self) -> float:
        return float(self.data.item())

    def detach(self) -> Tensor:
        """The same array, off the tape."""
        return Tensor(self.data)

    def __repr__(self) -> str:
        return f"Tensor({self.data!r}{', requires_grad=True' if self.requires_grad else ''})"

    def backward(self, gradient: np.ndarray | None = None) -> None:
        """Add the gradient of this tensor to ``grad`` of every tensor it depends on that was made with requires_grad.

        Parameters
        ----------
        gradient : ndarray, the shape of the tensor
            The incoming gradient; by default 1, for a tensor of one element.

        Raises
        ------
        RuntimeError
            If the tensor is not on the tape, or its records were used by an earlier call.
        ValueError
            If no gradient is given for a tensor of several elements, or its shape does not fit.
        """
        if not self.requires_grad:
            raise RuntimeError("backward: this tensor does not depend on anything that requires a gradient")
        if gradient is None:
            if self.data.size != 1:
                raise ValueError(f"gradient: expected one of shape {self.shape}, since the tensor is no scalar")
            gradient = np.ones_like(self.data)
        elif np.shape(gradient) != self.shape:
            raise ValueError(f"gradient: expected shape {self.shape}, got {np.shape(gradient)}")
        gradients: dict[int, np.ndarray] = {id(self): np.asarray(gradient, self.dtype)}
        for tensor in _from_last_to_first(self):
            gy = gradients.pop(id(tensor), None)
            if gy is None:  # reached only through arguments that have no gradient
                continue
            record = tensor._record
            if record is None:
                # A copy: what arrives may be a view, or belong to somebody else too.
                tensor.grad = np.array(gy) if tensor.grad is None else np.asarray(tensor.grad + gy)
                continue
            if record.residuals is _USED:
                raise RuntimeError("backward: the records of this computation were used by an earlier backward")
            needs = [parent is not None and parent.requires_grad for parent in record.parents]
            found = record.primitive.vjp(np.asarray(gy, tensor.dtype), record.residuals, needs)
            for parent, g in zip(record.parents, found, strict=True):
                if parent is None or not parent.requires_grad or g is None:
                    continue
                before = gradients.get(id(parent))
                gradients[id(parent)] = g if before is None else before + g
            record.residuals, record.parents = _USED, ()

    def _operand(self, other: Any) -> Any:
        """The other side of an operator: numbers and arrays of integers take the dtype of this tensor."""
        if isinstance(other, Tensor):
            return other
        array = np.asarray(other)
        return array.astype(self.dtype) if array.dtype.kind in "iub" or isinstance(other, float) else array

    def __add__(self, other: Any) -> Tensor:
        return apply("add", self, self._operand(other))

    def __radd__(self, other: Any) -> Tensor:
        return apply("add", self._operand(other), self)

    def __sub__(self, other: Any) -> Tensor:
        return apply("subtract", self, self._operand(other))

    def __rsub__(self, other: Any) -> Tensor:
        return apply("subtract", self._operand(other), self)

    def __mul__(self, other: Any) -> Tensor:
        return apply("multiply", self, self._operand(other))

    def __rmul__(self, other: Any) -> Tensor:
        return apply("multiply", self._operand(other), self)

    def __truediv__(self, other: Any) -> Tensor:
        return apply("divide", self, self._operand(other))

    def __rtruediv__(self, other: Any) -> Tensor:
        return apply("divide", self._operand(other), self)

    def __neg__(self) -> Tensor:
        return apply("negative", self)

    def sum(self, axis: int | tuple[int, ...] | None = None) -> Tensor:
        """Sum over one axis, several, or all."""
        return apply("sum", self, axis=axis)

    def mean(self, axis: int | tuple[int, ...] | None = None) -> Tensor:
        """Mean over one axis, several, or all."""
        return apply("mean", self, axis=axis)

    def reshape(self, *shape: Any) -> Tensor:
        """The same elements in another shape; one size may be -1."""
        return apply("reshape", self, shape=shape[0] if len(shape) == 1 and isinstance(shape[0], tuple) else shape)

    def transpose(self, *axes: int) -> Tensor:
        """The axes in another order."""
        return apply("transpose", self, axes=axes)


_USED = object()


def _from_last_to_first(root: Tensor) -> list[Tensor]:
    """Every tensor the root depends on that requires a gradient, so that each comes before what it was made from."""
    seen = {id(root): root}
    stack = [root]
    while stack:
        record = stack.pop()._record
        for parent in record.parents if record else ():
            if parent is not None and parent.requires_grad and id(parent) not in seen:
                seen[id(parent)] = parent
                stack.append(parent)
    return sorted(seen.values(), key=lambda t: t._record.order if t._record else -1, reverse=True)


def apply(primitive: str | Primitive, *arguments: Any, **options: Any) -> Tensor:
    """Run a primitive on tensors, arrays and numbers, and record it where a gradient is required.

    Python numbers take the dtype of the tensors.

    Raises
    ------
    ValueError
        If there is no primitive of that name.
    TypeError
        If no argument is a tensor, or the float arguments differ in dtype.
    """
    if isinstance(primitive, str) and primitive not in PRIMITIVES:
        raise ValueError(f"primitive: none is named {primitive!r}; there are {', '.join(sorted(PRIMITIVES))}")
    rule = PRIMITIVES[primitive] if isinstance(primitive, str) else primitive
    tensors = [a for a in arguments if isinstance(a, Tensor)]
    if not tensors:
        raise TypeError(f"{rule.name}: expected a Tensor among the arguments")
    dtype = tensors[0].dtype
    arrays = [_array(a, dtype) for a in arguments]
    for position, array in enumerate(arrays):
        if array.dtype.kind == "f" and array.dtype != dtype:
            raise TypeError(f"{rule.name}: argument {position} is {array.dtype}, another {dtype}; convert one")
    value, residuals = rule.forward(*arrays, **options)
    result = Tensor(value)
    if _recording and any(t.requires_grad for t in tensors):
        result.requires_grad = True
        parents = tuple(a if isinstance(a, Tensor) else None for a in arguments)
        result._record = _Record(rule, residuals, parents)
    return result


def _array(argument: Any, dtype: np.dtype) -> np.ndarray:
    if isinstance(argument, Tensor):
        return argument.data
    if isinstance(argument, (int, float)):
        return np.asarray(argument, dtype=dtype)
    return np.asarray(argument)
