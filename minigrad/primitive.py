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

from minigrad.draw import Draw

__all__ = ["PRIMITIVES", "Example", "Kink", "KinkPoint", "Primitive", "no_curvature", "register"]

Array = np.ndarray


Example = tuple[tuple[Array, ...], dict[str, Any]]


@dataclass(frozen=True)
class KinkPoint:
    """Arguments with one element on a kink.

    Attributes
    ----------
    arrays, options
        The arguments; no other element of ``arrays[position]`` decides anything near its own kink.
    position, index
        Which element of which argument is on the kink.
    weight : float
        Our pick in the interval [a, b] of the one-sided slopes along that element: ``(1 - weight) a + weight b``, a the
        slope to the left. At a jump there is no interval, and the pick is ``weight`` itself.
    """

    arrays: tuple[Array, ...]
    options: dict[str, Any]
    position: int
    index: tuple[int, ...]
    weight: float


@dataclass(frozen=True)
class Kink:
    """A set where the function has no derivative: where it is, the value the vjp uses there, and points of it.

    ``jump`` says that the function itself is not continuous there.
    """

    where: str
    pick: str
    at: Callable[[Draw, Any], KinkPoint]
    jump: bool = False


@dataclass(frozen=True)
class Primitive:
    """A differentiable function of arrays.

    Attributes
    ----------
    name : str
        Name in the registry.
    forward : (*arrays, **options) -> (value, residuals)
        The value, and whatever the vjp wants to be handed. An option that is a function is an observer: it is shown
        intermediate results and changes nothing; no other rule gets it.
    vjp : (gy, residuals, needs) -> tuple of arrays or None
        Gradients of the arrays, in their order; ``needs[k]`` is False where the k-th one is not wanted.
    jvp : (tangents, *arrays, **options) -> array
        The directional derivative of the value; a tangent of None is zero.
    definition : (*arrays, **options) -> array
        The textbook formula, written out with operators and ``minigrad.elementary`` on object arrays, so that it runs
        on any kind of number; it owes nothing to ``forward``. Balls evaluated by it are the truth.
    domain : str
        Where the function is defined.
    kinks : tuple of Kink
        Where it is not differentiable; empty for a function that is smooth on its domain.
    examples : (draw, dtype) -> (arrays, options)
        Arguments from the domain, away from the kinks, small enough for a difference by every element.
    differentiable : tuple of int or None
        Positions of the arrays that have a gradient; None for all.
    hvp : (gy, tangents, *arrays, **options) -> tuple of arrays or None
        The second derivative of ``sum(gy * value)`` applied to the tangents: one array an argument, None for zero.
        None in place of the rule: there is no second derivative to be had (``no_curvature`` is for functions that are
        linear in all their arguments together).
    surrogate : (*arrays, **options) -> function of arrays, or None
        For a straight-through gradient: the function, frozen at the arrays, whose true gradient the vjp is. It runs on
        float arrays and on object arrays.
    modifier : (gy, *arrays, **options) -> tuple of arrays or None, or None
        For a vjp that is no function's: the formula of what it returns, on object arrays. The vjp is held against this
        formula in place of a derivative, and need not be linear in gy; the jvp stays the surrogate's or the function's.
    """

    name: str
    forward: Callable[..., tuple[Array, Any]]
    vjp: Callable[[Array, Any, Sequence[bool]], tuple[Array | None, ...]]
    jvp: Callable[..., Array]
    definition: Callable[..., Any]
    domain: str
    kinks: tuple[Kink, ...]
    examples: Callable[[Draw, Any], Example]
    differentiable: tuple[int, ...] | None = None
    hvp: Callable[..., tuple[Array | None, ...]] | None = None
    surrogate: Callable[..., Callable[..., Array]] | None = None
    modifier: Callable[..., tuple[Any, ...]] | None = None


def no_curvature(gy: Array, tangents: Sequence[Array | None], *arrays: Array, **options: Any) -> tuple[None, ...]:
    """The ``hvp`` of a function that is linear in all its arguments together, or piecewise so."""
    return (None,) * len(arrays)


#: Every primitive by name.
PRIMITIVES: dict[str, Primitive] = {}


def register(primitive: Primitive) -> Primitive:
    """Enter a primitive in the registry; its name must be new."""
    if primitive.name in PRIMITIVES:
        raise ValueError(f"a primitive named {primitive.name!r} is registered already")
    PRIMITIVES[primitive.name] = primitive
    return primitive
