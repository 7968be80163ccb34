"""Functions of one element: what their primitives have in common.

The rules of such a function follow from its slope f' and its curvature f'':

    vjp: gy f'(x)        jvp: t f'(x)        hvp: gy f''(x) t

so a primitive is a forward that keeps what the slope needs, a slope of that, a curvature and a definition.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.draw import Draw, away_from, shape_of
from minigrad.primitive import Example, Kink, KinkPoint, Primitive, no_curvature, register

__all__ = ["GAP", "drawn", "numbers", "on", "pointwise", "quiet", "weighted"]

Array = np.ndarray
Options = Callable[[Draw], dict[str, Any]]

#: How far examples stay away from kinks.
GAP = 0.02

#: Infinities and NaN are results like others: IEEE arithmetic without warnings.
quiet = np.errstate(divide="ignore", over="ignore", under="ignore", invalid="ignore")


def _times(g: Array, slope: Array) -> Array:
    """g times the slope; a slope that is a mask selects, so that what it holds back is 0 whatever g is."""
    if slope.dtype == bool:
        return np.asarray(np.where(slope, g, g.dtype.type(0)))
    return np.asarray(g * slope)


def weighted(x: Array, weight: Array) -> Array:
    """x times a weight; 0 where the weight is 0, also at infinite x."""
    return np.where(weight == 0, weight, x * weight)


def pointwise(
    name: str,
    forward: Callable[..., tuple[Array, Any]],
    slope: Callable[[Any], Array],
    definition: Callable[..., Any],
    *,
    examples: Callable[[Draw, Any], Example],
    curvature: Callable[..., Array] | None = None,
    domain: str = "all real numbers",
    kinks: tuple[Kink, ...] = (),
) -> None:
    """Register a function of one element.

    Parameters
    ----------
    forward : (x, **options) -> (value, residual)
    slope : residual -> f'(x) as floats, or as a mask where it is 1 or 0
    curvature : (x, **options) -> f''(x); None where it is 0
    """

    @quiet
    def vjp(gy: Array, residual: Any, needs: Sequence[bool]) -> tuple[Array | None, ...]:
        return (_times(gy, slope(residual)),)

    @quiet
    def jvp(tangents: Sequence[Array], x: Array, **options: Any) -> Array:
        return _times(tangents[0], slope(forward(x, **options)[1]))

    @quiet
    def hvp(gy: Array, tangents: Sequence[Array], x: Array, **options: Any) -> tuple[Array | None, ...]:
        assert curvature is not None
        return (np.asarray(gy * curvature(x, **options) * tangents[0]),)

    for rule, function in (("vjp", vjp), ("jvp", jvp), ("hvp", hvp)):
        function.__name__ = function.__qualname__ = f"{name}_{rule}"
    register(
        Primitive(
            name,
            quiet(forward),
            vjp,
            jvp,
            definition=definition,
            domain=domain,
            kinks=kinks,
            examples=examples,
            hvp=no_curvature if curvature is None else hvp,
        )
    )


# ---------------------------------------------------------------- examples


def no_options(draw: Draw) -> dict[str, Any]:
    return {}


def drawn(draw: Draw, low: float, high: float, dtype: Any, kinks: Sequence[float] = ()) -> Array:
    """An array in [low, high] of up to three dimensions, away from the kinks, sometimes not contiguous."""
    x = away_from(draw, low, high, shape_of(draw, (0, 3), (1, 3)), kinks, GAP).astype(dtype)
    return x.T if draw.choice([False, True]) else x


def numbers(
    low: float, high: float, kinks: Sequence[float] = (), options: Options = no_options
) -> Callable[[Draw, Any], Example]:
    """Examples in [low, high], away from the kinks."""

    def examples(draw: Draw, dtype: Any) -> Example:
        return (drawn(draw, low, high, dtype, kinks),), options(draw)

    return examples


def on(
    point: float, weight: float, kinks: Sequence[float], options: Options = no_options
) -> Callable[[Draw, Any], KinkPoint]:
    """An array with one element on the kink at ``point`` and the rest away from all kinks."""

    def at(draw: Draw, dtype: Any) -> KinkPoint:
        x = np.array(drawn(draw, -8.0, 8.0, dtype, kinks))
        index = tuple(draw.integer(0, size - 1) for size in x.shape)
        x[index] = point
        return KinkPoint((x,), options(draw), 0, index, weight)

    return at
