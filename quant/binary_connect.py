"""BinaryConnect (Courbariaux et al., NIPS 2015, arXiv 1511.00363) and the activations of BNN (arXiv 1602.02830).

Equations:

    hard = +1 where x >= 0, else -1
    weights:      dx = 1; after each step x is clipped to [-1, 1]
    activations:  dx = 1 for |x| <= 1, else 0                       ``gate=True``

The equations are recalled, not read from the papers. There are no parameters. The gradient is a surrogate's: of x, or
of x limited to [-1, 1].
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.draw import Draw, away_from
from minigrad.elementary import select
from minigrad.nn import Parameter
from minigrad.primitive import Example, Kink, KinkPoint, Primitive, register
from minigrad.tensor import Tensor, apply
from quant.domain import check_bits, refuse_nan, same_dtype
from quant.draw import draw_bits
from quant.method import Method, Role, register_method
from quant.quantizer import Quantizer, check_dtype
from quant.rules import forward_of, jvp_of, sum_partials, vjp_of
from quant.ste import plus_or_minus

__all__ = ["BinaryConnect", "codes", "hard", "hard_vjp", "levels", "partials"]

_WIDTHS = range(1, 2)


def hard(x: np.ndarray, *, bits: int = 1, gate: bool = False) -> np.ndarray:
    """The sign.

    Parameters
    ----------
    x : ndarray, float32 or float64, any shape
    bits : 1
    gate : whether the gradient is 0 for |x| > 1; without influence here

    Returns
    -------
    ndarray of the shape and dtype of x; NaN where x is NaN.

    Raises
    ------
    InputError
        If bits is not 1, or x is not of floats.
    """
    check_bits(bits, _WIDTHS)
    return plus_or_minus(*same_dtype(x))


def partials(x: np.ndarray, *, bits: int = 1, gate: bool = False) -> tuple[np.ndarray]:
    """What stands for the derivative of every element by x, of the shape of x."""
    check_bits(bits, _WIDTHS)
    (x,) = same_dtype(x)
    passed = np.abs(x) <= 1 if gate else np.ones(x.shape, bool)
    return (passed.astype(x.dtype),)


def hard_vjp(gy: np.ndarray, x: np.ndarray, *, bits: int = 1, gate: bool = False) -> tuple[np.ndarray]:
    """The gradient of x for the incoming gradient ``gy`` (the shape of x)."""
    return (sum_partials(gy, partials(x, bits=bits, gate=gate), (x,))[0],)


def codes(x: np.ndarray, *, bits: int = 1, gate: bool = False) -> np.ndarray:
    """1 where x >= 0, else 0, uint8; InputError if x holds NaN."""
    check_bits(bits, _WIDTHS)
    (x,) = same_dtype(x)
    refuse_nan(x)
    return np.asarray(x >= 0).astype(np.uint8)


def levels(*, bits: int = 1, gate: bool = False, dtype: Any = np.float64) -> np.ndarray:
    """-1 and +1."""
    check_bits(bits, _WIDTHS)
    return np.array([-1, 1], dtype)


# ---------------------------------------------------------------- on the tape


def straight_through(x: np.ndarray, *, bits: int = 1, gate: bool = False) -> Callable[[np.ndarray], np.ndarray]:
    """The function whose true gradient at x is ``hard_vjp``: x, limited to [-1, 1] if gated."""
    inside, end = (np.abs(x) <= 1) | (not gate), np.where(x < 0, x.dtype.type(-1), x.dtype.type(1))

    def surrogate(x: np.ndarray) -> np.ndarray:
        run = select if x.dtype != object else np.frompyfunc(select, 3, 1)
        return run(inside, x, end)

    return surrogate


def _definition(x: Any, *, bits: int = 1, gate: bool = False) -> Any:
    return np.frompyfunc(lambda x: 1 if x >= 0 else -1, 1, 1)(x)


def _examples(draw: Draw, dtype: Any) -> Example:
    bits = draw_bits(draw, _WIDTHS)
    x = away_from(draw, -2.0, 2.0, draw.choice([(5,), (3, 2)]), [-1.0, 1.0], 0.05)
    return (x.astype(dtype),), {"bits": bits, "gate": draw.choice((False, True))}


def _at_end(upper: bool) -> Callable[[Draw, Any], KinkPoint]:
    def at(draw: Draw, dtype: Any) -> KinkPoint:
        (x,), options = _examples(draw, dtype)
        x.flat[0] = 1 if upper else -1
        return KinkPoint((x,), {**options, "gate": True}, 0, (0,) * x.ndim, 0.0 if upper else 1.0)

    return at


register(
    Primitive(
        "binary_connect",
        forward_of(hard),
        vjp_of(partials),
        jvp_of(partials),
        definition=_definition,
        domain="all x",
        kinks=(
            Kink("x = -1, gated", "the slope from inside, 1", _at_end(False)),
            Kink("x = 1, gated", "the slope from inside, 1", _at_end(True)),
        ),
        examples=_examples,
        surrogate=straight_through,
    )
)


class BinaryConnect(Quantizer):
    """The sign: of weights that are kept in [-1, 1], or of activations, with the gate |x| <= 1.

    It has nothing to choose from data.

    Parameters
    ----------
    bits : int
        1.
    gate : bool
        For activations.

    Raises
    ------
    InputError
        For values other than these.
    """

    def __init__(self, bits: int = 1, gate: bool = False, *, dtype: type = np.float32) -> None:
        super().__init__()
        check_dtype(dtype)
        check_bits(bits, _WIDTHS)
        self.bits, self.gate, self._dtype = bits, gate, np.dtype(dtype)

    def initialise(self, x: np.ndarray) -> None:
        """Nothing."""

    def quantize(self, x: Tensor) -> Tensor:
        return apply("binary_connect", x, bits=self.bits, gate=self.gate)

    def codes(self, x: np.ndarray) -> np.ndarray:
        return codes(x, bits=self.bits)

    def levels(self, x: np.ndarray | None = None) -> np.ndarray:
        return levels(bits=self.bits, dtype=self._dtype)

    def clip_weights(self, weight: Parameter) -> None:
        """Limit the weights themselves to [-1, 1]; a layer does it after each step, with ``project``."""
        np.clip(weight.data, -1, 1, out=weight.data)


def _arguments(bits: int, role: Role) -> tuple[tuple[np.ndarray, ...], dict[str, Any]]:
    return (), {"bits": bits, "gate": role == "activation"}


METHOD = register_method(
    Method(
        "binary_connect",
        "BinaryConnect, and the activations of BNN",
        "Courbariaux et al., NIPS 2015, arXiv 1511.00363; Hubara et al., NIPS 2016, arXiv 1602.02830 (recalled)",
        sys.modules[__name__],
        parameters=(),
        weights=(1,),
        activations=(1,),
        make=lambda bits, role, **options: BinaryConnect(bits, role == "activation", **options),
        primitives=("binary_connect",),
        arguments=_arguments,
        gradient="surrogate: x itself; for activations x limited to [-1, 1]",
        laws=frozenset({"idempotent", "odd", "elementwise"}),
        per_channel=False,
        note="Activations are -1 and +1. Weights are clipped to [-1, 1] after each step; their gradient is not gated.",
    )
)
