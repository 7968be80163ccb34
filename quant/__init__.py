"""Differentiable quantizers, and the way from a trained network to integers."""

from types import ModuleType

from quant import dsq

__all__ = ["METHODS", "dsq"]

#: The methods by name.
METHODS: dict[str, ModuleType] = {"dsq": dsq}
