"""IR-Net, Forward and Backward Information Retention (Qin et al., CVPR 2020, arXiv 1909.10788).

Equations:

    x~ = (x - mean) / std, of each filter (the last axis)     balanced weights: ``weight_standardise``, differentiated
    s = 2^round(log2 mean |x~|), of each filter               a constant in the backward
    hard = s sign(x~), with sign(0) = +1
    dx~ = s k t (1 - tanh^2(t x~)),   k = max(1/t, 1)

Activations are the sign alone, s = 1, with the same backward. t is no parameter: it goes from 1e-3 to 10 over training,
evenly on a log scale. The first epoch has the one end and the last epoch the other (chosen; the public implementation
stops a step short of 10). The gradient is a surrogate's: of s k tanh(t x), with s frozen.

The functions here take x~. A filter of nothing but zeros has s = 0. How round() breaks its tie does not matter: no
number is the root of a half.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.draw import Draw, away_from
from minigrad.elementary import power, sech2, tanh
from minigrad.errors import InputError
from minigrad.primitive import Example, Primitive, register
from minigrad.reduction import tree_sum
from minigrad.tensor import Tensor, apply
from quant.domain import as_number, check_bits, check_positive, refuse_nan, same_dtype
from quant.draw import draw_bits
from quant.method import Method, Role, register_method
from quant.quantizer import Quantizer, check_dtype
from quant.rules import forward_of, jvp_of, sum_partials, vjp_of
from quant.standardise import filters_of, mean_and_std, standardise
from quant.ste import plus_or_minus

__all__ = ["IRNet", "codes", "hard", "hard_vjp", "levels", "partials", "power_of_two_scale"]

_WIDTHS = range(1, 2)
#: Ends of the schedule of t.
_FIRST, _LAST = 1e-3, 10.0
#: The least float64 above the root of 1/2, which lies between it and its neighbour.
_ROOT_OF_HALF = np.sqrt(0.5)


def _check(x: Any, bits: int, t: float) -> tuple[Any, float]:
    check_bits(bits, _WIDTHS)
    t = as_number("t", t)
    check_positive("t", t)
    return same_dtype(x)[0], t


def power_of_two_scale(x: np.ndarray) -> np.ndarray:
    """2^round(log2 mean |x|) of each filter, (filters,) in the dtype of x, decided without a logarithm.

    Raises
    ------
    InputError
        If a filter has no elements.
    """
    columns = filters_of(x)
    if columns.size == 0:
        raise InputError(f"x: expected elements in every filter, got shape {x.shape}")
    mean = tree_sum(np.abs(columns)) / len(columns)
    usual = (mean > 0) & (mean < np.inf)
    fraction, exponent = np.frexp(np.where(usual, mean, 1).astype(np.float64))
    scale = np.ldexp(x.dtype.type(1), exponent - (fraction < _ROOT_OF_HALF))
    return np.asarray(np.where(usual, scale, mean))


def _scale(x: np.ndarray, scaled: bool) -> Any:
    if not scaled:
        return x.dtype.type(1)
    scale = power_of_two_scale(x)
    return scale if x.ndim > 1 else scale[0]


def hard(x: np.ndarray, *, bits: int = 1, t: float = 1.0, scaled: bool = True) -> np.ndarray:
    """The quantizer.

    Parameters
    ----------
    x : ndarray, float32 or float64, (..., filters); weights are standardised
    bits : 1
    t : slope of the backward, above 0; without influence here
    scaled : whether each filter has its scale; otherwise levels are -1 and +1

    Returns
    -------
    ndarray of the shape and dtype of x. NaN or an infinity in a filter makes its scale that.

    Raises
    ------
    InputError
        If bits is not 1, t is not above 0 and finite, or a filter has no elements.
    """
    x, _ = _check(x, bits, t)
    return np.asarray(_scale(x, scaled) * plus_or_minus(x))


def partials(x: np.ndarray, *, bits: int = 1, t: float = 1.0, scaled: bool = True) -> tuple[np.ndarray]:
    """What stands for the derivative of every element by x, of the shape of x; the scale is a constant."""
    x, t = _check(x, bits, t)
    with np.errstate(over="ignore"):
        return (np.asarray(_scale(x, scaled) * (max(1 / t, 1.0) * t) * sech2(t * x)),)


def hard_vjp(gy: np.ndarray, x: np.ndarray, *, bits: int = 1, t: float = 1.0, scaled: bool = True) -> tuple[np.ndarray]:
    """The gradient of x for the incoming gradient ``gy`` (the shape of x)."""
    return (sum_partials(gy, partials(x, bits=bits, t=t, scaled=scaled), (x,))[0],)


def codes(x: np.ndarray, *, bits: int = 1, t: float = 1.0, scaled: bool = True) -> np.ndarray:
    """1 where x >= 0, else 0, uint8; InputError if x holds NaN."""
    x, _ = _check(x, bits, t)
    refuse_nan(x)
    return np.asarray(x >= 0).astype(np.uint8)


def levels(x: np.ndarray, *, bits: int = 1, t: float = 1.0, scaled: bool = True) -> np.ndarray:
    """-s and s of each filter, (2, filters) in the dtype of x; (2,) if not scaled, or for a tensor of one axis."""
    scale = _scale(_check(x, bits, t)[0], scaled)
    return np.stack([-scale, scale])


# ---------------------------------------------------------------- on the tape


def smooth_sign(x: np.ndarray, *, bits: int = 1, t: float = 1.0, scaled: bool = True) -> Callable[..., np.ndarray]:
    """The function whose true gradient at x is ``hard_vjp``: s k tanh(t x), with s as it is at x."""
    columns = filters_of(x).T.astype(np.float64).tolist()
    means = [math.fsum(map(abs, column)) / len(column) for column in columns]
    s = np.array([2.0 ** round(math.log2(mean)) for mean in means] if scaled else 1.0, x.dtype)
    k = max(1 / t, 1.0)

    def surrogate(x: np.ndarray) -> np.ndarray:
        return tanh(x * t) * k * s

    return surrogate


def _definition(x: Any, *, bits: int = 1, t: float = 1.0, scaled: bool = True) -> Any:
    columns = filters_of(x)
    y = np.empty(columns.shape, object)
    for n in range(columns.shape[1]):
        s = 1.0
        if scaled:
            # round(log2 m) is the whole number e with 2^(2e - 1) <= m^2 < 2^(2e + 1).
            mean = sum(abs(a) for a in columns[:, n]) / len(columns)
            while mean * mean * 2 >= s * s * 4:
                s *= 2
            while mean * mean * 2 < s * s:
                s /= 2
        y[:, n] = [s if a >= 0 else -s for a in columns[:, n]]
    return y.reshape(x.shape)


def _examples(draw: Draw, dtype: Any) -> Example:
    bits = draw_bits(draw, _WIDTHS)
    shape = draw.choice([(5,), (1,), (3, 2), (2, 2, 3)])
    x = away_from(draw, -3.0, 3.0, shape, [0.0], 0.05)
    # Means of |x| away from the odd powers of the root of 2, where the scale jumps.
    mean = np.abs(filters_of(x)).mean(axis=0)
    x = x / mean * 2 ** (draw.integer(-3, 3) + draw.uniform(-0.45, 0.45))
    t = 10 ** float(draw.uniform(-3.0, 1.0))
    return (x.astype(dtype),), {"bits": bits, "t": t, "scaled": draw.choice((True, False))}


register(
    Primitive(
        "ir_net",
        forward_of(hard),
        vjp_of(partials),
        jvp_of(partials),
        definition=_definition,
        domain="t > 0, at least one element in each filter",
        kinks=(),
        examples=_examples,
        surrogate=smooth_sign,
    )
)


class IRNet(Quantizer):
    """Balanced binary weights with a power-of-two scale a filter; or the sign of activations.

    Parameters
    ----------
    bits : int
        1.
    balanced : bool
        For weights: each filter (last axis) is standardised and has a scale.

    Attributes
    ----------
    t : ndarray, float64, ()
        The slope of the backward, set by ``set_progress``.

    Raises
    ------
    InputError
        For values other than these.
    """

    buffers = ("initialised", "t")

    def __init__(self, bits: int = 1, balanced: bool = True, *, dtype: type = np.float32) -> None:
        super().__init__()
        check_dtype(dtype)
        check_bits(bits, _WIDTHS)
        self.bits, self.balanced, self._dtype = bits, balanced, np.dtype(dtype)
        self.t = np.array(_FIRST)

    def initialise(self, x: np.ndarray) -> None:
        """Nothing is chosen; InputError if the weights have a filter that cannot be standardised."""
        if self.balanced and not np.isfinite(mean_and_std(x, per_filter=True)[1]).all():
            raise InputError("x: expected finite weights to standardise")

    def set_progress(self, epoch: int, epochs: int) -> None:
        """t = 1e-3 in the first epoch and 10 in the last, evenly on a log scale."""
        done = (epoch - 1) / (epochs - 1) if epochs > 1 else 0.0
        self.t[...] = _FIRST * power(_LAST / _FIRST, done)

    def quantize(self, x: Tensor) -> Tensor:
        if self.balanced:
            x = apply("weight_standardise", x, per_filter=True)
        return apply("ir_net", x, bits=self.bits, t=float(self.t), scaled=self.balanced)

    def _balance(self, x: np.ndarray) -> np.ndarray:
        return standardise(x, per_filter=True) if self.balanced else x

    def codes(self, x: np.ndarray) -> np.ndarray:
        refuse_nan(x)
        return codes(self._balance(x), bits=self.bits)

    def levels(self, x: np.ndarray | None = None) -> np.ndarray:
        if not self.balanced:
            return np.array([-1, 1], self._dtype)
        if x is None:
            raise InputError("x: expected the weights; the levels are made of their mean |x|")
        return levels(self._balance(x), bits=self.bits)


def _arguments(bits: int, role: Role) -> tuple[tuple[np.ndarray, ...], dict[str, Any]]:
    return (), {"bits": bits, "t": 2.0, "scaled": role == "weight"}


METHOD = register_method(
    Method(
        "ir_net",
        "IR-Net, Forward and Backward Information Retention",
        "Qin et al., CVPR 2020, arXiv 1909.10788; equations as in a public implementation",
        sys.modules[__name__],
        parameters=(),
        weights=(1,),
        activations=(1,),
        make=lambda bits, role, **options: IRNet(bits, role == "weight", **options),
        primitives=("ir_net", "weight_standardise"),
        arguments=_arguments,
        gradient="surrogate: s k tanh(t x) with s frozen, of weights whose standardisation is differentiated",
        laws=frozenset({"odd"}),
        per_channel=False,
        note="Each filter (last axis) of the weights is standardised; activations are -1 and +1. t ends at 10 in the "
        "last epoch; the public implementation stops a step short of it.",
    )
)
