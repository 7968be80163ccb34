"""A network of LeNet-5's size (LeCun et al., Proc. IEEE 1998, section II.B), smooth throughout.

C1 5x5 to 6 channels, S2 2x2 means, C3 5x5 to 16 channels, S4 2x2 means, C5 to 120, F6 to 84, output. What differs from
the paper: RGB input, C3 sees all maps of S2 (the paper leaves some out to save weights), the means are not scaled, and
the output is linear in place of radial basis functions. 62,006 parameters and 0.65 M MACs with 10 classes.
"""

from __future__ import annotations

import numpy as np

from minigrad.models.start import generator
from minigrad.nn import AvgPool2d, Conv2d, Flatten, Linear, Module, Sequential, make_activation

__all__ = ["lenet"]


def lenet(
    seed: int, classes: int = 10, dtype: type = np.float32, *, channels: int = 3, activation: str = "tanh"
) -> Sequential:
    """LeNet-5 for images (n, 32, 32, channels); weights drawn from the seed."""
    rng = generator(seed, classes)
    layers: list[Module] = []
    for into, out in ((channels, 6), (6, 16)):
        layers += [Conv2d(rng, into, out, 5, bias=True, dtype=dtype), make_activation(activation), AvgPool2d(2)]
    layers.append(Flatten())
    for into, out in ((16 * 5 * 5, 120), (120, 84)):
        layers += [Linear(rng, into, out, dtype), make_activation(activation)]
    return Sequential(*layers, Linear(rng, 84, classes, dtype))
