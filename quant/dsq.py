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

from typing import Any

import numpy as np

from minigrad.elementary import clip, floor, log1p, select, tanh_sech2, within
from minigrad.errors import InputError
from minigrad.reduction import sum_to_shape

__all__ = [
    "BITS",
    "check_bits",
    "check_parameters",
    "codes",
    "hard",
    "hard_vjp",
    "levels",
    "soft",
    "soft_partials",
    "soft_vjp",
]

#: Bit widths the method takes.
BITS = range(1, 9)


def check_bits(bits: Any) -> int:
    """The number of steps N = 2^bits - 1; InputError unless bits is an integer from 1 to 8."""
    if isinstance(bits, bool) or not isinstance(bits, (int, np.integer)) or bits not in BITS:
        raise InputError(f"bits: {bits!r} is not an integer from {BITS[0]} to {BITS[-1]}")
    return (1 << int(bits)) - 1


def check_parameters(l: Any, u: Any, alpha: Any) -> None:
    """InputError unless l < u and 0 < alpha < 1, both finite, everywhere."""
    if not _all(l < u):
        raise InputError(f"l, u: expected l < u, got l = {_show(l)} and u = {_show(u)}")
    if not (_all(-np.inf < l) and _all(u < np.inf)):
        raise InputError(f"l, u: expected finite numbers, got l = {_show(l)} and u = {_show(u)}")
    if not (_all(alpha > 0) and _all(alpha < 1)):
        raise InputError(f"alpha: expected 0 < alpha < 1, got {_show(alpha)}")


def _all(condition: Any) -> bool:
    return bool(np.all(condition))


def _show(value: Any) -> str:
    return str(value.item()) if isinstance(value, (np.ndarray, np.generic)) and value.size == 1 else str(value)


def _arguments(x: Any, *parameters: Any) -> tuple[Any, ...]:
    """Float arguments in the dtype of x; numbers of any other kind as they are."""
    if isinstance(x, (float, int)):
        x = np.float64(x)
    if not isinstance(x, (np.ndarray, np.generic)):
        return (x, *parameters)
    if x.dtype not in (np.float32, np.float64):
        raise InputError(f"x: expected float32 or float64, got {x.dtype}")
    return (x, *(np.asarray(p, dtype=x.dtype)[()] for p in parameters))


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
    n = check_bits(bits)
    x, l, u, alpha = _arguments(x, l, u, alpha)
    check_parameters(l, u, alpha)
    step = (u - l) / n
    v = (x - l) / step
    i = clip(floor(v), 0, n - 1)
    t, _ = tanh_sech2(log1p(2 * (1 - alpha) / alpha) * (v - i - 0.5))
    y = within(l + step * (i + (t / (1 - alpha) + 1) * 0.5), l, u)
    return select(x < l, l, select(x > u, u, y))


def soft_partials(x: Any, l: Any, u: Any, alpha: Any, bits: int, *, q: str = "soft") -> tuple[Any, Any, Any, Any]:
    """The partial derivatives of every element by x, l, u and alpha, each of the shape of x (eqs 10 to 13).

    ``q`` picks the variant of dl and du: "soft" is the gradient of ``soft``; "hard" puts the code in its place.
    """
    if q not in ("soft", "hard"):
        raise InputError(f"q: expected 'soft' or 'hard', got {q!r}")
    n = check_bits(bits)
    x, l, u, alpha = _arguments(x, l, u, alpha)
    check_parameters(l, u, alpha)
    step = (u - l) / n
    v = (x - l) / step
    i = clip(floor(v), 0, n - 1)
    z = v - i - 0.5
    gain = log1p(2 * (1 - alpha) / alpha)
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
    return gy * dx, gradients[0], gradients[1], gradients[2]


def codes(x: np.ndarray, l: Any, u: Any, alpha: Any, bits: int) -> np.ndarray:
    """Integer codes of the hard quantizer, uint8, ties up (Algorithm 1); alpha has no influence.

    Raises
    ------
    InputError
        If a parameter is outside its domain, or x holds NaN.
    """
    n = check_bits(bits)
    x, l, u, alpha = _arguments(x, l, u, alpha)
    check_parameters(l, u, alpha)
    if np.isnan(x).any():
        where = np.unravel_index(int(np.argmax(np.isnan(x))), np.shape(x))
        raise InputError(f"x: NaN at index {tuple(int(n) for n in where)}; a code needs a number")
    v = (x - l) / ((u - l) / n)
    return np.asarray(clip(floor(v + x.dtype.type(0.5)), 0, n)).astype(np.uint8)


def levels(l: Any, u: Any, alpha: Any, bits: int) -> np.ndarray:
    """The value of each code, shape (2^bits, ...) in the dtype of u; the last is u itself, not l + N D."""
    n = check_bits(bits)
    check_parameters(l, u, alpha)
    u = np.asarray(u)
    l = np.asarray(l, dtype=u.dtype)
    steps = np.arange(n + 1).astype(u.dtype).reshape(-1, *([1] * u.ndim))
    values = l + steps * ((u - l) / n)
    values[n] = u
    return values


def hard(x: np.ndarray, l: Any, u: Any, alpha: Any, bits: int) -> np.ndarray:
    """The hard quantizer: the level of the code of each element, in the dtype of x (Algorithm 1)."""
    x, l, u, alpha = _arguments(x, l, u, alpha)
    n = check_bits(bits)
    j = codes(x, l, u, alpha, bits)
    return np.where(j == n, u, l + j.astype(x.dtype) * ((u - l) / n))


def hard_vjp(
    gy: np.ndarray, x: np.ndarray, l: Any, u: Any, alpha: Any, bits: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Gradients that training with a hard forward uses: those of ``soft`` with the code in the place of q."""
    return soft_vjp(gy, x, l, u, alpha, bits, q="hard")
