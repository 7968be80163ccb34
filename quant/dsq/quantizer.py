"""The module and the record of DSQ; ``quant.dsq`` has the equations."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

import quant.dsq.pact
import quant.dsq.primitive  # noqa: F401  registers the primitives
from minigrad.elementary import exp
from minigrad.errors import InputError
from minigrad.nn import Parameter
from minigrad.tensor import Tensor, apply
from quant.calibration import for_each_channel, least_squares_range, require_finite
from quant.domain import as_number, check_alpha, check_bits, check_positive
from quant.dsq.functions import (
    BITS,
    codes,
    hard,
    levels,
)
from quant.method import Method, Role, register_method
from quant.quantizer import Quantizer, check_dtype, check_option, parameter_shape
from quant.smallest import smallest_width

__all__ = ["DSQ"]


class DSQ(Quantizer):
    """DSQ: a range and alpha of the tensor, or of each channel.

    With 1 bit, ``range="symmetric"`` and ``bounds="fixed"`` it is the paper's binary net: sgn x, alpha 0.2.

    Parameters
    ----------
    bits : int
        1 to 8.
    range : str
        "symmetric": l = -u, for weights (codes are odd integers); "positive": l = 0, for activations after a ReLU;
        "free": l and u move apart.
    bounds : str
        Where l and u come from. "learned": by backpropagation, from the range of least squared error. "moving":
        averages over the training's forwards of the tensor's smallest and largest element (of the largest magnitude for
        "symmetric"), starting at those of the first, end + momentum (new - end); they are buffers and have no gradient.
        "fixed": u = 1, and l = -1 or 0.
    clip : str
        "dsq": u has the gradient of eq 12. "pact": that of PACT's a (``quant.dsq.pact``); for a range that is positive
        and learned.
    forward : str
        In training "hard" (Algorithm 1, q = code in the backward) or "soft" (eq 5). Evaluation is always hard.
    learn_alpha : bool or None
        None: alpha is learned except at 1 bit (the paper's binary nets keep 0.2).
    alpha : float
        Where alpha starts; ``project`` keeps it at 0.5 or below.
    alpha_bound : str
        What ``project`` keeps alpha above: "scale-free", alpha >= 1e-6; or besides it "k<=1000", the paper's bound on
        k, which depends on the scale of the data (0.5 where it leaves nothing below 0.5).
    alpha_penalty : float
        lambda of the paper's L2 constraint on alpha, for ``penalty``. The weight decay of the optimizer's group
        "shape" has the same gradient.
    momentum : float
        Of the moving averages, above 0 and at most 1.
    channels : int or None
        One range and alpha for each entry of the last axis; None for one of each for the tensor.

    Raises
    ------
    InputError
        For values other than these, or alpha outside (0, 1).
    """

    def __init__(
        self,
        bits: int,
        range: str = "symmetric",
        *,
        bounds: str = "learned",
        clip: str = "dsq",
        alpha: float = 0.2,
        forward: str = "hard",
        learn_alpha: bool | None = None,
        alpha_bound: str = "scale-free",
        alpha_penalty: float = 0.0,
        momentum: float = 0.1,
        channels: int | None = None,
        dtype: type = np.float32,
    ) -> None:
        super().__init__()
        check_bits(bits, BITS)
        check_dtype(dtype)
        check_alpha(np.asarray(as_number("alpha", alpha), dtype))
        check_option("range", range, ("symmetric", "positive", "free"))
        check_option("bounds", bounds, ("learned", "moving", "fixed"))
        check_option("clip", clip, ("dsq", "pact"))
        check_option("forward", forward, ("hard", "soft"))
        check_option("alpha_bound", alpha_bound, ("scale-free", "k<=1000"))
        if clip == "pact" and (range, bounds) != ("positive", "learned"):
            raise InputError(f"clip: 'pact' is for a range that is positive and learned, got {range!r} and {bounds!r}")
        if not 0 < as_number("momentum", momentum) <= 1:
            raise InputError(f"momentum: expected a number above 0 and at most 1, got {momentum!r}")
        if as_number("alpha_penalty", alpha_penalty) < 0:
            raise InputError(f"alpha_penalty: expected a number of at least 0, got {alpha_penalty!r}")
        self.bits, self.range, self.mode, self.alpha_bound = bits, range, forward, alpha_bound
        self.bounds, self.clip, self.momentum, self.alpha_penalty = bounds, clip, momentum, alpha_penalty
        shape = parameter_shape(channels)
        if bounds == "moving":
            self.buffers = (*Quantizer.buffers, "moving_u", *(["moving_l"] if range == "free" else []))
        self.u = self._end(np.ones(shape, dtype))
        if range == "free":
            self.l = self._end(-np.ones(shape, dtype))
        self.alpha = Parameter(np.full(shape, alpha, dtype), group="shape")
        self.alpha.requires_grad = bits > 1 if learn_alpha is None else learn_alpha

    def _end(self, start: np.ndarray) -> Tensor:
        return Parameter(start, group="range") if self.bounds == "learned" else Tensor(start)

    @property
    def moving_l(self) -> np.ndarray:
        """l as the buffer that it is where it moves by averages."""
        return self.l.data

    @property
    def moving_u(self) -> np.ndarray:
        """u as the buffer that it is where it moves by averages."""
        return self.u.data

    def lower(self) -> Tensor | np.ndarray:
        """l, as a tensor where it is learned."""
        if self.range == "free":
            return self.l if self.bounds == "learned" else self.l.data
        if self.range == "positive":
            return np.zeros(self.u.shape, self.u.dtype)
        return -self.u if self.bounds == "learned" else -self.u.data

    def parameters_now(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """l, u and alpha as arrays."""
        l = self.lower()
        return (l.data if isinstance(l, Tensor) else l), self.u.data, self.alpha.data

    def initialise(self, x: np.ndarray) -> None:
        """The range of least squared error, if learned; "free" is put around the middle of the data.

        The extremes of the data, where the range moves by averages.
        """
        if self.bounds == "fixed":
            return
        require_finite(x)
        if self.bounds == "moving":
            l, u = self._extremes(x)
            check_positive("the range of x", u - l)
            self._set(l, u)
        elif self.range == "free":
            shape = self.u.shape
            low, high = for_each_channel(x, shape, np.min), for_each_channel(x, shape, np.max)
            if (low == high).any():
                raise InputError(f"x: every element is {low[low == high].flat[0]}; a range needs two different ones")
            middle = 0.5 * (high + low)
            half = for_each_channel(x - middle, shape, lambda part: self._best_end(part, -1.0))
            self._set(middle - half, middle + half)
        else:
            sign = -1.0 if self.range == "symmetric" else 0.0
            self.u.data[...] = for_each_channel(x, self.u.shape, lambda part: self._best_end(part, sign))

    def _best_end(self, x: np.ndarray, sign: float) -> float:
        return least_squares_range(x, lambda flat, u: hard(flat, sign * u, u, 0.5, self.bits))

    def _extremes(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The range that spans x, float64."""
        require_finite(x)
        shape = self.u.shape
        if self.range == "symmetric":
            u = for_each_channel(np.abs(x), shape, np.max)
            return -u, u
        l = for_each_channel(x, shape, np.min) if self.range == "free" else np.zeros(shape)
        return l, for_each_channel(x, shape, np.max)

    def _set(self, l: np.ndarray, u: np.ndarray) -> None:
        self.u.data[...] = u
        if self.range == "free":
            self.l.data[...] = l

    def follow(self, x: np.ndarray) -> None:
        """Move the averages towards the extremes of x; InputError if it is empty or not finite."""
        now = [np.asarray(p, np.float64) for p in self.parameters_now()[:2]]
        l, u = (end + self.momentum * (new - end) for end, new in zip(now, self._extremes(x), strict=True))
        self._set(l, u)
        self._open()

    def quantize(self, x: Tensor) -> Tensor:
        if self.training and self.bounds == "moving":
            self.follow(x.data)
        soft = self.training and self.mode == "soft"
        if self.clip == "pact":
            return apply("dsq_pact", x, self.u, self.alpha, bits=self.bits, soft=soft)
        u = self.u if self.bounds == "learned" else self.u.data
        return apply("dsq_soft" if soft else "dsq_hard", x, self.lower(), u, self.alpha, bits=self.bits)

    def codes(self, x: np.ndarray) -> np.ndarray:
        return codes(x, *self.parameters_now(), self.bits)

    def levels(self, x: np.ndarray | None = None) -> np.ndarray:
        return levels(*self.parameters_now(), self.bits)

    def penalty(self) -> Tensor:
        """lambda/2 sum alpha^2, to be added to the loss: the paper's constraint ||alpha|| < lambda as an L2 penalty."""
        return (self.alpha * self.alpha).sum() * (0.5 * self.alpha_penalty)

    def _open(self) -> None:
        """l < u by ``smallest_width``, around their middle."""
        l, u = (np.asarray(p, np.float64) for p in self.parameters_now()[:2])
        gap = smallest_width(l, u)
        narrow = u - l < gap
        if self.range == "free":
            middle = 0.5 * (l + u)
            self._set(np.where(narrow, middle - gap, l), np.where(narrow, middle + gap, u))
        else:
            self._set(l, np.where(narrow, gap, u))

    def project(self) -> None:
        """l < u by 1e-6 of the larger one (at least 2^-60), alpha from its bound to 0.5."""
        self._open()
        low: Any = 1e-6
        if self.alpha_bound == "k<=1000":
            l, u = (np.asarray(p, np.float64) for p in self.parameters_now()[:2])
            step = (u - l) / check_bits(self.bits)
            low = np.clip(2.0 / (1.0 + exp(np.minimum(1000.0 * step, 700.0))), low, 0.5)
        np.clip(self.alpha.data, low, 0.5, out=self.alpha.data)


def _make(bits: int, role: Role, **options: Any) -> DSQ:
    return DSQ(bits, **({"range": "symmetric" if role == "weight" else "positive"} | options))


def _arguments(bits: int, role: Role) -> tuple[tuple[np.ndarray, ...], dict[str, Any]]:
    low = -1.0 if role == "weight" else 0.0
    return tuple(np.asarray(p) for p in (low, 1.0, 0.2)), {"bits": bits}


METHOD = register_method(
    Method(
        "dsq",
        "DSQ, Differentiable Soft Quantization",
        "Gong et al., ICCV 2019, arXiv 1908.05033, eqs 3 to 13 and Algorithm 1",
        sys.modules["quant.dsq"],
        parameters=("l", "u", "alpha"),
        weights=tuple(BITS),
        activations=tuple(BITS),
        make=_make,
        primitives=("dsq_hard", "dsq_soft", "dsq_pact"),
        arguments=_arguments,
        gradient="that of the soft function; with a hard forward a surrogate's, the code frozen and phi passed through",
        laws=frozenset({"idempotent", "scales", "between", "elementwise"}),
        single_bits=22,
        note="Not in the paper, and chosen here: the bounds of alpha, how l and u start, how PACT's clip is combined.",
    )
)
