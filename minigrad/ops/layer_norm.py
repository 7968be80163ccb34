"""Layer and group normalisation: every example is normalised by itself, so training and evaluation are the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad import elementary
from minigrad.draw import Draw, distinct, floats
from minigrad.errors import InputError
from minigrad.ops.standardise import check_eps, standardise
from minigrad.primitive import Example, Primitive, register
from minigrad.reduction import sum_to_shape

Array = np.ndarray
Needs = Sequence[bool]


class _Layout:
    """How the elements of x lie in columns: one column a set that is normalised together."""

    def __init__(self, shape: tuple[int, ...], split: tuple[int, ...], order: tuple[int, ...], joined: int) -> None:
        self.shape, self.split, self.order, self.joined = shape, split, order, joined

    @classmethod
    def of_layers(cls, shape: tuple[int, ...], axes: int) -> _Layout:
        """The last ``axes`` axes together."""
        n = len(shape)
        return cls(shape, shape, (*range(n - axes, n), *range(n - axes)), axes)

    @classmethod
    def of_groups(cls, shape: tuple[int, ...], groups: int) -> _Layout:
        """All axes but the first, in ``groups`` groups of neighbouring channels."""
        n = len(shape)
        split = (*shape[:-1], groups, shape[-1] // groups)
        return cls(shape, split, (*range(1, n - 1), n, 0, n - 1), n - 1)

    def columns(self, x: Array) -> Array:
        """x -> (m, sets)."""
        moved = np.broadcast_to(x, self.shape).reshape(self.split).transpose(self.order)
        m, sets = (int(np.prod(part)) for part in (moved.shape[: self.joined], moved.shape[self.joined :]))
        return moved.reshape(m, sets)

    def images(self, columns: Array) -> Array:
        """(m, sets) -> the shape of x."""
        moved = columns.reshape([self.split[n] for n in self.order])
        return moved.transpose(np.argsort(self.order)).reshape(self.shape)


def _layers(x: Array, gamma: Array, beta: Array, eps: float) -> _Layout:
    if gamma.ndim < 1 or x.ndim < gamma.ndim or x.shape[x.ndim - gamma.ndim :] != gamma.shape:
        raise InputError(
            f"layer_norm: gamma: expected the shape of the last axis of x, or of the last ones, got {gamma.shape} "
            f"for x {x.shape}"
        )
    if beta.shape != gamma.shape:
        raise InputError(f"layer_norm: beta: expected the shape of gamma, {gamma.shape}, got {beta.shape}")
    if gamma.size == 0:
        raise InputError(f"layer_norm: x: expected elements along the normalised axes, got shape {x.shape}")
    check_eps(eps, "layer_norm")
    return _Layout.of_layers(x.shape, gamma.ndim)


def _groups(x: Array, gamma: Array, beta: Array, groups: int, eps: float) -> _Layout:
    if x.ndim < 2:
        raise InputError(f"group_norm: x: expected an array (n, ..., channels), got shape {x.shape}")
    channels = x.shape[-1]
    for name, array in (("gamma", gamma), ("beta", beta)):
        if array.shape != (channels,):
            raise InputError(f"group_norm: {name}: expected shape {(channels,)}, got {array.shape}")
    if isinstance(groups, bool) or not isinstance(groups, (int, np.integer)) or groups < 1 or channels % groups:
        raise InputError(f"group_norm: groups: expected a divisor of the {channels} channels, got {groups!r}")
    if 0 in x.shape[1:]:
        raise InputError(f"group_norm: x: expected elements in every group, got shape {x.shape}")
    check_eps(eps, "group_norm")
    return _Layout.of_groups(x.shape, int(groups))


def _forward(x: Array, gamma: Array, beta: Array, layout: _Layout, eps: float) -> tuple[Array, Any]:
    standard = standardise(layout.columns(x), eps)
    return layout.images(standard.n) * gamma + beta, (standard, layout, gamma)


def _jvp(tangents: tuple[Array | None, ...], gamma: Array, residuals: Any) -> Array:
    standard, layout, _ = residuals
    dx, dgamma, dbeta = tangents
    y: Array = np.zeros(layout.shape, standard.n.dtype)
    if dx is not None:
        y = y + layout.images(standard.first(layout.columns(dx))) * gamma
    if dgamma is not None:
        y = y + layout.images(standard.n) * dgamma
    return y if dbeta is None else y + dbeta


def _vjp(gy: Array, residuals: Any, needs: Needs) -> tuple[Array | None, ...]:
    standard, layout, gamma = residuals
    dx = layout.images(standard.first(layout.columns(gy * gamma))) if needs[0] else None
    dgamma = sum_to_shape(gy * layout.images(standard.n), gamma.shape) if needs[1] else None
    return dx, dgamma, sum_to_shape(gy, gamma.shape) if needs[2] else None


def _hvp(gy: Array, tangents: tuple[Array | None, ...], residuals: Any) -> tuple[Array | None, ...]:
    standard, layout, gamma = residuals
    t, s, _ = tangents
    dx: Array = np.zeros_like(gy)
    dgamma = None
    if t is not None:
        columns = layout.columns(t)
        dx = dx + layout.images(standard.second(layout.columns(gy * gamma), columns))
        dgamma = sum_to_shape(gy * layout.images(standard.first(columns)), gamma.shape)
    if s is not None:
        dx = dx + layout.images(standard.first(layout.columns(gy * s)))
    return dx, dgamma, None


def layer_norm_forward(x: Array, gamma: Array, beta: Array, eps: float = 1e-5) -> tuple[Array, Any]:
    """Layer normalisation (Ba, Kiros and Hinton, arXiv:1607.06450, eq 3 and 4, with eps inside the root).

    ``y = gamma (x - mean) / sqrt(variance + eps) + beta``, mean and biased variance over the last axis of every
    example, or over as many of the last axes as gamma has.

    Parameters
    ----------
    x : (..., *gamma.shape), float32 or float64
    gamma, beta : one array each, of the shape of the normalised axes
    eps : float
        Added to the variance; above 0.

    Returns
    -------
    The shape and dtype of x.

    Raises
    ------
    InputError
        If gamma is not of the shape of x's last axes or has no elements, beta differs in shape, or eps is not above 0.
    """
    return _forward(x, gamma, beta, _layers(x, gamma, beta, eps), eps)


def layer_norm_vjp(gy: Array, residuals: Any, needs: Needs) -> tuple[Array | None, ...]:
    """``dx = P(gy gamma)``, ``dgamma = sum(gy n)``, ``dbeta = sum(gy)``; P as in ``minigrad.ops.standardise``."""
    return _vjp(gy, residuals, needs)


def layer_norm_jvp(tangents: tuple[Array | None, ...], x: Array, gamma: Array, beta: Array, eps: float = 1e-5) -> Array:
    """``gamma P(dx) + n dgamma + dbeta``."""
    return _jvp(tangents, gamma, layer_norm_forward(x, gamma, beta, eps)[1])


def layer_norm_hvp(
    gy: Array, tangents: tuple[Array | None, ...], x: Array, gamma: Array, beta: Array, eps: float = 1e-5
) -> tuple[Array | None, ...]:
    """``(Q(gy gamma, t) + P(gy s), sum(gy P(t)), 0)`` for tangents t of x and s of gamma."""
    return _hvp(gy, tangents, layer_norm_forward(x, gamma, beta, eps)[1])


def group_norm_forward(x: Array, gamma: Array, beta: Array, groups: int, eps: float = 1e-5) -> tuple[Array, Any]:
    """Group normalisation (Wu and He, ECCV 2018, eq 1 to 3 and 7).

    ``y = gamma (x - mean) / sqrt(variance + eps) + beta``, mean and biased variance over all pixels and the channels of
    one group, for every example; gamma and beta are a channel each.

    Parameters
    ----------
    x : (n, ..., channels), float32 or float64
    gamma, beta : (channels,)
    groups : int
        A divisor of the channels: channel c is in group ``c // (channels // groups)``. 1 is layer normalisation of the
        whole example, ``channels`` instance normalisation.
    eps : float
        Added to the variance; above 0.

    Returns
    -------
    The shape and dtype of x.

    Raises
    ------
    InputError
        If the groups do not divide the channels, a group is empty, or a shape or eps is not as stated.
    """
    return _forward(x, gamma, beta, _groups(x, gamma, beta, groups, eps), eps)


def group_norm_vjp(gy: Array, residuals: Any, needs: Needs) -> tuple[Array | None, ...]:
    """``dx = P(gy gamma)``, ``dgamma = sum(gy n)``, ``dbeta = sum(gy)``; P as in ``minigrad.ops.standardise``."""
    return _vjp(gy, residuals, needs)


def group_norm_jvp(
    tangents: tuple[Array | None, ...], x: Array, gamma: Array, beta: Array, groups: int, eps: float = 1e-5
) -> Array:
    """``gamma P(dx) + n dgamma + dbeta``."""
    return _jvp(tangents, gamma, group_norm_forward(x, gamma, beta, groups, eps)[1])


def group_norm_hvp(
    gy: Array, tangents: tuple[Array | None, ...], x: Array, gamma: Array, beta: Array, groups: int, eps: float = 1e-5
) -> tuple[Array | None, ...]:
    """``(Q(gy gamma, t) + P(gy s), sum(gy P(t)), 0)`` for tangents t of x and s of gamma."""
    return _hvp(gy, tangents, group_norm_forward(x, gamma, beta, groups, eps)[1])


def _standardised(x: Array, eps: float) -> Array:
    """One set by the textbook."""
    mean = x.sum() / x.size
    variance = ((x - mean) * (x - mean)).sum() / x.size
    return (x - mean) / elementary.sqrt(variance + eps)


def layer_norm_definition(x: Array, gamma: Array, beta: Array, eps: float = 1e-5) -> Array:
    y = np.empty(x.shape, object)
    for example in np.ndindex(x.shape[: x.ndim - gamma.ndim]):
        y[example] = _standardised(x[example], eps) * gamma + beta
    return y


def group_norm_definition(x: Array, gamma: Array, beta: Array, groups: int, eps: float = 1e-5) -> Array:
    size = x.shape[-1] // groups
    y = np.empty(x.shape, object)
    for example in range(x.shape[0]):
        for first in range(0, x.shape[-1], size):
            group = (example, ..., slice(first, first + size))
            own = slice(first, first + size)
            y[group] = _standardised(x[group], eps) * gamma[own] + beta[own]
    return y


def _layer_examples(draw: Draw, dtype: Any) -> Example:
    shape, axes = draw.choice(
        [((2,), 1), ((7,), 1), ((3, 2), 1), ((2, 5), 2), ((1, 4), 1), ((2, 1, 3), 2), ((2, 2, 3), 1), ((2, 2, 2, 3), 3)]
    )
    x = distinct(draw, shape).astype(dtype)
    gamma, beta = floats(draw, -2.0, 2.0, shape[-axes:], dtype), floats(draw, -1.0, 1.0, shape[-axes:], dtype)
    return (x, gamma, beta), {"eps": draw.choice([1e-5, 0.125])}


def _group_examples(draw: Draw, dtype: Any) -> Example:
    shape, groups = draw.choice(
        [((2, 4), 2), ((1, 1, 2, 3), 3), ((2, 2, 1, 4), 2), ((1, 2, 3, 6), 3), ((2, 3, 3), 1), ((1, 3, 2, 4), 4)]
    )
    x = distinct(draw, shape).astype(dtype)
    gamma, beta = floats(draw, -2.0, 2.0, shape[-1:], dtype), floats(draw, -1.0, 1.0, shape[-1:], dtype)
    return (x, gamma, beta), {"groups": groups, "eps": draw.choice([1e-5, 0.125])}


register(
    Primitive(
        "layer_norm",
        layer_norm_forward,
        layer_norm_vjp,
        layer_norm_jvp,
        definition=layer_norm_definition,
        domain="at least one element along the normalised axes, eps > 0",
        kinks=(),
        examples=_layer_examples,
        hvp=layer_norm_hvp,
    )
)
register(
    Primitive(
        "group_norm",
        group_norm_forward,
        group_norm_vjp,
        group_norm_jvp,
        definition=group_norm_definition,
        domain="groups that divide the channels, eps > 0",
        kinks=(),
        examples=_group_examples,
        hvp=group_norm_hvp,
    )
)
