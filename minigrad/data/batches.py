"""Mini-batches by address: batch (seed, epoch, step) is the same whenever and wherever it is asked for.

Nothing is advanced, so a run that was killed resumes at any step with the batches it would have seen.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import DTypeLike, NDArray

from minigrad.data.augment import pad_crop_flip
from minigrad.data.dataset import Dataset
from minigrad.data.normalize import normalize
from minigrad.data.streams import AUGMENTATION, ORDER, raw_words, stream, whole_number
from minigrad.errors import InputError

__all__ = ["batch", "epoch_order", "steps_per_epoch"]


@lru_cache(maxsize=4)
def _order(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    keys = raw_words(stream(seed, ORDER, epoch), count)
    order = np.argsort(keys, kind="stable").astype(np.int64)
    order.setflags(write=False)
    return order


def epoch_order(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Return the order in which an epoch visits the images.

    Parameters
    ----------
    count : int
        Number of images, at least 1.
    seed, epoch : int
        0 to 2**64 - 1.

    Returns
    -------
    int64 array (count,)
        A permutation of 0..count - 1, read-only; a function of the arguments only.
    """
    # Checked here because the cache would take True for 1.
    return _order(whole_number("count", count, least=1), whole_number("seed", seed), whole_number("epoch", epoch))


def steps_per_epoch(count: int, batch_size: int) -> int:
    """Return the number of batches an epoch has; the last one may be smaller."""
    count = whole_number("count", count, least=1)
    return -(-count // whole_number("batch_size", batch_size, least=1))


def batch(
    dataset: Dataset,
    seed: int,
    epoch: int,
    step: int,
    batch_size: int,
    augment: bool = True,
    *,
    means: NDArray[np.uint8],
    dtype: DTypeLike = np.float32,
) -> tuple[NDArray[np.floating], NDArray[np.int64]]:
    """Return one training batch, normalised.

    Parameters
    ----------
    dataset : Dataset
    seed, epoch : int
        0 to 2**64 - 1.
    step : int
        0 to ``steps_per_epoch(...) - 1``.
    batch_size : int
        At least 1. Each image comes once an epoch, so the last batch may be smaller.
    augment : bool
        Pad by four of `means`, crop, flip.
    means : uint8 array (3,)
        From ``channel_means(dataset.train_images)``.
    dtype : float32 or float64

    Returns
    -------
    x : array (n, 32, 32, 3) of `dtype`
    labels : int64 array (n,)
        Both functions of the arguments only.

    Raises
    ------
    InputError
        An argument outside its range.
    """
    count = len(dataset.train_images)
    steps = steps_per_epoch(count, batch_size)
    step = whole_number("step", step)
    if step >= steps:
        raise InputError(f"step: expected 0..{steps - 1} ({count} images, {batch_size} a batch), got {step}")
    chosen = epoch_order(count, seed, epoch)[step * batch_size : (step + 1) * batch_size]
    images = dataset.train_images[chosen]
    if augment:
        rng = np.random.Generator(stream(seed, AUGMENTATION, epoch, step))
        images = pad_crop_flip(images, rng, fill=means)
    return normalize(images, means, dtype), dataset.train_labels[chosen]
