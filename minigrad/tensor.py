"""The tape: arrays that remember which primitive made them.

``Tensor`` wraps a float32 or float64 array. Applying a primitive to tensors that require gradients records the
primitive, its residuals and its arguments on the result; ``backward.py`` walks the records back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.errors import InputError
from minigrad.hold import owner, shown
from minigrad.operators import Operators
from minigrad.primitive import PRIMITIVES, Primitive
from minigrad.record import Record, is_recording, no_grad, serial

__all__ = ["Hook", "Record", "Tensor", "apply", "no_grad"]

HookFunction = Callable[[Any], Any]


class Hook:
    """What ``Tensor.register_hook`` returns: ``remove`` ends the calls."""

    def __init__(self, hooks: dict[int, HookFunction], key: int) -> None:
        self._hooks = hooks
        self._key = key

    def remove(self) -> None:
        """Call the function no more."""
        self._hooks.pop(self._key, None)


class Tensor(Operators):
    """An array on the tape.

    Parameters
    ----------
    data : array_like
        Float32 or float64; other real numbers become float64. Copied.
    requires_grad : bool
        Whether ``backward`` leaves a gradient in ``grad``.

    Attributes
    ----------
    data : ndarray
        The array itself. It may be written to (``tensor.data[...] = 0``) unless the tape still needs it, or it is a
        view of another tensor's: then that is an InputError.
    grad : ndarray or None
        What the calls of ``backward`` have added up.
    """

    __slots__ = ("_array", "_hooks", "_record", "grad", "requires_grad")
    __array_ufunc__ = None  # array + Tensor is Tensor's business

    def __init__(self, data: Any, requires_grad: bool = False) -> None:
        array = np.array(data)
        if array.dtype not in (np.float32, np.float64):
            if array.dtype.kind not in "iufb":
                raise TypeError(f"data: expected numbers, got dtype {array.dtype}")
            array = array.astype(np.float64)
        self._set(array, requires_grad)

    def _set(self, array: np.ndarray, requires_grad: bool) -> None:
        self._array = array
        self.grad: np.ndarray | None = None
        self.requires_grad = requires_grad
        self._record: Record | None = None
        self._hooks: dict[int, HookFunction] | None = None

    @classmethod
    def _of(cls, array: np.ndarray, requires_grad: bool = False) -> Tensor:
        """Around an array that nobody else will write to."""
        tensor = Tensor.__new__(Tensor)
        tensor._set(array, requires_grad)
        return tensor

    @property
    def data(self) -> np.ndarray:
        return shown(self._array)

    @data.setter
    def data(self, new: np.ndarray) -> None:
        if new is self._array:  # what ``tensor.data += 1`` ends with
            return
        array = np.array(new)
        if array.shape != self.shape or array.dtype != self.dtype:
            raise InputError(f"data: expected {self.dtype} {self.shape}, got {array.dtype} {array.shape}")
        self._array = array

    @property
    def shape(self) -> tuple[int, ...]:
        return self._array.shape

    @property
    def dtype(self) -> np.dtype:
        return self._array.dtype

    @property
    def ndim(self) -> int:
        return self._array.ndim

    def __len__(self) -> int:
        return len(self._array)

    def __bool__(self) -> bool:
        if self._array.size != 1:
            raise ValueError(f"bool: expected a tensor of one element, got shape {self.shape}")
        return bool(self._array.item())

    def item(self) -> float:
        return float(self._array.item())

    def detach(self) -> Tensor:
        """The same array, off the tape."""
        return Tensor._of(self._array)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        raise TypeError("expected an array, got a Tensor; take its data, from which on nothing is on the tape")

    def __getstate__(self) -> Any:
        """For copies and pickles: everything but the hooks."""
        if self._record is not None:
            raise InputError("copy: this tensor is a result on the tape; copy its detach()")
        state: Any = super().__getstate__()
        return state[0], {**state[1], "_hooks": None}

    def __repr__(self) -> str:
        return f"Tensor({self._array!r}{', requires_grad=True' if self.requires_grad else ''})"

    def register_hook(self, function: HookFunction) -> Hook:
        """Have every backward call ``function`` with the whole gradient of this tensor (read-only).

        So does every ``grad`` by tensors this one depends on, or by this one.
        What it returns takes the gradient's place, from here back; None leaves it. Hooks run in the order they were
        registered. With ``grad(create_graph=True)`` the gradient is a Tensor.

        Raises
        ------
        RuntimeError
            If the tensor requires no gradient.
        """
        if not self.requires_grad:
            raise RuntimeError("register_hook: this tensor requires no gradient")
        self._hooks = {} if self._hooks is None else self._hooks
        key = serial()
        self._hooks[key] = function
        return Hook(self._hooks, key)

    def backward(self, gradient: np.ndarray | None = None, *, retain_graph: bool = False) -> None:
        """Add the gradient of this tensor to ``grad`` of every tensor it depends on that was made with requires_grad.

        Parameters
        ----------
        gradient : ndarray, the shape of the tensor
            The incoming gradient; by default 1, for a tensor of one element.
        retain_graph : bool
            Keep the records for another backward, with the memory they hold.

        Raises
        ------
        RuntimeError
            If the tensor is not on the tape, or its records were used by an earlier call.
        ValueError
            If no gradient is given for a tensor of several elements, or its shape does not fit.
        """
        from minigrad.backward import total, walk  # which knows tensors, as this file does not know it

        for tensor, g in walk(self, gradient, "backward", graph=False, retain=retain_graph):
            if tensor._record is None:
                # A copy: what arrives may be a view, or belong to somebody else too.
                tensor.grad = np.array(g) if tensor.grad is None else total(tensor.grad, g)

    def _apply(self, name: str, *arguments: Any, **options: Any) -> Tensor:
        return apply(name, *arguments, **options)

    def _operand(self, other: Any) -> Any:
        """The other side of an operator: numbers and arrays of integers take the dtype of this tensor."""
        if isinstance(other, Tensor):
            return other
        array = np.asarray(other)
        return array.astype(self.dtype) if array.dtype.kind in "iub" or isinstance(other, float) else array


#: Infinities and NaN are values.
_quiet = np.errstate(all="ignore")


@_quiet
def _run(rule: Primitive, arrays: list[np.ndarray], options: dict[str, Any]) -> tuple[np.ndarray, Any]:
    value, residuals = rule.forward(*arrays, **options)
    return np.asarray(value), residuals


def apply(primitive: str | Primitive, *arguments: Any, **options: Any) -> Tensor:
    """Run a primitive on tensors, arrays and numbers, and record it where a gradient is required.

    Python numbers take the dtype of the tensors.

    Raises
    ------
    ValueError
        If there is no primitive of that name.
    TypeError
        If no argument is a tensor, or the float arguments differ in dtype.
    InputError
        If a tensor that requires a gradient stands where the primitive has none.
    """
    if isinstance(primitive, str) and primitive not in PRIMITIVES:
        raise ValueError(f"primitive: none is named {primitive!r}; there are {', '.join(sorted(PRIMITIVES))}")
    rule = PRIMITIVES[primitive] if isinstance(primitive, str) else primitive
    arrays = _arrays(rule, arguments)
    if not (is_recording() and any(isinstance(a, Tensor) and a.requires_grad for a in arguments)):
        value, _ = _run(rule, arrays, options)
        if id(owner(value)) in map(id, map(owner, arrays)):  # one memory, to be written to through one tensor only
            value = value.view()
            value.flags.writeable = False
        return Tensor._of(value)
    if rule.differentiable is not None:
        for position, argument in enumerate(arguments):
            if isinstance(argument, Tensor) and argument.requires_grad and position not in rule.differentiable:
                raise InputError(f"{rule.name}: argument {position} has no gradient; detach it")
    # Arrays that are not tensors are somebody else's, who may write to them: the record gets a copy.
    arrays = [v if isinstance(a, Tensor) else np.array(v) for a, v in zip(arguments, arrays, strict=True)]
    kept = tuple(a if isinstance(a, Tensor) else v for a, v in zip(arguments, arrays, strict=True))
    # Held before the forward runs, so that a result which is a view is locked with its base.
    record = Record(rule, kept, arrays)
    try:
        value, residuals = _run(rule, arrays, options)
    except BaseException:
        record.close()  # the error's traceback may live long
        raise
    if id(value) in map(id, arrays):
        value = value.view()
    record.finish(value, residuals, options)
    result = Tensor._of(value, requires_grad=True)
    result._record = record
    return result


def _arrays(rule: Primitive, arguments: tuple[Any, ...]) -> list[np.ndarray]:
    """The arrays of the arguments, all of their floats of one dtype."""
    dtype = next((a.dtype for a in arguments if isinstance(a, Tensor)), None)
    if dtype is None:
        raise TypeError(f"{rule.name}: expected a Tensor among the arguments")
    arrays = []
    for position, argument in enumerate(arguments):
        if isinstance(argument, Tensor):
            array = argument._array
        elif isinstance(argument, (int, float)):
            array = np.asarray(argument, dtype)
        else:
            array = np.asarray(argument)
        if array.dtype != dtype:
            if array.dtype.kind == "f":
                raise TypeError(f"{rule.name}: argument {position} is {array.dtype}, another {dtype}; convert one")
            if array.dtype.kind not in "iub":
                raise TypeError(f"{rule.name}: argument {position}: expected numbers, got dtype {array.dtype}")
        arrays.append(array)
    return arrays
