"""Running an integer program on a build of the C library, wherever that build runs.

All knowledge of the C functions' arguments is in this file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.errors import InputError
from minigrad.kernels import KernelError
from quant.integer import (
    ROUNDINGS,
    Argmax,
    Codebook,
    Conv2d,
    Linear,
    LinearInt8,
    MaxPool,
    Offset,
    Operation,
    Program,
    Requantize,
    ResidualAdd,
    SumPool,
    SumWindows,
    Thresholds,
    Values,
)
from quant.packing import pack
from quant.target import Argument, NativeTarget, Out, Struct, Target

__all__ = [
    "PATHS",
    "Argument",
    "Epilogue",
    "NativeTarget",
    "Out",
    "Struct",
    "Target",
    "conv_fields",
    "conv_layer",
    "path_of",
    "prepare",
    "run",
    "run_layer",
    "run_operation",
    "run_prepared",
]

#: Paths of the integer kernels, with their numbers in the header.
PATHS = {"scalar": 0, "neon": 1, "avx2": 2, "avx512": 3, "dotprod": 4, "i8mm": 5, "vnni": 6}

#: What may follow a convolution in one kernel.
Epilogue = Thresholds | Requantize


def path_of(op: Operation, image_shape: tuple[int, ...], target: Target, path: str) -> str:
    """The path of the kernel an operation takes when a program runs on ``path``: an included one, at least scalar."""
    _check_path(path)
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
        x = run_operation(op, x, target=target, path=path)
        results.append(x)
    return results


def run_operation(op: Operation, *inputs: np.ndarray, target: Target, path: str = "scalar") -> np.ndarray:
    """One operation on the target, as ``op.run``."""
    _check_path(path)
    arrays = [np.ascontiguousarray(x) for x in inputs]
    if isinstance(op, Conv2d):
        return run_layer(op, arrays[0], target, path)
    return _RUNNERS[type(op)](op, arrays, target, path)


def _check_path(path: str) -> None:
    if path not in PATHS:
        raise InputError(f"path: {path!r} is not one of {', '.join(PATHS)}")


def _check(target: Target, function: str, *arguments: Argument) -> None:
    status = target.call(function, *arguments) & 0xFFFFFFFF
    if status != 0:
        raise KernelError(f"{target.name}: {function}: {target.name_of('mgk_status_name', status)}")


# ---------------------------------------------------------------- the convolution and its epilogue


def conv_fields(op: Conv2d, x_shape: tuple[int, ...]) -> tuple[tuple[str, int], ...]:
    """``mgk_conv2d`` for an input of this shape (images, height, width, channels)."""
    out_channels, kernel_height, kernel_width, _ = op.weight_codes.shape
    kernel = (kernel_height, kernel_width, out_channels)
    return tuple(("size", size) for size in (*x_shape, *kernel, *op.stride, *op.pads, *op.dilation))


def _epilogue_fields(epilogue: Epilogue | None) -> tuple[tuple[str, int | np.ndarray | None], ...]:
    """``mgk_epilogue``."""
    output = bits = rounding = zero = low = high = 0
    pointers: tuple[np.ndarray | None, ...] = (None,) * 5
    if isinstance(epilogue, Thresholds):
        output, bits = 1, epilogue.bits
        pointers = (epilogue.thresholds, epilogue.direction, None, None, None)
    elif epilogue is not None:
        output = 2 if epilogue.dtype == "uint8" else 3
        rounding, zero, low, high = ROUNDINGS[epilogue.rounding], epilogue.zero, epilogue.low, epilogue.high
        pointers = (None, None, epilogue.bias, epilogue.multiplier, epilogue.shift)
    return (
        ("u4", output),
        ("u4", bits),
        *(("pointer", pointer) for pointer in pointers),
        ("u4", rounding),
        ("i4", zero),
        ("i4", low),
        ("i4", high),
    )


def conv_layer(
    op: Conv2d, x_shape: tuple[int, ...], epilogue: Epilogue | None = None, kernel: int = 0, from_weights: bool = False
) -> Struct:
    """``mgk_qconv2d``; kernel is a number of the build's table, 0 for the best."""
    encoding, weight_zero, codebook = 0, 0, None
    if isinstance(op.encoding, Offset):
        encoding, weight_zero = 1, op.encoding.zero
    elif isinstance(op.encoding, Codebook):
        encoding, codebook = 2, op.encoding.levels
    return Struct(
        (
            *conv_fields(op, x_shape),
            ("size", op.groups),
            ("u4", op.activation_bits),
            ("u4", op.weight_bits),
            ("i4", int(op.bipolar)),
            ("pointer", op.zero),
            ("u4", encoding),
            ("u1", weight_zero),
            ("pointer", codebook),
            *_epilogue_fields(epilogue),
            ("u4", kernel),
            ("i4", int(from_weights)),
        )
    )


def prepare(
    op: Conv2d,
    x_shape: tuple[int, ...],
    target: Target,
    path: str,
    epilogue: Epilogue | None = None,
    kernel: int = 0,
    from_weights: bool = False,
) -> np.ndarray:
    """The prepared layer, uint8, for inputs of this shape (images, height, width, channels).

    Raises
    ------
    KernelError
        If the target has no such path, or the kernel does not take the layer.
    """
    layer = conv_layer(op, x_shape, epilogue, kernel, from_weights)
    packed = pack(op.weight_codes.reshape(len(op.weight_codes), -1), op.weight_bits)
    size = target.call("mgk_qconv2d_prepared_size", PATHS[path], layer)
    prepared = np.empty(max(size, 8), np.uint8)  # with no size the next call says why
    arguments = (PATHS[path], layer, packed, packed.size, Out(prepared), prepared.size)
    _check(target, "mgk_qconv2d_prepare", *arguments)
    return prepared


def run_layer(
    op: Conv2d,
    x: np.ndarray,
    target: Target,
    path: str = "scalar",
    epilogue: Epilogue | None = None,
    kernel: int = 0,
    from_weights: bool = False,
) -> np.ndarray:
    """A convolution and its epilogue in one kernel: ``epilogue.run(op.run(x))``.

    Parameters
    ----------
    op, epilogue
        The convolution; Thresholds, Requantize, or None for accumulators.
    x
        uint8 (n, height, width, IC).
    target, path
        Where, and on which path.
    kernel
        A number of the build's table of kernels, or 0 for the best that takes the layer.
    from_weights
        Whether kernels may rely on bounds that hold for these weights only.

    Raises
    ------
    KernelError
        If the target has no such path, or the kernel does not take the layer.
    """
    prepared = prepare(op, x.shape, target, path, epilogue, kernel, from_weights)
    return run_prepared(prepared, op, x, target, epilogue)


def run_prepared(
    prepared: np.ndarray, op: Conv2d, x: np.ndarray, target: Target, epilogue: Epilogue | None = None
) -> np.ndarray:
    """What ``prepare`` made, on x; as ``run_layer``. The target's last call is the layer's."""
    given = op.output(Values(x.shape[1:], 0, (1 << op.activation_bits) - 1))
    if epilogue is not None:
        given = epilogue.output(given)
    out = np.empty((len(x), *given.shape), given.dtype)
    workspace = np.empty(target.call("mgk_qconv2d_workspace_size", prepared, prepared.size), np.uint8)
    arrays = (x, x.size, Out(out), out.nbytes, 0, len(x), Out(workspace), workspace.size)
    _check(target, "mgk_qconv2d_run", prepared, prepared.size, *arrays)
    return out


# ---------------------------------------------------------------- everything else


def _run_thresholds(op: Thresholds, inputs: list[np.ndarray], target: Target, path: str) -> np.ndarray:
    x = np.ascontiguousarray(inputs[0], np.int32)  # of int16 too
    codes = np.empty(x.shape, np.uint8)
    channels = x.shape[-1]
    sizes = (x.size // channels, channels, op.bits)
    _check(target, "mgk_thresholds", PATHS[path], x, *sizes, op.thresholds, op.direction, Out(codes))
    return codes


def _run_requantize(op: Requantize, inputs: list[np.ndarray], target: Target, path: str) -> np.ndarray:
    (x,) = inputs
    out = np.empty(x.shape, op.dtype)
    channels = x.shape[-1]
    _check(target, "mgk_requantize", x, x.size // channels, channels, Struct(_epilogue_fields(op)), Out(out))
    return out


def _run_residual_add(op: ResidualAdd, inputs: list[np.ndarray], target: Target, path: str) -> np.ndarray:
    a, b = inputs
    sums = np.empty(a.shape, np.int16)
    _check(target, "mgk_add_i16", a, b, a.size, Out(sums))
    return sums


def _run_windows(op: MaxPool | SumWindows, inputs: list[np.ndarray], target: Target, path: str) -> np.ndarray:
    (x,) = inputs
    given = op.output(Values(x.shape[1:], 0, 255))
    window = Struct(tuple(("size", v) for v in (*x.shape, *op.kernel, x.shape[3], *op.stride, *op.pads, 1, 1)))
    out = np.empty((len(x), *given.shape), given.dtype)
    _check(target, f"mgk_{op.name}", window, x, Out(out))
    return out


def _run_sum_pool(op: SumPool, inputs: list[np.ndarray], target: Target, path: str) -> np.ndarray:
    (x,) = inputs
    images, height, width, channels = x.shape
    sums = np.empty((images, channels), np.int32)
    _check(target, "mgk_sum_pool", x, images, height * width, channels, Out(sums))
    return sums


def _run_linear(op: Linear, inputs: list[np.ndarray], target: Target, path: str) -> np.ndarray:
    (x,) = inputs
    out_features, in_features = op.weight_codes.shape
    logits = np.empty((len(x), out_features), np.int32)
    sizes = (op.x_max, len(x), in_features, out_features, op.weight_bits)
    _check(target, "mgk_qlinear", x, *sizes, op.weight_codes, op.bias, Out(logits))
    return logits


def _run_linear_int8(op: LinearInt8, inputs: list[np.ndarray], target: Target, path: str) -> np.ndarray:
    (x,) = inputs
    out_features, in_features = op.weights.shape
    logits = np.empty((len(x), out_features), np.int32)
    function = "mgk_linear_u8" if op.dtype == "uint8" else "mgk_linear_i16"
    _check(target, function, x, len(x), in_features, out_features, op.weights, op.bias, Out(logits))
    return logits


def _run_argmax(op: Argmax, inputs: list[np.ndarray], target: Target, path: str) -> np.ndarray:
    (x,) = inputs
    classes = np.empty(len(x), np.int32)
    _check(target, "mgk_argmax", x, *x.shape, Out(classes))
    return classes


_RUNNERS: dict[type, Callable[[Any, list[np.ndarray], Target, str], np.ndarray]] = {
    Thresholds: _run_thresholds,
    Requantize: _run_requantize,
    ResidualAdd: _run_residual_add,
    MaxPool: _run_windows,
    SumWindows: _run_windows,
    SumPool: _run_sum_pool,
    Linear: _run_linear,
    LinearInt8: _run_linear_int8,
    Argmax: _run_argmax,
}
