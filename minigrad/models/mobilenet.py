"""MobileNetV2 for 32x32 images (Sandler et al., CVPR 2018, table 2).

Inverted residuals: a 1x1 convolution widens t times, a 3x3 depthwise convolution filters, a 1x1 convolution narrows and
is not followed by an activation ("linear bottleneck"); input and output are added where they have the same shape. Every
convolution is followed by batch norm, all but the narrowing ones by ReLU6.

The paper's network is for 224x224 images and ends at 7x7 pixels. For 32x32 images two of its five strides of 2 are 1
here: that of the first convolution and that of the stage with 24 channels, so that the last stages see 4x4 pixels.
With 10 classes it has 2,236,682 parameters and 87.98 M MACs; with both strides 2 and 1,000 classes it is the paper's
network, 3.4 M parameters and 300 M MACs on 224x224 images.
"""

from __future__ import annotations

import numpy as np

from minigrad.errors import InputError
from minigrad.models.start import generator
from minigrad.nn import BatchNorm, Conv2d, Dropout, GlobalAvgPool, Linear, Module, Sequential, make_activation
from minigrad.tensor import Tensor

__all__ = ["InvertedResidual", "mobilenet_v2"]

#: (expansion t, channels c, blocks n, stride s of the first block) of each stage: the paper's table 2.
_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


def _widened(channels: int, width: float) -> int:
    """The nearest multiple of 8, at least 8 and at most a tenth below ``channels * width`` (as the paper's code)."""
    wanted = channels * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * wanted else rounded + 8


class InvertedResidual(Module):
    """Widen, filter a channel at a time, narrow; added to the input where the shapes allow it."""

    def __init__(
        self,
        rng: np.random.Generator,
        channels: int,
        out: int,
        *,
        expansion: int,
        stride: int,
        activation: str = "relu6",
        dtype: type = np.float32,
    ) -> None:
        super().__init__()
        wide = channels * expansion
        layers: list[Module] = []
        if expansion != 1:
            layers += _convolution(rng, channels, wide, 1, activation, dtype)
        layers += _convolution(rng, wide, wide, 3, activation, dtype, stride=stride, groups=wide)
        layers += [Conv2d(rng, wide, out, 1, dtype=dtype), BatchNorm(out, dtype=dtype)]
        self.branch = Sequential(*layers)
        self.added = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        y = self.branch(x)
        return x + y if self.added else y


def _convolution(
    rng: np.random.Generator,
    channels: int,
    out: int,
    kernel: int,
    activation: str,
    dtype: type,
    *,
    stride: int = 1,
    groups: int = 1,
) -> list[Module]:
    conv = Conv2d(rng, channels, out, kernel, stride=stride, padding=kernel // 2, groups=groups, dtype=dtype)
    return [conv, BatchNorm(out, dtype=dtype), make_activation(activation)]


def mobilenet_v2(
    seed: int,
    classes: int = 10,
    dtype: type = np.float32,
    *,
    width: float = 1.0,
    activation: str = "relu6",
    dropout: float = 0.0,
    early_strides: tuple[int, int] = (1, 1),
) -> Sequential:
    """MobileNetV2 for images (n, 32, 32, 3); weights drawn from the seed.

    Parameters
    ----------
    seed : int
        0 <= seed < 2^64; the dropout's masks follow from it too.
    classes : int
    dtype : numpy.float32 or numpy.float64
    width : float
        Multiplies the channels, which are then rounded to multiples of 8; the last convolution never has less than
        1,280.
    activation : str
        A name in ``minigrad.nn.ACTIVATIONS``.
    dropout : float
        Rate of a dropout before the linear layer; 0 for none.
    early_strides : (int, int)
        Strides of the first convolution and of the stage with 24 channels; (2, 2) is the paper's.

    Raises
    ------
    InputError
        If an argument is not as stated.
    """
    rng = generator(seed, classes)
    if not 0 < width < float("inf"):
        raise InputError(f"width: expected a finite number above 0, got {width!r}")
    channels = _widened(32, width)
    layers = _convolution(rng, 3, channels, 3, activation, dtype, stride=early_strides[0])
    for number, (expansion, out, blocks, stride) in enumerate(_STAGES):
        first_stride = early_strides[1] if number == 1 else stride
        for block in range(blocks):
            layers.append(
                InvertedResidual(
                    rng,
                    channels,
                    _widened(out, width),
                    expansion=expansion,
                    stride=first_stride if block == 0 else 1,
                    activation=activation,
                    dtype=dtype,
                )
            )
            channels = _widened(out, width)
    last = _widened(1280, max(1.0, width))
    layers += _convolution(rng, channels, last, 1, activation, dtype)
    layers.append(GlobalAvgPool())
    if dropout:
        layers.append(Dropout(dropout, seed=seed))
    return Sequential(*layers, Linear(rng, last, classes, dtype))
