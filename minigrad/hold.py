"""Arrays the tape still needs are locked, so that a write in place cannot make a gradient wrong.

A record holds the arrays of its tensors, arguments and result, from the forward until the backward has used them. While
an array is held, NumPy refuses to write to it or to what it is a view of; through ``Tensor.data`` the refusal also says
why. What was taken from ``Tensor.data`` before, a view or a buffer, NumPy cannot lock any more. So arrays whose memory
was once handed out have a checksum taken when they are first held, and the backward compares it (``check``).
"""

from __future__ import annotations

import threading
import weakref
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from minigrad.errors import InputError

__all__ = ["HeldArray", "check", "hold", "owner", "release", "shown"]


class _Held:
    """How many records hold an array, whether it was writeable before, and its checksum where one is needed."""

    __slots__ = ("checksum", "count", "writeable")

    def __init__(self, writeable: bool, checksum: int | None) -> None:
        self.count = 1
        self.writeable = writeable
        self.checksum = checksum


#: By id. The holders keep the arrays alive.
_held: dict[int, _Held] = {}
#: By id: owners of memory that somebody outside may write to, until they are freed.
_shown: dict[int, weakref.ref[np.ndarray]] = {}
#: Reentrant, since a record that the collector frees inside ``hold`` is released there.
_lock = threading.RLock()


def owner(array: np.ndarray) -> np.ndarray:
    """The array whose memory this one is a view of; the array itself if none."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def shown(array: np.ndarray) -> np.ndarray:
    """What ``Tensor.data`` gives: the array itself, or a view that cannot be written to if the array is locked."""
    root = owner(array)
    if array.flags.writeable and root.flags.writeable:
        key = id(root)
        if key not in _shown:
            _shown[key] = weakref.ref(root, lambda _: _shown.pop(key, None))
        return array
    view = array.view(HeldArray)
    view.flags.writeable = False
    return view


def hold(arrays: Iterable[np.ndarray]) -> None:
    """Lock arrays and what they are views of; to be released as often as they are held."""
    with _lock:
        for array in arrays:
            _hold(array)


def _hold(array: np.ndarray) -> None:
    entry = _held.get(id(array))
    if entry is not None:
        entry.count += 1
        return
    root = array
    if array.base is not None and isinstance(array.base, np.ndarray):
        _hold(array.base)
        root = owner(array)
    flags = array.flags
    _held[id(array)] = _Held(flags.writeable, _checksum(array) if id(root) in _shown else None)
    flags.writeable = False


def release(arrays: Iterable[np.ndarray]) -> None:
    """Undo one ``hold`` of each."""
    with _lock:
        for array in arrays:
            _release(array)


def _release(array: np.ndarray) -> None:
    entry = _held[id(array)]
    entry.count -= 1
    if entry.count:
        return
    del _held[id(array)]
    base = array.base
    if base is not None and isinstance(base, np.ndarray):
        _release(base)
        # A view of an array that is held itself stays locked.
        if not base.flags.writeable:
            return
    if entry.writeable:
        array.flags.writeable = True


def check(arrays: Iterable[np.ndarray]) -> None:
    """InputError if a held array is not what it was when it was first held."""
    for array in arrays:
        entry = _held[id(array)]
        if entry.checksum is not None and entry.checksum != _checksum(array):
            raise InputError(
                "data: changed in place while the tape needed it, through a view or buffer taken before the forward; "
                "the gradient would be that of other values"
            )


def _checksum(array: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(array).data)


class HeldArray(np.ndarray):
    """A view of a held array, which says why it cannot be written to. What is computed from it is a plain array."""

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **keywords: Any) -> Any:
        written = (*keywords.get("out", ()), *(inputs[:1] if method == "at" else ()))
        for array in written:
            if isinstance(array, HeldArray):
                array._refuse()
        if "out" in keywords:
            keywords["out"] = tuple(_plain(array) for array in keywords["out"])
        return getattr(ufunc, method)(*(_plain(array) for array in inputs), **keywords)

    def __array_function__(self, function: Any, types: Any, arguments: Any, keywords: Any) -> Any:
        return _plain(super().__array_function__(function, types, arguments, keywords))

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _plain(self).__reduce_ex__(protocol)

    def copy(self, order: Any = "C") -> Any:
        return _plain(super().copy(order))

    def __setitem__(self, key: Any, value: Any) -> None:
        self._refuse()
        super().__setitem__(key, value)

    def fill(self, value: Any) -> None:
        self._refuse()
        super().fill(value)

    def _refuse(self) -> None:
        if not self.flags.writeable:
            raise InputError(
                "data: changed in place while the tape needs it (a later backward would use the new values), or a view "
                "of another tensor's: call backward first and take data again, drop the result that depends on it, "
                "compute under no_grad(), or change a copy"
            )


def _plain(array: Any) -> Any:
    return array.view(np.ndarray) if isinstance(array, HeldArray) else array
