"""The embedded data set: ten classes of 32x32 RGB images drawn from a seed.

Eight classes are outlines, two are textures on some outline. Colours, contrast, place, size, orientation, shading,
background, clutter, an occluding bar and noise are drawn independently of the class, and classes come in pairs
that differ in a detail: a ring and a ring with a gap, a cross and a cross that lost an arm. So neither colour nor
a template decides, and a network has to look at shape: a linear classifier of the pixels gets 27 %, five
convolutions of 16 to 64 channels in float 94 % after eight epochs of augmented batches of 64.

Only integer arithmetic (and exact square roots) on Philox words: the same bytes on every machine.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from minigrad.data.dataset import Dataset
from minigrad.data.shapes import CLASSES, OUTLINES, PIXEL, TEXTURED, Field, coverage, segment
from minigrad.data.streams import TEST_IMAGES, TRAIN_IMAGES, raw_words, stream, whole_number

__all__ = ["procedural"]

SIDE: Final = 32
NOISE_WORDS: Final = 2 * SIDE * SIDE * 3 // 8  # two bytes a value
PARAMETER_WORDS: Final = 160
IMAGE_WORDS: Final = NOISE_WORDS + PARAMETER_WORDS
CHUNK: Final = 250  # images rendered at a time: their fields stay in the cache
CLUTTER: Final = 4
OBJECT_TILT: Final = 28
BAR_TILT: Final = 127


class _Draws:
    """The random numbers of a chunk of images: each call takes the next word of every image."""

    def __init__(self, words: NDArray[np.uint64]) -> None:
        self.words = words
        self.used = 0

    def integers(self, low: int, high: int) -> Field:
        """Return int32 (n, 1, 1) in low..high, both included."""
        word = self.words[:, self.used] >> np.uint64(40)
        self.used += 1
        return (low + (word * np.uint64(high - low + 1) >> np.uint64(24)).astype(np.int32)).reshape(-1, 1, 1)

    def table(self, low: int, high: int, *shape: int) -> Field:
        """Return int32 (n, *shape) in low..high."""
        columns = [self.integers(low, high).reshape(-1) for _ in range(int(np.prod(shape)))]
        return np.stack(columns, axis=1).reshape(-1, *shape)


def _rotated(draws: _Draws, centre_x: Field, centre_y: Field, tilt: int) -> tuple[Field, Field]:
    """Return the coordinates (u, v) of every pixel about a centre, turned by a random angle.

    The angle's half has a tangent of at most tilt / 128: 28 is 25 degrees either way, 127 nearly 90.
    """
    grid = np.arange(SIDE, dtype=np.int32) * PIXEL + PIXEL // 2
    x = grid[None, None, :] - centre_x
    y = grid[None, :, None] - centre_y
    # Tangents of half the angle give rational points of the circle: no sine is needed.
    t = draws.integers(-tilt, tilt)
    norm = 128 * 128 + t * t
    cosine = (128 * 128 - t * t) * 4096 // norm
    sine = 256 * t * 4096 // norm
    return (cosine * x + sine * y) >> 12, (cosine * y - sine * x) >> 12


def _scaled(draws: _Draws, direction: Field, least: int, most: int) -> Field:
    """Return a change of colour (n, 3) whose largest channel is least..most."""
    longest = np.maximum(np.abs(direction).max(axis=1, keepdims=True), 1)
    return direction * draws.integers(least, most)[:, :, 0] // longest


def _lighter(draws: _Draws, colour: Field, least: int, most: int) -> Field:
    """Return a colour (n, 3) that is lighter in every channel, by up to least..most."""
    return np.minimum(colour + _scaled(draws, draws.table(20, 84, 3), least, most), 255)


def _different(draws: _Draws, colour: Field, least: int, most: int) -> Field:
    """Return a colour (n, 3) that differs in any direction, by up to least..most."""
    change = _scaled(draws, draws.table(-64, 64, 3), least, most)
    beyond = (colour + change < 0) | (colour + change > 255)
    return np.clip(np.where(beyond, colour - change, colour + change), 0, 255)


def _smooth(grid: Field) -> Field:
    """Interpolate (n, 5, 5) between its points, in eighths, to (n, 32, 32)."""
    cell, part = np.divmod(np.arange(SIDE), SIDE // 4)
    part = part.astype(np.int32)
    rows = grid[:, cell] * (8 - part)[:, None] + grid[:, cell + 1] * part[:, None]
    return (rows[:, :, cell] * (8 - part) + rows[:, :, cell + 1] * part) >> 6


def _paint(image: Field, mask: Field, colour: Field) -> None:
    """Blend a colour (n, 3) or (n, 32, 32, 3) into an image (n, 32, 32, 3) where the mask is, 0..PIXEL."""
    if colour.ndim == 2:
        colour = colour[:, None, None, :]
    image += (colour - image) * mask[..., None] >> 6


def _paint_clutter(draws: _Draws, image: Field, background: Field) -> None:
    """Paint a small bar anywhere, on half of the images."""
    u, v = _rotated(draws, draws.integers(0, SIDE * PIXEL), draws.integers(0, SIDE * PIXEL), BAR_TILT)
    mask = coverage(segment(u, v, draws.integers(64, 320), draws.integers(32, 96)))
    _paint(image, mask * draws.integers(0, 1), _different(draws, background, 20, 110))


def _paint_occluder(draws: _Draws, image: Field, background: Field, centre_x: Field, centre_y: Field) -> None:
    """Paint a long bar near the object's centre, on a quarter of the images."""
    _, across = _rotated(draws, centre_x, centre_y, BAR_TILT)
    across += draws.integers(-9 * PIXEL, 9 * PIXEL)
    mask = coverage(np.abs(across) - draws.integers(32, 96))
    _paint(image, mask * (draws.integers(0, 3) == 0), _different(draws, background, 20, 110))


def _object(draws: _Draws, labels: NDArray[np.int64], u: Field, v: Field) -> tuple[Field, Field]:
    """Return the mask of the object and, for the second colour on it, the share 0..PIXEL."""
    size = draws.integers(7 * PIXEL, 11 * PIXEL)
    stretch = draws.integers(224, 288)  # of 256, along u: nothing is quite round or square
    mirrored = draws.integers(0, 1) * 2 - 1
    stretched = u * 256 // stretch * mirrored
    textured = labels >= len(OUTLINES)
    outline = np.where(textured, draws.integers(0, len(OUTLINES) - 1).reshape(-1), labels)
    # A texture on a thin outline would be invisible: there it is the full shape.
    full = np.array([0, 0, 0, 4, 4, 5, 4, 5])
    outline = np.where(textured, full[outline], outline)
    distance = np.empty_like(u)
    for index, shape in enumerate(OUTLINES):
        chosen = outline == index
        distance[chosen] = shape(stretched[chosen], v[chosen], size[chosen])

    # Plain objects are shaded from one side to the other, so the inside of an object varies for every class.
    share = np.clip(PIXEL // 4 + v * draws.integers(-6, 6) // 256, 0, PIXEL // 2)
    width = draws.integers(2 * PIXEL + 32, 4 * PIXEL)
    shift = draws.integers(0, 8 * PIXEL)
    for index, texture in enumerate(TEXTURED, start=len(OUTLINES)):
        chosen = labels == index
        share[chosen] = texture(u[chosen] + shift[chosen], v[chosen] + shift[chosen], width[chosen])
    return coverage(distance), share


def _render(words: NDArray[np.uint64], labels: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Draw the images (n, 32, 32, 3) of `labels` from IMAGE_WORDS words each."""
    draws = _Draws(words[:, NOISE_WORDS:])
    background = draws.table(20, 140, 3)
    image = np.repeat(background[:, None, None, :], SIDE, axis=1).repeat(SIDE, axis=2)
    waves = _smooth(draws.table(-256, 256, 5, 5))
    image += (waves * draws.integers(0, 48) >> 8)[..., None]
    for _ in range(CLUTTER // 2):
        _paint_clutter(draws, image, background)

    centre_x, centre_y = draws.integers(11 * PIXEL, 21 * PIXEL), draws.integers(11 * PIXEL, 21 * PIXEL)
    u, v = _rotated(draws, centre_x, centre_y, OBJECT_TILT)
    mask, share = _object(draws, labels, u, v)
    first = _lighter(draws, background, 36, 120)
    second = _different(draws, first, 40, 110)
    colour = first[:, None, None, :] + ((second - first)[:, None, None, :] * share[..., None] >> 6)
    _paint(image, mask, colour)

    for _ in range(CLUTTER - CLUTTER // 2):
        _paint_clutter(draws, image, background)
    _paint_occluder(draws, image, background, centre_x, centre_y)

    # The sum of two bytes, a triangular distribution; little-endian so that bytes come in one order everywhere.
    pairs = words[:, :NOISE_WORDS].astype("<u8").view(np.uint8).reshape(-1, 2, SIDE, SIDE, 3)
    noise = pairs[:, 0].astype(np.int32) + pairs[:, 1] - 255
    image += noise * draws.integers(4, 40)[..., None] >> 8
    return np.clip(image, 0, 255).astype(np.uint8)


def _images(seed: int, purpose: int, count: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    labels = np.arange(count, dtype=np.int64) % len(CLASSES)
    images = np.empty((count, SIDE, SIDE, 3), dtype=np.uint8)
    source = stream(seed, purpose)
    for start in range(0, count, CHUNK):
        part = slice(start, min(start + CHUNK, count))
        # Image i owns words i * IMAGE_WORDS onwards, however many images are made.
        words = raw_words(source, part.stop - part.start, IMAGE_WORDS)
        images[part] = _render(words, labels[part])
    return images, labels


def procedural(seed: int, train: int = 6000, test: int = 1500) -> Dataset:
    """Return the procedural data set of a seed.

    Parameters
    ----------
    seed : int
        0 to 2**64 - 1.
    train, test : int
        Numbers of images, at least 1. Image i is a function of the seed, its part and i only, so a smaller set
        is the beginning of a larger one; its class is i modulo 10.

    Returns
    -------
    Dataset
        Named "procedural"; the same bytes on every machine.

    Raises
    ------
    InputError
        An argument outside its range.
    """
    seed = whole_number("seed", seed)
    train = whole_number("train", train, least=1, below=10**7)
    test = whole_number("test", test, least=1, below=10**7)
    return Dataset(
        "procedural",
        *_images(seed, TRAIN_IMAGES, train),
        *_images(seed, TEST_IMAGES, test),
        CLASSES,
    )
