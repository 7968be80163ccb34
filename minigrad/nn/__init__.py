"""Modules."""

from minigrad.nn.activation import (
    ACTIVATIONS,
    GELU,
    Hardswish,
    Hardtanh,
    LeakyReLU,
    PReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softplus,
    Tanh,
    make_activation,
)
from minigrad.nn.conv import Conv2d, ConvTranspose2d
from minigrad.nn.counting import Count, LayerCount, count
from minigrad.nn.dropout import Dropout
from minigrad.nn.linear import Linear
from minigrad.nn.module import Module, Parameter, Sequential
from minigrad.nn.norm import BatchNorm, GroupNorm, LayerNorm
from minigrad.nn.pooling import AvgPool2d, GlobalAvgPool, GlobalMaxPool, MaxPool2d
from minigrad.nn.shape import Flatten, Identity
from minigrad.nn.tracing import Call, Trace, trace

__all__ = [
    "ACTIVATIONS",
    "GELU",
    "AvgPool2d",
    "BatchNorm",
    "Call",
    "Conv2d",
    "ConvTranspose2d",
    "Count",
    "Dropout",
    "Flatten",
    "GlobalAvgPool",
    "GlobalMaxPool",
    "GroupNorm",
    "Hardswish",
    "Hardtanh",
    "Identity",
    "LayerCount",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "MaxPool2d",
    "Module",
    "PReLU",
    "Parameter",
    "ReLU",
    "ReLU6",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softplus",
    "Tanh",
    "Trace",
    "count",
    "make_activation",
    "trace",
]
