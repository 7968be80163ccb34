"""Differentiable quantizers, and the way from a trained network to integers."""

from quant import dsq, lsq
from quant.method import METHODS, Method

__all__ = ["METHODS", "Method", "dsq", "lsq"]
