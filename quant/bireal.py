"""The sign of Bi-Real Net (Liu et al., ECCV 2018, arXiv 1808.00278, section 3.3), for activations.

Equations:

    hard = +1 for x >= 0, else -1
    dx = 2 + 2x for -1 <= x < 0,  2 - 2x for 0 <= x < 1,  else 0

The gradient is a surrogate's, the paper's ApproxSign:

    F(x) = -1 below -1,  2x + x^2 on [-1, 0),  2x - x^2 on [0, 1),  1 from 1 on

which has a derivative everywhere. There are no parameters. Codes are 0 and 1, for -1 and +1.

The network's weights are binary with a scale, mean |W| of each filter, as XNOR's: use ``xnor`` for them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.draw import Draw, away_from
from minigrad.elementary import select
from minigrad.primitive import Example, Primitive, register
from minigrad.tensor import Tensor, apply
from quant.domain import check_bits, refuse_nan, same_dtype
from quant.draw import draw_bits
from quant.method import Method, Role, register_method
from quant.quantizer import Quantizer, check_dtype
from quant.rules import forward_of, jvp_of, sum_partials, vjp_of
from quant.ste import plus_or_minus

__all__ = ["BiReal", "approx_sign", "codes", "hard", "hard_vjp", "levels", "partials", "sign_slope"]

#: The method is binary.
BITS = range(1, 2)


def sign_slope(x: np.ndarray) -> np.ndarray:
    """The derivative of ApproxSign, 2 - 2|x| within [-1, 1] and 0 outside, in the dtype of x."""
    return np.asarray(2 - 2 * np.minimum(np.abs(x), x.dtype.type(1)))


def approx_sign(x: Any) -> Any:
    """ApproxSign of one number of any kind, or of a float array (section 3.3)."""
    bend = x * abs(x)
    return select(x < -1, x * 0 - 1, select(x < 1, 2 * x - bend, x * 0 + 1))


def hard(x: np.ndarray, *, bits: int = 1) -> np.ndarray:
    """The sign: +1 for x >= 0, else -1.

    Parameters
    ----------
    x : ndarray, float32 or float64, any shape
    bits : 1

    Returns
    -------
    ndarray of the shape and dtype of x; NaN where x is NaN.

    Raises
    ------
    InputError
        If bits is not 1.
    """
    check_bits(bits, BITS)
    (x,) = same_dtype(x)
    return plus_or_minus(x)


def partials(x: np.ndarray, *, bits: int = 1) -> tuple[np.ndarray]:
    """The derivative of every element by x, of the shape of x."""
    check_bits(bits, BITS)
    (x,) = same_dtype(x)
    return (sign_slope(x),)


def hard_vjp(gy: np.ndarray, x: np.ndarray, *, bits: int = 1) -> tuple[np.ndarray]:
    """Gradient of x for the incoming gradient ``gy`` (the shape of x)."""
    return (sum_partials(gy, partials(x, bits=bits), (x,))[0],)


def codes(x: np.ndarray, *, bits: int = 1) -> np.ndarray:
    """Integer codes, uint8: 1 for x >= 0, else 0; InputError if x holds NaN."""
    check_bits(bits, BITS)
    (x,) = same_dtype(x)
    refuse_nan(x)
    return np.asarray(x >= 0).astype(np.uint8)


def levels(*, bits: int = 1, dtype: Any = np.float64) -> np.ndarray:
    """The value of each code: -1 and +1."""
    check_bits(bits, BITS)
    return np.array([-1, 1], dtype)


# ---------------------------------------------------------------- on the tape


def _surrogate(x: np.ndarray, *, bits: int = 1) -> Callable[[np.ndarray], np.ndarray]:
    """ApproxSign; nothing is frozen."""
    return approx_sign if x.dtype != object else np.frompyfunc(approx_sign, 1, 1)


def _definition(x: Any, *, bits: int = 1) -> Any:
    return np.frompyfunc(lambda x: x * 0 + (1 if x >= 0 else -1), 1, 1)(x)


def _examples(draw: Draw, dtype: Any) -> Example:
    bits = draw_bits(draw, BITS)
    shape = draw.choice(((5,), (), (2, 2)))
    # Away from where the second derivative of ApproxSign jumps, and from the sign's own jump.
    return (np.asarray(away_from(draw, -2.0, 2.0, shape, [-1.0, 0.0, 1.0], 0.02), dtype),), {"bits": bits}


register(
    Primitive(
        "bireal",
        forward_of(hard),
        vjp_of(partials),
        jvp_of(partials),
        definition=_definition,
        domain="all real numbers",
        kinks=(),
        examples=_examples,
        surrogate=_surrogate,
    )
)


class BiReal(Quantizer):
    """The sign of Bi-Real Net, for activations on both sides of 0.

    Parameters
    ----------
    bits : int
        1.

    Raises
    ------
    InputError
        For another width.
    """

    def __init__(self, bits: int = 1, *, dtype: type = np.float32):
        super().__init__()
        check_dtype(dtype)
        check_bits(bits, BITS)
        self.bits, self._dtype = bits, dtype

    def initialise(self, x: np.ndarray) -> None:
        """There is nothing to choose."""

    def quantize(self, x: Tensor) -> Tensor:
        return apply("bireal", x, bits=self.bits)

    def codes(self, x: np.ndarray) -> np.ndarray:
        return codes(x, bits=self.bits)

    def levels(self, x: np.ndarray | None = None) -> np.ndarray:
        return levels(bits=self.bits, dtype=self._dtype)


def _arguments(bits: int, role: Role) -> tuple[tuple[np.ndarray, ...], dict[str, Any]]:
    return (), {"bits": bits}


METHOD = register_method(
    Method(
        "bireal",
        "The sign of Bi-Real Net",
        "Liu et al., ECCV 2018, arXiv 1808.00278, section 3.3",
        sys.modules[__name__],
        parameters=(),
        weights=(),
        activations=(1,),
        make=lambda bits, role, **options: BiReal(bits, **options),
        primitives=("bireal",),
        arguments=_arguments,
        gradient="surrogate: ApproxSign, a parabola on either side of 0",
        laws=frozenset({"idempotent", "odd", "elementwise"}),
        per_channel=False,
        single_bits=22,
        note="activations are signed and binary; the network's weights are those of xnor",
    )
)
