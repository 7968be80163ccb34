"""Which implementation computes: the C library, at one of its vector widths, or its NumPy reference. Same bits."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator

from minigrad import kernels
from minigrad.errors import InputError

__all__ = ["PATHS", "current", "path", "use"]

#: The library's paths by name (mgk_path).
PATHS = {"scalar": 0, "neon": 1, "avx2": 2, "avx512": 3}
_current = "c"


def current() -> str:
    """Either "c" or "numpy"."""
    return _current


@contextlib.contextmanager
def use(name: str) -> Iterator[None]:
    """Within it the library's functions run by "c" or by "numpy" (the reference, slow)."""
    global _current
    if name not in ("c", "numpy"):
        raise InputError(f"backend: expected 'c' or 'numpy', got {name!r}")
    before, _current = _current, name
    try:
        yield
    finally:
        _current = before


@functools.cache
def path() -> int:
    """The widest path the processor has, or the one MINIGRAD_PATH names."""
    lib = kernels.native().lib
    available = {name: number for name, number in PATHS.items() if lib.mgk_has_path(number)}
    wanted = os.environ.get("MINIGRAD_PATH", "")
    if not wanted:
        return max(available.values())
    if wanted not in available:
        raise InputError(f"MINIGRAD_PATH: expected one of {', '.join(available)}, got {wanted!r}")
    return available[wanted]
