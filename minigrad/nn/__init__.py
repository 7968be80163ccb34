"""Modules."""

from minigrad.nn.layers import BatchNorm, Conv2d, GlobalAvgPool, Linear, MaxPool2d, ReLU
from minigrad.nn.module import Module, Parameter, Sequential

__all__ = [
    "BatchNorm",
    "Conv2d",
    "GlobalAvgPool",
    "Linear",
    "MaxPool2d",
    "Module",
    "Parameter",
    "ReLU",
    "Sequential",
]
