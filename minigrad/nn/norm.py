"""Normalisation layers."""

from __future__ import annotations

import numpy as np

from minigrad.errors import InputError
from minigrad.nn.arguments import checked_size
from minigrad.nn.module import Module, Parameter
from minigrad.ops.arguments import is_integer, is_number
from minigrad.tensor import Tensor, apply

__all__ = ["BatchNorm", "GroupNorm", "LayerNorm"]


class BatchNorm(Module):
    """Batch normalisation of the last axis (Ioffe and Szegedy, ICML 2015).

    Running statistics move by ``momentum`` of the way towards the batch's mean and unbiased variance.

    Raises
    ------
    InputError
        If ``channels`` is no whole number of at least 1, or ``momentum`` is not in [0, 1].
    """

    buffers = ("running_mean", "running_variance")

    def __init__(self, channels: int, *, momentum: float = 0.1, eps: float = 1e-5, dtype: type = np.float32) -> None:
        super().__init__()
        checked_size("channels", channels)
        if not is_number(momentum) or not 0 <= momentum <= 1:
            raise InputError(f"momentum: expected 0 <= momentum <= 1, got {momentum!r}")
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
        count = int(np.prod(x.shape[:-1]))

        def observe(mean: np.ndarray, variance: np.ndarray) -> None:
            self.running_mean += self.momentum * (mean - self.running_mean)
            self.running_variance += self.momentum * (variance * (count / (count - 1)) - self.running_variance)

        return apply("batch_norm", x, self.gamma, self.beta, eps=self.eps, observe=observe)


class LayerNorm(Module):
    """Layer normalisation of the last axis, or of the last ones (Ba, Kiros and Hinton, arXiv:1607.06450).

    ``shape`` is that of the normalised axes.
    """

    def __init__(self, shape: int | tuple[int, ...], *, eps: float = 1e-5, dtype: type = np.float32) -> None:
        super().__init__()
        self.gamma = Parameter(np.ones(shape, dtype), group="norm")
        self.beta = Parameter(np.zeros(shape, dtype), group="norm")
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return apply("layer_norm", x, self.gamma, self.beta, eps=self.eps)


class GroupNorm(Module):
    """Group normalisation of images (n, h, w, channels) (Wu and He, ECCV 2018).

    Raises
    ------
    InputError
        If the groups do not divide the channels.
    """

    def __init__(self, groups: int, channels: int, *, eps: float = 1e-5, dtype: type = np.float32) -> None:
        super().__init__()
        checked_size("channels", channels)
        if not is_integer(groups) or groups < 1 or channels % groups:
            raise InputError(f"groups: expected a divisor of {channels} channels, got {groups}")
        self.gamma = Parameter(np.ones(channels, dtype), group="norm")
        self.beta = Parameter(np.zeros(channels, dtype), group="norm")
        self.groups, self.eps = groups, eps

    def forward(self, x: Tensor) -> Tensor:
        return apply("group_norm", x, self.gamma, self.beta, groups=self.groups, eps=self.eps)
