"""Softmax cross-entropy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.elementary import exp, log
from minigrad.errors import InputError
from minigrad.primitive import Primitive, register
from minigrad.reduction import tree_sum

Array = np.ndarray
Needs = Sequence[bool]


def _check(logits: Array, labels: Array) -> None:
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or labels.dtype.kind not in "iu":
        raise InputError(
            f"softmax_cross_entropy: expected logits (n, classes) and integer labels (n,), "
            f"got {logits.shape} and {labels.dtype} {labels.shape}"
        )
    if logits.shape[0] == 0:
        raise InputError("softmax_cross_entropy: the batch is empty")
    wrong = (labels < 0) | (labels >= logits.shape[1])
    if wrong.any():
        n = int(np.argmax(wrong))
        raise InputError(f"labels: expected 0 to {logits.shape[1] - 1}, got {labels[n]} at index {n}")


def softmax_cross_entropy_forward(logits: Array, labels: Array) -> tuple[Array, Any]:
    """Mean over the rows of log(sum exp(logits)) - logits[label]."""
    _check(logits, labels)
    shifted = logits - logits.max(axis=1, keepdims=True)
    e = exp(shifted)
    total = tree_sum(e.T)
    losses = log(total) - shifted[np.arange(labels.size), labels]
    return np.asarray(tree_sum(losses) / labels.size, logits.dtype), (e / total[:, None], labels)


def softmax_cross_entropy_vjp(gy: Array, residuals: Any, needs: Needs) -> tuple[Array | None, ...]:
    probabilities, labels = residuals
    g = probabilities.copy()
    g[np.arange(labels.size), labels] -= 1
    return g * (gy / labels.size), None


def softmax_cross_entropy_jvp(tangents: tuple[Array, ...], logits: Array, labels: Array) -> Array:
    _, (probabilities, _) = softmax_cross_entropy_forward(logits, labels)
    t = tangents[0]
    along = tree_sum((probabilities * t).T) - t[np.arange(labels.size), labels]
    return np.asarray(tree_sum(along) / labels.size)


def _examples(rng: np.random.Generator, dtype: Any) -> tuple[tuple[Array, ...], dict[str, Any]]:
    n, classes = int(rng.integers(1, 5)), int(rng.integers(1, 6))
    return (rng.uniform(-3, 3, (n, classes)).astype(dtype), rng.integers(0, classes, n)), {}


register(
    Primitive(
        "softmax_cross_entropy",
        softmax_cross_entropy_forward,
        softmax_cross_entropy_vjp,
        softmax_cross_entropy_jvp,
        "labels below the number of classes",
        (),
        _examples,
        differentiable=(0,),
    )
)
