"""Sums whose order of additions is written down, so that their bits do not depend on the machine.

The tree: terms in blocks of 4,096; within a block 16 lanes, lane j adding the terms j, j + 16, ... one after the other
from +0; the lanes joined pairwise (0 and 8, ..., then 0 and 4, ...); the blocks joined pairwise, neighbours first, an
odd one out carried up. Missing terms are +0.
"""

from __future__ import annotations

import math

import numpy as np

__all__ = ["BLOCK", "LANES", "join_blocks", "sum_over", "sum_to_shape", "tree_sum"]

BLOCK = 4096
LANES = 16


def tree_sum(a: np.ndarray) -> np.ndarray:
    """Sum over the first axis: (m, ...) -> (...), in the dtype of ``a``, by the tree above."""
    count, rest = a.shape[0], a.shape[1:]
    if count == 0:
        return np.zeros(rest, a.dtype)
    blocks = -(-count // BLOCK)
    rows = BLOCK // LANES if blocks > 1 else -(-count // LANES)
    padded = blocks * rows * LANES
    if padded != count:
        a = np.concatenate([a, np.zeros((padded - count, *rest), a.dtype)])
    a = a.reshape(blocks, rows, LANES, *rest)
    lanes = np.zeros((blocks, LANES, *rest), a.dtype)
    for row in range(rows):
        lanes += a[:, row]
    width = LANES
    while width > 1:
        width //= 2
        lanes = lanes[:, :width] + lanes[:, width:]
    return join_blocks(lanes[:, 0])


def join_blocks(sums: np.ndarray) -> np.ndarray:
    """The sums of blocks (b, ...) joined pairwise, neighbours first: (...)."""
    while sums.shape[0] > 1:
        pairs = sums.shape[0] // 2
        joined = sums[0 : 2 * pairs : 2] + sums[1 : 2 * pairs : 2]
        sums = np.concatenate([joined, sums[2 * pairs :]])
    return sums[0]


def sum_over(a: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Sum over these axes (ascending), which disappear; the terms in the order of C, the last axis fastest."""
    kept = [n for n in range(a.ndim) if n not in axes]
    terms = math.prod(a.shape[n] for n in axes)
    return np.asarray(tree_sum(a.transpose(*axes, *kept).reshape(terms, *[a.shape[n] for n in kept])))


def sum_to_shape(a: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Undo broadcasting: sum ``a`` over every axis along which ``shape`` was stretched to ``a.shape``."""
    if a.shape == shape:
        return a
    lead = a.ndim - len(shape)
    axes = tuple(range(lead)) + tuple(lead + n for n, size in enumerate(shape) if size == 1 and a.shape[lead + n] != 1)
    return sum_over(a, axes).reshape(shape)
