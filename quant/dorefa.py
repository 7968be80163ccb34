"""DoReFa-Net's quantizers of weights and activations (Zhou et al., 2016, arXiv 1606.06160).

Equations (N = 2^bits - 1, q(v) = rint(N v)/N, ties to even):

    weights, 1 bit:        hard = sign(w) E|w|, sign(0) = +1;                   dw = 1                 (eqs 7, 8)
    weights, more bits:    hard = 2 q(tanh(w)/(2 M) + 1/2) - 1, M = max|tanh w|;    dw = (1 - tanh^2 w)/M   (eqs 9, 10)
    activations:           hard = q(clip(x, 0, 1));                  dx = 1 for 0 <= x <= 1, else 0    (eq 11)

There are no parameters. E|w| and M are of the whole tensor; M is held constant in the gradient, and so is E|w|: the
gradients are those of ``frozen``, the function with the rounding residual (and M) frozen. A code c stands for
(2 c - N)/N, c/N, or with 1-bit weights -E|w| and E|w|.

A NaN among weights makes all of them NaN, as M and E|w| are; an infinite one makes E|w| infinite.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.draw import Draw, away_from
from minigrad.elementary import clip, floor, sech2, select, tanh
from minigrad.errors import InputError
from minigrad.primitive import Example, Kink, KinkPoint, Primitive, register
from minigrad.reduction import tree_sum
from minigrad.tensor import Tensor, apply
from quant.domain import check_bits, refuse_nan, same_dtype
from quant.draw import draw_bits
from quant.method import ROLES, Method, Role, register_method
from quant.quantizer import Quantizer, check_dtype, check_option
from quant.rules import forward_of, jvp_of, vjp_of

__all__ = ["DoReFa", "codes", "hard", "hard_vjp", "levels", "partials"]

_WIDTHS = tuple(range(1, 9))


def _checked(x: Any, bits: int, role: Role) -> tuple[np.ndarray, int]:
    """x as an array of floats, and N."""
    n = check_bits(bits)
    check_option("role", role, ROLES)
    return np.asarray(same_dtype(x)[0]), n


def mean_abs(x: np.ndarray) -> np.ndarray:
    """E|x|, in the dtype of x; 0 where x is empty."""
    if x.size == 0:
        return np.zeros((), x.dtype)
    top = np.abs(x).max()
    if not 0 < top < np.inf:
        return top
    # Relative to a power of two, so that the sum neither overflows nor is rounded otherwise.
    exponent = np.frexp(top)[1]
    return np.ldexp(tree_sum(np.ldexp(np.abs(x).ravel(), -exponent)) / x.dtype.type(x.size), exponent)


def _largest(x: np.ndarray) -> Any:
    """M = max|tanh x|; 1 where x is empty."""
    return tanh(np.abs(x).max()) if x.size else x.dtype.type(1)


def _refuse_zero(scale: Any) -> None:
    if scale == 0:
        raise InputError("x: expected a weight other than 0; of zeros alone there is no largest one")


def _places(x: np.ndarray, n: int, role: Role) -> np.ndarray:
    """The codes as floats, but those of 1-bit weights."""
    if role == "activation":
        return np.rint(clip(x, x.dtype.type(0), x.dtype.type(1)) * n)
    largest = _largest(x)
    _refuse_zero(largest)
    return np.rint((tanh(x) / (2 * largest) + x.dtype.type(0.5)) * n)


def hard(x: np.ndarray, *, bits: int, role: Role = "weight") -> np.ndarray:
    """The quantizer (eqs 7, 9 and 11).

    Parameters
    ----------
    x : ndarray, float32 or float64, any shape
    bits : 1 to 8
    role : "weight" or "activation"

    Returns
    -------
    ndarray of the shape and dtype of x.

    Raises
    ------
    InputError
        If an option is outside its domain, or all weights are 0.
    """
    x, n = _checked(x, bits, role)
    if role == "activation":
        return np.asarray(_places(x, n, role) / n)
    if n > 1:
        return np.asarray((2 * _places(x, n, role) - n) / n)
    scale = mean_abs(x)
    if x.size:
        _refuse_zero(scale)
    return np.where(x < 0, -scale, scale)


def partials(x: np.ndarray, *, bits: int, role: Role = "weight") -> tuple[np.ndarray]:
    """The derivative of every element by x that training passes on, of the shape of x (eqs 8, 10 and 11)."""
    x, n = _checked(x, bits, role)
    if role == "activation":
        return (((x >= 0) & (x <= 1)).astype(x.dtype),)
    if n == 1:
        return (np.ones_like(x),)
    largest = _largest(x)
    _refuse_zero(largest)
    return (np.asarray(sech2(x) / largest),)


def hard_vjp(gy: np.ndarray, x: np.ndarray, *, bits: int, role: Role = "weight") -> tuple[np.ndarray]:
    """Gradient of x for the incoming gradient ``gy`` (the shape of x)."""
    return (gy * partials(x, bits=bits, role=role)[0],)


def codes(x: np.ndarray, *, bits: int, role: Role = "weight") -> np.ndarray:
    """Integer codes, uint8, ties to even; InputError if x holds NaN, or all weights are 0."""
    x, n = _checked(x, bits, role)
    refuse_nan(x)
    if role == "weight" and n == 1:
        return np.asarray(x >= 0).astype(np.uint8)
    return _places(x, n, role).astype(np.uint8)


def levels(x: np.ndarray, *, bits: int, role: Role = "weight") -> np.ndarray:
    """The value of each code, (2^bits,) in the dtype of x; those of 1-bit weights depend on x."""
    x, n = _checked(x, bits, role)
    steps = np.arange(n + 1).astype(x.dtype)
    if role == "activation":
        return steps / n
    return (2 * steps - n) / n * (mean_abs(x) if n == 1 else x.dtype.type(1))


# ---------------------------------------------------------------- on the tape


def frozen(x: np.ndarray, *, bits: int, role: Role = "weight") -> Callable[[np.ndarray], np.ndarray]:
    """The function whose true gradient at x is ``hard_vjp``: all but x, tanh x or the clip stays what it is."""
    n = check_bits(bits)
    curved = role == "weight" and n > 1
    top = np.abs(x).max() if curved and x.size else np.ones((), x.dtype)
    inside = (x >= 0) & (x <= 1) if role == "activation" else np.ones(x.shape, bool)
    residual = hard(x, bits=bits, role=role) - (tanh(x) / tanh(top) if curved else x)

    def element(x: Any, inside: Any, residual: Any, top: Any) -> Any:
        # In the numbers of x, not in floats: M is not to be rounded.
        followed = tanh(x) / tanh(top + 0 * x) if curved else x
        return select(inside, followed + residual, 0 * x)

    def surrogate(x: np.ndarray) -> np.ndarray:
        run = element if x.dtype != object else np.frompyfunc(element, 4, 1)
        return run(x, inside, residual, top)

    return surrogate


def _definition(x: Any, *, bits: int, role: Role = "weight") -> Any:
    n = check_bits(bits)

    def quantized(v: Any) -> Any:
        return floor(n * v + 0.5) / n

    if role == "activation":
        return np.frompyfunc(lambda x: quantized(clip(x, 0, 1)), 1, 1)(x)
    sizes = [abs(w) for w in x.ravel()]
    if n == 1:
        mean = sum(sizes[1:], sizes[0]) / len(sizes)
        return np.frompyfunc(lambda w: mean if w >= 0 else -mean, 1, 1)(x)
    top = sizes[0]
    for size in sizes[1:]:  # of |w|, which is exact, so that equal ones compare
        top = size if size > top else top
    largest = tanh(top)
    return np.frompyfunc(lambda w: 2 * quantized(tanh(w) / (2 * largest) + 0.5) - 1, 1, 1)(x)


def _examples(draw: Draw, dtype: Any) -> Example:
    bits, role = draw_bits(draw, _WIDTHS), draw.choice(ROLES)
    n = check_bits(bits)
    shape = draw.choice(((5,), (3, 2)))
    count = int(np.prod(shape))
    if role == "activation":
        # Away from the ties between neighbouring codes, and from the ends of the range.
        code = np.array([draw.integer(-2, n + 2) for _ in range(count)]).reshape(shape)
        x = (code + away_from(draw, -0.45, 0.45, shape, [0.0], 0.05)) / n
    elif n == 1:
        x = 10.0 ** draw.integer(-6, 6) * away_from(draw, -2.0, 2.0, shape, [0.0], 0.05)
    else:
        # Weights from their places v on the grid: tanh w = (2 v/N - 1) M; one of them is the largest.
        largest = np.tanh(10.0 ** draw.integer(-6, 0) * draw.uniform(1.0, 4.0))
        code = np.array([draw.integer(1, n - 1) for _ in range(count)]).reshape(shape)
        x = np.arctanh((2 * (code + draw.uniform(-0.45, 0.45, shape)) / n - 1) * largest)
        x.flat[draw.integer(0, count - 1)] = draw.choice((-1, 1)) * np.arctanh(largest)
    return (np.asarray(x, dtype),), {"bits": bits, "role": role}


def _at_end(upper: bool) -> Callable[[Draw, Any], KinkPoint]:
    def at(draw: Draw, dtype: Any) -> KinkPoint:
        bits = draw_bits(draw, _WIDTHS)
        x = np.array([1.0 if upper else 0.0, 0.4], dtype)
        return KinkPoint((x,), {"bits": bits, "role": "activation"}, 0, (0,), 0.0 if upper else 1.0)

    return at


register(
    Primitive(
        "dorefa",
        forward_of(hard),
        vjp_of(partials),
        jvp_of(partials),
        definition=_definition,
        domain="weights not all 0",
        kinks=(
            Kink("an activation x = 0", "1, the slope from inside", _at_end(False)),
            Kink("an activation x = 1", "1, the slope from inside", _at_end(True)),
        ),
        examples=_examples,
        surrogate=frozen,
    )
)


class DoReFa(Quantizer):
    """DoReFa-Net's quantizer of weights or of activations; it learns nothing.

    Parameters
    ----------
    bits : int
        1 to 8.
    role : str
        "weight", of any scale; or "activation", quantized between 0 and 1.

    Raises
    ------
    InputError
        For values other than these.
    """

    def __init__(self, bits: int, role: Role = "weight", *, dtype: type = np.float32):
        super().__init__()
        check_dtype(dtype)
        check_bits(bits)
        check_option("role", role, ROLES)
        self.bits, self.role = bits, role
        self._none: np.ndarray = np.zeros(0, dtype)

    def initialise(self, x: np.ndarray) -> None:
        """Nothing: there are no parameters."""

    def quantize(self, x: Tensor) -> Tensor:
        return apply("dorefa", x, bits=self.bits, role=self.role)

    def codes(self, x: np.ndarray) -> np.ndarray:
        return codes(x, bits=self.bits, role=self.role)

    def levels(self, x: np.ndarray | None = None) -> np.ndarray:
        """The value of each code; of 1-bit weights -E|x| and E|x|, which need ``x`` (InputError without)."""
        if x is None and self.bits == 1 and self.role == "weight":
            raise InputError("x: the levels of 1-bit weights are -E|x| and E|x|; expected the tensor")
        return levels(self._none if x is None else x, bits=self.bits, role=self.role)


def _arguments(bits: int, role: Role) -> tuple[tuple[np.ndarray, ...], dict[str, Any]]:
    return (), {"bits": bits, "role": role}


METHOD = register_method(
    Method(
        "dorefa",
        "DoReFa-Net",
        "Zhou et al., 2016, arXiv 1606.06160, eqs 7 to 11",
        sys.modules[__name__],
        parameters=(),
        weights=_WIDTHS,
        activations=_WIDTHS,
        make=lambda bits, role, **options: DoReFa(bits, role, **options),
        primitives=("dorefa",),
        arguments=_arguments,
        gradient="surrogate: the rounding residual frozen, and the largest |tanh w| or the mean |w|",
        per_channel=False,
        single_bits=23,
        note="Activations are expected between 0 and 1. Levels of 1-bit weights depend on the tensor.",
    )
)
