"""What a measured layer computes: random operands, and those that fill the lanes of its kernel."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from quant.integer import Conv2d, Requantize, Thresholds
from quant.runtime import Epilogue
from verify.kernels.bench.layers import Layer, Width

__all__ = ["OPERANDS", "epilogue_for", "operands"]

#: Names of the operands, in the order of ``operands``; the first are those that are counted.
OPERANDS = ("random", "least weights", "largest weights", "signs of tiles")

#: Signs along a row or a column, every 4 pixels, that make a transformed activation of F(2, 3) as large as it gets.
_ROW_SIGNS = np.array([[1, 1, -1, -1], [1, 1, 1, 1], [1, -1, 1, -1], [1, -1, -1, 1]])
#: Signs of three taps that do the same for a transformed weight.
_TAP_SIGNS = np.array([[1, 1, 1], [1, -1, 1]])


def _conv(layer: Layer, width: Width, codes: np.ndarray) -> Conv2d:
    """The convolution of these codes of weights."""
    border = layer.kernel // 2
    return Conv2d(
        codes,
        width.weights,
        width.activations,
        stride=(layer.stride, layer.stride),
        pads=(border,) * 4,
        bipolar=width.bipolar,
    )


def operands(layer: Layer, width: Width, seed: int = 0) -> Iterator[tuple[Conv2d, np.ndarray]]:
    """Convolutions with their inputs (1, size, size, channels), as named in ``OPERANDS``."""
    rng = np.random.default_rng(seed)
    weights = (layer.out_channels, layer.kernel, layer.kernel, layer.in_channels)
    image = (1, layer.size, layer.size, layer.in_channels)
    top, most = (1 << width.activations) - 1, (1 << width.weights) - 1
    yield (
        _conv(layer, width, rng.integers(0, most, weights, np.uint8, endpoint=True)),
        rng.integers(0, top, image, np.uint8, endpoint=True),
    )
    for code in (0, most):
        yield _conv(layer, width, np.full(weights, code, np.uint8)), np.full(image, top, np.uint8)
    yield (
        _conv(
            layer, width, np.where(_signs_of_taps(layer)[..., None] > 0, most, 0).astype(np.uint8).repeat(weights[3], 3)
        ),
        np.where(_signs_of_image(layer.size)[None, :, :, None] > 0, top, 0).astype(np.uint8).repeat(image[3], 3),
    )


def _signs_of_image(size: int) -> np.ndarray:
    """Each pattern of rows with each of columns, each in its part of the image."""
    place = np.arange(size)
    line = _ROW_SIGNS[place * len(_ROW_SIGNS) // size, place % 4]
    return np.multiply.outer(line, line)


def _signs_of_taps(layer: Layer) -> np.ndarray:
    """(OC, kernel, kernel): each pattern of rows with each of columns and each sign, channel after channel."""
    o = np.arange(layer.out_channels)
    taps = np.resize(_TAP_SIGNS.T, (layer.kernel, 2)).T
    return taps[o % 2][:, :, None] * taps[o // 2 % 2][:, None, :] * np.where(o // 4 % 2, -1, 1)[:, None, None]


def epilogue_for(sums: np.ndarray, width: Width, mixed: bool = False, seed: int = 0) -> Epilogue:
    """To codes as wide as the activations, spread over these sums: thresholds up to 4 bits, requantization above.

    Thresholds ascend, or, mixed, descend in a third of the channels.
    """
    rng = np.random.default_rng(seed)
    channels = sums.shape[-1]
    spread = max(1.0, float(sums.std()))
    if width.activations > 4:
        # multipliers of 31 bits, as requantization is normalized
        scale = (1 << width.activations) / (4 * spread) * rng.uniform(0.5, 2, channels)
        exponent = np.frexp(scale)[1]
        multiplier = np.minimum(np.rint(np.ldexp(scale, 31 - exponent)), 2**31 - 1).astype(np.int32)
        shift = (31 - exponent).astype(np.uint8)
        zero, high = 1 << (width.activations - 1), (1 << width.activations) - 1
        return Requantize(multiplier, shift, 0, high, None, zero, "half_up")
    levels = (1 << width.activations) - 1
    steps = np.linspace(-1.5, 1.5, levels + 2)[1:-1] + rng.uniform(-0.3, 0.3, (channels, levels))
    direction = rng.choice(np.array([1, 1, -1 if mixed else 1], np.int8), channels)
    table = np.rint(float(sums.mean()) * direction[:, None] + spread * steps)
    return Thresholds(np.sort(table, axis=1).astype(np.int32), direction, width.activations)
