"""Shape of a convolution: sizes, strides, padding, dilation, groups."""

from __future__ import annotations

from dataclasses import dataclass, replace

from minigrad.errors import InputError
from minigrad.ops.arguments import is_integer

__all__ = ["Geometry", "pair", "quadruple"]


#: No stride, padding or dilation is larger.
_LARGEST = 1 << 20


def pair(value: int | tuple[int, int], name: str, least: int = 1) -> tuple[int, int]:
    """(vertical, horizontal) from one number or two, each at least ``least``."""
    two = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(two) != 2 or any(not is_integer(n) or not least <= n <= _LARGEST for n in two):
        raise InputError(f"{name}: expected one or two integers of at least {least}, got {value!r}")
    return int(two[0]), int(two[1])


def quadruple(value: int | tuple[int, ...], name: str) -> tuple[int, int, int, int]:
    """(top, bottom, left, right) from one number, (vertical, horizontal), or all four, each at least 0."""
    four = tuple(value) if isinstance(value, (tuple, list)) else (value,) * 4
    if len(four) == 2:
        four = (four[0], four[0], four[1], four[1])
    if len(four) != 4 or any(not is_integer(n) or not 0 <= n <= _LARGEST for n in four):
        raise InputError(f"{name}: expected one, two or four integers of at least 0, got {value!r}")
    return int(four[0]), int(four[1]), int(four[2]), int(four[3])


@dataclass(frozen=True)
class Geometry:
    """A convolution of images (n, h, w, in) with weights (kh, kw, in / groups, out).

    Channels in and out fall into ``groups`` runs of equal length; the outputs of a run read the inputs of the same run.
    """

    images: int
    height: int
    width: int
    in_channels: int
    kernel: tuple[int, int]
    out_channels: int
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    dilation: tuple[int, int]
    groups: int = 1

    @classmethod
    def of(
        cls,
        x: tuple[int, ...],
        w: tuple[int, ...],
        stride: int | tuple[int, int],
        padding: int | tuple[int, ...],
        dilation: int | tuple[int, int],
        groups: int = 1,
    ) -> Geometry:
        """From the shapes of the images and the weights; InputError where they do not fit. There may be no images."""
        if len(x) != 4 or len(w) != 4:
            raise InputError(
                f"conv2d: expected images (n, h, w, in) and weights (kh, kw, in / groups, out), got {x} and {w}"
            )
        if not is_integer(groups) or groups < 1 or x[3] % groups or w[3] % groups:
            raise InputError(f"conv2d: groups: expected a divisor of the channels {x[3]} and {w[3]}, got {groups!r}")
        if x[3] != w[2] * groups:
            of_groups = f" in each of {groups} groups" if groups > 1 else ""
            raise InputError(f"conv2d: the images have {x[3]} channels, the weights {w[2]}{of_groups}")
        geometry = cls(
            *x,
            (w[0], w[1]),
            w[3],
            pair(stride, "conv2d: stride"),
            quadruple(padding, "conv2d: padding"),
            pair(dilation, "conv2d: dilation"),
            int(groups),
        )
        if min(*x[1:], *w) < 1 or min(geometry.output) < 1:
            raise InputError(f"conv2d: images {x} and weights {w} give no output pixel (padding {padding})")
        return geometry

    @property
    def output(self) -> tuple[int, int]:
        """Height and width of the output."""
        top, bottom, left, right = self.padding
        reach_y = (self.kernel[0] - 1) * self.dilation[0]
        reach_x = (self.kernel[1] - 1) * self.dilation[1]
        return (
            (self.height + top + bottom - reach_y - 1) // self.stride[0] + 1,
            (self.width + left + right - reach_x - 1) // self.stride[1] + 1,
        )

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        return self.images, self.height, self.width, self.in_channels

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        return *self.kernel, self.in_channels // self.groups, self.out_channels

    @property
    def output_shape(self) -> tuple[int, int, int, int]:
        return self.images, *self.output, self.out_channels

    @property
    def part(self) -> Geometry:
        """The convolution of one group alone."""
        return replace(
            self, in_channels=self.in_channels // self.groups, out_channels=self.out_channels // self.groups, groups=1
        )

    def runs(self) -> list[tuple[slice, slice]]:
        """The channels in and out of every group."""
        i, o = self.in_channels // self.groups, self.out_channels // self.groups
        return [(slice(n * i, (n + 1) * i), slice(n * o, (n + 1) * o)) for n in range(self.groups)]
