"""DSQ, Differentiable Soft Quantization (Gong et al., ICCV 2019, arXiv 1908.05033).

Equations (N = 2^bits - 1, D = (u - l)/N, numbers as in the paper):

    v = (x - l)/D,  i = clip(floor(v), 0, N - 1),  z = v - i - 1/2
    K = k D = ln(2/alpha - 1)                      (eq 8)
    s = 1/(1 - alpha)                              (eq 7)
    phi = s tanh(K z)                              (eq 3)
    soft = l + D (i + (phi + 1)/2)                 (eq 5), l below the range and u above it
    code = clip(floor(v + 1/2), 0, N)              (Algorithm 1 with sgn 0 = +1)

The interval index i is piecewise constant and carries no gradient. The partial derivatives inside [l, u], with
t = tanh(K z), d2 = 1 - t^2, slope = K s d2/2 and q = i + (phi + 1)/2 (``q="soft"``, eq 13) or q = code (``q="hard"``,
Algorithm 1 step 6, for a hard forward with sgn passed straight through):

    dx = slope                                     dl = 1 - q/N + slope (v/N - 1)
    dalpha = D/2 (s^2 t - 2 s z d2/(alpha (2 - alpha)))          du = q/N - slope v/N

Below l they are dx = 0, dl = 1, du = 0, dalpha = 0; above u dx = 0, dl = 0, du = 1, dalpha = 0. The bounds themselves
are inside. dx + dl + du = 1 everywhere.

Parameters come in the order l, u, alpha, as scalars or as arrays that broadcast against x (one entry a channel, the
last axis). Every function takes float32 or float64 and computes in the dtype of x; ``soft`` and ``soft_partials`` also
run on exact and interval numbers, one element at a time.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.draw import Draw, away_from
from minigrad.elementary import clip, exp, floor, log1p, select, tanh_sech2, within
from minigrad.errors import InputError
from minigrad.nn import Parameter
from minigrad.primitive import Example, Kink, KinkPoint, Primitive, register
from minigrad.reduction import sum_to_shape
from minigrad.tensor import Tensor, apply
from quant import dsq_kernels
from quant.calibration import least_squares_range
from quant.domain import check_alpha, check_bits, check_range, refuse_nan, same_dtype
from quant.quantizer import Quantizer

__all__ = ["BITS", "DSQ", "codes", "hard", "hard_vjp", "levels", "soft", "soft_partials", "soft_vjp"]

#: Bit widths the method takes.
BITS = range(1, 9)


# A point far outside the range may overflow on the way to a result that is the range's end.
_quiet = np.errstate(over="ignore", invalid="ignore")


def check_parameters(l: Any, u: Any, alpha: Any) -> None:
    """InputError unless l < u and 0 < alpha < 1, everywhere."""
    check_range(l, u)
    check_alpha(alpha)


def _place(x: Any, l: Any, u: Any, alpha: Any, bits: int) -> tuple[Any, ...]:
    """Checked arguments in one dtype, then N, D, v, i, z and K."""
    n = check_bits(bits)
    x, l, u, alpha = same_dtype(x, l, u, alpha)
    check_parameters(l, u, alpha)
    step = (u - l) / n
    v = (x - l) / step
    i = clip(floor(v), 0, n - 1)
    return x, l, u, alpha, n, step, v, i, v - i - 0.5, log1p(2 * (1 - alpha) / alpha)


@_quiet
def soft(x: Any, l: Any, u: Any, alpha: Any, bits: int) -> Any:
    """The differentiable forward (eq 5).

    Parameters
    ----------
    x : ndarray, float32 or float64, any shape
    l, u : lower and upper end of the range, l < u
    alpha : distance between the soft and the hard quantizer, 0 < alpha < 1
    bits : 1 to 8

    Returns
    -------
    ndarray of the shape and dtype of x; NaN where x is NaN.

    Raises
    ------
    InputError
        If a parameter is outside its domain.
    """
    x, l, u, alpha, _, step, _, i, z, gain = _place(x, l, u, alpha, bits)
    t, _ = tanh_sech2(gain * z)
    y = within(l + step * (i + (t / (1 - alpha) + 1) * 0.5), l, u)
    return select(x < l, l, select(x > u, u, y))


@_quiet
def soft_partials(x: Any, l: Any, u: Any, alpha: Any, bits: int, *, q: str = "soft") -> tuple[Any, Any, Any, Any]:
    """The partial derivatives of every element by x, l, u and alpha, each of the shape of x (eqs 10 to 13).

    ``q`` picks the variant of dl and du: "soft" is the gradient of ``soft``; "hard" puts the code in its place.
    """
    if q not in ("soft", "hard"):
        raise InputError(f"q: expected 'soft' or 'hard', got {q!r}")
    x, l, u, alpha, n, step, v, i, z, gain = _place(x, l, u, alpha, bits)
    s = 1 / (1 - alpha)
    t, d2 = tanh_sech2(gain * z)
    slope = gain * s * 0.5 * d2
    position = i + (s * t + 1) * 0.5 if q == "soft" else clip(floor(v + 0.5), 0, n)
    below, above = x < l, x > u
    zero, one = x * 0, x * 0 + 1
    if isinstance(zero, np.ndarray):  # infinities lie outside the range, where the partials are constants
        zero, one = np.zeros_like(x), np.ones_like(x)

    def outside(inside: Any, at_below: Any, at_above: Any) -> Any:
        return select(below, at_below, select(above, at_above, inside))

    dx = outside(slope, zero, zero)
    dl = outside(1 - position / n + slope * (v / n - 1), one, zero)
    du = outside(position / n - slope * (v / n), zero, one)
    dalpha = outside(step * 0.5 * (s * s * t - 2 * s * z * d2 / (alpha * (2 - alpha))), zero, zero)
    return dx, dl, du, dalpha


def soft_vjp(
    gy: np.ndarray, x: np.ndarray, l: Any, u: Any, alpha: Any, bits: int, *, q: str = "soft"
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of x, l, u and alpha for the incoming gradient ``gy`` (the shape of x).

    The gradient of a parameter is summed, in a fixed order, to the parameter's shape.
    """
    dx, *partials = soft_partials(x, l, u, alpha, bits, q=q)
    shapes = (np.shape(l), np.shape(u), np.shape(alpha))
    gradients = [sum_to_shape(gy * d, shape) for d, shape in zip(partials, shapes, strict=True)]
    return sum_to_shape(gy * dx, np.shape(x)), gradients[0], gradients[1], gradients[2]


@_quiet
def codes(x: np.ndarray, l: Any, u: Any, alpha: Any, bits: int) -> np.ndarray:
    """Integer codes of the hard quantizer, uint8, ties up (Algorithm 1); alpha has no influence.

    Raises
    ------
    InputError
        If a parameter is outside its domain, or x holds NaN.
    """
    n = check_bits(bits)
    x, l, u, alpha = same_dtype(x, l, u, alpha)
    check_parameters(l, u, alpha)
    refuse_nan(x)
    v = (x - l) / ((u - l) / n)
    return np.asarray(clip(floor(v + x.dtype.type(0.5)), 0, n)).astype(np.uint8)


def levels(l: Any, u: Any, alpha: Any, bits: int) -> np.ndarray:
    """The value of each code, shape (2^bits, ...) in the dtype of u; the last is u itself, not l + N D."""
    n = check_bits(bits)
    check_parameters(l, u, alpha)
    u = np.asarray(u)
    l, u = np.broadcast_arrays(np.asarray(l, dtype=u.dtype), u)
    steps = np.arange(n + 1).astype(u.dtype).reshape(-1, *([1] * u.ndim))
    values = l + steps * ((u - l) / n)
    values[n] = u
    return values


def hard(x: np.ndarray, l: Any, u: Any, alpha: Any, bits: int) -> np.ndarray:
    """The hard quantizer: the level of the code of each element, in the dtype of x (Algorithm 1)."""
    x, l, u, alpha = same_dtype(x, l, u, alpha)
    n = check_bits(bits)
    j = codes(x, l, u, alpha, bits)
    return np.where(j == n, u, l + j.astype(x.dtype) * ((u - l) / n))


def hard_vjp(
    gy: np.ndarray, x: np.ndarray, l: Any, u: Any, alpha: Any, bits: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Gradients that training with a hard forward uses: those of ``soft`` with the code in the place of q."""
    return soft_vjp(gy, x, l, u, alpha, bits, q="hard")


# ---------------------------------------------------------------- on the tape

_Residuals = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]


def _soft_forward(
    x: np.ndarray, l: np.ndarray, u: np.ndarray, alpha: np.ndarray, bits: int
) -> tuple[np.ndarray, _Residuals]:
    """``soft`` by the C library where it applies."""
    run = dsq_kernels.soft if dsq_kernels.applies(x, l, u, alpha) else soft
    return run(x, l, u, alpha, bits), (x, l, u, alpha, bits)


def _backward(gy: np.ndarray, residuals: _Residuals, q: str) -> tuple[np.ndarray, ...]:
    x, l, u, alpha, bits = residuals
    run = dsq_kernels.vjp if dsq_kernels.applies(x, l, u, alpha) else soft_vjp
    return run(gy, x, l, u, alpha, bits, q=q)


def _soft_backward(gy: np.ndarray, residuals: _Residuals, needs: Sequence[bool]) -> tuple[np.ndarray, ...]:
    return _backward(gy, residuals, "soft")


def _hard_forward(
    x: np.ndarray, l: np.ndarray, u: np.ndarray, alpha: np.ndarray, bits: int
) -> tuple[np.ndarray, _Residuals]:
    """``hard`` by the C library where it applies."""
    run = dsq_kernels.hard if dsq_kernels.applies(x, l, u, alpha) else hard
    return run(x, l, u, alpha, bits), (x, l, u, alpha, bits)


def _hard_backward(gy: np.ndarray, residuals: _Residuals, needs: Sequence[bool]) -> tuple[np.ndarray, ...]:
    return _backward(gy, residuals, "hard")


def _jvp(q: str) -> Callable[..., np.ndarray]:
    def jvp(
        tangents: tuple[np.ndarray | None, ...],
        x: np.ndarray,
        l: np.ndarray,
        u: np.ndarray,
        alpha: np.ndarray,
        bits: int,
    ) -> np.ndarray:
        partials = soft_partials(x, l, u, alpha, bits, q=q)
        y = np.zeros_like(x)
        for partial, tangent in zip(partials, tangents, strict=True):
            if tangent is not None:
                y = y + partial * tangent
        return y

    return jvp


def frozen_code(
    x: np.ndarray, l: Any, u: Any, alpha: Any, bits: int
) -> Callable[[np.ndarray, Any, Any, Any], np.ndarray]:
    """The function whose true gradient at (x, l, u, alpha) is ``hard_vjp``.

    The code is frozen, and what phi changes from its value here is passed straight through:
    l + D (code + (phi - phi here)/2).
    """
    n = check_bits(bits)
    code = codes(x, l, u, alpha, bits).astype(x.dtype)
    interval = clip(floor((x - l) / ((u - l) / n)), 0, n - 1)

    def phi(x: Any, l: Any, u: Any, alpha: Any, i: Any) -> Any:
        t, _ = tanh_sech2(log1p(2 * (1 - alpha) / alpha) * ((x - l) / ((u - l) / n) - i - 0.5))
        return t / (1 - alpha)

    here = phi(x, l, u, alpha, interval)

    def element(x: Any, l: Any, u: Any, alpha: Any, code: Any, i: Any, here: Any, below: Any, above: Any) -> Any:
        inside = l + (u - l) / n * (code + (phi(x, l, u, alpha, i) - here) * 0.5)
        return select(below, l, select(above, u, inside))

    frozen = (code, interval, here, x < l, x > u)

    def surrogate(x: np.ndarray, l: Any, u: Any, alpha: Any) -> np.ndarray:
        run = element if x.dtype != object else np.frompyfunc(element, 9, 1)
        return run(x, l, u, alpha, *frozen)

    return surrogate


def _examples(draw: Draw, dtype: Any) -> Example:
    bits = draw.integer(1, 4)
    l, u = draw.uniform(-2.0, -0.2), draw.uniform(0.2, 2.0)
    step = (u - l) / ((1 << bits) - 1)
    # Away from the bounds, where the slope jumps, from the interval edges, where the second derivative does, and from
    # the middles, where the hard quantizer does.
    interval = np.array([draw.integer(-1, (1 << bits) - 1) for _ in range(5)])
    x = l + step * (interval + away_from(draw, 0.05, 0.95, (5,), [0.5], 0.05))
    return tuple(np.asarray(a, dtype) for a in (x, l, u, draw.uniform(0.05, 0.6))), {"bits": bits}


def _at_bound(upper: bool) -> Callable[[Draw, Any], KinkPoint]:
    def at(draw: Draw, dtype: Any) -> KinkPoint:
        (x, *parameters), options = _examples(draw, dtype)
        x[0] = parameters[int(upper)]
        return KinkPoint((x, *parameters), options, 0, (0,), 0.0 if upper else 1.0)

    return at


def _soft_definition(x: Any, l: Any, u: Any, alpha: Any, bits: int) -> Any:
    return np.frompyfunc(functools.partial(soft, bits=bits), 4, 1)(x, l, u, alpha)


def _hard_definition(x: Any, l: Any, u: Any, alpha: Any, bits: int) -> Any:
    n = check_bits(bits)

    def level(x: Any, l: Any, u: Any) -> Any:
        step = (u - l) / n
        code = clip(floor((x - l) / step + 0.5), 0, n)
        return select(code == n, u, l + code * step)

    return np.frompyfunc(level, 3, 1)(x, l, u)


_KINKS = (
    Kink("x = l", "the slope from inside", _at_bound(False)),
    Kink("x = u", "the slope from inside", _at_bound(True)),
)
for _name, _rules, _definition, _surrogate in (
    ("dsq_soft", (_soft_forward, _soft_backward, _jvp("soft")), _soft_definition, None),
    ("dsq_hard", (_hard_forward, _hard_backward, _jvp("hard")), _hard_definition, frozen_code),
):
    register(
        Primitive(
            _name,
            *_rules,
            definition=_definition,
            domain="l < u, 0 < alpha < 1",
            kinks=_KINKS,
            examples=_examples,
            surrogate=_surrogate,
        )
    )


class DSQ(Quantizer):
    """DSQ with learned range and learned alpha, one of each for the tensor.

    Parameters
    ----------
    bits : int
        1 to 8.
    range : str
        "symmetric": l = -u, for weights (codes are odd integers); "positive": l = 0, for activations after a ReLU;
        "free": l and u are learned apart.
    forward : str
        In training "hard" (Algorithm 1, q = code in the backward) or "soft" (eq 5). Evaluation is always hard.
    learn_alpha : bool or None
        None: alpha is learned except at 1 bit (the paper's binary nets keep 0.2).
    alpha : float
        Where alpha starts; ``project`` keeps it at 0.5 or below. The paper's constraint on it is an L2 penalty: the
        weight decay of the optimizer's group "shape".
    alpha_bound : str
        What ``project`` keeps alpha above: "scale-free", alpha >= 1e-6; or besides it "k<=1000", the paper's bound on
        k, which depends on the scale of the data (0.5 where it leaves nothing below 0.5).

    Raises
    ------
    InputError
        For a bit width, range, forward or bound other than these, or alpha outside (0, 1).
    """

    def __init__(
        self,
        bits: int,
        range: str = "symmetric",
        *,
        alpha: float = 0.2,
        forward: str = "hard",
        learn_alpha: bool | None = None,
        alpha_bound: str = "scale-free",
        dtype: type = np.float32,
    ) -> None:
        super().__init__()
        check_bits(bits, BITS)
        if dtype not in (np.float32, np.float64):
            raise InputError(f"dtype: expected float32 or float64, got {dtype!r}")
        if isinstance(alpha, bool) or not isinstance(alpha, (int, float, np.integer, np.floating)):
            raise InputError(f"alpha: expected a number, got {alpha!r}")
        check_alpha(np.asarray(alpha, dtype))
        for name, value, valid in (
            ("range", range, ("symmetric", "positive", "free")),
            ("forward", forward, ("hard", "soft")),
            ("alpha_bound", alpha_bound, ("scale-free", "k<=1000")),
        ):
            if value not in valid:
                raise InputError(f"{name}: expected one of {', '.join(valid)}, got {value!r}")
        self.bits, self.range, self.mode, self.alpha_bound = bits, range, forward, alpha_bound
        self.u = Parameter(np.ones((), dtype), group="range")
        if range == "free":
            self.l = Parameter(-np.ones((), dtype), group="range")
        self.alpha = Parameter(np.asarray(alpha, dtype), group="shape")
        self.alpha.requires_grad = bits > 1 if learn_alpha is None else learn_alpha

    def lower(self) -> Tensor | np.ndarray:
        """l, as a tensor where it is learned."""
        if self.range == "free":
            return self.l
        return -self.u if self.range == "symmetric" else np.zeros((), self.u.dtype)

    def parameters_now(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """l, u and alpha as arrays."""
        l = self.lower()
        return (l.data if isinstance(l, Tensor) else l), self.u.data, self.alpha.data

    def initialise(self, x: np.ndarray) -> None:
        """The range of least squared error; "free" is put around the middle of the data."""
        if x.size == 0:
            raise InputError("x: expected elements to choose a range from, got none")
        if self.range == "free":
            if x.min() == x.max():
                raise InputError(f"x: every element is {x.min()}; a range needs two different ones")
            middle = 0.5 * (float(x.max()) + float(x.min()))
            half = least_squares_range(x - middle, lambda x, u: hard(x, -u, u, 0.5, self.bits))
            self.l.data[...], self.u.data[...] = middle - half, middle + half
            return
        sign = -1.0 if self.range == "symmetric" else 0.0
        self.u.data[...] = least_squares_range(x, lambda x, u: hard(x, sign * u, u, 0.5, self.bits))

    def quantize(self, x: Tensor) -> Tensor:
        name = "dsq_soft" if self.training and self.mode == "soft" else "dsq_hard"
        return apply(name, x, self.lower(), self.u, self.alpha, bits=self.bits)

    def codes(self, x: np.ndarray) -> np.ndarray:
        return codes(x, *self.parameters_now(), self.bits)

    def levels(self, x: np.ndarray | None = None) -> np.ndarray:
        return levels(*self.parameters_now(), self.bits)

    def project(self) -> None:
        """l < u by a gap of 1e-6 of the larger one (at least of 1), alpha from its bound to 0.5."""
        l, u, _ = (float(p) for p in self.parameters_now())
        gap = 1e-6 * max(1.0, abs(l), abs(u))
        if u - l < gap:
            if self.range == "free":
                self.l.data[...] = 0.5 * (l + u) - gap
            self.u.data[...] = 0.5 * (l + u) + gap if self.range == "free" else gap
        low = 1e-6
        if self.alpha_bound == "k<=1000":
            step = (u - l) / check_bits(self.bits)
            low = min(0.5, max(low, 2.0 / (1.0 + float(exp(min(1000.0 * step, 700.0))))))
        np.clip(self.alpha.data, low, 0.5, out=self.alpha.data)
