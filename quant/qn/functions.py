"""The pure functions of QN; ``quant.qn`` has the equations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from minigrad.elementary import exp
from minigrad.errors import InputError
from minigrad.reduction import sum_to_shape
from quant.domain import as_number, check_positive, check_shapes, refuse_nan, same_dtype
from quant.qn.level_sets import level_set

__all__ = [
    "SoftState",
    "codes",
    "hard",
    "hard_vjp",
    "levels",
    "partials",
    "soft",
    "soft_backward",
    "soft_forward",
    "soft_jvp",
    "soft_vjp",
]

Array = np.ndarray

# A point far outside may overflow on the way to a result that is an outer level.
_quiet = np.errstate(over="ignore", under="ignore", invalid="ignore")

#: Elements times thresholds that are looked at together.
_BLOCK = 1 << 18


def check_thresholds(b: Array, count: int) -> None:
    """InputError unless b has shape (count,), is finite, and each is above the one before."""
    if np.shape(b) != (count,):
        raise InputError(f"b: expected shape ({count},), one fewer than levels, got {np.shape(b)}")
    if not (np.isfinite(b).all() and (b[:-1] < b[1:]).all()):
        raise InputError("b: expected finite numbers, each above the one before")


class Placed(NamedTuple):
    """Checked arguments in one dtype, u = beta x, the levels Y and their gaps."""

    x: Array
    alpha: Any
    beta: Any
    b: Array
    u: Array
    integers: Array
    gaps: Array


class SoftState(NamedTuple):
    """What the gradients of ``soft`` are computed from: position = soft/alpha and slope = g, of the shape of x."""

    given: Placed
    temperature: Any
    position: Array
    slope: Array
    shapes: tuple[tuple[int, ...], ...]


def _place(x: Any, alpha: Any, beta: Any, b: Any, bits: int, values: Any, signed: bool) -> Placed:
    chosen = np.array(level_set(values, bits, signed))
    x, alpha, beta, b = same_dtype(x, alpha, beta, b)
    check_shapes(x, alpha, beta)
    check_positive("alpha", alpha)
    check_positive("beta", beta)
    check_thresholds(b, len(chosen) - 1)
    x = np.asarray(x)
    return Placed(x, alpha, beta, b, np.asarray(beta * x), chosen.astype(x.dtype), np.diff(chosen).astype(x.dtype))


def _temperature(temperature: float, dtype: Any) -> Any:
    """T in a dtype; InputError unless it is above 0 and finite there."""
    chosen = dtype.type(as_number("temperature", temperature))
    check_positive("temperature", chosen)
    return chosen


def _sums(u: Array, b: Array, integers: Array, gaps: Array, t: Any) -> tuple[Array, Array]:
    """sum_i s_i sigma(v_i) - o and sum_i s_i sigma'(v_i) of every element, for u = beta x; added from i = 1 on."""
    flat = u.ravel()
    position, slope = np.empty_like(flat), np.empty_like(flat)
    width = max(1, _BLOCK // len(b))
    for start in range(0, flat.size, width):
        part = flat[start : start + width]
        e = exp(-np.abs(t * (part - b[:, None])))
        tails = gaps[:, None] * (e / (1 + e))
        tails = np.where(part >= b[:, None], -tails, tails)
        slopes = gaps[:, None] * (e / ((1 + e) * (1 + e)))
        step = integers[np.searchsorted(b, part, side="right")]
        # Sums on the way are asked for, so that there is but one order of additions.
        position[start : start + width] = step + np.add.accumulate(tails)[-1]
        slope[start : start + width] = np.add.accumulate(slopes)[-1]
    return position.reshape(u.shape), slope.reshape(u.shape)


def _partials_but_b(state: SoftState) -> tuple[Array, Array, Array]:
    given, t, slope = state.given, state.temperature, state.slope
    # The slope is 0 at an infinite x, and so is x times the slope.
    lever = np.where(slope == 0, slope, given.x * slope)
    return (
        np.asarray(given.alpha * given.beta * (t * slope)),
        state.position,
        np.asarray(given.alpha * (t * lever)),
    )


def _partials_by_b(state: SoftState) -> Iterator[Array]:
    """One threshold after the other; several are computed together where there are few elements."""
    given, t = state.given, state.temperature
    together = max(1, _BLOCK // max(given.u.size, 1))
    rows = (-1, *([1] * given.u.ndim))
    for start in range(0, len(given.b), together):
        chosen = slice(start, start + together)
        e = exp(-np.abs(t * (given.u - given.b[chosen].reshape(rows))))
        slopes = given.gaps[chosen].reshape(rows) * (e / ((1 + e) * (1 + e)))
        yield from -given.alpha * (t * slopes)


@_quiet
def soft_forward(
    x: Array,
    alpha: Any,
    beta: Any,
    b: Any,
    *,
    bits: int,
    temperature: float,
    values: str | Sequence[int] | None = None,
    signed: bool = True,
) -> tuple[Array, SoftState]:
    """``soft``, and what its gradients are computed from."""
    given = _place(x, alpha, beta, b, bits, values, signed)
    t = _temperature(temperature, given.x.dtype)
    position, slope = _sums(given.u, given.b, given.integers, given.gaps, t)
    shapes = (np.shape(x), np.shape(alpha), np.shape(beta), np.shape(b))
    return np.asarray(given.alpha * position), SoftState(given, t, position, slope, shapes)


@_quiet
def soft_backward(gy: Array, state: SoftState, needs: Sequence[bool]) -> tuple[Array | None, ...]:
    """Gradients of x, alpha, beta and b; None for those not needed."""
    given, shapes = state.given, state.shapes
    dx, dalpha, dbeta = _partials_but_b(state)
    found = [
        sum_to_shape(np.asarray(gy * d), shape) if needed else None
        for d, shape, needed in zip((dx, dalpha, dbeta), shapes[:3], needs[:3], strict=True)
    ]
    if not needs[3]:
        return (*found, None)
    sums = [sum_to_shape(np.asarray(gy * d), ()) for d in _partials_by_b(state)]
    return (*found, np.asarray(sums, given.x.dtype))


@_quiet
def soft_jvp(
    tangents: Sequence[Array | None], x: Array, alpha: Any, beta: Any, b: Any, *, temperature: float, **options: Any
) -> Array:
    """The derivative of ``soft`` along tangents of x, alpha, beta and b, None for 0."""
    _, state = soft_forward(x, alpha, beta, b, temperature=temperature, **options)
    y = np.zeros_like(state.position)
    for partial, tangent in zip(_partials_but_b(state), tangents[:3], strict=True):
        if tangent is not None:
            y = y + partial * tangent
    if tangents[3] is not None:
        for partial, moved in zip(_partials_by_b(state), tangents[3], strict=True):
            y = y + partial * moved
    return y


def soft(x: Array, alpha: Any, beta: Any, b: Any, *, temperature: float, **options: Any) -> Array:
    """The differentiable forward (eq 7).

    Parameters
    ----------
    x : ndarray, float32 or float64, any shape
    alpha, beta : scale of the output and of the input, above 0; broadcast against x
    b : (n,), ascending; thresholds of beta x
    temperature : T, above 0
    bits : ceil(log2(number of levels)), 1 to 8
    values : the levels Y (``level_set``), by default the set of that width
    signed : which of the two sets of that width

    Returns
    -------
    ndarray of the shape and dtype of x; NaN where x is NaN.

    Raises
    ------
    InputError
        If a parameter is outside its domain.
    """
    return soft_forward(x, alpha, beta, b, temperature=temperature, **options)[0]


@_quiet
def partials(
    x: Array, alpha: Any, beta: Any, b: Any, *, temperature: float, **options: Any
) -> tuple[Array, Array, Array, Array]:
    """The derivatives of every element of ``soft`` by x, alpha and beta, each of the shape of x, and by b: (n, ...)."""
    _, state = soft_forward(x, alpha, beta, b, temperature=temperature, **options)
    return (*_partials_but_b(state), np.stack(list(_partials_by_b(state))))


def soft_vjp(
    gy: Array, x: Array, alpha: Any, beta: Any, b: Any, *, temperature: float, **options: Any
) -> tuple[Array | None, ...]:
    """Gradients of x, alpha, beta and b for the incoming gradient ``gy`` (the shape of x)."""
    _, state = soft_forward(x, alpha, beta, b, temperature=temperature, **options)
    return soft_backward(gy, state, (True,) * 4)


@_quiet
def hard(
    x: Array,
    alpha: Any,
    beta: Any,
    b: Any,
    *,
    bits: int,
    values: str | Sequence[int] | None = None,
    signed: bool = True,
) -> Array:
    """The hard quantizer (eq 12): alpha times the level of the code; NaN where x is NaN. Arguments as of ``soft``."""
    given = _place(x, alpha, beta, b, bits, values, signed)
    chosen = given.integers[np.searchsorted(given.b, given.u, side="right")]
    return np.asarray(np.where(np.isnan(given.u), given.u, given.alpha * chosen))


def hard_vjp(gy: Array, x: Array, alpha: Any, beta: Any, b: Any, **options: Any) -> tuple[Array, Array, Array, Array]:
    """The true gradients of ``hard`` between its jumps: 0 but for alpha."""
    chosen = hard(x, 1.0, beta, b, **options)
    zeros = [np.zeros(np.shape(a), chosen.dtype) for a in (x, beta, b)]
    return zeros[0], sum_to_shape(np.asarray(gy * chosen), np.shape(alpha)), zeros[1], zeros[2]


@_quiet
def codes(
    x: Array,
    alpha: Any,
    beta: Any,
    b: Any,
    *,
    bits: int,
    values: str | Sequence[int] | None = None,
    signed: bool = True,
) -> Array:
    """The number of thresholds with b_i <= beta x, uint8: ties go up.

    Raises
    ------
    InputError
        If a parameter is outside its domain, or x holds NaN.
    """
    given = _place(x, alpha, beta, b, bits, values, signed)
    refuse_nan(given.x)
    return np.asarray(np.searchsorted(given.b, given.u, side="right")).astype(np.uint8)


def levels(
    alpha: Any, beta: Any, b: Any, *, bits: int, values: str | Sequence[int] | None = None, signed: bool = True
) -> Array:
    """The value of each code, alpha Y: (n + 1, ...) in the dtype of alpha."""
    alpha = np.asarray(alpha)
    check_positive("alpha", alpha)
    integers = np.array(level_set(values, bits, signed)).astype(alpha.dtype)
    return integers.reshape(-1, *([1] * alpha.ndim)) * alpha
