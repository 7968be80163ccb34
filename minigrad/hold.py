"""Arrays the tape still needs are locked, so that a write in place cannot make a gradient wrong.

A record holds the arrays of its arguments from the forward until the backward has used them. While an array is held,
NumPy refuses to write to it; through ``Tensor.data`` the refusal also says why.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.errors import InputError

__all__ = ["HeldArray", "hold", "release"]

#: By id: how many records hold the array, and whether it was writeable before. Its holders keep the array alive.
_held: dict[int, list[Any]] = {}


def hold(array: np.ndarray) -> None:
    """Lock an array; to be released as often as it is held."""
    entry = _held.get(id(array))
    if entry is None:
        _held[id(array)] = [1, array.flags.writeable]
        array.flags.writeable = False
    else:
        entry[0] += 1


def release(array: np.ndarray) -> None:
    """Undo one ``hold``."""
    entry = _held[id(array)]
    entry[0] -= 1
    if entry[0] == 0:
        del _held[id(array)]
        # A view of an array that is held itself stays locked.
        if entry[1] and (not isinstance(array.base, np.ndarray) or array.base.flags.writeable):
            array.flags.writeable = True


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

    def __setitem__(self, key: Any, value: Any) -> None:
        self._refuse()
        super().__setitem__(key, value)

    def fill(self, value: Any) -> None:
        self._refuse()
        super().fill(value)

    def _refuse(self) -> None:
        if not self.flags.writeable:
            raise InputError(
                "data: changed in place while the tape needs it: a later backward would use the new values; call "
                "backward first, drop the result that depends on it, compute under no_grad(), or change a copy"
            )


def _plain(array: Any) -> Any:
    return array.view(np.ndarray) if isinstance(array, HeldArray) else array
