"""What the primitives of two arrays that broadcast have in common."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.errors import InputError
from minigrad.ops.pointwise import quiet
from minigrad.primitive import Kink, Primitive, no_curvature, register

__all__ = ["check_shapes", "register_quiet", "tangent_or_zero"]

Array = np.ndarray


def check_shapes(name: str, *arrays: Array) -> None:
    """InputError unless the shapes broadcast."""
    if any(a.shape != arrays[0].shape for a in arrays):
        try:
            np.broadcast_shapes(*(a.shape for a in arrays))
        except ValueError:
            shapes = " and ".join(str(a.shape) for a in arrays)
            raise InputError(f"{name}: expected shapes that broadcast, got {shapes}") from None


def tangent_or_zero(t: Array | None, like: Array) -> Array:
    """The tangent; zeros where there is none."""
    return np.zeros_like(like) if t is None else t


def register_quiet(
    name: str,
    rules: tuple[Any, ...],
    examples: Any,
    *,
    hvp: Any = no_curvature,
    domain: str = "all real numbers",
    kinks: tuple[Kink, ...] = (),
    differentiable: tuple[int, ...] | None = None,
) -> None:
    """Register forward, vjp, jvp and definition, with IEEE results and no warnings."""
    forward, vjp, jvp, definition = rules
    register(
        Primitive(
            name,
            quiet(forward),
            quiet(vjp),
            quiet(jvp),
            definition=definition,
            domain=domain,
            kinks=kinks,
            examples=examples,
            differentiable=differentiable,
            hvp=quiet(hvp),
        )
    )
