"""Rules of the tape for quantizers whose elements depend on themselves and the parameters alone.

All of them follow from ``partials(x, *parameters, **options)``: the derivatives of every element by x and by each
parameter, each of the shape of x.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.reduction import sum_to_shape

__all__ = ["Partials", "forward_of", "jvp_of", "sum_partials", "vjp_of"]

Array = np.ndarray
Partials = Callable[..., Sequence[Any]]


def sum_partials(gy: Array, partials: Sequence[Any], arguments: Sequence[Any]) -> tuple[Array, ...]:
    """Gradients of the arguments, each summed in a fixed order (``minigrad.reduction``) to the argument's shape."""
    return tuple(sum_to_shape(gy * d, np.shape(a)) for d, a in zip(partials, arguments, strict=True))


def forward_of(function: Callable[..., Array]) -> Callable[..., tuple[Array, Any]]:
    """The forward of a primitive, documented as the function; the residuals are the arguments."""

    def forward(*arrays: Array, **options: Any) -> tuple[Array, Any]:
        return function(*arrays, **options), (arrays, options)

    forward.__doc__ = function.__doc__
    return forward


def vjp_of(partials: Partials) -> Callable[..., tuple[Array | None, ...]]:
    """The vjp of a primitive made by ``forward_of``."""

    def vjp(gy: Array, residuals: Any, needs: Sequence[bool]) -> tuple[Array | None, ...]:
        arrays, options = residuals
        found = partials(*arrays, **options)
        return tuple(
            sum_to_shape(gy * d, a.shape) if needed else None for d, a, needed in zip(found, arrays, needs, strict=True)
        )

    return vjp


def jvp_of(partials: Partials) -> Callable[..., Array]:
    """The jvp of a primitive."""

    def jvp(tangents: Sequence[Array | None], *arrays: Array, **options: Any) -> Array:
        y = np.zeros_like(arrays[0])
        for partial, tangent in zip(partials(*arrays, **options), tangents, strict=True):
            if tangent is not None:
                y = y + partial * tangent
        return y

    return jvp
