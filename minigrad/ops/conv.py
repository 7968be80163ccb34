"""conv2d: one multiply-add a term in a fixed order, by the C library or by its NumPy reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from minigrad import backend
from minigrad.draw import Draw, floats
from minigrad.ops import conv_kernels, conv_reference
from minigrad.ops.arguments import one_float_dtype
from minigrad.ops.conv_geometry import Geometry
from minigrad.primitive import Example, Primitive, register

__all__ = ["bilinear_jvp", "conv2d_forward", "draw_channels", "implementation"]

Array = np.ndarray
Needs = Sequence[bool]


def implementation() -> ModuleType:
    """``forward``, ``grad_input`` and ``grad_weight`` of a ``Geometry``, by the library or by its reference."""
    return conv_kernels if backend.current() == "c" else conv_reference


def conv2d_forward(
    x: Array,
    w: Array,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, ...] = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
) -> tuple[Array, Any]:
    """Cross-correlation of images with weights: what deep learning calls a convolution.

    ``y[n, i, j, o]`` is the sum over taps (k, l) and input channels c of
    ``x[n, i stride - top + k dilation, j stride - left + l dilation, c] w[k, l, c, o]``; outside of the image x is 0.
    The order of the terms is in ``csrc/include/minigrad_kernels.h``.

    Parameters
    ----------
    x : array (n, h, w, in)
        Images; n may be 0.
    w : array (kh, kw, in / groups, out)
        Weights.
    stride, dilation : int or (vertical, horizontal)
        Steps between output pixels and between taps, at least 1.
    padding : int, (vertical, horizontal) or (top, bottom, left, right)
        Rows and columns of zeros around the images, at least 0.
    groups : int
        Channels in and out fall into so many runs of equal length, and the outputs of a run read the inputs of the
        same run. ``groups = in`` is a depthwise convolution.

    Returns
    -------
    array (n, oh, ow, out)
        ``oh = (h + top + bottom - (kh - 1) dilation - 1) // stride + 1``, ow likewise.

    Raises
    ------
    InputError
        If the shapes do not fit, an option is out of range, there is no output pixel, or the arrays are not both
        float32 or both float64.
    """
    geometry = Geometry.of(x.shape, w.shape, stride, padding, dilation, groups)
    one_float_dtype("conv2d", (x, w))
    return implementation().forward(x, w, geometry), (x, w, geometry)


def conv2d_vjp(gy: Array, residuals: Any, needs: Needs) -> tuple[Array | None, ...]:
    x, w, geometry = residuals
    dx = implementation().grad_input(gy, w, geometry) if needs[0] else None
    dw = implementation().grad_weight(x, gy, geometry) if needs[1] else None
    return dx, dw


def bilinear_jvp(
    forward: Callable[..., tuple[Array, Any]], tangents: Sequence[Array | None], x: Array, w: Array, **options: Any
) -> Array:
    """The jvp of a function that is linear in each of its two arguments."""
    dx, dw = tangents
    parts = [forward(a, b, **options)[0] for a, b in ((dx, w), (x, dw)) if a is not None and b is not None]
    return parts[0] + parts[1] if len(parts) == 2 else parts[0]


def conv2d_jvp(tangents: Sequence[Array | None], x: Array, w: Array, **options: Any) -> Array:
    return bilinear_jvp(conv2d_forward, tangents, x, w, **options)


def conv2d_hvp(
    gy: Array,
    tangents: Sequence[Array | None],
    x: Array,
    w: Array,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, ...] = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
) -> tuple[Array | None, ...]:
    dx, dw = tangents
    geometry = Geometry.of(x.shape, w.shape, stride, padding, dilation, groups)
    return (
        None if dw is None else implementation().grad_input(gy, dw, geometry),
        None if dx is None else implementation().grad_weight(dx, gy, geometry),
    )


def conv2d_definition(
    x: Array,
    w: Array,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, ...] = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
) -> Array:
    g = Geometry.of(x.shape, w.shape, stride, padding, dilation, groups)
    top, bottom, left, right = g.padding
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    outputs = g.out_channels // groups
    y = np.zeros(g.output_shape, object)
    for oy, ox, ky, kx, o in np.ndindex(*g.output, *g.kernel, g.out_channels):
        first = o // outputs * w.shape[2]
        pixel = padded[:, oy * g.stride[0] + ky * g.dilation[0], ox * g.stride[1] + kx * g.dilation[1]]
        y[:, oy, ox, o] = y[:, oy, ox, o] + pixel[:, first : first + w.shape[2]] @ w[ky, kx, :, o]
    return y


def draw_channels(draw: Draw) -> tuple[int, int, int]:
    """Groups, and the channels in and out of each: dense, grouped, depthwise with one output or several."""
    return draw.choice([(1, 1, 1), (1, 2, 1), (1, 3, 2), (2, 1, 1), (2, 2, 1), (2, 1, 2), (3, 1, 1)])


def _examples(draw: Draw, dtype: Any) -> Example:
    groups, i, o = draw_channels(draw)
    channels = groups * i
    n = draw.integer(1, 2) if channels == 1 else 1
    size = (draw.integer(3, 5), 5) if channels < 3 else (draw.integer(3, 4), 5)
    dilation = (draw.integer(1, 2), draw.integer(1, 2))
    # Without padding the kernel must fit into the image.
    kernel = tuple(draw.integer(1, min(3, (size[k] - 1) // dilation[k] + 1)) for k in range(2))
    options = {
        "stride": (draw.integer(1, 2), draw.integer(1, 3)),
        "padding": tuple(draw.integer(0, 2) for _ in range(4)),
        "dilation": dilation,
        "groups": groups,
    }
    x = floats(draw, -1.0, 1.0, (n, *size, channels), dtype)
    w = floats(draw, -1.0, 1.0, (*kernel, i, groups * o), dtype)
    return (draw.choice([x, np.asfortranarray(x)]), w), options


register(
    Primitive(
        "conv2d",
        conv2d_forward,
        conv2d_vjp,
        conv2d_jvp,
        definition=conv2d_definition,
        domain="all real numbers",
        kinks=(),
        examples=_examples,
        hvp=conv2d_hvp,
    )
)
