"""RSign and RPReLU of ReActNet (Liu et al., ECCV 2020, arXiv 2003.03488, section 4.2).

Equations, all parameters one a channel (the last axis), z = x + b and F the ApproxSign of ``quant.bireal``:

    RSign    hard = +1 for z >= 0, else -1,   z = x + b
             dx = db = 2 + 2z for -1 <= z < 0,  2 - 2z for 0 <= z < 1,  else 0
    RPReLU   y = z + b2 for z > 0, else slope z + b2,   z = x + b1
             dx = db1 = 1 for z > 0, else slope;   dslope = 0 for z > 0, else z;   db2 = 1

The paper writes alpha = -b, gamma = -b1, beta = slope and zeta = b2, and has -1 at z = 0, where this sign is +1, as all
binary methods here. The gradient of RSign is a surrogate's: of F(x + b). The gradients of b, b1, b2 and the slope are
derived here: those of F and of PReLU by the chain rule. RPReLU has a true derivative but at z = 0, where the left slope
is taken, as ``prelu`` does.

The network's weights are binary with a scale, mean |W| of each filter, as XNOR's: use ``xnor`` for them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.draw import Draw, away_from
from minigrad.elementary import select
from minigrad.errors import InputError
from minigrad.nn import Module, Parameter
from minigrad.primitive import Example, Kink, KinkPoint, Primitive, register
from minigrad.reduction import sum_to_shape
from minigrad.tensor import Tensor, apply
from quant.bireal import BITS, approx_sign, sign_slope
from quant.domain import check_bits, check_shapes, refuse_nan, same_dtype
from quant.draw import draw_bits
from quant.method import Method, Role, register_method
from quant.quantizer import Quantizer, check_dtype, parameter_shape
from quant.rules import forward_of, jvp_of, sum_partials, vjp_of
from quant.ste import plus_or_minus

__all__ = ["RPReLU", "RSign", "codes", "hard", "hard_vjp", "levels", "partials", "rprelu"]

Array = np.ndarray


def _shifted(x: Any, b: Any, bits: int) -> Any:
    """x + b, whose rounding never changes its sign."""
    check_bits(bits, BITS)
    x, b = same_dtype(x, b)
    check_shapes(x, b)
    if not np.all(np.isfinite(b)):
        raise InputError(f"b: expected finite numbers, got {b}")
    with np.errstate(over="ignore"):
        return np.asarray(x + b)


def hard(x: Array, b: Any, *, bits: int = 1) -> Array:
    """RSign: +1 for x + b >= 0, else -1.

    Parameters
    ----------
    x : ndarray, float32 or float64, any shape
    b : minus the threshold; broadcasts against x
    bits : 1

    Returns
    -------
    ndarray of the shape and dtype of x; NaN where x is NaN.

    Raises
    ------
    InputError
        If bits is not 1, or b is not finite.
    """
    return plus_or_minus(_shifted(x, b, bits))


def partials(x: Array, b: Any, *, bits: int = 1) -> tuple[Array, Array]:
    """The derivatives of every element by x and b, each of the shape of x."""
    slope = sign_slope(_shifted(x, b, bits))
    return slope, slope


def hard_vjp(gy: Array, x: Array, b: Any, *, bits: int = 1) -> tuple[Array, Array]:
    """Gradients of x and b for the incoming gradient ``gy`` (the shape of x)."""
    found = sum_partials(gy, partials(x, b, bits=bits), (x, b))
    return found[0], found[1]


def codes(x: Array, b: Any, *, bits: int = 1) -> Array:
    """Integer codes, uint8: 1 for x + b >= 0, else 0; InputError if x holds NaN."""
    z = _shifted(x, b, bits)
    refuse_nan(x)
    return np.asarray(z >= 0).astype(np.uint8)


def levels(b: Any, *, bits: int = 1) -> Array:
    """The value of each code, -1 and +1: (2, ...) in the dtype and shape of b."""
    check_bits(bits, BITS)
    b = np.asarray(b)
    return np.stack([np.full(b.shape, value, b.dtype) for value in (-1, 1)])


def rprelu(x: Array, b1: Array, slope: Array, b2: Array) -> Array:
    """PReLU(x + b1) + b2 (section 4.2), in the dtype of x; the parameters broadcast against x.

    Infinities give the limit; NaN stays NaN.
    """
    z = x + b1
    return np.asarray(np.where(z > 0, z, z * slope) + b2)


# ---------------------------------------------------------------- RSign on the tape


def _surrogate(x: Array, b: Any, *, bits: int = 1) -> Callable[..., Array]:
    """ApproxSign of x + b; nothing is frozen."""

    def shifted(x: Any, b: Any) -> Any:
        return approx_sign(x + b)

    return shifted if x.dtype != object else np.frompyfunc(shifted, 2, 1)


def _definition(x: Any, b: Any, *, bits: int = 1) -> Any:
    return np.frompyfunc(lambda x, b: x * 0 + (1 if x + b >= 0 else -1), 2, 1)(x, b)


def _examples(draw: Draw, dtype: Any) -> Example:
    bits = draw_bits(draw, BITS)
    shape, channels = draw.choice((((4,), ()), ((3, 2), (2,)), ((2, 2), (1,)), ((), ())))
    b = draw.uniform(-2.0, 2.0, channels)
    z = away_from(draw, -2.0, 2.0, shape, [-1.0, 0.0, 1.0], 0.02)
    return tuple(np.asarray(a, dtype) for a in (z - b, b)), {"bits": bits}


register(
    Primitive(
        "rsign",
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

# ---------------------------------------------------------------- RPReLU on the tape


def _rprelu_forward(x: Array, b1: Array, slope: Array, b2: Array) -> tuple[Array, Any]:
    """``rprelu``, on the tape."""
    channels = x.shape[-1:]
    for name, parameter in (("b1", b1), ("slope", slope), ("b2", b2)):
        if parameter.shape not in ((), channels):
            raise InputError(f"rprelu: {name}: expected shape {channels} or one element, got {parameter.shape}")
    return rprelu(x, b1, slope, b2), ((x, b1, slope, b2), {})


def _rprelu_partials(x: Array, b1: Array, slope: Array, b2: Array) -> tuple[Array, Array, Array, Array]:
    z = x + b1
    zero, one = x.dtype.type(0), x.dtype.type(1)
    dx = np.where(z > 0, one, slope)
    return dx, dx, np.where(z > 0, zero, z), np.ones_like(x)


def _rprelu_hvp(
    gy: Array, tangents: Sequence[Array | None], x: Array, b1: Array, slope: Array, b2: Array
) -> tuple[Array | None, ...]:
    """Only slope z bends: the second derivative by the slope and by z is 1 where z <= 0."""
    negative = np.where(x + b1 > 0, gy.dtype.type(0), gy)
    tx, t1, ts, _ = (np.zeros_like(a) if t is None else t for t, a in zip(tangents, (x, b1, slope, b2), strict=True))
    along_slope = np.asarray(negative * ts)
    of_slope = sum_to_shape(negative * (tx + t1), slope.shape)
    return along_slope, sum_to_shape(along_slope, b1.shape), of_slope, None


def _rprelu_definition(x: Any, b1: Any, slope: Any, b2: Any) -> Any:
    return np.frompyfunc(lambda x, b1, s, b2: select(x + b1 > 0, x + b1, s * (x + b1)) + b2, 4, 1)(x, b1, slope, b2)


def _rprelu_examples(draw: Draw, dtype: Any) -> Example:
    shape, channels = draw.choice((((4,), ()), ((3, 2), (2,)), ((2, 2, 3), (3,)), ((), ())))
    b1, slope, b2 = (draw.uniform(-1.0, 2.0, channels) for _ in range(3))
    z = away_from(draw, -3.0, 3.0, shape, [0.0], 0.02)
    return tuple(np.asarray(a, dtype) for a in (z - b1, b1, slope, b2)), {}


def _rprelu_at_zero(draw: Draw, dtype: Any) -> KinkPoint:
    b1 = draw.integer(-8, 8) / 8
    arrays = ([-b1, 1.5], b1, draw.uniform(-0.5, 0.5), draw.uniform(-1.0, 1.0))
    return KinkPoint(tuple(np.asarray(a, dtype) for a in arrays), {}, 0, (0,), 0.0)


register(
    Primitive(
        "rprelu",
        _rprelu_forward,
        vjp_of(_rprelu_partials),
        jvp_of(_rprelu_partials),
        definition=_rprelu_definition,
        domain="all real numbers",
        kinks=(Kink("x = -b1", "the left slope", _rprelu_at_zero),),
        examples=_rprelu_examples,
        hvp=_rprelu_hvp,
    )
)


class RSign(Quantizer):
    """The sign of x + b with learned b, for activations on both sides of 0.

    Parameters
    ----------
    bits : int
        1.
    channels : int or None
        One b for each entry of the last axis, as in the paper; None for one for the tensor.

    Raises
    ------
    InputError
        For values other than these.
    """

    def __init__(self, bits: int = 1, *, channels: int | None = None, dtype: type = np.float32):
        super().__init__()
        check_dtype(dtype)
        check_bits(bits, BITS)
        self.bits = bits
        self.b = Parameter(np.zeros(parameter_shape(channels), dtype), group="range")

    def initialise(self, x: np.ndarray) -> None:
        """b = 0, whatever the data; InputError if its last axis has other channels."""
        if self.b.shape and x.shape[-1:] != self.b.shape:
            raise InputError(f"x: expected {self.b.shape[0]} channels in the last axis, got shape {x.shape}")
        self.b.data[...] = 0

    def quantize(self, x: Tensor) -> Tensor:
        return apply("rsign", x, self.b, bits=self.bits)

    def codes(self, x: np.ndarray) -> np.ndarray:
        return codes(x, self.b.data, bits=self.bits)

    def levels(self, x: np.ndarray | None = None) -> np.ndarray:
        return levels(self.b.data, bits=self.bits)


class RPReLU(Module):
    """PReLU(x + b1) + b2, each learned: the biases from 0 on, the slopes from 1/4 on, one a channel (the last axis).

    Raises
    ------
    InputError
        If ``channels`` is not a whole number of at least 1.
    """

    def __init__(self, channels: int, dtype: type = np.float32) -> None:
        super().__init__()
        check_dtype(dtype)
        shape = parameter_shape(channels)
        self.b1 = Parameter(np.zeros(shape, dtype), group="norm")
        self.slope = Parameter(np.full(shape, 0.25, dtype), group="norm")
        self.b2 = Parameter(np.zeros(shape, dtype), group="norm")

    def forward(self, x: Tensor) -> Tensor:
        return apply("rprelu", x, self.b1, self.slope, self.b2)


def _arguments(bits: int, role: Role) -> tuple[tuple[np.ndarray, ...], dict[str, Any]]:
    return (np.asarray(0.25),), {"bits": bits}


METHOD = register_method(
    Method(
        "reactnet",
        "RSign of ReActNet",
        "Liu et al., ECCV 2020, arXiv 2003.03488, section 4.2",
        sys.modules[__name__],
        parameters=("b",),
        weights=(),
        activations=(1,),
        make=lambda bits, role, **options: RSign(bits, **options),
        primitives=("rsign", "rprelu"),
        arguments=_arguments,
        gradient="surrogate: ApproxSign of x + b, the gradient of b derived from it",
        laws=frozenset({"elementwise"}),
        single_bits=21,
        note="activations are signed and binary, +1 at x + b = 0; RPReLU follows the block; weights are those of xnor",
    )
)
