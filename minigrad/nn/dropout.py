"""Dropout."""

from __future__ import annotations

import numpy as np

from minigrad.errors import InputError
from minigrad.nn.module import Module
from minigrad.ops.arguments import is_integer, is_number
from minigrad.tensor import Tensor, apply

__all__ = ["Dropout"]


class Dropout(Module):
    """In training each element is 0 with probability ``rate``, the others grow by 1 / (1 - rate); else the identity.

    (Srivastava et al., JMLR 2014, section 10: scaled in training.) The masks come from a generator of its own, which is
    part of the module's state: the n-th mask follows from the seed and from n alone, so a run that is taken up from a
    checkpoint has the same bits as one that was never stopped.

    Parameters
    ----------
    rate : float
        0 <= rate < 1.
    seed : int
        0 <= seed < 2^64. Give every dropout of a network another one: equal seeds draw equal masks.

    Raises
    ------
    InputError
        If the rate or the seed is outside its range.
    """

    buffers = ("seed", "drawn")

    def __init__(self, rate: float, *, seed: int) -> None:
        super().__init__()
        if not is_number(rate) or not 0 <= rate < 1:
            raise InputError(f"rate: expected 0 <= rate < 1, got {rate!r}")
        if not is_integer(seed) or not 0 <= seed < 1 << 64:
            raise InputError(f"seed: expected 0 <= seed < 2^64, a whole number, got {seed!r}")
        self.rate = rate
        self.seed = np.array(seed, np.uint64)
        self.drawn = np.zeros((), np.uint64)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        # The number of the mask is the highest word of the counter: masks do not overlap.
        bits = np.random.Philox(key=int(self.seed), counter=[0, 0, 0, int(self.drawn)])
        keep = np.random.Generator(bits).random(x.shape) >= self.rate
        self.drawn += np.uint64(1)
        return apply("dropout", x, keep, rate=self.rate)
