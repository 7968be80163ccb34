"""What every model starts with: its generator, and a check of the arguments all of them have."""

from __future__ import annotations

import numpy as np

from minigrad.errors import InputError

__all__ = ["generator"]


def generator(seed: int, classes: int) -> np.random.Generator:
    """The generator of a model's weights; InputError for a seed that is no 64-bit number or less than one class."""
    if not 0 <= seed < 1 << 64 or classes < 1:
        raise InputError(f"seed, classes: expected 0 <= seed < 2^64 and at least one class, got {seed} and {classes}")
    return np.random.Generator(np.random.Philox(key=seed))
