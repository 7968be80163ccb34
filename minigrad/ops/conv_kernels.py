"""The three convolutions by the C library, split over threads; the bits of ``conv_reference``.

Groups of one input channel each have kernels of their own; other groups run one after the other.
"""

from __future__ import annotations

import functools
from dataclasses import replace
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


def _family(g: Geometry) -> str | None:
    """Which kernels run the geometry in one call."""
    if g.groups == 1:
        return "conv2d"
    return "depthwise" if g.groups == g.in_channels else None


def _run(name: str, g: Geometry, total: int, a: np.ndarray, b: np.ndarray, out: np.ndarray, chosen: int | None) -> None:
    if b.dtype != a.dtype:
        raise TypeError(f"convolution: expected operands of one dtype, got {a.dtype} and {b.dtype}")
    library = kernels.native()
    dtype, ctype = _NAMES[a.dtype]
    function = f"mgk_{_family(g)}_{dtype}_{name}"
    shape = _shape(g)
    size = getattr(library.lib, f"mgk_{_family(g)}_float_workspace")(shape, a.dtype.itemsize)
    first, second = np.ascontiguousarray(a), np.ascontiguousarray(b)
    pointers = [library.pointer(ctype, array) for array in (first, second, out)]
    instructions = backend.path() if chosen is None else chosen

    def work(begin: int, end: int) -> None:
        buffer = threads.workspace(size)
        workspace = library.pointer("void", buffer), buffer.nbytes
        status = getattr(library.lib, function)(instructions, shape, *pointers, begin, end, *workspace)
        kernels.check(library, status, function)

    threads.split(total, work)


def forward(x: np.ndarray, w: np.ndarray, g: Geometry, chosen: int | None = None) -> np.ndarray:
    """Images (n, h, w, in) and weights (kh, kw, in / groups, out) -> (n, oh, ow, out)."""
    y = np.empty(g.output_shape, x.dtype)
    if g.images == 0:
        return y
    if _family(g) is None:
        for i, o in g.runs():
            y[..., o] = forward(x[..., i], w[..., o], g.part, chosen)
    else:
        _run("forward", g, g.images, x, w, y, chosen)
    return y


def grad_input(dy: np.ndarray, w: np.ndarray, g: Geometry, chosen: int | None = None) -> np.ndarray:
    """Output gradient (n, oh, ow, out) and weights -> (n, h, w, in)."""
    dx = np.empty(g.input_shape, dy.dtype)
    if g.images == 0:
        return dx
    if _family(g) is None:
        for i, o in g.runs():
            dx[..., i] = grad_input(dy[..., o], w[..., o], g.part, chosen)
    else:
        _run("grad_input", g, g.images, dy, w, dx, chosen)
    return dx


def grad_weight(x: np.ndarray, dy: np.ndarray, g: Geometry, chosen: int | None = None) -> np.ndarray:
    """Images and output gradient -> (kh, kw, in / groups, out)."""
    if g.images == 0:
        return np.zeros(g.weight_shape, x.dtype)
    dw = np.empty(g.weight_shape, x.dtype)
    if _family(g) is None:
        for i, o in g.runs():
            dw[..., o] = grad_weight(x[..., i], dy[..., o], g.part, chosen)
        return dw
    sums = np.empty((CHUNKS, *g.weight_shape), x.dtype)
    _run("grad_weight", g, CHUNKS, x, dy, sums, chosen)
    library = kernels.native()
    dtype, ctype = _NAMES[x.dtype]
    join = getattr(library.lib, f"mgk_conv2d_{dtype}_join")
    shape = _shape(replace(g, in_channels=g.in_channels // g.groups))
    status = join(shape, library.pointer(ctype, sums), library.pointer(ctype, dw))
    kernels.check(library, status, f"mgk_conv2d_{dtype}_join")
    return dw
