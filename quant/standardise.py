"""Weights brought to mean 0 and standard deviation 1 before they are quantized.

    y = (x - mean) / std,   std = sqrt(sum (x - mean)^2 / (count - 1))

over the whole tensor, or over each filter: each entry of the last axis (a tensor of one axis is one filter). The
standard deviation is the unbiased one, as in the implementations of the methods that use this. Two gradients are used:

    weight_standardise_frozen    mean and std are constants: dx = gy / std                            (DAQ, APoT)
    weight_standardise           the derivative: dx = (gy - mean(gy) - y sum(gy y)/(count - 1)) / std  (IR-Net)

A filter that holds NaN or an infinity becomes NaN. Where the standard deviation is so small that 1 / std is beyond the
dtype (below 2^-128 in float32, 2^-1024 in float64), so are the gradients: they are infinite.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad import elementary
from minigrad.draw import Draw, distinct
from minigrad.errors import InputError
from minigrad.primitive import Example, Primitive, register
from minigrad.reduction import tree_sum

__all__ = ["filters_of", "mean_and_std", "standardise"]

Array = np.ndarray


def filters_of(x: Array) -> Array:
    """The filters of x as columns: (elements, filters); a tensor of one axis or none is one filter."""
    return x.reshape(int(np.prod(x.shape[:-1])), x.shape[-1]) if x.ndim > 1 else x.reshape(-1, 1)


def _columns(x: Array, per_filter: bool) -> Array:
    return filters_of(x) if per_filter else x.reshape(-1, 1)


def _scaled_statistics(columns: Array) -> tuple[Array, Array, Array, Array]:
    """Columns over a power of two, so that no square overflows or vanishes; their means and stds, and the exponents."""
    if columns.dtype.kind != "f":
        raise InputError(f"x: expected float32 or float64 to standardise, got {columns.dtype}")
    count = len(columns) if columns.size else 0
    if count < 2:
        raise InputError(f"x: expected at least 2 elements to standardise, got {count}")
    high = columns.max(axis=0)
    same = columns.min(axis=0) == high
    if same.any():
        raise InputError(f"x: expected different elements to standardise, got nothing but {high[int(np.argmax(same))]}")
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        top = np.abs(columns).max(axis=0)
        exponents = np.frexp(np.where(np.isfinite(top), top, 1))[1]
        scaled = np.ldexp(columns, -exponents)
        mean = tree_sum(scaled) / count
        centred = scaled - mean
        # Beside a large mean its rounding would show in the deviation: what is left of it is taken off too.
        rest = tree_sum(centred) / count
        centred = centred - rest
        return centred, mean + rest, np.sqrt(tree_sum(centred * centred) / (count - 1)), exponents


def mean_and_std(x: Array, per_filter: bool = False) -> tuple[Array, Array]:
    """Mean and unbiased standard deviation, in the dtype of x.

    Parameters
    ----------
    x : ndarray, float32 or float64, any shape
    per_filter : of each filter, shape (filters,); otherwise of the tensor, shape ()

    Raises
    ------
    InputError
        If there are fewer than two elements, or all are the same.
    """
    _, mean, std, exponents = _scaled_statistics(_columns(x, per_filter))
    with np.errstate(over="ignore", under="ignore"):
        shape = (len(std),) if per_filter and x.ndim > 1 else ()
        return np.ldexp(mean, exponents).reshape(shape), np.ldexp(std, exponents).reshape(shape)


def standardise(x: Array, per_filter: bool = False) -> Array:
    """(x - mean) / std, of the shape and dtype of x; arguments and errors as ``mean_and_std``."""
    centred, _, std, _ = _scaled_statistics(_columns(x, per_filter))
    with np.errstate(invalid="ignore"):
        return np.asarray((centred / std).reshape(x.shape))


# ---------------------------------------------------------------- on the tape


def _forward(x: Array, per_filter: bool = False) -> tuple[Array, Any]:
    """``standardise``, on the tape."""
    y = standardise(x, per_filter)
    return y, (y, mean_and_std(x, per_filter)[1], per_filter)


def _frozen_vjp(gy: Array, residuals: Any, needs: Sequence[bool]) -> tuple[Array | None, ...]:
    _, std, _ = residuals
    return (np.asarray(gy / std) if needs[0] else None,)


def _frozen_jvp(tangents: Sequence[Array | None], x: Array, per_filter: bool = False) -> Array:
    return np.zeros_like(x) if tangents[0] is None else np.asarray(tangents[0] / mean_and_std(x, per_filter)[1])


def _project(t: Array, y: Array, std: Array, per_filter: bool) -> Array:
    """The derivative of y along t, which is the gradient for t too: the map is symmetric."""
    columns, standard = _columns(t, per_filter), _columns(y, per_filter)
    count = len(columns)
    centred = columns - tree_sum(columns) / count - standard * (tree_sum(columns * standard) / (count - 1))
    return np.asarray((centred / std).reshape(t.shape))


def _vjp(gy: Array, residuals: Any, needs: Sequence[bool]) -> tuple[Array | None, ...]:
    return (_project(gy, *residuals) if needs[0] else None,)


def _jvp(tangents: Sequence[Array | None], x: Array, per_filter: bool = False) -> Array:
    return np.zeros_like(x) if tangents[0] is None else _project(tangents[0], *_forward(x, per_filter)[1])


def frozen_statistics(x: Array, per_filter: bool = False) -> Callable[[Array], Array]:
    """The function whose true gradient the frozen vjp is: mean and std stay what they are at x."""
    pairs = [(statistics.mean(c), statistics.stdev(c)) for c in _columns(x, per_filter).T.astype(np.float64).tolist()]
    mean, std = (np.array(numbers, x.dtype) for numbers in zip(*pairs, strict=True))

    def surrogate(x: Array) -> Array:
        return ((_columns(x, per_filter) - mean) / std).reshape(x.shape)

    return surrogate


def _definition(x: Array, per_filter: bool = False) -> Array:
    columns = _columns(x, per_filter)
    y = np.empty(columns.shape, object)
    for n in range(columns.shape[1]):
        numbers = list(columns[:, n])
        mean = sum(numbers) / len(numbers)
        variance = sum((a - mean) * (a - mean) for a in numbers) / (len(numbers) - 1)
        for row, a in enumerate(numbers):
            y[row, n] = (a - mean) / elementary.sqrt(variance)
    return y.reshape(x.shape)


def _examples(draw: Draw, dtype: Any) -> Example:
    # Two elements become the same two numbers whatever they are: nothing to differentiate.
    shape = draw.choice([(3,), (7,), (4, 1), (3, 2), (2, 2, 3)])
    x = (distinct(draw, shape) + draw.uniform(-2.0, 2.0)) * 10.0 ** draw.integer(-6, 6)
    return (x.astype(dtype),), {"per_filter": draw.choice((False, True))}


register(
    Primitive(
        "weight_standardise",
        _forward,
        _vjp,
        _jvp,
        definition=_definition,
        domain="at least two elements in each filter, not all the same",
        kinks=(),
        examples=_examples,
    )
)
register(
    Primitive(
        "weight_standardise_frozen",
        _forward,
        _frozen_vjp,
        _frozen_jvp,
        definition=_definition,
        domain="at least two elements in each filter, not all the same",
        kinks=(),
        examples=_examples,
        surrogate=frozen_statistics,
    )
)
