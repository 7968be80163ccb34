"""Reading a pickle of arrays from a stranger: nothing in it is ever called.

A pickle names functions for the reader to call, which is how a hostile one runs code. Here the handful of names
that arrays need map to stand-ins of this file, which only record shape, type and bytes; any other name is an
error. Not even NumPy's own reconstruction is run on the file's state, so the old files' deprecated arguments
raise no warnings either.
"""

import io
import pickle
from collections.abc import Callable
from typing import Any, ClassVar, Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from minigrad.errors import InputError

__all__ = ["load_dictionary", "printable"]

NUMBER_TYPES: Final = ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")


def printable(text: str, limit: int = 300) -> str:
    """Return a stranger's text (a path, a name in a file) so that an error that shows it stays one line."""
    shown = text if text.isprintable() else repr(text)
    return shown if len(shown) <= limit else f"{shown[:limit]}..."


class _Refused(Exception):
    """The pickle holds something other than plain data; the message says what."""


def _text(value: object) -> str:
    """Return an ASCII string that a Python 2 pickle holds as bytes."""
    return value.decode("ascii") if isinstance(value, bytes) else str(value)


class _PickledType:
    """Stands for numpy.dtype: a number type of fixed size."""

    def __init__(self, code: object, align: object = False, copy: object = False) -> None:
        self.code = _text(code)
        self.order = "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = _text(state[1])

    def dtype(self) -> np.dtype[Any]:
        if self.code not in NUMBER_TYPES or self.order not in ("|", "<", ">", "="):
            raise _Refused(f"an array of type {self.code!r:.20}")
        return np.dtype(self.order + self.code)


class _PickledArray:
    """Stands for numpy.ndarray."""

    array: NDArray[Any] | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, element, fortran, content = state
        self.array = _array(content, element, shape, "F" if fortran else "C")


def _array(content: object, element: object, shape: object, order: str) -> NDArray[Any]:
    if not isinstance(element, _PickledType) or not isinstance(content, bytes):
        raise _Refused("an array of objects")
    if not isinstance(shape, tuple) or not all(type(length) is int and length >= 0 for length in shape):
        raise _Refused("an array without a shape")
    return np.frombuffer(content, element.dtype()).reshape(shape, order="F" if order == "F" else "C")


def _reconstruct(*_: object) -> _PickledArray:
    return _PickledArray()


def _from_buffer(content: object, element: object, shape: object, order: object) -> _PickledArray:
    result = _PickledArray()
    result.array = _array(content, element, shape, _text(order))
    return result


def _encode(text: str, encoding: object) -> bytes:
    """Python 3 writes bytes into a protocol-2 pickle as latin-1 text to be encoded."""
    if _text(encoding) != "latin1":
        raise _Refused(f"text to be encoded as {encoding!r:.20}")
    return text.encode("latin1")


def _empty() -> bytes:
    """Return what Python 3 writes into a protocol-2 pickle as a call of ``bytes`` without arguments."""
    return b""


STAND_INS: Final[dict[tuple[str, str], Callable[..., object]]] = {
    ("numpy", "ndarray"): _PickledArray,
    ("numpy", "dtype"): _PickledType,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
    ("numpy._core.numeric", "_frombuffer"): _from_buffer,
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): _empty,
}


class _Unpickler(pickle._Unpickler):
    """The reader in Python: the one in C allocates whatever a damaged file asks for, up to tens of gigabytes."""

    # A bytearray is read as bytes, for the same reason: its length is believed before anything is read.
    dispatch: ClassVar = {
        **pickle._Unpickler.dispatch,
        pickle.BYTEARRAY8[0]: pickle._Unpickler.dispatch[pickle.BINBYTES8[0]],
    }

    def find_class(self, module_name: str, global_name: str, /) -> Callable[..., object]:
        stand_in = STAND_INS.get((module_name, global_name))
        if stand_in is None:
            raise _Refused(printable(f"{module_name}.{global_name}", 80))
        return stand_in

    def persistent_load(self, pid: object, /) -> NoReturn:
        raise _Refused("a persistent reference")


def load_dictionary(content: bytes, name: str) -> dict[str, Any]:
    """Read a pickled dictionary of arrays, numbers, strings and lists, whatever Python and protocol wrote it.

    Parameters
    ----------
    content : bytes
        Of the file.
    name : str
        Of the file, for errors.

    Returns
    -------
    dict
        Keys as str (Python 2 wrote bytes); arrays are read-only.

    Raises
    ------
    InputError
        Corrupt or cut off, no dictionary, or something in it that is not plain data.
    """
    try:
        # Python 2 strings may be binary; as bytes they stay what they were.
        loaded = _Unpickler(io.BytesIO(content), encoding="bytes").load()
    except _Refused as refused:
        raise InputError(f"{name}: the pickle asks for {refused!s}; expected only arrays and lists") from refused
    except Exception as error:  # the pickle machine raises almost anything on damaged input
        reason = printable(f"{type(error).__name__}: {error}")
        raise InputError(f"{name}: corrupt pickle ({reason})") from error
    if not isinstance(loaded, dict):
        raise InputError(f"{name}: the pickle holds a {type(loaded).__name__}, expected a dictionary")
    result: dict[str, Any] = {}
    for key, value in loaded.items():
        entry = key.decode("latin1") if isinstance(key, bytes) else str(key)
        result[entry] = value.array if isinstance(value, _PickledArray) else value
    return result
