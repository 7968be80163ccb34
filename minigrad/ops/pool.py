"""The largest element and the mean of windows of images (n, h, w, c)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from minigrad.draw import Draw, distinct, floats
from minigrad.ops.arguments import one_float_dtype
from minigrad.ops.pool_windows import Pair, Quadruple, Windows
from minigrad.primitive import Example, Kink, KinkPoint, Primitive, no_curvature, register
from minigrad.reduction import BLOCK, LANES, join_blocks

__all__ = ["avg_pool2d_forward", "max_pool2d_forward", "sum_terms"]

Array = np.ndarray
Needs = Sequence[bool]


def max_pool2d_forward(
    x: Array, size: Pair = 2, stride: Pair | None = None, padding: Quadruple = 0
) -> tuple[Array, Any]:
    """The largest element of every window, channel by channel.

    Parameters
    ----------
    x : array (n, h, w, c)
        Images of any height and width; n may be 0.
    size : int or (vertical, horizontal)
        Of a window, at least 1.
    stride : int or (vertical, horizontal)
        From one window to the next, at least 1; by default the size.
    padding : int, (vertical, horizontal) or (top, bottom, left, right)
        Rows and columns of -inf around the images, less than the size: every window has a pixel.

    Returns
    -------
    array (n, oh, ow, c)
        ``oh = (h + top + bottom - size) // stride + 1``, ow likewise; what the last window does not reach is left out.
        A zero is +0. NaN where the window has a NaN. The gradient goes to the largest element, or the NaN; of several,
        to the first, row by row.

    Raises
    ------
    InputError
        If ``x`` is not images of float32 or float64, an option is out of range, or there is no window.
    """
    windows = Windows.of("max_pool2d", x.shape, size, stride, padding)
    one_float_dtype("max_pool2d", (x,))
    padded = windows.pad(x, -np.inf)
    taps = windows.taps()
    # Adding 0 makes -0 +0: which zero NumPy's maximum returns depends on the processor.
    y = padded[next(taps)] + x.dtype.type(0)
    for tap in taps:
        np.maximum(y, padded[tap], out=y)
    y += x.dtype.type(0)
    return y, (x, y, windows)


def _winners(x: Array, y: Array, windows: Windows) -> Iterator[tuple[Any, Array]]:
    """Tap by tap: where the tap's pixel is the first that equals the window's value."""
    padded = windows.pad(x, -np.inf)
    nan = np.isnan(y)
    nan = nan if nan.any() else None
    # Among nothing but -inf the padding does not count.
    inside = windows.inside() if any(windows.padding) and (y == -np.inf).any() else None
    free: Array | None = None
    for tap in windows.taps():
        seen = padded[tap]
        wins = seen == y
        if nan is not None:
            wins |= np.isnan(seen)
        if inside is not None:
            wins &= inside[tap]
        if free is None:
            free = ~wins
        else:
            wins &= free
            free ^= wins
        yield tap, wins


def _masked(a: Array, wins: Array) -> Array:
    """``a`` where the mask holds, else +0: its bits times 0 or 1, several times as fast as a branch an element."""
    bits = a.view(np.int32 if a.dtype == np.float32 else np.int64)
    return np.multiply(bits, wins.view(np.int8)).view(a.dtype)


def max_pool2d_vjp(gy: Array, residuals: Any, needs: Needs) -> tuple[Array | None, ...]:
    x, y, windows = residuals
    dx = np.zeros(windows.padded_shape, gy.dtype)
    for tap, wins in _winners(x, y, windows):
        if windows.overlap:  # a pixel's windows are added in the order of the tap at which they meet it
            dx[tap] += _masked(gy, wins)
        else:
            dx[tap] = _masked(gy, wins)
    return (windows.crop(dx),)


def max_pool2d_jvp(
    tangents: Sequence[Any], x: Array, size: Pair = 2, stride: Pair | None = None, padding: Quadruple = 0
) -> Array:
    y, (_, _, windows) = max_pool2d_forward(x, size, stride, padding)
    tangent = windows.pad(tangents[0], 0.0)
    dy = np.zeros_like(y)
    for tap, wins in _winners(x, y, windows):
        dy += _masked(tangent[tap], wins)
    return dy


def sum_terms(terms: Sequence[Array]) -> Array:
    """``tree_sum`` of arrays that are not stacked: the same additions, less those of missing terms."""
    blocks = []
    for first in range(0, len(terms), BLOCK):
        block = terms[first : first + BLOCK]
        lanes = [term + term.dtype.type(0) for term in block[:LANES]]
        for n, term in enumerate(block[LANES:]):
            lanes[n % LANES] += term
        width = LANES
        while width > 1:
            width //= 2
            for n, term in enumerate(lanes[width:]):
                lanes[n] += term
            lanes = lanes[:width]
        blocks.append(lanes[0])
    return blocks[0] if len(blocks) == 1 else join_blocks(np.stack(blocks))


def _divisor(windows: Windows, count_include_pad: bool, dtype: Any) -> Any:
    """How many pixels each window averages: a number, or one for each output pixel."""
    if count_include_pad or not any(windows.padding):
        return dtype.type(windows.size[0] * windows.size[1])
    inside = windows.inside()
    count = np.zeros((1, *windows.output, 1), np.int64)
    for tap in windows.taps():
        count += inside[tap]
    return count.astype(dtype)


def avg_pool2d_forward(
    x: Array, size: Pair = 2, stride: Pair | None = None, padding: Quadruple = 0, count_include_pad: bool = True
) -> tuple[Array, Any]:
    """The mean of every window, channel by channel.

    The window's pixels are added by the tree of ``minigrad.reduction``, row by row, and divided by their number.

    Parameters
    ----------
    x : array (n, h, w, c)
        Images of any height and width; n may be 0.
    size : int or (vertical, horizontal)
        Of a window, at least 1.
    stride : int or (vertical, horizontal)
        From one window to the next, at least 1; by default the size.
    padding : int, (vertical, horizontal) or (top, bottom, left, right)
        Rows and columns of zeros around the images, less than the size: every window has a pixel.
    count_include_pad : bool
        Whether the padding counts in the number that is divided by.

    Returns
    -------
    array (n, oh, ow, c)
        ``oh = (h + top + bottom - size) // stride + 1``, ow likewise; what the last window does not reach is left out.

    Raises
    ------
    InputError
        If ``x`` is not images of float32 or float64, an option is out of range, or there is no window.
    """
    windows = Windows.of("avg_pool2d", x.shape, size, stride, padding)
    one_float_dtype("avg_pool2d", (x,))
    padded = windows.pad(x, 0.0)
    divisor = _divisor(windows, count_include_pad, x.dtype)
    return sum_terms([padded[tap] for tap in windows.taps()]) / divisor, (windows, divisor)


def avg_pool2d_vjp(gy: Array, residuals: Any, needs: Needs) -> tuple[Array | None, ...]:
    windows, divisor = residuals
    share = gy / divisor
    if windows.tile:
        return (np.repeat(np.repeat(share, windows.size[0], axis=1), windows.size[1], axis=2),)
    dx = np.zeros(windows.padded_shape, gy.dtype)
    for tap in windows.taps():
        if windows.overlap:  # a pixel's windows are added in the order of the tap at which they meet it
            dx[tap] += share
        else:
            dx[tap] = share
    return (windows.crop(dx),)


def avg_pool2d_jvp(tangents: Sequence[Any], x: Array, **options: Any) -> Array:
    return avg_pool2d_forward(tangents[0], **options)[0]


def _pixels(x: Array, windows: Windows, i: int, oy: int, ox: int, c: int) -> list[Any]:
    """The image's pixels in one window, one at a time."""
    y0, x0 = oy * windows.stride[0] - windows.padding[0], ox * windows.stride[1] - windows.padding[2]
    rows = [y for y in range(y0, y0 + windows.size[0]) if 0 <= y < x.shape[1]]
    columns = [k for k in range(x0, x0 + windows.size[1]) if 0 <= k < x.shape[2]]
    return [x[i, y, k, c] for y in rows for k in columns]


def max_pool2d_definition(x: Array, size: Pair = 2, stride: Pair | None = None, padding: Quadruple = 0) -> Array:
    windows = Windows.of("max_pool2d", x.shape, size, stride, padding)
    y = np.empty(windows.output_shape, object)
    for index in np.ndindex(*y.shape):
        y[index] = max(_pixels(x, windows, *index))
    return y


def avg_pool2d_definition(
    x: Array, size: Pair = 2, stride: Pair | None = None, padding: Quadruple = 0, count_include_pad: bool = True
) -> Array:
    windows = Windows.of("avg_pool2d", x.shape, size, stride, padding)
    y = np.empty(windows.output_shape, object)
    for index in np.ndindex(*y.shape):
        pixels = _pixels(x, windows, *index)
        y[index] = sum(pixels) / (windows.size[0] * windows.size[1] if count_include_pad else len(pixels))
    return y


def _draw_windows(draw: Draw) -> tuple[tuple[int, int, int, int], dict[str, Any]]:
    size = (draw.integer(1, 3), draw.integer(1, 3))
    options = {
        "size": size,
        "stride": draw.choice([None, (draw.integer(1, 4), draw.integer(1, 3))]),
        "padding": tuple(draw.integer(0, size[n // 2] - 1) for n in range(4)),
    }
    return (draw.integer(1, 2), draw.integer(3, 5), draw.integer(3, 5), 1), options


def _max_examples(draw: Draw, dtype: Any) -> Example:
    shape, options = _draw_windows(draw)
    x = distinct(draw, shape).astype(dtype)
    return (draw.choice([x, x.swapaxes(1, 2)]),), options


def _avg_examples(draw: Draw, dtype: Any) -> Example:
    shape, options = _draw_windows(draw)
    x = floats(draw, -2.0, 2.0, shape, dtype)
    return (draw.choice([x, x.swapaxes(1, 2)]),), {**options, "count_include_pad": draw.choice([True, False])}


def _tie(draw: Draw, dtype: Any) -> KinkPoint:
    """Two equal largest pixels of a window of 2 x 2, alone or among windows that overlap."""
    stride, padding = draw.choice([None, 1]), draw.integer(0, 1)
    x = distinct(draw, (1, 4, 4, 1))
    # Windows begin at even pixels without padding, at odd ones with it, and everywhere with stride 1.
    step, start = (2, padding) if stride is None else (1, 0)
    corner = [start + step * draw.integer(0, (2 - start) // step) for _ in range(2)]
    first, second = (divmod(int(n), 2) for n in draw.permutation(4)[:2])
    places = [(0, corner[0] + y, corner[1] + k, 0) for y, k in (first, second)]
    for place in places:
        x[place] = 8.0
    options = {"size": 2, "stride": stride, "padding": padding}
    return KinkPoint((x.astype(dtype),), options, 0, places[0], float(first < second))


register(
    Primitive(
        "max_pool2d",
        max_pool2d_forward,
        max_pool2d_vjp,
        max_pool2d_jvp,
        definition=max_pool2d_definition,
        domain="all real numbers",
        kinks=(Kink("several largest elements in a window", "the first of them gets all", _tie),),
        examples=_max_examples,
        hvp=no_curvature,
    )
)
register(
    Primitive(
        "avg_pool2d",
        avg_pool2d_forward,
        avg_pool2d_vjp,
        avg_pool2d_jvp,
        definition=avg_pool2d_definition,
        domain="all real numbers",
        kinks=(),
        examples=_avg_examples,
        hvp=no_curvature,
    )
)
