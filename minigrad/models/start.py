"""What every model starts with: its generator, and a check of the arguments all of them have."""

from __future__ import annotations

import numpy as np

from minigrad.errors import InputError
from minigrad.ops.arguments import is_integer

__all__ = ["generator"]


def generator(seed: int, classes: int) -> np.random.Generator:
    """The generator of a model's weights; InputError for a seed that is no 64-bit number or less than one class."""
    if not (is_integer(seed) and 0 <= seed < 1 << 64 and is_integer(classes) and classes >= 1):
        raise InputError(
            f"seed, classes: expected 0 <= seed < 2^64 and at least one class, whole numbers, got {seed!r}, {classes!r}"
        )
    return np.random.Generator(np.random.Philox(key=seed))
