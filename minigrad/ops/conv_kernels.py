"""The three convolutions by the C library, split over threads; the bits of ``conv_reference``."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from minigrad import backend, kernels, threads
from minigrad.ops.conv_geometry import Geometry

__all__ = ["CHUNKS", "forward", "grad_input", "grad_weight"]

CHUNKS = 8
_NAMES = {np.dtype(np.float32): ("f32", "float"), np.dtype(np.float64): ("f64", "double")}


@functools.cache
def _shape(g: Geometry) -> Any:
    """The geometry as the library's struct."""
    return kernels.native().ffi.new(
        "mgk_conv2d *",
        [*g.input_shape, *g.kernel, g.out_channels, *g.stride, *g.padding, *g.dilation],
    )


def _run(name: str, g: Geometry, total: int, a: np.ndarray, b: np.ndarray, out: np.ndarray, chosen: int | None) -> None:
    if b.dtype != a.dtype:
        raise TypeError(f"convolution: expected operands of one dtype, got {a.dtype} and {b.dtype}")
    library = kernels.native()
    dtype, ctype = _NAMES[a.dtype]
    function = getattr(library.lib, f"mgk_conv2d_{dtype}_{name}")
    shape = _shape(g)
    size = library.lib.mgk_conv2d_float_workspace(shape, a.dtype.itemsize)
    first, second = np.ascontiguousarray(a), np.ascontiguousarray(b)
    pointers = [library.pointer(ctype, array) for array in (first, second, out)]
    instructions = backend.path() if chosen is None else chosen

    def work(begin: int, end: int) -> None:
        buffer = threads.workspace(size)
        status = function(instructions, shape, *pointers, begin, end, library.pointer("void", buffer), buffer.nbytes)
        kernels.check(library, status, f"mgk_conv2d_{dtype}_{name}")

    threads.split(total, work)


def forward(x: np.ndarray, w: np.ndarray, g: Geometry, chosen: int | None = None) -> np.ndarray:
    """Images (n, h, w, in) and weights (kh, kw, in, out) -> (n, oh, ow, out)."""
    y = np.empty(g.output_shape, x.dtype)
    _run("forward", g, g.images, x, w, y, chosen)
    return y


def grad_input(dy: np.ndarray, w: np.ndarray, g: Geometry, chosen: int | None = None) -> np.ndarray:
    """Output gradient (n, oh, ow, out) and weights -> (n, h, w, in)."""
    dx = np.empty(g.input_shape, dy.dtype)
    _run("grad_input", g, g.images, dy, w, dx, chosen)
    return dx


def grad_weight(x: np.ndarray, dy: np.ndarray, g: Geometry, chosen: int | None = None) -> np.ndarray:
    """Images and output gradient -> (kh, kw, in, out)."""
    sums = np.empty((CHUNKS, *g.weight_shape), x.dtype)
    _run("grad_weight", g, CHUNKS, x, dy, sums, chosen)
    library = kernels.native()
    dtype, ctype = _NAMES[x.dtype]
    dw = np.empty(g.weight_shape, x.dtype)
    join = getattr(library.lib, f"mgk_conv2d_{dtype}_join")
    status = join(_shape(g), library.pointer(ctype, sums), library.pointer(ctype, dw))
    kernels.check(library, status, f"mgk_conv2d_{dtype}_join")
    return dw
