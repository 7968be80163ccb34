"""What a primitive is, and the registry of all of them.

A primitive is a record of plain functions over arrays; the tape (``tensor.py``) only ever calls those. To add one,
write its functions in a file of ``ops/`` (or in a package above) and register the record: tests, checks and the
documentation enumerate ``PRIMITIVES`` and find it by themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["PRIMITIVES", "Kink", "Primitive", "register"]

Array = np.ndarray


@dataclass(frozen=True)
class Kink:
    """A set where the function has no derivative: where it is, and the value the vjp uses there."""

    where: str
    pick: str


@dataclass(frozen=True)
class Primitive:
    """A differentiable function of arrays.

    Attributes
    ----------
    name : str
        Name in the registry.
    forward : (*arrays, **options) -> (value, residuals)
        The value, and whatever the vjp wants to be handed.
    vjp : (gy, residuals, needs) -> tuple of arrays or None
        Gradients of the arrays, in their order; ``needs[k]`` is False where the k-th one is not wanted.
    jvp : (tangents, *arrays, **options) -> array
        The directional derivative of the value; a tangent of None is zero.
    domain : str
        Where the function is defined.
    kinks : tuple of Kink
        Where it is not differentiable; empty for a function that is smooth on its domain.
    examples : (rng, dtype) -> (arrays, options)
        Draws arguments from the domain, away from the kinks, small enough for a difference by every element.
    differentiable : tuple of int or None
        Positions of the arrays that have a gradient; None for all.
    surrogate : (*arrays, **options) -> function of arrays, or None
        For a straight-through gradient: the function, frozen at the arrays, whose true gradient the vjp is.
    """

    name: str
    forward: Callable[..., tuple[Array, Any]]
    vjp: Callable[[Array, Any, Sequence[bool]], tuple[Array | None, ...]]
    jvp: Callable[..., Array]
    domain: str
    kinks: tuple[Kink, ...]
    examples: Callable[[np.random.Generator, Any], tuple[tuple[Array, ...], dict[str, Any]]]
    differentiable: tuple[int, ...] | None = None
    surrogate: Callable[..., Callable[..., Array]] | None = None


#: Every primitive by name.
PRIMITIVES: dict[str, Primitive] = {}


def register(primitive: Primitive) -> Primitive:
    """Enter a primitive in the registry; its name must be new."""
    if primitive.name in PRIMITIVES:
        raise ValueError(f"a primitive named {primitive.name!r} is registered already")
    PRIMITIVES[primitive.name] = primitive
    return primitive
