"""``minigrad bench floats``: the float kernels and NumPy side by side in one run.

Times are minima of interleaved rounds. Machines are noisy: read the ratios.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from minigrad.ops import conv_kernels, conv_reference
from minigrad.ops.conv_geometry import Geometry
from quant import dsq
from quant.dsq import kernels

__all__ = ["bench_floats"]

#: height = width, channels in and out, stride: the layers of the small network.
LAYERS = ((32, 3, 16, 1), (32, 16, 32, 2), (16, 32, 32, 1), (16, 32, 64, 2), (8, 64, 64, 1))
#: height = width, channels, stride: depthwise layers of MobileNetV2 for 32x32 images.
DEPTHWISE = ((32, 96, 1), (32, 144, 2), (16, 192, 1), (8, 384, 1), (4, 960, 1))
_BATCH = 64
_ROUNDS = 7


def _interleaved(*functions: Callable[[], object]) -> list[float]:
    best = [np.inf] * len(functions)
    for _ in range(_ROUNDS):
        for n, function in enumerate(functions):
            start = time.perf_counter()
            function()
            best[n] = min(best[n], time.perf_counter() - start)
    return best


def _by_blas(x: np.ndarray, w: np.ndarray, g: Geometry) -> np.ndarray:
    """Columns and a matrix product: what NumPy users write."""
    top, bottom, left, right = g.padding
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    windows = sliding_window_view(padded, g.kernel, axis=(1, 2))[:, :: g.stride[0], :: g.stride[1]]
    columns = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, w[..., 0].size)
    return (columns @ w.reshape(-1, w.shape[-1])).reshape(g.output_shape)


def convolutions() -> None:
    """Float32 convolution: C against columns and BLAS, and against the reference (a batch of 1)."""
    print(f"float32 convolution 3x3, batch {_BATCH}: GFLOP/s of C; how many times faster than NumPy's")
    print(f"{'layer':<20}{'forward':>9}{'dx':>7}{'dw':>7}{'columns + BLAS':>17}{'reference':>12}")
    rng = np.random.default_rng(0)
    for size, ic, oc, stride in LAYERS:
        g = Geometry.of((_BATCH, size, size, ic), (3, 3, ic, oc), stride, 1, 1)
        one = Geometry.of((1, size, size, ic), (3, 3, ic, oc), stride, 1, 1)
        x, w, dy = (rng.standard_normal(s).astype(np.float32) for s in (g.input_shape, g.weight_shape, g.output_shape))
        forward, dx, dw, blas, single, reference = _interleaved(
            partial(conv_kernels.forward, x, w, g),
            partial(conv_kernels.grad_input, dy, w, g),
            partial(conv_kernels.grad_weight, x, dy, g),
            partial(_by_blas, x, w, g),
            partial(conv_kernels.forward, x[:1], w, one),
            partial(conv_reference.forward, x[:1], w, one),
        )
        flop = 2.0 * 9 * ic * np.prod(g.output_shape)
        rates = "".join(f"{flop / t / 1e9:>{width}.0f}" for t, width in ((forward, 9), (dx, 7), (dw, 7)))
        print(f"{f'{ic} to {oc} @{size} /{stride}':<20}{rates}{blas / forward:>16.1f}x{reference / single:>11.0f}x")


def _by_taps(x: np.ndarray, w: np.ndarray, g: Geometry) -> np.ndarray:
    """A depthwise convolution as NumPy users write it: a product and a sum a tap."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    (oh, ow), (sy, sx) = g.output, g.stride
    y = np.zeros(g.output_shape, x.dtype)
    for ky, kx in np.ndindex(*g.kernel):
        y += padded[:, ky : ky + (oh - 1) * sy + 1 : sy, kx : kx + (ow - 1) * sx + 1 : sx] * w[ky, kx, 0]
    return y


def depthwise() -> None:
    """Float32 depthwise convolution: C against a product and a sum a tap in NumPy."""
    print(f"\nfloat32 depthwise convolution 3x3, batch {_BATCH}: GFLOP/s of C; how many times faster than NumPy's")
    print(f"{'layer':<20}{'forward':>9}{'dx':>7}{'dw':>7}{'taps in NumPy':>17}")
    rng = np.random.default_rng(0)
    for size, channels, stride in DEPTHWISE:
        g = Geometry.of((_BATCH, size, size, channels), (3, 3, 1, channels), stride, 1, 1, channels)
        x, w, dy = (rng.standard_normal(s).astype(np.float32) for s in (g.input_shape, g.weight_shape, g.output_shape))
        forward, dx, dw, taps = _interleaved(
            partial(conv_kernels.forward, x, w, g),
            partial(conv_kernels.grad_input, dy, w, g),
            partial(conv_kernels.grad_weight, x, dy, g),
            partial(_by_taps, x, w, g),
        )
        flop = 2.0 * 9 * np.prod(g.output_shape)
        rates = "".join(f"{flop / t / 1e9:>{width}.0f}" for t, width in ((forward, 9), (dx, 7), (dw, 7)))
        print(f"{f'{channels} @{size} /{stride}':<20}{rates}{taps / forward:>16.1f}x")


def quantizers() -> None:
    """DSQ, a million float32 elements: C against the formulas in NumPy."""
    rng = np.random.default_rng(0)
    x, gy = (rng.standard_normal(1 << 20).astype(np.float32) for _ in range(2))
    p = (-1.0, 1.0, 0.2, 2)
    c_hard, c_vjp, hard, vjp = _interleaved(
        lambda: kernels.hard(x, *p),
        lambda: kernels.vjp(gy, x, *p, q="hard"),
        lambda: dsq.hard(x, *p),
        lambda: dsq.hard_vjp(gy, x, *p),
    )
    print("\nDSQ 2 bit, ns an element: C, and how many times faster than NumPy")
    for name, c, numpy in (("hard forward", c_hard, hard), ("all gradients", c_vjp, vjp)):
        print(f"{name:<20}{c / x.size * 1e9:>9.2f}{numpy / c:>9.1f}x")


def bench_floats() -> None:
    """All of them, printed."""
    convolutions()
    depthwise()
    quantizers()
