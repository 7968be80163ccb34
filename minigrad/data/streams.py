"""Random words by address: every random choice in the data pipeline is a pure function of named integers.

Philox is counter-based, so a stream is addressed by a key (seed, purpose) and a place (epoch, step...) instead of
being advanced. Only raw 64-bit words are drawn from it: NumPy guarantees those for ever, while the derived
draws of a ``Generator`` (``permutation``, bounded ``integers``) may change between its versions.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from minigrad.errors import InputError

__all__ = ["AUGMENTATION", "ORDER", "TEST_IMAGES", "TRAIN_IMAGES", "raw_words", "stream", "whole_number"]

# Purposes, the second word of the key: streams of different purposes never meet.
TRAIN_IMAGES: Final = 1
TEST_IMAGES: Final = 2
ORDER: Final = 3
AUGMENTATION: Final = 4

WORD_LIMIT: Final = 2**64


def whole_number(name: str, value: object, least: int = 0, below: int = WORD_LIMIT) -> int:
    """Return `value` as an int in ``least <= value < below``, or raise `InputError` naming the argument `name`."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise InputError(f"{name}: expected an integer, got {type(value).__name__}")
    if not least <= value < below:
        limit = "2**64" if below == WORD_LIMIT else str(below)
        raise InputError(f"{name}: expected an integer with {least} <= {name} < {limit}, got {value}")
    return int(value)


def stream(seed: int, purpose: int, *place: int) -> np.random.Philox:
    """Return the bit generator at an address.

    Parameters
    ----------
    seed : int
        0 to 2**64 - 1.
    purpose : int
        One of this module's constants.
    *place : int
        Up to three integers of 0 to 2**64 - 1, for example epoch and step.

    Returns
    -------
    numpy.random.Philox
        Its first 2**66 words are shared with no other address.
    """
    key = np.array([whole_number("seed", seed), purpose], dtype=np.uint64)
    # The counter's lowest word is the one that runs; the place sits in the upper three.
    counter = np.zeros(4, dtype=np.uint64)
    counter[1 : 1 + len(place)] = place
    return np.random.Philox(key=key, counter=counter)


def raw_words(generator: np.random.Philox, *shape: int) -> NDArray[np.uint64]:
    """Return the next words of a stream in the given shape."""
    count = int(np.prod(shape))
    return generator.random_raw(count).reshape(shape)
