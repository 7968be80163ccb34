"""What is measured: the layers, the network body they make up, and the bit widths."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from minigrad.errors import InputError
from quant.packing import WIDTHS

__all__ = ["BODY", "DEFAULT_WIDTHS", "LAYERS", "Layer", "Width", "select"]


class Layer(NamedTuple):
    """A square kernel over a square image of ``size``, padded by kernel // 2; one image, one group."""

    kernel: int
    stride: int
    in_channels: int
    out_channels: int
    size: int

    @property
    def name(self) -> str:
        channels = str(self.in_channels)
        if self.out_channels != self.in_channels:
            channels += f"-{self.out_channels}"
        stride = "" if self.stride == 1 else f"/{self.stride}"
        return f"{self.kernel}x{self.kernel}{stride} {channels} @{self.size}"

    @property
    def out_size(self) -> int:
        return (self.size + 2 * (self.kernel // 2) - self.kernel) // self.stride + 1

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the direct convolution."""
        return self.kernel**2 * self.in_channels * self.out_channels * self.out_size**2


#: The 3x3 and 1x1 layers of ResNet-18 (and ResNet-50's 1x1), then the three 3x3 of ResNet-20.
LAYERS = (
    Layer(3, 1, 64, 64, 56),
    Layer(3, 1, 128, 128, 28),
    Layer(3, 1, 256, 256, 14),
    Layer(3, 1, 512, 512, 7),
    Layer(3, 2, 64, 128, 56),
    Layer(1, 2, 64, 128, 56),
    Layer(1, 1, 64, 64, 56),
    Layer(1, 1, 128, 128, 28),
    Layer(1, 1, 256, 256, 14),
    Layer(1, 1, 512, 512, 14),
    Layer(3, 1, 16, 16, 32),
    Layer(3, 1, 32, 32, 16),
    Layer(3, 1, 64, 64, 8),
)

#: How often ResNet-18's body has each layer; its three transitions count as the first one. Figures of the body are
#: those of the layers, weighted by MACs: 1.696 G of them.
BODY = dict(zip(LAYERS[:6], (4, 3, 3, 3, 3, 3), strict=True))

_WIDTH = re.compile(r"([1-8])(?:x([12348]))?(b?)(w?)")


class Width(NamedTuple):
    """Bits of activations and weights; bipolar activations; flush counts that hold for the weights at hand."""

    activations: int
    weights: int
    bipolar: bool = False
    from_weights: bool = False

    @classmethod
    def of(cls, text: str) -> Width:
        """Of "2", "8x4" (activations by weights), "1b" (bipolar), "2w" (flush counts from the weights)."""
        found = _WIDTH.fullmatch(text)
        if found is not None:
            activations = int(found[1])
            weights = int(found[2] or activations)
            if weights in WIDTHS and not (found[3] and activations != 1):
                return cls(activations, weights, bool(found[3]), bool(found[4]))
        raise InputError(f"bits: expected such as 2, 8x4, 1b or 2w, got {text!r}")

    @property
    def name(self) -> str:
        widths = str(self.activations)
        if self.weights != self.activations:
            widths += f"x{self.weights}"
        return widths + "b" * self.bipolar + "w" * self.from_weights


DEFAULT_WIDTHS = tuple(Width.of(text) for text in ("1", "2w", "2", "3", "4", "8"))


def select(names: Sequence[str]) -> list[Layer]:
    """Layers whose name holds one of these, blanks aside: "3x3", "@56", "1x1 64 @56"; all for no name.

    Raises
    ------
    InputError
        If there is none for one of the names.
    """
    known = {layer: layer.name.replace(" ", "") for layer in LAYERS}
    wanted = [name.replace(" ", "") for name in names]
    for name in wanted:
        if not name or not any(name in text for text in known.values()):
            raise InputError(f"layers: {name!r} is part of none of {', '.join(layer.name for layer in LAYERS)}")
    return [layer for layer, text in known.items() if not wanted or any(name in text for name in wanted)]
