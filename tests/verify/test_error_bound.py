"""The bound of float32's error: its terms in rational numbers, and what is flagged by it."""

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from minigrad.nn import BatchNorm, Conv2d
from quant import integer
from quant.dsq import DSQ
from quant.evaluation import Epilogue, HardLayer
from quant.layers import QConv2d
from verify import forward
from verify.forward import LayerComparison

CHANNELS = 130  # two blocks of 64 and a rest
U = Fraction(1, 1 << 24)


def wide_layer(rng: np.random.Generator) -> HardLayer:
    weight, following = DSQ(2), DSQ(3, "positive")
    weight.u.data[...] = 0.3
    conv = QConv2d(Conv2d(rng, CHANNELS, 2, 3, stride=2, padding=1), weight=weight, activation=None)
    codes = weight.codes(conv.weight.data).transpose(3, 0, 1, 2)
    accumulate = integer.Conv2d(np.ascontiguousarray(codes), 2, 2, stride=(2, 2), pads=(1, 1, 1, 1))
    numbers = rng.uniform(0.5, 2, (4, 2))
    epilogue = Epilogue(0.01, numbers[0], numbers[1], -numbers[2], numbers[3], step=0.07, bits=3)
    return HardLayer("conv1", accumulate, epilogue, conv, BatchNorm(2), following)


def by_rationals(layer: HardLayer, codes: np.ndarray, accumulator: int, index: tuple[int, ...]) -> Fraction:
    """The bound of the module's docstring: real levels are (2 j - 3) u / 3 and code u / 3, float32's are rounded."""
    image, row, column, channel = index
    quantizer = layer.conv.weight_quantizer
    assert isinstance(quantizer, DSQ)
    u, single = Fraction(float(quantizer.u.data)), quantizer.levels()
    rounding, sums, total = Fraction(0), Fraction(0), Fraction(0)
    for first in range(0, CHANNELS, 64):
        for ky in range(3):
            for kx in range(3):
                y, x = 2 * row + ky - 1, 2 * column + kx - 1
                if not (0 <= y < codes.shape[1] and 0 <= x < codes.shape[2]):
                    continue  # a sum that stays where it is: counted below
                for c in range(first, min(first + 64, CHANNELS)):
                    j = int(layer.accumulate.weight_codes[channel, ky, kx, c])
                    code = int(codes[image, y, x, c])
                    t = Fraction(float(single[j])) * Fraction(float(LEVELS[code]))
                    rounding += abs(t - (2 * j - 3) * u / 3 * code * ACTIVATION_U / 3)
                    total += t
                    sums += abs(total)
    e = layer.epilogue
    scale, mean, inverse, gamma, beta, step = (
        Fraction(float(v))
        for v in (e.scale, e.mean[channel], e.inverse[channel], e.gamma[channel], e.beta[channel], e.step)
    )
    off = accumulator * scale - mean
    size = abs(off * inverse * gamma + beta)
    in_y = abs(gamma * inverse) * (rounding + U * sums + 8 * U * abs(off)) + 2 * U * size
    return in_y / step + 5 * U * (size / step + 1)


ACTIVATION_U = Fraction(float(np.float32(0.7)))
LEVELS = DSQ(2, "positive")
