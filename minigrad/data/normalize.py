"""Pixels on the network's input grid: (p - m_c) / 64, with an integer mean a channel.

A power-of-two scale and integer means make the grid exact in floats and in integers alike, so an exported
network can start from the uint8 pixels themselves, and padding with the means is padding with zero.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from minigrad.errors import InputError

__all__ = ["INPUT_SCALE", "channel_means", "normalize"]

INPUT_SCALE: Final = 64
AXES: Final = ("image", "row", "column", "channel")


def _place(mask: NDArray[np.bool_]) -> str:
    """Name the first true element of an NHWC mask."""
    where = np.unravel_index(int(mask.argmax()), mask.shape)
    return ", ".join(f"{axis} {index}" for axis, index in zip(AXES, where, strict=True))


def check_images(images: NDArray[Any]) -> None:
    """Raise `InputError` unless `images` is (N, H, W, 3) and holds whole numbers of 0..255."""
    if not isinstance(images, np.ndarray) or images.ndim != 4 or images.shape[3] != 3:
        got = images.shape if isinstance(images, np.ndarray) else type(images).__name__
        raise InputError(f"images: expected an array of shape (N, H, W, 3), got {got}")
    if images.dtype == np.uint8:
        return
    if images.dtype.kind not in "iuf":
        raise InputError(f"images: expected uint8 pixels, got {images.dtype}")
    if images.dtype.kind == "f":
        nan = np.isnan(images)
        if nan.any():
            raise InputError(f"images: NaN at {_place(nan)}; expected pixels of 0..255")
    outside = (images < 0) | (images > 255)
    if outside.any():
        value = images.flat[int(outside.argmax())]
        raise InputError(f"images: {value} at {_place(outside)}; expected pixels of 0..255")
    if images.dtype.kind == "f":
        fractional = images != np.trunc(images)
        if fractional.any():
            value = images.flat[int(fractional.argmax())]
            raise InputError(f"images: {value} at {_place(fractional)}; expected whole numbers of 0..255")


def check_means(means: NDArray[np.uint8], name: str = "means") -> None:
    """Raise `InputError` unless `means` is a uint8 array of shape (3,)."""
    if not isinstance(means, np.ndarray) or means.dtype != np.uint8 or means.shape != (3,):
        got = f"{means.dtype} {means.shape}" if isinstance(means, np.ndarray) else type(means).__name__
        raise InputError(f"{name}: expected a uint8 array of shape (3,), got {got}")


def channel_means(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the mean of each channel, an integer: exact sums, halves rounded up.

    Parameters
    ----------
    images : uint8 array (N, H, W, 3)
        Not empty.

    Returns
    -------
    uint8 array (3,)

    Raises
    ------
    InputError
        Not uint8, of another shape, or empty.
    """
    check_images(images)
    if images.dtype != np.uint8:
        raise InputError(f"images: expected uint8 pixels, got {images.dtype}")
    if not images.size:
        raise InputError(f"images: expected at least one pixel, got shape {images.shape}")
    pixels = images.reshape(-1, 3)
    sums = [int(pixels[:, channel].sum(dtype=np.uint64)) for channel in range(3)]
    return np.array([(2 * total + len(pixels)) // (2 * len(pixels)) for total in sums], dtype=np.uint8)


def normalize(images: NDArray[Any], means: NDArray[np.uint8], dtype: DTypeLike = np.float32) -> NDArray[np.floating]:
    """Return (p - m_c) / 64, exactly.

    Parameters
    ----------
    images : array (N, H, W, 3)
        uint8 pixels, or another type that holds whole numbers of 0..255.
    means : uint8 array (3,)
        m_c, from `channel_means`.
    dtype : float32 or float64

    Returns
    -------
    array (N, H, W, 3) of `dtype`
        Multiples of 1/64 in -255/64..255/64.

    Raises
    ------
    InputError
        NaN, a fraction or a value outside 0..255 (naming image, row, column, channel), or a wrong shape or
        dtype.
    """
    wanted = np.dtype(dtype)
    if wanted not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise InputError(f"dtype: expected float32 or float64, got {wanted}")
    check_images(images)
    check_means(means)
    # Differences of integers up to 255 and a division by 2**6: every step is exact.
    grid = images.astype(wanted)
    grid -= means.astype(wanted)
    grid /= INPUT_SCALE
    return grid
