"""Residual networks for 32x32 images (He et al., CVPR 2016, section 4.2).

A 3x3 convolution, three stages of n blocks with 16, 32 and 64 channels on 32x32, 16x16 and 8x8 pixels, global average
pooling and a linear layer: 6 n + 2 layers. Every convolution is followed by batch norm; a block is two convolutions
and a shortcut that is added before the second activation. Where the channels double, the stride is 2, and the shortcut
is

- option "A", the paper's for CIFAR-10: every second pixel, the new channels zero; no parameters;
- option "B": a 1x1 convolution of stride 2 with batch norm ("projection").

Parameters and MACs of the convolutions and the linear layer, 10 classes:

    =========  ============  ==========  ============  ==========
    network    A parameters  A MACs      B parameters  B MACs
    =========  ============  ==========  ============  ==========
    resnet20   269,722       40.55 M     272,474       40.81 M
    resnet32   464,154       68.86 M     466,906       69.12 M
    resnet56   853,018       125.49 M    855,770       125.75 M
    =========  ============  ==========  ============  ==========

The paper's table 6 has 0.27 M, 0.46 M and 0.85 M parameters.
"""

from __future__ import annotations

import numpy as np

from minigrad.errors import InputError
from minigrad.models.start import generator
from minigrad.nn import BatchNorm, Conv2d, GlobalAvgPool, Identity, Linear, Module, Sequential, make_activation
from minigrad.tensor import Tensor, apply

__all__ = ["BasicBlock", "PadShortcut", "resnet20", "resnet32", "resnet56"]


class PadShortcut(Module):
    """Option A: every second pixel of (n, h, w, c), and new channels of zeros behind the others."""

    def __init__(self, new_channels: int) -> None:
        super().__init__()
        self.new_channels = new_channels

    def forward(self, x: Tensor) -> Tensor:
        return apply("pad", x[:, ::2, ::2, :], widths=((0, 0), (0, 0), (0, 0), (0, self.new_channels)))


class BasicBlock(Module):
    """Two 3x3 convolutions with batch norm, a shortcut around them, and an activation after each."""

    def __init__(
        self,
        rng: np.random.Generator,
        channels: int,
        out: int,
        *,
        shortcut: str = "A",
        activation: str = "relu",
        dtype: type = np.float32,
    ) -> None:
        super().__init__()
        stride = 1 if channels == out else 2
        self.first = Conv2d(rng, channels, out, 3, stride=stride, padding=1, dtype=dtype)
        self.first_norm = BatchNorm(out, dtype=dtype)
        self.first_activation = make_activation(activation)
        self.second = Conv2d(rng, out, out, 3, padding=1, dtype=dtype)
        self.second_norm = BatchNorm(out, dtype=dtype)
        self.shortcut: Module
        if channels == out:
            self.shortcut = Identity()
        elif shortcut == "A":
            self.shortcut = PadShortcut(out - channels)
        else:
            projection = Conv2d(rng, channels, out, 1, stride=2, dtype=dtype)
            self.shortcut = Sequential(projection, BatchNorm(out, dtype=dtype))
        self.second_activation = make_activation(activation)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first_activation(self.first_norm(self.first(x)))
        return self.second_activation(self.second_norm(self.second(y)) + self.shortcut(x))


def _resnet(blocks: int, seed: int, classes: int, dtype: type, shortcut: str, activation: str) -> Sequential:
    rng = generator(seed, classes)
    if shortcut not in ("A", "B"):
        raise InputError(f"shortcut: expected 'A' or 'B', got {shortcut!r}")
    layers: list[Module] = [
        Conv2d(rng, 3, 16, 3, padding=1, dtype=dtype),
        BatchNorm(16, dtype=dtype),
        make_activation(activation),
    ]
    channels = 16
    for out in (16, 32, 64):
        for _ in range(blocks):
            layers.append(BasicBlock(rng, channels, out, shortcut=shortcut, activation=activation, dtype=dtype))
            channels = out
    return Sequential(*layers, GlobalAvgPool(), Linear(rng, channels, classes, dtype))


def resnet20(
    seed: int, classes: int = 10, dtype: type = np.float32, *, shortcut: str = "A", activation: str = "relu"
) -> Sequential:
    """ResNet-20: three blocks a stage.

    Parameters
    ----------
    seed : int
        The weights are drawn from it: 0 <= seed < 2^64.
    classes : int
    dtype : numpy.float32 or numpy.float64
    shortcut : str
        "A" or "B", as above.
    activation : str
        A name in ``minigrad.nn.ACTIVATIONS``; with "softplus", "tanh", "gelu" or "silu" the network is smooth.

    Returns
    -------
    Sequential
        Images (n, 32, 32, 3) -> logits (n, classes); other sizes work too, since the end is a global mean.

    Raises
    ------
    InputError
        If an argument is not as stated.
    """
    return _resnet(3, seed, classes, dtype, shortcut, activation)


def resnet32(
    seed: int, classes: int = 10, dtype: type = np.float32, *, shortcut: str = "A", activation: str = "relu"
) -> Sequential:
    """ResNet-32: five blocks a stage; arguments and errors as for ``resnet20``."""
    return _resnet(5, seed, classes, dtype, shortcut, activation)


def resnet56(
    seed: int, classes: int = 10, dtype: type = np.float32, *, shortcut: str = "A", activation: str = "relu"
) -> Sequential:
    """ResNet-56: nine blocks a stage; arguments and errors as for ``resnet20``."""
    return _resnet(9, seed, classes, dtype, shortcut, activation)
