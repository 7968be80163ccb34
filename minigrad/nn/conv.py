"""Convolutions of images (n, h, w, channels)."""

from __future__ import annotations

import numpy as np

from minigrad.errors import InputError
from minigrad.nn.arguments import checked_size
from minigrad.nn.init import kaiming_normal, normal
from minigrad.nn.module import Module, Parameter
from minigrad.ops.arguments import is_integer
from minigrad.ops.conv_geometry import pair
from minigrad.tensor import Tensor, apply

__all__ = ["Conv2d", "ConvTranspose2d"]


def _checked_groups(in_channels: int, out_channels: int, groups: int) -> int:
    checked_size("in_channels", in_channels), checked_size("out_channels", out_channels)
    if not is_integer(groups) or groups < 1 or in_channels % groups or out_channels % groups:
        raise InputError(f"groups: expected a divisor of {in_channels} and of {out_channels} channels, got {groups}")
    return groups


class Conv2d(Module):
    """Convolution of images with weights (kh, kw, in / groups, out), and a bias (out,) where asked for.

    Parameters
    ----------
    rng : numpy.random.Generator
        The weights are drawn from it: normal, variance 2 / fan-in (He et al., ICCV 2015, eq 10). The bias starts at 0.
    in_channels, out_channels : int
    kernel : int or (height, width)
    stride, dilation : int or (vertical, horizontal)
    padding : int, (vertical, horizontal) or (top, bottom, left, right)
    groups : int
        A divisor of both channels; ``in_channels`` for a depthwise convolution.
    bias : bool
    dtype : numpy.float32 or numpy.float64

    Raises
    ------
    InputError
        If the groups do not divide the channels, or a size is no whole number of at least 1.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        in_channels: int,
        out_channels: int,
        kernel: int | tuple[int, int],
        *,
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, ...] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = False,
        dtype: type = np.float32,
    ) -> None:
        super().__init__()
        self.stride, self.padding, self.dilation = stride, padding, dilation
        self.groups = _checked_groups(in_channels, out_channels, groups)
        shape = (*pair(kernel, "kernel"), in_channels // groups, out_channels)
        self.weight = Parameter(kaiming_normal(rng, shape, dtype))
        self.bias = Parameter(np.zeros(out_channels, dtype), group="norm") if bias else None

    def forward(self, x: Tensor) -> Tensor:
        y = apply(
            "conv2d",
            x,
            self.weight,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
        )
        return y if self.bias is None else y + self.bias

    def macs(self, x: tuple[int, ...], y: tuple[int, ...]) -> int:
        """Multiplications of a run from shape x to shape y; those with the padding's zeros count."""
        kh, kw, channels, _ = self.weight.shape
        return int(np.prod(y)) * kh * kw * channels


class ConvTranspose2d(Module):
    """The adjoint of a convolution: from ``in_channels`` to ``out_channels`` and, with a stride, to a larger image.

    The weights (kh, kw, out / groups, in) are those of the convolution it is the adjoint of; they are drawn with
    variance 2 / terms, where terms is how many products an output element sums on average:
    ``kh kw in / (groups stride_y stride_x)``. The options are the convolution's too (see ``Conv2d``).

    Raises
    ------
    InputError
        If the groups do not divide the channels, or a size is no whole number of at least 1.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        in_channels: int,
        out_channels: int,
        kernel: int | tuple[int, int],
        *,
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, ...] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = False,
        dtype: type = np.float32,
    ) -> None:
        super().__init__()
        self.stride, self.padding, self.dilation = stride, padding, dilation
        self.groups = _checked_groups(in_channels, out_channels, groups)
        shape = (*pair(kernel, "kernel"), out_channels // groups, in_channels)
        (kh, kw), (sy, sx) = pair(kernel, "kernel"), pair(stride, "stride")
        terms = kh * kw * in_channels / (groups * sy * sx)
        self.weight = Parameter(normal(rng, shape, float(np.sqrt(2.0 / terms)), dtype))
        self.bias = Parameter(np.zeros(out_channels, dtype), group="norm") if bias else None

    def forward(self, x: Tensor) -> Tensor:
        y = apply(
            "conv_transpose2d",
            x,
            self.weight,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
        )
        return y if self.bias is None else y + self.bias

    def macs(self, x: tuple[int, ...], y: tuple[int, ...]) -> int:
        """Multiplications of a run from shape x to shape y; those that fall into the padding count."""
        kh, kw, channels, _ = self.weight.shape
        return int(np.prod(x)) * kh * kw * channels
