"""The primitives, a family a file. Importing the package fills the registry."""

from minigrad.ops import conv, elementwise, loss, norm, pool, reduce, shape

__all__ = ["conv", "elementwise", "loss", "norm", "pool", "reduce", "shape"]
