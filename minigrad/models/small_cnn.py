"""A small convolutional network for 32x32 RGB images: five 3x3 convolutions, 76,000 weights, 7.5 million MACs."""

from __future__ import annotations

import numpy as np

from minigrad.models.start import generator
from minigrad.nn import BatchNorm, Conv2d, GlobalAvgPool, Linear, Module, ReLU, Sequential

__all__ = ["small_cnn"]

#: (channels, stride) of each convolution.
_BLOCKS = ((16, 1), (32, 2), (32, 1), (64, 2), (64, 1))


def small_cnn(seed: int, classes: int = 10, dtype: type = np.float32) -> Sequential:
    """Conv 16@32, 32@16, 32@16, 64@8, 64@8, each with batch norm and ReLU, then global average pooling and a linear
    layer; weights drawn from the seed."""
    rng = generator(seed, classes)
    layers: list[Module] = []
    channels = 3
    for out, stride in _BLOCKS:
        layers += [Conv2d(rng, channels, out, 3, stride=stride, padding=1, dtype=dtype)]
        layers += [BatchNorm(out, dtype=dtype), ReLU()]
        channels = out
    return Sequential(*layers, GlobalAvgPool(), Linear(rng, channels, classes, dtype))
