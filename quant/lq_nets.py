"""LQ-Nets, Learned Quantization (Zhang et al., ECCV 2018, arXiv 1807.10029).

Equations (K = bits, a basis v of K numbers a filter for weights, a tensor for activations):

    levels   B v for every coding vector B: of {-1, 1}^K for weights, of {0, 1}^K for activations after a ReLU
    hard     the nearest level: thresholds are the middles between levels, a tie takes the lower one
    v        least squares of |x - B v|^2 for the codes of this x, (B^T B)^-1 B^T x, then v <- 0.9 v + 0.1 of that
    dx = 1 for weights; 1{x <= the largest level} for activations            (straight-through)

v is not learned by gradient: a forward in training finds the least squares, and ``project``, after the optimizer's
step, moves v. B^T B and B^T x get 1e-4 and 1e-4 v added, as the authors' code does for weights, so that a coding vector
nobody has leaves v where it was; here for activations too.

Derived here, for those who want v learned (``learn_v``, which ends the least squares): with the codes frozen the value
is B v, so dv_k = B_k, the element's own -1, 0 or 1. The gradient is a surrogate's, of ``frozen_codes``.

Chosen, where the paper has constants for its own networks: v starts at mean|x| 2^k/2^K for weights and at
2 mean|x| 2^k/(2^(K+1) - 2) for activations, k = 1, ..., K, followed by 20 rounds of codes and least squares.

The paper has 1 to 4 bits; the equations hold for any, and codes of a byte for 1 to 8. Levels that coincide are allowed:
the lower code wins. Their order is that of the values, so v may have any sign and order.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.draw import Draw, away_from
from minigrad.errors import InputError
from minigrad.nn import Parameter
from minigrad.primitive import Example, Kink, KinkPoint, Primitive, register
from minigrad.tensor import Tensor, apply
from quant.calibration import positive_mean_abs
from quant.domain import check_bits
from quant.draw import draw_bits
from quant.lq_functions import BITS, codes, hard, hard_vjp, least_squares, level_table, levels, partials
from quant.method import Method, Role, register_method
from quant.quantizer import Quantizer, check_dtype, parameter_shape
from quant.rules import forward_of

__all__ = ["LQNets", "codes", "hard", "hard_vjp", "least_squares", "level_table", "levels", "partials"]

Array = np.ndarray
_ROUNDS = 20


def _vjp(gy: Array, residuals: Any, needs: Sequence[bool]) -> tuple[Array | None, ...]:
    arrays, options = residuals
    found = hard_vjp(gy, *arrays, **options)
    return tuple(g if needed else None for g, needed in zip(found, needs, strict=True))


def _jvp(tangents: Sequence[Array | None], x: Array, v: Array, **options: Any) -> Array:
    dx, dv = partials(x, v, **options)
    y = np.zeros_like(dx) if tangents[0] is None else dx * tangents[0]
    if tangents[1] is not None:
        for partial, moved in zip(dv, tangents[1], strict=True):
            y = y + partial * moved
    return y


def frozen_codes(x: Array, v: Array, *, bits: int, signed: bool = True) -> Callable[..., Array]:
    """The function whose true gradient at (x, v) is ``hard_vjp``: B v, B frozen, and what x moves where it passes."""
    passes, vectors = partials(x, v, bits=bits, signed=signed)

    def surrogate(x_now: Array, v_now: Array) -> Array:
        y = passes * (x_now - x)
        for k, vector in enumerate(vectors):
            y = y + vector * v_now[k : k + 1]
        return y

    return surrogate


def _definition(x: Any, v: Any, *, bits: int, signed: bool = True) -> Any:
    digits = (-1, 1) if signed else (0, 1)

    def all_levels(basis: list[Any]) -> list[Any]:
        found = [0]
        for component in basis:
            found = [level + digit * component for level in found for digit in digits]
        return sorted(found)

    def nearest(x: Any, ascending: list[Any]) -> Any:
        at = ascending[0]
        for level in ascending[1:]:
            at = level if level - x < x - at else at
        return at

    if v.ndim == 1:
        ascending = all_levels(v.tolist())
        return np.frompyfunc(lambda x: nearest(x, ascending), 1, 1)(x)
    found = np.empty(x.shape, object)
    for channel in range(v.shape[1]):
        ascending = all_levels(v[:, channel].tolist())
        found[..., channel] = [nearest(one, ascending) for one in x[..., channel].tolist()]
    return found


def _drawn_basis(draw: Draw, bits: int, signed: bool, channels: int) -> Array:
    """(K, channels), whose levels are all different: near powers of two in any order, or 2, 3, 4."""
    near = np.array([2.0, 3.0, 4.0]) if bits == 3 and draw.choice((True, False)) else 2.0 ** np.arange(bits)
    v = near[draw.permutation(bits), None] + draw.uniform(-0.05, 0.05, (bits, channels))
    signs = np.array([draw.choice((1, -1)) if signed else 1 for _ in range(bits)])
    return v * signs[:, None]


def _examples(draw: Draw, dtype: Any) -> Example:
    bits = draw_bits(draw, BITS)
    signed, channels = draw.choice((True, False)), draw.choice((1, 2))
    v = 10.0 ** draw.integer(-6, 6) * draw.uniform(0.5, 2.0) * _drawn_basis(draw, bits, signed, channels)
    ascending = np.sort(level_table(v, bits=bits, signed=signed).levels, axis=0)
    # Near a level, away from the middles between levels, and from the largest level, where the slope jumps.
    place = np.array([draw.integer(0, (1 << bits) - 1) for _ in range(6)]).reshape(3, 2)[:, :channels]
    gap = np.diff(ascending, axis=0).min(axis=0)
    offset = away_from(draw, -0.45, 0.45, (3, channels), [0.0], 0.05)
    x = ascending[place, np.arange(channels)] + gap * offset
    if channels == 1:
        x, v = x[:, 0], v[:, 0]
    return (np.asarray(x, dtype), np.asarray(v, dtype)), {"bits": bits, "signed": signed}


def _at_top(draw: Draw, dtype: Any) -> KinkPoint:
    bits = draw_bits(draw, BITS)
    v = np.asarray(2.0 ** np.arange(bits), dtype)
    x = np.asarray([0.25, 0.25], dtype)
    x[0] = (1 << bits) - 1
    return KinkPoint((x, v), {"bits": bits, "signed": False}, 0, (0,), 0.0)


register(
    Primitive(
        "lq_nets",
        forward_of(hard),
        _vjp,
        _jvp,
        definition=_definition,
        domain="v finite",
        kinks=(Kink("unsigned: x = the largest level", "1, the slope from inside", _at_top),),
        examples=_examples,
        surrogate=frozen_codes,
    )
)


class LQNets(Quantizer):
    """LQ-Nets: a basis that follows the data by least squares in training.

    Parameters
    ----------
    bits : int
        1 to 8.
    signed : bool
        For weights, coding vectors of -1 and 1; unsigned for activations after a ReLU, of 0 and 1.
    channels : int or None
        One basis for each entry of the last axis (the paper's for weights); None for one for the tensor.
    momentum : float
        The part of v that a step of training keeps, from 0 up to 1.
    learn_v : bool
        Learn v by its gradient in place of least squares.

    Raises
    ------
    InputError
        For values other than these.
    """

    def __init__(
        self,
        bits: int,
        signed: bool = True,
        *,
        channels: int | None = None,
        momentum: float = 0.9,
        learn_v: bool = False,
        dtype: type = np.float32,
    ) -> None:
        super().__init__()
        check_dtype(dtype)
        check_bits(bits)
        number = isinstance(momentum, (int, float, np.integer, np.floating)) and not isinstance(momentum, bool)
        if not number or not 0 <= momentum < 1:
            raise InputError(f"momentum: expected a number from 0 up to 1, got {momentum!r}")
        self.bits, self.signed, self.momentum = bits, signed, float(momentum)
        self.v = Parameter(self._powers(np.ones(parameter_shape(channels))).astype(dtype), group="levels")
        self.v.requires_grad = learn_v
        self._found: Array | None = None

    def _powers(self, mean: Array) -> Array:
        """The basis of even levels for data with that mean |x|, (K, ...)."""
        powers = 2.0 ** np.arange(self.bits).reshape(-1, *([1] * mean.ndim))
        return mean * (powers / 2 ** (self.bits - 1) if self.signed else 2 * powers / ((1 << self.bits) - 1))

    def initialise(self, x: np.ndarray) -> None:
        """Even levels by mean |x|, then 20 rounds of codes and least squares."""
        with np.errstate(over="ignore", under="ignore"):
            v = self._powers(positive_mean_abs(x, self.v.shape[1:]))
            for _ in range(_ROUNDS):
                v = least_squares(x, v, bits=self.bits, signed=self.signed)
            v = v.astype(self.v.dtype)
        level_table(v, bits=self.bits, signed=self.signed)
        self.v.data[...] = v

    def quantize(self, x: Tensor) -> Tensor:
        options: dict[str, Any] = {"bits": self.bits, "signed": self.signed}
        if self.v.requires_grad:
            return apply("lq_nets", x, self.v, **options)
        if self.training and x.data.size and np.isfinite(x.data).all():
            self._found = least_squares(x.data, self.v.data.astype(np.float64), **options)
        # The tape gets a copy, so that v may move before the gradient is asked for.
        return apply("lq_nets", x, self.v.data.copy(), **options)

    def codes(self, x: np.ndarray) -> np.ndarray:
        return codes(x, self.v.data, bits=self.bits, signed=self.signed)

    def levels(self, x: np.ndarray | None = None) -> np.ndarray:
        return levels(self.v.data, bits=self.bits, signed=self.signed)

    def project(self) -> None:
        """v <- momentum v + (1 - momentum) times the least squares of the last forward in training, once for each.

        It stays where there was none, or its x was empty or not finite.
        """
        if self._found is not None:
            self.v.data[...] = self.momentum * self.v.data.astype(np.float64) + (1 - self.momentum) * self._found
            self._found = None


def _arguments(bits: int, role: Role) -> tuple[tuple[np.ndarray, ...], dict[str, Any]]:
    # Near powers of two, so that the levels are not even.
    v = 1.8 ** np.arange(bits)
    return (v / v.sum(),), {"bits": bits, "signed": role == "weight"}


METHOD = register_method(
    Method(
        "lq_nets",
        "LQ-Nets, Learned Quantization",
        "Zhang et al., ECCV 2018, arXiv 1807.10029",
        sys.modules[__name__],
        parameters=("v",),
        weights=BITS,
        activations=BITS,
        make=lambda bits, role, **options: LQNets(bits, role == "weight", **options),
        primitives=("lq_nets",),
        arguments=_arguments,
        gradient="surrogate: codes frozen, x passed straight through; for activations up to the largest level",
        laws=frozenset({"idempotent", "scales", "elementwise"}),
        single_bits=21,
        note="v follows the data by least squares; its gradient is derived here and used with learn_v only",
    )
)
