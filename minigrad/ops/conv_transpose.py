"""conv_transpose2d: the adjoint of conv2d, by the same three kernels in other roles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.draw import Draw, floats
from minigrad.errors import InputError
from minigrad.ops.arguments import is_integer, one_float_dtype
from minigrad.ops.conv import bilinear_jvp, draw_channels, implementation
from minigrad.ops.conv_geometry import Geometry, pair, quadruple
from minigrad.primitive import Example, Primitive, register

__all__ = ["conv_transpose2d_forward"]

Array = np.ndarray
Needs = Sequence[bool]


def _adjoint(
    x: tuple[int, ...],
    w: tuple[int, ...],
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, ...] = 0,
    output_padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
) -> Geometry:
    """The convolution whose adjoint it is, from the shapes; InputError where they do not fit."""
    name = "conv_transpose2d"
    if len(x) != 4 or len(w) != 4:
        raise InputError(
            f"{name}: expected images (n, h, w, in) and weights (kh, kw, out / groups, in), got {x} and {w}"
        )
    if x[3] != w[3]:
        raise InputError(f"{name}: the images have {x[3]} channels, the weights {w[3]}")
    if not is_integer(groups) or groups < 1 or x[3] % groups:
        raise InputError(f"{name}: groups: expected a divisor of the channels {x[3]}, got {groups!r}")
    strides, steps = pair(stride, f"{name}: stride"), pair(dilation, f"{name}: dilation")
    top, bottom, left, right = quadruple(padding, f"{name}: padding")
    more = pair(output_padding, f"{name}: output_padding", 0)
    if more[0] >= strides[0] or more[1] >= strides[1]:
        raise InputError(f"{name}: output_padding: expected less than the stride {strides}, got {output_padding!r}")
    reach = [(w[n] - 1) * steps[n] + 1 + more[n] for n in range(2)]
    height = (x[1] - 1) * strides[0] + reach[0] - top - bottom
    width = (x[2] - 1) * strides[1] + reach[1] - left - right
    if min(*x[1:], *w, height, width) < 1:
        raise InputError(f"{name}: images {x} and weights {w} give no output pixel (padding {padding})")
    return Geometry.of((x[0], height, width, w[2] * groups), w, strides, (top, bottom, left, right), steps, groups)


def conv_transpose2d_forward(
    x: Array,
    w: Array,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, ...] = 0,
    output_padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
) -> tuple[Array, Any]:
    """Adjoint of ``conv2d`` (transposed or fractionally strided convolution).

    Every element of ``x`` adds its multiple of the weights to the output: ``x[n, i, j, c] w[k, l, o, c]`` goes to
    ``y[n, i stride - top + k dilation, j stride - left + l dilation, o]``. With the same ``w`` and options,
    ``<conv2d(y, w), x> = <y, conv_transpose2d(x, w)>``.

    Parameters
    ----------
    x : array (n, h, w, in)
        Images; n may be 0.
    w : array (kh, kw, out / groups, in)
        Weights of the convolution from out to in channels whose adjoint it is.
    stride, dilation : int or (vertical, horizontal)
        Steps between the places of two input pixels, and between taps; at least 1.
    padding : int, (vertical, horizontal) or (top, bottom, left, right)
        Rows and columns cut off the output, at least 0.
    output_padding : int or (vertical, horizontal)
        Rows and columns added to the bottom and the right of the output, at least 0 and less than the stride: a
        strided convolution maps several sizes to the same one.
    groups : int
        As in ``conv2d``.

    Returns
    -------
    array (n, oh, ow, out)
        ``oh = (h - 1) stride - top - bottom + (kh - 1) dilation + 1 + output_padding``, ow likewise.

    Raises
    ------
    InputError
        If the shapes do not fit, an option is out of range, there is no output pixel, or the arrays are not both
        float32 or both float64.
    """
    geometry = _adjoint(x.shape, w.shape, stride, padding, output_padding, dilation, groups)
    one_float_dtype("conv_transpose2d", (x, w))
    return implementation().grad_input(x, w, geometry), (x, w, geometry)


def conv_transpose2d_vjp(gy: Array, residuals: Any, needs: Needs) -> tuple[Array | None, ...]:
    x, w, geometry = residuals
    dx = implementation().forward(gy, w, geometry) if needs[0] else None
    dw = implementation().grad_weight(gy, x, geometry) if needs[1] else None
    return dx, dw


def conv_transpose2d_jvp(tangents: Sequence[Array | None], x: Array, w: Array, **options: Any) -> Array:
    return bilinear_jvp(conv_transpose2d_forward, tangents, x, w, **options)


def conv_transpose2d_hvp(
    gy: Array, tangents: Sequence[Array | None], x: Array, w: Array, **options: Any
) -> tuple[Array | None, ...]:
    dx, dw = tangents
    geometry = _adjoint(x.shape, w.shape, **options)
    return (
        None if dw is None else implementation().forward(gy, dw, geometry),
        None if dx is None else implementation().grad_weight(gy, dx, geometry),
    )


def conv_transpose2d_definition(
    x: Array,
    w: Array,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, ...] = 0,
    output_padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
) -> Array:
    (sy, sx), (dy, dx), more = pair(stride, "stride"), pair(dilation, "dilation"), pair(output_padding, "", 0)
    top, bottom, left, right = quadruple(padding, "padding")
    (n, h, wide, inputs), (kh, kw, outputs, _) = x.shape, w.shape
    height, width = (h - 1) * sy + (kh - 1) * dy + 1 + more[0], (wide - 1) * sx + (kw - 1) * dx + 1 + more[1]
    full = np.zeros((n, height, width, outputs * groups), object)
    for i, j, k, l, c in np.ndindex(h, wide, kh, kw, inputs):
        first = c // (inputs // groups) * outputs
        place = full[:, i * sy + k * dy, j * sx + l * dx, first : first + outputs]
        place[...] = place + x[:, i, j, c, None] * w[k, l, :, c]
    return full[:, top : height - bottom, left : width - right]


def _examples(draw: Draw, dtype: Any) -> Example:
    groups, o, i = draw_channels(draw)
    stride, dilation = (draw.integer(1, 3), draw.integer(1, 2)), (draw.integer(1, 2), draw.integer(1, 2))
    kernel, size = (draw.integer(1, 3), draw.integer(1, 3)), (draw.integer(1, 3), draw.integer(1, 3))
    more = tuple(draw.integer(0, s - 1) for s in stride)
    cuts = []
    for n in range(2):
        full = (size[n] - 1) * stride[n] + (kernel[n] - 1) * dilation[n] + 1 + more[n]
        cuts.append(draw.integer(0, min(2, full - 1)))
        cuts.append(draw.integer(0, min(2, full - 1 - cuts[-1])))
    options = {"stride": stride, "padding": tuple(cuts), "output_padding": more, "dilation": dilation, "groups": groups}
    x = floats(draw, -1.0, 1.0, (draw.integer(1, 2), *size, groups * i), dtype)
    return (x, floats(draw, -1.0, 1.0, (*kernel, o, groups * i), dtype)), options


register(
    Primitive(
        "conv_transpose2d",
        conv_transpose2d_forward,
        conv_transpose2d_vjp,
        conv_transpose2d_jvp,
        definition=conv_transpose2d_definition,
        domain="all real numbers",
        kinks=(),
        examples=_examples,
        hvp=conv_transpose2d_hvp,
    )
)
