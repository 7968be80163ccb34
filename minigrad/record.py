"""What the tape keeps of a call: the primitive, its arguments and residuals, and whether anything is kept at all."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.hold import check, hold, release
from minigrad.primitive import Primitive

if TYPE_CHECKING:
    from minigrad.tensor import Tensor

__all__ = ["Record", "is_recording", "no_grad", "recording", "serial"]

_serials = itertools.count()
_USED = object()


class _Switch(threading.local):
    on = True


_switch = _Switch()


def serial() -> int:
    """A number larger than all before."""
    return next(_serials)


def is_recording() -> bool:
    return _switch.on


@contextlib.contextmanager
def recording(on: bool) -> Iterator[None]:
    """Within it this thread records what requires a gradient, or nothing."""
    before, _switch.on = _switch.on, on
    try:
        yield
    finally:
        _switch.on = before


def no_grad() -> contextlib.AbstractContextManager[None]:
    """Within it this thread records nothing: ``with no_grad(): ...``."""
    return recording(False)


class Record:
    """How a tensor was made. Holds the arrays of its tensors until it is closed."""

    __slots__ = ("arguments", "arrays", "held", "options", "order", "primitive", "residuals")

    def __init__(self, primitive: Primitive, arguments: tuple[Any, ...], arrays: list[np.ndarray]) -> None:
        self.primitive = primitive
        self.arguments = arguments
        self.arrays = arrays
        self.options: dict[str, Any] = {}
        self.residuals: Any = None
        self.order = serial()
        # An array beside tensors is the record's own.
        self.held = [v for a, v in zip(arguments, arrays, strict=True) if a is not v]
        hold(self.held)

    @property
    def closed(self) -> bool:
        return self.residuals is _USED

    def finish(self, value: np.ndarray, residuals: Any, options: dict[str, Any]) -> None:
        """Keep what the forward gave; the value too is held, since it may be among the residuals."""
        self.residuals = residuals
        self.options = {name: option for name, option in options.items() if not callable(option)}
        hold((value,))
        self.held.append(value)

    def check(self) -> None:
        """InputError if a held array was changed all the same."""
        check(self.held)

    def parents(self) -> Iterator[tuple[int, Tensor]]:
        """The arguments that require a gradient, with their positions."""
        return ((n, a) for n, a in enumerate(self.arguments) if not isinstance(a, np.ndarray) and a.requires_grad)

    def close(self) -> None:
        """Let go of everything; the record can be used no more."""
        held, self.held = self.held, []
        release(held)
        self.residuals, self.arguments, self.arrays, self.options = _USED, (), [], {}

    def __del__(self) -> None:
        release(self.held)
