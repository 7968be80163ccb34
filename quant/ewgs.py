"""EWGS, Element-Wise Gradient Scaling (Lee, Kim, Ham, CVPR 2021, arXiv 2104.00903).

Equations (N = 2^bits - 1; g is the gradient of x_q, the discretiser's output):

    x_n = clip((x - l)/(u - l), 0, 1),   x_q = rint(N x_n)/N,   ties to even
    hard = 2 x_q - 1 for weights, x_q for activations
    gradient of x_n:   g (1 + delta sign(g) (x_n - x_q))
    delta = max(0, mean over batches of  Tr(H)/(n 3 std(g)))

with H the Hessian of the loss by x_q, n the number of its elements, std(g) the unbiased standard deviation of its
gradient; delta is 1e-3, or is set by this rule now and then (``EWGS.update_delta``).

That gradient is no function's: it is declared as this formula, a modifier, and need not be linear in g. From x_n on it
is the derivative's: 1/(u - l) by x, (x - u)/(u - l)^2 by l and -(x - l)/(u - l)^2 by u where l <= x <= u, 0 outside.
The jvp is that of ``straight_through``, which delta = 0 is the gradient of.

Parameters, in this order, scalars or one a channel (the last axis): l < u. Codes are rint(N x_n). The quantized values
are in [-1, 1] or [0, 1] whatever the scale of x. The authors multiply the layer's output by a learned scale; here that
is left to what follows, batch norm for one.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.elementary import clip
from minigrad.errors import InputError
from minigrad.nn import Parameter
from minigrad.primitive import Primitive, register
from minigrad.reduction import sum_to_shape, tree_sum
from minigrad.tensor import Tensor, apply
from quant.calibration import require_finite
from quant.domain import check_bits, check_range, check_shapes, refuse_nan, same_dtype
from quant.ewgs_primitive import DELTA, KINKS, WIDTHS, definition, examples, modifier, straight_through
from quant.method import Method, Role, register_method
from quant.quantizer import Quantizer, check_dtype, check_option, parameter_shape
from quant.rules import forward_of, jvp_of
from quant.standardise import mean_and_std

__all__ = ["DELTA", "EWGS", "codes", "delta_of_traces", "hard", "hard_vjp", "levels", "partials"]


# A point far outside the range may overflow on the way to a result that is the range's end.
_quiet = np.errstate(over="ignore", invalid="ignore")


def check_delta(delta: Any) -> float:
    """delta as a float; InputError unless it is a finite number from 0 on."""
    number = isinstance(delta, (int, float, np.integer, np.floating)) and not isinstance(delta, bool)
    if not number or not 0 <= delta < math.inf:
        raise InputError(f"delta: expected a finite number from 0 on, got {delta!r}")
    return float(delta)


def _place(x: Any, l: Any, u: Any, bits: int, delta: float) -> tuple[Any, ...]:
    """Checked arguments in one dtype, then the width, x_n and N."""
    n = check_bits(bits)
    check_delta(delta)
    x, l, u = same_dtype(x, l, u)
    check_shapes(x, l, u)
    check_range(l, u, n)
    width = u - l
    return x, l, u, width, clip((x - l) / width, 0, 1), n


@_quiet
def _integers(x: Any, l: Any, u: Any, bits: int, delta: float) -> tuple[Any, Any, int]:
    """x, rint(N x_n) and N."""
    x, *_, v, n = _place(x, l, u, bits, delta)
    return x, np.rint(v * n), n


def hard(x: np.ndarray, l: Any, u: Any, *, bits: int, signed: bool = True, delta: float = DELTA) -> np.ndarray:
    """The quantizer; delta has no influence.

    Parameters
    ----------
    x : ndarray, float32 or float64, any shape
    l, u : ends of the range, l < u; broadcast against x
    bits : 1 to 8
    signed : values in [-1, 1], for weights; or in [0, 1]
    delta : strength of the gradient's scaling, at least 0

    Returns
    -------
    ndarray of the shape and dtype of x; NaN where x is NaN.

    Raises
    ------
    InputError
        If a parameter is outside its domain.
    """
    _, j, n = _integers(x, l, u, bits, delta)
    return np.asarray((2 * j - n) / n if signed else j / n)


@_quiet
def partials(
    x: np.ndarray, l: Any, u: Any, *, bits: int, signed: bool = True, delta: float = DELTA
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The derivatives of ``straight_through`` by x, l and u for every element: the gradients for delta = 0."""
    x, l, u, width, v, _ = _place(x, l, u, bits, delta)
    slope = np.where((x >= l) & (x <= u), x.dtype.type(2 if signed else 1) / width, x.dtype.type(0))
    return slope, np.where(slope == 0, slope, slope * ((x - u) / width)), -slope * v


@_quiet
def hard_vjp(
    gy: np.ndarray, x: np.ndarray, l: Any, u: Any, *, bits: int, signed: bool = True, delta: float = DELTA
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of x, l and u for the incoming gradient ``gy`` (the shape of x)."""
    *_, v, n = _place(x, l, u, bits, delta)
    scaled = gy * (1 + x.dtype.type(delta) * np.sign(gy) * (v - np.rint(v * n) / n))
    dx, dl, du = partials(x, l, u, bits=bits, signed=signed, delta=delta)
    return scaled * dx, sum_to_shape(scaled * dl, np.shape(l)), sum_to_shape(scaled * du, np.shape(u))


def codes(x: np.ndarray, l: Any, u: Any, *, bits: int, signed: bool = True, delta: float = DELTA) -> np.ndarray:
    """Integer codes rint(N x_n), uint8, ties to even; InputError if x holds NaN."""
    x, j, _ = _integers(x, l, u, bits, delta)
    refuse_nan(x)
    return np.asarray(j).astype(np.uint8)


def levels(l: Any, u: Any, *, bits: int, signed: bool = True, delta: float = DELTA) -> np.ndarray:
    """The value of each code, (2^bits, ...) in the dtype and shape of u."""
    n = check_bits(bits)
    check_delta(delta)
    check_range(l, u, n)
    u = np.asarray(u)
    j = np.arange(n + 1).astype(u.dtype)
    values = (2 * j - n) / n if signed else j / n
    return np.ascontiguousarray(np.broadcast_to(values.reshape(-1, *([1] * u.ndim)), (n + 1, *u.shape)))


def delta_of_traces(traces: Sequence[float], gradients: Sequence[np.ndarray]) -> float:
    """The paper's rule: max(0, mean of Tr(H)/(n 3 std(g))).

    Parameters
    ----------
    traces : estimates of Tr(H), one a batch, such as Hutchinson's: means of v.(H v) over random signs v
    gradients : the gradient by the same tensor in each batch, at least two different elements

    Raises
    ------
    InputError
        If there is none, their numbers differ, one is not finite, or a gradient is constant.
    """
    if len(traces) == 0 or len(traces) != len(gradients):
        raise InputError(f"traces: expected one a gradient, at least one, got {len(traces)} and {len(gradients)}")
    terms = []
    for trace, g in zip(traces, gradients, strict=True):
        require_finite(g)
        terms.append(float(trace) / (g.size * 3 * float(mean_and_std(np.asarray(g, np.float64))[1])))
    mean = float(tree_sum(np.array(terms))) / len(terms)
    if not math.isfinite(mean):
        raise InputError(f"traces: expected finite numbers, got {list(traces)}")
    return max(0.0, mean)


# ---------------------------------------------------------------- on the tape


def _vjp(gy: np.ndarray, residuals: Any, needs: Sequence[bool]) -> tuple[np.ndarray | None, ...]:
    arrays, options = residuals
    return tuple(g if needed else None for g, needed in zip(hard_vjp(gy, *arrays, **options), needs, strict=True))


register(
    Primitive(
        "ewgs",
        forward_of(hard),
        _vjp,
        jvp_of(partials),
        definition=definition,
        domain="l < u, delta >= 0",
        kinks=KINKS,
        examples=examples,
        surrogate=straight_through,
        modifier=modifier,
    )
)


class EWGS(Quantizer):
    """EWGS with a learned range.

    Parameters
    ----------
    bits : int
        1 to 8.
    signed : bool
        Values in [-1, 1], for weights; or in [0, 1], for activations.
    range : str or None
        "symmetric": l = -u (signed only, the default there); "positive": l = 0, for activations after a ReLU (unsigned
        only, the default there); "free": l and u are learned apart, as the authors do.
    delta : float
        Strength of the gradient's scaling, at least 0; 0 is straight-through.
    channels : int or None
        A range for each entry of the last axis; None for one for the tensor.

    Attributes
    ----------
    delta : ndarray, float64, 0-d
        The strength now; part of the state.

    Raises
    ------
    InputError
        For values other than these.
    """

    buffers = ("initialised", "delta")

    def __init__(
        self,
        bits: int,
        signed: bool = True,
        *,
        range: str | None = None,
        delta: float = DELTA,
        channels: int | None = None,
        dtype: type = np.float32,
    ) -> None:
        super().__init__()
        check_dtype(dtype)
        check_bits(bits)
        default = "symmetric" if signed else "positive"
        self.bits, self.signed, self.range = bits, signed, default if range is None else range
        check_option("range", self.range, (default, "free"))
        self.delta = np.array(check_delta(delta))
        shape = parameter_shape(channels)
        self.u = Parameter(np.ones(shape, dtype), group="range")
        if self.range == "free":
            self.l = Parameter(np.full(shape, -1 if signed else 0, dtype), group="range")

    def lower(self) -> Tensor | np.ndarray:
        """l, as a tensor where it is learned."""
        if self.range == "free":
            return self.l
        return -self.u if self.range == "symmetric" else np.zeros(self.u.shape, self.u.dtype)

    def parameters_now(self) -> tuple[np.ndarray, np.ndarray]:
        """l and u as arrays."""
        l = self.lower()
        return (l.data if isinstance(l, Tensor) else l), self.u.data

    @_quiet
    def initialise(self, x: np.ndarray) -> None:
        """Three standard deviations: weights -3 std to 3 std, "free" ones around their mean; activations 0 to 3 s.

        s = std / sqrt(1 - 2/pi) is the standard deviation of a normal variable whose size has the one of x; a "free"
        range of activations begins at the smallest one.
        """
        require_finite(x)
        shape = self.u.shape
        if shape and x.shape[-1:] != shape:
            raise InputError(f"x: expected {shape[0]} channels in the last axis, got shape {x.shape}")
        double = np.asarray(x, np.float64).reshape(-1, *shape)
        mean, std = (statistic.reshape(shape) for statistic in mean_and_std(double, per_filter=bool(shape)))
        width = 3 * std if self.signed else 3 * std / math.sqrt(1 - 2 / math.pi)
        low, high = -width if self.signed else 0 * width, width
        if self.range == "free":
            centre = mean if self.signed else double.min(axis=0)
            low, high = low + centre, high + centre
        low, high = (end.astype(self.u.dtype) for end in (low, high))
        check_range(low, high)
        self.u.data[...] = high
        if self.range == "free":
            self.l.data[...] = low

    def update_delta(self, traces: Sequence[float], gradients: Sequence[np.ndarray]) -> None:
        """Set delta by ``delta_of_traces``, from traces and gradients by this module's output, one of each a batch.

        The rule is about x_q, of which the output is 2 x_q - 1 for weights: g doubles, Tr(H) is four times as large.
        """
        self.delta[...] = (2 if self.signed else 1) * delta_of_traces(traces, gradients)

    def _options(self) -> dict[str, Any]:
        return {"bits": self.bits, "signed": self.signed, "delta": float(self.delta)}

    def quantize(self, x: Tensor) -> Tensor:
        return apply("ewgs", x, self.lower(), self.u, **self._options())

    def codes(self, x: np.ndarray) -> np.ndarray:
        return codes(x, *self.parameters_now(), **self._options())

    def levels(self, x: np.ndarray | None = None) -> np.ndarray:
        return levels(*self.parameters_now(), **self._options())

    def project(self) -> None:
        """u - l at least 1e-6 of the larger end (at least of 1); where it is not, both move apart from their middle."""
        l, u = self.parameters_now()
        gap = 1e-6 * np.maximum(1, np.maximum(np.abs(l), np.abs(u)))
        crossed = u - l < gap
        middle = 0.5 * (l + u) if self.range == "free" else 0 * u
        self.u.data[...] = np.where(crossed, middle + gap, u)
        if self.range == "free":
            self.l.data[...] = np.where(crossed, middle - gap, l)


def _arguments(bits: int, role: Role) -> tuple[tuple[np.ndarray, ...], dict[str, Any]]:
    signed = role == "weight"
    return (np.asarray(-1.0 if signed else 0.0), np.asarray(1.0)), {"bits": bits, "signed": signed}


METHOD = register_method(
    Method(
        "ewgs",
        "EWGS, Element-Wise Gradient Scaling",
        "Lee, Kim, Ham, CVPR 2021, arXiv 2104.00903",
        sys.modules[__name__],
        parameters=("l", "u"),
        weights=WIDTHS,
        activations=WIDTHS,
        make=lambda bits, role, **options: EWGS(bits, role == "weight", **options),
        primitives=("ewgs",),
        arguments=_arguments,
        gradient="modifier: g (1 + delta sign(g) (x_n - x_q)) in the place of the rounding's gradient",
        laws=frozenset({"elementwise"}),
        single_bits=21,
        note="values are in [-1, 1] or [0, 1] whatever the scale of x; the scale of the layer's output is left out",
    )
)
