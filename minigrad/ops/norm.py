"""Batch normalisation over all axes but the last (the channels)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.errors import InputError
from minigrad.primitive import Primitive, register
from minigrad.reduction import tree_sum

Array = np.ndarray
Needs = Sequence[bool]


def _rows(x: Array) -> Array:
    return x.reshape(-1, x.shape[-1])


def _batch_statistics(x: Array) -> tuple[Array, Array]:
    """Mean and biased variance of every channel."""
    rows = _rows(x)
    if rows.shape[0] < 2:
        raise InputError(f"batch_norm: expected at least 2 values a channel in training, got shape {x.shape}")
    mean = tree_sum(rows) / rows.shape[0]
    centred = rows - mean
    return mean, tree_sum(centred * centred) / rows.shape[0]


def batch_norm_forward(
    x: Array,
    gamma: Array,
    beta: Array,
    eps: float = 1e-5,
    observe: Callable[[Array, Array], None] | None = None,
) -> tuple[Array, Any]:
    """Normalised by the batch's own statistics, which ``observe`` is shown (mean, biased variance)."""
    mean, variance = _batch_statistics(x)
    if observe is not None:
        observe(mean, variance)
    inverse = 1 / np.sqrt(variance + x.dtype.type(eps))
    normalised = (x - mean) * inverse
    return normalised * gamma + beta, (normalised, inverse, gamma)


def batch_norm_vjp(gy: Array, residuals: Any, needs: Needs) -> tuple[Array | None, ...]:
    normalised, inverse, gamma = residuals
    g, n = _rows(gy), _rows(normalised)
    dgamma, dbeta = tree_sum(g * n), tree_sum(g)
    dx = None
    if needs[0]:
        count = g.shape[0]
        dx = (gamma * inverse) * (gy - (dbeta / count) - normalised * (dgamma / count))
    return dx, dgamma, dbeta


def batch_norm_jvp(tangents: tuple[Array | None, ...], x: Array, gamma: Array, beta: Array, eps: float = 1e-5) -> Array:
    _, (normalised, inverse, _) = batch_norm_forward(x, gamma, beta, eps)
    y = np.zeros_like(x)
    if tangents[0] is not None:
        t = tangents[0]
        count = _rows(t).shape[0]
        along = tree_sum(_rows(t * normalised)) / count
        y = y + gamma * inverse * (t - tree_sum(_rows(t)) / count - normalised * along)
    if tangents[1] is not None:
        y = y + normalised * tangents[1]
    if tangents[2] is not None:
        y = y + tangents[2]
    return y


def affine_norm_forward(
    x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, eps: float = 1e-5
) -> tuple[Array, Any]:
    """Evaluation: ((x - mean) * inverse) * gamma + beta, each step monotone in x even after rounding."""
    inverse = 1 / np.sqrt(variance + x.dtype.type(eps))
    normalised = (x - mean) * inverse
    return normalised * gamma + beta, (normalised, inverse, gamma)


def affine_norm_vjp(gy: Array, residuals: Any, needs: Needs) -> tuple[Array | None, ...]:
    normalised, inverse, gamma = residuals
    dgamma = tree_sum(_rows(gy * normalised)) if needs[1] else None
    return (gy * gamma) * inverse, dgamma, tree_sum(_rows(gy)) if needs[2] else None, None, None


def affine_norm_jvp(
    tangents: tuple[Array | None, ...],
    x: Array,
    gamma: Array,
    beta: Array,
    mean: Array,
    variance: Array,
    eps: float = 1e-5,
) -> Array:
    _, (normalised, inverse, _) = affine_norm_forward(x, gamma, beta, mean, variance, eps)
    y = np.zeros_like(x)
    if tangents[0] is not None:
        y = y + tangents[0] * inverse * gamma
    if tangents[1] is not None:
        y = y + normalised * tangents[1]
    if tangents[2] is not None:
        y = y + tangents[2]
    return y


def _examples(rng: np.random.Generator, dtype: Any) -> tuple[tuple[Array, ...], dict[str, Any]]:
    c = int(rng.integers(1, 4))
    x = rng.uniform(-2, 2, (3, 2, 3, c)).astype(dtype)
    return (x, rng.uniform(0.5, 2, c).astype(dtype), rng.uniform(-1, 1, c).astype(dtype)), {}


def _affine_examples(rng: np.random.Generator, dtype: Any) -> tuple[tuple[Array, ...], dict[str, Any]]:
    arrays, options = _examples(rng, dtype)
    c = arrays[1].size
    return (*arrays, rng.uniform(-1, 1, c).astype(dtype), rng.uniform(0.5, 2, c).astype(dtype)), options


register(
    Primitive(
        "batch_norm",
        batch_norm_forward,
        batch_norm_vjp,
        batch_norm_jvp,
        "at least two values a channel",
        (),
        _examples,
    )
)
register(
    Primitive(
        "affine_norm",
        affine_norm_forward,
        affine_norm_vjp,
        affine_norm_jvp,
        "variance + eps > 0",
        (),
        _affine_examples,
        differentiable=(0, 1, 2),
    )
)
