"""Pooling layers of images (n, h, w, channels)."""

from __future__ import annotations

from typing import Any

from minigrad.nn.module import Module
from minigrad.tensor import Tensor, apply

__all__ = ["AvgPool2d", "GlobalAvgPool", "GlobalMaxPool", "MaxPool2d"]

Two = int | tuple[int, int]


class _Window(Module):
    """A window of ``size`` that moves by ``stride`` (its own size by default) over the padded image."""

    primitive: str

    def __init__(self, size: Two = 2, stride: Two | None = None, padding: int | tuple[int, ...] = 0) -> None:
        super().__init__()
        self.size, self.padding = size, padding
        self.stride = size if stride is None else stride

    def options(self) -> dict[str, Any]:
        """What the primitive is called with."""
        return {"size": self.size, "stride": self.stride, "padding": self.padding}

    def forward(self, x: Tensor) -> Tensor:
        return apply(self.primitive, x, **self.options())


class MaxPool2d(_Window):
    """Largest element of each window; padding never wins."""

    primitive = "max_pool2d"


class AvgPool2d(_Window):
    """Mean of each window; padding is zeros, which ``count_include_pad`` lets count in the number divided by."""

    primitive = "avg_pool2d"

    def __init__(
        self,
        size: Two = 2,
        stride: Two | None = None,
        padding: int | tuple[int, ...] = 0,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(size, stride, padding)
        self.count_include_pad = count_include_pad

    def options(self) -> dict[str, Any]:
        return {**super().options(), "count_include_pad": self.count_include_pad}


class GlobalAvgPool(Module):
    """(n, h, w, c) -> (n, c), the mean of all pixels."""

    def forward(self, x: Tensor) -> Tensor:
        return apply("global_avg_pool", x)


class GlobalMaxPool(Module):
    """(n, h, w, c) -> (n, c), the largest of all pixels."""

    def forward(self, x: Tensor) -> Tensor:
        return apply("global_max_pool", x)
