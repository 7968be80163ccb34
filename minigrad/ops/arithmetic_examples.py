"""Arguments of broadcasting shapes that the arithmetic primitives are checked with."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.draw import Draw, away_from, distinct, floats
from minigrad.primitive import Example, KinkPoint

__all__ = [
    "bases_and_exponents",
    "beside_nonzero",
    "choices",
    "different",
    "on_a_tie",
    "one_array",
    "two_arrays",
]

Shape = tuple[int, ...]

_SHAPES: tuple[tuple[Shape, Shape], ...] = (
    ((3, 4), (3, 4)),
    ((2, 3), (3,)),
    ((4,), ()),
    ((), (2, 2)),
    ((), ()),
    ((2, 1, 3), (4, 1)),
    ((1,), (5,)),
    ((2, 3), (1, 1, 1)),
)


def _turned(draw: Draw, array: np.ndarray) -> np.ndarray:
    """Sometimes the same numbers in the other order of memory."""
    return np.asfortranarray(array) if draw.choice([False, True]) else array


def one_array(draw: Draw, dtype: Any) -> Example:
    return (_turned(draw, floats(draw, -2.0, 2.0, draw.choice(_SHAPES)[0], dtype)),), {}


def two_arrays(draw: Draw, dtype: Any) -> Example:
    first, second = draw.choice(_SHAPES)
    a, b = floats(draw, -2.0, 2.0, first, dtype), floats(draw, -2.0, 2.0, second, dtype)
    return (_turned(draw, a), _turned(draw, b)), {}


def beside_nonzero(draw: Draw, dtype: Any) -> Example:
    """The second array away from zero."""
    first, second = draw.choice(_SHAPES)
    b = away_from(draw, -2.0, 2.0, second, [0.0], 0.5).astype(dtype)
    return (_turned(draw, floats(draw, -2.0, 2.0, first, dtype)), b), {}


def bases_and_exponents(draw: Draw, dtype: Any) -> Example:
    """Positive bases; exponents around 0, whole ones among them."""
    first, second = draw.choice(_SHAPES)
    b = draw.uniform(-4.0, 4.0, second)
    b = np.round(b) if draw.choice([False, True]) else b
    return (floats(draw, 0.25, 4.0, first, dtype), np.asarray(b, dtype)), {}


def different(draw: Draw, dtype: Any) -> Example:
    """No two elements of the arrays are equal."""
    first, second = draw.choice(_SHAPES)
    count = int(np.prod(first)) if first else 1
    other = int(np.prod(second)) if second else 1
    both = distinct(draw, (count + other,)).astype(dtype)
    return (_turned(draw, both[:count].reshape(first)), both[count:].reshape(second)), {}


def on_a_tie(draw: Draw, dtype: Any) -> KinkPoint:
    """One element of either array equals one it meets in the other."""
    (a, b), options = different(draw, dtype)
    position = draw.integer(0, 1)
    meets = np.broadcast_to((a, b)[1 - position], np.broadcast_shapes(a.shape, b.shape))
    moved = np.array((a, b)[position])
    index = tuple(draw.integer(0, size - 1) for size in moved.shape)
    # The first place in the result that this element is stretched to.
    lead = meets.ndim - moved.ndim
    moved[index] = meets[(0,) * lead + tuple(index)]
    return KinkPoint((moved, b) if position == 0 else (a, moved), options, position, index, 0.5)


def choices(draw: Draw, dtype: Any) -> Example:
    condition, a, b = draw.choice(
        [((3, 2), (3, 2), (3, 2)), ((2,), (3, 2), ()), ((3, 1), (1, 2), (2,)), ((), (2, 2), (2,)), ((2, 2), (), ())]
    )
    return (
        draw.uniform(-1.0, 1.0, condition) > 0,
        floats(draw, -2.0, 2.0, a, dtype),
        floats(draw, -2, 2, b, dtype),
    ), {}
