"""Initial weights, the same bits on every machine: sums of integers, no logarithm, no cosine."""

from __future__ import annotations

import numpy as np

__all__ = ["kaiming_normal", "normal"]


def normal(rng: np.random.Generator, shape: tuple[int, ...], std: float, dtype: type = np.float32) -> np.ndarray:
    """Approximately normal numbers of mean 0: the sum of 12 uniform 16-bit integers, centred and scaled."""
    total = rng.integers(0, 1 << 16, (12, *shape), dtype=np.int64).sum(axis=0) - 6 * ((1 << 16) - 1)
    return (total * (std / (1 << 16))).astype(dtype)


def kaiming_normal(rng: np.random.Generator, shape: tuple[int, ...], dtype: type = np.float32) -> np.ndarray:
    """Weights (..., in, out) with variance 2 / fan-in (He et al., ICCV 2015, eq 10)."""
    fan_in = int(np.prod(shape[:-1]))
    return normal(rng, shape, float(np.sqrt(2.0 / fan_in)), dtype)
