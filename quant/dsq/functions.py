"""The functions of DSQ over arrays; ``quant.dsq`` has the equations.

Parameters come in the order l, u, alpha, as scalars or as arrays that broadcast against x (one entry a channel, the
last axis). Every function takes float32 or float64 and computes in the dtype of x; ``soft`` and ``soft_partials`` also
run on exact and interval numbers, one element at a time.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.elementary import clip, floor, log1p, select, tanh_sech2, within
from minigrad.errors import InputError
from quant.domain import check_alpha, check_bits, check_range, check_shapes, refuse_nan, same_dtype
from quant.rules import sum_partials

__all__ = [
    "BITS",
    "check_parameters",
    "codes",
    "hard",
    "hard_vjp",
    "levels",
    "partials",
    "soft",
    "soft_partials",
    "soft_vjp",
]

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
    check_shapes(x, l, u, alpha)
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


def partials(x: np.ndarray, l: Any, u: Any, alpha: Any, bits: int) -> tuple[Any, Any, Any, Any]:
    """The derivatives of every element that training with a hard forward passes on: ``soft_partials``, q the code."""
    return soft_partials(x, l, u, alpha, bits, q="hard")


def soft_vjp(
    gy: np.ndarray, x: np.ndarray, l: Any, u: Any, alpha: Any, bits: int, *, q: str = "soft"
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of x, l, u and alpha for the incoming gradient ``gy`` (the shape of x).

    The gradient of a parameter is summed, in a fixed order, to the parameter's shape.
    """
    dx, dl, du, dalpha = sum_partials(gy, soft_partials(x, l, u, alpha, bits, q=q), (x, l, u, alpha))
    return dx, dl, du, dalpha


@_quiet
def codes(x: np.ndarray, l: Any, u: Any, alpha: Any, bits: int) -> np.ndarray:
    """Integer codes of the hard quantizer, uint8, ties up (Algorithm 1); alpha has no influence.

    Raises
    ------
    InputError
        If a parameter is outside its domain, or x holds NaN.
    """
    n = check_bits(bits)
    check_shapes(x, l, u, alpha)
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


@_quiet
def hard(x: np.ndarray, l: Any, u: Any, alpha: Any, bits: int) -> np.ndarray:
    """The hard quantizer: the level of the code of each element, in the dtype of x (Algorithm 1); NaN where x is NaN.

    With 1 bit, l = -1 and u = 1 it is sgn x with sgn 0 = +1; as x - l is rounded, x between -2^-52 and 0 (float32:
    -2^-23) may count as 0.
    """
    n = check_bits(bits)
    check_shapes(x, l, u, alpha)
    x, l, u, alpha = same_dtype(x, l, u, alpha)
    check_parameters(l, u, alpha)
    step = (u - l) / n
    j = clip(floor((x - l) / step + x.dtype.type(0.5)), 0, n)
    return np.where(j == n, u, l + j * step)


def hard_vjp(
    gy: np.ndarray, x: np.ndarray, l: Any, u: Any, alpha: Any, bits: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Gradients that training with a hard forward uses: those of ``soft`` with the code in the place of q."""
    return soft_vjp(gy, x, l, u, alpha, bits, q="hard")
