"""The layers of a small convolutional network; images are (n, h, w, c)."""

from __future__ import annotations

import numpy as np

from minigrad.nn.init import kaiming_normal, normal
from minigrad.nn.module import Module, Parameter
from minigrad.tensor import Tensor, apply

__all__ = ["BatchNorm", "Conv2d", "GlobalAvgPool", "Linear", "MaxPool2d", "ReLU"]


class Conv2d(Module):
    """Convolution without a bias; weights (kh, kw, in, out)."""

    def __init__(
        self,
        rng: np.random.Generator,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        stride: int = 1,
        padding: int = 0,
        dtype: type = np.float32,
    ) -> None:
        super().__init__()
        self.weight = Parameter(kaiming_normal(rng, (kernel, kernel, in_channels, out_channels), dtype))
        self.stride, self.padding = stride, padding

    def forward(self, x: Tensor) -> Tensor:
        return apply("conv2d", x, self.weight, stride=self.stride, padding=self.padding)


class Linear(Module):
    """x W + b; x (n, in), W (in, out), b (out)."""

    def __init__(self, rng: np.random.Generator, in_features: int, out_features: int, dtype: type = np.float32) -> None:
        super().__init__()
        self.weight = Parameter(normal(rng, (in_features, out_features), in_features**-0.5, dtype))
        self.bias = Parameter(np.zeros(out_features, dtype), group="norm")

    def forward(self, x: Tensor) -> Tensor:
        return apply("linear", x, self.weight) + self.bias


class BatchNorm(Module):
    """Batch normalisation of the last axis (Ioffe and Szegedy, ICML 2015).

    Running statistics move by ``momentum`` of the way towards the batch's mean and unbiased variance.
    """

    buffers = ("running_mean", "running_variance")

    def __init__(self, channels: int, *, momentum: float = 0.1, eps: float = 1e-5, dtype: type = np.float32) -> None:
        super().__init__()
        self.gamma = Parameter(np.ones(channels, dtype), group="norm")
        self.beta = Parameter(np.zeros(channels, dtype), group="norm")
        self.running_mean: np.ndarray = np.zeros(channels, dtype)
        self.running_variance: np.ndarray = np.ones(channels, dtype)
        self.momentum, self.eps = momentum, eps

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return apply(
                "affine_norm",
                x,
                self.gamma,
                self.beta,
                self.running_mean,
                self.running_variance,
                eps=self.eps,
            )
        count = x.data.size // x.shape[-1]

        def observe(mean: np.ndarray, variance: np.ndarray) -> None:
            self.running_mean += self.momentum * (mean - self.running_mean)
            self.running_variance += self.momentum * (variance * (count / (count - 1)) - self.running_variance)

        return apply("batch_norm", x, self.gamma, self.beta, eps=self.eps, observe=observe)


class ReLU(Module):
    def forward(self, x: Tensor) -> Tensor:
        return apply("relu", x)


class MaxPool2d(Module):
    """Largest element of each size x size window."""

    def __init__(self, size: int = 2) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        return apply("max_pool2d", x, size=self.size)


class GlobalAvgPool(Module):
    """(n, h, w, c) -> (n, c)."""

    def forward(self, x: Tensor) -> Tensor:
        return apply("global_avg_pool", x)
