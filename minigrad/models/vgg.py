"""VGG-Small, the network of the quantization literature for 32x32 images.

2 x (128 C3) - MP2 - 2 x (256 C3) - MP2 - 2 x (512 C3) - MP2 - FC: six 3x3 convolutions with batch norm and ReLU, the
pooling of each pair before its batch norm, one linear layer; as in LQ-Nets (Zhang et al., ECCV 2018) and its published
code, after HWGQ (Cai et al., CVPR 2017). 4,660,106 parameters (4.66 M) and 607.6 M MACs with 10 classes.
"""

from __future__ import annotations

import numpy as np

from minigrad.models.start import generator
from minigrad.nn import BatchNorm, Conv2d, Flatten, Linear, MaxPool2d, Module, Sequential, make_activation

__all__ = ["vgg_small"]

_CHANNELS = (128, 128, 256, 256, 512, 512)


def vgg_small(seed: int, classes: int = 10, dtype: type = np.float32, *, activation: str = "relu") -> Sequential:
    """VGG-Small for images (n, 32, 32, 3); weights drawn from the seed.

    ``activation`` is a name in ``minigrad.nn.ACTIVATIONS``.

    Raises
    ------
    InputError
        If the seed is not a 64-bit number, there is no class, or no such activation.
    """
    rng = generator(seed, classes)
    layers: list[Module] = []
    channels = 3
    for n, out in enumerate(_CHANNELS):
        layers.append(Conv2d(rng, channels, out, 3, padding=1, dtype=dtype))
        if n % 2:
            layers.append(MaxPool2d(2))
        layers += [BatchNorm(out, dtype=dtype), make_activation(activation)]
        channels = out
    return Sequential(*layers, Flatten(), Linear(rng, channels * 4 * 4, classes, dtype))
