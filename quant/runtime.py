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
from quant.integer import Argmax, Conv2d, Linear, Operation, Program, SumPool, Thresholds
from quant.packing import pack

__all__ = ["PATHS", "Argument", "NativeTarget", "Out", "Target", "conv_struct", "path_of", "run", "run_operation"]

#: Paths of the integer kernels, with their numbers in the header.
PATHS = {"scalar": 0, "neon": 1}


@dataclass(frozen=True, eq=False)
class Out:
    """An array that a function may write; a bare array it only reads."""

    array: np.ndarray


#: An integer, a null pointer, or the address of an array's elements.
Argument = int | None | np.ndarray | Out


class Target(Protocol):
    """A build of the library with somewhere to run."""

    name: str
    #: The integer type that is size_t there.
    size_type: Any

    def call(self, function: str, *arguments: Argument) -> int:
        """Call a function that returns an integer. Arrays are C-contiguous and in this machine's byte order."""
        ...

    def status_name(self, status: int) -> str:
        """What the build calls a status."""
        ...


class NativeTarget:
    """A build opened in this process."""

    size_type = np.dtype(np.uintp)

    def __init__(self, library: Library, name: str = "native") -> None:
        self.library = library
        self.name = name

    def call(self, function: str, *arguments: Argument) -> int:
        return int(getattr(self.library.lib, function)(*map(self._convert, arguments)))

    def status_name(self, status: int) -> str:
        return self.library.ffi.string(self.library.lib.mgk_status_name(status)).decode()

    def _convert(self, argument: Argument) -> Any:
        if isinstance(argument, Out):
            argument = argument.array
        if argument is None or isinstance(argument, np.ndarray):
            return self.library.pointer("void", argument)
        return argument


def path_of(op: Operation, path: str) -> str:
    """The path an operation takes when a program runs on ``path``: the scalar one where the kernel has no other."""
    if path not in PATHS:
        raise InputError(f"path: {path!r} is not one of {', '.join(PATHS)}")
    if isinstance(op, Conv2d):
        return path if op.weight_bits == 2 and op.activation_bits <= 2 and op.zero is None else "scalar"
    return path if isinstance(op, Thresholds) else "scalar"


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
    return _RUNNERS[type(op)](op, np.ascontiguousarray(x), target, PATHS[path_of(op, path)])


def conv_struct(op: Conv2d, x_shape: tuple[int, ...], size_type: Any) -> np.ndarray:
    """``mgk_conv2d`` for an input of this shape (images, height, width, channels)."""
    out_channels, kernel_height, kernel_width, in_channels = op.weight_codes.shape
    images, height, width, _ = x_shape
    kernel = (kernel_height, kernel_width, out_channels)
    return np.array([images, height, width, in_channels, *kernel, *op.stride, *op.pads, *op.dilation], dtype=size_type)


def _check(target: Target, function: str, *arguments: Argument) -> None:
    status = target.call(function, *arguments) & 0xFFFFFFFF
    if status != 0:
        raise KernelError(f"{target.name}: {function}: {target.status_name(status)}")


def _run_conv2d(op: Conv2d, x: np.ndarray, target: Target, path: int) -> np.ndarray:
    conv = conv_struct(op, x.shape, target.size_type)
    packed = pack(op.weight_codes.reshape(len(op.weight_codes), -1), op.weight_bits)
    prepared = np.empty(target.call("mgk_qconv2d_prepared_size", path, conv, op.weight_bits), np.uint8)
    weights = (path, conv, op.weight_bits)
    _check(target, "mgk_qconv2d_prepare", *weights, packed, packed.size, Out(prepared), prepared.size)

    rows, columns = np.zeros(1, target.size_type), np.zeros(1, target.size_type)
    _check(target, "mgk_conv2d_output", conv, Out(rows), Out(columns))
    sums = np.empty((len(x), int(rows[0]), int(columns[0]), len(op.weight_codes)), np.int32)
    workspace = np.empty(target.call("mgk_qconv2d_workspace", path, conv), np.uint8)
    arrays = (x, op.zero, Out(sums), 0, len(x), Out(workspace), workspace.size)
    _check(target, "mgk_qconv2d", *weights, prepared, prepared.size, op.activation_bits, *arrays)
    return sums


def _run_thresholds(op: Thresholds, x: np.ndarray, target: Target, path: int) -> np.ndarray:
    codes = np.empty(x.shape, np.uint8)
    channels = x.shape[-1]
    sizes = (x.size // channels, channels, op.bits)
    _check(target, "mgk_thresholds", path, x, *sizes, op.thresholds, op.direction, Out(codes))
    return codes


def _run_sum_pool(op: SumPool, x: np.ndarray, target: Target, path: int) -> np.ndarray:
    images, height, width, channels = x.shape
    sums = np.empty((images, channels), np.int32)
    _check(target, "mgk_sum_pool", x, images, height * width, channels, Out(sums))
    return sums


def _run_linear(op: Linear, x: np.ndarray, target: Target, path: int) -> np.ndarray:
    out_features, in_features = op.weight_codes.shape
    logits = np.empty((len(x), out_features), np.int32)
    sizes = (op.x_max, len(x), in_features, out_features, op.weight_bits)
    _check(target, "mgk_qlinear", x, *sizes, op.weight_codes, op.bias, Out(logits))
    return logits


def _run_argmax(op: Argmax, x: np.ndarray, target: Target, path: int) -> np.ndarray:
    classes = np.empty(len(x), np.int32)
    _check(target, "mgk_argmax", x, *x.shape, Out(classes))
    return classes


_RUNNERS: dict[type, Callable[[Any, np.ndarray, Target, int], np.ndarray]] = {
    Conv2d: _run_conv2d,
    Thresholds: _run_thresholds,
    SumPool: _run_sum_pool,
    Linear: _run_linear,
    Argmax: _run_argmax,
}
