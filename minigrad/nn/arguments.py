"""What the layers ask of their sizes."""

from __future__ import annotations

from typing import Any

from minigrad.errors import InputError
from minigrad.ops.arguments import is_integer

__all__ = ["checked_size"]


def checked_size(name: str, value: Any) -> int:
    """A whole number of at least 1, or InputError."""
    if not is_integer(value) or value < 1:
        raise InputError(f"{name}: expected a whole number of at least 1, got {value!r}")
    return int(value)
