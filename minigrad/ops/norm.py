"""Batch normalisation over all axes but the last (the channels): by the batch's statistics, or by given ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad import elementary
from minigrad.draw import Draw, distinct, floats
from minigrad.errors import InputError
from minigrad.ops.standardise import Standard, check_eps, mean_and_variance
from minigrad.primitive import Example, Primitive, register
from minigrad.reduction import tree_sum

Array = np.ndarray
Needs = Sequence[bool]


def _rows(x: Array) -> Array:
    return x.reshape(-1, x.shape[-1]) if x.size else x.reshape(int(np.prod(x.shape[:-1])), x.shape[-1])


def _check(name: str, x: Array, eps: float, **parameters: Array) -> None:
    if x.ndim < 2:
        raise InputError(f"{name}: x: expected an array (..., channels) of at least 2 dimensions, got shape {x.shape}")
    for parameter, array in parameters.items():
        if array.shape != x.shape[-1:]:
            raise InputError(f"{name}: {parameter}: expected shape {x.shape[-1:]}, got {array.shape}")
    check_eps(eps, name)


def batch_norm_forward(
    x: Array,
    gamma: Array,
    beta: Array,
    eps: float = 1e-5,
    observe: Callable[[Array, Array], None] | None = None,
) -> tuple[Array, Any]:
    """Batch normalisation in training (Ioffe and Szegedy, ICML 2015, Algorithm 1).

    ``y = gamma (x - mean) / sqrt(variance + eps) + beta`` with the batch's own mean and biased variance of every
    channel.

    Parameters
    ----------
    x : (..., channels), float32 or float64
        At least two values a channel.
    gamma, beta : (channels,)
    eps : float
        Added to the variance; above 0.
    observe : function or None
        Is shown the mean and the biased variance, (channels,) each.

    Returns
    -------
    The shape and dtype of x.

    Raises
    ------
    InputError
        If there are fewer than two values a channel, or a shape or eps is not as stated.
    """
    _check("batch_norm", x, eps, gamma=gamma, beta=beta)
    rows = _rows(x)
    if rows.shape[0] < 2:
        raise InputError(f"batch_norm: expected at least 2 values a channel in training, got shape {x.shape}")
    mean, variance = mean_and_variance(rows)
    if observe is not None:
        observe(mean, variance)
    inverse = 1 / np.sqrt(variance + x.dtype.type(eps))
    normalised = (x - mean) * inverse
    return normalised * gamma + beta, (normalised, inverse, gamma)


def batch_norm_vjp(gy: Array, residuals: Any, needs: Needs) -> tuple[Array | None, ...]:
    """``dx = gamma r (gy - mean(gy) - n mean(gy n))``, ``dgamma = sum(gy n)``, ``dbeta = sum(gy)``."""
    normalised, inverse, gamma = residuals
    g, n = _rows(gy), _rows(normalised)
    dgamma, dbeta = tree_sum(g * n), tree_sum(g)
    dx = None
    if needs[0]:
        count = g.shape[0]
        dx = (gamma * inverse) * (gy - (dbeta / count) - normalised * (dgamma / count))
    return dx, dgamma, dbeta


def batch_norm_jvp(tangents: tuple[Array | None, ...], x: Array, gamma: Array, beta: Array, eps: float = 1e-5) -> Array:
    """``gamma P(dx) + n dgamma + dbeta`` (P as in ``minigrad.ops.standardise``)."""
    _, (normalised, inverse, _) = batch_norm_forward(x, gamma, beta, eps)
    dx, dgamma, dbeta = tangents
    y = np.zeros_like(x)
    if dx is not None:
        y = y + Standard(_rows(normalised), inverse).first(_rows(dx)).reshape(x.shape) * gamma
    if dgamma is not None:
        y = y + normalised * dgamma
    return y if dbeta is None else y + dbeta


def batch_norm_hvp(
    gy: Array, tangents: tuple[Array | None, ...], x: Array, gamma: Array, beta: Array, eps: float = 1e-5
) -> tuple[Array | None, ...]:
    """``(Q(gy gamma, t) + P(gy s), sum(gy P(t)), 0)`` for tangents t of x and s of gamma.

    It is the derivative of the gradient ``(P(gy gamma), sum(gy n), sum(gy))`` along them.
    """
    _, (normalised, inverse, _) = batch_norm_forward(x, gamma, beta, eps)
    standard = Standard(_rows(normalised), inverse)
    g = _rows(gy)
    t, s, _ = tangents
    dx: Array = np.zeros_like(x)
    dgamma = None
    if t is not None:
        dx = dx + standard.second(g * gamma, _rows(t)).reshape(x.shape)
        dgamma = tree_sum(g * standard.first(_rows(t)))
    if s is not None:
        dx = dx + standard.first(g * s).reshape(x.shape)
    return dx, dgamma, None


def affine_norm_forward(
    x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, eps: float = 1e-5
) -> tuple[Array, Any]:
    """Batch normalisation in evaluation, by statistics that are given (Ioffe and Szegedy, ICML 2015, Algorithm 2).

    ``((x - mean) * inverse) * gamma + beta`` with ``inverse = 1 / sqrt(variance + eps)``, in this order: each step is
    monotone in x even after rounding.

    Parameters
    ----------
    x : (..., channels), float32 or float64
    gamma, beta : (channels,)
    mean, variance : (channels,)
        Constants: they have no gradient.
    eps : float
        Added to the variance; above 0.

    Returns
    -------
    The shape and dtype of x.

    Raises
    ------
    InputError
        If a shape or eps is not as stated, or a variance is negative.
    """
    _check("affine_norm", x, eps, gamma=gamma, beta=beta, mean=mean, variance=variance)
    if (variance < 0).any():
        raise InputError(f"affine_norm: variance: expected no negative numbers, got {variance.min()}")
    inverse = 1 / np.sqrt(variance + x.dtype.type(eps))
    normalised = (x - mean) * inverse
    return normalised * gamma + beta, (normalised, inverse, gamma)


def affine_norm_vjp(gy: Array, residuals: Any, needs: Needs) -> tuple[Array | None, ...]:
    """``dx = (gy gamma) inverse``, ``dgamma = sum(gy n)``, ``dbeta = sum(gy)``."""
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
    """``dx inverse gamma + n dgamma + dbeta``."""
    _, (normalised, inverse, _) = affine_norm_forward(x, gamma, beta, mean, variance, eps)
    y = np.zeros_like(x)
    if tangents[0] is not None:
        y = y + tangents[0] * inverse * gamma
    if tangents[1] is not None:
        y = y + normalised * tangents[1]
    if tangents[2] is not None:
        y = y + tangents[2]
    return y


def affine_norm_hvp(
    gy: Array,
    tangents: tuple[Array | None, ...],
    x: Array,
    gamma: Array,
    beta: Array,
    mean: Array,
    variance: Array,
    eps: float = 1e-5,
) -> tuple[Array | None, ...]:
    """Of the gradient ``(gy gamma inverse, sum(gy n), sum(gy))``, ``(gy s inverse, sum(gy t inverse), 0)``.

    t and s are the tangents of x and gamma.
    """
    inverse = 1 / np.sqrt(variance + x.dtype.type(eps))
    t, s = tangents[:2]
    dx = None if s is None else (gy * s) * inverse
    return dx, None if t is None else tree_sum(_rows(gy * t * inverse)), None, None, None


def batch_norm_definition(x: Array, gamma: Array, beta: Array, eps: float = 1e-5) -> Array:
    rows = _rows(x)
    count = rows.shape[0]
    mean = rows.sum(0) / count
    variance = ((rows - mean) * (rows - mean)).sum(0) / count
    return (x - mean) / elementary.sqrt(variance + eps) * gamma + beta


def affine_norm_definition(
    x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, eps: float = 1e-5
) -> Array:
    return (x - mean) / elementary.sqrt(variance + eps) * gamma + beta


def _examples(draw: Draw, dtype: Any) -> Example:
    """From two values a channel (where the gradient of x nearly cancels) to twelve."""
    c = draw.integer(1, 3)
    shape = draw.choice([(2, c), (5, c), (1, 1, 2, c), (2, 3, 1, c), (3, 2, 2, c)])
    x = distinct(draw, shape).astype(dtype)
    if draw.integer(0, 1) and x.ndim == 4:
        x = np.ascontiguousarray(x.transpose(0, 2, 1, 3)).transpose(0, 2, 1, 3)
    gamma, beta = floats(draw, -2.0, 2.0, (c,), dtype), floats(draw, -1.0, 1.0, (c,), dtype)
    return (x, gamma, beta), {"eps": draw.choice([1e-5, 0.125])}


def _affine_examples(draw: Draw, dtype: Any) -> Example:
    c = draw.integer(1, 3)
    shape = draw.choice([(1, c), (4, c), (1, 1, 1, c), (2, 3, 1, c), (3, 2, 2, c)])
    x = floats(draw, -4.0, 4.0, shape, dtype)
    gamma, beta, mean = (floats(draw, -2.0, 2.0, (c,), dtype) for _ in range(3))
    return (x, gamma, beta, mean, floats(draw, 0.0, 2.0, (c,), dtype)), {"eps": draw.choice([1e-5, 0.125])}


register(
    Primitive(
        "batch_norm",
        batch_norm_forward,
        batch_norm_vjp,
        batch_norm_jvp,
        definition=batch_norm_definition,
        domain="at least two values a channel, eps > 0",
        kinks=(),
        examples=_examples,
        hvp=batch_norm_hvp,
    )
)
register(
    Primitive(
        "affine_norm",
        affine_norm_forward,
        affine_norm_vjp,
        affine_norm_jvp,
        definition=affine_norm_definition,
        domain="variance at least 0, eps > 0",
        kinks=(),
        examples=_affine_examples,
        differentiable=(0, 1, 2),
        hvp=affine_norm_hvp,
    )
)
