"""Where the functions of a build of the C library run, and how their arguments are passed.

A *target* is a build with somewhere to run: in this process here, emulated or remote elsewhere. It takes a function's
name, integers, arrays and structs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from minigrad.kernels import Library

__all__ = ["Argument", "NativeTarget", "Out", "Struct", "Target"]


@dataclass(frozen=True, eq=False)
class Out:
    """An array that a function may write; a bare array it only reads."""

    array: np.ndarray


@dataclass(frozen=True, eq=False)
class Struct:
    """A struct that a function reads: types ("size", "u4", "i4", "u1", "pointer") and values in the header's order.

    A pointer is None or an array.
    """

    fields: tuple[tuple[str, int | np.ndarray | None], ...]

    def encode(self, size_type: Any, address_of: Callable[[np.ndarray], int]) -> np.ndarray:
        """Its bytes, every field at a multiple of its size, where size_t and pointers are of ``size_type``."""
        content = bytearray()
        for kind, value in self.fields:
            dtype = np.dtype(size_type if kind in ("size", "pointer") else kind)
            dtype = dtype.newbyteorder(np.dtype(size_type).byteorder)
            number = address_of(value) if isinstance(value, np.ndarray) else int(value or 0)
            content += bytes(-len(content) % dtype.itemsize)
            content += np.array(number, dtype).tobytes()
        return np.frombuffer(bytes(content) + bytes(-len(content) % np.dtype(size_type).itemsize), np.uint8)

    def replaced(self, position: int, value: int | np.ndarray | None) -> Struct:
        """A copy with another value of one field."""
        fields = list(self.fields)
        fields[position] = (fields[position][0], value)
        return Struct(tuple(fields))


#: An integer, a null pointer, or the address of an array's elements or of a struct.
Argument = int | None | np.ndarray | Out | Struct


class Target(Protocol):
    """A build of the library with somewhere to run."""

    name: str
    #: The integer type that is size_t there.
    size_type: Any

    def call(self, function: str, *arguments: Argument) -> int:
        """Call a function that returns an integer. Arrays are C-contiguous and in this machine's byte order."""
        ...

    def name_of(self, function: str, number: int) -> str:
        """The string that a function such as ``mgk_status_name`` gives for a number."""
        ...


class NativeTarget:
    """A build opened in this process."""

    size_type = np.dtype(np.uintp)

    def __init__(self, library: Library, name: str = "native") -> None:
        self.library = library
        self.name = name

    def call(self, function: str, *arguments: Argument) -> int:
        encoded: list[np.ndarray] = []  # structs, alive until the function returns
        return int(getattr(self.library.lib, function)(*(self._convert(value, encoded) for value in arguments)))

    def name_of(self, function: str, number: int) -> str:
        return self.library.ffi.string(getattr(self.library.lib, function)(number)).decode()

    def _convert(self, argument: Argument, encoded: list[np.ndarray]) -> Any:
        if isinstance(argument, Struct):
            # room with the alignment of every field
            content = argument.encode(self.size_type, lambda array: array.ctypes.data)
            encoded.append(np.empty(len(content) // 8 + 1, np.uint64))
            encoded[-1].view(np.uint8)[: len(content)] = content
            argument = encoded[-1]
        if isinstance(argument, Out):
            argument = argument.array
        if argument is None or isinstance(argument, np.ndarray):
            return self.library.pointer("void", argument)
        return argument
