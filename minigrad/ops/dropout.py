"""Dropout with a mask that is given: who draws it decides what is dropped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.draw import Draw, floats, shape_of
from minigrad.errors import InputError
from minigrad.ops.arguments import is_number
from minigrad.primitive import Example, Primitive, no_curvature, register

__all__ = ["dropout_forward"]

Array = np.ndarray
Needs = Sequence[bool]


def _check(x: Array, keep: Array, rate: float) -> None:
    if keep.dtype != np.bool_:
        raise InputError(f"dropout: keep: expected an array of bool, got {keep.dtype}")
    try:
        fits = np.broadcast_shapes(x.shape, keep.shape) == x.shape
    except ValueError:
        fits = False
    if not fits:
        raise InputError(f"dropout: keep: expected a shape that broadcasts to that of x, {x.shape}, got {keep.shape}")
    if not is_number(rate) or not 0 <= rate < 1:
        raise InputError(f"dropout: rate: expected a number in [0, 1), got {rate!r}")


def _scaled(x: Array, keep: Array, rate: float) -> Array:
    return np.asarray(x * keep / x.dtype.type(1 - rate))


def dropout_forward(x: Array, keep: Array, rate: float) -> tuple[Array, Any]:
    """``x keep / (1 - rate)``: dropped elements are 0, the others grow so that the expected value stays.

    Srivastava et al. 2014, section 10 (the "inverted" form: nothing is to be done in evaluation).

    Parameters
    ----------
    x : array, any shape
    keep : array of bool
        True for what stays, drawn with probability 1 - rate; of a shape that broadcasts to that of ``x`` ((n, 1, 1, c)
        drops whole channels of images). It has no gradient.
    rate : float
        The share that is dropped, in [0, 1).

    Returns
    -------
    array
        The shape and dtype of ``x``; NaN and infinity times 0 are NaN, even where dropped.

    Raises
    ------
    InputError
        If ``keep`` is no array of bool or does not broadcast to the shape of ``x``, or ``rate`` is out of range.
    """
    _check(x, keep, rate)
    return _scaled(x, keep, rate), (keep, rate)


def dropout_vjp(gy: Array, residuals: Any, needs: Needs) -> tuple[Array | None, ...]:
    return _scaled(gy, *residuals), None


def dropout_jvp(tangents: Sequence[Any], x: Array, keep: Array, rate: float) -> Array:
    return _scaled(tangents[0], keep, rate)


def dropout_definition(x: Array, keep: Array, rate: float) -> Any:
    return x * np.where(keep, 1, 0) / (x * 0 + 1 - rate)


def _examples(draw: Draw, dtype: Any) -> Example:
    shape = shape_of(draw, (0, 3), (1, 4))
    # Along a size of 1 the mask is broadcast.
    mask = tuple(draw.choice([1, size]) for size in shape)
    keep = draw.uniform(0.0, 1.0, mask) < 0.6
    return (floats(draw, -2.0, 2.0, shape, dtype), keep), {"rate": draw.choice([0.0, 0.25, 0.3, 0.9])}


register(
    Primitive(
        "dropout",
        dropout_forward,
        dropout_vjp,
        dropout_jvp,
        definition=dropout_definition,
        domain="all real numbers; 0 <= rate < 1",
        kinks=(),
        examples=_examples,
        differentiable=(0,),
        hvp=no_curvature,
    )
)
