"""XNOR-Net's binary weights, BWN (Rastegari et al., ECCV 2016, arXiv 1603.05279).

Equations, for each filter (an entry of the last axis; a tensor of one axis is one filter) of n weights:

    a = mean |x|,   hard = a sign(x), with sign(0) = +1
    dx = gy a 1{|x| <= 1} + sign(x) mean(gy sign(x))

The second term is the gradient through the scale, summed over the filter: the sign in dx is the slope of |x|. There are
no parameters. The gradient is a surrogate's, ``frozen_sign``: the scale is differentiated as it is, the sign as x where
|x| <= 1. A filter of nothing but zeros has a = 0.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.draw import Draw, away_from
from minigrad.errors import InputError
from minigrad.primitive import Example, Kink, KinkPoint, Primitive, register
from minigrad.reduction import tree_sum
from minigrad.tensor import Tensor, apply
from quant.calibration import positive_mean_abs
from quant.domain import check_bits, refuse_nan, same_dtype
from quant.draw import draw_bits
from quant.method import Method, Role, register_method
from quant.quantizer import Quantizer, check_dtype
from quant.standardise import filters_of
from quant.ste import plus_or_minus

__all__ = ["XNOR", "codes", "hard", "hard_vjp", "levels"]

_WIDTHS = range(1, 2)


def _filters(x: np.ndarray, bits: int) -> np.ndarray:
    check_bits(bits, _WIDTHS)
    (x,) = same_dtype(x)
    columns = filters_of(x)
    if columns.size == 0:
        raise InputError(f"x: expected elements in every filter, got shape {x.shape}")
    return columns


def _mean(columns: np.ndarray) -> np.ndarray:
    return np.asarray(tree_sum(columns) / len(columns))


def hard(x: np.ndarray, *, bits: int = 1) -> np.ndarray:
    """The quantizer.

    Parameters
    ----------
    x : ndarray, float32 or float64, (..., filters)
    bits : 1

    Returns
    -------
    ndarray of the shape and dtype of x. NaN or an infinity in a filter makes its scale that.

    Raises
    ------
    InputError
        If bits is not 1, x is not of floats, or a filter has no elements.
    """
    columns = _filters(x, bits)
    return (_mean(np.abs(columns)) * plus_or_minus(columns)).reshape(x.shape)


def _slope(t: np.ndarray, x: np.ndarray, bits: int) -> np.ndarray:
    """The derivative along t, which is the gradient for t too: the map is symmetric."""
    columns, along = _filters(x, bits), filters_of(t)
    sign, scale = plus_or_minus(columns), _mean(np.abs(columns))
    through_sign = np.where(np.abs(columns) <= 1, along * scale, 0)
    return np.asarray((through_sign + sign * _mean(along * sign)).reshape(t.shape))


def hard_vjp(gy: np.ndarray, x: np.ndarray, *, bits: int = 1) -> tuple[np.ndarray]:
    """The gradient of x for the incoming gradient ``gy`` (the shape of x)."""
    return (_slope(gy, x, bits),)


def codes(x: np.ndarray, *, bits: int = 1) -> np.ndarray:
    """1 where x >= 0, else 0, uint8; InputError if x holds NaN."""
    check_bits(bits, _WIDTHS)
    (x,) = same_dtype(x)
    refuse_nan(x)
    return np.asarray(x >= 0).astype(np.uint8)


def levels(x: np.ndarray, *, bits: int = 1) -> np.ndarray:
    """-a and a of each filter, (2, filters) in the dtype of x; (2,) for a tensor of one axis."""
    scale = _mean(np.abs(_filters(x, bits)))
    return np.stack([-scale, scale]).reshape(2, *(scale.shape if x.ndim > 1 else ()))


# ---------------------------------------------------------------- on the tape


def _forward(x: np.ndarray, *, bits: int = 1) -> tuple[np.ndarray, Any]:
    """``hard``, on the tape."""
    return hard(x, bits=bits), (x, bits)


def _vjp(gy: np.ndarray, residuals: Any, needs: Sequence[bool]) -> tuple[np.ndarray | None, ...]:
    return (_slope(gy, *residuals) if needs[0] else None,)


def _jvp(tangents: Sequence[np.ndarray | None], x: np.ndarray, *, bits: int = 1) -> np.ndarray:
    return np.zeros_like(x) if tangents[0] is None else _slope(tangents[0], x, bits)


def frozen_sign(x: np.ndarray, *, bits: int = 1) -> Callable[[np.ndarray], np.ndarray]:
    """The function of X whose true gradient at x is ``hard_vjp``: mean(sign(x) X) (sign(x) + 1{|x| <= 1} (X - x)).

    Where X has the signs of x, mean(sign(x) X) is its mean |X|.
    """
    at = filters_of(x)
    sign, gate = plus_or_minus(at), (np.abs(at) <= 1).astype(x.dtype)

    def surrogate(x: np.ndarray) -> np.ndarray:
        columns = filters_of(x)
        scale = (sign * columns).sum(axis=0) / len(columns)
        return (scale * (sign + gate * (columns - at))).reshape(x.shape)

    return surrogate


def _definition(x: Any, *, bits: int = 1) -> Any:
    y = np.empty(x.shape, object)
    for n in range(x.shape[-1]):
        part = (..., slice(n, n + 1) if x.ndim > 1 else slice(None))
        numbers = list(x[part].ravel())
        scale = sum(abs(a) for a in numbers) / len(numbers)
        y[part] = np.array([scale if a >= 0 else -scale for a in numbers], object).reshape(x[part].shape)
    return y


def _examples(draw: Draw, dtype: Any) -> Example:
    bits = draw_bits(draw, _WIDTHS)
    shape = draw.choice([(5,), (1,), (3, 2), (2, 2, 3)])
    # Tenfold or more from 1 they are all within the gate, or all outside.
    scale = draw.choice((1e-6, 1e-3, 1.0, 1e3, 1e6))
    x = scale * away_from(draw, -2.0, 2.0, shape, [-1.0, 0.0, 1.0], 0.05)
    return (x.astype(dtype),), {"bits": bits}


def _at(value: float, weight: float) -> Callable[[Draw, Any], KinkPoint]:
    def at(draw: Draw, dtype: Any) -> KinkPoint:
        (x,), options = _examples(draw, dtype)
        x.flat[0] = value
        return KinkPoint((x,), options, 0, (0,) * x.ndim, weight)

    return at


def _at_zero(draw: Draw, dtype: Any) -> KinkPoint:
    # With a filter of its own, an element has the same slope on both sides of 0.
    x = away_from(draw, 0.1, 0.9, (3, 2), [], 0.0).astype(dtype)
    x[0, 0] = 0
    return KinkPoint((x,), {"bits": draw_bits(draw, _WIDTHS)}, 0, (0, 0), 1.0)


register(
    Primitive(
        "xnor",
        _forward,
        _vjp,
        _jvp,
        definition=_definition,
        domain="at least one element in each filter",
        kinks=(
            Kink("x = -1", "the slope from inside", _at(-1.0, 1.0)),
            Kink("x = 1", "the slope from inside", _at(1.0, 0.0)),
            Kink("x = 0", "the slope of the scale to the right", _at_zero),
        ),
        examples=_examples,
        surrogate=frozen_sign,
    )
)


class XNOR(Quantizer):
    """Binary weights with a scale a filter, which follows from the weights themselves.

    Parameters
    ----------
    bits : int
        1.

    Raises
    ------
    InputError
        For another value.
    """

    def __init__(self, bits: int = 1, *, dtype: type = np.float32) -> None:
        super().__init__()
        check_dtype(dtype)
        check_bits(bits, _WIDTHS)
        self.bits = bits

    def initialise(self, x: np.ndarray) -> None:
        """Nothing is chosen; InputError if x is empty, not finite, or has a filter of nothing but zeros."""
        positive_mean_abs(x, x.shape[-1:] if x.ndim > 1 else ())

    def quantize(self, x: Tensor) -> Tensor:
        return apply("xnor", x, bits=self.bits)

    def codes(self, x: np.ndarray) -> np.ndarray:
        return codes(x, bits=self.bits)

    def levels(self, x: np.ndarray | None = None) -> np.ndarray:
        if x is None:
            raise InputError("x: expected the weights; the levels are made of their mean |x|")
        return levels(x, bits=self.bits)


def _arguments(bits: int, role: Role) -> tuple[tuple[np.ndarray, ...], dict[str, Any]]:
    return (), {"bits": bits}


METHOD = register_method(
    Method(
        "xnor",
        "XNOR-Net's binary weights (BWN)",
        "Rastegari et al., ECCV 2016, arXiv 1603.05279; the gradient as in a public implementation",
        sys.modules[__name__],
        parameters=(),
        weights=(1,),
        activations=(),
        make=lambda bits, role, **options: XNOR(bits, **options),
        primitives=("xnor",),
        arguments=_arguments,
        gradient="surrogate: the scale as it is, the sign as x where |x| <= 1",
        laws=frozenset({"scales", "odd"}),
        per_channel=False,
        note="The scale is each filter's (last axis) mean |x|. For activations there is binary_connect, which is the "
        "sign alone.",
    )
)
