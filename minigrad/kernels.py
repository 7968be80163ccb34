"""The one door to the compiled kernel library.

``load`` opens any build of the library through cffi in ABI mode, after comparing the digest of the header it was
built from with the header read here. ``native()`` is the build installed with this package.
"""

from __future__ import annotations

import functools
import hashlib
import re
import threading
from pathlib import Path
from typing import Any

import cffi

__all__ = ["HEADER", "SOURCES", "KernelError", "check", "load", "native"]

_PACKAGE = Path(__file__).resolve().parent


def _installed(name: str) -> Path:
    """A file beside the library: in this folder, or in site-packages when the package is installed for editing."""
    here = _PACKAGE / "_lib" / name
    if here.exists():
        return here
    import importlib.metadata

    for entry in importlib.metadata.files("minigrad-reference") or []:
        if entry.match(f"minigrad/_lib/{name}"):
            return Path(str(entry.locate()))
    raise ImportError(f"minigrad: {name} is not installed; run 'make setup' in the project's folder")


class KernelError(RuntimeError):
    """A kernel returned a status other than MGK_OK, or a library does not fit its header."""


def _find_sources() -> Path:
    checkout = _PACKAGE.parent / "csrc"
    return checkout if checkout.is_dir() else _PACKAGE / "_lib" / "csrc"


#: Folder of the library's C sources (the checkout's, or the copy in the wheel).
SOURCES = _find_sources()
#: The public header.
HEADER = SOURCES / "include" / "minigrad_kernels.h"


@functools.cache
def _interface() -> tuple[cffi.FFI, str]:
    text = HEADER.read_bytes()
    declarations = re.sub(r"/\*.*?\*/", "", text.decode(), flags=re.S)
    declarations = re.sub(r"#ifdef __cplusplus.*?#endif", "", declarations, flags=re.S)
    declarations = re.sub(r"^\s*#.*$", "", declarations, flags=re.M).replace("MGK_API", "")
    ffi = cffi.FFI()
    ffi.cdef(declarations)
    return ffi, hashlib.sha256(text).hexdigest()


class Library:
    """An opened build: ``lib.mgk_...`` functions, ``ffi`` to make arguments."""

    def __init__(self, path: Path) -> None:
        self.ffi, digest = _interface()
        self.path = path
        try:
            self.lib: Any = self.ffi.dlopen(str(path))
        except OSError as error:
            raise KernelError(f"{path}: cannot be opened as a shared library: {error}") from None
        try:
            built = self.ffi.string(self.lib.mgk_header_digest()).decode()
        except AttributeError:
            raise KernelError(f"{path}: no build of the kernel library (it has no mgk_header_digest)") from None
        if built != digest:
            raise KernelError(f"{path}: built from another header than {HEADER}; rebuild it ('make setup')")

    def pointer(self, ctype: str, array: Any) -> Any:
        """The address of a C-contiguous array as ``ctype *``; None becomes NULL."""
        if array is None:
            return self.ffi.NULL
        return self.ffi.cast(f"{ctype} *", array.ctypes.data)


_libraries: dict[Path, Library] = {}
#: Two threads that come first together must not get two interfaces: their structs would not fit each other's functions.
_opening = threading.Lock()


def load(path: str | Path) -> Library:
    """Open a build of the library, once.

    Raises
    ------
    KernelError
        If the file is no such library, or was built from another version of the header.
    """
    key = Path(path)
    with _opening:
        if key not in _libraries:
            _libraries[key] = Library(key)
        return _libraries[key]


@functools.cache
def native() -> Library:
    """The build installed with the package."""
    return load(_installed("libminigrad_kernels.so"))


def check(library: Library, status: int, function: str) -> None:
    """Raise KernelError, naming the function, unless the status is MGK_OK."""
    if status != 0:
        name = library.ffi.string(library.lib.mgk_status_name(status)).decode()
        raise KernelError(f"{function}: {name}")
