"""Augmentation of training images: a random crop of the padded image, and a horizontal flip."""

import numpy as np
from numpy.typing import NDArray

from minigrad.data.normalize import check_images, check_means
from minigrad.data.streams import whole_number
from minigrad.errors import InputError

__all__ = ["pad_crop_flip"]


def pad_crop_flip(
    images: NDArray[np.uint8], rng: np.random.Generator, pad: int = 4, *, fill: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Pad each image, crop it back to its size at a random place, and flip every second one (at random).

    Parameters
    ----------
    images : uint8 array (N, H, W, 3)
    rng : numpy.random.Generator
        Three 64-bit words are drawn for each image.
    pad : int
        Pixels added at each side, 0 or more: shifts are -pad..pad in both directions.
    fill : uint8 array (3,)
        Colour of the padding. The channel means make it exactly zero after `normalize`.

    Returns
    -------
    uint8 array (N, H, W, 3)
        A new array.

    Raises
    ------
    InputError
        `images` or `fill` of another dtype or shape, `pad` negative.
    """
    check_images(images)
    if images.dtype != np.uint8:
        raise InputError(f"images: expected uint8 pixels, got {images.dtype}")
    check_means(fill, "fill")
    pad = whole_number("pad", pad, below=1024)
    count, height, width, channels = images.shape

    padded = np.empty((count, height + 2 * pad, width + 2 * pad, channels), dtype=np.uint8)
    padded[:] = fill
    padded[:, pad : pad + height, pad : pad + width] = images

    # Draws over the full range are the generator's own words; the remainder's bias is below 2**-50.
    words = rng.integers(0, 2**64 - 1, size=(count, 3), dtype=np.uint64, endpoint=True)
    top, left = ((words[:, axis] >> np.uint64(8)) % np.uint64(2 * pad + 1) for axis in (0, 1))
    flip = words[:, 2] >> np.uint64(63) == 1

    rows = top.astype(np.intp)[:, None] + np.arange(height)
    columns = left.astype(np.intp)[:, None] + np.arange(width)
    columns[flip] = columns[flip, ::-1]
    return padded[np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]
