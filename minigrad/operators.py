"""Operators and methods of tensors; each is the primitive of that name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from minigrad.tensor import Tensor

__all__ = ["Operators"]

Axis = int | tuple[int, ...] | None


class Operators:
    """What ``Tensor`` inherits: arithmetic, indexing, and the common reductions and shape changes."""

    __slots__ = ()

    def _apply(self, name: str, *arguments: Any, **options: Any) -> Tensor:
        raise NotImplementedError

    def _operand(self, other: Any) -> Any:
        raise NotImplementedError

    def __add__(self, other: Any) -> Tensor:
        return self._apply("add", self, self._operand(other))

    def __radd__(self, other: Any) -> Tensor:
        return self._apply("add", self._operand(other), self)

    def __sub__(self, other: Any) -> Tensor:
        return self._apply("subtract", self, self._operand(other))

    def __rsub__(self, other: Any) -> Tensor:
        return self._apply("subtract", self._operand(other), self)

    def __mul__(self, other: Any) -> Tensor:
        return self._apply("multiply", self, self._operand(other))

    def __rmul__(self, other: Any) -> Tensor:
        return self._apply("multiply", self._operand(other), self)

    def __truediv__(self, other: Any) -> Tensor:
        return self._apply("divide", self, self._operand(other))

    def __rtruediv__(self, other: Any) -> Tensor:
        return self._apply("divide", self._operand(other), self)

    def __pow__(self, other: Any) -> Tensor:
        return self._apply("power", self, self._operand(other))

    def __rpow__(self, other: Any) -> Tensor:
        return self._apply("power", self._operand(other), self)

    def __matmul__(self, other: Any) -> Tensor:
        return self._apply("matmul", self, self._operand(other))

    def __rmatmul__(self, other: Any) -> Tensor:
        return self._apply("matmul", self._operand(other), self)

    def __neg__(self) -> Tensor:
        return self._apply("negative", self)

    def __abs__(self) -> Tensor:
        return self._apply("abs", self)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (int, float, np.ndarray, np.generic)):
            raise TypeError("==: a tensor equals only itself; compare its data")
        return self is other

    __hash__ = object.__hash__

    def __getitem__(self, index: Any) -> Tensor:
        return self._apply("slice", self, index=index)

    def __iter__(self) -> Iterator[Tensor]:
        return (self[n] for n in range(len(self)))

    def __len__(self) -> int:
        raise NotImplementedError

    def sum(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """Sum over one axis, several, or all."""
        return self._apply("sum", self, axis=axis, keepdims=keepdims)

    def mean(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """Mean over one axis, several, or all."""
        return self._apply("mean", self, axis=axis, keepdims=keepdims)

    def max(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """Largest element along one axis, several, or all."""
        return self._apply("max", self, axis=axis, keepdims=keepdims)

    def min(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """Smallest element along one axis, several, or all."""
        return self._apply("min", self, axis=axis, keepdims=keepdims)

    def reshape(self, *shape: Any) -> Tensor:
        """The same elements in another shape; one size may be -1."""
        return self._apply(
            "reshape", self, shape=shape[0] if len(shape) == 1 and isinstance(shape[0], tuple) else shape
        )

    def transpose(self, *axes: int) -> Tensor:
        """The axes in another order; reversed where none is given."""
        return self._apply("transpose", self, axes=axes or None)
