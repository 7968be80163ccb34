"""The outlines and textures of the procedural images, in integers.

Lengths are in units of 1/64 pixel. An outline is a signed distance, negative inside, over rotated coordinates
(u, v) whose origin is the object's centre. Arrays are int32 (n, 32, 32); per-image numbers are (n, 1, 1).
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["CLASSES", "OUTLINES", "PIXEL", "TEXTURED", "checker", "coverage", "segment", "stripes"]

Field = NDArray[np.int32]

PIXEL: Final = 64


def _radius(u: Field, v: Field) -> Field:
    # The sum is below 2**24, so exact in float32, and an IEEE square root has one possible result.
    return np.sqrt((u * u + v * v).astype(np.float32)).astype(np.int32)


def _box(u: Field, v: Field, half_width: Field, half_height: Field) -> Field:
    return np.maximum(np.abs(u) - half_width, np.abs(v) - half_height)


def disc(u: Field, v: Field, size: Field) -> Field:
    """Return the distance to a full disc."""
    return _radius(u, v) - size


def crescent(u: Field, v: Field, size: Field) -> Field:
    """Return the distance to a disc with a smaller disc bitten out at one side."""
    bite = _radius(u - size * 3 // 4, v) - size * 5 // 8
    return np.maximum(_radius(u, v) - size, -bite)


def ring(u: Field, v: Field, size: Field) -> Field:
    """Return the distance to a closed ring."""
    return np.abs(_radius(u, v) - size * 3 // 4) - size // 4


def horseshoe(u: Field, v: Field, size: Field) -> Field:
    """Return the distance to the same ring with a gap."""
    gap = np.maximum(np.abs(v) - size * 5 // 16, -u)
    return np.maximum(ring(u, v, size), -gap)


def square(u: Field, v: Field, size: Field) -> Field:
    """Return the distance to a square."""
    half = size * 7 // 8
    return _box(u, v, half, half)


def triangle(u: Field, v: Field, size: Field) -> Field:
    """Return the distance to an equilateral triangle; 14189 / 2**14 is sin 60 degrees."""
    sides = np.maximum((np.abs(u) * 14189 >> 14) - v // 2, v)
    return sides - size * 5 // 8


def cross(u: Field, v: Field, size: Field) -> Field:
    """Return the distance to a cross of four arms."""
    thick = size * 9 // 32
    return np.minimum(_box(u, v, size, thick), _box(u, v, thick, size))


def tee(u: Field, v: Field, size: Field) -> Field:
    """Return the distance to the same cross without one arm."""
    thick = size * 9 // 32
    half = size // 2
    return np.minimum(_box(u, v, size, thick), _box(u, v - half, thick, half))


def segment(u: Field, v: Field, half_length: Field, half_width: Field) -> Field:
    """Return the distance to a straight bar along u: clutter."""
    return _box(u, v, half_length, half_width)


def _wave(position: Field, width: Field) -> Field:
    """Return a soft square wave of -PIXEL // 2 .. PIXEL // 2 whose stripes are `width` wide."""
    ramp = np.abs(position % (2 * width) - width) - width // 2
    half = np.int32(PIXEL // 2)
    return np.clip(ramp, -half, half)


def stripes(u: Field, v: Field, width: Field) -> Field:
    """Return how much of each pixel is the second colour, 0..PIXEL: parallel stripes."""
    return _wave(v, width) + PIXEL // 2


def checker(u: Field, v: Field, width: Field) -> Field:
    """Return how much of each pixel is the second colour, 0..PIXEL: the same stripes crossed."""
    return _wave(u, width) * _wave(v, width) * 2 // PIXEL + PIXEL // 2


def coverage(distance: Field) -> Field:
    """Return how much of each pixel lies inside, 0..PIXEL: a ramp one pixel wide."""
    return np.clip(PIXEL // 2 - distance, 0, PIXEL)


Outline = Callable[[Field, Field, Field], Field]
OUTLINES: Final[tuple[Outline, ...]] = (disc, crescent, ring, horseshoe, square, triangle, cross, tee)
TEXTURED: Final[tuple[Outline, ...]] = (stripes, checker)
CLASSES: Final = tuple(function.__name__ for function in (*OUTLINES, *TEXTURED))
