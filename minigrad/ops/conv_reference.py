"""The three convolutions in NumPy: the meaning of the C kernels, bit for bit.

Every output element starts at +0 and takes one ``multiply_add`` a term, in the order that
``csrc/include/minigrad_kernels.h`` gives: channels in blocks of 64, within a block tap by tap, within a tap channel by
channel (the gradient of the input: taps from the last to the first); the gradient of the weights over 8 chunks of
output rows, pixel by pixel, the chunks joined pairwise. Groups are convolutions of their own; here they are an axis
before the channels.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minigrad.fused import multiply_add
from minigrad.ops.conv_geometry import Geometry

__all__ = ["BLOCK", "CHUNKS", "forward", "grad_input", "grad_weight"]

BLOCK = 64
CHUNKS = 8


def _blocks(channels: int) -> Iterator[range]:
    for first in range(0, channels, BLOCK):
        yield range(first, min(first + BLOCK, channels))


def _taps(g: Geometry) -> list[tuple[int, int]]:
    return [(ky, kx) for ky in range(g.kernel[0]) for kx in range(g.kernel[1])]


def _padded(x: np.ndarray, g: Geometry) -> np.ndarray:
    top, bottom, left, right = g.padding
    return np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))


def _grouped(a: np.ndarray, g: Geometry) -> np.ndarray:
    """The last axis, channels, as (groups, channels of a group)."""
    return a.reshape(*a.shape[:-1], g.groups, a.shape[-1] // g.groups)


def _seen_by(padded: np.ndarray, ky: int, kx: int, g: Geometry) -> np.ndarray:
    """The element of the padded images that a tap meets at every output pixel."""
    oh, ow = g.output
    y0, x0 = ky * g.dilation[0], kx * g.dilation[1]
    y1, x1 = y0 + (oh - 1) * g.stride[0] + 1, x0 + (ow - 1) * g.stride[1] + 1
    return padded[:, y0 : y1 : g.stride[0], x0 : x1 : g.stride[1]]


def forward(x: np.ndarray, w: np.ndarray, g: Geometry) -> np.ndarray:
    """Images (n, h, w, in) and weights (kh, kw, in / groups, out) -> (n, oh, ow, out)."""
    padded = _grouped(_padded(x, g), g)
    weights = _grouped(w, g)
    y = _grouped(np.zeros(g.output_shape, x.dtype), g)
    for block in _blocks(g.in_channels // g.groups):
        for ky, kx in _taps(g):
            seen = _seen_by(padded, ky, kx, g)
            for c in block:
                y = multiply_add(seen[..., c, None], weights[ky, kx, c], y)
    return y.reshape(g.output_shape)


def grad_input(dy: np.ndarray, w: np.ndarray, g: Geometry) -> np.ndarray:
    """Output gradient (n, oh, ow, out) and weights -> (n, h, w, in)."""
    dx = _grouped(np.zeros(g.input_shape, dy.dtype), g)
    weights = np.moveaxis(_grouped(w, g), 2, 3)  # (kh, kw, groups, in, out)
    sy, sx = g.stride
    # A zero border wide enough for every output index a tap can name.
    reach = (g.kernel[0] - 1) * g.dilation[0] + g.padding[0], (g.kernel[1] - 1) * g.dilation[1] + g.padding[2]
    border = g.height + reach[0], g.width + reach[1]
    padded = _grouped(np.pad(dy, ((0, 0), (border[0], border[0]), (border[1], border[1]), (0, 0))), g)
    for cy in range(min(sy, g.height)):
        for cx in range(min(sx, g.width)):
            part = np.zeros_like(dx[:, cy::sy, cx::sx])
            rows, columns = part.shape[1:3]
            for block in _blocks(g.out_channels // g.groups):
                for ky, kx in reversed(_taps(g)):
                    down, along = cy + g.padding[0] - ky * g.dilation[0], cx + g.padding[2] - kx * g.dilation[1]
                    if down % sy or along % sx:
                        continue
                    y0, x0 = down // sy + border[0], along // sx + border[1]
                    seen = padded[:, y0 : y0 + rows, x0 : x0 + columns]
                    for c in block:
                        part = multiply_add(seen[..., c, None], weights[ky, kx, ..., c], part)
            dx[:, cy::sy, cx::sx] = part
    return dx.reshape(g.input_shape)


def grad_weight(x: np.ndarray, dy: np.ndarray, g: Geometry) -> np.ndarray:
    """Images and output gradient -> (kh, kw, in / groups, out)."""
    padded = _grouped(_padded(x, g), g)
    total = g.images * g.output[0]
    taps = [_seen_by(padded, ky, kx, g) for ky, kx in _taps(g)]
    # (rows, ow, taps, groups, in)
    seen = np.stack(taps, axis=3).reshape(total, g.output[1], len(taps), *padded.shape[3:])
    gradient = _grouped(dy, g)
    rows = gradient.reshape(total, *gradient.shape[2:])
    sums = []
    for chunk in range(CHUNKS):
        part = np.zeros((*seen.shape[2:], rows.shape[-1]), x.dtype)
        for row in range(chunk * total // CHUNKS, (chunk + 1) * total // CHUNKS):
            for column in range(g.output[1]):
                part = multiply_add(seen[row, column, ..., None], rows[row, column, :, None, :], part)
        sums.append(part)
    while len(sums) > 1:
        sums = [sums[n] + sums[n + 1] for n in range(0, len(sums), 2)]
    return np.moveaxis(sums[0], 1, 2).reshape(g.weight_shape)
