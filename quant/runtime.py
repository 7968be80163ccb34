"""Running an integer program on a build of the C library, wherever that build runs.

A *target* is a build with somewhere to run: in this process here, emulated or remote elsewhere. It takes a function's
name, integers and arrays. All knowledge of the C functions' arguments is in this file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from minigrad.errors import InputError
from minigrad.kernels import KernelError, Library
from quant.integer import Argmax, Conv2d, Linear, Operation, Program, SumPool, Thresholds, Values
from quant.packing import pack

__all__ = [
    "PATHS",
    "Argument",
    "NativeTarget",
    "Out",
    "Struct",
    "Target",
    "conv_fields",
    "conv_layer",
    "path_of",
    "prepare",
    "run",
    "run_operation",
]

#: Paths of the integer kernels, with their numbers in the header.
PATHS = {"scalar": 0, "neon": 1, "avx2": 2, "avx512": 3, "dotprod": 4, "i8mm": 5, "vnni": 6}


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


def path_of(op: Operation, image_shape: tuple[int, ...], target: Target, path: str) -> str:
    """The path of the kernel an operation takes when a program runs on ``path``: an included one, at least scalar."""
    if path not in PATHS:
        raise InputError(f"path: {path!r} is not one of {', '.join(PATHS)}")
    if isinstance(op, Conv2d):
        prepared = prepare(op, (1, *image_shape), target, path)
        kernel = target.call("mgk_qconv2d_kernel_of", prepared, prepared.size)
        number = target.call("mgk_qconv2d_kernel_path", kernel)
        return next(name for name, known in PATHS.items() if known == number)
    return "neon" if isinstance(op, Thresholds) and path in ("neon", "dotprod", "i8mm") else "scalar"


def run(program: Program, pixels: np.ndarray, target: Target, path: str = "scalar") -> list[np.ndarray]:
    """What each operation gives for these images, as ``Program.run`` but computed by the target.

    Parameters
    ----------
    program
        The program.
    pixels
        uint8 (n, *input_shape).
    target, path
        Where, and on which path, to run the kernels that have it.

    Raises
    ------
    InputError
        If the pixels do not fit the program, or the path is none.
    KernelError
        If a kernel refuses its arguments: the target has no such path.
    """
    x = program.check(pixels)
    results = []
    for op in program.ops:
        x = run_operation(op, x, target, path)
        results.append(x)
    return results


def run_operation(op: Operation, x: np.ndarray, target: Target, path: str = "scalar") -> np.ndarray:
    """One operation on the target, as ``op.run``."""
    if path not in PATHS:
        raise InputError(f"path: {path!r} is not one of {', '.join(PATHS)}")
    return _RUNNERS[type(op)](op, np.ascontiguousarray(x), target, path)


def _check(target: Target, function: str, *arguments: Argument) -> None:
    status = target.call(function, *arguments) & 0xFFFFFFFF
    if status != 0:
        raise KernelError(f"{target.name}: {function}: {target.name_of('mgk_status_name', status)}")


def conv_fields(op: Conv2d, x_shape: tuple[int, ...]) -> tuple[tuple[str, int], ...]:
    """``mgk_conv2d`` for an input of this shape (images, height, width, channels)."""
    out_channels, kernel_height, kernel_width, _ = op.weight_codes.shape
    kernel = (kernel_height, kernel_width, out_channels)
    return tuple(("size", size) for size in (*x_shape, *kernel, *op.stride, *op.pads, *op.dilation))


def conv_layer(op: Conv2d, x_shape: tuple[int, ...], kernel: int = 0) -> Struct:
    """``mgk_qconv2d`` with accumulators as its output; kernel is a number of the build's table, 0 for the best."""
    epilogue = (("u4", 0), ("u4", 0), *(("pointer", None),) * 5, ("u4", 0), ("i4", 0), ("i4", 0), ("i4", 0))
    return Struct(
        (
            *conv_fields(op, x_shape),
            ("size", 1),
            ("u4", op.activation_bits),
            ("u4", op.weight_bits),
            ("i4", 0),
            ("pointer", op.zero),
            ("u4", 0),
            ("u1", 0),
            ("pointer", None),
            *epilogue,
            ("u4", kernel),
            ("i4", 0),
        )
    )


def prepare(op: Conv2d, x_shape: tuple[int, ...], target: Target, path: str, kernel: int = 0) -> np.ndarray:
    """The prepared layer, uint8, for inputs of this shape (images, height, width, channels).

    Raises
    ------
    KernelError
        If the target has no such path, or the kernel does not take the layer.
    """
    layer = conv_layer(op, x_shape, kernel)
    packed = pack(op.weight_codes.reshape(len(op.weight_codes), -1), op.weight_bits)
    size = target.call("mgk_qconv2d_prepared_size", PATHS[path], layer)
    prepared = np.empty(max(size, 8), np.uint8)  # with no size the next call says why
    arguments = (PATHS[path], layer, packed, packed.size, Out(prepared), prepared.size)
    _check(target, "mgk_qconv2d_prepare", *arguments)
    return prepared


def _run_conv2d(op: Conv2d, x: np.ndarray, target: Target, path: str) -> np.ndarray:
    prepared = prepare(op, x.shape, target, path)
    shape = op.output(Values(x.shape[1:], 0, (1 << op.activation_bits) - 1)).shape
    sums = np.empty((len(x), *shape), np.int32)
    workspace = np.empty(target.call("mgk_qconv2d_workspace_size", prepared, prepared.size), np.uint8)
    arrays = (x, x.size, Out(sums), sums.nbytes, 0, len(x), Out(workspace), workspace.size)
    _check(target, "mgk_qconv2d_run", prepared, prepared.size, *arrays)
    return sums


def _run_thresholds(op: Thresholds, x: np.ndarray, target: Target, path: str) -> np.ndarray:
    codes = np.empty(x.shape, np.uint8)
    channels = x.shape[-1]
    sizes = (x.size // channels, channels, op.bits)
    _check(target, "mgk_thresholds", PATHS[path], x, *sizes, op.thresholds, op.direction, Out(codes))
    return codes


def _run_sum_pool(op: SumPool, x: np.ndarray, target: Target, path: str) -> np.ndarray:
    images, height, width, channels = x.shape
    sums = np.empty((images, channels), np.int32)
    _check(target, "mgk_sum_pool", x, images, height * width, channels, Out(sums))
    return sums


def _run_linear(op: Linear, x: np.ndarray, target: Target, path: str) -> np.ndarray:
    out_features, in_features = op.weight_codes.shape
    logits = np.empty((len(x), out_features), np.int32)
    sizes = (op.x_max, len(x), in_features, out_features, op.weight_bits)
    _check(target, "mgk_qlinear", x, *sizes, op.weight_codes, op.bias, Out(logits))
    return logits


def _run_argmax(op: Argmax, x: np.ndarray, target: Target, path: str) -> np.ndarray:
    classes = np.empty(len(x), np.int32)
    _check(target, "mgk_argmax", x, *x.shape, Out(classes))
    return classes


_RUNNERS: dict[type, Callable[[Any, np.ndarray, Target, str], np.ndarray]] = {
    Conv2d: _run_conv2d,
    Thresholds: _run_thresholds,
    SumPool: _run_sum_pool,
    Linear: _run_linear,
    Argmax: _run_argmax,
}
